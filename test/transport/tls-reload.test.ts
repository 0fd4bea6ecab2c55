// Renewed files of TLS listeners: they hold for new handshakes after a reload, and no client is refused or lost for it.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { defaultConfig, defaultSecurityConfig, type ListenerConfig } from '../../src/config/config.ts';
import { Authority, type Issued, openssl, TestFolder } from '../support/authority.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { attemptTls, clientOptions } from '../support/tls-attempt.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(60_000);
const versions = ['TLSv1.2', 'TLSv1.3'] as const;

let folder: TestFolder;
let root: Authority;
let first: Issued;
let second: Issued;
/** The files that the configuration names. */
let live: Issued;
let server: TestServer | null = null;

beforeEach(() => {
  folder = new TestFolder();
  root = Authority.root(folder, 'root');
  first = root.issue('first');
  second = root.issue('second');
  live = { cert: folder.join('live.pem'), key: folder.join('live.key') };
  renew(first);
});
afterEach(async () => {
  await server?.stop();
  server = null;
  folder.remove();
});

function renew({ cert, key }: Issued, place = live): void {
  copyFileSync(cert, place.cert);
  copyFileSync(key, place.key);
}

async function start(listener: Partial<ListenerConfig> = {}): Promise<TestServer> {
  server = await startServer([{ certfile: live.cert, keyfile: live.key, ...listener }]);
  return server;
}

/** What could not be taken over, as the operator reads it. */
function reload(): Promise<string[]> {
  const listeners = server!.server.listeners.map(({ config }) => config);
  const security = { ...defaultSecurityConfig(), allowAnonymous: true };
  return server!.server.reconfigure({ ...defaultConfig(), security, listeners });
}

describe('a renewed certificate', () => {
  test('is shown to new clients, and those that are connected stay', async () => {
    const { port } = await start();
    expect(await attemptTls(port)).toMatchObject({ serverName: 'first' });
    const client = await WireClient.connect(port, { clientId: 'stays', tls: { rejectUnauthorized: false } });
    renew(second);
    expect(await attemptTls(port)).toMatchObject({ serverName: 'first' });
    expect(await reload()).toEqual([]);
    for (const maxVersion of versions) {
      expect(await attemptTls(port, { maxVersion })).toMatchObject({
        version: maxVersion,
        serverName: 'second',
        reasonCode: 0,
      });
    }
    await client.ping();
    client.disconnect();
  });

  test('comes with everything else as it was: versions, ciphers, ALPN, server names', async () => {
    const other = { cert: folder.join('other.pem'), key: folder.join('other.key') };
    renew(root.issue('third'), other);
    const { port } = await start({
      ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305',
      ciphersTls13: 'TLS_AES_256_GCM_SHA384',
      sniCertificates: [{ serverName: 'other.example', certfile: other.cert, keyfile: other.key }],
    });
    renew(second);
    renew(root.issue('fourth'), other);
    expect(await reload()).toEqual([]);
    const alpn = { ALPNProtocols: ['h2', 'mqtt'] };
    for (const [servername, serverName] of [
      ['localhost', 'second'],
      ['other.example', 'fourth'],
    ] as const) {
      expect(await attemptTls(port, { ...alpn, servername, maxVersion: 'TLSv1.2' })).toMatchObject({
        ...{ serverName, alpn: 'mqtt', cipher: 'ECDHE-ECDSA-CHACHA20-POLY1305', reasonCode: 0 },
      });
      expect(await attemptTls(port, { ...alpn, servername })).toMatchObject({
        serverName,
        alpn: 'mqtt',
        version: 'TLSv1.3',
      });
      const refused = await attemptTls(port, { servername, ALPNProtocols: ['h2'] });
      expect(refused).toMatchObject({ version: null, error: expect.stringContaining('NO_APPLICATION_PROTOCOL') });
      const ciphers = { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' } as const;
      expect(await attemptTls(port, { servername, ...ciphers })).toMatchObject({ version: null });
    }
  });

  test('keeps the lowest version', async () => {
    const { port } = await start({ tlsVersion: 'tlsv1.3' });
    renew(second);
    expect(await reload()).toEqual([]);
    expect(await attemptTls(port, { maxVersion: 'TLSv1.2' })).toMatchObject({ version: null });
    expect(await attemptTls(port)).toMatchObject({ version: 'TLSv1.3', serverName: 'second' });
  });

  test('is taken while clients come without a pause, of whom none is refused', async () => {
    const { port } = await start();
    let isOver = false;
    const seen = new Map<string | null, number>();
    const streams = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const outcome = await attemptTls(port);
        expect(outcome).toMatchObject({ reasonCode: 0, error: null });
        seen.set(outcome.serverName, (seen.get(outcome.serverName) ?? 0) + 1);
      }
    });
    for (let i = 0; i < 20; i++) {
      renew(i % 2 === 0 ? second : first);
      expect(await reload()).toEqual([]);
      // Until somebody has seen the new one.
      const name = i % 2 === 0 ? 'second' : 'first';
      const before = seen.get(name) ?? 0;
      while ((seen.get(name) ?? 0) <= before + 8) await Bun.sleep(1);
    }
    isOver = true;
    await Promise.all(streams);
    expect([...seen.keys()].sort()).toEqual(['first', 'second']);
  });
});

describe('what is renewed for clients', () => {
  async function mutual(more: Partial<ListenerConfig> = {}): Promise<{ port: number; cafile: string }> {
    const cafile = folder.join('live-ca.pem');
    copyFileSync(root.cert, cafile);
    const { port } = await start({ cafile, requireCertificate: true, ...more });
    return { port, cafile };
  }

  test('cafile: who was let in no longer is, and the other way round, also with a session', async () => {
    const { port, cafile } = await mutual();
    const other = Authority.root(folder, 'other');
    const [ours, theirs] = [clientOptions(root.issue('ours')), clientOptions(other.issue('theirs'))];
    for (const maxVersion of versions) {
      copyFileSync(root.cert, cafile);
      await reload();
      const before = await attemptTls(port, { ...ours, maxVersion });
      expect(before).toMatchObject({ reasonCode: 0 });
      const session = { session: before.session! };
      expect(await attemptTls(port, { ...ours, ...session, maxVersion })).toMatchObject({
        reasonCode: 0,
        isResumed: true,
      });
      expect(await attemptTls(port, { ...theirs, maxVersion })).toMatchObject({ reasonCode: null });
      copyFileSync(other.cert, cafile);
      await reload();
      expect(await attemptTls(port, { ...ours, ...session, maxVersion })).toMatchObject({ reasonCode: null });
      expect(await attemptTls(port, { ...ours, maxVersion })).toMatchObject({ reasonCode: null });
      expect(await attemptTls(port, { ...theirs, maxVersion })).toMatchObject({ reasonCode: 0 });
      expect(await attemptTls(port, { maxVersion })).toMatchObject({ reasonCode: null });
    }
  });

  test('capath', async () => {
    const capath = folder.join('ca');
    mkdirSync(capath);
    copyFileSync(root.cert, folder.join('ca', 'root.pem'));
    openssl(['rehash', capath]);
    const { port } = await start({ capath, requireCertificate: true });
    const other = Authority.root(folder, 'other');
    const theirs = clientOptions(other.issue('theirs'));
    expect(await attemptTls(port, theirs)).toMatchObject({ reasonCode: null });
    copyFileSync(other.cert, folder.join('ca', 'other.pem'));
    openssl(['rehash', capath]);
    expect(await reload()).toEqual([]);
    expect(await attemptTls(port, theirs)).toMatchObject({ reasonCode: 0 });
    expect(await attemptTls(port, clientOptions(first))).toMatchObject({ reasonCode: 0 });
  });

  test('crlfile, also for who has a session from before', async () => {
    const crlfile = folder.join('live.crl');
    copyFileSync(root.list(), crlfile);
    const { port } = await mutual({ crlfile });
    const one = root.issue('one');
    const options = clientOptions(one);
    const { session, reasonCode } = await attemptTls(port, options);
    expect(reasonCode).toBe(0);
    root.revoke(one);
    copyFileSync(root.list(), crlfile);
    expect(await attemptTls(port, { ...options, session: session! })).toMatchObject({ reasonCode: 0, isResumed: true });
    expect(await reload()).toEqual([]);
    expect(await attemptTls(port, { ...options, session: session! })).toMatchObject({ reasonCode: null });
    expect(await attemptTls(port, options)).toMatchObject({ reasonCode: null });
    expect(server!.lines.filter((line) => line.includes('CERT_REVOKED'))).toHaveLength(2);
    expect(await attemptTls(port, clientOptions(second))).toMatchObject({ reasonCode: 0 });
  });

  test('does not let in who has none where dates do not count', async () => {
    const { port } = await mutual({ disableClientCertDateChecks: true });
    expect(await reload()).toEqual([]);
    const expired = clientOptions(root.issue('expired', { until: '20200201000000Z' }));
    expect(await attemptTls(port, expired)).toMatchObject({ reasonCode: 0 });
    expect(await attemptTls(port)).toMatchObject({ reasonCode: null });
    const stranger = Authority.root(folder, 'other').issue('stranger', { until: '20200201000000Z' });
    expect(await attemptTls(port, clientOptions(stranger))).toMatchObject({ reasonCode: null });
  });
});

describe('a file that is broken', () => {
  test('keeps what was read before, and is named', async () => {
    const { port } = await start({ cafile: root.cert, requireCertificate: true });
    const options = clientOptions(second);
    const expectOld = async () => {
      expect(await attemptTls(port, options)).toMatchObject({ serverName: 'first', reasonCode: 0 });
      expect(await attemptTls(port)).toMatchObject({ reasonCode: null });
    };
    copyFileSync(second.cert, live.cert);
    expect(await reload()).toEqual([
      `Unable to load certfile "${live.cert}": the key of "${live.key}" does not belong to the certificate in it.`,
    ]);
    await expectOld();
    writeFileSync(live.cert, readFileSync(second.cert, 'utf8').slice(0, 300));
    expect(await reload()).toEqual([`Unable to load certfile "${live.cert}": the certificate in it cannot be read.`]);
    await expectOld();
    rmSync(live.cert);
    expect(await reload()).toEqual([`Unable to load certfile "${live.cert}": no such file or directory.`]);
    await expectOld();
    renew(second);
    expect(await reload()).toEqual([]);
    expect(await attemptTls(port, options)).toMatchObject({ serverName: 'second', reasonCode: 0 });
  });

  test('of one server name keeps all of the listener as it was, and the other listeners are renewed', async () => {
    const other = { cert: folder.join('other.pem'), key: folder.join('other.key') };
    renew(second, other);
    const tls = { certfile: live.cert, keyfile: live.key };
    const sniCertificates = [{ serverName: 'other.example', certfile: other.cert, keyfile: other.key }];
    server = await startServer([{ ...tls, sniCertificates }, tls]);
    const [port, otherPort] = server.ports as [number, number];
    renew(root.issue('third'));
    writeFileSync(other.key, 'nothing');
    expect(await reload()).toEqual([`Unable to load sni_certificate "${other.key}": it holds no private key in PEM.`]);
    expect(await attemptTls(port)).toMatchObject({ serverName: 'first' });
    expect(await attemptTls(port, { servername: 'other.example' })).toMatchObject({ serverName: 'second' });
    expect(await attemptTls(otherPort)).toMatchObject({ serverName: 'third' });
  });
});
