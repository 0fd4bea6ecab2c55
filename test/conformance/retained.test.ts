/** Retained messages: v5 section 3.3.1.3, v3.1.1 section 3.3.1.3. */
import { expect, test } from 'bun:test';
import { PacketType, type QoS } from '../../src/protocol/packet-type.ts';
import { RetainHandling } from '../../src/protocol/subscribe.ts';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import {
  drainMessages,
  exchange,
  expectQuiet,
  payloads,
  publishes,
  publishWhole,
  received,
} from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

function retain(t: TestBroker, topicName: string, payload: string, qos: QoS = 0): void {
  const publisher = t.connect({ clientId: 'retainer' });
  publishWhole(publisher, topicName, payload, qos, { retain: true });
  publisher.disconnect();
}

/** What a new subscriber gets, as `topic payload qos retain`. */
function found(t: TestBroker, topicFilter: string, version: 4 | 5 = 5): string[] {
  const subscriber = t.connect({ version, clientId: 'finder' });
  subscriber.subscribe(topicFilter, 2);
  const got = drainMessages(subscriber).map(
    (packet) => `${packet.topicName} ${text(packet.payload)} ${packet.qos} ${packet.retain}`,
  );
  subscriber.disconnect();
  return got.sort();
}

test('v5 [MQTT-3.2.2-14] a retained publish where retain is not available ends the connection with 0x9A', () => {
  const t = new TestBroker({ retainAvailable: false });
  const v5 = t.connect({ clientId: 'c5' });
  expect(v5.connack.properties?.retainAvailable).toBe(0);
  expect([exchange(v5, '31050001610078'), v5.isClosed]).toEqual(['e0019a', true]);
  const v3 = t.connect({ version: 4, clientId: 'c3' });
  expect([exchange(v3, '310400016178'), v3.isClosed]).toEqual(['', true]);
  expect(t.broker.retained.count).toBe(0);
});

test('v5 [MQTT-3.3.1-5] v3.1.1 [MQTT-3.3.1-5] [MQTT-3.3.1-8] stores a message with RETAIN and its QoS in place of the one before, and sends it with RETAIN', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const publisher = t.connect({ version, clientId: 'p' });
    for (const qos of [0, 1, 2] as const) {
      publishWhole(publisher, 'a', `${qos}`, qos, { retain: true });
      expect(found(t, 'a', version)).toEqual([`a ${qos} ${qos} true`]);
    }
  }
});

test('v3.1.1 [MQTT-3.3.1-7] a QoS 0 message with RETAIN replaces one of a higher QoS', () => {
  const t = new TestBroker();
  retain(t, 'a', 'x', 1);
  const publisher = t.connect({ version: 4, clientId: 'p' });
  publisher.send('310400016179');
  expect(found(t, 'a', 4)).toEqual(['a y 0 true']);
});

test('v5 [MQTT-3.3.1-6] [MQTT-3.3.1-7] v3.1.1 [MQTT-3.3.1-10] [MQTT-3.3.1-11] an empty message with RETAIN is delivered, removes the retained one and is not stored', () => {
  const t = new TestBroker();
  const v5 = t.connect({ clientId: 's5' });
  v5.subscribe('a', 1);
  const v3 = t.connect({ version: 4, clientId: 's3' });
  v3.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  for (const qos of [0, 1, 2] as const) {
    publishWhole(publisher, 'a', 'x', qos, { retain: true });
    expect(t.broker.retained.count).toBe(1);
    drainMessages(v5);
    drainMessages(v3);
    // With and without a retained message to remove.
    for (let i = 0; i < 2; i++) {
      publishWhole(publisher, 'a', '', qos, { retain: true });
      expect(t.broker.retained.count).toBe(0);
      expect(drainMessages(v5)).toMatchObject([{ payload: new Uint8Array(0), retain: false }]);
      expect(drainMessages(v3)).toMatchObject([{ payload: new Uint8Array(0), retain: false }]);
      expect(found(t, 'a')).toEqual([]);
    }
  }
});

test('v5 [MQTT-3.3.1-8] v3.1.1 [MQTT-3.3.1-12] a message without RETAIN leaves what is retained as it is', () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'p' });
  publisher.publish('b', 'x');
  expect(found(t, 'b')).toEqual([]);
  retain(t, 'a', 'kept');
  publisher.publish('a', 'y').publish('a', '');
  const v3 = t.connect({ version: 4, clientId: 'p3' });
  v3.send('300400016179').send('3003000161');
  expect(found(t, 'a')).toEqual(['a kept 0 true']);
});

test('v5 [MQTT-3.3.1-9] Retain Handling 0 sends what is retained at every SUBSCRIBE', () => {
  const t = new TestBroker();
  retain(t, 'a', 'x');
  const subscriber = t.connect({ clientId: 's' });
  for (let i = 0; i < 3; i++) {
    subscriber.subscribe('a', 0, { retainHandling: RetainHandling.send });
    expect(payloads(subscriber)).toEqual(['x']);
  }
});

test('v5 [MQTT-3.3.1-10] Retain Handling 1 sends it where the subscription is new', () => {
  const t = new TestBroker();
  retain(t, 'a', 'x');
  const options = { retainHandling: RetainHandling.sendIfNew };
  const properties = { sessionExpiryInterval: 100 };
  const subscriber = t.connect({ clientId: 's', properties });
  subscriber.subscribe('a', 0, options);
  expect(payloads(subscriber)).toEqual(['x']);
  subscriber.subscribe('a', 1, options);
  expectQuiet(subscriber);
  exchange(subscriber, 'a206000200000161');
  subscriber.subscribe('a', 0, options);
  expect(payloads(subscriber)).toEqual(['x']);
  subscriber.drop();
  const back = t.connect({ clientId: 's', cleanStart: false, properties });
  back.subscribe('a', 0, options);
  expectQuiet(back);
  const anew = t.connect({ clientId: 's', properties });
  anew.subscribe('a', 0, options);
  expect(payloads(anew)).toEqual(['x']);
});

test('v5 [MQTT-3.3.1-11] Retain Handling 2 does not send it', () => {
  const t = new TestBroker();
  retain(t, 'a', 'x');
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 0, { retainHandling: RetainHandling.never });
  expectQuiet(subscriber);
  retain(t, 'a', 'live');
  expect(payloads(subscriber)).toEqual(['live']);
});

test('v5 [MQTT-3.3.1-12] [MQTT-3.3.1-13] v3.1.1 [MQTT-3.3.1-9] an existing subscription gets RETAIN as published with Retain As Published, and 0 without', () => {
  const t = new TestBroker();
  const plain = t.connect({ clientId: 'plain' });
  plain.subscribe('a', 2);
  const published = t.connect({ clientId: 'published' });
  published.subscribe('a', 2, { retainAsPublished: true });
  const old = t.connect({ version: 4, clientId: 'old' });
  old.subscribe('a', 2);
  for (const peer of [plain, published, old]) peer.take();
  const publisher = t.connect({ clientId: 'p' });
  const firstBytes = () => [plain, published, old].map((peer) => received(peer).slice(0, 2));
  publisher.send('31050001610078');
  expect(firstBytes()).toEqual(['30', '31', '30']);
  publisher.send('30050001610078');
  expect(firstBytes()).toEqual(['30', '30', '30']);
  publisher.send('330700016100010078');
  expect(firstBytes()).toEqual(['32', '33', '32']);
  publisher.send('350700016100020078').send('62020002');
  expect(firstBytes()).toEqual(['34', '35', '34']);
});

test('v5 [MQTT-3.3.1-13] RETAIN of a message is kept while it waits for its receiver', () => {
  const t = new TestBroker();
  const properties = { sessionExpiryInterval: 100 };
  const first = t.connect({ clientId: 's', properties });
  first.subscribe('a', 1, { retainAsPublished: true });
  first.drop();
  retain(t, 'a', 'x', 1);
  const back = t.connect({ clientId: 's', cleanStart: false, properties });
  expect(publishes(back)).toMatchObject([{ retain: true, dup: false }]);
  back.drop();
  expect(publishes(t.connect({ clientId: 's', cleanStart: false }))).toMatchObject([{ retain: true, dup: true }]);
});

test('v3.1.1 [MQTT-3.1.2-7] keeps what is retained when the session of its publisher ends', () => {
  const t = new TestBroker();
  const clean = t.connect({ version: 4, clientId: 'clean' });
  publishWhole(clean, 'a', 'x', 1, { retain: true });
  clean.disconnect();
  const stays = t.connect({ version: 4, clientId: 'stays', cleanStart: false });
  publishWhole(stays, 'b', 'y', 1, { retain: true });
  stays.drop();
  t.connect({ version: 4, clientId: 'stays', cleanStart: true }).disconnect();
  expect(t.broker.sessions.size).toBe(0);
  expect(found(t, '#', 4)).toEqual(['a x 1 true', 'b y 1 true']);
});

test('v3.1.1 [MQTT-3.3.1-6] sends the last retained message of each topic that matches, once', () => {
  const t = new TestBroker();
  for (const topicName of ['a/1', 'a/1', 'a/2', 'a', 'a/2/x', 'b/1', '$x/a/1', '/a/1']) {
    retain(t, topicName, `${topicName} of now`);
  }
  retain(t, 'a/1', 'last');
  expect(found(t, 'a/+', 4)).toEqual(['a/1 last 0 true', 'a/2 a/2 of now 0 true']);
  expect(found(t, 'a/#')).toEqual([
    'a a of now 0 true',
    'a/1 last 0 true',
    'a/2 a/2 of now 0 true',
    'a/2/x a/2/x of now 0 true',
  ]);
  expect(found(t, '+/+/1')).toEqual(['/a/1 /a/1 of now 0 true']);
  expect(found(t, '$x/#')).toEqual(['$x/a/1 $x/a/1 of now 0 true']);
  expect(found(t, '#').length).toBe(6);
  expect(found(t, '+/a/1')).toEqual(['/a/1 /a/1 of now 0 true']);
  expect(found(t, 'a/1/#')).toEqual(['a/1 last 0 true']);
  expect(found(t, 'nothing/#')).toEqual([]);
});

test('a retained message is sent for each subscription with its identifier, and not to its publisher with No Local', () => {
  const t = new TestBroker();
  const peer = t.connect({ clientId: 'c1' });
  publishWhole(peer, 'a', 'own', 1, { retain: true });
  peer.subscribe('a', 1, { noLocal: true });
  expectQuiet(peer);
  peer.subscribe('+', 1, { identifier: 4 });
  expect(publishes(peer)).toMatchObject([{ retain: true, qos: 1, properties: { subscriptionIdentifiers: [4] } }]);
});

/** Runs the timers of the broker until a peer has all it waits for. */
async function collect(peer: Peer, count: number): Promise<string[]> {
  const got: string[] = [];
  const deadline = performance.now() + 20_000;
  while (got.length < count && performance.now() < deadline) {
    got.push(...drainMessages(peer).map(({ topicName }) => topicName));
    await Bun.sleep(1);
  }
  expectQuiet(peer);
  return got;
}

for (const qos of [0, 1, 2] as const) {
  test(`a wildcard over many retained topics gets all of them in slices, without loss, at QoS ${qos}`, async () => {
    const t = new TestBroker({ maxQueuedMessages: 100 });
    const publisher = t.connect({ version: 4, clientId: 'p' });
    const topics = Array.from({ length: 3_000 }, (_, i) => `t/${i % 50}/${i}`);
    for (const topicName of topics) publishWhole(publisher, topicName, topicName, qos, { retain: true });
    const subscriber = t.connect({ clientId: 's' });
    subscriber.subscribe('t/#', qos);
    // The first slice comes with the SUBACK, and it is not all.
    const first = drainMessages(subscriber).map(({ topicName }) => topicName);
    expect(first.length).toBeGreaterThan(0);
    expect(first.length).toBeLessThan(topics.length);
    const rest = await collect(subscriber, topics.length - first.length);
    expect([...first, ...rest].sort()).toEqual([...topics].sort());
    expect(t.broker.counters.dropped.get(DropReason.queueFull)).toBe(0);
  });
}

test('retained messages keep to limits in bytes: none is dropped while they wait for the client', async () => {
  const t = new TestBroker({ maxQueuedBytes: 2_000, maxInflightMessages: 5 });
  const publisher = t.connect({ version: 4, clientId: 'p' });
  const topics = Array.from({ length: 300 }, (_, i) => `t/${i}`);
  for (const topicName of topics) publishWhole(publisher, topicName, 'x'.repeat(900), 1, { retain: true });
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('#', 1);
  expect((await collect(subscriber, topics.length)).sort()).toEqual([...topics].sort());
  expect(t.broker.counters.dropped.get(DropReason.queueFull)).toBe(0);
});

test('large retained messages to a client that does not read wait where they are', async () => {
  const t = new TestBroker();
  const publisher = t.connect({ version: 4, clientId: 'p' });
  const topics = Array.from({ length: 100 }, (_, i) => `t/${i}`);
  for (const topicName of topics) publishWhole(publisher, topicName, 'x'.repeat(100_000), 0, { retain: true });
  const subscriber = t.connect({ clientId: 's' });
  subscriber.take();
  subscriber.socket.room = 6;
  subscriber.subscribe('#', 0);
  for (let i = 0; i < 5; i++) await Bun.sleep(2);
  expect(subscriber.connection.backlogBytes).toBeGreaterThan(0);
  expect(subscriber.connection.backlogBytes).toBeLessThan(1_000_000);
  let count = 0;
  const deadline = performance.now() + 20_000;
  while (count < topics.length && performance.now() < deadline) {
    subscriber.socket.room = 2_000_000;
    subscriber.connection.drain();
    count += publishes(subscriber).length;
    await Bun.sleep(2);
  }
  expect(count).toBe(topics.length);
});

test('the search for retained messages ends with the subscription or the connection', async () => {
  const t = new TestBroker();
  const publisher = t.connect({ version: 4, clientId: 'p' });
  for (let i = 0; i < 1_000; i++) publishWhole(publisher, `t/${i}`, 'x', 0, { retain: true });
  const leaves = t.connect({ clientId: 'leaves' });
  leaves.subscribe('t/#', 0);
  leaves.send({ type: PacketType.unsubscribe, packetId: 2, properties: null, topicFilters: ['t/#'] });
  const before = publishes(leaves).length;
  const goes = t.connect({ clientId: 'goes' });
  goes.subscribe('t/#', 0);
  goes.drop();
  await Bun.sleep(20);
  expect(before).toBeLessThan(1_000);
  expectQuiet(leaves);
});

test('a message retained while a search goes on is not lost: the subscription already has it', async () => {
  const t = new TestBroker();
  const publisher = t.connect({ version: 4, clientId: 'p' });
  for (let i = 0; i < 1_000; i++) publishWhole(publisher, `t/${i}/a`, 'old', 0, { retain: true });
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('t/#', 0);
  // Removes topics ahead of the search, and makes new ones, before it goes on.
  for (let i = 900; i < 1_000; i++) publishWhole(publisher, `t/${i}/a`, '', 0, { retain: true });
  for (let i = 950; i < 1_050; i++) publishWhole(publisher, `t/${i}/a`, 'new', 0, { retain: true });
  const last = new Map<string, string>();
  const deadline = performance.now() + 20_000;
  while (last.size < 1_050 && performance.now() < deadline) {
    for (const { topicName, payload } of publishes(subscriber)) last.set(topicName, text(payload));
    await Bun.sleep(1);
  }
  expect(last.size).toBe(1_050);
  expect([last.get('t/0/a'), last.get('t/920/a'), last.get('t/960/a'), last.get('t/1049/a')]).toEqual([
    'old',
    '',
    'new',
    'new',
  ]);
});
