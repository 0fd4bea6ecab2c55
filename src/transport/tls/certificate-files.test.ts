import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, writeFileSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authority, type Issued, openssl, TestFolder } from '../../../test/support/authority.ts';
import { defaultListenerConfig, type ListenerConfig } from '../../config/config.ts';
import { CertificateError } from './certificate-error.ts';
import { readTlsFiles } from './certificate-files.ts';
import { pemBlocks } from './pem.ts';

setDefaultTimeout(30_000);
const NOW = Date.UTC(2026, 10, 24);

const folder = new TestFolder();
let root: Authority;
let middle: Authority;
let server: Issued;
let below: Issued;

beforeAll(() => {
  root = Authority.root(folder, 'root');
  middle = root.intermediate('middle');
  server = root.issue('server');
  below = middle.issue('below');
});
afterAll(() => folder.remove());

const read = (names: Partial<ListenerConfig> = {}, one: Issued = server) =>
  readTlsFiles({ ...defaultListenerConfig(), certfile: one.cert, keyfile: one.key, ...names }, NOW);
/** Subjects of the chain that clients are shown. */
const chainOf = (files: ReturnType<typeof readTlsFiles>) =>
  pemBlocks(files.own.chain).map(({ der }) => {
    const file = folder.write('shown.der', '');
    writeFileSync(file, der!);
    return openssl(['x509', '-inform', 'der', '-in', file, '-noout', '-subject'])
      .trim()
      .replace(/.*CN = /, '');
  });

/** The message, which must be one line. */
function refusal(names: Partial<ListenerConfig>, one?: Issued): string {
  try {
    read(names, one);
  } catch (error) {
    expect(error).toBeInstanceOf(CertificateError);
    expect((error as Error).message).toMatch(/^Unable to load [^\n]*[^.]\.$/);
    return (error as Error).message;
  }
  throw new Error('it was read');
}

describe('the chain that clients are shown', () => {
  test('is that of certfile', () => {
    const cert = folder.joined('full.pem', below.cert, middle.cert);
    const files = read({}, { cert, key: below.key });
    expect(chainOf(files)).toEqual(['below', 'middle']);
    expect(files.warnings).toEqual([]);
  });

  test('is completed from cafile and capath where certfile holds one certificate, as OpenSSL does it', () => {
    expect(chainOf(read({}, below))).toEqual(['below']);
    expect(chainOf(read({ cafile: folder.joined('both.pem', root.cert, middle.cert) }, below))).toEqual([
      'below',
      'middle',
    ]);
    const capath = hashedFolder('middle-only', middle.cert);
    expect(chainOf(read({ capath }, below))).toEqual(['below', 'middle']);
  });
});

let folders = 0;
/** A folder as `openssl rehash` leaves it. */
function hashedFolder(name: string, ...files: string[]): string {
  const path = folder.join(`${name}-${++folders}`);
  mkdirSync(path);
  for (const [i, file] of files.entries()) copyFileSync(file, join(path, `${i}.pem`));
  openssl(['rehash', path]);
  return path;
}

describe('capath', () => {
  test('gives the certificates that have the name of a hash, each once, and no others', () => {
    const other = Authority.root(folder, 'other');
    const twin = Authority.root(folder, 'twin', { subject: '/O=Martlet tests/CN=other' });
    const capath = hashedFolder('several', root.cert, other.cert, twin.cert, root.cert);
    copyFileSync(middle.cert, join(capath, 'plain.pem'));
    writeFileSync(join(capath, '12345678.1x'), 'nothing');
    const { authorities, warnings } = read({ capath });
    expect(authorities.map(({ x509 }) => x509.subject).sort()).toEqual([
      'O=Martlet tests\nCN=other',
      'O=Martlet tests\nCN=other',
      'O=Martlet tests\nCN=root',
    ]);
    expect(warnings).toEqual([]);
  });

  test('leaves out what is broken, with a warning', () => {
    const capath = hashedFolder('broken', root.cert);
    writeFileSync(join(capath, 'aaaaaaaa.0'), 'nothing');
    const { authorities, warnings } = read({ capath });
    expect(authorities).toHaveLength(1);
    expect(warnings).toEqual([
      `Unable to load capath "${join(capath, 'aaaaaaaa.0')}": it holds no certificate in PEM. It is left out.`,
    ]);
  });

  test('gives revocation lists beside those of crlfile', () => {
    const capath = hashedFolder('lists', root.cert);
    const crlfile = root.list();
    copyFileSync(middle.list(), join(capath, 'bbbbbbbb.r0'));
    expect(read({ capath, crlfile }).revocations).toHaveLength(2);
    expect(read({ capath }).revocations).toBeNull();
  });

  test('without any is refused where it alone says whose certificates count', () => {
    const capath = folder.join('empty');
    mkdirSync(capath);
    copyFileSync(root.cert, join(capath, 'root.pem'));
    expect(refusal({ capath, requireCertificate: true })).toBe(
      `Unable to load capath "${capath}": it holds no certificate under a name like 1a2b3c4d.0; run 'openssl rehash ${capath}'.`,
    );
    expect(read({ capath }).authorities).toEqual([]);
    expect(refusal({ capath: '/no/folder' })).toBe('Unable to load capath "/no/folder": no such file or directory.');
  });
});

test('cafile may hold several certificates, and revocation lists where there is a crlfile', () => {
  const cafile = folder.joined('mixed.pem', root.cert, middle.list(), middle.cert);
  expect(read({ cafile }).authorities).toHaveLength(2);
  expect(read({ cafile }).revocations).toBeNull();
  const crlfile = folder.joined('two.crl', root.list(), middle.list());
  expect(read({ cafile, crlfile }).revocations).toHaveLength(3);
});

test('a certificate in the form TRUSTED CERTIFICATE is read without its trust', () => {
  const cafile = folder.join('trusted.pem');
  openssl(['x509', '-in', root.cert, '-trustout', '-addtrust', 'clientAuth', '-out', cafile]);
  expect(read({ cafile }).authorities.map(({ x509 }) => x509.subject)).toEqual(['O=Martlet tests\nCN=root']);
});

describe('what works is warned of where it deserves it:', () => {
  test.each([
    ['expired', { until: '20260101000000Z' }, 'the certificate expired on 2026-01-01 00:00:00 UTC.'],
    ['early', { from: '20270101000000Z' }, 'the certificate is not valid before 2027-01-01 00:00:00 UTC.'],
  ])('a certificate that is %s', (name, options, text) => {
    const one = root.issue(name, options);
    expect(read({}, one).warnings).toEqual([`certfile "${one.cert}": ${text}`]);
  });

  test('issuers in the wrong order', () => {
    const lowest = middle.intermediate('lowest');
    const one = lowest.issue('lowest-server');
    const cert = folder.joined('disorder.pem', one.cert, middle.cert, lowest.cert);
    expect(read({}, { cert, key: one.key }).warnings).toEqual([
      `certfile "${cert}": certificate 2 in it did not issue certificate 1; clients may be unable to verify the broker.`,
    ]);
  });

  test('a revocation list that has expired', () => {
    const crlfile = root.list({ until: '20260101000000Z' });
    expect(read({ crlfile }).warnings).toEqual([
      `crlfile "${crlfile}": the list expired on 2026-01-01 00:00:00 UTC; its issuer's clients are refused.`,
    ]);
  });
});

describe('a file is refused with its name and the cause:', () => {
  test.each(['certfile', 'keyfile', 'cafile', 'crlfile'] as const)('%s that is not there', (option) => {
    expect(refusal({ [option]: '/no/file' })).toBe(`Unable to load ${option} "/no/file": no such file or directory.`);
  });

  test('certfile and keyfile in each other’s place', () => {
    const swapped = { cert: server.key, key: server.cert };
    expect(refusal({}, swapped)).toBe(
      `Unable to load certfile "${server.key}": it holds no certificate in PEM, but a key.`,
    );
    expect(refusal({}, { cert: server.cert, key: server.cert })).toBe(
      `Unable to load keyfile "${server.cert}": it holds no private key in PEM, but a certificate.`,
    );
  });

  test('a key of another certificate', () => {
    expect(refusal({}, { cert: server.cert, key: below.key })).toBe(
      `Unable to load certfile "${server.cert}": the key of "${below.key}" does not belong to the certificate in it.`,
    );
  });

  test('a chain that begins with the issuer', () => {
    const cert = folder.joined('backwards.pem', middle.cert, below.cert);
    expect(refusal({}, { cert, key: below.key })).toBe(
      `Unable to load certfile "${cert}": the certificate of the key is number 2 in it; ` +
        'it must be the first, and then those of its issuers.',
    );
  });

  test.each([
    ['PKCS #8', ['pkcs8', '-topk8', '-passout', 'pass:secret']],
    ['the old form', ['ec', '-aes128', '-passout', 'pass:secret']],
  ])('a key that is encrypted, in %s', (_what, args) => {
    const key = folder.join('encrypted.key');
    openssl([...args, '-in', server.key, '-out', key]);
    expect(refusal({ keyfile: key })).toBe(
      `Unable to load keyfile "${key}": the key is encrypted, and nobody is there to type its passphrase; ` +
        `'openssl pkey -in ${key} -out NEWFILE' decrypts it.`,
    );
  });

  test('what is damaged', () => {
    const damaged = (text: string) => text.replace(/\n.{64}\n/, '\n');
    const cert = folder.write('damaged.pem', damaged(openssl(['x509', '-in', server.cert])));
    const key = folder.write('damaged.key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
    const cafile = folder.joined('damaged-ca.pem', root.cert, cert);
    const crlfile = folder.write('damaged.crl', damaged(openssl(['crl', '-in', root.list()])));
    expect(refusal({ certfile: cert })).toBe(
      `Unable to load certfile "${cert}": the certificate in it cannot be read.`,
    );
    expect(refusal({ keyfile: key })).toBe(`Unable to load keyfile "${key}": the private key in it cannot be read.`);
    expect(refusal({ cafile })).toBe(`Unable to load cafile "${cafile}": certificate 2 in it cannot be read.`);
    expect(refusal({ crlfile })).toStartWith(
      `Unable to load crlfile "${crlfile}": the revocation list in it cannot be used: `,
    );
  });

  test('what holds something else', () => {
    const nothing = folder.write('nothing.pem', 'nothing\n');
    expect(refusal({ cafile: nothing })).toBe(`Unable to load cafile "${nothing}": it holds no certificate in PEM.`);
    expect(refusal({ crlfile: root.cert })).toBe(
      `Unable to load crlfile "${root.cert}": it holds no revocation list in PEM (BEGIN X509 CRL).`,
    );
    expect(refusal({ cafile: folder.path })).toBe(
      `Unable to load cafile "${folder.path}": illegal operation on a directory.`,
    );
  });

  test('sni_certificate', () => {
    const sniCertificates = [{ serverName: 'a.example', certfile: server.cert, keyfile: below.key }];
    expect(refusal({ sniCertificates })).toBe(
      `Unable to load sni_certificate "${server.cert}": the key of "${below.key}" does not belong to the certificate in it.`,
    );
  });
});
