/** Client identifiers, given and assigned: v5 section 3.1.3.1, v3.1.1 section 3.1.3.1. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { TestBroker, text } from '../support/test-broker.ts';
import { answer, connect } from './raw-packets.ts';

/** Together all the characters that a server has to accept, and the lengths 1 and 23. */
const everyServerAccepts = ['a', '0123456789abcdefghijklm', 'nopqrstuvwxyzABCDEFGHIJ', 'KLMNOPQRSTUVWXYZ0123456'];

test('v5 [MQTT-3.1.3-5] accepts identifiers of 1 to 23 bytes of digits and Latin letters', () => {
  const t = new TestBroker();
  for (const clientId of everyServerAccepts) t.connect({ clientId });
  expect([...t.broker.sessions.keys()]).toEqual(everyServerAccepts);
});

test('v3.1.1 [MQTT-3.1.3-5] accepts identifiers of 1 to 23 bytes of digits and Latin letters', () => {
  const t = new TestBroker();
  for (const clientId of everyServerAccepts) t.connect({ version: 4, clientId });
  expect([...t.broker.sessions.keys()]).toEqual(everyServerAccepts);
});

test('identifiers may be long and hold any character', () => {
  const t = new TestBroker();
  for (const clientId of ['x'.repeat(65_535), 'a/b', '+', '#', '$SYS', ' ', '日本', '💡', '\'"\\']) {
    expect(t.connect({ clientId }).connack.properties!.assignedClientIdentifier).toBeUndefined();
    expect(t.broker.sessions.has(clientId)).toBe(true);
  }
});

test('v5 [MQTT-3.1.3-6] [MQTT-3.2.2-16] gives each client with an empty identifier one that no session has', () => {
  const t = new TestBroker();
  t.connect({ clientId: 'auto-' });
  const assigned = Array.from({ length: 10 }, (_, i) => {
    const { connack, isClosed } = t.connect({ clientId: '', cleanStart: i % 2 === 0 });
    expect(isClosed).toBe(false);
    return connack.properties!.assignedClientIdentifier!;
  });
  expect(new Set(assigned).size).toBe(10);
  expect(t.broker.sessions.size).toBe(11);
  for (const id of assigned) expect(t.broker.sessions.get(id)!.link).not.toBeNull();
});

test('v5 [MQTT-3.1.3-7] tells the identifier it assigned, and knows the client by it from then on', () => {
  const t = new TestBroker();
  const first = t.connect({ clientId: '', properties: { sessionExpiryInterval: 300 } });
  const clientId = first.connack.properties!.assignedClientIdentifier!;
  first.subscribe('a', 1);
  first.drop();
  t.connect({ clientId: 'p' }).publish('a', 'waits', { qos: 1 });
  const again = t.connect({ clientId, cleanStart: false });
  expect(again.connack.sessionPresent).toBe(true);
  expect(again.connack.properties!.assignedClientIdentifier).toBeUndefined();
  expect(text(again.expect(PacketType.publish).payload)).toBe('waits');
});

test('v5 [MQTT-3.1.3-8] answers an identifier it refuses with 0x85 and closes', () => {
  const t = new TestBroker({ allowZeroLengthClientid: false });
  expect(answer(5, [connect({ clientId: '' })], t)).toBe('2003008500 closed');
  expect(answer(5, [connect({ clientId: '', flags: 0 })], t)).toBe('2003008500 closed');
});

test('v3.1.1 [MQTT-3.1.3-6] serves clients with an empty identifier side by side under identifiers of their own', () => {
  const t = new TestBroker();
  const [one, two] = [t.connect({ version: 4, clientId: '' }), t.connect({ version: 4, clientId: '' })];
  one.subscribe('a');
  two.publish('a', 'x');
  expect(text(one.expect(PacketType.publish).payload)).toBe('x');
  expect([one.isClosed, two.isClosed, t.broker.sessions.size]).toEqual([false, false, 2]);
});

test('v3.1.1 [MQTT-3.1.3-8] answers an empty identifier without CleanSession with return code 2 and closes', () => {
  expect(answer(4, [connect({ level: 4, clientId: '', flags: 0 })])).toBe('20020002 closed');
});

test('v3.1.1 [MQTT-3.1.3-9] answers an identifier it refuses with return code 2 and closes', () => {
  const t = new TestBroker({ allowZeroLengthClientid: false });
  expect(answer(4, [connect({ level: 4, clientId: '' })], t)).toBe('20020002 closed');
});

for (const version of [4, 5] as const) {
  const name =
    version === 5
      ? 'v5 [MQTT-3.1.3-2] finds a session by its client identifier alone'
      : 'v3.1.1 [MQTT-3.1.3-2] finds a session by its client identifier alone';
  test(name, () => {
    const t = new TestBroker();
    const keep = { version, cleanStart: false, ...(version === 5 && { properties: { sessionExpiryInterval: 300 } }) };
    for (const clientId of ['c1', 'c2']) {
      const peer = t.connect({ ...keep, clientId, username: 'one' });
      peer.subscribe(`to/${clientId}`, 1);
      peer.drop();
    }
    const publisher = t.connect({ clientId: 'p' });
    for (const clientId of ['c1', 'c2', 'C1']) publisher.publish(`to/${clientId}`, clientId, { qos: 1 });
    const other = t.connect({ ...keep, clientId: 'C1' });
    expect(other.connack.sessionPresent).toBe(false);
    other.expectNothing();
    for (const clientId of ['c2', 'c1']) {
      // Another user name and another address make no difference.
      const again = t.connect({ ...keep, clientId, username: 'another' });
      expect(again.connack.sessionPresent).toBe(true);
      expect(text(again.expect(PacketType.publish).payload)).toBe(clientId);
      again.expectNothing();
    }
  });
}
