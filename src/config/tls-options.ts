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

/** OpenSSL's engines, which keep keys in hardware; the TLS library at hand has none. */
const NO_ENGINES =
  "OpenSSL's engines are not available: put the private key into a file in PEM, name it with keyfile, and leave the " +
  'options of the engine out';

function noEngine(placeholder: string, expects: string): ValueKind<never> {
  return {
    ...text(placeholder, expects),
    read() {
      throw new ValueError(NO_ENGINES);
    },
  };
}

const keyForm: ValueKind<'pem'> = {
  ...choice('pem'),
  read(value) {
    if (value === 'engine') throw new ValueError(NO_ENGINES);
    return choice('pem').read(value);
  },
};

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
    summary:
      'Certificates in PEM of those who issue certificates to clients. Where `certfile` holds one certificate alone, ' +
      'those of its issuers are taken from here.',
    apply: (listener, value) => void (listener.cafile = value),
  }),
  listenerOption({
    name: 'capath',
    kind: text('FOLDER', 'the path of a folder', 4_095),
    default: 'none',
    summary: 'Folder of such certificates, each in a file named as `openssl rehash FOLDER` does it: HASH.N.',
    apply: (listener, value) => void (listener.capath = value),
  }),
  listenerOption({
    name: 'crlfile',
    kind: filePath,
    default: 'none: no certificate is revoked',
    summary:
      'Revocation lists in PEM for `require_certificate`: one of every authority that issues certificates to clients. ' +
      'A client whose issuer has none, or one that has expired, is refused.',
    apply: (listener, value) => void (listener.crlfile = value),
  }),
  listenerOption({
    name: 'require_certificate',
    kind: flag,
    default: 'false',
    summary:
      'Only clients with a certificate of an issuer in `cafile` or `capath` may connect; with `enable_proxy_protocol 2`, ' +
      'only those whose certificate the proxy has verified.',
    apply: (listener, value) => void (listener.requireCertificate = value),
  }),
  listenerOption({
    name: 'disable_client_cert_date_checks',
    kind: flag,
    default: 'false',
    summary:
      'Takes certificates of clients that have expired or are not valid yet; the dates of their issuers do not count either.',
    needsListener: true,
    apply: (listener, value) => void (listener.disableClientCertDateChecks = value),
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
    summary:
      "The Common Name of the client's certificate, or the identity of its pre-shared key, is the user name, " +
      'and no password is asked for. A client without one is refused.',
    apply: (listener, value) => void (listener.useIdentityAsUsername = value),
  }),
  listenerOption({
    name: 'use_subject_as_username',
    kind: flag,
    default: 'false',
    summary:
      "The whole subject of the client's certificate is the user name, in the form CN=device,OU=unit,O=company,C=DE, " +
      'and no password is asked for. `use_identity_as_username` goes first.',
    apply: (listener, value) => void (listener.useSubjectAsUsername = value),
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
    name: 'ciphers_tls1.3',
    kind: text('LIST', 'cipher names with colons between'),
    default: 'all: TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256',
    summary:
      'Ciphers for TLS 1.3. The client chooses: one whose first choice is not in the list is refused once the handshake is over.',
    apply: (listener, value) => void (listener.ciphersTls13 = value),
  }),
  listenerOption({
    name: 'dhparamfile',
    kind: filePath,
    default: "the TLS library's choice",
    summary:
      'Parameters for ciphers with DHE on a listener with `psk_hint`. Elsewhere without effect, as in Mosquitto 2.1: ' +
      'there are no such ciphers, and those with ECDHE need none.',
    apply: (listener, value) => void (listener.dhparamfile = value),
  }),
  listenerOption({
    name: 'tls_keyform',
    kind: keyForm,
    default: 'pem',
    summary: 'Form of `keyfile`: a file in PEM. `engine` is refused: there are no engines of OpenSSL.',
    apply: () => {},
  }),
  listenerOption({
    name: 'tls_engine',
    kind: noEngine('ENGINE', 'an engine'),
    default: 'none',
    summary: 'Refused: there are no engines of OpenSSL.',
    apply: () => {},
  }),
  listenerOption({
    name: 'tls_engine_kpass_sha1',
    kind: noEngine('HASH', 'a hash'),
    default: 'none',
    summary: 'Refused: there are no engines of OpenSSL.',
    isSecret: true,
    apply: () => {},
  }),
  listenerOption({
    name: 'proxy_protocol_v2_require_tls',
    kind: flag,
    default: 'false',
    summary: 'With `enable_proxy_protocol 2`: only clients that the proxy says came with TLS may connect.',
    needsListener: true,
    apply: (listener, value) => void (listener.proxyProtocolV2RequireTls = value),
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
