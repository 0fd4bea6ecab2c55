/** A client identifier that connects again while it is connected: v5 section 3.1.4, v3.1.1 section 3.1.4. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { TestBroker, text } from '../support/test-broker.ts';

const kept = { sessionExpiryInterval: 300 };

test('v5 [MQTT-3.1.4-3] ends the older connection with DISCONNECT 0x8E, and the newer one works', () => {
  const t = new TestBroker();
  const old = t.connect({ clientId: 'c1' });
  const young = t.connect({ clientId: 'c1' });
  expect(old.expect(PacketType.disconnect)).toMatchObject({ reasonCode: 0x8e, properties: null });
  expect(old.isClosed).toBe(true);
  young.subscribe('a');
  young.publish('a', 'x');
  expect(text(young.expect(PacketType.publish).payload)).toBe('x');
  t.advance(5_000);
  expect(young.isClosed).toBe(false);
  expect(t.broker.counters).toMatchObject({ sessionsTakenOver: 1, clientsConnected: 1 });
});

test('v3.1.1 [MQTT-3.1.4-2] ends the older connection without a packet, and the newer one works', () => {
  const t = new TestBroker();
  const old = t.connect({ version: 4, clientId: 'c1' });
  const young = t.connect({ version: 4, clientId: 'c1' });
  old.expectNothing();
  expect(old.isClosed).toBe(true);
  young.send({ type: PacketType.pingreq });
  young.expect(PacketType.pingresp);
  expect(young.isClosed).toBe(false);
});

test('what the old connection sends after the takeover is not handled, and its close does not touch the session', () => {
  const t = new TestBroker();
  const old = t.connect({ clientId: 'c1' });
  old.subscribe('a');
  const young = t.connect({ clientId: 'c1', properties: kept });
  young.subscribe('a');
  old.publish('a', 'late');
  old.drop();
  young.expectNothing();
  young.publish('a', 'x');
  expect(text(young.expect(PacketType.publish).payload)).toBe('x');
  expect(t.broker.sessions.get('c1')!.link).not.toBeNull();
});

test('v5 [MQTT-3.1.4-4] a takeover with Clean Start 0 goes on with the session, with Clean Start 1 it begins a new one', () => {
  for (const cleanStart of [false, true]) {
    const t = new TestBroker();
    const old = t.connect({ clientId: 'c1', properties: kept });
    old.subscribe('a', 1);
    const publisher = t.connect({ clientId: 'p' });
    publisher.publish('a', 'unacknowledged', { qos: 1 });
    const { packetId } = old.expect(PacketType.publish);
    const young = t.connect({ clientId: 'c1', cleanStart, properties: kept });
    expect(young.connack.sessionPresent).toBe(!cleanStart);
    if (!cleanStart) {
      const again = young.expect(PacketType.publish);
      expect([text(again.payload), again.packetId, again.dup]).toEqual(['unacknowledged', packetId, true]);
    }
    publisher.publish('a', 'later', { qos: 1 });
    if (cleanStart) young.expectNothing();
    else expect(text(young.expect(PacketType.publish).payload)).toBe('later');
  }
});

test('v3.1.1 [MQTT-3.1.4-3] a takeover with CleanSession 0 goes on with the session, with 1 it begins a new one', () => {
  for (const cleanStart of [false, true]) {
    const t = new TestBroker();
    t.connect({ version: 4, clientId: 'c1', cleanStart: false }).subscribe('a', 1);
    const young = t.connect({ version: 4, clientId: 'c1', cleanStart });
    expect(young.connack.sessionPresent).toBe(!cleanStart);
    t.connect({ clientId: 'p' }).publish('a', 'x', { qos: 1 });
    if (cleanStart) young.expectNothing();
    else expect(text(young.expect(PacketType.publish).payload)).toBe('x');
  }
});

test('v5 a session that ends with its connection is not there for the one that takes it over', () => {
  const t = new TestBroker();
  t.connect({ clientId: 'c1' }).subscribe('a');
  const young = t.connect({ clientId: 'c1', cleanStart: false, properties: kept });
  expect(young.connack.sessionPresent).toBe(false);
  t.connect({ clientId: 'p' }).publish('a', 'x');
  young.expectNothing();
});

test('a session moves between protocol versions, and keeps what both know', () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'p' });
  const versions = [5, 4, 3, 5] as const;
  const first = t.connect({ clientId: 'c1', properties: kept });
  first.subscribe('a/#', 2, { identifier: 7 });
  for (const version of versions) {
    const peer = t.connect({
      version,
      clientId: 'c1',
      cleanStart: false,
      ...(version === 5 && { properties: kept }),
    });
    expect(peer.connack.sessionPresent).toBe(version !== 3);
    publisher.publish('a/b', `to ${version}`, { qos: 1, properties: { contentType: 'text' } });
    const got = peer.expect(PacketType.publish);
    expect(text(got.payload)).toBe(`to ${version}`);
    expect(got.properties).toEqual(version === 5 ? { subscriptionIdentifiers: [7], contentType: 'text' } : null);
    peer.puback(got.packetId);
    peer.expectNothing();
  }
});

test('v5 a takeover by a refused CONNECT does not happen', () => {
  const t = new TestBroker({}, { maxQos: 0 });
  const old = t.connect({ clientId: 'c1' });
  const refused = t.open(5);
  refused.send({
    ...{ type: PacketType.connect, protocolVersion: 5, bridge: false, cleanStart: true, keepAlive: 0 },
    clientId: 'c1',
    will: { topicName: 'w', payload: new Uint8Array(0), qos: 1, retain: false, properties: null },
    username: null,
    password: null,
    properties: null,
  });
  expect(refused.isClosed).toBe(true);
  old.expectNothing();
  expect(old.isClosed).toBe(false);
});

test('clients that take each other over a hundred times leave one session and one connection', () => {
  const t = new TestBroker();
  let last = t.connect({ clientId: 'c1', properties: kept });
  last.subscribe('a', 1);
  for (let i = 0; i < 100; i++) last = t.connect({ clientId: 'c1', cleanStart: false, properties: kept });
  expect([t.broker.sessions.size, t.broker.counters.clientsConnected]).toEqual([1, 1]);
  expect(t.broker.tree.subscriptionCount).toBe(1);
  t.advance(5_000);
  expect(last.isClosed).toBe(false);
});
