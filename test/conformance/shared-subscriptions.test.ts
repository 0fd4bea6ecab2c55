/** Shared Subscriptions: v5 section 4.8.2. */
import { expect, test } from 'bun:test';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import {
  ack,
  drainMessages,
  exchange,
  expectQuiet,
  payloads,
  publishes,
  publishWhole,
  testRefusals,
} from '../support/exchanges.ts';
import { type ConnectOptions, type Peer, TestBroker, text, utf8 } from '../support/test-broker.ts';

const { pubrec, pubrel, pubcomp, puback } = PacketType;
const FILTER = '$share/g/a';

function member(t: TestBroker, clientId: string, qos: QoS = 1, options: ConnectOptions = {}): Peer {
  const peer = t.connect({ clientId, properties: { sessionExpiryInterval: 300 }, ...options });
  peer.subscribe(FILTER, qos);
  return peer;
}

function publishMany(t: TestBroker, count: number, qos: QoS, from = 0): void {
  const publisher = t.connect({ version: 4, clientId: 'p' });
  for (let i = from; i < from + count; i++) publishWhole(publisher, 'a', `${i}`, qos);
  publisher.disconnect();
}

/** SUBSCRIBE with one filter, as hex. */
function subscribeHex(topicFilter: string, options: string): string {
  const bytes = utf8(topicFilter);
  const body = `000100${bytes.length.toString(16).padStart(4, '0')}${Buffer.from(bytes).toString('hex')}${options}`;
  return `82${(body.length / 2).toString(16).padStart(2, '0')}${body}`;
}

testRefusals(ProtocolVersion.v5, [
  {
    name: 'v5 [MQTT-3.8.3-4] refuses No Local on a shared subscription',
    send: [subscribeHex('$share/g/a', '04'), subscribeHex('$share/g/#', '0d')],
    reasonCode: 0x82,
  },
  {
    name: 'v5 [MQTT-4.8.2-1] refuses a shared filter without a share name',
    send: [subscribeHex('$share//a', '00'), subscribeHex('$share//', '00')],
    reasonCode: 0x82,
  },
  {
    name: 'v5 [MQTT-4.8.2-2] refuses a share name with a wildcard and one without a filter behind it',
    send: [subscribeHex('$share/g', '00'), subscribeHex('$share/g/', '00'), subscribeHex('$share/+/a', '00')],
    reasonCode: 0x82,
  },
  {
    name: 'v5 [MQTT-4.8.2-2] refuses wildcards that are no level of their own in a shared filter',
    send: [subscribeHex('$share/g+/a', '00'), subscribeHex('$share/#/a', '00'), subscribeHex('$share/g/a#', '00')],
    reasonCode: 0x81,
  },
]);

test('v5 [MQTT-4.8.2-1] accepts $share, a name and a filter, and gives each message to one member in turn', () => {
  const t = new TestBroker();
  const members = ['1', '2', '3'].map((id) => member(t, id));
  const old = t.connect({ version: 4, clientId: 'old' });
  expect(old.subscribe(FILTER, 1).reasonCodes).toEqual([1]);
  members.push(old);
  publishMany(t, 400, 1);
  const shares = members.map((peer) => drainMessages(peer).map(({ payload }) => Number(text(payload))));
  expect(shares.map((share) => share.length)).toEqual([100, 100, 100, 100]);
  expect(new Set(shares.flat()).size).toBe(400);
});

test('v5 [MQTT-4.8.2-1] deals fairly among members that acknowledge at once, at each QoS', () => {
  for (const qos of [0, 1, 2] as const) {
    const t = new TestBroker();
    const members = ['1', '2', '3'].map((id) => member(t, id, qos));
    const shares = [0, 0, 0];
    for (let i = 0; i < 90; i++) {
      publishMany(t, 1, qos, i);
      members.forEach((peer, at) => (shares[at]! += drainMessages(peer).length));
    }
    expect(shares).toEqual([30, 30, 30]);
  }
});

test('groups, plain subscriptions and other filters each get their own copy', () => {
  const t = new TestBroker();
  const one = t.connect({ clientId: 'one' });
  one.subscribe('$share/g/a', 1, { identifier: 1 });
  one.subscribe('$share/h/a', 1, { identifier: 2 });
  one.subscribe('$share/g/+', 1, { identifier: 3 });
  one.subscribe('a', 1, { identifier: 4 });
  publishMany(t, 1, 1);
  const identifiers = drainMessages(one).map(({ properties }) => properties?.subscriptionIdentifiers?.[0]);
  expect(identifiers.sort()).toEqual([1, 2, 3, 4]);
  const old = t.connect({ version: 4, clientId: 'old' });
  old.subscribe('$share/i/a', 1);
  old.subscribe('a', 1);
  publishMany(t, 1, 1);
  expect(drainMessages(old).length).toBe(2);
});

test('v5 [MQTT-4.8.2-3] each member gets its share at the QoS granted to it', () => {
  const t = new TestBroker();
  const members = ([0, 1, 2] as const).map((qos) => member(t, `q${qos}`, qos));
  publishMany(t, 30, 2);
  for (const [qos, peer] of members.entries()) {
    const got = drainMessages(peer);
    expect(got.length).toBeGreaterThan(5);
    expect(got.every((packet) => packet.qos === qos)).toBe(true);
  }
});

test('v5 [MQTT-4.8.2-4] finishes a begun QoS 2 delivery with the same member when it comes back', () => {
  const t = new TestBroker();
  const first = member(t, 'first', 2);
  publishMany(t, 2, 2);
  expect(payloads(first)).toEqual(['0', '1']);
  first.send(ack(pubrec, 1)).expect(pubrel);
  const second = member(t, 'second', 2);
  first.drop();
  expectQuiet(second);
  const back = t.connect({ clientId: 'first', cleanStart: false });
  expect(back.take()).toMatchObject([
    { type: PacketType.publish, dup: true, packetId: 2, qos: 2 },
    { type: pubrel, packetId: 1 },
  ]);
  back.send(ack(pubcomp, 1));
  back.send(ack(pubrec, 2)).expect(pubrel);
  back.send(ack(pubcomp, 2));
  expectQuiet(second);
});

test('v5 [MQTT-4.8.2-5] gives a begun QoS 2 delivery to nobody else when the session of its member ends', () => {
  for (const end of ['expires', 'starts anew', 'ends with its connection'] as const) {
    const t = new TestBroker();
    const expiry = end === 'expires' ? 1 : end === 'starts anew' ? 300 : 0;
    const first = member(t, 'first', 2, { properties: { sessionExpiryInterval: expiry } });
    publishMany(t, 1, 2);
    expect(payloads(first)).toEqual(['0']);
    const second = member(t, 'second', 2);
    first.drop();
    if (end === 'starts anew') t.connect({ clientId: 'first', cleanStart: true });
    t.advance(5_000);
    expect(t.broker.counters.dropped.get(DropReason.sessionEnded)).toBe(1);
    expectQuiet(second);
  }
});

test('v5 [MQTT-4.8.2-6] drops a message that its member refused', () => {
  const t = new TestBroker();
  const first = member(t, 'first', 2);
  publishMany(t, 1, 1);
  publishMany(t, 1, 2, 1);
  expect(payloads(first)).toEqual(['0', '1']);
  const second = member(t, 'second', 2);
  first.send(ack(puback, 1, 0x80)).send(ack(pubrec, 2, 0x83));
  expectQuiet(first);
  first.drop();
  expectQuiet(second);
  expectQuiet(t.connect({ clientId: 'first', cleanStart: false }));
  expect(t.broker.counters.dropped.get(DropReason.refused)).toBe(2);
});

test('unacknowledged and queued messages of a dead member go to the others, in order, and not back to it', () => {
  const t = new TestBroker({ maxInflightMessages: 4 });
  const first = member(t, 'first', 2);
  publishMany(t, 3, 1);
  publishMany(t, 1, 2, 3);
  // Four are in flight, four wait behind them.
  publishMany(t, 4, 2, 4);
  expect(payloads(first)).toEqual(['0', '1', '2', '3']);
  first.puback(2);
  expect(payloads(first)).toEqual(['4']);
  const second = member(t, 'second', 1);
  first.drop();
  // QoS 2 messages that the member has seen (3 and 4) stay; those that waited go, at the QoS of the new member.
  expect(drainMessages(second).map(({ qos, dup, payload }) => [text(payload), qos, dup])).toEqual([
    ['0', 1, false],
    ['2', 1, false],
    ['5', 1, false],
    ['6', 1, false],
    ['7', 1, false],
  ]);
  expect(t.broker.counters.sharedRedelivered).toBe(5);
  const back = t.connect({ clientId: 'first', cleanStart: false });
  expect(drainMessages(back).map(({ qos, dup, payload }) => [text(payload), qos, dup])).toEqual([
    ['3', 2, true],
    ['4', 2, true],
  ]);
});

test('while every member is away the messages wait for the one that comes back first', () => {
  const t = new TestBroker();
  const first = member(t, 'first');
  const second = member(t, 'second');
  first.drop();
  second.drop();
  publishMany(t, 6, 1);
  const back = t.connect({ clientId: 'second', cleanStart: false, properties: { sessionExpiryInterval: 300 } });
  expect(
    drainMessages(back)
      .map(({ payload }) => text(payload))
      .sort(),
  ).toEqual(['0', '1', '2', '3', '4', '5']);
  expectQuiet(t.connect({ clientId: 'first', cleanStart: false }));
});

test('when a session ends while the other members are away too, its messages wait with one of them', () => {
  const t = new TestBroker();
  member(t, 'stays').drop();
  const dies = member(t, 'dies', 1, { properties: { sessionExpiryInterval: 2 } });
  publishMany(t, 3, 1);
  expect(payloads(dies)).toEqual(['0', '1', '2']);
  dies.drop();
  t.advance(5_000);
  const back = t.connect({ clientId: 'stays', cleanStart: false });
  expect(drainMessages(back).map(({ payload }) => text(payload))).toEqual(['0', '1', '2']);
  expect(t.broker.counters.dropped.get(DropReason.sessionEnded)).toBe(0);
});

test('a message that expired is not given to another member, and expires with the session of its own', () => {
  const t = new TestBroker();
  const first = member(t, 'first');
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'x', 1, { properties: { messageExpiryInterval: 5 } });
  publishWhole(publisher, 'a', 'y', 1, { properties: { messageExpiryInterval: 50 } });
  expect(payloads(first)).toEqual(['x', 'y']);
  const second = member(t, 'second');
  t.advance(10_000);
  first.drop();
  expect(publishes(second).map(({ payload, properties }) => [text(payload), properties])).toEqual([
    ['y', { messageExpiryInterval: 40 }],
  ]);
  // The member itself still has to be told: it may have half of it done.
  expect(publishes(t.connect({ clientId: 'first', cleanStart: false }))).toMatchObject([{ dup: true, packetId: 1 }]);
});

test('a member whose window is full, or that does not read, is passed over while others have room', () => {
  const t = new TestBroker();
  const slow = member(t, 'slow', 1, { properties: { receiveMaximum: 1 } });
  const quick = member(t, 'quick', 1);
  for (let i = 0; i < 10; i++) {
    publishMany(t, 1, 1, i);
    drainMessages(quick);
  }
  expect(payloads(slow).length).toBe(1);

  const stuck = member(t, 'stuck', 0);
  const large = 'x'.repeat(200_000);
  stuck.socket.room = 0;
  for (let i = 0; i < 40; i++) {
    // Each from another client, since one that sends to a receiver that is behind is held back.
    publishWhole(t.connect({ clientId: `large ${i}` }), 'a', large, 0);
    quick.take();
  }
  // One mebibyte unsent makes it fall behind; what came after went to the other.
  expect(stuck.connection.backlogBytes).toBeLessThan(1_500_000);
  expect(t.broker.counters.dropped.get(DropReason.slowReader)).toBe(0);
});

test('a member that leaves the group finishes what it has, and gets nothing new', () => {
  const t = new TestBroker();
  const first = member(t, 'first');
  const second = member(t, 'second');
  publishMany(t, 2, 1);
  expect([payloads(first).length, payloads(second).length]).toEqual([1, 1]);
  expect(exchange(first, 'a20f0002 00 000a' + Buffer.from(FILTER).toString('hex'))).toBe('b00400020000');
  publishMany(t, 4, 1, 2);
  expectQuiet(first);
  expect(drainMessages(second).length).toBe(4);
  expectQuiet(first.puback(1));
  exchange(second, 'a20f0002 00 000a' + Buffer.from(FILTER).toString('hex'));
  expect([t.broker.tree.filterCount, t.broker.tree.sharedSubscriptionCount]).toEqual([0, 0]);
});

test('a shared subscription gets no retained messages, and RETAIN as published where it asks for it', () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'kept', 1, { retain: true });
  const peer = t.connect({ clientId: 's' });
  peer.subscribe(FILTER, 1, { retainAsPublished: true });
  expectQuiet(peer);
  publishWhole(publisher, 'a', 'live', 1, { retain: true });
  expect(publishes(peer)).toMatchObject([{ retain: true }]);
});
