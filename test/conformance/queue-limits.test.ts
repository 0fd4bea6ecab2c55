/** What a session keeps for its client, and how much of it: max_queued_messages, max_queued_bytes. */
import { expect, test } from 'bun:test';
import { LogType } from '../../src/broker/log.ts';
import { PacketType, type QoS } from '../../src/protocol/packet-type.ts';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { drainMessages, expectQuiet, payloads, publishes, publishWhole } from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

function connect(t: TestBroker, version: 4 | 5 = 5): Peer {
  return version === 5
    ? t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 1_000 } })
    : t.connect({ version, clientId: 's', cleanStart: false });
}

/** Each message comes from a client of its own, so that none is held back for a receiver that is behind. */
function publishMany(t: TestBroker, messages: readonly string[], qos: QoS = 1): void {
  messages.forEach((payload, i) => {
    const publisher = t.connect({ clientId: `p${i}` });
    publishWhole(publisher, 'a', payload, qos);
    publisher.disconnect();
  });
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);
const dropped = (t: TestBroker, reason: DropReason) => t.broker.counters.dropped.get(reason);

test('max_queued_messages bounds what waits for a client that is away; the newest are dropped and counted', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker({ maxQueuedMessages: 5 });
    t.log.types |= LogType.debug;
    const first = connect(t, version);
    first.subscribe('a', 2);
    first.drop();
    publishMany(t, numbered(8), 1);
    expect(dropped(t, DropReason.queueFull)).toBe(3);
    expect(t.log.lines.filter((line) => line.includes('queue_full')).length).toBe(3);
    expect(payloads(connect(t, version))).toEqual(numbered(5));
  }
});

test('the publisher is told of no drop: the message is accepted', () => {
  const t = new TestBroker({ maxQueuedMessages: 1 });
  const first = connect(t);
  first.subscribe('a', 1);
  first.drop();
  const publisher = t.connect({ clientId: 'p' });
  for (let i = 0; i < 3; i++) {
    publisher.publish('a', 'x', { qos: 1 });
    expect(publisher.expect(PacketType.puback).reasonCode).toBe(0);
  }
});

test('for a connected client the queue stands behind the window', () => {
  const t = new TestBroker({ maxQueuedMessages: 5, maxInflightMessages: 2 });
  const subscriber = connect(t);
  subscriber.subscribe('a', 1);
  publishMany(t, numbered(10));
  expect(dropped(t, DropReason.queueFull)).toBe(3);
  expect(drainMessages(subscriber).map(({ payload }) => text(payload))).toEqual(numbered(7));
  // There is room again.
  publishMany(t, ['more']);
  expect(payloads(subscriber)).toEqual(['more']);
});

test('max_queued_bytes counts payloads, the last of which may exceed it as in Mosquitto, and what leaves the queue makes room', () => {
  const t = new TestBroker({ maxQueuedMessages: 0, maxQueuedBytes: 100 });
  const first = connect(t);
  first.subscribe('a', 1);
  first.drop();
  publishMany(t, ['x'.repeat(50), 'y'.repeat(49)]);
  expect(dropped(t, DropReason.queueFull)).toBe(0);
  publishMany(t, ['z'.repeat(300)]);
  expect(dropped(t, DropReason.queueFull)).toBe(0);
  publishMany(t, ['']);
  expect(dropped(t, DropReason.queueFull)).toBe(1);
  const flow = t.broker.sessions.get('s')!.outgoing!;
  expect([flow.queue.length, flow.queuedBytes]).toEqual([3, 399]);
  const back = connect(t);
  expect(drainMessages(back).map(({ payload }) => payload.length)).toEqual([50, 49, 300]);
  expect(flow.queuedBytes).toBe(0);
  back.drop();
  publishMany(t, ['w'.repeat(100)]);
  expect(payloads(connect(t))).toEqual(['w'.repeat(100)]);
});

test('of max_queued_messages and max_queued_bytes the one that is reached first holds', () => {
  for (const [length, expected] of [
    [10, 3],
    [60, 2],
  ] as const) {
    const t = new TestBroker({ maxQueuedMessages: 3, maxQueuedBytes: 100 });
    const first = connect(t);
    first.subscribe('a', 1);
    first.drop();
    publishMany(
      t,
      Array.from({ length: 5 }, () => 'x'.repeat(length)),
    );
    expect(t.broker.sessions.get('s')!.outgoing!.queue.length).toBe(expected);
  }
});

test('max_inflight_bytes lets one message at a time under way where each is larger, and several where they are small', () => {
  for (const [length, expected] of [
    [150, 1],
    [40, 3],
    [1, 20],
  ] as const) {
    const t = new TestBroker({ maxInflightBytes: 100 });
    const subscriber = connect(t);
    subscriber.subscribe('a', 1);
    const messages = Array.from({ length: 25 }, (_, i) => `${i}`.padStart(length, '.'));
    publishMany(t, messages);
    const got = publishes(subscriber);
    expect([length, got.length]).toEqual([length, expected]);
    subscriber.puback(1);
    got.push(...publishes(subscriber));
    expect(got.length).toBe(expected + 1);
    for (const { packetId } of got.slice(1)) subscriber.puback(packetId);
    got.push(...drainMessages(subscriber));
    expect(got.map(({ payload }) => text(payload))).toEqual(messages);
  }
});

test('the log tells once a connection that its messages are being dropped', () => {
  const t = new TestBroker({ maxQueuedMessages: 1 });
  const first = connect(t);
  first.subscribe('a', 1);
  first.drop();
  const told = () => t.log.lines.filter((line) => line === 'Outgoing messages are being dropped for client s.').length;
  publishMany(t, numbered(5));
  expect(told()).toBe(1);
  const back = connect(t);
  drainMessages(back);
  back.drop();
  publishMany(t, numbered(5));
  expect(told()).toBe(2);
});

test('properties count too', () => {
  const t = new TestBroker({ maxQueuedBytes: 100 });
  const first = connect(t);
  first.subscribe('a', 1);
  first.drop();
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'x', 1, { properties: { contentType: 'c'.repeat(99) } });
  publishWhole(publisher, 'a', 'x', 1, { properties: { userProperties: [['n', 'v'.repeat(100)]] } });
  expect(dropped(t, DropReason.queueFull)).toBe(1);
});

test('without limits everything waits', () => {
  const t = new TestBroker({ maxQueuedMessages: 0 });
  const first = connect(t);
  first.subscribe('a', 1);
  first.drop();
  const publisher = t.connect({ clientId: 'p' });
  for (let i = 0; i < 2_500; i++) publishWhole(publisher, 'a', `${i}`, 1);
  expect(drainMessages(connect(t)).map(({ payload }) => text(payload))).toEqual(numbered(2_500));
});

test('QoS 0 messages for a client that is away are dropped and counted, with no trace in its session', () => {
  const t = new TestBroker();
  const first = connect(t);
  first.subscribe('a', 2);
  first.drop();
  publishMany(t, numbered(3), 0);
  expect(dropped(t, DropReason.offline)).toBe(3);
  expect(t.broker.sessions.get('s')!.outgoing).toBeNull();
  expectQuiet(connect(t));
});

test('what a session still held when it ended is counted', () => {
  const t = new TestBroker({ maxInflightMessages: 2 });
  const subscriber = connect(t);
  subscriber.subscribe('a', 1);
  publishMany(t, numbered(5));
  subscriber.drop();
  t.advance(1_001_000);
  expect(dropped(t, DropReason.sessionEnded)).toBe(5);
  expect(t.broker.sessions.size).toBe(0);
});

test('sessions that wait for the same message share its bytes', () => {
  const t = new TestBroker();
  for (let i = 0; i < 50; i++) {
    const peer = t.connect({ version: 4, clientId: `s${i}`, cleanStart: false });
    peer.subscribe('a', 1);
    peer.drop();
  }
  publishMany(t, ['x'.repeat(10_000)]);
  const messages = new Set(Array.from(t.broker.sessions.values(), ({ outgoing }) => outgoing!.queue.peek()!.message));
  expect(messages.size).toBe(1);
  // A copy: the chunk it came in is free.
  const [message] = messages;
  expect(message!.payload.buffer.byteLength).toBe(10_000);
});
