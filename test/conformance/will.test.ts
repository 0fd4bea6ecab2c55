/** Will Messages: v5 sections 3.1.2.5 to 3.1.2.7 and 3.1.3.2, v3.1.1 the same. When they go out is in will-delay.test.ts. */
import { expect, test } from 'bun:test';
import type { AccessControl } from '../../src/auth/access-control.ts';
import type { ProtocolVersion, QoS } from '../../src/protocol/packet-type.ts';
import type { Properties } from '../../src/protocol/properties.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { type ConnectOptions, connectPacket, type Peer, TestBroker, text, utf8 } from '../support/test-broker.ts';
import { expectQuiet, publishes } from '../support/exchanges.ts';

interface WillOptions {
  topicName?: string;
  payload?: string;
  qos?: QoS;
  retain?: boolean;
  properties?: Properties;
}

function will(options: WillOptions = {}): NonNullable<ConnectOptions['will']> {
  return {
    topicName: options.topicName ?? 'w',
    payload: utf8(options.payload ?? 'gone'),
    qos: options.qos ?? 0,
    retain: options.retain ?? false,
    properties: options.properties ?? null,
  };
}

function watch(t: TestBroker, topicFilter = 'w', version: ProtocolVersion = 5): Peer {
  const watcher = t.connect({ version, clientId: 'watcher' });
  watcher.subscribe(topicFilter, 2, { retainAsPublished: version === 5 });
  return watcher;
}

/** Every way for a connection to end in which its will is published at once, in any version. */
const ends: Record<string, (t: TestBroker, peer: Peer) => void> = {
  'network lost': (_, peer) => peer.drop(),
  'keep alive exceeded': (t) => t.advance(20_000),
  'reserved flags': (_, peer) => void peer.send('c1 00'),
  'second CONNECT': (_, peer) => void peer.send('10 00'),
  'packet too large': (_, peer) => void peer.send('30 ff ff ff ff'),
  'taken over with Clean Start': (t) => void t.connect({ clientId: 'c1' }),
  'taken over without Clean Start': (t) => void t.connect({ clientId: 'c1', cleanStart: false }),
  'server stops': (t) => t.broker.stop(),
};

test('v5 [MQTT-3.1.2-7] [MQTT-3.1.2-8] publishes the will once, however the connection ends without DISCONNECT 0x00', () => {
  const v5Ends: typeof ends = {
    ...ends,
    'DISCONNECT 0x04': (_, peer) => peer.disconnect(0x04),
    'DISCONNECT 0x80': (_, peer) => peer.disconnect(0x80),
    'DISCONNECT with a reason code that is none': (_, peer) => void peer.send('e0 01 03'),
    'DISCONNECT with reserved flags': (_, peer) => void peer.send('e1 00'),
  };
  for (const [how, end] of Object.entries(v5Ends)) {
    for (const expiry of [0, 300]) {
      const t = new TestBroker();
      const watcher = watch(t);
      const properties = { sessionExpiryInterval: expiry };
      end(t, t.connect({ clientId: 'c1', keepAlive: 10, properties, will: will() }));
      const got = publishes(watcher).map(({ topicName, payload }) => [topicName, text(payload)]);
      expect([how, expiry, got]).toEqual([how, expiry, [['w', 'gone']]]);
      expect(t.broker.counters.willsPublished).toBe(1);
    }
  }
});

test('v3.1.1 [MQTT-3.1.2-8] publishes the will once, however the connection ends without DISCONNECT', () => {
  const oldEnds: typeof ends = { ...ends, 'DISCONNECT with reserved flags': (_, peer) => void peer.send('e1 00') };
  for (const [how, end] of Object.entries(oldEnds)) {
    for (const cleanStart of [true, false]) {
      const t = new TestBroker();
      const watcher = watch(t);
      end(t, t.connect({ version: 4, clientId: 'c1', keepAlive: 10, cleanStart, will: will() }));
      const got = publishes(watcher).map(({ payload }) => text(payload));
      expect([how, cleanStart, got]).toEqual([how, cleanStart, ['gone']]);
    }
  }
});

test('v5 [MQTT-3.1.2-10] forgets the will once it is published or DISCONNECT 0x00 came', () => {
  const t = new TestBroker();
  const watcher = watch(t);
  const options = { clientId: 'c1', cleanStart: false, properties: { sessionExpiryInterval: 300 } };
  t.connect({ ...options, will: will() }).drop();
  expect(publishes(watcher).length).toBe(1);
  t.connect(options).drop();
  t.connect({ ...options, will: will() }).disconnect();
  t.connect(options).drop();
  t.advance(400_000);
  expectQuiet(watcher);
});

test('v3.1.1 [MQTT-3.1.2-10] forgets the will once it is published or DISCONNECT came', () => {
  const t = new TestBroker();
  const watcher = watch(t);
  const options = { version: 4, clientId: 'c1', cleanStart: false } as const;
  t.connect({ ...options, will: will() }).drop();
  expect(publishes(watcher).length).toBe(1);
  t.connect(options).drop();
  t.connect({ ...options, will: will() }).disconnect();
  t.connect(options).drop();
  expectQuiet(watcher);
});

test('v3.1.1 [MQTT-3.1.2-12] publishes no will where Will Flag is 0', () => {
  const t = new TestBroker();
  const watcher = watch(t, '#');
  t.connect({ version: 4, clientId: 'c1' }).drop();
  expectQuiet(watcher);
  expect(t.broker.counters.willsPublished).toBe(0);
});

test('v5 [MQTT-3.1.2-12] publishes a will at the QoS it asks for', () => {
  for (const qos of [0, 1, 2] as const) {
    const t = new TestBroker();
    const watcher = watch(t);
    t.connect({ clientId: 'c1', will: will({ qos }) }).drop();
    expect(publishes(watcher).map((packet) => packet.qos)).toEqual([qos]);
  }
});

test('v3.1.1 [MQTT-3.1.2-9] [MQTT-3.1.2-14] publishes a will with the QoS and RETAIN it asks for', () => {
  for (const qos of [0, 1, 2] as const) {
    for (const retain of [false, true]) {
      const t = new TestBroker();
      const watcher = watch(t);
      t.connect({ version: 4, clientId: 'c1', will: will({ qos, retain }) }).drop();
      expect(publishes(watcher).map((packet) => [packet.qos, packet.retain])).toEqual([[qos, retain]]);
    }
  }
});

for (const version of [4, 5] as const) {
  const notRetained =
    version === 5
      ? 'v5 [MQTT-3.1.2-14] publishes a will with Will Retain 0 without retaining it'
      : 'v3.1.1 [MQTT-3.1.2-16] publishes a will with Will Retain 0 without retaining it';
  test(notRetained, () => {
    const t = new TestBroker();
    const watcher = watch(t);
    t.connect({ version, clientId: 'c1', will: will() }).drop();
    expect(publishes(watcher).map((packet) => packet.retain)).toEqual([false]);
    const late = t.connect({ version, clientId: 'late' });
    late.subscribe('w');
    expectQuiet(late);
  });

  const retained =
    version === 5
      ? 'v5 [MQTT-3.1.2-15] publishes a will with Will Retain 1 as a retained message'
      : 'v3.1.1 [MQTT-3.1.2-17] publishes a will with Will Retain 1 as a retained message';
  test(retained, () => {
    const t = new TestBroker();
    const watcher = watch(t);
    t.connect({ version, clientId: 'c1', will: will({ retain: true }) }).drop();
    expect(publishes(watcher).map((packet) => packet.retain)).toEqual([true]);
    const late = t.connect({ version, clientId: 'late' });
    late.subscribe('w');
    expect(publishes(late).map((packet) => [packet.retain, text(packet.payload)])).toEqual([[true, 'gone']]);
  });
}

test('a retained will with an empty payload removes what is retained', () => {
  const t = new TestBroker();
  const peer = t.connect({ clientId: 'c1', will: will({ payload: '', retain: true }) });
  peer.publish('w', 'here', { retain: true });
  expect(t.broker.retained.count).toBe(1);
  peer.drop();
  expect(t.broker.retained.count).toBe(0);
});

test('v5 [MQTT-3.1.3-10] keeps the order of User Properties, and hands on every property but the delay', () => {
  const t = new TestBroker();
  const watcher = watch(t);
  const properties: Properties = {
    payloadFormatIndicator: 1,
    contentType: 'text/plain',
    responseTopic: 'answers',
    correlationData: Uint8Array.of(0, 255, 128),
    userProperties: [
      ['k', '1'],
      ['a', '2'],
      ['k', '3'],
      ['', ''],
    ],
  };
  const peer = t.connect({ clientId: 'c1', will: will({ properties: { willDelayInterval: 0, ...properties } }) });
  peer.drop();
  expect(publishes(watcher)[0]!.properties).toEqual(properties);
});

test('v5 the Message Expiry Interval of a will counts from when it is published', () => {
  const t = new TestBroker();
  const watcher = watch(t);
  const properties = { willDelayInterval: 10, messageExpiryInterval: 5 };
  t.connect({
    clientId: 'c1',
    properties: { sessionExpiryInterval: 300 },
    will: will({ retain: true, properties }),
  }).drop();
  t.advance(10_000);
  expect(publishes(watcher)[0]!.properties).toEqual({ messageExpiryInterval: 5 });
  t.advance(3_000);
  const inTime = t.connect({ clientId: 'in time' });
  inTime.subscribe('w');
  expect(publishes(inTime)[0]!.properties).toEqual({ messageExpiryInterval: 2 });
  t.advance(3_000);
  const late = t.connect({ clientId: 'late' });
  late.subscribe('w');
  expectQuiet(late);
});

test('v5 the reconnecting client replaces the will of its last connection', () => {
  const t = new TestBroker();
  const watcher = watch(t, '#');
  const properties = { sessionExpiryInterval: 300 };
  t.connect({ clientId: 'c1', properties, will: will({ topicName: 'old' }) });
  const young = t.connect({ clientId: 'c1', cleanStart: false, properties, will: will({ topicName: 'new' }) });
  young.drop();
  expect(publishes(watcher).map((packet) => packet.topicName)).toEqual(['old', 'new']);
});

test('v5 a client that resumes a session gets its own will as it subscribed to it', () => {
  const t = new TestBroker();
  const options = {
    clientId: 'c1',
    cleanStart: false,
    properties: { sessionExpiryInterval: 300 },
    will: will({ qos: 1 }),
  };
  const peer = t.connect(options);
  peer.subscribe('w', 1);
  peer.drop();
  const again = t.connect(options);
  expect(publishes(again).map((packet) => text(packet.payload))).toEqual(['gone']);
});

test('the will of a session goes to a shared subscription as any message', () => {
  const t = new TestBroker();
  const members = ['m1', 'm2'].map((clientId) => t.connect({ clientId }));
  for (const member of members) member.subscribe('$share/g/w');
  for (let i = 0; i < 4; i++) t.connect({ clientId: 'c1', will: will() }).drop();
  expect(members.map((member) => publishes(member).length)).toEqual([2, 2]);
});

test('a will on a topic of the broker itself is not published, as in Mosquitto, and one on $CONTROL is refused', () => {
  const t = new TestBroker();
  const watcher = watch(t, '$SYS/#');
  for (const topicName of ['$SYS/broker/uptime', '$SYS', '$share/g/w']) {
    t.connect({ clientId: 'c1', will: will({ topicName, retain: true }) }).drop();
  }
  expectQuiet(watcher);
  expect(t.broker.retained.count).toBe(0);
  expect(t.broker.counters).toMatchObject({ willsDenied: 3, willsPublished: 0 });
  expect(t.log.lines).toContain("Denied will of c1 ('$SYS', ... (4 bytes))");
  t.connect({ clientId: 'bridge', will: will({ topicName: '$SYS/broker/connection/b/state' }) }).drop();
  expect(publishes(watcher).length).toBe(1);
  // As Mosquitto: no CONNACK, whatever the version.
  const refused = t.open();
  refused.send(connectPacket({ clientId: 'c1', will: will({ topicName: '$CONTROL/dynamic-security/v1' }) }));
  refused.expectNothing();
  expect(refused.isClosed).toBe(true);
});

test('a will goes only where its client may publish when it goes out', () => {
  const closed = new Set<string>();
  const access: AccessControl = {
    authenticate: () => ReasonCode.success,
    topics: {
      canPublish: ({ clientId, username }, topicName) => !closed.has(`${clientId} ${username} ${topicName}`),
      canSubscribe: () => true,
    },
  };
  const t = new TestBroker({}, {}, access);
  const watcher = watch(t);
  const options = { clientId: 'c1', username: 'u', will: will({ retain: true }) };
  const peer = t.connect(options);
  closed.add('c1 u w');
  peer.drop();
  expectQuiet(watcher);
  expect([t.broker.retained.count, t.broker.counters.willsDenied]).toEqual([0, 1]);
  closed.clear();
  t.connect(options).drop();
  expect(publishes(watcher).length).toBe(1);
});
