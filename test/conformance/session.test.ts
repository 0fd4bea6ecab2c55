/** How long sessions live and what of them comes back: v5 sections 3.1.2.4, 3.1.2.11.2 and 4.1, v3.1.1 3.1.2.4 and 4.1. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { type Peer, TestBroker } from '../support/test-broker.ts';
import { expectQuiet, payloads } from '../support/exchanges.ts';

const forFiveMinutes = { sessionExpiryInterval: 300 };
const NEVER = 0xffff_ffff;

/** A session of `c1` that subscribed to `a` and went away; `expiry` null: the property is not sent. */
function leave(t: TestBroker, expiry: number | null): void {
  const properties = expiry === null ? null : { sessionExpiryInterval: expiry };
  const peer = t.connect({ clientId: 'c1', ...(properties && { properties }) });
  peer.subscribe('a', 1);
  peer.drop();
}

const comeBack = (t: TestBroker) => t.connect({ clientId: 'c1', cleanStart: false, properties: forFiveMinutes });

function publish(t: TestBroker, ...texts: string[]): void {
  const publisher = t.connect({ clientId: 'publisher' });
  for (const one of texts) publisher.publish('a', one, { qos: 1 });
  publisher.disconnect();
}

test('v5 [MQTT-3.1.2-4] Clean Start 1 ends the session there is, with its subscriptions and messages', () => {
  const t = new TestBroker();
  leave(t, 300);
  publish(t, 'lost');
  const fresh = t.connect({ clientId: 'c1', cleanStart: true, properties: forFiveMinutes });
  expect(fresh.connack.sessionPresent).toBe(false);
  publish(t, 'not for it');
  expectQuiet(fresh);
  fresh.send({ type: PacketType.unsubscribe, packetId: 2, properties: null, topicFilters: ['a'] });
  expect(fresh.expect(PacketType.unsuback).reasonCodes).toEqual([0x11]);
  expect(t.broker.counters.dropped.get('session_ended')).toBe(1);
});

test('v5 [MQTT-3.1.2-5] Clean Start 0 goes on from the state of the session', () => {
  const t = new TestBroker();
  leave(t, 300);
  publish(t, '1', '2');
  const again = comeBack(t);
  expect(again.connack.sessionPresent).toBe(true);
  expect(payloads(again)).toEqual(['1', '2']);
  publish(t, '3');
  expect(payloads(again)).toEqual(['3']);
});

test('v5 [MQTT-3.1.2-5] an unreleased QoS 2 message is part of the state: it is delivered once', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p', properties: forFiveMinutes });
  publisher.publish('a', 'once', { qos: 2, packetId: 5 });
  publisher.drop();
  const again = t.connect({ clientId: 'p', cleanStart: false, properties: forFiveMinutes });
  again.publish('a', 'once', { qos: 2, packetId: 5, dup: true });
  expect(again.expect(PacketType.pubrec).packetId).toBe(5);
  again.send({ type: PacketType.pubrel, packetId: 5, reasonCode: 0, properties: null });
  expect(again.expect(PacketType.pubcomp)).toMatchObject({ packetId: 5, reasonCode: 0 });
  expect(payloads(subscriber)).toEqual(['once']);
});

test('v5 [MQTT-3.1.2-6] Clean Start 0 without a session makes one', () => {
  const t = new TestBroker();
  const first = comeBack(t);
  expect(first.connack.sessionPresent).toBe(false);
  first.subscribe('a', 1);
  first.drop();
  publish(t, 'x');
  const again = comeBack(t);
  expect(again.connack.sessionPresent).toBe(true);
  expect(payloads(again)).toEqual(['x']);
});

test('v5 [MQTT-3.1.2-23] keeps a session whose Session Expiry Interval is above 0 that long, and no other', () => {
  const rows: readonly [expiry: number | null, afterMs: number, isPresent: boolean][] = [
    [null, 0, false],
    [0, 0, false],
    [1, 999, true],
    [300, 299_999, true],
    [300, 301_000, false],
    [NEVER - 1, 7 * 86_400_000, true],
    [NEVER, 7 * 86_400_000, true],
  ];
  for (const [expiry, afterMs, isPresent] of rows) {
    const t = new TestBroker();
    // Sessions begin between two ticks of the broker.
    t.advance(700);
    leave(t, expiry);
    publish(t, 'x');
    t.advance(afterMs);
    const again = comeBack(t);
    expect([expiry, afterMs, again.connack.sessionPresent]).toEqual([expiry, afterMs, isPresent]);
    expect(payloads(again)).toEqual(isPresent ? ['x'] : []);
  }
});

test('v5 Session Expiry Interval FFFFFFFF means never', () => {
  const t = new TestBroker();
  leave(t, NEVER);
  leave(t, NEVER);
  t.clock.add((NEVER + 10) * 1_000);
  t.broker.tick();
  expect(comeBack(t).connack.sessionPresent).toBe(true);
});

test('v5 the interval is that of the last connection', () => {
  const t = new TestBroker();
  leave(t, 300);
  t.connect({ clientId: 'c1', cleanStart: false }).drop();
  expect(comeBack(t).connack.sessionPresent).toBe(false);
});

test('v5 [MQTT-4.1.0-1] keeps a session while its connection is open, however long', () => {
  const t = new TestBroker();
  const peer = t.connect({ clientId: 'c1', properties: { sessionExpiryInterval: 1 } });
  peer.subscribe('a', 1);
  t.advance(10_000);
  publish(t, 'x');
  expect(payloads(peer)).toEqual(['x']);
  peer.drop();
  const again = t.connect({ clientId: 'c1', cleanStart: false, properties: { sessionExpiryInterval: 1 } });
  expect(again.connack.sessionPresent).toBe(true);
  // The time that ran before the connection does not count for the next one either.
  t.advance(10_000);
  publish(t, 'y');
  expect(payloads(again)).toContain('y');
});

test('v5 [MQTT-4.1.0-2] drops a session when its interval has passed after the connection closed', () => {
  const t = new TestBroker();
  leave(t, 1);
  publish(t, 'x');
  expect(t.broker.tree.subscriptionCount).toBe(1);
  t.advance(2_500);
  expect([t.broker.sessions.size, t.broker.tree.subscriptionCount]).toEqual([0, 0]);
  expect(t.broker.counters.sessionsExpired).toBe(1);
  const again = comeBack(t);
  expect(again.connack.sessionPresent).toBe(false);
  expectQuiet(again);
});

test('v3.1.1 [MQTT-3.1.2-4] CleanSession 0 goes on with the session or makes one, and keeps it', () => {
  const t = new TestBroker();
  const options = { version: 4, clientId: 'c1', cleanStart: false } as const;
  const first = t.connect(options);
  expect(first.connack.sessionPresent).toBe(false);
  first.subscribe('a', 1);
  first.drop();
  publish(t, '1');
  t.advance(86_400_000);
  const again = t.connect(options);
  expect(again.connack.sessionPresent).toBe(true);
  expect(payloads(again)).toEqual(['1']);
  publish(t, '2');
  expect(payloads(again)).toEqual(['2']);
});

test('v3.1.1 [MQTT-3.1.2-5] stores QoS 1 and 2 messages while the client is away', () => {
  for (const leaveAs of ['disconnect', 'drop'] as const) {
    const t = new TestBroker();
    const options = { version: 4, clientId: 'c1', cleanStart: false } as const;
    const first = t.connect(options);
    first.subscribe('a', 2);
    first[leaveAs]();
    const publisher = t.connect({ version: 4, clientId: 'p' });
    publisher.publish('a', '0', { qos: 0 }).publish('a', '1', { qos: 1 }).publish('a', '2', { qos: 2, packetId: 11 });
    publisher.send({ type: PacketType.pubrel, packetId: 11, reasonCode: 0, properties: null });
    const again = t.connect(options);
    expect(payloads(again)).toEqual(['1', '2']);
  }
});

test('v3.1.1 [MQTT-3.1.2-6] CleanSession 1 drops any session, ends with its connection and hands on nothing', () => {
  const t = new TestBroker();
  const connect = (cleanStart: boolean): Peer & { connack: { sessionPresent: boolean } } =>
    t.connect({ version: 4, clientId: 'c1', cleanStart });
  const kept = connect(false);
  kept.subscribe('a', 1);
  kept.drop();
  publish(t, '1');
  const clean = connect(true);
  expect(clean.connack.sessionPresent).toBe(false);
  publish(t, '2');
  expectQuiet(clean);
  clean.subscribe('a', 1);
  clean.drop();
  expect(t.broker.sessions.size).toBe(0);
  publish(t, '3');
  const again = connect(false);
  expect(again.connack.sessionPresent).toBe(false);
  expectQuiet(again);
});

test('v3.1.1 [MQTT-3.1.2-7] keeps retained messages when the session of their publisher ends', () => {
  const t = new TestBroker();
  for (const cleanStart of [true, false]) {
    const publisher = t.connect({ version: 4, clientId: 'p', cleanStart });
    publisher.publish(`by/${cleanStart}`, 'stays', { retain: true });
    publisher.disconnect();
  }
  t.connect({ version: 4, clientId: 'p', cleanStart: true }).disconnect();
  expect(t.broker.sessions.size).toBe(0);
  const subscriber = t.connect({ version: 4, clientId: 's' });
  subscriber.subscribe('by/+');
  expect(payloads(subscriber)).toEqual(['stays', 'stays']);
});

test('v3.1.1 [MQTT-4.1.0-1] keeps session state as long as the session lasts', () => {
  const t = new TestBroker();
  const options = { version: 4, clientId: 'c1', cleanStart: false } as const;
  const first = t.connect(options);
  first.subscribe('a', 1);
  publish(t, 'unacknowledged');
  expect(payloads(first)).toEqual(['unacknowledged']);
  first.drop();
  publish(t, 'queued');
  for (let i = 0; i < 3; i++) {
    const again = t.connect(options);
    expect([again.connack.sessionPresent, payloads(again)]).toEqual([true, ['unacknowledged', 'queued']]);
    again.drop();
    t.advance(60_000);
  }
  const clean = t.connect({ ...options, clientId: 'c2', cleanStart: true });
  clean.subscribe('a', 1);
  t.advance(60_000);
  publish(t, 'x');
  expect(payloads(clean)).toEqual(['x']);
});

test('v3.1.1 [MQTT-4.1.0-2] ends no session whose connection is open', () => {
  const t = new TestBroker({ persistentClientExpiration: 1 });
  const peers = [true, false].map((cleanStart) => t.connect({ version: 4, clientId: `c${cleanStart}`, cleanStart }));
  for (const peer of peers) peer.subscribe('a', 1);
  t.advance(10_000);
  publish(t, 'x');
  for (const peer of peers) expect(payloads(peer)).toEqual(['x']);
  for (const peer of peers) peer.drop();
  t.advance(2_000);
  expect(t.broker.sessions.size).toBe(0);
});

test('persistent_client_expiration bounds every session, and MQTT 5 clients are told', () => {
  const t = new TestBroker({ persistentClientExpiration: 60 });
  const told = (sessionExpiryInterval: number): number | undefined =>
    t.connect({ clientId: 'told', properties: { sessionExpiryInterval } }).connack.properties!.sessionExpiryInterval;
  expect([told(59), told(60), told(61), told(NEVER), told(0)]).toEqual([undefined, undefined, 60, 60, undefined]);
  leave(t, NEVER);
  t.connect({ version: 4, clientId: 'v4', cleanStart: false }).drop();
  t.advance(59_000);
  expect([...t.broker.sessions.keys()]).toEqual(['told', 'c1', 'v4']);
  t.advance(1_000);
  expect([...t.broker.sessions.keys()]).toEqual(['told']);
});

test('a thousand sessions with different intervals end each in its second', () => {
  const t = new TestBroker();
  for (let i = 1; i <= 1_000; i++) {
    t.connect({ clientId: `c${i}`, properties: { sessionExpiryInterval: i } }).drop();
  }
  for (const second of [1, 2, 10, 500, 999]) {
    t.advance((second - (1_000 - t.broker.sessions.size)) * 1_000);
    expect(t.broker.sessions.size).toBe(1_000 - second);
  }
});
