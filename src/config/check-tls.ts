import { type ListenerConfig, securityOf } from './config.ts';
import type { ConfigDraft } from './config-draft.ts';

/** Options of TLS that need each other, or exclude each other. */
export function checkTls(
  draft: ConfigDraft,
  listener: ListenerConfig,
  complain: (option: string, text: string) => void,
): void {
  const hasTls = listener.certfile !== null && listener.keyfile !== null;
  const hasAuthorities = listener.cafile !== null || listener.capath !== null;
  if (listener.certfile !== null && listener.keyfile === null) complain('certfile', 'needs a keyfile beside it');
  if (listener.keyfile !== null && listener.certfile === null) complain('keyfile', 'needs a certfile beside it');
  if (listener.certfile === null && listener.keyfile === null) {
    for (const option of ['cafile', 'capath', 'crlfile'] as const) {
      if (listener[option] !== null) complain(option, 'needs certfile and keyfile: without them there is no TLS');
    }
    if (listener.sniCertificates.length > 0) {
      complain('sni_certificate', 'needs certfile and keyfile, for clients that ask for no server name');
    }
    if (listener.requireCertificate && listener.proxyProtocol !== 2) {
      complain(
        'require_certificate',
        'needs certfile, keyfile and a cafile or capath, or enable_proxy_protocol 2: without them clients are not asked',
      );
    }
  } else if (hasTls && listener.requireCertificate && !hasAuthorities) {
    complain('require_certificate', 'needs a cafile or capath, which says whose certificates count');
  }
  if (listener.pskHint !== null) {
    if (securityOf(draft.config, listener).pskFile === null)
      complain('psk_hint', 'needs a psk_file, which holds the keys');
    if (listener.certfile !== null)
      complain('psk_hint', 'cannot be used with certfile: a listener has one or the other');
    if (listener.proxyProtocol !== 0) {
      complain('enable_proxy_protocol', 'cannot be used with psk_hint: TLS ends at the proxy');
    }
    if (listener.unixPath !== null) complain('psk_hint', 'a unix socket does not speak TLS');
    if (listener.useSubjectAsUsername && !listener.useIdentityAsUsername) {
      complain('use_subject_as_username', 'cannot be used with psk_hint: a key has no subject');
    }
  } else if (listener.dhparamfile !== null) {
    draft.notices.push('Warning: dhparamfile is no longer required.'); // as Mosquitto 2.1 says it
  }
  if (listener.proxyProtocol !== 0 && listener.useSubjectAsUsername) {
    complain('use_subject_as_username', 'cannot be used with enable_proxy_protocol: its header tells no subject');
  }
  if (listener.proxyProtocolV2RequireTls && listener.proxyProtocol !== 2) {
    complain('proxy_protocol_v2_require_tls', 'needs enable_proxy_protocol 2, whose header tells of TLS');
  }
  if (hasTls && listener.proxyProtocol !== 0) {
    complain('enable_proxy_protocol', 'cannot be used with certfile and keyfile: TLS ends at the proxy');
  }
  if (hasTls && listener.unixPath !== null) complain('certfile', 'a unix socket does not speak TLS');
}
