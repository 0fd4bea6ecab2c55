/**
 * A recorded run of a store, and what a loss of power would leave of it at any byte: the file as it was at the last
 * checkpoint, and a write-ahead log of which only a part had reached the disk.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { removeDatabase, SqliteFile } from '../../src/storage/sqlite-file.ts';
import { decodeDeliveries, decodeRetained, decodeSessions, type SyncMode } from '../../src/storage/sqlite-protocol.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { deliveryRecord, putDelivery, sessionRecord, storedMessage, subscriptionRecord, utf8 } from './records.ts';

const HEADER_BYTES = 32;
const FRAME_BYTES = 24 + 4096;

/** The batch with this number, from 1 up: some of everything, and what tells it from all others. */
export function numberedBatch(number: number): StoreBatch {
  const batch = new StoreBatch();
  batch.putSession(sessionRecord(number));
  batch.putSubscription(number, subscriptionRecord(`of/${number}`));
  // Now and then a payload that takes pages of its own.
  const payload = new Uint8Array(number % 5 === 0 ? 9_000 : 50).fill(number);
  batch.putMessage(number, 2, storedMessage(`t/${number}`, { payload }));
  putDelivery(
    batch,
    deliveryRecord(number, { sessionId: number, sharedFilter: number % 3 === 0 ? '$share/g/t' : null }),
  );
  batch.putIncoming(number, 7, number);
  if (number > 3) batch.deleteDelivery(number - 3);
  if (number > 5) batch.deleteIncoming(number - 5, 7);
  if (number > 8) batch.deleteSession(number - 8);
  batch.putRetained(storedMessage('counter', { payload: utf8(String(number)), retain: true }));
  batch.setAlive(number);
  return batch;
}

export interface Content {
  readonly seqs: Float64Array;
  readonly deliveries: unknown;
  readonly sessions: unknown;
  readonly retained: unknown;
}

/** What there is to find after each number of batches, from 0 up, as `MemoryStore` tells. */
async function expectedContents(batches: number): Promise<Content[]> {
  const store = new MemoryStore();
  await store.open();
  const contents = [await contentOfMemory(store)];
  for (let number = 1; number <= batches; number++) {
    await store.commit(numberedBatch(number));
    contents.push(await contentOfMemory(store));
  }
  return contents;
}

export async function contentOfMemory(store: MemoryStore): Promise<Content> {
  const { seqs } = await store.readDeliveryIndex(0, 10_000);
  return {
    seqs,
    deliveries: (await store.readDeliveries([...seqs], 1e9)).deliveries,
    sessions: await store.readSessions(0, 10_000),
    retained: await store.readRetained(null, 10_000),
  };
}

export function contentOfFile({ reader }: SqliteFile): Content {
  const { seqs } = reader.index(0, 10_000);
  return {
    seqs,
    deliveries: decodeDeliveries(reader.deliveries(seqs, 1e9).bytes),
    sessions: decodeSessions(reader.sessions(0, 10_000)),
    retained: decodeRetained(reader.retained(null, 10_000)),
  };
}

/** A state of the two files on the disk. */
export interface Rest {
  readonly name: string;
  readonly database: Uint8Array;
  readonly log: Uint8Array;
  /** How many batches it has to hold, no more and no less. */
  readonly batches: number;
}

interface Recording {
  /** The file before and after the checkpoint that follows the first half of the batches. */
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly firstLog: Uint8Array;
  /** Begins anew: behind its frames are those of the first that were not written over. */
  readonly secondLog: Uint8Array;
  /** Length of the log once the batch with this number was acknowledged; of the second for the second half. */
  readonly ends: readonly number[];
}

function record(path: string, sync: SyncMode, half: number): Recording {
  const file = new SqliteFile(path, sync, null);
  const ends = [0];
  const commit = (number: number) => {
    file.commit(number, numberedBatch(number).copy());
    ends.push(HEADER_BYTES + file.logState().frames * FRAME_BYTES);
  };
  file.checkpoint('TRUNCATE');
  const before = bytesOf(path);
  for (let number = 1; number <= half; number++) commit(number);
  const firstLog = bytesOf(`${path}-wal`);
  if (!Bun.deepEquals(bytesOf(path), before)) throw new Error('the file changed without a checkpoint');
  file.checkpoint('PASSIVE');
  const after = bytesOf(path);
  for (let number = half + 1; number <= 2 * half; number++) commit(number);
  const secondLog = bytesOf(`${path}-wal`);
  if (!Bun.deepEquals(bytesOf(path), after)) throw new Error('the file changed without a checkpoint');
  file.close();
  return { before, after, firstLog, secondLog, ends };
}

function bytesOf(path: string): Uint8Array {
  return new Uint8Array(readFileSync(path));
}

/** Every rest that is looked at: cuts at each frame and within it, bytes that turned, frames that came out of order. */
export function* restsOf({ before, after, firstLog, secondLog, ends }: Recording): Generator<Rest> {
  const half = (ends.length - 1) / 2;
  const heldAt = (length: number, first: number) => {
    let held = first;
    while (held < first + half && ends[held + 1]! <= length) held++;
    return held;
  };
  yield { name: 'no log', database: before, log: firstLog.subarray(0, 0), batches: 0 };
  for (let end = HEADER_BYTES; end <= firstLog.length; end += FRAME_BYTES) {
    const at = (length: number) => ({ database: before, log: firstLog.slice(0, length), batches: heldAt(length, 0) });
    yield { name: `log cut at ${end}`, ...at(end) };
    if (end === HEADER_BYTES) continue;
    // In the head of a frame, and in its page.
    yield { name: `log cut at ${end - FRAME_BYTES + 11}`, ...at(end - FRAME_BYTES + 11) };
    yield { name: `log cut at ${end - 1_234}`, ...at(end - 1_234) };
    const flipped = at(end);
    const place = end - 1 - ((end * 7) % FRAME_BYTES);
    flipped.log[place]! ^= 0x10;
    yield { ...flipped, name: `log cut at ${end}, byte ${place} turned`, batches: heldAt(end - FRAME_BYTES, 0) };
    const hole = { database: before, log: firstLog.slice(), batches: heldAt(end - FRAME_BYTES, 0) };
    hole.log.fill(0, end - FRAME_BYTES, end);
    yield { ...hole, name: `log without the frame that ends at ${end}` };
  }
  // Within the checkpoint: the log is whole, and pages of the file are old or new.
  for (const keep of [1, 2, 3, 7]) {
    const database = new Uint8Array(after);
    for (let page = 0; page * 4096 < after.length; page++) {
      if (page % keep !== 0) continue;
      const old = before.subarray(page * 4096, (page + 1) * 4096);
      database.fill(0, page * 4096, (page + 1) * 4096);
      database.set(old, page * 4096);
    }
    yield { name: `checkpoint with every page ${keep} old`, database, log: firstLog, batches: half };
  }
  // The file never gets shorter than it was; how far it grew may be anything.
  const grown = before.length + Math.floor((after.length - before.length) / 3) + 1_000;
  yield { name: 'checkpoint cut', database: after.slice(0, grown), log: firstLog, batches: half };
  // After it: the log is written over from its beginning, and the rest of the old one is still behind.
  const longest = ends.at(-1)!;
  for (const end of [0, 13, HEADER_BYTES]) {
    yield { name: `second log to ${end}`, database: after, log: joined(secondLog, firstLog, end), batches: half };
  }
  for (let end = HEADER_BYTES + FRAME_BYTES; end <= longest; end += FRAME_BYTES) {
    for (const length of [end, end - 1_234, end - FRAME_BYTES + 11]) {
      const log = joined(secondLog, firstLog, length);
      yield { name: `second log to ${length}`, database: after, log, batches: heldAt(length, half) };
    }
  }
}

function joined(start: Uint8Array, rest: Uint8Array, place: number): Uint8Array {
  const all = new Uint8Array(Math.max(rest.length, place));
  all.set(rest);
  all.set(start.subarray(0, place));
  return all;
}

/**
 * Records a run and opens every rest of it.
 *
 * @param half of the number of batches
 * @returns how many rests there were, and what was wrong with which
 */
export async function checkPowerLoss(
  folder: string,
  sync: SyncMode,
  half: number,
): Promise<{ rests: number; wrong: string[] }> {
  const recorded = join(folder, 'recorded.db');
  removeDatabase(recorded);
  const recording = record(recorded, sync, half);
  const contents = await expectedContents(2 * half);
  const path = join(folder, 'rest.db');
  const wrong: string[] = [];
  let rests = 0;
  for (const { name, database, log, batches } of restsOf(recording)) {
    rests++;
    removeDatabase(path);
    writeFileSync(path, database);
    writeFileSync(`${path}-wal`, log);
    try {
      const content = openRest(path, batches + 1);
      if (Bun.deepEquals(content, contents[batches])) continue;
      const found = contents.findIndex((one) => Bun.deepEquals(one, content));
      wrong.push(`${name}: ${found} batches instead of ${batches}`);
    } catch (error) {
      wrong.push(`${name}: ${String(error)}`);
    }
  }
  removeDatabase(path);
  return { rests, wrong };
}

/** What a rest holds. The next batch goes in too: a rest is no museum. */
function openRest(path: string, next: number): Content {
  const file = new SqliteFile(path, 'normal', null);
  try {
    const content = contentOfFile(file);
    if (file.writer.summary.lastBatch === next - 1) file.commit(next, numberedBatch(next).copy());
    return content;
  } finally {
    file.abandon();
  }
}
