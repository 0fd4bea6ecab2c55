/** First byte and Remaining Length of packets in both directions: v5 sections 1.5.5 and 2.1, v3.1.1 section 2.2. */
import { expect, test } from 'bun:test';
import { PacketType, type ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { TestBroker, toHex } from '../support/test-broker.ts';
import { answer, answerAfterConnect, connect, field, join, packet } from './raw-packets.ts';

/** One of each packet type that a client sends after CONNECT, with reserved flags that are not as the table says. */
const wrongFlags: Record<string, string> = {
  'PUBACK 1': '41 02 0001',
  'PUBACK 8': '48 02 0001',
  'PUBREC 2': '52 02 0001',
  'PUBREL 0': '60 02 0001',
  'PUBREL 3': '63 02 0001',
  'PUBREL 10': '6a 02 0001',
  'PUBCOMP 4': '74 02 0001',
  'PINGREQ 1': 'c1 00',
  'PINGREQ 15': 'cf 00',
  'DISCONNECT 1': 'e1 00',
};

test('v5 [MQTT-2.1.3-1] answers reserved flags with 0x81 and closes', () => {
  const packets = {
    ...wrongFlags,
    'SUBSCRIBE 0': '80 07 0001 00 000161 00',
    'SUBSCRIBE 3': '83 07 0001 00 000161 00',
    'UNSUBSCRIBE 0': 'a0 06 0001 00 000161',
    'UNSUBSCRIBE 10': 'aa 06 0001 00 000161',
    'AUTH 1': 'f1 00',
  };
  for (const [name, hex] of Object.entries(packets)) {
    expect([name, answerAfterConnect(5, hex)]).toEqual([name, 'e00181 closed']);
  }
  // The standard names no code for the reserved packet type; this is Mosquitto's.
  expect(answerAfterConnect(5, '00 00')).toBe('e00182 closed');
  expect(answer(5, [connect({ firstByte: 0x11 })])).toBe('2003008100 closed');
  expect(answer(5, [connect({ firstByte: 0x18 })])).toBe('2003008100 closed');
});

test('v3.1.1 [MQTT-2.2.2-2] closes without a packet on reserved flags and reserved packet types', () => {
  const packets = {
    ...wrongFlags,
    'SUBSCRIBE 0': '80 06 0001 000161 00',
    'SUBSCRIBE 3': '83 06 0001 000161 00',
    'UNSUBSCRIBE 0': 'a0 05 0001 000161',
    'UNSUBSCRIBE 10': 'aa 05 0001 000161',
    'type 15': 'f0 00',
  };
  for (const [name, hex] of Object.entries(packets)) {
    expect([name, answerAfterConnect(4, hex)]).toEqual([name, 'closed']);
  }
  expect(answer(4, [connect({ level: 4, firstByte: 0x11 })])).toBe('closed');
});

/** Lets the broker send every type of packet it has, and gives the first bytes. */
function firstBytesSent(version: ProtocolVersion): Set<number> {
  const t = new TestBroker();
  const peer = t.connect({ version, clientId: 'all', cleanStart: true });
  const sent = new Set<number>();
  peer.raw = [];
  const send = (what: Parameters<typeof peer.send>[0]): void => {
    peer.send(what);
    // Only answers of one packet each are asked for here.
    sent.add(peer.raw[0]!);
    peer.take();
  };
  const second = t.open(version);
  second.send(connect({ level: version }));
  sent.add(second.raw[0]!);
  send(version === 5 ? '82 07 0001 00 000161 02' : '82 06 0001 000161 02');
  send(version === 5 ? '32 07 000162 0002 00 78' : '32 06 000162 0002 78');
  send(version === 5 ? '34 07 000162 0003 00 78' : '34 06 000162 0003 78');
  send('62 02 0003');
  second.publish('a', 'x', { qos: 2 });
  second.send({ type: PacketType.pubrel, packetId: 10, reasonCode: 0, properties: null });
  sent.add(peer.raw[0]!);
  peer.take();
  send('50 02 0001');
  peer.send('70 02 0001');
  send(version === 5 ? 'a2 06 0004 00 000161' : 'a2 05 0004 000161');
  send('c0 00');
  if (version === 5) send('c1 00');
  return sent;
}

test('v5 [MQTT-2.1.3-1] sends the reserved flags of every packet type as the table lists them', () => {
  expect([...firstBytesSent(5)].sort((a, b) => a - b)).toEqual([
    0x20, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xe0,
  ]);
});

test('v3.1.1 [MQTT-2.2.2-1] sends the reserved flags of every packet type as the table lists them', () => {
  expect([...firstBytesSent(4)].sort((a, b) => a - b)).toEqual([0x20, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0]);
});

test('v5 [MQTT-1.5.5-1] refuses a Variable Byte Integer in more bytes than needed with 0x81', () => {
  const rows: Record<string, string> = {
    'remaining length 80 00': 'c0 80 00',
    'remaining length 80 80 80 00': 'c0 80 80 80 00',
    'remaining length 87 00': '30 87 00 000161 00 787878',
    'remaining length of five bytes': '30 ff ff ff ff 01',
    'remaining length that goes on after four bytes': '30 80 80 80 80',
    'property length 80 00': '30 06 000161 80 00 78',
    'property length of five bytes': '30 09 000161 80 80 80 80 01 78',
    'subscription identifier 81 00': '82 0a 0001 03 0b 81 00 000161 00',
    'property identifier 81 00': '30 08 000161 03 81 00 01 78',
  };
  for (const [name, hex] of Object.entries(rows)) {
    expect([name, answerAfterConnect(5, hex)]).toEqual([name, 'e00181 closed']);
  }
});

test('v5 [MQTT-1.5.5-1] refuses a CONNECT whose Remaining Length is longer than needed, whole and in pieces', () => {
  const good = connect();
  for (const padding of [[0x00], [0x80, 0x00], [0x80, 0x80, 0x00]]) {
    const padded = join(Uint8Array.of(0x10, good[1]! | 0x80, ...padding), good.subarray(2));
    expect(answer(5, [padded])).toBe('2003008100 closed');
    const bytewise = [...padded].map((byte) => Uint8Array.of(byte));
    expect(answer(5, bytewise).replaceAll('|', '')).toBe('2003008100 closed');
  }
  const long = connect({ clientId: 'x'.repeat(200) });
  const paddedLong = join(Uint8Array.of(0x10, long[1]!, long[2]! | 0x80, 0x00), long.subarray(3));
  expect(answer(5, [paddedLong])).toBe('2003008100 closed');
  expect(answer(5, [long])).not.toContain('closed');
});

test('v3.1.1 a Remaining Length longer than needed is read, as 3.1.1 does not forbid it', () => {
  const good = connect({ level: 4 });
  expect(answer(4, [join(Uint8Array.of(0x10, good[1]! | 0x80, 0x00), good.subarray(2)), 'c0 80 00'])).toBe(
    '20020000|d000',
  );
});

test('v5 [MQTT-1.5.5-1] sends each length in the fewest bytes', () => {
  const t = new TestBroker({ maxPacketSize: 3_000_000 });
  const subscriber = t.connect({ clientId: 'subscriber' });
  subscriber.subscribe('a');
  const publisher = t.connect({ clientId: 'publisher' });
  const lengthBytes: Record<number, string> = {
    127: '7f',
    128: '8001',
    16_383: 'ff7f',
    16_384: '808001',
    2_097_151: 'ffff7f',
    2_097_152: '80808001',
  };
  for (const [remaining, expected] of Object.entries(lengthBytes)) {
    subscriber.take();
    publisher.send(packet(0x30, field('a'), '00', new Uint8Array(Number(remaining) - 4)));
    const head = subscriber.raw.slice(0, 1 + expected.length / 2);
    expect(toHex(Uint8Array.from(head))).toBe(`30${expected}`);
    expect(subscriber.raw.length).toBe(Number(remaining) + head.length);
  }
  // Property lengths of 127 and 128: a user property takes 5 bytes more than its value.
  for (const [valueLength, expected] of [
    [122, '7f'],
    [123, '8001'],
  ] as const) {
    subscriber.take();
    const properties = join(expected, '26 0000', field('v'.repeat(valueLength)));
    publisher.send(packet(0x32, field('a'), '0001', properties));
    expect(toHex(Uint8Array.from(subscriber.raw))).toContain(`000161${expected}26`);
    publisher.take();
  }
});

test('v5 [MQTT-2.2.2-1] writes property length 0 and refuses a packet without the field', () => {
  const t = new TestBroker({ maxInflightMessages: 0, maxPacketSize: 268_435_460 }, { maxTopicAlias: 0 });
  expect(answer(5, [connect()], t)).toBe('2003000000');
  expect(answerAfterConnect(5, '82 07 0001 00 000161 00')).toBe('9004 0001 00 00'.replaceAll(' ', ''));
  expect(answerAfterConnect(5, 'a2 06 0001 00 000161')).toBe('b004 0001 00 11'.replaceAll(' ', ''));
  const subscriber = t.connect({ clientId: 'subscriber' });
  subscriber.subscribe('a');
  subscriber.take();
  t.connect({ clientId: 'publisher' }).publish('a', 'x');
  expect(toHex(Uint8Array.from(subscriber.raw))).toBe('30050001610078');

  expect(answer(5, ['10 0a 0004 4d515454 05 02 003c'])).toBe('2003008100 closed');
  // The client identifier is read as properties, and ends too early.
  expect(answer(5, ['10 0e 0004 4d515454 05 02 003c 0002 6331'])).toBe('2003008100 closed');
  for (const hex of ['30 03 000161', '82 02 0001', 'a2 02 0001', '32 05 000161 0001']) {
    expect([hex, answerAfterConnect(5, hex)]).toEqual([hex, 'e00181 closed']);
  }
});

test('v5 [MQTT-2.2.2-1] an acknowledgement or DISCONNECT may end before its property length', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's', properties: { receiveMaximum: 1 } });
  subscriber.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  for (let i = 0; i < 2; i++) publisher.publish('a', `${i}`, { qos: 1, packetId: i + 1 });
  const first = subscriber.expect(PacketType.publish);
  subscriber.send(`40 03 ${first.packetId.toString(16).padStart(4, '0')} 00`);
  expect(subscriber.expect(PacketType.publish).packetId).toBe(2);
  expect(subscriber.send('e0 01 00').isClosed).toBe(true);
  subscriber.expectNothing();
});
