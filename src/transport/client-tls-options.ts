import { constants } from 'node:crypto';
import { isIP } from 'node:net';
import { TransportError, TransportFailure } from './client-transport.ts';

export interface ClientTlsOptions {
  /** PEM certificates to trust instead of the usual ones; empty means the usual ones. */
  readonly ca: readonly string[];
  /** PEM of our own certificate and key, or null. */
  readonly cert: string | null;
  readonly key: string | null;
  /** False accepts a certificate that names another host; it must still be trusted. */
  readonly verifyHost: boolean;
  /** Accepts any certificate at all. */
  readonly trustAny: boolean;
  readonly alpn: string | null;
  /** OpenSSL cipher list, or null. */
  readonly ciphers: string | null;
  /** Lowest version; TLS 1.2 where it is left out. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Of an encrypted key. */
  readonly passphrase?: string | null;
}

export const defaultClientTlsOptions: ClientTlsOptions = {
  ca: [],
  cert: null,
  key: null,
  verifyHost: true,
  trustAny: false,
  alpn: null,
  ciphers: null,
};

const BELOW_TLS_1_2 = constants.SSL_OP_NO_TLSv1 | constants.SSL_OP_NO_TLSv1_1;
const BELOW_TLS_1_3 = BELOW_TLS_1_2 | constants.SSL_OP_NO_TLSv1_2;

/** @param hostname null for a connection that names no host */
export function bunTlsOptions(tls: ClientTlsOptions, hostname: string | null): Bun.TLSOptions {
  return {
    // Certificates are judged in `onHandshake`, where the reason is known.
    rejectUnauthorized: false,
    secureOptions: tls.minVersion === 'TLSv1.3' ? BELOW_TLS_1_3 : BELOW_TLS_1_2,
    ...(hostname === null || isIP(hostname) !== 0 ? {} : { serverName: hostname }),
    ...(tls.ca.length === 0 ? {} : { ca: [...tls.ca] }),
    ...(tls.cert === null ? {} : { cert: tls.cert }),
    ...(tls.key === null ? {} : { key: tls.key }),
    ...(tls.alpn === null ? {} : { ALPNProtocols: tls.alpn }),
    ...(tls.ciphers === null ? {} : { ciphers: tls.ciphers }),
    ...(typeof tls.passphrase === 'string' ? { passphrase: tls.passphrase } : {}),
  };
}

/**
 * Why a handshake is no good: of a server that cannot be trusted, or that did not come about.
 *
 * @param code of the TLS library; null where it gave none
 * @returns null where the stream may be used
 */
export function judgeHandshake(tls: ClientTlsOptions, code: string | null, error: Error): TransportError | null {
  const isBroken = code === null || code === 'EPROTO' || code.startsWith('ERR_SSL');
  const isOtherHost = code === 'ERR_TLS_CERT_ALTNAME_INVALID';
  if (!isBroken && (tls.trustAny || (isOtherHost && !tls.verifyHost))) return null;
  const failure = isBroken ? TransportFailure.tls : TransportFailure.certificate;
  return new TransportError(failure, error.message, code, error);
}
