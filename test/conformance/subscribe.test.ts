/** SUBSCRIBE and SUBACK: v5 sections 3.8 and 3.9, v3.1.1 sections 3.8 and 3.9. */
import { expect, test } from 'bun:test';
import type { AccessControl } from '../../src/auth/access-control.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import type { SubscribePacket, SubscriptionRequest } from '../../src/protocol/subscribe.ts';
import {
  drainMessages,
  exchange,
  expectQuiet,
  payloads,
  publishes,
  publishWhole,
  testRefusals,
} from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

const guarded: AccessControl = {
  authenticate: () => ReasonCode.success,
  topics: { canPublish: () => true, canSubscribe: (_identity, topicFilter) => !topicFilter.includes('secret') },
};

type Wanted = readonly [topicFilter: string, qos: QoS, options?: Partial<SubscriptionRequest>];

function subscribe(wanted: readonly Wanted[], packetId = 1): SubscribePacket {
  return {
    type: PacketType.subscribe,
    packetId,
    properties: null,
    subscriptions: wanted.map(([topicFilter, qos, options]) => ({
      topicFilter,
      qos,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      ...options,
    })),
  };
}

const codesOf = (peer: Peer, wanted: readonly Wanted[]): number[] =>
  peer.send(subscribe(wanted)).expect(PacketType.suback).reasonCodes;

testRefusals(ProtocolVersion.v5, [
  {
    name: 'v5 [MQTT-3.8.1-1] refuses a SUBSCRIBE whose low flag bits are not 0010',
    send: ['800700010000016100', '810700010000016100', '830700010000016100', '8a0700010000016100'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-3.8.3-1] refuses a topic filter that is not UTF-8',
    send: ['82070001000001ff00', '820900010000 03eda080 00'],
    reasonCode: 0x81,
  },
  { name: 'v5 [MQTT-3.8.3-2] refuses a SUBSCRIBE without a topic filter', send: ['8203000100'], reasonCode: 0x82 },
  {
    name: 'v5 section 3.8.3 refuses a topic filter without options, and no property length',
    send: ['8206000100000161', '82020001', '820a00010000016100000162'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-3.8.3-5] refuses reserved option bits',
    send: ['820700010000016140', '820700010000016180', '8207000100000161c1'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 section 3.8.3.1 refuses QoS 3 and Retain Handling 3',
    send: ['820700010000016103', '820700010000016130'],
    reasonCode: 0x82,
  },
  {
    name: 'v5 section 3.8.2.1.2 refuses Subscription Identifier 0 and two of them',
    send: ['82090001020b0000016100', '820b0001040b010b0200016100'],
    reasonCode: 0x82,
  },
  {
    name: 'v5 [MQTT-2.2.1-3] refuses packet identifier 0 in SUBSCRIBE and UNSUBSCRIBE',
    send: ['820700000000016100', 'a206000000000161'],
    reasonCode: 0x82,
  },
]);

testRefusals(ProtocolVersion.v311, [
  {
    name: 'v3.1.1 [MQTT-3.8.1-1] closes on a SUBSCRIBE whose low flag bits are not 0010',
    send: ['8006000100016100', '8106000100016100', '8306000100016100'],
  },
  { name: 'v3.1.1 [MQTT-3.8.3-1] closes on a topic filter that is not UTF-8', send: ['820600010001ff00'] },
  {
    name: 'v3.1.1 [MQTT-3.8.3-3] closes on a SUBSCRIBE without a topic filter or without its QoS',
    send: ['82020001', '82050001000161'],
  },
  {
    name: 'v3.1.1 [MQTT-3.8.3-4] closes on reserved payload bits and on QoS 3',
    send: ['8206000100016103', '8206000100016104', '8206000100016180'],
  },
  {
    name: 'v3.1.1 [MQTT-2.3.1-1] closes on packet identifier 0 in SUBSCRIBE and UNSUBSCRIBE',
    send: ['8206000000016100', 'a2050000000161'],
  },
]);

test('v5 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.2.1-6] v3.1.1 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.3.1-7] answers with SUBACK of the same identifier', () => {
  const t = new TestBroker();
  const v5 = t.connect({ clientId: 'c5' });
  expect(exchange(v5, '820700010000016100')).toBe('900400010000');
  expect(exchange(v5, '8207ffff000001610182070001000001 6202')).toBe('9004ffff0001' + '900400010002');
  const v3 = t.connect({ version: 4, clientId: 'c3' });
  expect(exchange(v3, '8206000100016100')).toBe('9003000100');
  expect(exchange(v3, '8206ffff00016101' + '8206000100016202')).toBe('9003ffff01' + '9003000102');
});

test('v5 [MQTT-3.8.4-3] v3.1.1 [MQTT-3.8.4-3] a second SUBSCRIBE for a filter replaces the first', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const subscriber = t.connect({ version, clientId: 's' });
    const publisher = t.connect({ clientId: 'p' });
    subscriber.subscribe('a', 0, { noLocal: version === 5 });
    if (version === 5) subscriber.subscribe('a', 2, { identifier: 7, retainAsPublished: true });
    else subscriber.subscribe('a', 2);
    expect(t.broker.tree.subscriptionCount).toBe(1);
    publishWhole(publisher, 'a', 'x', 2, { retain: true });
    publishWhole(publisher, 'a', '', 2, { retain: true });
    const [packet, ...others] = drainMessages(subscriber);
    expect(packet).toMatchObject({ qos: 2, retain: version === 5 });
    expect(packet?.properties ?? null).toEqual(version === 5 ? { subscriptionIdentifiers: [7] } : null);
    expect(others.length).toBe(1);
    // No Local is gone, and so are the identifier and Retain As Published after the next one.
    subscriber.subscribe('a', 1);
    publishWhole(subscriber, 'a', 'own', 1);
    expect(drainMessages(subscriber)).toMatchObject([{ qos: 1, retain: false, properties: null }]);
    expect(exchange(subscriber, version === 5 ? 'a206000200000161' : 'a2050002000161')).toBe(
      version === 5 ? 'b00400020000' : 'b0020002',
    );
    publishWhole(publisher, 'a', 'x', 2);
    expectQuiet(subscriber);
  }
});

test('v5 [MQTT-3.8.4-4] v3.1.1 [MQTT-3.8.4-3] replacing a subscription sends retained messages again and loses no message', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const subscriber = t.connect({ version, clientId: 's' });
    const publisher = t.connect({ clientId: 'p' });
    publishWhole(publisher, 'r', 'kept', 1, { retain: true });
    const live: string[] = [];
    let kept = 0;
    for (let i = 0; i < 1_000; i++) {
      if (i % 7 === 0) {
        expect(codesOf(subscriber, [['#', i % 2 === 0 ? 1 : 2]])).toEqual([i % 2 === 0 ? 1 : 2]);
      }
      publishWhole(publisher, i % 2 === 0 ? 'a' : 'r', `${i}`, 1);
      for (const { retain, payload } of drainMessages(subscriber)) {
        if (retain) kept++;
        else live.push(text(payload));
      }
    }
    expect(live).toEqual(Array.from({ length: 1_000 }, (_, i) => `${i}`));
    expect(kept).toBe(Math.ceil(1_000 / 7));
  }
});

test('v5 [MQTT-3.8.4-5] v3.1.1 [MQTT-3.8.4-4] several filters in one SUBSCRIBE are as many, with one SUBACK', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const subscriber = t.connect({ version, clientId: 's' });
    const publisher = t.connect({ clientId: 'p' });
    for (const topicName of ['a', 'b', 'c/d'])
      publishWhole(publisher, topicName, `old ${topicName}`, 2, { retain: true });
    const wanted: Wanted[] = [
      ['a', 0],
      ['b', 1],
      ['c/#', 2],
      ['a', 1],
    ];
    expect(codesOf(subscriber, wanted)).toEqual([0, 1, 2, 1]);
    // The subscription of `a` has its last QoS when the first of its two turns comes.
    expect(drainMessages(subscriber).map(({ qos, retain, payload }) => [text(payload), qos, retain])).toEqual([
      ['old a', 1, true],
      ['old b', 1, true],
      ['old c/d', 2, true],
      ['old a', 1, true],
    ]);
    for (const topicName of ['a', 'b', 'c/d']) publishWhole(publisher, topicName, topicName, 2);
    expect(drainMessages(subscriber).map(({ qos, payload }) => [text(payload), qos])).toEqual([
      ['a', 1],
      ['b', 1],
      ['c/d', 2],
    ]);
    expect(t.broker.sessions.get('s')?.subscriptionCount).toBe(3);
  }
});

test('v5 [MQTT-3.8.4-6] gives one reason code per filter', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  for (const count of [1, 2, 50, 500]) {
    const wanted = Array.from({ length: count }, (_, i): Wanted => [`f/${i}`, (i % 3) as QoS]);
    expect(codesOf(subscriber, wanted)).toEqual(wanted.map(([, qos]) => qos));
  }
  expect(t.broker.tree.subscriptionCount).toBe(500);
});

test('v5 [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] v3.1.1 [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] shows per filter, in their order, the granted QoS or that it refused', () => {
  const wanted: Wanted[] = [
    ['a', 2],
    ['b', 0],
    ['c', 1],
    ['secret', 1],
    ['d', 2],
    ['$share/g/secret', 0],
    ['$share/g/e', 1],
  ];
  for (const [version, refused] of [
    [4, 0x80],
    [5, 0x87],
  ] as const) {
    const t = new TestBroker({}, {}, guarded);
    const subscriber = t.connect({ version, clientId: 's' });
    expect(codesOf(subscriber, wanted)).toEqual([2, 0, 1, refused, 2, refused, 1]);
    publishWhole(t.connect({ clientId: 'p' }), 'secret', 'x', 1);
    expectQuiet(subscriber);
    expect(t.broker.tree.subscriptionCount).toBe(5);
  }
});

test('v5 [MQTT-3.2.2-10] [MQTT-3.8.4-7] grants what the listener has where it takes lower QoS only', () => {
  const t = new TestBroker({}, { maxQos: 1 });
  const subscriber = t.connect({ clientId: 's' });
  expect(
    codesOf(subscriber, [
      ['a', 0],
      ['b', 1],
      ['c', 2],
    ]),
  ).toEqual([0, 1, 1]);
  publishWhole(t.connect({ clientId: 'p' }), 'c', 'x', 1);
  expect(publishes(subscriber)).toMatchObject([{ qos: 1 }]);
});

test('v5 [MQTT-3.8.4-8] v3.1.1 [MQTT-3.8.4-6] delivers at the lower of published and granted QoS, live, retained and queued', () => {
  for (const version of [4, 5] as const) {
    for (const published of [0, 1, 2] as const) {
      for (const granted of [0, 1, 2] as const) {
        const t = new TestBroker();
        const connect = () =>
          version === 5
            ? t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 100 } })
            : t.connect({ version, clientId: 's', cleanStart: false });
        const subscriber = connect();
        const publisher = t.connect({ clientId: 'p' });
        const lower = Math.min(published, granted) as QoS;
        publishWhole(publisher, 'r', 'x', published, { retain: true });
        subscriber.subscribe('+', granted);
        publishWhole(publisher, 'a', 'x', published);
        expect(drainMessages(subscriber).map(({ topicName, qos }) => [topicName, qos])).toEqual([
          ['r', lower],
          ['a', lower],
        ]);
        subscriber.drop();
        publishWhole(publisher, 'a', 'x', published);
        expect(drainMessages(connect()).map(({ qos }) => qos)).toEqual(lower === 0 ? [] : [lower]);
      }
    }
  }
});

test('v5 [MQTT-3.8.3-3] No Local keeps the messages of a client from itself, over a reconnect too', () => {
  const t = new TestBroker();
  const properties = { sessionExpiryInterval: 300 };
  const connect = (will: Parameters<typeof t.connect>[0] = {}) =>
    t.connect({ clientId: 'c1', cleanStart: false, properties, ...will });
  const first = connect();
  first.subscribe('a', 2, { noLocal: true });
  const second = t.connect({ clientId: 'c2' });
  second.subscribe('a', 2, { noLocal: true });
  for (const qos of [0, 1, 2] as const) publishWhole(first, 'a', `from c1 ${qos}`, qos);
  expectQuiet(first);
  expect(drainMessages(second).map(({ payload }) => text(payload))).toEqual(['from c1 0', 'from c1 1', 'from c1 2']);
  for (const qos of [0, 1, 2] as const) publishWhole(second, 'a', `from c2 ${qos}`, qos);
  expectQuiet(second);
  expect(drainMessages(first).map(({ payload }) => text(payload))).toEqual(['from c2 0', 'from c2 1', 'from c2 2']);

  // A message that the client released on its next connection is still its own, and so is its will.
  first.publish('a', 'own', { qos: 2, packetId: 4 }).expect(PacketType.pubrec);
  first.drop();
  const back = connect({
    will: { topicName: 'a', payload: new Uint8Array(1), qos: 1, retain: false, properties: null },
  });
  back.send('62020004').expect(PacketType.pubcomp);
  expectQuiet(back);
  back.drop();
  expectQuiet(connect());
});

test('v5 [MQTT-3.3.4-2] v3.1.1 [MQTT-3.3.5-1] overlapping subscriptions get the highest QoS of those that match', () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'p' });
  const wanted: Wanted[] = [
    ['a/#', 0],
    ['a/+', 2],
    ['+/b', 1],
    ['other', 2],
  ];
  const old = t.connect({ version: 4, clientId: 'c4' });
  codesOf(old, wanted);
  const v5 = t.connect({ clientId: 'c5' });
  codesOf(v5, wanted);
  publishWhole(publisher, 'a/b', 'x', 2);
  expect(drainMessages(old).map(({ qos }) => qos)).toEqual([2]);
  expect(
    drainMessages(v5)
      .map(({ qos }) => qos)
      .sort(),
  ).toEqual([0, 1, 2]);
  publishWhole(publisher, 'a/b', 'x', 1);
  expect(drainMessages(old).map(({ qos }) => qos)).toEqual([1]);
});

test('v5 [MQTT-3.3.4-3] [MQTT-3.3.4-5] each of several copies carries the identifier and the QoS of its own subscription', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's', properties: { sessionExpiryInterval: 100 } });
  subscriber.subscribe('a/#', 0, { identifier: 1 });
  subscriber.subscribe('a/+', 2, { identifier: 200 });
  subscriber.subscribe('+/b', 1);
  subscriber.subscribe('a/b', 1, { identifier: 268_435_455 });
  const publisher = t.connect({ clientId: 'p' });
  const seen = (peer: Peer) =>
    drainMessages(peer)
      .map(({ qos, properties }) => [properties?.subscriptionIdentifiers, qos])
      .sort((one, other) => String(one[0]).localeCompare(String(other[0])));
  publishWhole(publisher, 'a/b', 'x', 2);
  expect(seen(subscriber)).toEqual([
    [[1], 0],
    [[200], 2],
    [[268_435_455], 1],
    [undefined, 1],
  ]);
  exchange(subscriber, { type: PacketType.unsubscribe, packetId: 3, properties: null, topicFilters: ['a/+'] });
  subscriber.drop();
  publishWhole(publisher, 'a/b', 'x', 2);
  expect(seen(t.connect({ clientId: 's', cleanStart: false }))).toEqual([
    [[268_435_455], 1],
    [undefined, 1],
  ]);
});

test('a client gets one copy for each of two sessions, and none for a subscription of another', () => {
  const t = new TestBroker();
  const peers = Array.from({ length: 20 }, (_, i) => t.connect({ version: i % 2 === 0 ? 4 : 5, clientId: `s${i}` }));
  for (const peer of peers) {
    codesOf(peer, [
      ['a/#', 1],
      ['a/+', 1],
    ]);
  }
  publishWhole(t.connect({ clientId: 'p' }), 'a/b', 'x', 1);
  expect(peers.map((peer) => payloads(peer).length)).toEqual(peers.map((_, i) => (i % 2 === 0 ? 1 : 2)));
});
