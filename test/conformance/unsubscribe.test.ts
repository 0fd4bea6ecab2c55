/** UNSUBSCRIBE and UNSUBACK: v5 sections 3.10 and 3.11, v3.1.1 sections 3.10 and 3.11. */
import { expect, test } from 'bun:test';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
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
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

const { pubrec, pubrel, pubcomp } = PacketType;

testRefusals(ProtocolVersion.v5, [
  {
    name: 'v5 [MQTT-3.10.1-1] refuses an UNSUBSCRIBE whose low flag bits are not 0010',
    send: ['a006000100000161', 'a106000100000161', 'a306000100000161', 'aa06000100000161'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-3.10.3-1] refuses a filter that is not UTF-8 or no filter',
    send: ['a2060001000001ff', 'a20700010000026123', 'a205000100 0000'],
    reasonCode: 0x81,
  },
  { name: 'v5 [MQTT-3.10.3-2] refuses an UNSUBSCRIBE without a filter', send: ['a203000100'], reasonCode: 0x82 },
]);

testRefusals(ProtocolVersion.v311, [
  {
    name: 'v3.1.1 [MQTT-3.10.1-1] closes on an UNSUBSCRIBE whose low flag bits are not 0010',
    send: ['a0050001000161', 'a1050001000161', 'a3050001000161'],
  },
  { name: 'v3.1.1 [MQTT-3.10.3-1] closes on a filter that is not UTF-8', send: ['a20500010001ff'] },
  { name: 'v3.1.1 [MQTT-3.10.3-2] closes on an UNSUBSCRIBE without a filter', send: ['a2020001'] },
]);

function unsubscribe(peer: Peer, topicFilters: string[], packetId = 2): number[] {
  peer.send({ type: PacketType.unsubscribe, packetId, properties: null, topicFilters });
  const unsuback = peer.expect(PacketType.unsuback);
  expect(unsuback.packetId).toBe(packetId);
  return unsuback.reasonCodes;
}

test('v5 [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.2.1-6] v3.1.1 [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.3.1-7] answers with UNSUBACK of the same identifier, where nothing ended too', () => {
  const t = new TestBroker();
  const v5 = t.connect({ clientId: 'c5' });
  v5.subscribe('a', 1);
  expect(exchange(v5, 'a206beef00000161')).toBe('b004beef0000');
  expect(exchange(v5, 'a206abcd00000161')).toBe('b004abcd0011');
  const v3 = t.connect({ version: 4, clientId: 'c3' });
  v3.subscribe('a', 1);
  expect(exchange(v3, 'a2051234000161')).toBe('b0021234');
  expect(exchange(v3, 'a205ffff000161')).toBe('b002ffff');
});

test('v5 [MQTT-3.10.4-1] [MQTT-3.11.3-2] v3.1.1 [MQTT-3.10.4-1] ends the subscriptions whose filter is the very same, and no other', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const subscriber = t.connect({ version, clientId: 's' });
    for (const filter of ['a/+', 'a/b', 'a/#', '$share/g/a/b']) subscriber.subscribe(filter, 0);
    const publisher = t.connect({ clientId: 'p' });
    const copies = () => {
      publisher.publish('a/b', 'x');
      return payloads(subscriber).length;
    };
    // Before MQTT 5 the three plain ones make one copy.
    expect(copies()).toBe(version === 5 ? 4 : 2);
    const codes = unsubscribe(subscriber, ['A/b', 'a/b/', '/a/b', 'a', '#', '$share/h/a/b', '$share/g/a/+']);
    expect(codes).toEqual(version === 5 ? [0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11] : []);
    expect(t.broker.tree.subscriptionCount).toBe(4);
    expect(unsubscribe(subscriber, ['a/+'])).toEqual(version === 5 ? [0] : []);
    expect(copies()).toBe(version === 5 ? 3 : 2);
    unsubscribe(subscriber, ['$share/g/a/b']);
    unsubscribe(subscriber, ['a/#']);
    expect(copies()).toBe(1);
    unsubscribe(subscriber, ['a/b']);
    expect(copies()).toBe(0);
    expect([t.broker.tree.subscriptionCount, t.broker.tree.filterCount]).toEqual([0, 0]);
  }
});

test('v5 [MQTT-3.10.4-2] v3.1.1 [MQTT-3.10.4-2] adds no message after it, connected or away', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const connect = () =>
      version === 5
        ? t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 100 } })
        : t.connect({ version, clientId: 's', cleanStart: false });
    const subscriber = connect();
    subscriber.subscribe('a', 2);
    const publisher = t.connect({ clientId: 'p' });
    unsubscribe(subscriber, ['a']);
    for (const qos of [0, 1, 2] as const) publishWhole(publisher, 'a', 'x', qos);
    expectQuiet(subscriber);
    subscriber.drop();
    for (const qos of [0, 1, 2] as const) publishWhole(publisher, 'a', 'x', qos);
    expectQuiet(connect());
    publisher.publish('a', 'x', { qos: 1 });
    expect(publisher.expect(PacketType.puback).reasonCode).toBe(0x10);
  }
});

test('v5 [MQTT-3.10.4-3] v3.1.1 [MQTT-3.10.4-3] finishes the deliveries it has begun, and sends what was queued', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker({ maxInflightMessages: 3 });
    const connect = () =>
      version === 5
        ? t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 100 } })
        : t.connect({ version, clientId: 's', cleanStart: false });
    const subscriber = connect();
    subscriber.subscribe('a', 2);
    const publisher = t.connect({ version: 4, clientId: 'p' });
    for (const [payload, qos] of [
      ['one', 1],
      ['two', 2],
      ['three', 2],
      ['queued', 1],
    ] as const) {
      publishWhole(publisher, 'a', payload, qos);
    }
    expect(payloads(subscriber)).toEqual(['one', 'two', 'three']);
    subscriber.send(ack(pubrec, 3)).expect(pubrel);
    unsubscribe(subscriber, ['a']);
    subscriber.send(ack(pubrec, 2)).expect(pubrel);
    subscriber.send(ack(pubcomp, 2));
    expect(payloads(subscriber)).toEqual(['queued']);
    subscriber.drop();
    const back = connect();
    const [first, second, third] = back.take();
    expect([first, second, third]).toMatchObject([
      { type: PacketType.publish, dup: true, packetId: 1 },
      { type: pubrel, packetId: 3 },
      { type: PacketType.publish, dup: true, packetId: 4 },
    ]);
  }
});

test('v5 [MQTT-3.10.4-6] [MQTT-3.11.3-1] v3.1.1 [MQTT-3.10.4-6] several filters are as many, with one UNSUBACK and a code for each in their order', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const subscriber = t.connect({ version, clientId: 's' });
    for (const filter of ['a', 'b', 'c', 'd/#']) subscriber.subscribe(filter, 1);
    expect(unsubscribe(subscriber, ['nope', 'a', 'nope2', 'b', 'a', 'd/#'])).toEqual(
      version === 5 ? [0x11, 0, 0x11, 0, 0x11, 0] : [],
    );
    const publisher = t.connect({ clientId: 'p' });
    for (const topicName of ['a', 'b', 'c', 'd/e']) publishWhole(publisher, topicName, topicName, 1);
    expect(drainMessages(subscriber).map(({ payload }) => text(payload))).toEqual(['c']);
  }
});

test('a filter can be subscribed to, left and subscribed to again', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  const publisher = t.connect({ clientId: 'p' });
  // Beyond a few subscriptions a session finds them in another way.
  for (const count of [3, 40]) {
    const filters = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? `f/${i}` : `f/${i}/+`));
    for (let round = 0; round < 2; round++) {
      for (const filter of filters) expect(subscriber.subscribe(filter, 1).reasonCodes).toEqual([1]);
      publisher.publish('f/2', 'x');
      expect(publishes(subscriber).length).toBe(1);
      expect(unsubscribe(subscriber, filters)).toEqual(filters.map(() => 0));
      publisher.publish('f/2', 'x');
      expectQuiet(subscriber);
    }
  }
});
