/** What the broker says in CONNACK that it does not take, and what becomes of a client that sends it: v5 section 3.2.2.3. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { type Peer, TestBroker, toHex, utf8 } from '../support/test-broker.ts';
import { expectQuiet, payloads, publishes } from '../support/exchanges.ts';
import { answer, answerAfterConnect, connect, field, join, packet } from './raw-packets.ts';

function watch(t: TestBroker): Peer {
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('#', 2);
  return watcher;
}

test('v5 [MQTT-3.2.2-9] announces Maximum QoS where it does not take every QoS', () => {
  const told = (maxQos: 0 | 1 | 2): number | undefined =>
    new TestBroker({}, { maxQos }).connect().connack.properties!.maximumQoS;
  expect([told(0), told(1), told(2)]).toEqual([0, 1, undefined]);
});

test('v5 [MQTT-3.2.2-10] accepts SUBSCRIBE at any QoS though it takes lower ones only', () => {
  const t = new TestBroker({}, { maxQos: 0 });
  const peer = t.connect({ clientId: 'c1' });
  for (const qos of [0, 1, 2] as const) expect(peer.subscribe(`a/${qos}`, qos).reasonCodes).toEqual([0]);
  t.connect({ clientId: 'p' }).publish('a/2', 'x');
  expect(payloads(peer)).toEqual(['x']);
});

test('v5 [MQTT-3.2.2-11] answers a PUBLISH above its Maximum QoS with 0x9B and delivers nothing', () => {
  for (const [maxQos, qos] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const) {
    const t = new TestBroker({}, { maxQos });
    const watcher = watch(t);
    const bytes = packet(0x30 | (qos << 1), field('a'), '0001 00 78');
    expect(answerAfterConnect(5, bytes, t)).toBe('e0019b closed');
    expectQuiet(watcher);
  }
});

test('v3.1.1 closes on a PUBLISH above the maximum QoS, which it has no words for', () => {
  const t = new TestBroker({}, { maxQos: 1 });
  const watcher = watch(t);
  expect(answerAfterConnect(4, '34 06 000161 0001 78', t)).toBe('closed');
  expectQuiet(watcher);
});

test('v5 [MQTT-3.2.2-12] refuses a CONNECT whose Will QoS is above the maximum with 0x9B', () => {
  for (const [maxQos, flags] of [
    [0, 0x0e],
    [0, 0x16],
    [1, 0x16],
  ] as const) {
    const t = new TestBroker({}, { maxQos });
    const watcher = watch(t);
    expect(answer(5, [connect({ flags, rest: join('00', field('w'), field('x')) })], t)).toBe('2003009b00 closed');
    expectQuiet(watcher);
    expect(t.broker.sessions.has('c1')).toBe(false);
  }
});

test('v5 [MQTT-3.2.2-13] refuses a CONNECT with Will Retain 1 with 0x9A where it does not retain', () => {
  const t = new TestBroker({ retainAvailable: false });
  const watcher = watch(t);
  expect(answer(5, [connect({ flags: 0x26, rest: join('00', field('w'), field('x')) })], t)).toBe('2003009a00 closed');
  expectQuiet(watcher);
  expect(t.connect({ clientId: 'c1' }).connack.properties!.retainAvailable).toBe(0);
});

test('v5 [MQTT-3.2.2-14] answers a PUBLISH with RETAIN 1 with 0x9A where it does not retain', () => {
  const t = new TestBroker({ retainAvailable: false });
  const watcher = watch(t);
  for (const bytes of ['31 05 000161 00 78', '33 07 000161 0001 00 78', '31 04 000161 00']) {
    expect(answerAfterConnect(5, bytes, t)).toBe('e0019a closed');
  }
  expect(answerAfterConnect(4, '31 04 000161 78', t)).toBe('closed');
  expectQuiet(watcher);
  expect(t.broker.retained.count).toBe(0);
});

/** A PUBLISH of so many bytes, fixed header of two bytes included. */
const publishOf = (length: number): Uint8Array => packet(0x30, field('a'), '00', new Uint8Array(length - 6));

test('v5 [MQTT-3.2.2-15] takes a packet of its Maximum Packet Size, and answers one byte more with 0x95', () => {
  const t = new TestBroker({ maxPacketSize: 100 });
  const watcher = watch(t);
  expect(t.connect({ clientId: 'told' }).connack.properties!.maximumPacketSize).toBe(100);
  expect(answerAfterConnect(5, publishOf(100), t)).toBe('');
  expect(publishes(watcher).length).toBe(1);
  expect(answerAfterConnect(5, publishOf(101), t)).toBe('e00195 closed');
  // The fixed header tells enough; its bytes may come one by one.
  expect(answerAfterConnect(5, '30 e4 ff 7f', t)).toBe('e00195 closed');
  expect(answer(5, [connect(), '30', 'e4', 'ff', '7f'], t)).toMatch(/\|\|\|\|e00195 closed$/);
  expectQuiet(watcher);
});

test('v5 is told 2,000,000 bytes where max_packet_size is not set, and v3.1.1 may send up to the limit of the standard', () => {
  const t = new TestBroker();
  expect(t.connect({ clientId: 'told' }).connack.properties!.maximumPacketSize).toBe(2_000_000);
  expect(answerAfterConnect(5, '30 fd 88 7a', t)).toBe('e00195 closed'); // 2,000,001 bytes in all
  expect(answerAfterConnect(5, '30 fc 88 7a', t)).toBe('');
  expect(answerAfterConnect(4, '30 ff ff ff 7f', t)).toBe('');
});

test('v5 [MQTT-3.2.2-17] answers a Topic Alias above its maximum with 0x94', () => {
  const t = new TestBroker({}, { maxTopicAlias: 3 });
  const watcher = watch(t);
  expect(t.connect({ clientId: 'told' }).connack.properties!.topicAliasMaximum).toBe(3);
  expect(answerAfterConnect(5, '30 08 000161 03 23 0003 78', t)).toBe('');
  expect(payloads(watcher)).toEqual(['x']);
  expect(answerAfterConnect(5, '30 08 000161 03 23 0004 78', t)).toBe('e00194 closed');
  expectQuiet(watcher);
});

test('v5 [MQTT-3.2.2-18] answers any Topic Alias with 0x94 where it announced no maximum', () => {
  const t = new TestBroker({}, { maxTopicAlias: 0 });
  expect(t.connect({ clientId: 'told' }).connack.properties!.topicAliasMaximum).toBeUndefined();
  expect(answerAfterConnect(5, '30 08 000161 03 23 0001 78', t)).toBe('e00194 closed');
});

test('v5 Receive Maximum is max_inflight_messages, and left out where that is no limit', () => {
  const told = (maxInflightMessages: number): number | undefined =>
    new TestBroker({ maxInflightMessages }).connect().connack.properties!.receiveMaximum;
  expect([told(20), told(1), told(0)]).toEqual([20, 1, undefined]);
});

test('max_connections holds for a listener, and global_max_connections for the broker', () => {
  const accept = (t: TestBroker) => {
    try {
      return t.open(5);
    } catch {
      return null;
    }
  };
  for (const t of [new TestBroker({}, { maxConnections: 2 }), new TestBroker({ globalMaxConnections: 2 })]) {
    const first = accept(t)!;
    const second = accept(t)!;
    expect([first, second]).not.toContain(null);
    expect(accept(t)).toBeNull();
    expect(t.broker.counters).toMatchObject({ connectionsAccepted: 2, connectionsRefused: 1 });
    expect(t.broker.counters.closed.get('max connections')).toBe(1);
    expect(t.log.lines.at(-1)).toBe('Client connection from 192.0.2.1 denied: max_connections exceeded.');
    first.send(connect());
    first.drop();
    expect(accept(t)).not.toBeNull();
    expect(accept(t)).toBeNull();
  }
});

test('message_size_limit refuses a larger payload and leaves the connection as it is', () => {
  const t = new TestBroker({ messageSizeLimit: 4 });
  const watcher = watch(t);
  const publisher = t.connect({ clientId: 'p' });
  publisher.publish('a', '12345', { qos: 1 });
  expect(publisher.expect(PacketType.puback).reasonCode).toBe(0x83);
  publisher.publish('a', '12345');
  publisher.publish('a', '1234', { qos: 1 });
  expect(publisher.expect(PacketType.puback).reasonCode).toBe(0);
  expect(payloads(watcher)).toEqual(['1234']);
  expect(publisher.isClosed).toBe(false);
});

test('limits of a listener do not change what others get: a retained QoS 2 message goes down to what is granted', () => {
  const t = new TestBroker();
  t.connect({ clientId: 'p' }).publish('a', 'x', { qos: 1, retain: true });
  const peer = t.open(5);
  peer.send(join(connect(), packet(0x82, '0001 00', field('a'), '00')));
  peer.expect(PacketType.connack);
  peer.expect(PacketType.suback);
  expect(peer.expect(PacketType.publish)).toMatchObject({ qos: 0, retain: true, payload: utf8('x') });
  expect(toHex(Uint8Array.from(peer.raw)).endsWith('31050001610078')).toBe(true);
});
