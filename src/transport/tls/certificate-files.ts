// The files of a TLS listener: read at the start and again on SIGHUP, and checked so far that what is wrong is said with
// the file's name and before anybody relies on it.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ListenerConfig } from '../../config/config.ts';
import { systemErrorText } from '../../config/parse-config.ts';
import { Certificate, certificateLabels } from './certificate.ts';
import { CertificateError } from './certificate-error.ts';
import { findIssuer } from './certificate-chain.ts';
import { type PemBlock, pemBlocks } from './pem.ts';
import { RevocationList } from './revocation-list.ts';

/** A certificate with its key, in PEM. */
export interface ServerCertificate {
  readonly key: string;
  /** The certificate and those of its issuers that clients are shown. */
  readonly chain: string;
  /** `rsa`, `ec`, ...: see node:crypto. */
  readonly keyType: string;
}

/** What the files of a listener say. */
export interface TlsFiles {
  readonly own: ServerCertificate;
  /** `sni_certificate`, in the order of the configuration. */
  readonly others: readonly ServerCertificate[];
  /** Certificates of `cafile` and `capath`. */
  readonly authorities: readonly Certificate[];
  /** Null without `crlfile`: nothing is revoked. */
  readonly revocations: readonly RevocationList[] | null;
  /** What works, yet deserves a line in the log. */
  readonly warnings: readonly string[];
}

type TlsFileNames = Pick<
  ListenerConfig,
  'certfile' | 'keyfile' | 'cafile' | 'capath' | 'crlfile' | 'sniCertificates' | 'requireCertificate'
>;

/**
 * @param nowMs milliseconds since 1970
 * @throws CertificateError
 */
export function readTlsFiles(names: TlsFileNames, nowMs: number): TlsFiles {
  const warnings: string[] = [];
  const warn = (line: string) => void warnings.push(line);
  const { cafile, capath, crlfile } = names;
  const authorities: Certificate[] = [];
  const lists: RevocationList[] = [];
  if (cafile !== null) {
    const blocks = readPem('cafile', cafile);
    authorities.push(...readCertificates('cafile', cafile, blocks));
    if (crlfile !== null) lists.push(...readLists('cafile', cafile, blocks));
  }
  if (capath !== null) readFolder(capath, authorities, crlfile === null ? null : lists, warn);
  if (names.requireCertificate && authorities.length === 0) {
    throw fileError(
      'capath',
      capath!,
      `it holds no certificate under a name like 1a2b3c4d.0; run 'openssl rehash ${capath}'`,
    );
  }
  if (crlfile !== null) {
    const found = readLists('crlfile', crlfile, readPem('crlfile', crlfile));
    if (found.length === 0) throw fileError('crlfile', crlfile, 'it holds no revocation list in PEM (BEGIN X509 CRL)');
    for (const list of found) {
      if (list.nextUpdateMs < nowMs) {
        warn(`crlfile "${crlfile}": the list expired on ${day(list.nextUpdateMs)}; its issuer's clients are refused.`);
      }
    }
    lists.push(...found);
  }
  const read = (certfile: string, keyfile: string, option: string | null) =>
    readServerCertificate({ certfile, keyfile, option, authorities, nowMs, warn });
  return {
    own: read(names.certfile!, names.keyfile!, null),
    others: names.sniCertificates.map((one) => read(one.certfile, one.keyfile, 'sni_certificate')),
    authorities,
    revocations: crlfile === null ? null : lists,
    warnings,
  };
}

function fileError(option: string, path: string, cause: string, error?: unknown): CertificateError {
  return new CertificateError(`Unable to load ${option} "${path}": ${cause}.`, { cause: error });
}

/** Blocks of a file in PEM; a file without any has none. */
function readPem(option: string, path: string): PemBlock[] {
  try {
    return pemBlocks(readFileSync(path, 'latin1'));
  } catch (error) {
    throw fileError(option, path, systemErrorText(error), error);
  }
}

/** All certificates of a file, at least one. */
function readCertificates(option: string, path: string, blocks: readonly PemBlock[]): Certificate[] {
  const own = blocks.filter(({ label }) => certificateLabels.has(label));
  if (own.length === 0) {
    const hint = blocks.some(isKey) ? ', but a key' : '';
    throw fileError(option, path, `it holds no certificate in PEM${hint}`);
  }
  return own.map((block, index) => {
    try {
      return new Certificate(withoutTrust(block));
    } catch (error) {
      const which = own.length === 1 ? 'the certificate' : `certificate ${index + 1}`;
      throw fileError(option, path, `${which} in it cannot be read`, error);
    }
  });
}

/** `TRUSTED CERTIFICATE` has OpenSSL's own settings behind the certificate; they are for others. */
function withoutTrust({ der }: PemBlock): Uint8Array {
  if (der === null) throw new Error('no base64');
  if (der[0] !== 0x30 || der[1] !== 0x82) return der;
  return der.subarray(0, 4 + der[2]! * 256 + der[3]!);
}

function readLists(option: string, path: string, blocks: readonly PemBlock[]): RevocationList[] {
  const own = blocks.filter(({ label }) => label === 'X509 CRL');
  return own.map(({ der }, index) => {
    try {
      if (der === null) throw new Error('no base64');
      return new RevocationList(der);
    } catch (error) {
      const which = own.length === 1 ? 'the revocation list' : `revocation list ${index + 1}`;
      throw fileError(option, path, `${which} in it cannot be used: ${(error as Error).message}`, error);
    }
  });
}

/**
 * Files whose name is the hash of a subject, as `openssl rehash` makes them: `HASH.N` a certificate, `HASH.rN` a
 * revocation list. OpenSSL looks for them when it needs them, so one that is broken does not keep it from starting.
 */
function readFolder(
  path: string,
  authorities: Certificate[],
  lists: RevocationList[] | null,
  warn: (line: string) => void,
): void {
  let names: string[];
  try {
    names = readdirSync(path).sort();
  } catch (error) {
    throw fileError('capath', path, systemErrorText(error), error);
  }
  for (const name of names) {
    const kind = /^[0-9a-f]{8}\.(r?)\d+$/i.exec(name)?.[1];
    if (kind === undefined || (kind !== '' && lists === null)) continue;
    const file = join(path, name);
    try {
      const blocks = readPem('capath', file);
      if (kind !== '') lists!.push(...readLists('capath', file, blocks));
      else {
        for (const one of readCertificates('capath', file, blocks)) {
          if (!authorities.some((known) => known.isSame(one))) authorities.push(one);
        }
      }
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      warn(`${error.message} It is left out.`);
    }
  }
}

interface ServerCertificateFiles {
  readonly certfile: string;
  readonly keyfile: string;
  /** For messages; null: `certfile` and `keyfile`. */
  readonly option: string | null;
  readonly authorities: readonly Certificate[];
  readonly nowMs: number;
  readonly warn: (line: string) => void;
}

function readServerCertificate(files: ServerCertificateFiles): ServerCertificate {
  const { certfile, keyfile, nowMs, warn } = files;
  const option = files.option ?? 'certfile';
  const chain = readCertificates(option, certfile, readPem(option, certfile));
  const { text: key, object } = readKey(files.option ?? 'keyfile', keyfile);
  const own = chain.findIndex(({ x509 }) => x509.checkPrivateKey(object));
  if (own < 0) throw fileError(option, certfile, `the key of "${keyfile}" does not belong to the certificate in it`);
  if (own > 0) {
    throw fileError(
      option,
      certfile,
      `the certificate of the key is number ${own + 1} in it; it must be the first, and then those of its issuers`,
    );
  }
  const [certificate] = chain as [Certificate, ...Certificate[]];
  if (certificate.notAfterMs < nowMs) {
    warn(`${option} "${certfile}": the certificate expired on ${day(certificate.notAfterMs)}.`);
  } else if (certificate.notBeforeMs > nowMs) {
    warn(`${option} "${certfile}": the certificate is not valid before ${day(certificate.notBeforeMs)}.`);
  }
  const stray = chain.findIndex((one, index) => index > 0 && !chain[index - 1]!.isIssuedBy(one));
  if (stray > 0) {
    warn(
      `${option} "${certfile}": certificate ${stray + 1} in it did not issue certificate ${stray}; ` +
        'clients may be unable to verify the broker.',
    );
  }
  if (chain.length === 1) chain.push(...issuersOf(certificate, files.authorities));
  const keyType = object.asymmetricKeyType ?? 'unknown';
  return { key, keyType, chain: chain.map(({ x509 }) => x509.toString()).join('') };
}

/**
 * The issuers of a certificate that stands alone in its file, without the root, which a client has: with OpenSSL a
 * `cafile` completes the chain.
 */
function issuersOf(certificate: Certificate, authorities: readonly Certificate[]): Certificate[] {
  const found: Certificate[] = [];
  let one = certificate;
  while (!one.isSelfIssued && found.length < 10) {
    const issuer = findIssuer(one, authorities);
    if (issuer === null || issuer.isSelfIssued) break;
    found.push(issuer);
    one = issuer;
  }
  return found;
}

function isKey({ label }: PemBlock): boolean {
  return label.endsWith('PRIVATE KEY');
}

function readKey(option: string, path: string): { text: string; object: KeyObject } {
  const blocks = readPem(option, path);
  const block = blocks.find(isKey);
  if (block === undefined) {
    const hint = blocks.some(({ label }) => certificateLabels.has(label)) ? ', but a certificate' : '';
    throw fileError(option, path, `it holds no private key in PEM${hint}`);
  }
  if (block.label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(block.text)) {
    throw fileError(
      option,
      path,
      `the key is encrypted, and nobody is there to type its passphrase; 'openssl pkey -in ${path} -out NEWFILE' decrypts it`,
    );
  }
  try {
    return { text: block.text, object: createPrivateKey(block.text) };
  } catch (error) {
    throw fileError(option, path, 'the private key in it cannot be read', error);
  }
}

/** `2026-11-24 15:33:34 UTC`. */
function day(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
