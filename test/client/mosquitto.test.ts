// The client core on real sockets, against Debian's Mosquitto.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { connectClient, type Message, type PromiseClientOptions } from '../../src/client/promise-client.ts';
import { ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import { ClientSockets, defaultClientTlsOptions } from '../../src/transport/client-socket.ts';
import type { Connector } from '../../src/transport/client-transport.ts';
import { webSocketConnector } from '../../src/transport/client-websocket.ts';
import { pem, writePems } from '../support/client/certificates.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';

const { v31, v311, v5 } = ProtocolVersion;
const certificates = ['cafile FOLDER/ca.pem', 'certfile FOLDER/serverCert.pem', 'keyfile FOLDER/serverKey.pem'];
let server: Mosquitto;

beforeAll(async () => {
  server = await startMosquitto(
    {
      mqtt: [],
      websockets: ['protocol websockets'],
      tls: certificates,
      mutual: [...certificates, 'require_certificate true'],
      secureWebsockets: ['protocol websockets', ...certificates],
    },
    ['allow_anonymous true', 'max_queued_messages 0'],
    async (folder) => void (await writePems(folder)),
  );
});

afterAll(() => server.stop());

function tcp(name = 'mqtt', tls: Partial<typeof defaultClientTlsOptions> | null = null): Connector {
  const options = tls === null ? null : { ...defaultClientTlsOptions, ca: [pem.ca], ...tls };
  return new ClientSockets({ tls: options, noDelay: true }).connector({
    hostname: '127.0.0.1',
    port: server.ports[name]!,
  });
}

const webSocketRequest = { host: '127.0.0.1', path: '/mqtt', protocol: 'mqtt', headers: {} };

/** A client whose messages can be waited for. */
async function connect(options: Partial<PromiseClientOptions> = {}) {
  const messages: Message[] = [];
  let wake = () => {};
  const client = await connectClient({
    connector: tcp(),
    ...options,
    onMessage: (message) => {
      messages.push(message);
      wake();
    },
  });
  const received = async (count: number): Promise<Message[]> => {
    while (messages.length < count) await new Promise<void>((resolve) => (wake = resolve));
    return messages;
  };
  return { client, messages, received };
}

const text = (message: Message | undefined) => new TextDecoder().decode(message?.payload);

describe.each([
  [v31, 'MQTT 3.1'],
  [v311, 'MQTT 3.1.1'],
  [v5, 'MQTT 5'],
])('version %d (%s)', (protocolVersion, _name) => {
  test.each<QoS>([0, 1, 2])('carries messages at QoS %d', async (qos) => {
    const topicName = `t/${protocolVersion}/${qos}`;
    const { client, received } = await connect({
      settings: { protocolVersion },
      clientId: `c${protocolVersion}${qos}`,
    });
    expect(await client.subscribe([{ topicFilter: 't/#', qos: 2 }])).toEqual([2]);
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, i) => client.publish(topicName, `${i}`, { qos, properties: null })),
    );
    expect(results.every(({ reasonCode }) => reasonCode === 0)).toBe(true);
    const messages = await received(200);
    expect(messages.map(text)).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`));
    expect(messages.every((message) => message.qos === qos && message.topicName === topicName)).toBe(true);
    expect(await client.unsubscribe('t/#')).toEqual(protocolVersion === v5 ? [0] : []);
    await client.disconnect();
  });
});

describe('transports', () => {
  const connectors: [string, () => Connector][] = [
    ['TCP', () => tcp()],
    ['TLS', () => tcp('tls', {})],
    ['TLS with a client certificate', () => tcp('mutual', { cert: pem.clientCert, key: pem.clientKey })],
    ['WebSocket', () => webSocketConnector(tcp('websockets'), webSocketRequest)],
    ['secure WebSocket', () => webSocketConnector(tcp('secureWebsockets', {}), webSocketRequest)],
  ];
  test.each(connectors)('%s carries small and large messages', async (_name, connector) => {
    const { client, received } = await connect({ connector: connector() });
    // Mosquitto 2.0 sends large messages over WebSocket at 40 kB/s, so another client reads them.
    const reader = await connect();
    await client.subscribe([{ topicFilter: 'small', qos: 1 }]);
    await reader.client.subscribe([{ topicFilter: 'large', qos: 1 }]);
    const large = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31) >> 4);
    await client.publish('small', 'x', { qos: 1 });
    await client.publish('small', new Uint8Array(2_000), { qos: 1 });
    await client.publish('large', large, { qos: 1 });
    expect((await received(2)).map((message) => message.payload.length)).toEqual([1, 2_000]);
    expect(Bun.deepEquals((await reader.received(1))[0]?.payload, large)).toBe(true);
    await client.disconnect();
    await reader.client.disconnect();
  });

  test('a listener that wants a certificate refuses who shows none', async () => {
    const error = await connectClient({ connector: tcp('mutual', {}) }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'ClientError', reasonCode: 0x88 });
  });
});

describe('sessions', () => {
  test.each([
    [v311, { cleanStart: false }],
    [v5, { cleanStart: false, properties: { sessionExpiryInterval: 600 } }],
  ])('version %d: what came meanwhile arrives after a reconnect, once', async (protocolVersion, more) => {
    const clientId = `session-${protocolVersion}`;
    const settings = { protocolVersion, ...more };
    const first = await connect({ clientId, settings });
    await first.client.subscribe([{ topicFilter: clientId, qos: 2 }]);
    await first.client.disconnect();
    const publisher = await connect();
    for (const qos of [1, 2] as const) await publisher.client.publish(clientId, `qos ${qos}`, { qos });
    const second = await connect({ clientId, settings });
    expect(second.client.connack?.sessionPresent).toBe(true);
    const messages = await second.received(2);
    expect(messages.map(text)).toEqual(['qos 1', 'qos 2']);
    await publisher.client.publish(clientId, 'after', { qos: 2 });
    expect((await second.received(3)).map(text)).toEqual(['qos 1', 'qos 2', 'after']);
    await second.client.disconnect();
    await publisher.client.disconnect();
  });

  test('a killed server: the client comes back and finishes what it had begun', async () => {
    const own = await startMosquitto();
    const port = own.ports['mqtt']!;
    const connector = new ClientSockets({ tls: null, noDelay: true }).connector({ hostname: '127.0.0.1', port });
    const again = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const { client } = await connect({
      connector,
      clientId: 'phoenix',
      settings: { properties: { sessionExpiryInterval: 600 } },
      reconnect: { firstDelayMs: 10, maximumDelayMs: 100, factor: 2, jitter: 0, stableAfterMs: 1_000 },
      scheduler: {
        nowMs: () => performance.now(),
        every: (_ms, callback) => {
          const timer = setInterval(callback, 10);
          return () => clearInterval(timer);
        },
      },
      onClosed: () => closed.resolve(),
      onReconnected: () => again.resolve(),
    });
    await own.kill();
    await closed.promise;
    const publishing = client.publish('late', 'x', { qos: 2, retain: true });
    await own.restart();
    await again.promise;
    expect((await publishing).reasonCode).toBe(0);
    const reader = await connect({ connector });
    await reader.client.subscribe('late');
    expect(text((await reader.received(1))[0])).toBe('x');
    await reader.client.disconnect();
    await client.disconnect();
    await own.stop();
  });
});

test('a will with properties goes out when the connection breaks, not after DISCONNECT', async () => {
  const watcher = await connect();
  await watcher.client.subscribe([{ topicFilter: 'will/#', qos: 1 }]);
  const will = (name: string) => ({
    topicName: `will/${name}`,
    payload: new TextEncoder().encode('gone'),
    qos: 1 as const,
    retain: false,
    properties: { contentType: 'text/plain' },
  });
  const polite = await connect({ settings: { will: will('polite') } });
  await polite.client.disconnect();
  const explicit = await connect({ settings: { will: will('explicit') } });
  await explicit.client.disconnect(0x04);
  const messages = await watcher.received(1);
  expect(messages[0]).toMatchObject({ topicName: 'will/explicit', properties: { contentType: 'text/plain' } });
  const script = join(import.meta.dir, 'dying-client.ts');
  const child = Bun.spawn([process.execPath, script, `${server.ports['mqtt']}`, 'will/dead'], { stdout: 'pipe' });
  for await (const _ of child.stdout) break;
  child.kill('SIGKILL');
  await child.exited;
  expect((await watcher.received(2))[1]).toMatchObject({ topicName: 'will/dead' });
  await watcher.client.disconnect();
});

test('v5 properties arrive as they were sent', async () => {
  const { client, received } = await connect({ settings: { properties: { topicAliasMaximum: 10 } } });
  await client.subscribe([{ topicFilter: 'p', qos: 1 }], { subscriptionIdentifiers: [300] });
  const properties = {
    payloadFormatIndicator: 1,
    contentType: 'text',
    responseTopic: 'r',
    correlationData: Uint8Array.of(0, 255),
    userProperties: [
      ['a', '1'],
      ['a', '2'],
    ] as [string, string][],
  };
  for (let i = 0; i < 3; i++) await client.publish('p', 'x', { qos: 1, properties });
  const messages = await received(3);
  expect(messages.map((message) => message.topicName)).toEqual(['p', 'p', 'p']);
  expect(messages[0]?.properties).toMatchObject({ ...properties, subscriptionIdentifiers: [300] });
  await client.disconnect();
});

test('v5 topic aliases of ours are understood', async () => {
  const { client, received } = await connect({ settings: { assignTopicAliases: true } });
  await client.subscribe('alias/#');
  for (let i = 0; i < 60; i++) await client.publish(`alias/${i % 15}`, 'x');
  const messages = await received(60);
  expect(messages.map((message) => message.topicName)).toEqual(Array.from({ length: 60 }, (_, i) => `alias/${i % 15}`));
  await client.disconnect();
});

test('v5 [MQTT-3.1.2-20] keep alive holds an idle connection open', async () => {
  const { client } = await connect({ clientId: 'idle', settings: { keepAlive: 1 } });
  await server.waitForLog(/Received PINGREQ from idle[^]*Received PINGREQ from idle[^]*Received PINGREQ from idle/);
  expect(client.isConnected).toBe(true);
  await client.disconnect();
});
