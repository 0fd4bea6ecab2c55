import { type ListenerConfig, ListenerProtocol } from './config.ts';
import type { ConfigDraft } from './config-draft.ts';

/** Options that would have to guard the listener, and do not with this protocol: its TLS has a certificate and no more. */
const unavailable = [
  'cafile',
  'capath',
  'ciphers',
  'ciphers_tls1.3',
  'crlfile',
  'dhparamfile',
  'enable_proxy_protocol',
  'proxy_protocol_v2_require_tls',
  'psk_hint',
  'require_certificate',
  'sni_certificate',
  'tls_version',
  'use_identity_as_username',
  'use_subject_as_username',
] as const;

/** What goes with `protocol http_api`, and what goes with nothing else. */
export function checkHttpApi(
  draft: ConfigDraft,
  listener: ListenerConfig,
  complain: (option: string, text: string) => void,
): void {
  if (listener.protocol !== ListenerProtocol.httpApi) {
    if (listener.httpDir !== null) complain('http_dir', 'needs protocol http_api');
    return;
  }
  if (listener.unixPath !== null) complain('protocol', 'http_api needs a port, and this listener is a unix socket');
  for (const option of unavailable) {
    if (draft.placeOf(listener, option) !== null) complain(option, 'cannot be used with protocol http_api');
  }
}
