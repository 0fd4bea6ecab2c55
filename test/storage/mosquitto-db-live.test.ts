// Files that Debian's Mosquitto saves, brought into a store: what stood where in its sessions stands there in ours.
import { afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import { importMosquittoDb, type ImportReport } from '../../src/storage/mosquitto-db-import.ts';
import { LeftOut } from '../../src/storage/mosquitto-db-left-out.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { DbFile } from '../../src/storage/mosquitto-db-source.ts';
import type { StoredDelivery, StoredSession } from '../../src/storage/session-store.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { publish, runTool } from '../support/mosquitto-tools.ts';
import { until } from '../support/server.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(30_000);

const NEVER = 0xffff_ffff;

let mosquitto: Mosquitto | null = null;
afterEach(async () => {
  await mosquitto?.stop();
  mosquitto = null;
});

async function start(...lines: string[]): Promise<{ mosquitto: Mosquitto; port: number; target: string[] }> {
  mosquitto = await startMosquitto({ mqtt: [] }, [
    'allow_anonymous true',
    'persistence true',
    'persistence_location FOLDER/',
    ...lines,
  ]);
  const port = mosquitto.ports['mqtt']!;
  return { mosquitto, port, target: ['-h', '127.0.0.1', '-p', String(port)] };
}

class Imported {
  readonly store = new MemoryStore();
  report!: ImportReport;

  static async from(folder: string, nowMs = Date.now()): Promise<Imported> {
    const source = new DbFile(join(folder, 'mosquitto.db'));
    try {
      const imported = new Imported();
      const { store } = imported;
      imported.report = await importMosquittoDb(source, store, { nowMs, savedAtMs: source.savedAtMs });
      return imported;
    } finally {
      source.close();
    }
  }

  async session(clientId: string): Promise<StoredSession> {
    await this.reopened();
    return (await this.store.findSession(clientId))!;
  }

  async deliveries(clientId: string): Promise<StoredDelivery[]> {
    const { id } = await this.session(clientId);
    const { seqs, sessionIds } = await this.store.readDeliveryIndex(0, 10_000);
    return (await this.store.readDeliveries([...seqs.filter((_, i) => sessionIds[i] === id)], 1e9)).deliveries;
  }

  /** In the order in which the client gets them: payload, packet identifier, state. */
  async queue(clientId: string): Promise<string[]> {
    const { sentSeq } = await this.session(clientId);
    return (await this.deliveries(clientId)).map(({ seq, packetId, isReleased, message }) => {
      const state = seq > sentSeq ? 'queued' : isReleased ? 'released' : 'sent';
      return `${text(message.payload)} ${packetId} ${state}`;
    });
  }

  async retained(): Promise<string[]> {
    return (await this.store.readRetained(null, 1_000)).map((one) => `${one.topicName} ${text(one.payload)}`);
  }

  private async reopened(): Promise<void> {
    await this.store.open();
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Makes a session with mosquitto_sub, which leaves once it is subscribed. */
async function makeSession(target: readonly string[], clientId: string, ...args: string[]): Promise<void> {
  const { status, stderr } = await runTool('mosquitto_sub', target, ['-c', '-i', clientId, '-E', ...args]);
  if (status !== 0) throw new Error(stderr);
}

const ack = (type: 4 | 5 | 6 | 7, packetId: number) => ({ type, packetId, reasonCode: 0, properties: null }) as const;

test('sessions, subscriptions, queues and retained messages of all protocol versions', async () => {
  const { mosquitto: peer, target } = await start('queue_qos0_messages true');
  await makeSession(target, 'old', '-V', '31', '-q', '2', '-t', 'a/#', '-t', '/lead', '-t', 'b/+/c');
  await makeSession(
    target,
    'five',
    '-V',
    '5',
    '-x',
    '1000',
    '-q',
    '1',
    '-t',
    'a/#',
    '-u',
    'ann',
    '-P',
    'x',
    '-D',
    'subscribe',
    'subscription-identifier',
    '77',
    '--retain-as-published',
  );
  await makeSession(target, 'forever', '-V', '5', '-x', String(NEVER), '-q', '1', '-t', 'a/#');
  const properties = [
    '-D',
    'publish',
    'user-property',
    'k',
    'v',
    '-D',
    'publish',
    'content-type',
    'text/plain',
    '-D',
    'publish',
    'correlation-data',
    'cd',
  ];
  await publish(target, ['-i', 'publisher', '-q', '1', '-t', 'a/1', '-m', 'one']);
  await publish(target, ['-V', '5', '-q', '2', '-t', 'a/2', '-m', 'two', '-r', ...properties]);
  await publish(target, ['-q', '0', '-t', 'a/3', '-m', 'three']);
  await publish(target, [
    '-V',
    '5',
    '-q',
    '1',
    '-t',
    'a/4',
    '-m',
    'four',
    '-D',
    'publish',
    'message-expiry-interval',
    '500',
  ]);
  await publish(target, [
    '-V',
    '5',
    '-q',
    '1',
    '-t',
    'a/5',
    '-m',
    'five',
    '-D',
    'publish',
    'message-expiry-interval',
    '5',
  ]);
  await publish(target, ['-q', '1', '-t', '/lead', '-m', 'lead', '-r']);
  await publish(target, ['-q', '1', '-t', 'only/retained', '-m', 'kept', '-r']);
  await peer.end();

  const inAMinute = Date.now() + 60_000;
  const imported = await Imported.from(peer.folder, inAMinute);
  expect(imported.report.format).toBe(6);
  expect(imported.report.totals).toEqual({
    sessions: 3,
    subscriptions: 5,
    messages: 5,
    payloadBytes: 19,
    inflight: 0,
    queued: 13,
    incoming: 0,
    retained: 3,
  });
  expect(imported.report.leftOut.list().map(({ reason, count }) => [reason, count])).toEqual([
    [LeftOut.expiredMessage, 3],
  ]);

  const old = await imported.session('old');
  expect(old).toMatchObject({ expiryInterval: NEVER, protocolVersion: 4, username: null, sentSeq: 0, incoming: [] });
  const plain = { noLocal: false, retainAsPublished: false, identifier: 0 };
  expect(old.subscriptions).toEqual([
    { filterText: '/lead', qos: 2, ...plain },
    { filterText: 'a/#', qos: 2, ...plain },
    { filterText: 'b/+/c', qos: 2, ...plain },
  ]);
  expect(await imported.queue('old')).toEqual([
    'one 1 queued',
    'two 2 queued',
    'three 0 queued',
    'four 3 queued',
    'lead 5 queued',
  ]);
  const five = await imported.session('five');
  expect(five).toMatchObject({ expiryInterval: 1_000, protocolVersion: 5, username: 'ann' });
  expect(Date.now() - five.awaySinceMs).toBeWithin(0, 30_000);
  expect(five.subscriptions).toEqual([
    { filterText: 'a/#', qos: 1, noLocal: false, retainAsPublished: true, identifier: 77 },
  ]);
  const deliveries = await imported.deliveries('five');
  expect(deliveries.map((one) => [text(one.message.payload), one.qos, one.retain, one.identifier])).toEqual([
    ['one', 1, false, 77],
    ['two', 1, true, 77],
    ['three', 0, false, 77],
    ['four', 1, false, 77],
  ]);
  expect(deliveries[0]!.message).toMatchObject({ topicName: 'a/1', publisherId: 'publisher', qos: 1, retain: false });
  expect(text(deliveries[1]!.message.properties)).toBe('&\0\x01k\0\x01v\x03\0\x0atext/plain\t\0\x02cd');
  expect(deliveries[1]!.message).toMatchObject({ qos: 2, retain: true, expiresAtMs: 0 });
  expect(deliveries[3]!.expiresAtMs - inAMinute).toBeWithin(400_000, 441_000);
  expect(await imported.retained()).toEqual(['/lead lead', 'a/2 two', 'only/retained kept']);
});

test('v5 [MQTT-4.4.0-1] messages in flight in both directions, each in the middle of its flow', async () => {
  const { mosquitto: peer, port, target } = await start('max_inflight_messages 3');
  const options = { version: ProtocolVersion.v5, properties: { sessionExpiryInterval: NEVER }, cleanStart: false };
  const receiver = await WireClient.connect(port, { ...options, clientId: 'receiver' });
  await receiver.subscribe('t/#', 2);
  const send = async (payload: string, qos: QoS) =>
    publish(target, ['-q', String(qos), '-t', `t/${payload}`, '-m', payload]);
  await send('acknowledged', 1);
  receiver.puback((await receiver.next(PacketType.publish)).packetId);
  await send('unacknowledged', 1);
  await receiver.next(PacketType.publish);
  await send('unreceived', 2);
  await receiver.next(PacketType.publish);
  await send('received', 2);
  const { packetId } = await receiver.next(PacketType.publish);
  receiver.send(ack(PacketType.pubrec, packetId));
  await receiver.next(PacketType.pubrel);
  for (const payload of ['waiting-1', 'waiting-2', 'waiting-3']) await send(payload, 2);
  receiver.reset();

  const sender = await WireClient.connect(port, { ...options, clientId: 'sender' });
  sender.publish('t/unreleased', 'unreleased', { qos: 2, packetId: 700 });
  await sender.next(PacketType.pubrec);
  sender.reset();
  await peer.waitForLog(/Client receiver closed|Client sender closed|Socket error on client/);
  await peer.end();

  const imported = await Imported.from(peer.folder);
  expect(await imported.queue('receiver')).toEqual([
    'unacknowledged 2 sent',
    'unreceived 3 sent',
    'received 4 released',
    'waiting-1 5 queued',
    'waiting-2 6 queued',
    'waiting-3 7 queued',
  ]);
  const { incoming } = await imported.session('sender');
  expect(incoming.map((one) => [one.packetId, one.message!.topicName, text(one.message!.payload)])).toEqual([
    [700, 't/unreleased', 'unreleased'],
  ]);
  expect(imported.report.totals).toMatchObject({ inflight: 3, queued: 3, incoming: 1 });
  expect(imported.report.leftOut.list()).toEqual([]);
});

test('a file saved while clients are connected: they are away since then', async () => {
  const { mosquitto: peer, port } = await start();
  const connect = (clientId: string, sessionExpiryInterval: number, user: { username?: string } = {}) =>
    WireClient.connect(port, { clientId, cleanStart: false, properties: { sessionExpiryInterval }, ...user });
  const clients = [
    await connect('named', 50, { username: 'bob' }),
    await connect('nameless', 60),
    await connect('ends', 0),
  ];
  for (const client of clients) await client.subscribe('x', 1);
  peer.save();
  const path = join(peer.folder, 'mosquitto.db');
  await until('the file', () => Bun.file(path).size > 0);
  for (const client of clients) client.reset();
  await peer.kill();

  const imported = await Imported.from(peer.folder);
  const sessions = await Promise.all(['named', 'nameless'].map((clientId) => imported.session(clientId)));
  // Mosquitto 2.0 writes rests of one client's user name for another; whose it is not stays without.
  expect(sessions.map(({ expiryInterval, username }) => [expiryInterval, username])).toEqual([
    [50, 'bob'],
    [60, null],
  ]);
  for (const { awaySinceMs } of sessions) expect(Date.now() - awaySinceMs).toBeWithin(0, 20_000);
  expect(imported.report.leftOut.list()).toMatchObject([{ reason: LeftOut.endedSession, count: 1 }]);
});
