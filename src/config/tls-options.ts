import { listenerOption, type Option } from './option.ts';
import { choice, filePath, flag, text, ValueError, words, type ValueKind } from './value-kinds.ts';

const tlsVersion: ValueKind<'tlsv1.2' | 'tlsv1.3'> = {
  ...choice('tlsv1.2', 'tlsv1.3'),
  read(value) {
    if (value === 'tlsv1.1' || value === 'tlsv1') {
      throw new ValueError(`${value} is not safe any more and not supported, expected tlsv1.2 or tlsv1.3`);
    }
    return choice('tlsv1.2', 'tlsv1.3').read(value);
  },
};

const sniCertificate = words(
  'SERVERNAME CERTFILE KEYFILE',
  'a server name and two files: SERVERNAME CERTFILE KEYFILE',
  (given) => {
    const [serverName, certfile, keyfile, more] = given;
    if (keyfile === undefined || more !== undefined) return null;
    return { serverName: serverName!, certfile: certfile!, keyfile };
  },
);

/** Options of a listener with TLS. */
export const tlsOptions: readonly Option[] = [
  listenerOption({
    name: 'certfile',
    kind: filePath,
    default: 'no TLS',
    summary: 'Certificate of the server in PEM, followed by those of its issuers. With `keyfile` it turns TLS on.',
    apply: (listener, value) => void (listener.certfile = value),
  }),
  listenerOption({
    name: 'keyfile',
    kind: filePath,
    default: 'no TLS',
    summary: 'Private key of the certificate in PEM.',
    apply: (listener, value) => void (listener.keyfile = value),
  }),
  listenerOption({
    name: 'cafile',
    kind: filePath,
    default: 'none',
    summary: 'Certificates in PEM of those who issue certificates to clients.',
    apply: (listener, value) => void (listener.cafile = value),
  }),
  listenerOption({
    name: 'require_certificate',
    kind: flag,
    default: 'false',
    summary: 'Only clients with a certificate of a `cafile` issuer may connect.',
    apply: (listener, value) => void (listener.requireCertificate = value),
  }),
  listenerOption({
    name: 'psk_hint',
    kind: text('HINT', 'a hint of at most 128 bytes', 128),
    default: 'none: no PSK',
    summary: 'Opens the listener for TLS with pre-shared keys of `psk_file`, and is told to its clients.',
    apply: (listener, value) => void (listener.pskHint = value),
  }),
  listenerOption({
    name: 'use_identity_as_username',
    kind: flag,
    default: 'false',
    summary: "The Common Name of the client's certificate is the user name.",
    apply: (listener, value) => void (listener.useIdentityAsUsername = value),
  }),
  listenerOption({
    name: 'tls_version',
    kind: tlsVersion,
    default: 'tlsv1.2',
    summary: 'Lowest version of TLS that is spoken.',
    isOnce: true,
    apply: (listener, value) => void (listener.tlsVersion = value),
  }),
  listenerOption({
    name: 'ciphers',
    kind: text('LIST', 'cipher names with colons between'),
    default: "the TLS library's choice",
    summary: 'Ciphers for TLS 1.2, in OpenSSL names, colons between.',
    apply: (listener, value) => void (listener.ciphers = value),
  }),
  listenerOption({
    name: 'sni_certificate',
    kind: sniCertificate,
    default: 'none',
    summary: 'A further certificate, shown to clients that ask for that server name.',
    isOurs: true,
    isRepeatable: true,
    apply: (listener, value) => void listener.sniCertificates.push(value),
  }),
];
