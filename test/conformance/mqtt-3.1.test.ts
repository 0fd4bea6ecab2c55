/** What MQTT 3.1 (MQIsdp, level 3) does otherwise than 3.1.1: the sections are those of its specification. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { TestBroker, text, utf8 } from '../support/test-broker.ts';
import { expectQuiet, payloads, publishes } from '../support/exchanges.ts';
import { answer, answerAfterConnect, connect, field, join } from './raw-packets.ts';

test('v3.1 a CONNECT of MQIsdp at level 3 is accepted', () => {
  expect(answer(3, [connect({ level: 3 })])).toBe('20020000');
  const t = new TestBroker();
  t.connect({ version: 3, clientId: 'c1', keepAlive: 7, username: 'u' });
  expect(t.log.lines.at(-1)).toBe("New client connected from 192.0.2.1:50000 as c1 (p3, c1, k7, u'u').");
});

test('v3.1 other levels of MQIsdp get return code 1', () => {
  for (const level of [2, 4, 6]) {
    expect(answer(4, [connect({ name: 'MQIsdp', level })])).toBe('20020001 closed');
  }
  expect(answer(4, ['10 11 0006 4d5149736470 05 02 003c 00 0002 6331'])).toBe('20020001 closed');
});

test('v3.1 an empty client identifier gets return code 2, with Clean Session too', () => {
  for (const flags of [0, 2]) {
    expect(answer(3, [connect({ level: 3, clientId: '', flags })])).toBe('20020002 closed');
  }
});

test('v3.1 identifiers longer than 23 characters are accepted, as in Mosquitto', () => {
  expect(answer(3, [connect({ level: 3, clientId: 'x'.repeat(100) })])).toBe('20020000');
});

test('v3.1 has no Session Present: a kept session is there without a word', () => {
  const t = new TestBroker();
  const options = { version: 3, clientId: 'c1', cleanStart: false } as const;
  const first = t.connect(options);
  first.subscribe('a', 1);
  first.drop();
  t.connect({ clientId: 'p' }).publish('a', 'x', { qos: 1 });
  const again = t.connect(options);
  expect(again.connack.sessionPresent).toBe(false);
  const got = again.expect(PacketType.publish);
  expect([text(got.payload), got.qos]).toEqual(['x', 1]);
  again.disconnect();
  const clean = t.connect({ version: 3, clientId: 'c1' });
  expectQuiet(clean);
});

test('v3.1 bits that it does not use are not looked at', () => {
  const rows: readonly [name: string, bytes: Uint8Array][] = [
    ['reserved connect flag', connect({ level: 3, flags: 0x03 })],
    ['will QoS and retain without a will', connect({ level: 3, flags: 0x3a })],
    ['flags of the fixed header', connect({ level: 3, firstByte: 0x1b })],
    ['user name flag without user name', connect({ level: 3, flags: 0x82 })],
    ['password flag with a user name only', connect({ level: 3, flags: 0xc2, rest: field('u') })],
  ];
  for (const [name, bytes] of rows) expect([name, answer(3, [bytes])]).toEqual([name, '20020000']);
  expect(answerAfterConnect(3, 'c8 00')).toBe('d000');
  expect(answerAfterConnect(3, 'e8 00')).toBe('closed');
  // SUBSCRIBE and UNSUBSCRIBE have a QoS there, which is 1, and DUP when they are sent again.
  expect(answerAfterConnect(3, '8a 06 0001 000161 00')).toBe('9003000100');
  expect(answerAfterConnect(3, 'aa 05 0001 000161')).toBe('b0020001');
});

test('v3.1 what is broken in any version ends the connection without a packet', () => {
  const rows = [
    connect({ level: 3, flags: 0x1e, rest: join(field('w'), field('x')) }),
    connect({ level: 3, flags: 0x06 }),
    connect({ level: 3, flags: 0x42, rest: field('p') }),
    connect({ level: 3, clientId: Uint8Array.of(0x63, 0xff) }),
    connect({ level: 3, rest: field('u') }),
  ];
  for (const bytes of rows) expect(answer(3, [bytes])).toBe('closed');
  for (const hex of ['36 06 000161 0001 78', 'f0 00', '30 ff ff ff ff 01', '82 02 0001']) {
    expect(answerAfterConnect(3, hex)).toBe('closed');
  }
});

test('v3.1 publishes, subscribes and leaves a will as its successors do', () => {
  const t = new TestBroker();
  const watcher = t.connect({ version: 3, clientId: 'watcher' });
  watcher.subscribe('#', 2);
  const will = { topicName: 'w', payload: utf8('gone'), qos: 1, retain: true, properties: null } as const;
  const peer = t.connect({ version: 3, clientId: 'c1', will });
  peer.publish('a', 'hello', { qos: 1 });
  expect(peer.expect(PacketType.puback).packetId).toBe(10);
  peer.drop();
  expect(payloads(watcher)).toEqual(['hello', 'gone']);
  const late = t.connect({ version: 3, clientId: 'late' });
  late.subscribe('w');
  expect(publishes(late).map((packet) => [packet.retain, text(packet.payload)])).toEqual([[true, 'gone']]);
});

test('a bridge of Mosquitto, level 0x83 or 0x84, gets RETAIN as published and nothing of its own back', () => {
  for (const level of [0x83, 0x84]) {
    const t = new TestBroker();
    const bridge = t.open(level === 0x83 ? 3 : 4);
    bridge.send(connect({ level, name: level === 0x83 ? 'MQIsdp' : 'MQTT', clientId: 'host.out', flags: 0 }));
    expect(bridge.expect(PacketType.connack).reasonCode).toBe(0);
    expect(t.log.lines.at(-1)).toMatch(
      /^New bridge connected from 192\.0\.2\.1:50000 as host\.out \(p[34], c0, k60\)\.$/,
    );
    bridge.subscribe('#');
    bridge.publish('a', 'mine', { retain: true });
    expectQuiet(bridge);
    const other = t.connect({ clientId: 'other' });
    other.publish('a', 'kept', { retain: true }).publish('a', 'not kept');
    expect(publishes(bridge).map((packet) => [text(packet.payload), packet.retain])).toEqual([
      ['kept', true],
      ['not kept', false],
    ]);
    const plain = t.connect({ version: 4, clientId: 'plain' });
    plain.subscribe('a');
    plain.publish('a', 'own');
    expect(payloads(plain)).toContain('own');
  }
});
