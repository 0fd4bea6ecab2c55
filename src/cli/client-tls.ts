// TLS of a command line: options checked, files read. No connection yet.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isEncodableString } from '../protocol/utf8.ts';
import type { NodeTlsOptions, PskSecret } from '../transport/client-node-tls.ts';
import type { ClientTlsOptions } from '../transport/client-tls-options.ts';
import { type ClientOptions, usesTls } from './client-options.ts';
import { ClientSetupError } from './client-setup-error.ts';
import { askPassPhrase } from './client-pass-phrase.ts';

/** Where systems keep the certificates they trust. */
const systemCertificates = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
  '/etc/ssl/ca-bundle.pem',
];

const versions = { 'tlsv1.2': 'TLSv1.2', 'tlsv1.3': 'TLSv1.3' } as const;

/** OpenSSL's bounds. */
const MAX_PSK_BYTES = 512;
const MAX_PSK_IDENTITY_BYTES = 256;

/**
 * What is needed for the TLS of this runtime, or null without TLS. Options are checked either way.
 *
 * @throws ClientSetupError
 */
export async function readTls(options: ClientOptions): Promise<ClientTlsOptions | null> {
  if (options.noTls) return null;
  checkOptions(options);
  if (!usesTls(options)) return null;
  const { cafile, capath, cert, key, insecure, alpn, ciphers } = options;
  const ca: string[] = [];
  if (cafile !== null) ca.push(readCertificates(cafile));
  if (capath !== null) ca.push(...readHashedFolder(capath));
  if (ca.length > 0 && options.useOsCertificates) ca.push(...readSystemCertificates());
  const keyText = key === null ? null : readPem(key);
  return {
    ca: ca.length > 0 ? ca : readSystemCertificates(),
    cert: cert === null ? null : readPem(cert),
    key: keyText,
    passphrase: keyText === null || !isEncrypted(keyText) ? null : await askPassPhrase(key!, options.source),
    verifyHost: !insecure,
    trustAny: false,
    alpn,
    ciphers,
    minVersion: minVersionOf(options),
  };
}

/** Bun's TLS has no pre-shared keys, no key log, and no choice of cipher suites of TLS 1.3. */
export function isForNode(options: ClientOptions): boolean {
  const { psk, keyLogFile, ciphers } = options;
  return psk !== null || keyLogFile !== null || (ciphers !== null && minVersionOf(options) === 'TLSv1.3');
}

/** The same for the TLS of Node.js. */
export function forNode(tls: ClientTlsOptions, options: ClientOptions): NodeTlsOptions {
  const psk = pskOf(options);
  // As Mosquitto's clients: with keys TLS 1.3 only where it is asked for.
  const maxVersion = psk === null || tls.minVersion === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2';
  return { ...tls, psk, maxVersion, keyLogFile: options.keyLogFile };
}

function checkOptions(options: ClientOptions): void {
  const { tlsEngine, keyform, keyLogFile } = options;
  if (tlsEngine !== null || keyform?.toLowerCase() === 'engine') {
    const name = tlsEngine !== null ? '--tls-engine' : '--keyform engine';
    const help = 'there are no engines here. Name a PEM file with --key, without --tls-engine and --keyform';
    throw new ClientSetupError(`Error: ${name} is not available: ${help}.`);
  }
  if (keyform !== null && keyform.toLowerCase() !== 'pem') {
    throw new ClientSetupError("Error: Problem setting key form, it must be one of 'pem' or 'engine'.");
  }
  if (keyLogFile === '') throw new ClientSetupError('Error: --tls-keylog needs the name of a file.');
  minVersionOf(options);
  pskOf(options);
}

function minVersionOf({ tlsVersion }: ClientOptions): 'TLSv1.2' | 'TLSv1.3' {
  if (tlsVersion === null) return 'TLSv1.2';
  const name = tlsVersion.toLowerCase();
  if (name === 'tlsv1.2' || name === 'tlsv1.3') return versions[name];
  const why = `--tls-version is tlsv1.2 or tlsv1.3, not '${tlsVersion}'.`;
  throw new ClientSetupError(`Error: Problem setting TLS options, check the options are valid.\n${why}`);
}

function pskOf({ psk, pskIdentity }: ClientOptions): PskSecret | null {
  if (psk === null || pskIdentity === null) return null;
  const digits = psk.length % 2 === 0 ? psk : `0${psk}`;
  let why: string | null = null;
  if (!/^[0-9a-f]+$/i.test(psk)) why = '--psk has hexadecimal digits only.';
  else if (digits.length > 2 * MAX_PSK_BYTES) why = `--psk has up to ${MAX_PSK_BYTES} bytes.`;
  else if (!isEncodableString(pskIdentity) || Buffer.byteLength(pskIdentity) > MAX_PSK_IDENTITY_BYTES) {
    why = `--psk-identity is UTF-8 of up to ${MAX_PSK_IDENTITY_BYTES} bytes.`;
  }
  if (why !== null) throw new ClientSetupError(`Error: Problem setting TLS-PSK options.\n${why}`);
  return { identity: pskIdentity, key: Uint8Array.fromHex(digits) };
}

function isEncrypted(pem: string): boolean {
  return /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem);
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ClientSetupError(`Error: Problem setting TLS options: File not found.\n${describe(path, error)}`, {
      cause: error,
    });
  }
}

function describe(path: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return `'${path}' cannot be read${code === undefined || code === 'ENOENT' ? '' : ` (${code})`}.`;
}

function readCertificates(path: string): string {
  const text = readPem(path);
  if (!/-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/.test(text)) throw tlsProblem(`'${path}' has no PEM certificate.`);
  return text;
}

/** Files with the names that `openssl rehash` gives, which is all that OpenSSL looks at in such a folder. */
function readHashedFolder(path: string): string[] {
  let names: string[];
  try {
    names = readdirSync(path).filter((name) => /^[0-9a-f]{8}\.\d+$/.test(name));
  } catch (error) {
    throw tlsProblem(describe(path, error));
  }
  if (names.length === 0) {
    throw tlsProblem(`'${path}' has no certificates with hashed names: \`openssl rehash ${path}\` makes them.`);
  }
  return names.map((name) => readCertificates(join(path, name)));
}

/** None found means those that the runtime brings. */
function readSystemCertificates(): string[] {
  for (const path of systemCertificates) {
    try {
      return [readFileSync(path, 'utf8')];
    } catch {
      // Another system keeps them elsewhere: try the next.
    }
  }
  return [];
}

function tlsProblem(why: string): ClientSetupError {
  return new ClientSetupError(`Unable to connect (A TLS error occurred.).\n${why}`);
}
