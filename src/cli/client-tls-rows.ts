// Options of `martlet pub`, `sub` and `rr` for TLS.
import { all, type ClientOptionRow, flag, valued } from './client-option-row.ts';

/** In the order of `--help`. */
export const tlsRows: readonly ClientOptionRow[] = [
  valued('--cafile', all, 'FILE', 'no file specified', 'PEM certificates to trust; turns TLS on', (o, value) => {
    o.cafile = value;
  }),
  valued(
    '--capath',
    all,
    'FOLDER',
    'no directory specified',
    'folder of such, prepared by `openssl rehash`; turns TLS on',
    (o, value) => {
      o.capath = value;
    },
  ),
  flag('--tls-use-os-certs', all, 'trust what the system trusts; turns TLS on, as port 8883 does', (o) => {
    o.useOsCertificates = true;
  }),
  valued('--cert', all, 'FILE', 'no file specified', 'PEM certificate of this client', (o, value) => {
    o.cert = value;
  }),
  valued('--key', all, 'FILE', 'no file specified', 'PEM key of this client', (o, value) => {
    o.key = value;
  }),
  flag('--insecure', all, 'do not check that the certificate names the host', (o) => {
    o.insecure = true;
  }),
  valued(
    '--psk',
    all,
    'HEX',
    'no key specified',
    'pre-shared key; turns TLS on, without certificates; needs Node.js',
    (o, value) => {
      o.psk = value;
    },
  ),
  valued(
    '--psk-identity',
    all,
    'NAME',
    'no identity specified',
    'name under which the broker has the key',
    (o, value) => {
      o.pskIdentity = value;
    },
  ),
  valued(
    '--tls-version',
    all,
    'VERSION',
    'no version specified',
    'lowest version: tlsv1.2 (default) or tlsv1.3',
    (o, value) => {
      o.tlsVersion = value;
    },
  ),
  valued('--ciphers', all, 'LIST', 'no ciphers specified', 'TLS ciphers, as OpenSSL lists them', (o, value) => {
    o.ciphers = value;
  }),
  valued('--tls-alpn', all, 'NAME', 'no protocol specified', 'protocol to ask for in TLS', (o, value) => {
    o.alpn = value;
  }),
  valued(
    '--tls-keylog',
    all,
    'FILE',
    'no file specified',
    'append the secrets of the connection to FILE, for Wireshark; needs Node.js',
    (o, value) => {
      o.keyLogFile = value;
    },
  ),
  flag('--no-tls', all, 'no TLS, whatever options of an option file and port 8883 say', (o) => {
    o.noTls = true;
  }),
  valued(
    '--keyform',
    all,
    'FORM',
    'no keyform specified',
    'form of --key: pem; engine is not available',
    (o, value) => {
      o.keyform = value;
    },
  ),
  valued('--tls-engine', all, 'ENGINE', 'no engine_id specified', 'not available: keys are PEM files', (o, value) => {
    o.tlsEngine = value;
  }),
  valued('--tls-engine-kpass-sha1', all, 'SHA1', 'no kpass sha1 specified', 'not available either', (o, value) => {
    o.tlsEngineKeyHash = value;
  }),
];
