/** Packet Identifiers: v5 section 2.2.1, v3.1.1 section 2.3.1. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { TestBroker, text, toHex } from '../support/test-broker.ts';
import { answerAfterConnect } from './raw-packets.ts';

const noSpaces = (hex: string): string => hex.replaceAll(' ', '');

test('v5 [MQTT-2.2.1-2] puts no packet identifier in a QoS 0 PUBLISH and reads none', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p' });
  for (const hex of ['30 05 0001 61 00 78', '30 07 0001 61 00 0001 78']) {
    subscriber.take();
    publisher.send(hex);
    expect(toHex(Uint8Array.from(subscriber.raw))).toBe(noSpaces(hex));
  }
});

test('v3.1.1 [MQTT-2.3.1-5] puts no packet identifier in a QoS 0 PUBLISH and reads none', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ version: 4, clientId: 's' });
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ version: 4, clientId: 'p' });
  for (const hex of ['30 04 0001 61 78', '30 06 0001 61 0001 78']) {
    subscriber.take();
    publisher.send(hex);
    expect(toHex(Uint8Array.from(subscriber.raw))).toBe(noSpaces(hex));
  }
});

test('v5 [MQTT-2.2.1-3] refuses packet identifier 0 with 0x82 and delivers nothing', () => {
  const rows = [
    '82 07 0000 00 000161 00',
    'a2 06 0000 00 000161',
    '32 07 000161 0000 00 78',
    '34 07 000161 0000 00 78',
    '40 02 0000',
    '50 02 0000',
    '62 02 0000',
    '70 02 0000',
  ];
  for (const hex of rows) {
    const t = new TestBroker();
    const watcher = t.connect({ clientId: 'watcher' });
    watcher.subscribe('#', 2);
    expect([hex, answerAfterConnect(5, hex, t)]).toEqual([hex, 'e00182 closed']);
    watcher.expectNothing();
  }
});

test('v3.1.1 [MQTT-2.3.1-1] closes on packet identifier 0 and delivers nothing', () => {
  const rows = [
    '82 06 0000 000161 00',
    'a2 05 0000 000161',
    '32 06 000161 0000 78',
    '34 06 000161 0000 78',
    '40 02 0000',
  ];
  for (const hex of rows) {
    const t = new TestBroker();
    const watcher = t.connect({ clientId: 'watcher' });
    watcher.subscribe('#', 2);
    expect([hex, answerAfterConnect(4, hex, t)]).toEqual([hex, 'closed']);
    watcher.expectNothing();
  }
});

/** 65,540 deliveries while the first of them stays unacknowledged; gives its identifier and those of the others. */
function holdOne(version: 4 | 5): { t: TestBroker; held: number; later: Set<number>; count: number } {
  const t = new TestBroker();
  const options = { version, clientId: 's', cleanStart: false, ...(version === 5 && { properties: expiry }) };
  const subscriber = t.connect(options);
  subscriber.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  publisher.publish('a', 'held', { qos: 1 });
  const held = subscriber.expect(PacketType.publish).packetId;
  const later = new Set<number>();
  let count = 0;
  for (; count < 65_540; count++) {
    publisher.publish('a', 'x', { qos: 1 });
    const { packetId } = subscriber.expect(PacketType.publish);
    later.add(packetId);
    subscriber.puback(packetId);
    if (count % 1_000 === 0) {
      publisher.take();
      subscriber.take();
    }
  }
  subscriber.drop();
  return { t, held, later, count };
}

const expiry = { sessionExpiryInterval: 300 };

test('v5 [MQTT-2.2.1-4] gives each delivery an identifier that is neither 0 nor in use, around the whole range', () => {
  const { held, later } = holdOne(5);
  expect(later.has(held)).toBe(false);
  expect(later.has(0)).toBe(false);
  expect(later.size).toBe(65_534);
});

test('v3.1.1 [MQTT-2.3.1-4] takes unused identifiers and keeps one for the re-send until its exchange ends', () => {
  const { t, held, later } = holdOne(4);
  expect(later.has(held)).toBe(false);
  expect(later.has(0)).toBe(false);
  const again = t.connect({ version: 4, clientId: 's', cleanStart: false });
  const resent = again.expect(PacketType.publish);
  expect([resent.packetId, resent.dup, text(resent.payload)]).toEqual([held, true, 'held']);
});

test('v5 identifiers towards a client start at 1 and go up by one, as in Mosquitto', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p' });
  for (let i = 1; i <= 3; i++) {
    publisher.publish('a', 'x', { qos: 1 });
    expect(subscriber.expect(PacketType.publish).packetId).toBe(i);
    subscriber.puback(i);
  }
});

test('v5 [MQTT-2.2.1-5] answers PUBLISH, PUBREC and PUBREL with the identifier of their exchange', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 2);
  expect(answerAfterConnect(5, '32 07 000161 1234 00 78', t)).toBe('40021234');
  expect(answerAfterConnect(5, '34 07 000161 abcd 00 78', t)).toBe('5002abcd');
  const publisher = t.connect({ clientId: 'p' });
  publisher.send('34 07 000161 abcd 00 78');
  expect(publisher.expect(PacketType.pubrec).packetId).toBe(0xabcd);
  publisher.send('62 02 abcd');
  expect(publisher.expect(PacketType.pubcomp).packetId).toBe(0xabcd);
  const [first, second] = subscriber.take();
  expect([first, second]).toMatchObject([
    { packetId: 1, qos: 1 },
    { packetId: 2, qos: 2 },
  ]);
  subscriber.send('50 02 0002');
  expect(subscriber.expect(PacketType.pubrel).packetId).toBe(2);
});

test('v3.1.1 [MQTT-2.3.1-6] answers PUBLISH, PUBREC and PUBREL with the identifier of their exchange', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ version: 4, clientId: 's' });
  subscriber.subscribe('a', 2);
  expect(answerAfterConnect(4, '32 06 000162 1234 78', t)).toBe('40021234');
  expect(answerAfterConnect(4, '34 06 000162 abcd 78', t)).toBe('5002abcd');
  const publisher = t.connect({ version: 4, clientId: 'p' });
  publisher.send('34 06 000161 abcd 78');
  expect(publisher.expect(PacketType.pubrec).packetId).toBe(0xabcd);
  publisher.send('62 02 abcd');
  expect(publisher.expect(PacketType.pubcomp).packetId).toBe(0xabcd);
  expect(subscriber.expect(PacketType.publish).packetId).toBe(1);
  subscriber.send('50 02 0001');
  expect(subscriber.expect(PacketType.pubrel).packetId).toBe(1);
});

test('v5 [MQTT-2.2.1-6] answers SUBSCRIBE and UNSUBSCRIBE with their identifier', () => {
  expect(answerAfterConnect(5, '82 07 1234 00 000161 00')).toBe('900412340000');
  expect(answerAfterConnect(5, 'a2 06 beef 00 000161')).toBe('b004beef0011');
  expect(answerAfterConnect(5, '82 07 ffff 00 000161 00 82 07 0001 00 000162 00')).toBe('9004ffff0000900400010000');
});

test('v3.1.1 [MQTT-2.3.1-7] answers SUBSCRIBE and UNSUBSCRIBE with their identifier', () => {
  expect(answerAfterConnect(4, '82 06 1234 000161 00')).toBe('9003123400');
  expect(answerAfterConnect(4, 'a2 05 beef 000161')).toBe('b002beef');
  expect(answerAfterConnect(4, '82 06 ffff 000161 00 82 06 0001 000162 00')).toBe('9003ffff009003000100');
});

test('v5 a client and the broker may use the same identifier at the same time', () => {
  const t = new TestBroker();
  const peer = t.connect({ clientId: 'both' });
  peer.subscribe('a', 1);
  peer.publish('a', 'x', { qos: 1, packetId: 1 });
  expect(peer.expect(PacketType.puback).packetId).toBe(1);
  expect(peer.expect(PacketType.publish).packetId).toBe(1);
  peer.puback(1);
  expect(peer.isClosed).toBe(false);
});
