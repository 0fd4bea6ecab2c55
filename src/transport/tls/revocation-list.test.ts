// Revocation lists that openssl made, also of kinds that are refused or say less than they seem to.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { Authority, type Issued, type ListOptions, openssl, TestFolder } from '../../../test/support/authority.ts';
import { Certificate } from './certificate.ts';
import { DerError } from './der.ts';
import { pemBlocks } from './pem.ts';
import { checkRevocation, RevocationList } from './revocation-list.ts';

setDefaultTimeout(30_000);
const NOW = Date.UTC(2026, 10, 24);
const POINT = ['fullname = URI:http://pki.example/1.crl'];

const folder = new TestFolder();
let root: Authority;
let issuer: Certificate;
let good: Issued;
let revoked: Issued;
let published: Issued;
let elsewhere: Issued;

beforeAll(() => {
  root = Authority.root(folder, 'root');
  issuer = certificate(root.cert);
  good = root.issue('good');
  revoked = root.issue('revoked');
  root.revoke(revoked);
  published = root.issue('published', { extensions: ['crlDistributionPoints = URI:http://pki.example/1.crl'] });
  elsewhere = root.issue('elsewhere', { extensions: ['crlDistributionPoints = URI:http://pki.example/2.crl'] });
});
afterAll(() => folder.remove());

const bytesOf = (file: string) => pemBlocks(readFileSync(file, 'latin1'))[0]!.der!;
const certificate = (file: string) => new Certificate(bytesOf(file));
const list = (options: ListOptions = {}, authority = root) => new RevocationList(bytesOf(authority.list(options)));
const check = (lists: RevocationList[], one: Issued, nowMs: number | null = NOW) =>
  checkRevocation(lists, certificate(one.cert), issuer, nowMs);
const withPoint = (...lines: string[]): ListOptions => ({
  extensions: ['issuingDistributionPoint = critical,@idp', '[idp]', ...lines],
});

test('a list revokes whom it names, and nobody else', () => {
  const current = list();
  expect(current.size).toBe(1);
  expect(check([current], revoked)).toBe('CERT_REVOKED');
  expect(check([current], good)).toBeNull();
});

test('the list of another issuer, or none, is no list', () => {
  expect(check([], good)).toBe('UNABLE_TO_GET_CRL');
  expect(check([list({}, Authority.root(folder, 'other'))], good)).toBe('UNABLE_TO_GET_CRL');
});

describe('the signature', () => {
  test('of another key by the same name does not count', () => {
    const impostor = Authority.root(folder, 'impostor', { subject: '/O=Martlet tests/CN=root' });
    expect(check([list({}, impostor)], good)).toBe('CRL_SIGNATURE_FAILURE');
    expect(check([list({}, impostor), list()], good)).toBeNull();
  });

  test('does not count once a byte is another', () => {
    const bytes = Buffer.from(bytesOf(root.list()));
    const name = bytes.indexOf('Martlet tests');
    const serial = bytes.indexOf(Buffer.from(certificate(revoked.cert).serial.padStart(4, '0'), 'hex'));
    expect(serial).toBeGreaterThan(name);
    bytes[serial]! ^= 1;
    expect(check([new RevocationList(bytes)], revoked)).toBe('CRL_SIGNATURE_FAILURE');
  });

  test('of an issuer that may not sign lists does not count', () => {
    const strict = Authority.root(folder, 'strict', { extensions: ['keyUsage = critical,keyCertSign'] });
    const one = certificate(strict.issue('of-strict').cert);
    expect(checkRevocation([list({}, strict)], one, certificate(strict.cert), NOW)).toBe('KEYUSAGE_NO_CRL_SIGN');
  });

  test.each([
    ['RSA', { rsaBits: 2_048 }, []],
    ['RSA with SHA-512', { rsaBits: 2_048 }, ['-md', 'sha512']],
    [
      'RSASSA-PSS',
      { rsaBits: 2_048 },
      ['-md', 'sha256', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'],
    ],
    ['ECDSA with SHA-384', {}, ['-md', 'sha384']],
  ])('may be of %s', (name, options, args) => {
    const authority = Authority.root(folder, `signer ${name}`.replaceAll(/\W/g, '-'), options);
    const one = certificate(authority.issue(`of-${authority.name}`).cert);
    const current = new RevocationList(bytesOf(authority.list({ args })));
    expect(checkRevocation([current], one, certificate(authority.cert), NOW)).toBeNull();
    expect(current.isSignedBy(issuer.x509.publicKey)).toBe(false);
  });
});

describe('dates', () => {
  test('a list that has expired refuses everybody, one to come too', () => {
    expect(check([list({ until: '20201231000000Z' })], good)).toBe('CRL_HAS_EXPIRED');
    expect(check([list({ from: '21000101000000Z' })], good)).toBe('CRL_NOT_YET_VALID');
    expect(check([list({ until: '20201231000000Z' })], revoked)).toBe('CERT_REVOKED');
  });

  test('the newest list that has begun counts', () => {
    const authority = Authority.root(folder, 'renewing');
    const one = authority.issue('held');
    const before = list({ from: '20250101000000Z' }, authority);
    authority.revoke(one);
    const after = list({ from: '20260101000000Z' }, authority);
    const coming = list({ from: '20990101000000Z' }, authority);
    const checkWith = (...lists: RevocationList[]) =>
      checkRevocation(lists, certificate(one.cert), certificate(authority.cert), NOW);
    expect(checkWith(before)).toBeNull();
    expect(checkWith(before, after, coming)).toBe('CERT_REVOKED');
    expect(checkWith(after, before)).toBe('CERT_REVOKED');
    expect(checkWith(before, coming)).toBeNull();
  });

  test('do not count where nobody asks for them', () => {
    expect(check([list({ until: '20201231000000Z' })], good, null)).toBeNull();
    expect(check([list({ from: '21000101000000Z' })], revoked, null)).toBe('CERT_REVOKED');
  });
});

describe('a list for one place of publication', () => {
  test('is for certificates that name the place', () => {
    const one = list(withPoint(...POINT));
    expect(check([one], published)).toBeNull();
    expect(check([one], elsewhere)).toBe('DIFFERENT_CRL_SCOPE');
    expect(check([one], good)).toBe('DIFFERENT_CRL_SCOPE');
  });

  test('does not replace an older one for all', () => {
    const all = list({ from: '20200101000000Z' });
    const one = list({ ...withPoint(...POINT), from: '20260101000000Z' });
    root.revoke(elsewhere);
    expect(check([all, one], revoked)).toBe('CERT_REVOKED');
    expect(check([all, one], published)).toBeNull();
    expect(check([list({ from: '20210101000000Z' }), one], elsewhere)).toBe('CERT_REVOKED');
  });

  test('and for certificates of users alone is one of client certificates', () => {
    expect(check([list(withPoint('onlyuser = TRUE'))], good)).toBeNull();
  });
});

describe('a list is refused', () => {
  test.each([
    ['that is indirect', withPoint('indirectCRL = TRUE'), /part of the certificates/],
    ['for authorities alone', withPoint('onlyCA = TRUE'), /part of the certificates/],
    ['for some reasons alone', withPoint('onlysomereasons = keyCompromise', ...POINT), /part of the certificates/],
    ['for a relative place', withPoint('relativename = rel', '[rel]', 'CN = x'), /relative distribution point/],
    ['that is a delta', { extensions: ['2.5.29.27 = critical,ASN1:INTEGER:1'] }, /delta list/],
    [
      'with a critical extension that nobody knows',
      { extensions: ['1.2.3.4 = critical,ASN1:NULL'] },
      /extension 1\.2\.3\.4/,
    ],
  ])('%s', (_what, options, text) => {
    expect(() => list(options)).toThrow(DerError);
    expect(() => list(options)).toThrow(text);
  });

  test('that is a certificate, or cut short', () => {
    expect(() => new RevocationList(bytesOf(root.cert))).toThrow(DerError);
    const bytes = bytesOf(root.list());
    for (let end = 0; end < bytes.length; end++) {
      expect(() => new RevocationList(bytes.subarray(0, end))).toThrow(DerError);
    }
  });
});

test('a list with another byte anywhere is read, or refused with DerError', () => {
  const bytes = bytesOf(root.list(withPoint(...POINT)));
  for (let i = 0; i < bytes.length; i++) {
    for (const other of [0, 0x7f, 0x80, 0xff, bytes[i]! ^ 0x20]) {
      const changed = Buffer.from(bytes);
      changed[i] = other;
      try {
        checkRevocation([new RevocationList(changed)], certificate(published.cert), issuer, NOW);
      } catch (error) {
        expect(error).toBeInstanceOf(DerError);
      }
    }
  }
});

test('a certificate whose hold was lifted is good again', () => {
  const authority = Authority.root(folder, 'lifting');
  const one = authority.issue('lifted');
  authority.revoke(one, 'removeFromCRL');
  const current = list({}, authority);
  expect(openssl(['crl', '-in', authority.list(), '-noout', '-text'])).toContain('Remove From CRL');
  expect(checkRevocation([current], certificate(one.cert), certificate(authority.cert), NOW)).toBeNull();
});
