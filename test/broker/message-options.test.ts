/** Options on what becomes of messages: upgrade_outgoing_qos, allow_duplicate_messages, check_retain_source, retain_expiry_interval. */
import { expect, test } from 'bun:test';
import type { AccessControl, TopicAccess } from '../../src/auth/access-control.ts';
import { PacketType, type QoS } from '../../src/protocol/packet-type.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { payloads, publishes, publishWhole } from '../support/exchanges.ts';
import { TestBroker } from '../support/test-broker.ts';

test('upgrade_outgoing_qos delivers at the QoS of the subscription, at once, from the queue and as retained', () => {
  const qosOf = (upgradeOutgoingQos: boolean): readonly QoS[] => {
    const t = new TestBroker({ upgradeOutgoingQos });
    const publisher = t.connect({ clientId: 'p' });
    publisher.publish('a', 'retained', { retain: true });
    const got: QoS[] = [];
    for (const granted of [0, 1, 2] as const) {
      const clientId = `s${granted}`;
      const peer = t.connect({ version: 4, clientId, cleanStart: false });
      peer.subscribe('a', granted);
      publishWhole(publisher, 'a', 'now', 0);
      publishWhole(publisher, 'a', 'now', 1);
      peer.drop();
      publishWhole(publisher, 'a', 'later', 1);
      got.push(...publishes(peer).map(({ qos }) => qos));
      const back = t.connect({ version: 4, clientId, cleanStart: false });
      got.push(
        ...publishes(back)
          .filter(({ dup }) => !dup)
          .map(({ qos }) => qos),
      );
      back.disconnect();
    }
    return got;
  };
  // Retained at QoS 0, then QoS 0 and 1, and QoS 1 after coming back: for a subscription of QoS 0, 1 and 2 each.
  expect(qosOf(false)).toEqual([0, 0, 0, /**/ 0, 0, 1, 1, /**/ 0, 0, 1, 1]);
  expect(qosOf(true)).toEqual([0, 0, 0, /**/ 1, 1, 1, 1, /**/ 2, 2, 2, 2]);
});

test('upgrade_outgoing_qos keeps messages of QoS 0 for a client that is away', () => {
  const t = new TestBroker({ upgradeOutgoingQos: true });
  const peer = t.connect({ version: 4, clientId: 's', cleanStart: false });
  peer.subscribe('a', 1);
  peer.drop();
  t.connect({ clientId: 'p' }).publish('a', 'x');
  expect(payloads(t.connect({ version: 4, clientId: 's', cleanStart: false }))).toEqual(['x']);
});

test('allow_duplicate_messages gives clients before MQTT 5 a copy for each subscription that matches', () => {
  const copies = (allowDuplicateMessages: boolean, version: 4 | 5): QoS[] => {
    const t = new TestBroker({ allowDuplicateMessages });
    const peer = t.connect({ version, clientId: 's' });
    peer.subscribe('a/#', 0);
    peer.subscribe('a/+', 1);
    publishWhole(t.connect({ clientId: 'p' }), 'a/b', 'x', 2);
    return publishes(peer)
      .map(({ qos }) => qos)
      .sort();
  };
  expect([copies(false, 4), copies(true, 4), copies(false, 5)]).toEqual([[1], [0, 1], [0, 1]]);
});

/** Clients named in `writers` may publish, or those with one of the names as user name. */
function writersOnly(writers: Set<string>): AccessControl {
  const topics: TopicAccess = {
    canPublish: ({ clientId, username }) => writers.has(clientId) || (username !== null && writers.has(username)),
    canSubscribe: () => true,
  };
  return { authenticate: () => ReasonCode.success, topics };
}

test('check_retain_source: a retained message is sent only while its publisher may still write to the topic', () => {
  for (const checkRetainSource of [true, false]) {
    const writers = new Set(['sensor', 'operator']);
    const t = new TestBroker({ checkRetainSource }, {}, writersOnly(writers));
    t.connect({ clientId: 'sensor' }).publish('a/0', 'by name of client', { retain: true });
    const operator = t.connect({ clientId: 'x', username: 'operator' });
    publishWhole(operator, 'a/2', 'by name of user', 2, { retain: true });
    const subscriber = t.connect({ clientId: 's' });
    const received = () => {
      subscriber.subscribe('a/#', 1);
      return payloads(subscriber).sort();
    };
    const both = ['by name of client', 'by name of user'];
    expect(received()).toEqual(both);
    writers.delete('operator');
    expect(received()).toEqual(checkRetainSource ? ['by name of client'] : both);
    writers.delete('sensor');
    expect(received()).toEqual(checkRetainSource ? [] : both);
    // They stay retained: the right may be given back.
    writers.add('operator');
    expect(received()).toEqual(checkRetainSource ? ['by name of user'] : both);
  }
});

test('check_retain_source holds for retained wills, and not for what the broker publishes itself', () => {
  const writers = new Set(['dying']);
  const t = new TestBroker({}, {}, writersOnly(writers));
  const will = {
    topicName: 'w',
    payload: new Uint8Array(1),
    qos: 0,
    retain: true,
    properties: { messageExpiryInterval: 99 },
  } as const;
  t.connect({ clientId: 'dying', will }).drop();
  expect(t.broker.retained.count).toBe(1);
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('w', 0);
  expect(publishes(subscriber)).toHaveLength(1);
  writers.clear();
  subscriber.subscribe('w', 0);
  expect(publishes(subscriber)).toHaveLength(0);
});

test('retain_expiry_interval: retained messages that expired are forgotten without anybody asking for them', () => {
  const t = new TestBroker({ retainExpiryInterval: 600 });
  const publisher = t.connect({ clientId: 'p' });
  const expiring = { retain: true, properties: { messageExpiryInterval: 60 } };
  publisher.publish('a/b', 'x', expiring).publish('$own/c', 'x', expiring).publish('a/d', 'stays', { retain: true });
  for (let i = 0; i < 25_000; i++) publisher.publish(`many/${i % 50}/${i}`, 'x', expiring);
  expect([t.broker.retained.count, t.broker.stored.count]).toEqual([25_003, 25_003]);
  t.advance(590_000);
  expect(t.broker.retained.count).toBe(25_003);
  // In slices: one tick does not walk all of them.
  t.advance(11_000);
  expect(t.broker.retained.count).toBeGreaterThan(1);
  t.advance(5_000);
  expect([t.broker.retained.count, t.broker.stored.count]).toEqual([1, 1]);
  expect(t.broker.retained.get('a/d')).not.toBeNull();
});

test('retain_expiry_interval 0 looks for none, and a message that comes anew in time stays', () => {
  const never = new TestBroker({ retainExpiryInterval: 0 });
  const options = { retain: true, properties: { messageExpiryInterval: 60 } };
  never.connect({ clientId: 'p' }).publish('a', 'x', options);
  never.advance(7_200_000);
  expect(never.broker.retained.count).toBe(1);
  const t = new TestBroker({ retainExpiryInterval: 600 });
  const publisher = t.connect({ clientId: 'p' });
  publisher.publish('a', 'x', options);
  t.advance(595_000);
  publisher.publish('a', 'again', options);
  t.advance(20_000);
  expect(t.broker.retained.count).toBe(1);
  t.advance(600_000);
  expect(t.broker.retained.count).toBe(0);
});

test('a subscription made again while what is retained is on its way begins anew, and is no second search', async () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'p' });
  for (let i = 0; i < 1_000; i++) publisher.publish(`r/${i}`, 'x', { retain: true });
  const subscriber = t.connect({ version: 4, clientId: 's' });
  for (let i = 0; i < 200; i++) subscriber.send('82 08 0001 0003 722f23 00');
  expect(t.broker.retainedSender.size).toBe(1);
  const names = new Set<string>();
  while (t.broker.retainedSender.size > 0) {
    await Bun.sleep(1);
    for (const packet of subscriber.take()) if (packet.type === PacketType.publish) names.add(packet.topicName);
  }
  expect(names.size).toBe(1_000);
});

test('v5 [MQTT-3.3.2-4] a payload that is not the UTF-8 it claims to be is passed on as it is, as by Mosquitto', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p' });
  const payload = Uint8Array.of(0xff, 0xfe);
  publishWhole(publisher, 'a', '', 1, { payload, properties: { payloadFormatIndicator: 1 } });
  expect(subscriber.expect(PacketType.publish)).toMatchObject({ payload, properties: { payloadFormatIndicator: 1 } });
});
