/** Exactly once: v5 sections 3.5 to 3.7, 4.3.3; v3.1.1 sections 3.5 to 3.7, 4.3.3. */
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
  received,
  testRefusals,
} from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

const { pubrec, pubrel, pubcomp } = PacketType;
const PUBLISH_1 = '340700016100010078';

testRefusals(ProtocolVersion.v5, [
  {
    name: 'v5 [MQTT-3.6.1-1] refuses a PUBREL whose low flag bits are not 0010',
    after: [PUBLISH_1],
    send: ['60020001', '61020001', '63020001', '66020001', '6a020001'],
    reasonCode: 0x81,
  },
  { name: 'v5 [MQTT-3.5.2-1] refuses a PUBREC with another reason code', send: ['5003000101'], reasonCode: 0x82 },
  {
    name: 'v5 [MQTT-3.6.2-1] refuses a PUBREL with another reason code',
    after: [PUBLISH_1],
    send: ['6203000180', '6203000110'],
    reasonCode: 0x82,
  },
  {
    name: 'v5 [MQTT-3.7.2-1] refuses a PUBCOMP with another reason code',
    send: ['7003000180', '7003000110'],
    reasonCode: 0x82,
  },
]);

testRefusals(ProtocolVersion.v311, [
  {
    name: 'v3.1.1 [MQTT-3.6.1-1] closes on a PUBREL whose low flag bits are not 0010',
    after: ['3406000161000178'],
    send: ['60020001', '61020001', '63020001'],
  },
]);

/** A subscriber of `a` at QoS 2 with a session that stays, and a publisher. */
function pair(version: 4 | 5 = 5, receiveMaximum = 20) {
  const t = new TestBroker();
  const connect = () =>
    version === 5
      ? t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 100, receiveMaximum } })
      : t.connect({ version, clientId: 's', cleanStart: false });
  const subscriber = connect();
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p' });
  publisher.take();
  subscriber.take();
  const resume = (old: Peer): Peer => {
    old.drop();
    const peer = connect();
    expect(peer.connack.sessionPresent).toBe(true);
    peer.raw = [];
    // The redelivery came in the same write as CONNACK.
    return peer;
  };
  return { t, subscriber, publisher, resume };
}

for (const version of [4, 5] as const) {
  const publishHex = (packetId: number, first = '34') =>
    version === 5
      ? `${first}07000161${packetId.toString(16).padStart(4, '0')}0078`
      : `${first}06000161${packetId.toString(16).padStart(4, '0')}78`;

  test(
    version === 5
      ? 'v5 [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-4] [MQTT-2.2.1-5] [MQTT-3.6.2-1] as a sender goes PUBLISH, PUBREL on PUBREC, end on PUBCOMP, with an unused identifier and DUP 0'
      : 'v3.1.1 [MQTT-4.3.3-1] [MQTT-2.3.1-6] as a sender goes PUBLISH, PUBREL on PUBREC, end on PUBCOMP, with an unused identifier and DUP 0',
    () => {
      const { subscriber, publisher } = pair(version);
      publishWhole(publisher, 'a', 'x', 2);
      expect(received(subscriber)).toBe(publishHex(1));
      publishWhole(publisher, 'a', 'x', 2);
      expect(received(subscriber)).toBe(publishHex(2));
      expect(exchange(subscriber, ack(pubrec, 1))).toBe('62020001');
      // In PUBREL state the identifier is still in use.
      publishWhole(publisher, 'a', 'x', 2);
      expect(received(subscriber)).toBe(publishHex(3));
      expect(exchange(subscriber, ack(pubcomp, 1))).toBe('');
      expect(exchange(subscriber, ack(pubrec, 2))).toBe('62020002');
      if (version === 5) expect(exchange(subscriber, '5003000310')).toBe('62020003');
      // A PUBREC that comes again is answered again.
      expect(exchange(subscriber, ack(pubrec, 2))).toBe('62020002');
    },
  );

  test(
    version === 5
      ? 'v5 [MQTT-4.3.3-3] [MQTT-4.3.3-5] [MQTT-4.3.3-6] as a sender repeats PUBLISH until PUBREC, then only PUBREL until PUBCOMP'
      : 'v3.1.1 [MQTT-4.3.3-1] as a sender repeats PUBLISH until PUBREC, then only PUBREL until PUBCOMP',
    () => {
      const { subscriber, publisher, resume } = pair(version);
      publishWhole(publisher, 'a', 'x', 2);
      subscriber.take();
      let peer = resume(subscriber);
      expect(peer.expect(PacketType.publish)).toMatchObject({ dup: true, packetId: 1, qos: 2 });
      expectQuiet(peer);
      peer = resume(peer);
      expect(peer.expect(PacketType.publish)).toMatchObject({ dup: true, packetId: 1, qos: 2 });
      peer.send(ack(pubrec, 1)).expect(pubrel);
      for (let i = 0; i < 2; i++) {
        peer = resume(peer);
        expect(peer.expect(pubrel)).toMatchObject({ packetId: 1, reasonCode: 0 });
        expectQuiet(peer);
      }
      peer.send(ack(pubcomp, 1));
      peer = resume(peer);
      expectQuiet(peer);
    },
  );

  test(
    version === 5
      ? 'v5 [MQTT-4.3.3-8] [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-4.3.3-12] as a receiver takes a repeated identifier for the same message until PUBREL, and for a new one after'
      : 'v3.1.1 [MQTT-4.3.3-2] as a receiver takes a repeated identifier for the same message until PUBREL, and for a new one after',
    () => {
      const t = new TestBroker();
      const subscriber = t.connect({ clientId: 's' });
      subscriber.subscribe('a', 2);
      const connect = () =>
        t.connect(
          version === 5
            ? { clientId: 'p', cleanStart: false, properties: { sessionExpiryInterval: 100 } }
            : { version, clientId: 'p', cleanStart: false },
        );
      let publisher = connect();
      expect(exchange(publisher, publishHex(1))).toBe('50020001');
      expect(exchange(publisher, publishHex(1, '3c'))).toBe('50020001');
      publisher.drop();
      publisher = connect();
      expect(exchange(publisher, publishHex(1, '3c'))).toBe('50020001');
      expect(exchange(publisher, ack(pubrel, 1))).toBe('70020001');
      expect(drainMessages(subscriber).length).toBe(1);
      // A repeated PUBREL ends too, and delivers nothing more.
      expect(exchange(publisher, ack(pubrel, 1))).toBe('70020001');
      expectQuiet(subscriber);
      expect(exchange(publisher, publishHex(1))).toBe('50020001');
      expect(exchange(publisher, ack(pubrel, 1))).toBe('70020001');
      expect(drainMessages(subscriber).length).toBe(1);
    },
  );
}

test('v5 [MQTT-4.3.3-10] a repeated identifier is the same message with DUP, and takes its place without, as with Mosquitto', () => {
  const { subscriber, publisher } = pair();
  const messages = [
    ['first', false],
    ['again', true],
    ['another', false],
    ['again', true],
  ] as const;
  for (const [payload, dup] of messages) {
    publisher.publish('a', payload, { qos: 2, packetId: 1, dup });
    expect(received(publisher)).toBe('50020001');
  }
  publisher.send(ack(pubrel, 1));
  expect(payloads(subscriber)).toEqual(['another']);
});

test('v5 [MQTT-4.3.3-4] a PUBREC with an error ends the message without PUBREL and gives its place to the next', () => {
  const { t, subscriber, publisher, resume } = pair(5, 1);
  publishWhole(publisher, 'a', 'one', 2);
  publishWhole(publisher, 'a', 'two', 2);
  expect(payloads(subscriber)).toEqual(['one']);
  expect(exchange(subscriber, '5003000183')).toBe('340900016100020074776f');
  expect(t.broker.counters.dropped.get(DropReason.refused)).toBe(1);
  const back = resume(subscriber);
  expect(publishes(back).map(({ payload }) => text(payload))).toEqual(['two']);
});

test('v5 [MQTT-4.3.3-7] a message whose PUBLISH was sent does not expire', () => {
  const { t, subscriber, publisher, resume } = pair();
  publishWhole(publisher, 'a', 'x', 2, { properties: { messageExpiryInterval: 1 } });
  expect(payloads(subscriber)).toEqual(['x']);
  subscriber.drop();
  t.advance(3_000);
  const back = resume(subscriber);
  expect(back.expect(PacketType.publish)).toMatchObject({ dup: true, packetId: 1, qos: 2 });
  back.send(ack(pubrec, 1)).expect(pubrel);
});

test('v5 [MQTT-4.3.3-9] after a PUBREC with an error the identifier is that of a new message', () => {
  const { subscriber, publisher } = pair();
  expect(exchange(publisher, '3413000d245359532f62726f6b65722f7800010078')).toBe('5003000187');
  expect(exchange(publisher, PUBLISH_1)).toBe('50020001');
  expect(exchange(publisher, ack(pubrel, 1))).toBe('70020001');
  expect(payloads(subscriber)).toEqual(['x']);
});

test('v5 [MQTT-4.3.3-13] [MQTT-3.3.2-5] an exchange is finished though its message expired, which goes to nobody', () => {
  const { t, subscriber, publisher } = pair();
  const late = { qos: 2, packetId: 1, properties: { messageExpiryInterval: 1 } } as const;
  publisher.publish('a', 'late', late).expect(pubrec);
  publisher.publish('r', 'old', { retain: true });
  publisher.publish('r', 'late', { ...late, packetId: 2, retain: true }).expect(pubrec);
  t.advance(2_000);
  expect(exchange(publisher, ack(pubrel, 1))).toBe('70020001');
  expect(exchange(publisher, ack(pubrel, 2))).toBe('70020002');
  expectQuiet(subscriber);
  expect(t.broker.counters.dropped.get(DropReason.expired)).toBe(2);
  // It replaced the retained message before it expired.
  subscriber.subscribe('r', 1);
  expectQuiet(subscriber);
});

test('v5 [MQTT-3.6.2-1] [MQTT-3.7.2-1] answers an unknown identifier as one that was completed, as with Mosquitto', () => {
  const v5 = new TestBroker().connect();
  expect(exchange(v5, '50020063')).toBe('62020063');
  expect(exchange(v5, '5003006310')).toBe('62020063');
  expect(exchange(v5, '5003006387')).toBe('');
  expect(exchange(v5, '62020063')).toBe('70020063');
  expect(exchange(v5, '6203006392')).toBe('70020063');
  const v3 = new TestBroker().connect({ version: 4 });
  expect(exchange(v3, '50020063')).toBe('62020063');
  expect(exchange(v3, '62020063')).toBe('70020063');
});

test('v3.1.1 [MQTT-4.6.0-4] sends PUBREL in the order of the PUBRECs, when it sends them again too', () => {
  for (const version of [4, 5] as const) {
    const { subscriber, publisher, resume } = pair(version);
    for (let i = 0; i < 4; i++) publishWhole(publisher, 'a', `${i}`, 2);
    subscriber.take();
    for (const packetId of [2, 1, 3]) {
      expect(subscriber.send(ack(pubrec, packetId)).expect(pubrel).packetId).toBe(packetId);
    }
    // Once more for one that is released: it keeps its place.
    subscriber.send(ack(pubrec, 2)).expect(pubrel);
    const back = resume(subscriber);
    const packets = back.take();
    expect(packets.flatMap((packet) => (packet.type === pubrel ? [packet.packetId] : []))).toEqual([2, 1, 3]);
    expect(packets.flatMap((packet) => (packet.type === PacketType.publish ? [packet.packetId] : []))).toEqual([4]);
  }
});

test('a retained QoS 2 message is retained at its PUBREL', () => {
  const { t, publisher } = pair();
  publisher.publish('r', 'x', { qos: 2, packetId: 1, retain: true });
  expect(t.broker.retained.count).toBe(0);
  publisher.send(ack(pubrel, 1));
  expect(t.broker.retained.get('r')?.qos).toBe(2);
});
