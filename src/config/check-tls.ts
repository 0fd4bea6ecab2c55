import type { ListenerConfig } from './config.ts';
import type { ConfigDraft } from './config-draft.ts';

/** Options of TLS that need each other, or exclude each other. */
export function checkTls(
  draft: ConfigDraft,
  listener: ListenerConfig,
  complain: (option: string, text: string) => void,
): void {
  const hasTls = listener.certfile !== null && listener.keyfile !== null;
  if (listener.certfile !== null && listener.keyfile === null) complain('certfile', 'needs a keyfile beside it');
  if (listener.keyfile !== null && listener.certfile === null) complain('keyfile', 'needs a certfile beside it');
  if (listener.certfile === null && listener.keyfile === null) {
    if (listener.cafile !== null) complain('cafile', 'needs certfile and keyfile: without them there is no TLS');
    if (listener.sniCertificates.length > 0) {
      complain('sni_certificate', 'needs certfile and keyfile, for clients that ask for no server name');
    }
    if (listener.requireCertificate) {
      complain('require_certificate', 'needs certfile, keyfile and cafile: without them clients are not asked');
    }
  } else if (hasTls && listener.requireCertificate && listener.cafile === null) {
    complain('require_certificate', 'needs a cafile, which says whose certificates count');
  }
  if (listener.pskHint !== null) {
    if (draft.config.pskFile === null) complain('psk_hint', 'needs a psk_file, which holds the keys');
    if (listener.certfile !== null)
      complain('psk_hint', 'cannot be used with certfile: a listener has one or the other');
    if (listener.proxyProtocol !== 0) {
      complain('enable_proxy_protocol', 'cannot be used with psk_hint: TLS ends at the proxy');
    }
    if (listener.unixPath !== null) complain('psk_hint', 'a unix socket does not speak TLS');
  }
  if (hasTls && listener.proxyProtocol !== 0) {
    complain('enable_proxy_protocol', 'cannot be used with certfile and keyfile: TLS ends at the proxy');
  }
  if (hasTls && listener.unixPath !== null) complain('certfile', 'a unix socket does not speak TLS');
}
