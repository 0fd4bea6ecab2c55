// TLS listeners, plain ones and those with several certificates, against TLS clients of every kind.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { encodePacket } from '../../src/protocol/packet.ts';
import { ProtocolVersion } from '../../src/protocol/packet-type.ts';
import type { ListenerConfig } from '../../src/config/config.ts';
import { certificateFiles, pem, startServer, type TestServer, until } from '../support/server.ts';
import { connectPacket } from '../support/test-broker.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(30_000);

const listenerNames = ['plain', 'only13', 'mutual', 'otherCa'] as const;
type ListenerName = (typeof listenerNames)[number];
/** Each twice: with the certificate alone, and with a second one chosen by SNI. */
const kinds = ['one certificate', 'several certificates'] as const;
type Kind = (typeof kinds)[number];

let server: TestServer;
const portOf = (kind: Kind, name: ListenerName) =>
  server.ports[kinds.indexOf(kind) * listenerNames.length + listenerNames.indexOf(name)]!;

beforeAll(async () => {
  const files = await certificateFiles();
  const tls = { certfile: files.serverCert, keyfile: files.serverKey };
  const listeners: Record<ListenerName, Partial<ListenerConfig>> = {
    plain: tls,
    only13: { ...tls, tlsVersion: 'tlsv1.3' },
    mutual: { ...tls, cafile: files.ca, requireCertificate: true, useIdentityAsUsername: true },
    otherCa: { ...tls, cafile: files.otherCa, requireCertificate: true },
  };
  const sniCertificates = [
    { serverName: 'other.example', certfile: files.strangerCert, keyfile: files.strangerKey },
    { serverName: 'device-1', certfile: files.clientCert, keyfile: files.clientKey },
  ];
  const single = listenerNames.map((name) => listeners[name]);
  server = await startServer([...single, ...single.map((one) => ({ ...one, sniCertificates }))]);
});

afterAll(() => server.stop());

interface Outcome {
  version: string | null;
  alpn: string | false | null;
  /** Common Name of the certificate that the broker showed. */
  commonName: string | null;
  /** First byte of what it answered to CONNECT: 0x20 is CONNACK. */
  answer: number | null;
  /** Of the client's TLS library. */
  error: string | null;
}

let clients = 0;

/** Shakes hands, sends CONNECT, waits for the answer or the end, and closes. */
function attempt(port: number, options: ConnectionOptions = {}): Promise<Outcome & { clientId: string }> {
  const clientId = `tls-${++clients}`;
  const outcome: Outcome = { version: null, alpn: null, commonName: null, answer: null, error: null };
  const { promise, resolve } = Promise.withResolvers<Outcome & { clientId: string }>();
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ca: pem.ca,
    servername: 'localhost',
    checkServerIdentity: () => undefined,
    ...options,
  });
  socket.on('secureConnect', () => {
    outcome.version = socket.getProtocol();
    outcome.alpn = socket.alpnProtocol;
    const name = socket.getPeerCertificate().subject.CN;
    outcome.commonName = typeof name === 'string' ? name : null;
    socket.write(encodePacket(connectPacket({ clientId }), ProtocolVersion.v5));
  });
  socket.on('data', (chunk: Uint8Array) => {
    outcome.answer = chunk[0]!;
    socket.end();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => (outcome.error = error.code ?? error.message));
  socket.on('close', () => resolve({ ...outcome, clientId }));
  return promise;
}

const clientCertificate = { cert: pem.clientCert, key: pem.clientKey };
const opened = /^New connection from 127\.0\.0\.1:\d+ on port \d+\.$/;
const noCertificate = /^Client connection from 127\.0\.0\.1:\d+ rejected, client did not provide a certificate\.$/;
const CONNACK = 0x20;

describe.each([...kinds])('a TLS listener with %s', (kind) => {
  const closes = (reason: string) => server.broker.counters.closed.get(reason) ?? 0;
  const newLines = (from: number) => server.lines.slice(from).filter((line) => !opened.test(line));

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s and logs version and cipher', async (version) => {
    const outcome = await attempt(portOf(kind, 'plain'), { minVersion: version, maxVersion: version });
    expect(outcome).toMatchObject({ version, answer: CONNACK, error: null });
    await server.waitForLog(new RegExp(`New client connected from 127\\.0\\.0\\.1:\\d+ as ${outcome.clientId} `));
    await server.waitForLog(new RegExp(`^Client ${outcome.clientId} negotiated ${version} cipher [A-Z0-9_-]+$`));
  });

  test('refuses TLS 1.2 where tls_version is tlsv1.3', async () => {
    const [before, from] = [closes('tls error'), server.lines.length];
    const outcome = await attempt(portOf(kind, 'only13'), { maxVersion: 'TLSv1.2' });
    expect(outcome.error).toContain('PROTOCOL_VERSION');
    expect(outcome.answer).toBeNull();
    expect((await attempt(portOf(kind, 'only13'))).version).toBe('TLSv1.3');
    expect(closes('tls error')).toBe(before + 1);
    expect(newLines(from)).toContainEqual(
      expect.stringMatching(/^Client connection from 127\.0\.0\.1:\d+ failed: .*UNSUPPORTED_PROTOCOL\.$/),
    );
  });

  test('chooses mqtt where the client offers it, also among others', async () => {
    expect(await attempt(portOf(kind, 'plain'), { ALPNProtocols: ['mqtt'] })).toMatchObject({
      alpn: 'mqtt',
      answer: CONNACK,
    });
    const among = await attempt(portOf(kind, 'plain'), { ALPNProtocols: ['h2', 'x-amzn-mqtt-ca', 'mqtt'] });
    expect(among).toMatchObject({ alpn: 'mqtt', answer: CONNACK });
  });

  test('lets in a client without ALPN, and refuses one that offers only other names', async () => {
    expect(await attempt(portOf(kind, 'plain'))).toMatchObject({ alpn: false, answer: CONNACK });
    const before = closes('tls error');
    const refused = await attempt(portOf(kind, 'plain'), { ALPNProtocols: ['h2', 'http/1.1'] });
    expect(refused).toMatchObject({ version: null, answer: null });
    expect(refused.error).toContain('NO_APPLICATION_PROTOCOL');
    await until('a count', () => closes('tls error') === before + 1);
  });

  test('with require_certificate takes the name of a certificate that verifies as user name', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const outcome = await attempt(portOf(kind, 'mutual'), { ...clientCertificate, maxVersion });
      expect(outcome).toMatchObject({ version: maxVersion, answer: CONNACK, error: null });
      await server.waitForLog(new RegExp(` as ${outcome.clientId} \\(p5, c1, k0, u'device-1'\\)\\.$`));
    }
  });

  test('with require_certificate refuses a client without one, and says so', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const [before, from] = [closes('client certificate'), server.lines.length];
      const outcome = await attempt(portOf(kind, 'mutual'), { maxVersion });
      expect(outcome.answer).toBeNull();
      expect(outcome.error).not.toBeNull();
      await until('a count', () => closes('client certificate') === before + 1);
      expect(newLines(from)).toEqual([expect.stringMatching(noCertificate)]);
    }
  });

  test('with require_certificate refuses one of another issuer before it can do anything', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const [before, from] = [closes('client certificate'), server.lines.length];
      const outcome = await attempt(portOf(kind, 'otherCa'), { ...clientCertificate, maxVersion });
      expect(outcome.answer).toBeNull();
      await until('a count', () => closes('client certificate') === before + 1);
      expect(newLines(from)).toEqual([
        expect.stringMatching(
          /^Client connection from 127\.0\.0\.1:\d+ rejected, client certificate: SELF_SIGNED_CERT_IN_CHAIN\.$/,
        ),
      ]);
    }
  });

  test.each([
    ['MQTT without TLS', encodePacket(connectPacket({}), ProtocolVersion.v5)],
    ['HTTP', new TextEncoder().encode('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['a record of no known type', Uint8Array.of(0x99, 3, 3, 0, 4, 1, 2, 3, 4)],
    ['a ClientHello that is none', Uint8Array.of(0x16, 3, 1, 0, 8, 1, 0, 0, 4, 9, 9, 9, 9)],
    ['a record larger than TLS allows', Uint8Array.of(0x16, 3, 1, 0xff, 0xff, 1, 1, 1)],
  ])('closes on %s and logs one line', async (_what, bytes) => {
    const [before, from] = [closes('tls error'), server.lines.length];
    const client = await WireClient.open(portOf(kind, 'plain'));
    client.raw().send(bytes);
    await client.ended();
    await until('a count', () => closes('tls error') === before + 1);
    expect(newLines(from)).toEqual([expect.stringMatching(/^Client connection from 127\.0\.0\.1:\d+ failed: error:/)]);
    await until('no connection left', () => server.broker.connectionCount === 0);
  });

  test('tells of a probe that connects and closes, and calls it no error', async () => {
    const [before, from] = [closes('tls error'), server.lines.length];
    for (const close of ['end', 'reset'] as const) {
      const accepted = server.broker.counters.connectionsAccepted;
      const probe = await WireClient.open(portOf(kind, 'plain'));
      await until('its arrival', () => server.broker.counters.connectionsAccepted > accepted);
      probe[close]();
      await until('no connection left', () => server.broker.connectionCount === 0);
    }
    const closed = /^Client 127\.0\.0\.1 \[127\.0\.0\.1:\d+\] disconnected: connection closed by client\.$/;
    expect(newLines(from)).toEqual(Array(2).fill(expect.stringMatching(closed)));
    expect(closes('tls error')).toBe(before);
  });
});

describe('a TLS listener with several certificates', () => {
  test.each([
    ['localhost', 'localhost'],
    ['other.example', 'other.example'],
    ['OTHER.example', 'other.example'],
    ['device-1', 'device-1'],
    ['unknown.example', 'localhost'],
    ['', 'localhost'],
  ])('shows a client that asks for %p the one of %s', async (servername, commonName) => {
    const port = portOf('several certificates', 'plain');
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      expect(await attempt(port, { servername, maxVersion })).toMatchObject({ commonName, answer: CONNACK });
    }
  });
});

test('a secure WebSocket listener takes http/1.1 by ALPN too, and shows its certificates as any other', async () => {
  const files = await certificateFiles();
  const one = { certfile: files.serverCert, keyfile: files.serverKey, protocol: 'websockets' as const };
  const other = { serverName: 'other.example', certfile: files.strangerCert, keyfile: files.strangerKey };
  const secure = await startServer([one, { ...one, sniCertificates: [other] }]);
  for (const [i, commonName] of ['localhost', 'other.example'].entries()) {
    for (const alpn of ['http/1.1', 'mqtt']) {
      // CONNECT without WebSocket is answered in HTTP: `H` of `HTTP/1.1 400`.
      const outcome = await attempt(secure.ports[i]!, { ALPNProtocols: [alpn], servername: 'other.example' });
      expect(outcome).toMatchObject({ alpn, commonName, answer: 0x48 });
    }
    const url = `wss://localhost:${secure.ports[i]}/mqtt`;
    const socket = new WebSocket(url, { protocols: ['mqtt'], tls: { ca: pem.ca } });
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`no WebSocket at ${url}`));
    });
    expect(socket.protocol).toBe('mqtt');
    socket.close();
  }
  await secure.stop();
});

test('a TLS handshake counts towards max_connections and the time for CONNECT', async () => {
  const files = await certificateFiles();
  const one = { certfile: files.serverCert, keyfile: files.serverKey, maxConnections: 2 };
  const other = { serverName: 'other.example', certfile: files.strangerCert, keyfile: files.strangerKey };
  const strict = await startServer([one, { ...one, sniCertificates: [other] }], { connectTimeout: 1 });
  const { counters } = strict.broker;
  const clients: WireClient[] = [];
  for (const port of strict.ports) {
    const silent = await WireClient.open(port);
    const slow = await WireClient.open(port);
    slow.send(Uint8Array.of(0x16, 3, 1, 2, 0));
    clients.push(silent, slow);
    await until('both to be accepted', () => counters.connectionsAccepted === clients.length);
    const third = await WireClient.open(port);
    await third.ended();
    expect(strict.lines.at(-1)).toMatch(/^Client connection from 127\.0\.0\.1 denied: max_connections exceeded\.$/);
  }
  await Promise.all(clients.map((client) => client.ended()));
  await until('no connection left', () => strict.broker.connectionCount === 0);
  expect(strict.lines.filter((line) => line.endsWith('disconnected: exceeded timeout.'))).toHaveLength(4);
  expect([...counters.closed]).toEqual([
    ['max connections', 2],
    ['keep alive timeout', 4],
  ]);
  await strict.stop();
}, 20_000);
