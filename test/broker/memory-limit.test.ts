/** `memory_limit` and `global_max_clients`: what is refused when there is no more room, and how clients are told. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { payloads, publishWhole } from '../support/exchanges.ts';
import { connectPacket, type ConnectOptions, type Peer, TestBroker } from '../support/test-broker.ts';

const LIMIT = 1_000_000;

/** A broker that keeps so much for a client that is away that it keeps no more. */
function fullBroker(): { t: TestBroker; publisher: Peer; away: number } {
  const t = new TestBroker({ memoryLimit: LIMIT });
  const peer = t.connect({ version: 4, clientId: 'away', cleanStart: false });
  peer.subscribe('kept', 1);
  peer.drop();
  const publisher = t.connect({ clientId: 'publisher' });
  let away = 0;
  while (!t.broker.memory.isFull) {
    publishWhole(publisher, 'kept', 'x'.repeat(10_000), 1);
    away++;
  }
  return { t, publisher, away };
}

/** The CONNACK's code, and whether the connection was closed. */
function connectAnswer(t: TestBroker, options: ConnectOptions): [code: number, isClosed: boolean] {
  const peer = t.open(options.version ?? 5);
  peer.send(connectPacket(options));
  return [peer.expect(PacketType.connack).reasonCode, peer.isClosed];
}

const dropped = (t: TestBroker) => t.broker.counters.dropped.get(DropReason.memoryLimit);

test('memory_limit bounds what messages take, and what is delivered makes room again', () => {
  const { t, publisher, away } = fullBroker();
  expect(away).toBeGreaterThan(80);
  expect(away).toBeLessThan(100);
  expect(t.broker.memory.bytes).toBeLessThan(LIMIT + 11_000);
  publisher.publish('kept', 'x', { qos: 1 });
  expect(publisher.expect(PacketType.puback).reasonCode).toBe(0x97);
  // The session is there already: its client may come and take what is its own.
  const back = t.connect({ version: 4, clientId: 'away', cleanStart: false });
  for (let packetId = 1; packetId <= away; packetId++) back.puback(packetId);
  expect(payloads(back)).toHaveLength(away);
  publisher.publish('kept', 'x', { qos: 1 });
  expect(publisher.expect(PacketType.puback).reasonCode).toBe(0);
});

test('above memory_limit MQTT 5 publishers are answered 0x97, and nothing of their message is kept', () => {
  const { t, publisher, away } = fullBroker();
  publisher.publish('kept', 'x', { qos: 1, packetId: 1 }).publish('kept', 'x', { qos: 2, packetId: 2 });
  expect(publisher.expect(PacketType.puback)).toMatchObject({ packetId: 1, reasonCode: 0x97 });
  expect(publisher.expect(PacketType.pubrec)).toMatchObject({ packetId: 2, reasonCode: 0x97 });
  expect(publisher.isClosed).toBe(false);
  expect(t.broker.sessions.get('away')!.outgoing!.queue.length).toBe(away);
  expect(t.broker.sessions.get('publisher')!.incoming?.size ?? 0).toBe(0);
  expect(dropped(t)).toBe(2);
});

test('publishers that cannot be told are disconnected, as by Mosquitto: an acknowledgement would be a lie', () => {
  const { t } = fullBroker();
  const existing = (clientId: string, version: 4 | 5) => {
    t.broker.options.memoryLimit = 0;
    const peer = t.connect({ version, clientId });
    t.broker.options.memoryLimit = LIMIT;
    return peer;
  };
  for (const options of [{ qos: 1 }, { qos: 2 }, { qos: 0, retain: true }] as const) {
    const old = existing('old', 4);
    old.publish('kept', 'x', options);
    old.expectNothing();
    expect([options, old.isClosed]).toEqual([options, true]);
  }
  const retaining = existing('retaining', 5);
  retaining.publish('kept', 'x', { retain: true });
  expect(retaining.expect(PacketType.disconnect).reasonCode).toBe(0x97);
  expect([dropped(t), t.broker.retained.count]).toEqual([4, 0]);
});

test('what need not be kept goes on above memory_limit: QoS 0 to those who read, and the end of a retained message', () => {
  const { t, publisher } = fullBroker();
  t.broker.options.memoryLimit = 0;
  const reader = t.connect({ clientId: 'reader' });
  reader.subscribe('live', 1);
  const stuck = t.connect({ clientId: 'stuck' });
  stuck.subscribe('live', 1);
  stuck.socket.room = 0;
  publisher.publish('old', 'x', { retain: true }).publish('live', 'first');
  t.broker.options.memoryLimit = LIMIT;
  const { backlogBytes } = stuck.connection;
  publisher.publish('live', 'second').publish('old', '', { retain: true });
  expect(payloads(reader)).toEqual(['first', 'second']);
  expect(stuck.connection.backlogBytes).toBe(backlogBytes);
  expect(t.broker.counters.dropped.get(DropReason.slowReader)).toBe(1);
  expect(t.broker.retained.count).toBe(0);
});

test('above memory_limit QoS 0 messages wait for nobody who is away, even with queue_qos0_messages', () => {
  const { t, publisher, away } = fullBroker();
  t.broker.options.queueQos0Messages = true;
  publisher.publish('kept', 'x');
  expect(t.broker.sessions.get('away')!.outgoing!.queue.length).toBe(away);
});

test('above memory_limit there are no new clients and no new subscriptions', () => {
  const { t, publisher } = fullBroker();
  expect(connectAnswer(t, { version: 5, clientId: 'new' })).toEqual([0x97, true]);
  expect(connectAnswer(t, { version: 4, clientId: 'new' })).toEqual([3, true]);
  expect(publisher.subscribe('more', 1).reasonCodes).toEqual([0x97]);
  expect(t.broker.tree.subscriptionCount).toBe(1);
  expect(t.broker.sessions.has('new')).toBe(false);
});

test('global_max_clients counts clients that are away, and lets those come back that have a session', () => {
  const t = new TestBroker({ globalMaxClients: 2 });
  const away = t.connect({ version: 4, clientId: 'away', cleanStart: false });
  away.drop();
  const here = t.connect({ version: 4, clientId: 'here' });
  expect(connectAnswer(t, { version: 5, clientId: 'third' })).toEqual([0x89, true]);
  expect(connectAnswer(t, { version: 4, clientId: 'third' })).toEqual([3, true]);
  expect(t.broker.counters.connectionsRefused).toBe(2);
  // By taking over, and by coming back.
  t.connect({ version: 5, clientId: 'here' }).disconnect();
  expect(here.isClosed).toBe(true);
  t.connect({ version: 4, clientId: 'away', cleanStart: false }).disconnect();
  t.connect({ version: 4, clientId: 'third' });
  expect(t.broker.sessions.size).toBe(2);
});

test('limits of connections and clients that are 0 or -1 are none', () => {
  for (const limit of [0, -1]) {
    const t = new TestBroker({ globalMaxClients: limit, globalMaxConnections: limit }, { maxConnections: limit });
    for (const clientId of ['a', 'b', 'c']) t.connect({ clientId });
    expect(t.broker.sessions.size).toBe(3);
  }
});
