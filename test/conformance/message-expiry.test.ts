/** Message Expiry Interval: v5 section 3.3.2.3.3. */
import { expect, test } from 'bun:test';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { drainMessages, expectQuiet, payloads, publishes, publishWhole } from '../support/exchanges.ts';
import { type Peer, TestBroker, text, utf8 } from '../support/test-broker.ts';

const expiry = (seconds: number) => ({ properties: { messageExpiryInterval: seconds } });

function resume(t: TestBroker, version: 4 | 5 = 5): Peer {
  return version === 5
    ? t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 0xffff_ffff } })
    : t.connect({ version, clientId: 's', cleanStart: false });
}

const intervals = (peer: Peer) => drainMessages(peer).map(({ properties }) => properties?.messageExpiryInterval);

test('v5 [MQTT-3.3.2-5] drops what expired while its receiver was away, and counts it', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const first = resume(t, version);
    first.subscribe('a', 2);
    first.drop();
    const publisher = t.connect({ clientId: 'p' });
    publishWhole(publisher, 'a', 'short', 1, expiry(1));
    publishWhole(publisher, 'a', 'none', 1, expiry(0));
    publishWhole(publisher, 'a', 'long', 2, expiry(100));
    publishWhole(publisher, 'a', 'forever', 1);
    publishWhole(publisher, 'a', 'largest', 1, expiry(0xffff_ffff));
    t.advance(2_000);
    expect(payloads(resume(t, version))).toEqual(['long', 'forever', 'largest']);
    expect(t.broker.counters.dropped.get(DropReason.expired)).toBe(2);
  }
});

test('v5 [MQTT-3.3.2-5] drops what expired behind a full window', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's', properties: { receiveMaximum: 1 } });
  subscriber.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'sent', 1, expiry(1));
  publishWhole(publisher, 'a', 'waits', 1, expiry(1));
  publishWhole(publisher, 'a', 'stays', 1, expiry(10));
  t.advance(5_000);
  expect(payloads(subscriber)).toEqual(['sent']);
  subscriber.puback(1);
  expect(publishes(subscriber).map(({ payload, properties }) => [text(payload), properties])).toEqual([
    ['stays', { messageExpiryInterval: 5 }],
  ]);
});

test('v5 [MQTT-3.3.2-5] [MQTT-3.3.2-6] a retained message counts down and is gone when it expired', () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'x', 1, { retain: true, ...expiry(10) });
  publishWhole(publisher, 'b', 'y', 0, { retain: true });
  for (const [ms, left] of [
    [0, 10],
    [3_000, 7],
    [6_000, 1],
  ] as const) {
    t.advance(ms);
    const subscriber = t.connect({ clientId: 's' });
    subscriber.subscribe('a', 1);
    expect(intervals(subscriber)).toEqual([left]);
  }
  t.advance(1_000);
  const late = t.connect({ clientId: 'late' });
  late.subscribe('#', 1);
  expect(payloads(late)).toEqual(['y']);
  expect(t.broker.retained.count).toBe(1);
});

test('v5 [MQTT-3.3.2-6] sends the interval less the time the message waited, in each way it can wait', () => {
  const t = new TestBroker();
  const first = resume(t);
  first.subscribe('a', 2);
  first.drop();
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'x', 1, expiry(100));
  t.advance(2_000);
  publishWhole(publisher, 'a', 'x', 2, expiry(100));
  t.advance(1_500);
  const back = resume(t);
  // Sent in the fourth second of the one and in the second of the other: rounded up, so never below what is left.
  expect(publishes(back).map(({ properties }) => properties?.messageExpiryInterval)).toEqual([97, 99]);
  back.drop();
  t.advance(1_500);
  // Sent again, unacknowledged: the time of the whole stay counts.
  const again = resume(t);
  expect(publishes(again).map(({ dup, properties }) => [dup, properties?.messageExpiryInterval])).toEqual([
    [true, 95],
    [true, 97],
  ]);
});

test('v5 [MQTT-3.3.2-6] a connected receiver gets the interval as it was published, and QoS 2 less its wait for PUBREL', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 2);
  const old = t.connect({ version: 4, clientId: 'old' });
  old.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p' });
  for (const qos of [0, 1, 2] as const) {
    publishWhole(publisher, 'a', 'x', qos, expiry(30));
    expect(intervals(subscriber)).toEqual([30]);
  }
  publishWhole(publisher, 'a', 'now', 0, expiry(0));
  expect(intervals(subscriber)).toEqual([0]);
  publisher.publish('a', 'x', { qos: 2, packetId: 1, ...expiry(30) });
  t.advance(10_000);
  const plain = t.connect({ clientId: 'plain' });
  plain.subscribe('a', 0);
  publisher.send('62020001');
  expect(intervals(subscriber)).toEqual([20]);
  expect(intervals(plain)).toEqual([20]);
  expect(payloads(old).length).toBe(5);
});

test('the interval of a will counts from when it is published', () => {
  const t = new TestBroker();
  const first = resume(t);
  first.subscribe('w', 1);
  const willed = t.connect({
    clientId: 'willed',
    will: { topicName: 'w', payload: utf8('gone'), qos: 1, retain: false, properties: { messageExpiryInterval: 10 } },
  });
  t.advance(60_000);
  willed.drop();
  expect(intervals(first)).toEqual([10]);
  expectQuiet(first);
});
