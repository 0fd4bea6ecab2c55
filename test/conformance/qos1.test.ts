/** At least once: v5 sections 3.4, 4.3.2; v3.1.1 sections 3.4, 4.3.2. */
import { expect, test } from 'bun:test';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
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
import { TestBroker, text } from '../support/test-broker.ts';

testRefusals(ProtocolVersion.v5, [
  { name: 'v5 [MQTT-3.4.2-1] refuses a PUBACK with another reason code', send: ['4003000101'], reasonCode: 0x82 },
  { name: 'v5 [MQTT-2.1.3-1] refuses a PUBACK with flags', send: ['41020001'], reasonCode: 0x81 },
  { name: 'v5 section 3.4.2 refuses a PUBACK of one byte', send: ['400100'], reasonCode: 0x81 },
]);

for (const version of [4, 5] as const) {
  test(
    version === 5
      ? 'v5 [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-2.2.1-4] gives each unacknowledged message an identifier of its own, from 1 on, with DUP 0'
      : 'v3.1.1 [MQTT-4.3.2-1] [MQTT-2.3.1-4] gives each unacknowledged message an identifier of its own, from 1 on, with DUP 0',
    () => {
      const t = new TestBroker({ maxInflightMessages: 100 });
      const subscriber = t.connect({ version, clientId: 's' });
      subscriber.subscribe('a', 1);
      const publisher = t.connect({ clientId: 'p' });
      for (let i = 0; i < 100; i++) publishWhole(publisher, 'a', `${i}`, 1);
      const got = publishes(subscriber);
      expect(got.map((packet) => packet.packetId)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
      expect(got.every((packet) => !packet.dup && packet.qos === 1)).toBe(true);
    },
  );
}

test('v5 [MQTT-4.3.2-3] v3.1.1 [MQTT-4.3.2-1] holds a message until its own PUBACK', () => {
  const t = new TestBroker();
  const properties = { sessionExpiryInterval: 100 };
  const subscriber = t.connect({ clientId: 's', properties });
  subscriber.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'one', 1);
  publishWhole(publisher, 'a', 'two', 1);
  expect(payloads(subscriber)).toEqual(['one', 'two']);
  // One of its messages, one of nobody's, and a late one that was acknowledged before.
  subscriber.puback(1).puback(99).puback(1);
  subscriber.drop();

  const back = t.connect({ clientId: 's', cleanStart: false, properties });
  expect(publishes(back).map(({ packetId, dup, payload }) => [packetId, dup, text(payload)])).toEqual([
    [2, true, 'two'],
  ]);
  back.puback(2);
  back.drop();
  const again = t.connect({ clientId: 's', cleanStart: false, properties });
  expectQuiet(again);
});

test('v5 [MQTT-4.3.2-4] [MQTT-4.5.0-1] v3.1.1 [MQTT-4.3.2-2] [MQTT-4.5.0-1] once acknowledged a message is in the session of every subscriber, connected or not', () => {
  const t = new TestBroker();
  const live = t.connect({ clientId: 'live' });
  live.subscribe('a/+', 1);
  t.connect({ version: 4, clientId: 'away3', cleanStart: false }).subscribe('a/#', 1);
  const away5 = t.connect({ clientId: 'away5', properties: { sessionExpiryInterval: 100 } });
  away5.subscribe('a/b', 2);
  away5.drop();
  const publisher = t.connect({ clientId: 'p' });
  expect(exchange(publisher, '32090003612f621234 0078')).toBe('40021234');
  publisher.drop();
  expect(payloads(live)).toEqual(['x']);
  expect(payloads(t.connect({ version: 4, clientId: 'away3', cleanStart: false }))).toEqual(['x']);
  expect(payloads(t.connect({ clientId: 'away5', cleanStart: false }))).toEqual(['x']);
});

test('v5 [MQTT-4.3.2-5] v3.1.1 [MQTT-4.3.2-2] after PUBACK the identifier is that of a new message, whatever DUP says', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 1);
  for (const version of [4, 5] as const) {
    const publisher = t.connect({ version, clientId: `p${version}` });
    for (const [payload, dup] of [
      ['one', false],
      ['two', true],
      ['two', true],
    ] as const) {
      publisher.publish('a', payload, { qos: 1, packetId: 1, dup });
      expect(publisher.expect(PacketType.puback).packetId).toBe(1);
    }
    expect(drainMessages(subscriber).map(({ payload }) => text(payload))).toEqual(['one', 'two', 'two']);
  }
});

test('v5 [MQTT-2.2.1-5] v3.1.1 [MQTT-2.3.1-6] answers with the identifier of the exchange, the largest too', () => {
  const t = new TestBroker();
  t.connect({ clientId: 's' }).subscribe('a', 2);
  const v5 = t.connect({ clientId: 'p5' });
  expect(exchange(v5, '3207000161ffff0078')).toBe('4002ffff');
  expect(exchange(v5, '3407000161ffff0078')).toBe('5002ffff');
  expect(exchange(v5, '6202ffff')).toBe('7002ffff');
  const v3 = t.connect({ version: 4, clientId: 'p3' });
  expect(exchange(v3, '3206000161123478')).toBe('40021234');
  expect(exchange(v3, '3406000161abcd78')).toBe('5002abcd');
  expect(exchange(v3, '6202abcd')).toBe('7002abcd');
});

test('a PUBACK with an error ends the message and counts it; reason and properties may stand in it', () => {
  const t = new TestBroker();
  const properties = { sessionExpiryInterval: 100, receiveMaximum: 1 };
  const subscriber = t.connect({ clientId: 's', properties });
  subscriber.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  for (const payload of ['one', 'two', 'three']) publishWhole(publisher, 'a', payload, 1);
  expect(payloads(subscriber)).toEqual(['one']);
  subscriber.send('400300 0187');
  expect(payloads(subscriber)).toEqual(['two']);
  subscriber.send('4009 0002 10 05 1f0002 6f6b');
  expect(payloads(subscriber)).toEqual(['three']);
  expect(t.broker.counters.dropped.get(DropReason.refused)).toBe(1);
});

test('an acknowledgement that does not fit its message ends the connection with 0x82, as Mosquitto closes', () => {
  for (const [qos, hex] of [
    [2, '40020001'],
    [2, '70020001'],
    [1, '50020001'],
    [1, '70020001'],
  ] as const) {
    const t = new TestBroker();
    const subscriber = t.connect({ clientId: 's' });
    subscriber.subscribe('a', qos);
    publishWhole(t.connect({ clientId: 'p' }), 'a', 'x', qos);
    expect(publishes(subscriber)[0]?.qos).toBe(qos);
    expect([exchange(subscriber, hex), subscriber.isClosed]).toEqual(['e00182', true]);
  }
  // One for nothing at all may be a late one.
  const peer = new TestBroker().connect();
  for (const type of [PacketType.puback, PacketType.pubcomp] as const) expect(exchange(peer, ack(type, 77))).toBe('');
  expectQuiet(peer);
});
