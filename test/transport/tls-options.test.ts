// What the options of a TLS listener do, where Debian's mosquitto has them too beside it.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { ConnectionOptions } from 'node:tls';
import type { ListenerConfig } from '../../src/config/config.ts';
import { CertificateError } from '../../src/transport/listener.ts';
import { Authority, type Issued, TestFolder } from '../support/authority.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startServer, type TestServer, until } from '../support/server.ts';
import { attemptTls, clientOptions } from '../support/tls-attempt.ts';

setDefaultTimeout(60_000);

const folder = new TestFolder();
let root: Authority;
let middle: Authority;
let server: Issued;
let good: Issued;

beforeAll(() => {
  root = Authority.root(folder, 'root');
  middle = root.intermediate('middle');
  server = root.issue('server', { subject: '/CN=localhost' });
  good = root.issue('good');
});
afterAll(() => folder.remove());

let running: TestServer | null = null;
afterEach(async () => {
  await running?.stop();
  running = null;
});

async function start(listener: Partial<ListenerConfig>, one: Issued = server): Promise<TestServer> {
  running = await startServer([{ certfile: one.cert, keyfile: one.key, ...listener }]);
  return running;
}
/** Why it does not start. */
async function refusal(listener: Partial<ListenerConfig>, one?: Issued): Promise<string> {
  const error = await start(listener, one).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CertificateError);
  return (error as Error).message;
}

const TLS12: ConnectionOptions = { maxVersion: 'TLSv1.2' };
const withCiphers = (...names: string[]): ConnectionOptions => ({ ...TLS12, ciphers: names.join(':') });

describe('ciphers', () => {
  test('are those of TLS 1.2, of which the first that the client has is taken', async () => {
    const { port } = await start({ ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256' });
    const both = withCiphers('ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305');
    expect(await attemptTls(port, both)).toMatchObject({ cipher: 'ECDHE-ECDSA-CHACHA20-POLY1305', reasonCode: 0 });
    const second = withCiphers('ECDHE-ECDSA-AES128-GCM-SHA256');
    expect(await attemptTls(port, second)).toMatchObject({ cipher: 'ECDHE-ECDSA-AES128-GCM-SHA256', reasonCode: 0 });
    const other = withCiphers('ECDHE-ECDSA-AES256-GCM-SHA384');
    expect(await attemptTls(port, other)).toMatchObject({ cipher: null, reasonCode: null });
    expect(await attemptTls(port)).toMatchObject({ version: 'TLSv1.3', reasonCode: 0 });
  });

  test('that OpenSSL takes out by a class are out, also where the TLS library does not know the class', async () => {
    const only = withCiphers('ECDHE-ECDSA-AES128-SHA256');
    const { port } = await start({ ciphers: 'ECDHE' });
    expect(await attemptTls(port, only)).toMatchObject({ cipher: 'ECDHE-ECDSA-AES128-SHA256', reasonCode: 0 });
    await running!.stop();
    const strict = await start({ ciphers: 'ECDHE:!SHA256' });
    expect(await attemptTls(strict.port, only)).toMatchObject({ cipher: null, reasonCode: null });
  });

  test('of which none goes with the key are warned of', async () => {
    const { lines, port } = await start({ ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:kRSA' });
    expect(lines).toContain('Warning: none of ciphers goes with a key of type ec: TLS 1.2 is not spoken.');
    expect(await attemptTls(port, TLS12)).toMatchObject({ version: null });
    expect(await attemptTls(port)).toMatchObject({ version: 'TLSv1.3', reasonCode: 0 });
    await running!.stop();
    const rsa = root.issue('rsa-server', { rsaBits: 2_048 });
    const fitting = await start({ ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:kRSA' }, rsa);
    expect(fitting.lines.filter((line) => line.startsWith('Warning'))).toEqual([]);
    expect(await attemptTls(fitting.port, TLS12)).toMatchObject({
      cipher: 'ECDHE-RSA-AES256-GCM-SHA384',
      reasonCode: 0,
    });
  });

  test('of which nothing is left keep the broker from starting', async () => {
    expect(await refusal({ ciphers: 'DHE-RSA-AES256-GCM-SHA384' })).toMatch(
      /^Unable to set ciphers "DHE-RSA-AES256-GCM-SHA384": none of these ciphers is available; there are [A-Z0-9:-]+\.$/,
    );
    expect(await refusal({ ciphers: 'HIGH:@SECLEVEL=3' })).toMatch(/^Unable to set ciphers "HIGH:@SECLEVEL=3": '@SEC/);
  });
});

describe('ciphers_tls1.3', () => {
  /** A client of OpenSSL, whose order of ciphers can be chosen. */
  async function handshake(port: number, suites: string): Promise<string> {
    const client = Bun.spawn(
      [
        'openssl',
        's_client',
        '-connect',
        `127.0.0.1:${port}`,
        '-tls1_3',
        '-ciphersuites',
        suites,
        '-quiet',
        '-no_ign_eof',
      ],
      { stdin: 'pipe', stdout: 'pipe', stderr: 'ignore' },
    );
    // CONNECT of MQTT 3.1.1 with identifier `x`.
    client.stdin.write(Uint8Array.of(0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 1, 0x78));
    void client.stdin.flush();
    const { value } = await client.stdout.getReader().read();
    client.kill();
    await client.exited;
    return Buffer.from(value ?? []).toString('hex');
  }

  test('takes who has chosen one of them, and refuses who has not', async () => {
    const { port, lines } = await start({ ciphersTls13: 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256' });
    expect(lines).toContain(
      'Warning: ciphers_tls1.3 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256": ' +
        'a client whose first choice is another cipher is refused, also one that has others.',
    );
    const CONNACK = '20020000';
    expect(await handshake(port, 'TLS_AES_256_GCM_SHA384')).toBe(CONNACK);
    expect(await handshake(port, 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256')).toBe(CONNACK);
    expect(await handshake(port, 'TLS_AES_128_GCM_SHA256')).toBe('');
    expect(lines.filter((line) => / failed: /.test(line))).toEqual([
      expect.stringMatching(
        /^Client connection from 127\.0\.0\.1:\d+ failed: cipher TLS_AES_128_GCM_SHA256 is not in ciphers_tls1\.3\.$/,
      ),
    ]);
    expect(running!.broker.counters.closed.get('tls error')).toBe(1);
    expect(await attemptTls(port, TLS12)).toMatchObject({ version: 'TLSv1.2', reasonCode: 0 });
  });

  test('of which nothing is left keep the broker from starting', async () => {
    expect(await refusal({ ciphersTls13: 'TLS_AES_128_CCM_SHA256' })).toStartWith(
      'Unable to set ciphers_tls1.3 "TLS_AES_128_CCM_SHA256": none of these ciphers is available; there are TLS_',
    );
    expect(await refusal({ ciphersTls13: 'ECDHE-RSA-AES128-GCM-SHA256' })).toContain('is no cipher of TLS 1.3');
  });
});

test('a certfile with one certificate is completed from cafile, as Mosquitto does it', async () => {
  const below = middle.issue('below', { subject: '/CN=localhost' });
  const cafile = folder.joined('chain.pem', middle.cert, root.cert);
  const verified: ConnectionOptions = { rejectUnauthorized: true, ca: await Bun.file(root.cert).text() };
  const alone = await start({}, below);
  expect(await attemptTls(alone.port, verified)).toMatchObject({ reasonCode: null });
  await alone.stop();
  const { port } = await start({ cafile }, below);
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    expect(await attemptTls(port, { ...verified, maxVersion })).toMatchObject({ reasonCode: 0, error: null });
  }
  const mosquitto = await startMosquitto({
    tls: [`certfile ${below.cert}`, `keyfile ${below.key}`, `cafile ${cafile}`],
  });
  expect(await attemptTls(mosquitto.ports['tls']!, verified)).toMatchObject({ reasonCode: 0, error: null });
  await mosquitto.stop();
});

test('dhparamfile changes nothing where there are no ciphers for it, whatever it holds', async () => {
  const { port } = await start({ dhparamfile: '/no/file' });
  expect(await attemptTls(port, TLS12)).toMatchObject({ reasonCode: 0 });
});

describe('disable_client_cert_date_checks', () => {
  const versions = ['TLSv1.2', 'TLSv1.3'] as const;
  let mutual: Partial<ListenerConfig>;
  let expired: Issued;
  let other: Authority;
  const EXPIRED = { from: '20200101000000Z', until: '20200201000000Z' };

  beforeAll(() => {
    other = Authority.root(folder, 'other');
    expired = root.issue('expired', EXPIRED);
    mutual = { cafile: root.cert, requireCertificate: true, disableClientCertDateChecks: true };
  });

  async function lineOf(port: number, options: ConnectionOptions): Promise<string> {
    const from = running!.lines.length;
    const { reasonCode } = await attemptTls(port, options);
    expect(reasonCode).toBeNull();
    const line = await until('a line', () => running!.lines.slice(from).find((one) => one.includes(' rejected, ')));
    return line.replace(/^Client connection from \S+ rejected, /, '');
  }

  test('takes certificates that have expired or are not valid yet, of issuers too, and their names', async () => {
    const { port } = await start({ ...mutual, useSubjectAsUsername: true });
    const late = root.intermediate('late', { ...EXPIRED });
    const ofLate = late.issue('of-late', { from: '21000101000000Z' });
    for (const maxVersion of versions) {
      for (const options of [clientOptions(good), clientOptions(expired), clientOptions(ofLate, late.cert)]) {
        expect(await attemptTls(port, { ...options, maxVersion })).toMatchObject({
          version: maxVersion,
          reasonCode: 0,
        });
      }
    }
    await running!.waitForLog(/u'CN=of-late'\)\.$/);
  });

  test('refuses who has nothing but the date wrong, yet no issuer that is known', async () => {
    const { port } = await start(mutual);
    for (const maxVersion of versions) {
      const unknown = { ...clientOptions(other.issue('unknown', EXPIRED)), maxVersion };
      // The TLS library says of this one that it has expired, and no more.
      expect(await lineOf(port, unknown)).toBe('client certificate: UNABLE_TO_GET_ISSUER_CERT.');
      expect(await lineOf(port, { ...clientOptions(other.issue('stranger')), maxVersion })).toStartWith(
        'client certificate: ',
      );
      expect(await lineOf(port, { maxVersion })).toBe('client did not provide a certificate.');
    }
  });

  test('refuses a certificate that is revoked as well, and does not ask for the dates of the list', async () => {
    const gone = root.issue('gone', EXPIRED);
    root.revoke(gone);
    const { port } = await start({ ...mutual, crlfile: root.list({ until: '20200201000000Z' }) });
    expect(await lineOf(port, clientOptions(gone))).toBe('client certificate: CERT_REVOKED.');
    expect(await attemptTls(port, clientOptions(expired))).toMatchObject({ reasonCode: 0 });
    expect(await attemptTls(port, clientOptions(good))).toMatchObject({ reasonCode: 0 });
  });

  test('refuses a certificate for something else', async () => {
    const { port } = await start(mutual);
    const forServers = root.issue('for-servers', { ...EXPIRED, extensions: ['extendedKeyUsage = serverAuth'] });
    expect(await lineOf(port, clientOptions(forServers))).toBe('client certificate: INVALID_PURPOSE.');
  });

  test('is off by default', async () => {
    const { port } = await start({ ...mutual, disableClientCertDateChecks: false });
    expect(await lineOf(port, clientOptions(expired))).toBe('client certificate: CERT_HAS_EXPIRED.');
  });
});

describe('files that are wrong', () => {
  test('keep the broker from starting, with one line that says which and why', async () => {
    expect(await refusal({ keyfile: good.key })).toBe(
      `Unable to load certfile "${server.cert}": the key of "${good.key}" does not belong to the certificate in it.`,
    );
    expect(await refusal({ sniCertificates: [{ serverName: 'a', certfile: '/no/file', keyfile: server.key }] })).toBe(
      'Unable to load sni_certificate "/no/file": no such file or directory.',
    );
  });

  test('and what the TLS library does not take, does so too', async () => {
    const one = root.issue('no-handshake', { extensions: ['keyUsage = critical,keyAgreement'] });
    expect(await refusal({}, one)).toMatch(/^Unable to use certfile ".*no-handshake\.pem": [A-Z_]+\.$/);
  });

  test('that work, but not for long, are warned of', async () => {
    const old = root.issue('old', { until: '20260101000000Z' });
    const { lines, port } = await start({}, old);
    expect(lines).toContain(`Warning: certfile "${old.cert}": the certificate expired on 2026-01-01 00:00:00 UTC.`);
    expect(await attemptTls(port)).toMatchObject({ reasonCode: 0 });
  });
});

describe('sessions', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'are resumed, with the issuers that the client showed at first, over %s',
    async (maxVersion) => {
      const below = middle.issue(`below-${maxVersion}`);
      const { port } = await start({ cafile: root.cert, requireCertificate: true, crlfile: middle.list() });
      const options = { ...clientOptions(below, middle.cert), maxVersion };
      const { session, reasonCode } = await attemptTls(port, options);
      expect(reasonCode).toBe(0);
      expect(await attemptTls(port, { ...options, session: session! })).toMatchObject({
        isResumed: true,
        reasonCode: 0,
      });
    },
  );

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'are resumed, with the certificate of the client, over %s',
    async (maxVersion) => {
      const { port } = await start({ cafile: root.cert, requireCertificate: true, useIdentityAsUsername: true });
      const options = { ...clientOptions(good), maxVersion };
      const first = await attemptTls(port, options);
      expect(first).toMatchObject({ isResumed: false, reasonCode: 0 });
      expect(first.session).not.toBeNull();
      const second = await attemptTls(port, { ...options, session: first.session! });
      expect(second).toMatchObject({ isResumed: true, reasonCode: 0 });
      await running!.waitForLog(new RegExp(`as ${second.clientId} \\(p5, c1, k0, u'good'\\)\\.$`));
    },
  );
});

test('clients are told the authorities whose certificates are taken, for those that choose by them', async () => {
  const { port } = await start({ cafile: folder.joined('two.pem', root.cert, middle.cert), requireCertificate: true });
  const client = Bun.spawn(['openssl', 's_client', '-connect', `127.0.0.1:${port}`], {
    stdin: 'ignore',
    stderr: 'ignore',
  });
  const said = await new Response(client.stdout).text();
  const [, names = ''] = /^Acceptable client certificate CA names\n([^]*?)^Requested/m.exec(said) ?? [];
  expect(names.trim().split('\n').sort()).toEqual(['CN = middle', 'O = Martlet tests, CN = root']);
});
