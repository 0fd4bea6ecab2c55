// Requests to the broker under `$CONTROL/`, as Mosquitto 2.1 answers them.
import { describe, expect, test } from 'bun:test';
import { AclAccess } from '../../src/auth/acl-access.ts';
import { AnonymousAccess, type AccessControl } from '../../src/auth/access-control.ts';
import { parseAclFile } from '../../src/auth/acl-file.ts';
import { BrokerControl, type ListenerFacts } from '../../src/broker/control.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { DurableBroker } from '../support/durable-broker.ts';
import { connectDurably, subscribeDurably } from '../support/durable-peers.ts';
import { ack, exchange, expectQuiet, payloads, publishes, received } from '../support/exchanges.ts';
import { type Peer, TestBroker, text, utf8 } from '../support/test-broker.ts';

const TOPIC = '$CONTROL/broker/v1';
const RESPONSE = `${TOPIC}/response`;

const plain: ListenerFacts = {
  port: 1883,
  protocol: 'mqtt',
  host: null,
  unixPath: null,
  hasTls: false,
  requiresCertificate: false,
  isAnonymousAllowed: false,
};
const listeners: ListenerFacts[] = [
  plain,
  { ...plain, port: 8083, protocol: 'websockets', host: '127.0.0.1' },
  { ...plain, port: 8883, hasTls: true },
  { ...plain, port: 0, unixPath: '/run/mqtt.sock' },
  { ...plain, port: 9883, protocol: 'http_api' },
];

function withControl(access?: AccessControl): TestBroker {
  const t = new TestBroker({}, {}, access);
  t.broker.control = new BrokerControl(() => listeners, t.log);
  return t;
}

/** A client that asks and gets the answers to its own questions. */
function asker(t: TestBroker, clientId = 'admin'): Peer {
  const peer = t.connect({ clientId });
  peer.subscribe('$CONTROL/broker/#', 1);
  return peer;
}

/** The answers to a payload. */
function ask(peer: Peer, payload: unknown): unknown {
  peer.take();
  peer.publish(TOPIC, typeof payload === 'string' ? payload : JSON.stringify(payload));
  const [answer, ...more] = publishes(peer);
  expect(more).toEqual([]);
  expect([answer?.topicName, answer?.qos, answer?.retain]).toEqual([RESPONSE, 0, false]);
  return (JSON.parse(text(answer!.payload)) as { responses: unknown }).responses;
}

describe('$CONTROL/broker/v1', () => {
  test('listListeners tells of every listener', () => {
    const t = withControl();
    const commands = [{ command: 'listListeners', correlationData: 'x' }];
    expect(ask(asker(t), { commands })).toEqual([
      {
        command: 'listListeners',
        correlationData: 'x',
        data: {
          listeners: [
            { port: 1883, protocol: 'mqtt', tls: false },
            { port: 8083, protocol: 'mqtt+websockets', 'bind-address': '127.0.0.1', tls: false },
            { port: 8883, protocol: 'mqtt', tls: true },
            { port: 0, protocol: 'mqtt', 'socket-path': '/run/mqtt.sock', tls: false },
            { port: 9883, tls: false },
          ],
        },
      },
    ]);
    expect(t.log.lines).toContain('Broker: admin/(null) | listListeners');
  });

  test('listPlugins knows of none', () => {
    const answer = ask(asker(withControl()), { commands: [{ command: 'listPlugins' }] });
    expect(answer).toEqual([{ command: 'listPlugins', data: { plugins: [] } }]);
  });

  test('takes several commands, and names in any case', () => {
    const commands = [{ COMMAND: 'LISTPLUGINS', correlationdata: '1' }, { command: 'listplugins' }];
    expect(ask(asker(withControl()), { Commands: commands })).toEqual([
      { command: 'listPlugins', data: { plugins: [] }, correlationData: '1' },
      { command: 'listPlugins', data: { plugins: [] } },
    ]);
  });

  const unknown = 'Unknown command';
  test.each([
    ['not valid json', [{ command: unknown, error: 'Payload not valid JSON' }]],
    ['', [{ command: unknown, error: 'Payload not valid JSON' }]],
    ['{}', [{ command: unknown, error: 'Invalid/missing commands' }]],
    ['null', [{ command: unknown, error: 'Invalid/missing commands' }]],
    ['[]', [{ command: unknown, error: 'Invalid/missing commands' }]],
    ['{"commands":{}}', [{ command: unknown, error: 'Invalid/missing commands' }]],
    ['{"commands":[]}', []],
    ['{"commands":["command"]}', [{ command: unknown, error: 'Command not an object' }]],
    ['{"commands":[[]]}', [{ command: unknown, error: 'Command not an object' }]],
    ['{"commands":[{}]}', [{ command: unknown, error: 'Missing command' }]],
    ['{"commands":[{"command":1}]}', [{ command: unknown, error: 'Missing command' }]],
    ['{"commands":[{"command":"no such"}]}', [{ command: 'no such', error: unknown }]],
    [
      '{"commands":[{"command":"no such","correlationData":"c"}]}',
      [{ command: 'no such', error: unknown, correlationData: 'c' }],
    ],
    [
      '{"commands":[{"command":"listListeners","correlationData":true},{"command":"listPlugins"}]}',
      [{ command: 'listListeners', error: 'Invalid correlationData data type.' }],
    ],
    [
      '{"commands":[{"command":"listPlugins"},1,{"command":"listPlugins"}]}',
      [
        { command: 'listPlugins', data: { plugins: [] } },
        { command: unknown, error: 'Command not an object' },
      ],
    ],
  ])('answers %s as Mosquitto does', (payload, expected) => {
    expect(ask(asker(withControl()), payload)).toEqual(expected);
  });

  test('takes bytes that are no UTF-8, and what is nested too deeply, for no JSON', () => {
    const admin = asker(withControl());
    expect(ask(admin, '['.repeat(100_000))).toEqual([{ command: unknown, error: 'Payload not valid JSON' }]);
    admin.publish(TOPIC, '', { payload: Uint8Array.of(0x22, 0xff, 0x22) });
    expect(payloads(admin)).toEqual(['{"responses":[{"command":"Unknown command","error":"Payload not valid JSON"}]}']);
  });

  test('answers the client that asked and nobody else, and nobody sees the request', () => {
    const t = withControl();
    const [admin, other] = [asker(t), asker(t, 'other')];
    other.subscribe('#', 0);
    admin.publish(TOPIC, '{}', { retain: true });
    expect(publishes(admin)).toHaveLength(1);
    expectQuiet(other);
    expect(t.broker.retained.count).toBe(0);
  });

  test('answers only who subscribes to the answer, once for each subscription in MQTT 5, with its identifier', () => {
    const t = withControl();
    const admin = t.connect({ clientId: 'admin' });
    admin.publish(TOPIC, '{}');
    expectQuiet(admin);
    admin.subscribe(RESPONSE, 2, { identifier: 7 });
    admin.subscribe('$CONTROL/+/v1/#', 0);
    admin.take();
    admin.publish(TOPIC, '{}');
    expect(publishes(admin).map(({ properties }) => properties?.subscriptionIdentifiers)).toEqual([[7], undefined]);
    const old = t.connect({ version: 4, clientId: 'old' });
    old.subscribe(RESPONSE);
    old.subscribe('$CONTROL/#');
    old.take();
    old.publish(TOPIC, '{}');
    expect(publishes(old)).toHaveLength(1);
  });

  test('acknowledges ahead of the answer, and asks nothing twice', () => {
    const t = withControl();
    const admin = asker(t);
    admin.take();
    const command = { commands: [{ command: 'listPlugins' }] };
    admin.publish(TOPIC, JSON.stringify(command), { qos: 1, packetId: 3 });
    expect(admin.take().map(({ type }) => type)).toEqual([PacketType.puback, PacketType.publish]);
    const request = { qos: 2, packetId: 4 } as const;
    admin.publish(TOPIC, JSON.stringify(command), request);
    expect(admin.take().map(({ type }) => type)).toEqual([PacketType.pubrec, PacketType.publish]);
    admin.publish(TOPIC, JSON.stringify(command), { ...request, dup: true });
    expect(admin.take().map(({ type }) => type)).toEqual([PacketType.pubrec]);
    admin.send(ack(PacketType.pubrel, 4));
    expect(admin.take().map(({ type }) => type)).toEqual([PacketType.pubcomp]);
    expect(t.log.lines.filter((line) => line.endsWith('| listPlugins'))).toHaveLength(2);
  });

  test('is closed to clients that the access rules do not let in, `#` or not', () => {
    const rules = 'topic readwrite #\nuser admin\ntopic readwrite $CONTROL/broker/#\n';
    const topics = new AclAccess(parseAclFile(rules, 'acl'));
    const access: AccessControl = { authenticate: () => 0, topics };
    const t = withControl(access);
    const guest = asker(t, 'guest');
    expect(exchange(guest, publishOf('{}', 1))).toBe('4003000187');
    const admin = t.connect({ clientId: 'a', username: 'admin' });
    admin.subscribe('$CONTROL/broker/#', 1);
    expect(ask(admin, '{}')).toEqual([{ command: unknown, error: 'Invalid/missing commands' }]);
    // May write and not read: the answer does not arrive.
    const writer = new AclAccess(parseAclFile('topic write $CONTROL/broker/#\n', 'acl'));
    const blind = withControl({ authenticate: () => 0, topics: writer });
    const peer = asker(blind);
    peer.take();
    peer.publish(TOPIC, '{}');
    expectQuiet(peer);
  });
});

describe('with a store', () => {
  test('v5 [MQTT-4.6.0-2] a request is acknowledged behind what waits for the store', async () => {
    const t = await DurableBroker.open(new MemoryStore());
    const receiver = await connectDurably(t, 'receiver');
    await subscribeDurably(t, receiver, 'a', 1);
    receiver.drop();
    const sender = await connectDurably(t, 'sender', {});
    sender.publish('a', 'x', { qos: 1, packetId: 5 });
    sender.publish('$CONTROL/x', '{}', { qos: 1, packetId: 6 });
    await t.settle();
    const acknowledged = sender
      .take()
      .flatMap((packet) => (packet.type === PacketType.puback ? [packet.packetId] : []));
    expect(acknowledged).toEqual([5, 6]);
  });

  test('with QoS 2 is not asked again after a crash', async () => {
    const store = new MemoryStore();
    const before = await DurableBroker.open(store);
    const sender = await connectDurably(before, 'sender');
    const request = { qos: 2, packetId: 7 } as const;
    sender.publish('$CONTROL/x', '{}', request);
    await before.settle();
    expect(
      sender
        .take()
        .map(({ type }) => type)
        .toSorted(),
    ).toEqual([PacketType.publish, PacketType.pubrec]);
    before.crash();
    const after = await DurableBroker.open(store);
    const again = await connectDurably(after, 'sender');
    again.publish('$CONTROL/x', '{}', { ...request, dup: true });
    await after.settle();
    expect(again.take().map(({ type }) => type)).toEqual([PacketType.pubrec]);
    again.send(ack(PacketType.pubrel, 7));
    await after.settle();
    expect(again.take().map(({ type }) => type)).toEqual([PacketType.pubcomp]);
  });
});

function publishOf(payload: string, packetId: number) {
  return {
    type: PacketType.publish,
    dup: false,
    qos: 1,
    retain: false,
    topicName: TOPIC,
    packetId,
    properties: null,
    payload: utf8(payload),
  } as const;
}

describe('a topic under $CONTROL that nobody answers', () => {
  test.each([4, 5] as const)(
    'is acknowledged, and its client alone is told, subscribed or not (MQTT %p)',
    (version) => {
      const t = new TestBroker({}, {}, new AnonymousAccess(true));
      const watcher = t.connect({ clientId: 'watcher' });
      watcher.subscribe('$CONTROL/#');
      watcher.take();
      const peer = t.connect({ version, clientId: 'c' });
      peer.publish('$CONTROL/other/v1', 'x', { qos: 1, packetId: 1 });
      const [first, second] = peer.take();
      expect(first).toMatchObject({ type: PacketType.puback, packetId: 1, reasonCode: 0 });
      expect(second).toMatchObject({ type: PacketType.publish, topicName: '$CONTROL/other/v1/response', qos: 0 });
      expect(text((second as { payload: Uint8Array }).payload)).toBe('{"error": "endpoint not available"}');
      expectQuiet(watcher);
    },
  );

  test('is $CONTROL/broker/v1 unless the configuration opens it', () => {
    const t = new TestBroker();
    const peer = asker(t);
    peer.take();
    peer.publish(TOPIC, '{"commands":[{"command":"listListeners"}]}');
    expect(payloads(peer)).toEqual(['{"error": "endpoint not available"}']);
  });

  test('is not $CONTROL itself, which is a topic like others', () => {
    const t = new TestBroker();
    const watcher = t.connect({ clientId: 'watcher' });
    watcher.subscribe('$CONTROL');
    watcher.take();
    t.connect({ clientId: 'c' }).publish('$CONTROL', 'x');
    expect(received(watcher)).not.toBe('');
  });
});
