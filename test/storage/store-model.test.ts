/** Random batches: a file of SQLite holds what `MemoryStore` holds, whatever house was kept between them. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Database } from 'bun:sqlite';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { DeliveryIndex } from '../../src/storage/session-store.ts';
import { SqliteFile } from '../../src/storage/sqlite-file.ts';
import { decodeDeliveries, decodeRetained, decodeSessions } from '../../src/storage/sqlite-protocol.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { Random, seedFrom } from '../support/codec/random.ts';
import { makeDatabaseFolder } from '../support/database-folder.ts';
import { sized } from '../support/long-run.ts';
import { deliveryRecord, putDelivery, sessionRecord, storedMessage, subscriptionRecord } from './records.ts';

let folder: string;
beforeEach(() => {
  folder = makeDatabaseFolder('store-');
});
afterEach(() => rm(folder, { recursive: true }));

/** Writes batches as a broker could, and repeats itself now and then: deletes what is gone, names who is not there. */
class Writer {
  private readonly random: Random;
  private lastSession = 0;
  private lastMessage = 0;
  private lastSeq = 0;
  private readonly sessions: number[] = [];
  /** Message by delivery, while it waits. */
  private readonly waiting = new Map<number, number>();

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  batch(): StoreBatch {
    const batch = new StoreBatch();
    if (this.sessions.length === 0) this.changes[0]!(batch);
    for (let i = this.random.below(20); i >= 0; i--) this.random.pick(this.changes)(batch);
    return batch;
  }

  /** Ends all that waits. */
  lastBatch(): StoreBatch {
    const batch = new StoreBatch();
    for (const seq of this.waiting.keys()) batch.deleteDelivery(seq);
    for (const id of this.sessions) batch.deleteSession(id);
    return batch;
  }

  private readonly changes: readonly ((batch: StoreBatch) => void)[] = [
    (batch) => {
      const id = ++this.lastSession;
      this.sessions.push(id);
      batch.putSession(sessionRecord(id, { will: this.will() }));
    },
    // Comes, goes, and has a will or none.
    (batch) => {
      const id = this.session();
      batch.putSession(sessionRecord(id, { will: this.will(), awaySinceMs: this.random.below(9), username: 'u' }));
    },
    (batch) => {
      if (this.sessions.length < 5) return;
      const [id] = this.sessions.splice(this.random.below(this.sessions.length), 1);
      batch.deleteSession(id!);
    },
    (batch) =>
      batch.putSubscription(this.session(), subscriptionRecord(this.topic(), { identifier: this.random.below(3) })),
    (batch) => batch.deleteSubscription(this.session(), this.topic()),
    (batch) => this.publish(batch),
    (batch) => this.publish(batch),
    (batch) => this.publish(batch),
    // One more session for a message that waits already.
    (batch) => {
      const [messageId] = this.waiting.values();
      if (messageId === undefined) return;
      batch.addReferences(messageId, 1);
      this.deliver(batch, messageId);
    },
    (batch) => {
      if (this.lastSeq === 0) return;
      const seq = 1 + this.random.below(this.lastSeq);
      const messageId = this.waiting.get(seq);
      const newSeq = this.random.below(2) === 0 || messageId === undefined ? seq : ++this.lastSeq;
      batch.moveDelivery(seq, newSeq, this.random.below(2) === 0, this.random.below(65_536));
      if (messageId === undefined) return;
      this.waiting.delete(seq);
      this.waiting.set(newSeq, messageId);
    },
    (batch) => this.acknowledge(batch),
    (batch) => this.acknowledge(batch),
    (batch) => this.acknowledge(batch),
    (batch) => {
      const messageId = this.random.below(4) === 0 ? 0 : ++this.lastMessage;
      if (messageId > 0) batch.putMessage(messageId, 1, this.message());
      batch.putIncoming(this.session(), 1 + this.random.below(4), messageId);
    },
    (batch) => batch.deleteIncoming(this.session(), 1 + this.random.below(4)),
    (batch) => batch.putRetained(this.message()),
    (batch) => batch.deleteRetained(this.topic()),
    (batch) => batch.setAlive(this.random.below(1_000)),
  ];

  private publish(batch: StoreBatch): void {
    const messageId = ++this.lastMessage;
    const place = batch.putMessage(messageId, 99, this.message());
    const deliveries = this.random.below(5);
    batch.setReferences(place, deliveries);
    for (let i = 0; i < deliveries; i++) this.deliver(batch, messageId);
  }

  private deliver(batch: StoreBatch, messageId: number): void {
    const seq = ++this.lastSeq;
    const sharedFilter = this.random.below(4) === 0 ? '$share/g/x' : null;
    const expiresAtMs = this.random.below(3) === 0 ? 1 + this.random.below(100) : 0;
    putDelivery(batch, deliveryRecord(seq, { messageId, sessionId: this.session(), sharedFilter, expiresAtMs }));
    this.waiting.set(seq, messageId);
  }

  private acknowledge(batch: StoreBatch): void {
    const seq = 1 + this.random.below(this.lastSeq + 2);
    batch.deleteDelivery(seq);
    this.waiting.delete(seq);
  }

  private session(): number {
    return this.random.pick(this.sessions);
  }

  private topic(): string {
    return `t/${this.random.below(12)}`;
  }

  private message() {
    const payload = new Uint8Array(this.random.below(this.random.below(10) === 0 ? 9_000 : 60)).fill(this.lastMessage);
    return storedMessage(this.topic(), { payload });
  }

  private will() {
    if (this.random.below(3) > 0) return null;
    return { message: this.message(), messageExpiryInterval: null, delayInterval: this.random.below(5) };
  }
}

const MANY = 100_000;

async function inMemory(store: MemoryStore) {
  const index = await store.readDeliveryIndex(0, MANY);
  return {
    summary: await store.open(),
    sessions: await store.readSessions(0, MANY),
    index,
    deliveries: (await store.readDeliveries([...index.seqs], 1e9)).deliveries,
    retained: await store.readRetained(null, MANY),
    expired: await store.readExpired(50, MANY),
  };
}

function inFile({ reader, writer }: SqliteFile) {
  const index: DeliveryIndex = reader.index(0, MANY);
  const { uid: _uid, lastBatch: _lastBatch, deliveries, ...rest } = writer.summary;
  // Old deliveries that are deleted are not looked up: those that were not there make the number too low.
  expect(deliveries).toBeLessThanOrEqual(index.seqs.length);
  const summary = { ...rest, deliveries: index.seqs.length };
  return {
    summary,
    sessions: decodeSessions(reader.sessions(0, MANY)),
    index,
    deliveries: decodeDeliveries(reader.deliveries(index.seqs, 1e9).bytes),
    retained: decodeRetained(reader.retained(null, MANY)),
    expired: reader.expired(50, MANY),
  };
}

/** What another program sees that reads the file. */
function seqsForOthers(path: string): unknown[] {
  const db = new Database(path, { readonly: true });
  const seqs = db.query('SELECT seq FROM delivery ORDER BY seq').values().flat();
  db.close(true);
  return seqs;
}

// Deliveries are removed at once, or all of them later, or some of both.
test.each([32_768, 0, 20])('random batches leave the same as in memory (%d recent deliveries)', async (recent) => {
  const seed = seedFrom('STORE_SEED');
  const path = join(folder, 'martlet.db');
  const open = () => new SqliteFile(path, 'normal', null, recent);
  const random = new Random(seed + 1);
  const writer = new Writer(seed);
  const memory = new MemoryStore();
  await memory.open();
  let file = open();
  let number = 0;
  const commit = async (batch: StoreBatch) => {
    await memory.commit(batch);
    file.commit(++number, batch.copy());
  };
  try {
    for (let round = 0; round < sized(30, 200); round++) {
      for (let i = random.below(8); i >= 0; i--) await commit(writer.batch());
      if (random.below(2) === 0) file.writer.removeGone(1 + random.below(20));
      if (random.below(4) === 0) file.checkpoint('PASSIVE');
      if (random.below(4) === 0) expect(seqsForOthers(path)).toEqual([...file.reader.index(0, MANY).seqs]);
      if (random.below(8) === 0) {
        file.close();
        file = open();
      }
      if (!Bun.deepEquals(inFile(file), await inMemory(memory))) {
        expect({ seed, round, ...inFile(file) }).toEqual({ seed, round, ...(await inMemory(memory)) });
      }
    }
    // And at the end of all sessions no row is left over.
    await commit(writer.lastBatch());
    while (file.writer.goneDeliveries > 0) file.writer.removeGone(50);
    expect({ seed, ...inFile(file) }).toEqual({ seed, ...(await inMemory(memory)) });
    file.close();
    const db = new Database(path, { readonly: true });
    const rows = ['delivery_row', 'message', 'incoming', 'session', 'will', 'subscription', 'gone'].map((table) => [
      table,
      db.query(`SELECT count(*) FROM ${table}`).values()[0]?.[0],
    ]);
    const check = db.query('PRAGMA integrity_check').values();
    db.close(true);
    expect({ seed, rows: rows.filter(([, count]) => count !== 0), check }).toEqual({ seed, rows: [], check: [['ok']] });
  } finally {
    file.abandon();
  }
});
