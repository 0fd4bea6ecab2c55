/** What a new connection of a session gets of the old one's: v5 section 4.4, v3.1.1 section 4.4. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { ack, drainMessages, expectQuiet, payloads, publishes, publishWhole, received } from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

const { publish, puback, pubrec, pubrel, pubcomp } = PacketType;

function connect(t: TestBroker, version: 4 | 5, receiveMaximum = 65_535): Peer {
  return version === 5
    ? t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 1_000, receiveMaximum } })
    : t.connect({ version, clientId: 's', cleanStart: false });
}

for (const version of [4, 5] as const) {
  test(
    version === 5
      ? 'v5 [MQTT-3.3.1-1] [MQTT-4.4.0-1] sends unacknowledged PUBLISH with DUP and PUBREL again, with their identifiers and in order'
      : 'v3.1.1 [MQTT-3.3.1-1] [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-2.3.1-4] sends unacknowledged PUBLISH with DUP and PUBREL again, with their identifiers and in order',
    () => {
      const t = new TestBroker();
      const first = connect(t, version);
      first.subscribe('a', 2);
      const publisher = t.connect({ version: 4, clientId: 'p' });
      for (const [payload, qos] of [
        ['1', 1],
        ['2', 2],
        ['3', 2],
        ['4', 1],
        ['5', 1],
        ['6', 2],
      ] as const) {
        publishWhole(publisher, 'a', payload, qos);
      }
      expect(publishes(first).map(({ packetId }) => packetId)).toEqual([1, 2, 3, 4, 5, 6]);
      first.send(ack(puback, 4)).send(ack(pubrec, 3));
      first.send(ack(pubrec, 6)).send(ack(pubcomp, 6));
      first.drop();
      // While the client is away, one more is queued behind them.
      publishWhole(publisher, 'a', '7', 1);

      const back = connect(t, version);
      const got = back.take().map((packet) => {
        if (packet.type === pubrel) return `rel ${packet.packetId}`;
        if (packet.type !== publish) return `type ${packet.type}`;
        return `${packet.dup ? 'dup' : 'new'} ${packet.packetId} q${packet.qos} ${text(packet.payload)}`;
      });
      expect(got.filter((one) => one.startsWith('dup'))).toEqual(['dup 1 q1 1', 'dup 2 q2 2', 'dup 5 q1 5']);
      expect(got.filter((one) => !one.startsWith('dup'))).toEqual(['rel 3', 'new 7 q1 7']);
    },
  );
}

test('v5 [MQTT-3.3.1-1] v3.1.1 [MQTT-3.3.1-1] the bytes of a redelivery differ in DUP only', () => {
  for (const [version, qos1, qos2] of [
    [5, '320700016100010078', '340700016100020078'],
    [4, '3206000161000178', '3406000161000278'],
  ] as const) {
    const t = new TestBroker();
    const first = connect(t, version);
    first.subscribe('a', 2);
    first.take();
    const publisher = t.connect({ clientId: 'p' });
    publishWhole(publisher, 'a', 'x', 1);
    publishWhole(publisher, 'a', 'x', 2);
    expect(received(first)).toBe(qos1 + qos2);
    first.drop();
    const back = connect(t, version);
    expect(received(back).endsWith(qos1.replace('32', '3a') + qos2.replace('34', '3c'))).toBe(true);
  }
});

test('v5 [MQTT-4.4.0-1] sends nothing again on the same connection, however long it waits', () => {
  const t = new TestBroker();
  const subscriber = connect(t, 5);
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', '1', 1);
  publishWhole(publisher, 'a', '2', 2);
  publishWhole(publisher, 'a', '3', 2);
  subscriber.take();
  subscriber.send(ack(pubrec, 3)).expect(pubrel);
  t.advance(600_000);
  expectQuiet(subscriber);
});

test('v5 [MQTT-4.4.0-2] does not send again what was answered with PUBACK, or with PUBREC of an error', () => {
  const t = new TestBroker();
  const subscriber = connect(t, 5);
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p' });
  for (const qos of [1, 1, 2] as const) publishWhole(publisher, 'a', 'x', qos);
  subscriber.take();
  subscriber
    .send(ack(puback, 1))
    .send(ack(puback, 2, 0x80))
    .send(ack(pubrec, 3, 0x80));
  subscriber.drop();
  expectQuiet(connect(t, 5));
});

test('v5 [MQTT-4.3.1-1] v3.1.1 [MQTT-4.3.1-1] QoS 0 messages are sent once: none on a new connection', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const first = connect(t, version);
    first.subscribe('a', 2);
    const publisher = t.connect({ clientId: 'p' });
    publishWhole(publisher, 'a', 'seen', 0);
    expect(first.expect(publish)).toMatchObject({ qos: 0, dup: false });
    first.drop();
    publishWhole(publisher, 'a', 'unseen', 0);
    expectQuiet(connect(t, version));
    expect(t.broker.counters.dropped.get('offline_qos0')).toBe(1);
  }
});

test('queue_qos0_messages keeps QoS 0 messages for a session whose client is away', () => {
  const t = new TestBroker({ queueQos0Messages: true });
  const first = connect(t, 5);
  first.subscribe('a', 2, { identifier: 3 });
  first.drop();
  const publisher = t.connect({ clientId: 'p' });
  for (const [payload, qos] of [
    ['1', 0],
    ['2', 1],
    ['3', 0],
  ] as const) {
    publishWhole(publisher, 'a', payload, qos);
  }
  const back = connect(t, 5);
  expect(publishes(back).map(({ qos, packetId, payload }) => [qos, packetId, text(payload)])).toEqual([
    [0, 0, '1'],
    [1, 1, '2'],
    [0, 0, '3'],
  ]);
  back.puback(1);
  expect(t.broker.sessions.get('s')?.outgoing?.isEmpty).toBe(true);
});

test('v5 [MQTT-3.3.4-9] keeps to a Receive Maximum that is smaller than on the connection before', () => {
  const t = new TestBroker();
  const first = connect(t, 5);
  first.subscribe('a', 2);
  const publisher = t.connect({ version: 4, clientId: 'p' });
  for (let i = 1; i <= 8; i++) publishWhole(publisher, 'a', `${i}`, i === 2 ? 2 : 1);
  expect(payloads(first)).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
  first.send(ack(pubrec, 2)).expect(pubrel);
  first.drop();
  publishWhole(publisher, 'a', '9', 1);

  // The PUBREL takes one of the three places.
  const back = connect(t, 5, 3);
  const seen = () => publishes(back).map(({ dup, packetId }) => (dup ? packetId : -packetId));
  const opening = back.take().map(({ type, ...rest }) => [type, 'packetId' in rest ? rest.packetId : 0]);
  expect(opening).toEqual([
    [publish, 1],
    [publish, 3],
    [pubrel, 2],
  ]);
  back.puback(1);
  expect(seen()).toEqual([4]);
  // A new message waits behind those that are sent again, and one that is acknowledged before its turn is not.
  publishWhole(publisher, 'a', '10', 1);
  back.puback(5);
  expect(seen()).toEqual([]);
  back.send(ack(pubcomp, 2));
  expect(seen()).toEqual([6]);
  back.puback(3).puback(4);
  expect(seen()).toEqual([7, 8]);
  back.puback(6);
  expect(seen()).toEqual([-9]);
  back.puback(7).puback(8).puback(9);
  expect(seen()).toEqual([-10]);
  back.puback(10);
  expect(t.broker.sessions.get('s')?.outgoing?.isEmpty).toBe(true);
});

test('v5 [MQTT-4.4.0-1] a second resume during the first sends everything again, in order', () => {
  const t = new TestBroker();
  const first = connect(t, 5);
  first.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  for (let i = 1; i <= 6; i++) publishWhole(publisher, 'a', `${i}`, 1);
  first.drop();
  const second = connect(t, 5, 2);
  expect(payloads(second)).toEqual(['1', '2']);
  second.puback(1);
  expect(payloads(second)).toEqual(['3']);
  second.drop();
  const third = connect(t, 5, 3);
  expect(drainMessages(third).map(({ dup, payload }) => [dup, text(payload)])).toEqual([
    [true, '2'],
    [true, '3'],
    [true, '4'],
    [true, '5'],
    [true, '6'],
  ]);
});

test('a session resumed in the other version of the protocol gets its messages in that version', () => {
  const t = new TestBroker();
  const first = connect(t, 5);
  first.subscribe('a', 2, { identifier: 9 });
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'x', 1, { properties: { contentType: 'c' } });
  first.drop();
  publishWhole(publisher, 'a', 'y', 1, { properties: { contentType: 'c' } });
  const old = connect(t, 4);
  expect(received(old).endsWith('3a06000161000178' + '3206000161000279')).toBe(true);
  old.drop();
  const again = connect(t, 5);
  expect(again.take()).toMatchObject([
    { dup: true, packetId: 1, properties: { contentType: 'c', subscriptionIdentifiers: [9] } },
    { dup: true, packetId: 2, properties: { contentType: 'c', subscriptionIdentifiers: [9] } },
  ]);
});
