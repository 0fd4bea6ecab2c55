// MQTT.js, the client of most JavaScript programs: its features against the broker over each transport, and volume from
// a Node.js process, where it runs on Node's own TLS and on the `ws` package.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient, type Packet } from 'mqtt';
import { sized } from '../support/long-run.ts';
import { certificateFiles, pem, startServer, type TestServer, tlsListener, until } from '../support/server.ts';

setDefaultTimeout(30_000);

const transports = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
type Transport = (typeof transports)[number];
const versions = [
  ['3.1', { protocolVersion: 3, protocolId: 'MQIsdp' }],
  ['3.1.1', { protocolVersion: 4 }],
  ['5', { protocolVersion: 5 }],
] as const satisfies [string, IClientOptions][];
const v5 = versions[2][1];

let server: TestServer;

beforeAll(async () => {
  const tls = await tlsListener();
  const protocol = 'websockets' as const;
  server = await startServer([{}, tls, { protocol }, { ...tls, protocol }], { maxQueuedMessages: 20_000 });
});

const clients: MqttClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
});
afterAll(() => server.stop());

const url = (transport: Transport) =>
  `${transport}://localhost:${server.ports[transports.indexOf(transport)]}${transport.startsWith('ws') ? '/mqtt' : ''}`;

let names = 0;
const newName = () => `mqttjs-${++names}`;

interface Received {
  topic: string;
  payload: string;
  packet: IPublishPacket;
}

/** A client that keeps what it receives. */
async function connect(options: IClientOptions, transport: Transport = 'mqtt') {
  const messages: Received[] = [];
  const client = await mqtt.connectAsync(url(transport), {
    ca: pem.ca,
    reconnectPeriod: 20,
    keepalive: 60,
    ...options,
  });
  clients.push(client);
  client.on('message', (topic, payload, packet) => messages.push({ topic, payload: payload.toString(), packet }));
  const received = (count: number) => until(`${count} messages`, () => messages.length >= count && messages);
  return { client, messages, received };
}

describe.each([...transports])('%s', (transport) => {
  test.each(versions)('MQTT %s: messages of each QoS come and go, until unsubscribed', async (_name, version) => {
    const topic = newName();
    const { client, messages, received } = await connect({ ...version, clientId: newName() }, transport);
    const granted = await client.subscribeAsync({ [`${topic}/+`]: { qos: 2 } });
    expect(granted.map(({ qos }) => qos)).toEqual([2]);
    for (const qos of [0, 1, 2] as const) await client.publishAsync(`${topic}/${qos}`, `at ${qos}`, { qos });
    await received(3);
    expect(messages.map(({ topic: name, payload, packet }) => [name, payload, packet.qos])).toEqual([
      [`${topic}/0`, 'at 0', 0],
      [`${topic}/1`, 'at 1', 1],
      [`${topic}/2`, 'at 2', 2],
    ]);
    await client.unsubscribeAsync(`${topic}/+`);
    await client.publishAsync(`${topic}/1`, 'unheard', { qos: 1 });
    await client.subscribeAsync(`${topic}/last`);
    await client.publishAsync(`${topic}/last`, 'end');
    expect((await received(4)).map(({ payload }) => payload)).toEqual(['at 0', 'at 1', 'at 2', 'end']);
  });

  test.each(versions)('MQTT %s: a session survives a connection that breaks', async (name, version) => {
    const topic = newName();
    const clientId = newName();
    const expiry = name === '5' ? { properties: { sessionExpiryInterval: 600 } } : {};
    const options = { ...version, ...expiry, clientId, clean: false, resubscribe: false };
    const { client, received } = await connect(options, transport);
    const publisher = await connect({ ...v5, clientId: newName() });
    await client.subscribeAsync(topic, { qos: 2 });
    await publisher.client.publishAsync(topic, 'before', { qos: 1 });
    await received(1);

    const reconnected = new Promise<boolean>((resolve) => client.once('connect', (ack) => resolve(ack.sessionPresent)));
    client.options.reconnectPeriod = 300;
    client.stream.destroy();
    await until('it to be away', () => server.broker.sessions.get(clientId)?.link === null);
    for (const qos of [1, 2] as const) await publisher.client.publishAsync(topic, `away ${qos}`, { qos });
    // MQTT 3.1 has no Session Present.
    expect(await reconnected).toBe(name !== '3.1');
    await publisher.client.publishAsync(topic, 'after', { qos: 2 });
    expect((await received(4)).map(({ payload }) => payload)).toEqual(['before', 'away 1', 'away 2', 'after']);
  });

  test.each(versions)(
    'MQTT %s: the will goes out when the connection breaks, not at the end',
    async (_name, version) => {
      const topic = newName();
      const witness = await connect({ ...v5, clientId: newName() });
      await witness.client.subscribeAsync(`${topic}/#`, { qos: 1 });
      const will = { topic: `${topic}/will`, payload: Buffer.from('gone'), qos: 1 as const, retain: false };
      const leaver = await connect({ ...version, clientId: newName(), will }, transport);
      await leaver.client.endAsync();
      const victim = await connect({ ...version, clientId: newName(), will, reconnectPeriod: 0 }, transport);
      victim.client.stream.destroy();
      await witness.received(1);
      await witness.client.publishAsync(`${topic}/end`, 'end', { qos: 1 });
      expect((await witness.received(2)).map(({ payload }) => payload)).toEqual(['gone', 'end']);
    },
  );
});

describe('MQTT 5', () => {
  test('every property of a message arrives, user properties in order', async () => {
    const topic = newName();
    const { client, received } = await connect({ ...v5, clientId: newName() });
    await client.subscribeAsync(topic, { qos: 1, properties: { subscriptionIdentifier: 268_435_455 } });
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 3_600,
      contentType: 'application/json',
      responseTopic: 'answers/1',
      correlationData: Buffer.from([0, 1, 254, 255]),
      userProperties: { trace: ['a', 'b'], ключ: 'значение' },
    };
    await client.publishAsync(topic, '{}', { qos: 1, properties });
    const [message] = await received(1);
    expect({ ...message!.packet.properties }).toEqual({
      ...properties,
      userProperties: Object.assign(Object.create(null), properties.userProperties),
      subscriptionIdentifier: 268_435_455,
    });
  });

  test('CONNACK tells the limits', async () => {
    const client = mqtt.connect(url('mqtt'), { ...v5, clientId: '' });
    clients.push(client);
    const connack = await new Promise<Packet & { properties?: unknown }>((resolve) => client.once('connect', resolve));
    expect(connack.properties).toMatchObject({
      topicAliasMaximum: 10,
      maximumPacketSize: 2_000_000,
      receiveMaximum: 20,
      assignedClientIdentifier: expect.stringMatching(/^auto-[0-9A-F-]{36}$/),
    });
  });

  test('a publisher may use topic aliases', async () => {
    const topic = newName();
    const subscriber = await connect({ ...v5, clientId: newName() });
    await subscriber.client.subscribeAsync(`${topic}/#`, { qos: 1 });
    const { client } = await connect({ ...v5, clientId: newName(), autoAssignTopicAlias: true });
    const sent: IPublishPacket[] = [];
    client.on('packetsend', (packet) => packet.cmd === 'publish' && sent.push({ ...packet }));
    const topics = Array.from({ length: 40 }, (_, i) => `${topic}/${i % 13}`);
    for (const [i, name] of topics.entries()) await client.publishAsync(name, String(i), { qos: 1 });
    expect((await subscriber.received(40)).map((message) => message.topic)).toEqual(topics);
    expect(Math.max(...sent.map(({ properties }) => properties?.topicAlias ?? 0))).toBe(10);
  });

  test('a subscriber that allows aliases gets them: the name once, then the alias alone', async () => {
    const topic = `${newName()}/a/long/name/that/is/worth/leaving/out`;
    const properties = { topicAliasMaximum: 5 };
    const { client, received } = await connect({ ...v5, clientId: newName(), properties });
    const wire: IPublishPacket[] = [];
    client.on('packetreceive', (packet) => packet.cmd === 'publish' && wire.push({ ...packet }));
    await client.subscribeAsync(`${topic}/#`, { qos: 1 });
    const topics = Array.from({ length: 60 }, (_, i) => `${topic}/${i % 3}`);
    for (const [i, name] of topics.entries()) await client.publishAsync(name, String(i), { qos: (i & 1) as 0 | 1 });
    expect((await received(60)).map((message) => message.topic)).toEqual(topics);
    const aliases = wire.map(({ properties: own }) => own?.topicAlias ?? 0);
    expect(Math.max(...aliases)).toBeLessThanOrEqual(5);
    expect(wire.filter(({ topic: name }) => name !== '').length).toBe(3);
  });

  test('a subscriber gets no more at a time than its Receive Maximum', async () => {
    const topic = newName();
    const held: (() => void)[] = [];
    const acknowledged: string[] = [];
    const subscriber = await connect({
      ...v5,
      clientId: newName(),
      properties: { receiveMaximum: 3 },
      customHandleAcks: (_topic, message, _packet, done) => {
        acknowledged.push(message.toString());
        held.push(() => done(0));
      },
    });
    await subscriber.client.subscribeAsync(topic, { qos: 1 });
    const publisher = await connect({ ...v5, clientId: newName() });
    const payloads = Array.from({ length: 50 }, (_, i) => String(i));
    for (const payload of payloads) await publisher.client.publishAsync(topic, payload, { qos: 1 });
    for (let i = 0; i < payloads.length; i++) {
      await until('the next', () => held.length > 0);
      expect(acknowledged.length - i).toBeLessThanOrEqual(3);
      held.shift()!();
    }
    expect(acknowledged).toEqual(payloads);
  });

  test('a message larger than the Maximum Packet Size of a subscriber is left out for it alone', async () => {
    const topic = newName();
    const small = await connect({ ...v5, clientId: newName(), properties: { maximumPacketSize: 200 } });
    const large = await connect({ ...v5, clientId: newName() });
    for (const { client } of [small, large]) await client.subscribeAsync(topic, { qos: 1 });
    for (const payload of ['first', 'x'.repeat(500), 'last'])
      await large.client.publishAsync(topic, payload, { qos: 1 });
    expect((await large.received(3)).map(({ payload }) => payload.length)).toEqual([5, 500, 4]);
    expect((await small.received(2)).map(({ payload }) => payload)).toEqual(['first', 'last']);
  });

  test('the properties of a will arrive, and its delay ends with the session', async () => {
    const topic = newName();
    const witness = await connect({ ...v5, clientId: newName() });
    await witness.client.subscribeAsync(topic, { qos: 1 });
    const properties = { willDelayInterval: 600, contentType: 'text/plain', userProperties: { why: 'broke' } };
    const will = { topic, payload: Buffer.from('gone'), qos: 1 as const, retain: false, properties };
    const victim = await connect({
      ...v5,
      clientId: newName(),
      will,
      reconnectPeriod: 0,
      properties: { sessionExpiryInterval: 0 },
    });
    victim.client.stream.destroy();
    const [message] = await witness.received(1);
    expect(message!.payload).toBe('gone');
    expect(message!.packet.properties).toMatchObject({ contentType: 'text/plain', userProperties: { why: 'broke' } });
  });

  test('a client that is taken over hears why', async () => {
    const clientId = newName();
    const { client } = await connect({ ...v5, clientId, reconnectPeriod: 0 });
    const told = new Promise<number | undefined>((resolve) =>
      client.once('disconnect', (packet) => resolve(packet.reasonCode)),
    );
    await connect({ ...v5, clientId });
    expect(await told).toBe(0x8e);
  });
});

describe('in a Node.js process', () => {
  /** Transport, version, and how many messages of each QoS; WebSocket costs MQTT.js several times as much. */
  test.each([
    ['mqtt', 5, sized([5_000, 2_000, 1_000], [10_000, 10_000, 10_000])],
    ['mqtts', 4, sized([5_000, 2_000, 1_000], [10_000, 10_000, 10_000])],
    ['ws', 5, sized([3_000, 1_000, 500], [10_000, 10_000, 2_000])],
    ['wss', 3, sized([3_000, 1_000, 500], [10_000, 2_000, 2_000])],
  ] as const)(
    'over %s with protocol level %d messages of each QoS arrive in order, each once',
    async (transport, level, counts) => {
      const files = await certificateFiles();
      const script = join(import.meta.dir, 'mqttjs-volume.mjs');
      const child = Bun.spawn(['node', script, url(transport), String(level), counts.join(), files.ca], {
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
        timeout: 60_000,
      });
      const [out, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      expect([await child.exited, errors]).toEqual([0, '']);
      expect(JSON.parse(out)).toEqual({ received: [...counts], firstWrong: [-1, -1, -1] });
    },
    60_000,
  );
});
