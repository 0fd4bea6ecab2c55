/** Topic Alias in both directions: v5 section 3.3.2.3.4. */
import { expect, test } from 'bun:test';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import type { PublishPacket } from '../../src/protocol/publish.ts';
import { exchange, expectQuiet, publishes, publishWhole, received, testRefusals } from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

testRefusals(ProtocolVersion.v5, [
  {
    name: 'v5 [MQTT-3.3.2-8] refuses Topic Alias 0',
    send: ['30080001610323000078', '30070000 03 230000 78'],
    reasonCode: 0x94,
  },
  {
    name: 'v5 [MQTT-3.3.2-9] [MQTT-3.2.2-17] refuses a Topic Alias above its maximum',
    send: ['3008000161 03 23000b 78', '3008000161 03 23ffff 78', '30070000 03 23000b 78'],
    reasonCode: 0x94,
  },
  {
    name: 'v5 section 3.3.2.3.4 refuses an alias that was not set, and none at all without a topic name',
    send: ['30070000 03 230001 78', '3004000000 78', '320600000001 00 78'],
    reasonCode: 0x82,
  },
]);

test('v5 [MQTT-3.2.2-18] refuses every Topic Alias where it announced none', () => {
  const t = new TestBroker({}, { maxTopicAlias: 0 });
  const peer = t.connect();
  expect(peer.connack.properties?.topicAliasMaximum).toBeUndefined();
  expect([exchange(peer, '3008000161 03 230001 78'), peer.isClosed]).toEqual(['e00194', true]);
});

test('v5 [MQTT-3.3.2-12] accepts every Topic Alias from 1 to its maximum, at each QoS, and a new topic for one', () => {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('#', 0);
  const peer = t.connect();
  expect(peer.connack.properties?.topicAliasMaximum).toBe(10);
  const aliased = (topicName: string, topicAlias: number, qos: 0 | 1 | 2 = 0) =>
    publishWhole(peer, topicName, `${topicAlias}`, qos, { properties: { topicAlias } });
  for (let alias = 1; alias <= 10; alias++) aliased(`t${alias}`, alias);
  for (let alias = 10; alias >= 1; alias--) aliased('', alias, (alias % 3) as 0 | 1 | 2);
  expect(publishes(watcher).map(({ topicName, payload }) => topicName === `t${text(payload)}`)).toEqual(
    Array.from({ length: 20 }, () => true),
  );
  aliased('other', 1);
  aliased('', 1);
  aliased('', 2);
  expect(publishes(watcher).map(({ topicName }) => topicName)).toEqual(['other', 'other', 't2']);
});

test('v5 [MQTT-3.3.2-7] forgets the aliases of both directions with the connection', () => {
  const t = new TestBroker();
  const properties = { sessionExpiryInterval: 100, topicAliasMaximum: 5 };
  const first = t.connect({ clientId: 's', properties });
  first.subscribe('topic', 1);
  const publisher = t.connect({ clientId: 'p', properties });
  publisher.publish('topic', 'x', { properties: { topicAlias: 1 } });
  publisher.publish('', 'x', { properties: { topicAlias: 1 } });
  expect(publishes(first).map(({ topicName }) => topicName)).toEqual(['topic', '']);
  publishWhole(publisher, 'topic', 'y', 1);
  expect(first.expect(PacketType.publish).topicName).toBe('');
  first.drop();
  const back = t.connect({ clientId: 's', cleanStart: false, properties });
  expect(back.expect(PacketType.publish)).toMatchObject({
    topicName: 'topic',
    dup: true,
    properties: { topicAlias: 1 },
  });

  publisher.drop();
  const again = t.connect({ clientId: 'p', cleanStart: false, properties });
  expect([exchange(again, '30070000 03 230001 78'), again.isClosed]).toEqual(['e00182', true]);
});

/** Resolves aliases as a client must, and says which were used. */
class AliasReader {
  readonly names = new Map<number, string>();
  readonly used = new Set<number>();
  topicOf({ topicName, properties }: PublishPacket): string {
    const alias = properties?.topicAlias;
    if (alias === undefined) return topicName;
    this.used.add(alias);
    if (topicName !== '') this.names.set(alias, topicName);
    const known = this.names.get(alias);
    if (known === undefined) throw new Error(`alias ${alias} was never set`);
    return known;
  }
  read(peer: Peer): string[] {
    return publishes(peer).map((packet) => this.topicOf(packet));
  }
}

test('v5 [MQTT-3.1.2-26] [MQTT-3.3.2-11] makes aliases up to the maximum of the client and sends other topics in full', () => {
  for (const topicAliasMaximum of [1, 2, 4, 65_535]) {
    const t = new TestBroker();
    const subscriber = t.connect({ clientId: 's', properties: { topicAliasMaximum } });
    subscriber.subscribe('#', 2);
    const publisher = t.connect({ clientId: 'p' });
    const topics = ['topic/1', 'topic/2', 'topic/3', 'topic/4', 'topic/5'];
    for (const qos of [0, 1, 2] as const) for (const topic of topics) publishWhole(publisher, topic, 'x', qos);
    const packets = publishes(subscriber);
    const reader = new AliasReader();
    expect(packets.map((packet) => reader.topicOf(packet))).toEqual([...topics, ...topics, ...topics]);
    const most = Math.min(topicAliasMaximum, topics.length);
    expect([...reader.used]).toEqual(Array.from({ length: most }, (_, i) => i + 1));
    // Each topic with an alias is named in full once, the others always.
    expect(packets.filter(({ topicName }) => topicName === '').length).toBe(most * 2);
  }
});

test('v5 [MQTT-3.1.2-27] sends no Topic Alias to a client that gave no maximum, or 0', () => {
  for (const properties of [{}, { topicAliasMaximum: 0 }]) {
    const t = new TestBroker();
    const subscriber = t.connect({ clientId: 's', properties });
    subscriber.subscribe('topic', 1);
    const publisher = t.connect({ clientId: 'p' });
    for (let i = 0; i < 3; i++) {
      publisher.publish('topic', 'x', { properties: { topicAlias: 3 } });
      publishWhole(publisher, 'topic', 'x', 1);
    }
    expect(publishes(subscriber).every(({ topicName, properties: p }) => topicName === 'topic' && p === null)).toBe(
      true,
    );
  }
});

test('max_topic_alias_broker bounds the aliases made for one client', () => {
  const t = new TestBroker({ maxTopicAliasBroker: 3 });
  const subscriber = t.connect({ clientId: 's', properties: { topicAliasMaximum: 1_000 } });
  subscriber.subscribe('#', 0);
  const publisher = t.connect({ clientId: 'p' });
  for (let round = 0; round < 2; round++) for (let i = 0; i < 8; i++) publisher.publish(`topic/${i}`, 'x');
  const reader = new AliasReader();
  expect(reader.read(subscriber).length).toBe(16);
  expect(reader.used.size).toBe(3);
});

test('the bytes of a message with an alias are those of the standard', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's', properties: { topicAliasMaximum: 5 } });
  subscriber.subscribe('long/topic', 1, { identifier: 2 });
  subscriber.take();
  const publisher = t.connect({ clientId: 'p' });
  publisher.publish('long/topic', 'x', { properties: { contentType: 'c' } });
  expect(received(subscriber)).toBe('3017' + '000a6c6f6e672f746f706963' + '09' + '0b02' + '03000163' + '230001' + '78');
  publishWhole(publisher, 'long/topic', 'x', 1, { properties: { contentType: 'c' } });
  expect(received(subscriber)).toBe('320f' + '0000' + '0001' + '09' + '0b02' + '03000163' + '230001' + '78');
});

test('v5 [MQTT-3.1.2-24] an alias whose first packet is too large for the client is not used later', () => {
  for (const qos of [0, 1] as const) {
    const t = new TestBroker();
    const subscriber = t.connect({ clientId: 's', properties: { topicAliasMaximum: 5, maximumPacketSize: 60 } });
    subscriber.subscribe('long/topic', 1);
    const publisher = t.connect({ clientId: 'p' });
    const reader = new AliasReader();
    publishWhole(publisher, 'long/topic', 'x'.repeat(100), qos);
    expectQuiet(subscriber);
    publishWhole(publisher, 'long/topic', 'x', qos);
    publishWhole(publisher, 'long/topic', 'x', qos);
    expect(reader.read(subscriber)).toEqual(['long/topic', 'long/topic']);
    expect([...reader.used]).toEqual([1]);
  }
});

test('v5 [MQTT-3.1.2-24] a packet that only its alias makes too large goes without one', () => {
  for (const qos of [0, 1] as const) {
    const t = new TestBroker();
    const subscriber = t.connect({ clientId: 's', properties: { topicAliasMaximum: 5, maximumPacketSize: 60 } });
    subscriber.subscribe('#', 1);
    const publisher = t.connect({ clientId: 'p' });
    const full = 60 - (qos === 0 ? 5 : 7);
    publishWhole(publisher, 'long/topic', 'x'.repeat(full - 10), qos);
    expect(publishes(subscriber)).toMatchObject([{ topicName: 'long/topic', properties: null }]);
    // A short topic is shorter than its alias, known or not.
    publishWhole(publisher, 'a', 'x', qos);
    publishWhole(publisher, 'a', 'x'.repeat(full - 1), qos);
    expect(publishes(subscriber)).toMatchObject([
      { topicName: 'a', properties: { topicAlias: 1 } },
      { topicName: 'a', properties: null },
    ]);
  }
});
