// Chains without dates, beside `openssl verify -no_check_time`, which knows what a chain of a client has to be.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { Authority, type Issued, type IssueOptions, TestFolder } from '../../../test/support/authority.ts';
import { Certificate } from './certificate.ts';
import { findIssuer, verifyWithoutDates } from './certificate-chain.ts';
import { pemBlocks } from './pem.ts';

setDefaultTimeout(30_000);
const EXPIRED: IssueOptions = { from: '20200101000000Z', until: '20200201000000Z' };

const folder = new TestFolder();
let root: Authority;
let middle: Authority;
let lowest: Authority;
let other: Authority;

beforeAll(() => {
  root = Authority.root(folder, 'root');
  middle = root.intermediate('middle', EXPIRED);
  lowest = middle.intermediate('lowest');
  other = Authority.root(folder, 'other');
});
afterAll(() => folder.remove());

const certificate = ({ cert }: Pick<Issued, 'cert'>) =>
  new Certificate(pemBlocks(readFileSync(cert, 'latin1'))[0]!.der!);

let names = 0;
/** What OpenSSL says; null: it verifies. */
function theirs(
  presented: readonly Pick<Issued, 'cert'>[],
  authorities: readonly Pick<Issued, 'cert'>[],
): string | null {
  const trusted = folder.joined(`trusted-${++names}.pem`, ...authorities.map(({ cert }) => cert));
  const [client, ...issuers] = presented.map(({ cert }) => cert);
  const untrusted = issuers.length === 0 ? [] : ['-untrusted', folder.joined(`untrusted-${names}.pem`, ...issuers)];
  const args = ['verify', '-no_check_time', '-purpose', 'sslclient', '-no-CApath', '-no-CAstore', '-CAfile', trusted];
  const run = Bun.spawnSync(['openssl', ...args, ...untrusted, client!], { stderr: 'pipe' });
  return run.exitCode === 0 ? null : run.stderr.toString();
}

/** Ours, after comparing whether OpenSSL lets it pass as well. */
function verify(
  presented: readonly Pick<Issued, 'cert'>[],
  authorities: readonly Pick<Issued, 'cert'>[],
): string | null {
  const ours = verifyWithoutDates(presented.map(certificate), authorities.map(certificate));
  const said = theirs(presented, authorities);
  expect({ passes: ours === null, said }).toEqual({ passes: said === null, said });
  return ours;
}

describe('a chain that leads to a root passes, whatever its dates', () => {
  test('directly, of an expired certificate and of one to come', () => {
    expect(verify([root.issue('expired', EXPIRED)], [root])).toBeNull();
    expect(verify([root.issue('early', { from: '21000101000000Z' })], [other, root])).toBeNull();
  });

  test('by issuers that the client shows, in any order, or that are known', () => {
    const client = lowest.issue('client', EXPIRED);
    expect(verify([client, lowest, middle], [root])).toBeNull();
    expect(verify([client, middle, root, other, lowest], [root])).toBeNull();
    expect(verify([client], [root, middle, lowest])).toBeNull();
    expect(verify([client, lowest], [middle, root])).toBeNull();
  });

  test('a certificate that is known itself, and its own issuer', () => {
    const own = Authority.root(folder, 'own', { extensions: [] });
    expect(verify([own], [own])).toBeNull();
    expect(verify([own], [root])).toBe('UNABLE_TO_GET_ISSUER_CERT');
    expect(verify([root], [root])).toBe('INVALID_PURPOSE'); // it signs certificates, and nothing else
  });
});

describe('a chain does not pass', () => {
  test('without an issuer in between, or without the root', () => {
    const client = lowest.issue('lonely', EXPIRED);
    expect(verify([client, lowest], [root])).toBe('UNABLE_TO_GET_ISSUER_CERT');
    expect(verify([client, middle], [root])).toBe('UNABLE_TO_GET_ISSUER_CERT');
    expect(verify([client, lowest, middle, root], [other])).toBe('UNABLE_TO_GET_ISSUER_CERT');
    expect(verify([client, lowest], [middle])).toBe('UNABLE_TO_GET_ISSUER_CERT');
    expect(verify([other.issue('stranger', EXPIRED)], [root])).toBe('UNABLE_TO_GET_ISSUER_CERT');
  });

  test('by an authority of the same name with another key', () => {
    const impostor = Authority.root(folder, 'impostor', { subject: '/O=Martlet tests/CN=root' });
    expect(verify([impostor.issue('forged', EXPIRED), impostor], [root])).toBe('UNABLE_TO_GET_ISSUER_CERT');
  });

  test('by a certificate that is no authority', () => {
    const client = root.issue('no-authority');
    const signer = Authority.of(folder, 'no-authority', client);
    expect(verify([signer.issue('by-client', EXPIRED), client], [root])).toBe('INVALID_CA');
  });

  test('by an authority that may not sign certificates', () => {
    const strict = root.intermediate('strict', {
      extensions: ['basicConstraints = critical,CA:TRUE', 'keyUsage = critical,cRLSign'],
    });
    expect(verify([strict.issue('by-strict', EXPIRED), strict], [root])).toBe('UNABLE_TO_GET_ISSUER_CERT');
  });

  test('that is longer than an authority allows', () => {
    const extensions = ['basicConstraints = critical,CA:TRUE,pathlen:0', 'keyUsage = critical,keyCertSign,cRLSign'];
    const last = root.intermediate('last', { extensions });
    const below = last.intermediate('below');
    expect(verify([last.issue('by-last', EXPIRED), last], [root])).toBeNull();
    expect(verify([below.issue('by-below', EXPIRED), below, last], [root])).toBe('PATH_LENGTH_EXCEEDED');
  });

  test.each([
    ['for servers alone', ['extendedKeyUsage = serverAuth'], 'INVALID_PURPOSE'],
    ['that signs nothing', ['keyUsage = keyEncipherment'], 'INVALID_PURPOSE'],
    ['with an extension that nobody knows', ['1.2.3.4 = critical,ASN1:NULL'], 'UNHANDLED_CRITICAL_EXTENSION'],
  ])('of a certificate %s', (what, extensions, text) => {
    const client = root.issue(what.replaceAll(' ', '-'), { ...EXPIRED, extensions });
    expect(verify([client], [root])).toBe(text);
  });

  test('of an authority for servers alone', () => {
    const extensions = ['basicConstraints = critical,CA:TRUE', 'extendedKeyUsage = serverAuth'];
    const servers = root.intermediate('servers', { extensions });
    expect(verify([servers.issue('by-servers', EXPIRED), servers], [root])).toBe('INVALID_PURPOSE');
  });

  test('where names are constrained, which are not looked at here', () => {
    const extensions = ['basicConstraints = critical,CA:TRUE', 'nameConstraints = critical,permitted;DNS:localhost'];
    const limited = root.intermediate('limited', { extensions });
    const presented = [limited.issue('by-limited', EXPIRED), limited];
    expect(verifyWithoutDates(presented.map(certificate), [certificate(root)])).toContain('name constraints');
  });

  test('of nothing', () => {
    expect(verifyWithoutDates([], [certificate(root)])).toBe('UNABLE_TO_GET_ISSUER_CERT');
  });
});

test('what a client shows costs a bounded number of signatures', () => {
  // Authorities of one name and many keys: each could have issued each other one.
  const twins = Array.from({ length: 12 }, (_, i) => Authority.root(folder, `twin-${i}`, { subject: '/CN=twin' }));
  const crossed = twins.map((one, i) => one.intermediate(`crossed-${i}`, { subject: '/CN=twin' }));
  const client = crossed[0]!.issue('of-twins', EXPIRED);
  const presented = [client, ...crossed, ...twins].map(certificate);
  let signatures = 0;
  for (const one of presented) {
    const verifies = one.isIssuedBy.bind(one);
    one.isIssuedBy = (issuer) => (signatures++, verifies(issuer));
  }
  expect(verifyWithoutDates(presented, [certificate(root)])).toBe('UNABLE_TO_GET_ISSUER_CERT');
  expect(signatures).toBeGreaterThan(10);
  expect(signatures).toBeLessThanOrEqual(30);
});

test('the issuer of a certificate is who signed it, not who has the name', () => {
  const [client, twin] = [
    certificate(root.issue('found')),
    Authority.root(folder, 'twin', { subject: '/O=Martlet tests/CN=root' }),
  ];
  const candidates = [certificate(other), certificate(twin), certificate(root)];
  expect(findIssuer(client, candidates)).toBe(candidates[2]!);
  expect(findIssuer(client, candidates.slice(0, 2))).toBeNull();
});
