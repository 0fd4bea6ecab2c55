// What becomes of a mosquitto.db in a store, record by record. Files of Mosquitto itself: mosquitto-db-live.test.ts.
import { describe, expect, test } from 'bun:test';
import {
  importMosquittoDb,
  type ImportOptions,
  previewMosquittoDb,
  StoreNotEmptyError,
} from '../../src/storage/mosquitto-db-import.ts';
import { LeftOut } from '../../src/storage/mosquitto-db-left-out.ts';
import { MosquittoDbError } from '../../src/storage/mosquitto-db-source.ts';
import { MosquittoState as State } from '../../src/storage/mosquitto-db-records.ts';
import { Random, seedFrom } from '../support/codec/random.ts';
import { BytesSource } from './mosquitto-db-records.ts';
import { MosquittoDbWriter } from './mosquitto-db-writer.ts';
import { RecordingStore } from './recording-store.ts';

const NOW_S = 1_800_000_000;
const PAST = NOW_S - 10;
const FUTURE = NOW_S + 100;
const times = { nowMs: NOW_S * 1000, savedAtMs: (NOW_S - 60) * 1000 };

const file = (format = 6) => new MosquittoDbWriter({ format }).config();

async function imported(writer: MosquittoDbWriter, options: Partial<ImportOptions> = {}, store = new RecordingStore()) {
  const report = await importMosquittoDb(new BytesSource(writer.finish()), store, { ...times, ...options });
  expect(store.complaints()).toEqual([]);
  const leftOut = Object.fromEntries(report.leftOut.list().map(({ reason, count }) => [reason, count]));
  return { store, report, leftOut };
}

describe('sessions', () => {
  test('keep their expiry, and the time since when they are away follows from it', async () => {
    const { store, report, leftOut } = await imported(
      file()
        .client({ clientId: 'timed', expiryInterval: 300, expiryTime: FUTURE, username: 'ann' })
        .client({ clientId: 'connected', expiryInterval: 300 })
        .client({ clientId: 'forever' })
        .client({ clientId: 'expired', expiryInterval: 300, expiryTime: PAST })
        .client({ clientId: 'ends-with-connection', expiryInterval: 0 })
        .client({ clientId: '' })
        .client({ clientId: Uint8Array.of(0xff) })
        .client({ clientId: 'forever', username: 'second' }),
    );
    const common = { will: null, sentSeq: 0 };
    expect([...store.sessions.values()]).toEqual([
      {
        ...common,
        id: 1,
        clientId: 'timed',
        protocolVersion: 5,
        username: 'ann',
        expiryInterval: 300,
        awaySinceMs: (FUTURE - 300) * 1000,
      },
      {
        ...common,
        id: 2,
        clientId: 'connected',
        protocolVersion: 5,
        username: null,
        expiryInterval: 300,
        awaySinceMs: times.savedAtMs,
      },
      {
        ...common,
        id: 3,
        clientId: 'forever',
        protocolVersion: 4,
        username: null,
        expiryInterval: 0xffff_ffff,
        awaySinceMs: times.savedAtMs,
      },
    ]);
    expect(report.totals.sessions).toBe(3);
    expect(leftOut).toEqual({
      [LeftOut.expiredSession]: 1,
      [LeftOut.endedSession]: 1,
      [LeftOut.namelessSession]: 2,
      [LeftOut.repeatedSession]: 1,
    });
    expect(store.aliveAtMs).toBe(times.savedAtMs);
  });

  test('of old formats last for ever, and are away since what the file says', async () => {
    const { store } = await imported(file(4).client({ clientId: 'old', disconnectTime: NOW_S - 5_000 }));
    expect(store.session('old')).toMatchObject({ expiryInterval: 0xffff_ffff, awaySinceMs: (NOW_S - 5_000) * 1000 });
  });

  test('get numbers behind those of the store', async () => {
    const writer = file().message({ id: 5, topicName: 't' }).client({ clientId: 'a' });
    writer.clientMessage({ clientId: 'a', messageId: 5, packetId: 1, qos: 1, state: State.waitForPuback });
    const { store } = await imported(
      writer,
      {},
      new RecordingStore({ lastSessionId: 10, lastMessageId: 20, lastSeq: 30 }),
    );
    expect(store.session('a')).toMatchObject({ id: 11, sentSeq: 31 });
    expect(store.deliveries).toMatchObject([{ seq: 31, sessionId: 11, messageId: 21 }]);
  });
});

test('subscriptions keep their options; those that no broker can serve are left out', async () => {
  const { store, report, leftOut } = await imported(
    file()
      .client({ clientId: 'a' })
      .client({ clientId: 'gone', expiryInterval: 0 })
      .subscription({ clientId: 'a', filterText: 'x/#', qos: 2, options: 0x0c, identifier: 300 })
      .subscription({ clientId: 'a', filterText: '$share/group/x/+', qos: 1 })
      .subscription({ clientId: 'a', filterText: '/lead', qos: 0, options: 0x20 })
      .subscription({ clientId: 'a', filterText: 'x#', qos: 1 })
      .subscription({ clientId: 'a', filterText: '$share/+/x', qos: 1 })
      .subscription({ clientId: 'a', filterText: 'x', qos: 3 })
      .subscription({ clientId: 'gone', filterText: 'x', qos: 1 })
      .subscription({ clientId: 'nobody', filterText: 'x', qos: 1 }),
  );
  const plain = { sessionId: 1, noLocal: false, retainAsPublished: false, identifier: 0 };
  expect(store.subscriptions).toEqual([
    { sessionId: 1, filterText: 'x/#', qos: 2, noLocal: true, retainAsPublished: true, identifier: 300 },
    { ...plain, filterText: '$share/group/x/+', qos: 1 },
    { ...plain, filterText: '/lead', qos: 0 },
  ]);
  expect(store.session('a')!.protocolVersion).toBe(5);
  expect(report.totals.subscriptions).toBe(3);
  expect(leftOut).toEqual({
    [LeftOut.endedSession]: 1,
    [LeftOut.filter]: 3,
    [LeftOut.straySubscription]: 1,
  });
});

/** Messages 1 to 12 on topics of that name. */
function withMessages(writer = file()): MosquittoDbWriter {
  for (let id = 12; id >= 1; id--) writer.message({ id, topicName: `m${id}`, payload: `payload ${id}`, qos: 2 });
  return writer.client({ clientId: 'a', lastPacketId: 30 });
}

describe('outgoing messages', () => {
  test('v5 [MQTT-4.6.0-1] stand in the order of Mosquitto, those in flight in front, each where its flow is', async () => {
    const add = (writer: MosquittoDbWriter, messageId: number, qos: number, state: number, dup = false) =>
      writer.clientMessage({ clientId: 'a', messageId, packetId: messageId, qos, state, dup });
    const writer = withMessages();
    add(writer, 1, 1, State.waitForPuback, true);
    add(writer, 2, 2, State.waitForPubrec, true);
    add(writer, 3, 2, State.waitForPubcomp);
    add(writer, 4, 2, State.resendPubrel);
    add(writer, 5, 1, State.publishQos1);
    add(writer, 6, 2, State.publishQos2, true);
    add(writer, 7, 1, State.queued);
    add(writer, 8, 0, State.queued);
    add(writer, 9, 0, State.publishQos0);
    add(writer, 10, 2, State.queued);
    const { store, report } = await imported(writer);
    expect(store.queueOf('a')).toEqual([
      'm1 1 sent',
      'm2 2 sent',
      'm3 3 released',
      'm4 4 released',
      'm6 6 sent',
      'm5 5 queued',
      'm7 7 queued',
      'm8 8 queued',
      'm9 9 queued',
      'm10 10 queued',
    ]);
    expect(store.session('a')!.sentSeq).toBe(5);
    expect(report.totals).toEqual({
      sessions: 1,
      subscriptions: 0,
      messages: 10,
      payloadBytes: 91,
      inflight: 5,
      queued: 5,
      incoming: 0,
      retained: 0,
    });
  });

  test('are stored once, with as many references as there are uses', async () => {
    const writer = file().message({
      id: 1,
      topicName: 'once',
      payload: 'x'.repeat(100),
      sourceId: 'publisher',
      retain: true,
    });
    writer.message({ id: 2, topicName: 'unused' });
    for (const clientId of ['a', 'b', 'c']) {
      writer.client({ clientId });
      writer.clientMessage({
        clientId,
        messageId: 1,
        packetId: 1,
        qos: 1,
        state: State.queued,
        retain: clientId === 'b',
      });
    }
    const { store } = await imported(writer);
    const [only, ...others] = store.messages.values();
    expect([only!.references, others.length]).toEqual([3, 0]);
    expect(only!.message).toMatchObject({
      topicName: 'once',
      qos: 1,
      retain: true,
      expiresAtMs: 0,
      publisherId: 'publisher',
    });
    expect([only!.message.payload.length, only!.message.properties.length]).toEqual([100, 0]);
    expect(store.deliveries.map(({ retain, size }) => [retain, size])).toEqual([
      [false, 104],
      [true, 104],
      [false, 104],
    ]);
  });

  test('keep their properties but for what belongs to one connection, and their subscription identifier', async () => {
    const userProperty = [0x26, 0, 1, 0x6b, 0, 1, 0x76];
    const contentType = [0x03, 0, 1, 0x74];
    const writer = file()
      .message({
        id: 1,
        topicName: 't',
        properties: [18, 0x23, 0, 5, ...userProperty, 0x0b, 9, ...contentType, 0x01, 1],
      })
      .message({ id: 2, topicName: 't', properties: [3, 0x26, 0, 9] })
      .client({ clientId: 'a' });
    for (const messageId of [1, 2]) {
      writer.clientMessage({
        clientId: 'a',
        messageId,
        packetId: messageId,
        qos: 1,
        state: State.queued,
        identifier: 7,
      });
    }
    const { store, leftOut } = await imported(writer);
    expect([...store.messages.values()].map(({ message }) => [...message.properties])).toEqual([
      [...userProperty, ...contentType, 0x01, 1],
      [],
    ]);
    expect(store.deliveries.map(({ identifier }) => identifier)).toEqual([7, 7]);
    expect(leftOut).toEqual({ [LeftOut.properties]: 1 });
  });

  test('v5 [MQTT-3.3.2-5] that expired while they waited are gone; what was begun goes on', async () => {
    const writer = file().client({ clientId: 'a' });
    for (let id = 1; id <= 4; id++)
      writer.message({ id, topicName: `m${id}`, payload: 'body', qos: 2, expiryTime: PAST });
    writer.message({ id: 5, topicName: 'm5', expiryTime: FUTURE });
    const add = (messageId: number, qos: number, state: number) =>
      writer.clientMessage({ clientId: 'a', messageId, packetId: messageId, qos, state });
    add(1, 1, State.waitForPuback);
    add(2, 2, State.waitForPubrec);
    add(3, 2, State.waitForPubcomp);
    add(4, 1, State.queued);
    add(5, 1, State.queued);
    const { store, leftOut } = await imported(writer);
    expect(store.queueOf('a')).toEqual(['m1 1 sent', 'm2 2 sent', 'm3 3 released', 'm5 5 queued']);
    expect(leftOut).toEqual({ [LeftOut.expiredMessage]: 1 });
    // Nobody will ask for the payload of a released message again; its flow must not expire.
    const kept = [...store.messages.values()].map(({ message }) => [
      message.topicName,
      message.payload.length,
      message.expiresAtMs,
    ]);
    expect(kept).toEqual([
      ['m1', 4, PAST * 1000],
      ['m2', 4, PAST * 1000],
      ['m3', 0, 0],
      ['m5', 0, FUTURE * 1000],
    ]);
  });

  test('that cannot be are left out, and reported with their place', async () => {
    const writer = withMessages().message({ id: 20, topicName: 'a/#' });
    const at = writer.length;
    writer.clientMessage({ clientId: 'a', messageId: 99, packetId: 1, qos: 1, state: State.queued });
    writer.clientMessage({ clientId: 'nobody', messageId: 1, packetId: 1, qos: 1, state: State.queued });
    writer.clientMessage({ clientId: 'a', messageId: 20, packetId: 1, qos: 1, state: State.queued });
    writer.clientMessage({ clientId: 'a', messageId: 1, packetId: 2, qos: 3, state: State.queued });
    writer.clientMessage({ clientId: 'a', messageId: 1, packetId: 2, qos: 1, state: State.waitForPubcomp });
    writer.clientMessage({ clientId: 'a', messageId: 1, packetId: 2, qos: 1, state: 12 });
    writer.message({ id: 1, topicName: 'twice' });
    const { store, report, leftOut } = await imported(writer);
    expect(store.deliveries).toEqual([]);
    expect(leftOut).toEqual({
      [LeftOut.topic]: 1,
      [LeftOut.lostMessage]: 1,
      [LeftOut.strayMessage]: 1,
      [LeftOut.damagedMessage]: 3,
      [LeftOut.repeatedMessage]: 1,
    });
    expect(report.leftOut.list().find(({ reason }) => reason === LeftOut.lostMessage)!.offset).toBe(at);
  });

  test('v5 [MQTT-2.2.1-4] two in flight never share a packet identifier, and what waits has one', async () => {
    const writer = withMessages();
    for (const [messageId, packetId, state] of [
      [1, 5, State.waitForPuback],
      [2, 5, State.waitForPuback],
      [3, 0, State.waitForPuback],
      [4, 0, State.queued],
      [5, 5, State.queued],
    ] as const) {
      writer.clientMessage({ clientId: 'a', messageId, packetId, qos: 1, state });
    }
    const { store, leftOut } = await imported(writer);
    expect(store.queueOf('a')).toEqual(['m1 5 sent', 'm4 31 queued', 'm5 5 queued']);
    expect(leftOut).toEqual({ [LeftOut.damagedMessage]: 2 });
  });
});

test('v5 [MQTT-4.3.3-10] incoming QoS 2 messages wait for their PUBREL; what can come no more ends its flow', async () => {
  const writer = withMessages().message({ id: 20, topicName: 'late', qos: 2, expiryTime: PAST });
  const add = (messageId: number, packetId: number, qos: number, state: number) =>
    writer.clientMessage({ clientId: 'a', messageId, packetId, qos, state, isIncoming: true });
  add(1, 100, 2, State.waitForPubrel);
  add(2, 101, 2, State.sendPubrec);
  add(3, 102, 2, State.queued);
  add(20, 103, 2, State.waitForPubrel);
  add(4, 104, 1, State.queued);
  add(5, 100, 2, State.waitForPubrel);
  // The same identifier may be in use in the other direction.
  writer.clientMessage({ clientId: 'a', messageId: 6, packetId: 100, qos: 2, state: State.waitForPubrec });
  const { store, report, leftOut } = await imported(writer);
  const topicOf = (id: number) => store.messages.get(id)?.message.topicName ?? null;
  expect(store.incoming.map(({ packetId, messageId }) => [packetId, topicOf(messageId)])).toEqual([
    [100, 'm1'],
    [101, 'm2'],
    [102, 'm3'],
    [103, null],
  ]);
  expect(store.queueOf('a')).toEqual(['m6 100 sent']);
  expect(report.totals.incoming).toBe(4);
  expect(leftOut).toEqual({ [LeftOut.incomingBelow2]: 1, [LeftOut.damagedMessage]: 1 });
});

test('retained messages are kept as such, also where a session waits for the same message', async () => {
  const writer = file()
    .message({ id: 1, topicName: 'plain', payload: 'one', retain: true, qos: 1 })
    .message({ id: 2, topicName: 'shared', payload: 'two', retain: false })
    .message({ id: 3, topicName: 'expired', payload: 'x', expiryTime: PAST })
    .message({ id: 4, topicName: 'later', payload: 'x', expiryTime: FUTURE })
    .message({ id: 5, topicName: 'empty' })
    .client({ clientId: 'a' })
    .clientMessage({ clientId: 'a', messageId: 2, packetId: 1, qos: 1, state: State.queued });
  for (const id of [1, 2, 3, 4, 5, 9, 1]) writer.retained(id);
  const { store, report, leftOut } = await imported(writer);
  expect(store.retained.map((one) => [one.topicName, one.retain, one.qos, one.expiresAtMs])).toEqual([
    ['plain', true, 1, 0],
    ['shared', true, 1, 0],
    ['later', true, 1, FUTURE * 1000],
  ]);
  expect([...store.messages.values()].map(({ message }) => [message.topicName, message.retain])).toEqual([
    ['shared', false],
  ]);
  expect(report.totals.retained).toBe(3);
  expect(leftOut).toEqual({ [LeftOut.expiredRetained]: 1, [LeftOut.lostRetained]: 1 });
});

describe('a damaged file', () => {
  const whole = withMessages();
  for (let id = 1; id <= 3; id++) {
    whole.clientMessage({ clientId: 'a', messageId: id, packetId: id, qos: 1, state: State.queued });
  }
  const bytes = whole.finish();
  const cut = bytes.subarray(0, bytes.length - 5);

  test('leaves the store unopened', async () => {
    const store = new RecordingStore();
    const importing = importMosquittoDb(new BytesSource(cut), store, times);
    await expect(importing).rejects.toBeInstanceOf(MosquittoDbError);
    expect([store.isOpen, store.commits]).toEqual([false, 0]);
  });

  test('gives what stands before the damage where that is asked for', async () => {
    const store = new RecordingStore();
    const report = await importMosquittoDb(new BytesSource(cut), store, { ...times, salvage: true });
    expect(store.queueOf('a')).toEqual(['m1 1 queued', 'm2 2 queued']);
    expect(store.complaints()).toEqual([]);
    expect(report.damage).toMatchObject({ offset: bytes.length - 24 - 1 });
  });
});

test('a store that is not empty is refused before anything is put in', async () => {
  const store = new RecordingStore({ sessions: 1 });
  const importing = importMosquittoDb(new BytesSource(file().client({ clientId: 'a' }).finish()), store, times);
  await expect(importing).rejects.toBeInstanceOf(StoreNotEmptyError);
  expect(store.commits).toBe(0);
});

test('large files go in batches, with progress up to the end, and stop when asked to', async () => {
  const writer = file();
  for (let id = 1; id <= 12_000; id++) writer.message({ id, topicName: 'many' });
  writer.client({ clientId: 'a' });
  for (let id = 1; id <= 12_000; id++) {
    writer.clientMessage({ clientId: 'a', messageId: id, packetId: id, qos: 1, state: State.queued });
  }
  const seen: [number, number][] = [];
  const { store } = await imported(writer, { onProgress: (done, total) => void seen.push([done, total]) });
  expect(store.commits).toBeGreaterThan(2);
  expect(seen.map(([done]) => done)).toEqual(seen.map(([done]) => done).sort((a, b) => a - b));
  expect(seen.at(-1)).toEqual([writer.length * 2, writer.length * 2]);

  const controller = new AbortController();
  const onProgress = (done: number) => {
    if (done > writer.length) controller.abort(new Error('enough'));
  };
  const stopped = new RecordingStore();
  const options = { ...times, onProgress, signal: controller.signal };
  await expect(importMosquittoDb(new BytesSource(writer.finish()), stopped, options)).rejects.toThrow('enough');
  expect(stopped.commits).toBe(1);
});

test('a preview reports what an import does', async () => {
  const writer = withMessages().retained(1);
  writer.clientMessage({ clientId: 'a', messageId: 1, packetId: 1, qos: 1, state: State.queued });
  const { report } = await imported(writer);
  expect(await previewMosquittoDb(new BytesSource(writer.finish()), times)).toEqual(report);
});

/** MARTLET_FUZZ_SEED repeats a run. */
const seed = seedFrom('MARTLET_FUZZ_SEED');

test(`whatever a damaged file gives, the store is sound (MARTLET_FUZZ_SEED=${seed})`, async () => {
  const random = new Random(seed);
  const writer = withMessages();
  for (let id = 1; id <= 12; id++) {
    writer.clientMessage({ clientId: 'a', messageId: id, packetId: id, qos: 1 + (id & 1), state: id, dup: true });
    writer.clientMessage({ clientId: 'a', messageId: id, packetId: id, qos: 2, state: 7, isIncoming: true });
  }
  writer.subscription({ clientId: 'a', filterText: 'x/#', qos: 1 });
  for (let id = 1; id <= 6; id++) writer.retained(id);
  const original = writer.finish();
  for (let i = 0; i < 2_000; i++) {
    const damaged = original.slice();
    for (let n = 1 + random.below(6); n > 0; n--)
      damaged[23 + random.below(damaged.length - 23)]! ^= 1 << random.below(8);
    const store = new RecordingStore();
    await importMosquittoDb(new BytesSource(damaged), store, { ...times, salvage: true });
    expect(store.complaints()).toEqual([]);
  }
});
