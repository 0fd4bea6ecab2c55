/** Receive Maximum in both directions: v5 sections 3.3.4 and 4.9. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { ack, exchange, expectQuiet, payloads, publishes, publishWhole } from '../support/exchanges.ts';
import { type Peer, TestBroker } from '../support/test-broker.ts';

const { publish, pubrec, pubrel, pubcomp, puback } = PacketType;

function publishMany(t: TestBroker, count: number, qos: 0 | 1 | 2, topicName = 'a'): Peer {
  const publisher = t.connect({ version: 4, clientId: 'many' });
  for (let i = 0; i < count; i++) publishWhole(publisher, topicName, `${i}`, qos);
  return publisher;
}

test('v5 [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] has at most Receive Maximum messages unfinished towards a client; each PUBACK lets one more go', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's', properties: { receiveMaximum: 3 } });
  subscriber.subscribe('a', 1);
  const publisher = publishMany(t, 10, 1);
  expect(payloads(subscriber)).toEqual(['0', '1', '2']);
  subscriber.puback(2);
  expect(payloads(subscriber)).toEqual(['3']);
  subscriber.send(ack(puback, 1, 0x87)).puback(3);
  expect(payloads(subscriber)).toEqual(['4', '5']);
  // QoS 0 messages need no place.
  publishWhole(publisher, 'a', 'zero', 0);
  expect(payloads(subscriber)).toEqual(['zero']);
  for (let packetId = 4; packetId <= 10; packetId++) subscriber.puback(packetId);
  expect(payloads(subscriber)).toEqual(['6', '7', '8', '9']);
});

test('v5 [MQTT-3.3.4-9] at QoS 2 a place becomes free with PUBCOMP or with a PUBREC of an error, not with PUBREC', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's', properties: { receiveMaximum: 2 } });
  subscriber.subscribe('a', 2);
  publishMany(t, 6, 2);
  expect(payloads(subscriber)).toEqual(['0', '1']);
  subscriber.send(ack(pubrec, 1)).expect(pubrel);
  expectQuiet(subscriber);
  subscriber.send(ack(pubrec, 2, 0x97));
  expect(payloads(subscriber)).toEqual(['2']);
  subscriber.send(ack(pubcomp, 1));
  expect(payloads(subscriber)).toEqual(['3']);
});

test('v5 [MQTT-4.9.0-1] the window is the smaller of Receive Maximum and max_inflight_messages', () => {
  for (const [maxInflightMessages, receiveMaximum, expected] of [
    [20, 1, 1],
    [20, undefined, 20],
    [5, 100, 5],
    [5, 2, 2],
    [0, 30, 30],
    [0, undefined, 50],
  ] as const) {
    const t = new TestBroker({ maxInflightMessages });
    const properties = receiveMaximum === undefined ? {} : { receiveMaximum };
    const subscriber = t.connect({ clientId: 's', properties });
    subscriber.subscribe('a', 1);
    publishMany(t, 50, 1);
    expect([maxInflightMessages, receiveMaximum, publishes(subscriber).length]).toEqual([
      maxInflightMessages,
      receiveMaximum,
      expected,
    ]);
  }
  // A 3.1.1 client has no Receive Maximum.
  const t = new TestBroker({ maxInflightMessages: 4 });
  const old = t.connect({ version: 4, clientId: 's' });
  old.subscribe('a', 1);
  publishMany(t, 10, 1);
  expect(publishes(old).length).toBe(4);
});

test('v5 [MQTT-3.3.4-10] [MQTT-4.9.0-3] answers everything else while the window is full', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's', properties: { receiveMaximum: 1 } });
  subscriber.subscribe('a', 2);
  publishMany(t, 3, 2);
  expect(payloads(subscriber)).toEqual(['0']);
  expect(exchange(subscriber, 'c000')).toBe('d000');
  expect(subscriber.subscribe('b', 1).reasonCodes).toEqual([1]);
  expect(exchange(subscriber, 'a20600020000 0162')).toBe('b0040002' + '0000');
  expect(exchange(subscriber, '320700016200070078')).toBe('4003000710');
  expect(exchange(subscriber, '340700016200080078')).toBe('50020008');
  expect(exchange(subscriber, '62020008')).toBe('70020008');
  expect(exchange(subscriber, '50020001')).toBe('62020001');
});

test('v5 [MQTT-3.3.4-7] ends a connection with 0x93 that has more unfinished QoS 2 publishes than it was told', () => {
  const t = new TestBroker({ maxInflightMessages: 3 });
  const publisher = t.connect({ clientId: 'p' });
  expect(publisher.connack.properties?.receiveMaximum).toBe(3);
  for (const packetId of [1, 2, 3]) publisher.publish('a', 'x', { qos: 2, packetId }).expect(pubrec);
  // One of the three again is no fourth.
  publisher.publish('a', 'x', { qos: 2, packetId: 2, dup: true }).expect(pubrec);
  publisher.send(ack(pubrel, 1)).expect(pubcomp);
  publisher.publish('a', 'x', { qos: 2, packetId: 4 }).expect(pubrec);
  // QoS 1 is finished at once, QoS 0 is not counted.
  publisher.publish('a', 'x', { qos: 1, packetId: 5 }).expect(puback);
  publisher.publish('a', 'x');
  expect(publisher.isClosed).toBe(false);
  expect(exchange(publisher, '340700016100060078')).toBe('e00193');
  expect(publisher.isClosed).toBe(true);
});

test('a 3.1.1 client knows no Receive Maximum and is not held to it', () => {
  const t = new TestBroker({ maxInflightMessages: 3 });
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 0);
  const publisher = t.connect({ version: 4, clientId: 'p' });
  for (let packetId = 1; packetId <= 10; packetId++) publisher.publish('a', 'x', { qos: 2, packetId }).expect(pubrec);
  for (let packetId = 10; packetId >= 1; packetId--) publisher.send(ack(pubrel, packetId)).expect(pubcomp);
  expect(publishes(subscriber).length).toBe(10);
});

test('a window that is full for one client holds no other back', () => {
  const t = new TestBroker();
  const slow = t.connect({ clientId: 'slow', properties: { receiveMaximum: 1 } });
  slow.subscribe('a', 1);
  const quick = t.connect({ clientId: 'quick' });
  quick.subscribe('a', 1);
  publishMany(t, 10, 1);
  expect(publishes(quick).length).toBe(10);
  expect(slow.expect(publish).packetId).toBe(1);
  expectQuiet(slow);
});
