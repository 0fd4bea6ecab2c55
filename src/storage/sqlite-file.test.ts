import type { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database as OtherDatabase } from 'bun:sqlite';
import { SqliteFile } from './sqlite-file.ts';
import { LogKeeper } from './sqlite-log-keeper.ts';
import { StoreBatch } from './store-batch.ts';

let folder: string;
let path: string;
let file: SqliteFile;
let number = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'store-'));
  path = join(folder, 'martlet.db');
  number = 0;
});
afterEach(() => {
  file.abandon();
  rmSync(folder, { recursive: true });
});

/** So many messages of a kilobyte, each with its delivery, in one batch. */
function put(first: number, count: number): void {
  const batch = new StoreBatch();
  const payload = new Uint8Array(1_000).fill(first);
  for (let seq = first; seq < first + count; seq++) {
    batch.putMessage(seq, 1, {
      topicName: 't',
      payload,
      properties: new Uint8Array(0),
      qos: 1,
      retain: false,
      expiresAtMs: 0,
      publisherId: 'p',
    });
    batch.putDelivery(seq, 1, seq, 1, false, false, 0, 0, null, 1_000, 0);
  }
  file.commit(++number, batch.copy());
}

function remove(first: number, count: number): void {
  const batch = new StoreBatch();
  for (let seq = first; seq < first + count; seq++) batch.deleteDelivery(seq);
  file.commit(++number, batch.copy());
}

function setting(name: string): unknown {
  const { db } = file as unknown as { db: Database };
  return db.query(`PRAGMA ${name}`).values()[0]?.[0];
}

describe('the settings of the database', () => {
  // 1: the log is synced before it is copied; 2: with each commit.
  test.each([
    ['normal', 1],
    ['full', 2],
  ] as const)('sync %s is synchronous = %d', (sync, synchronous) => {
    file = new SqliteFile(path, sync, null);
    expect(setting('synchronous')).toBe(synchronous);
    expect([setting('journal_mode'), setting('auto_vacuum'), setting('wal_autocheckpoint')]).toEqual(['wal', 2, 0]);
    expect(setting('cache_size')).toBe(-48 * 1024);
  });
});

describe('a batch', () => {
  test('with a number that was committed is not applied again', () => {
    file = new SqliteFile(path, 'normal', null);
    put(1, 2);
    const before = file.writer.summary;
    number--;
    put(3, 2);
    expect(file.writer.summary).toEqual(before);
  });

  test('that cannot be applied leaves nothing of it', () => {
    file = new SqliteFile(path, 'normal', null);
    put(1, 1);
    const before = file.writer.summary;
    const batch = new StoreBatch();
    batch.deleteDelivery(1);
    batch.setAlive(5);
    const bytes = new Uint8Array([...batch.copy(), 99]);
    expect(() => file.commit(++number, bytes)).toThrow('unknown change 99');
    expect(file.writer.summary).toEqual(before);
    expect(file.reader.index(0, 10).seqs).toHaveLength(1);
    put(2, 1);
    expect(file.reader.index(0, 10).seqs).toHaveLength(2);
  });
});

describe('deliveries that are gone', () => {
  test('are removed at once where they are recent, else later, lowest first', () => {
    file = new SqliteFile(path, 'normal', null, 10);
    put(1, 100);
    remove(95, 1);
    expect([file.writer.goneDeliveries, file.writer.summary.deliveries]).toEqual([0, 99]);
    remove(11, 20);
    remove(5, 1);
    expect([file.writer.goneDeliveries, file.writer.summary.deliveries]).toEqual([21, 78]);
    expect(file.reader.index(0, 1_000).seqs).toHaveLength(78);
    expect(file.reader.deliveries(Float64Array.of(4, 5, 11), 1e6).looked).toBe(3);
    file.writer.removeGone(2);
    expect(file.writer.goneDeliveries).toBe(19);
    file.abandon();
    file = new SqliteFile(path, 'normal', null, 10);
    // Those two are listed still, and are not there any more.
    expect([file.writer.goneDeliveries, file.writer.summary.deliveries]).toEqual([21, 78]);
    file.writer.removeGone(100);
    expect([file.writer.goneDeliveries, file.writer.summary.deliveries]).toEqual([0, 78]);
    const { db } = file as unknown as { db: Database };
    expect(db.query('SELECT count(*) FROM message').values()).toEqual([[78]]);
  });
});

describe('free pages', () => {
  test('go back to the file system in steps, but for a share of the file', () => {
    file = new SqliteFile(path, 'normal', null);
    put(1, 12_000);
    file.checkpoint('TRUNCATE');
    const full = statSync(path).size;
    remove(1, 9_000);
    expect(file.giveBackPages(0.9)).toBe(false);
    let steps = 0;
    while (file.giveBackPages(0.1)) steps++;
    file.checkpoint('TRUNCATE');
    expect(steps).toBeGreaterThan(1);
    expect(statSync(path).size).toBeLessThan(full * 0.5);
    expect(file.reader.index(0, 20_000).seqs).toHaveLength(3_000);
  });
});

describe('the write-ahead log', () => {
  const faults: string[] = [];
  let keeper: LogKeeper;

  beforeEach(() => {
    faults.length = 0;
    file = new SqliteFile(path, 'normal', null);
    keeper = new LogKeeper(file, (message) => faults.push(message));
  });
  afterEach(() => keeper.stop());

  /** Commits some megabytes, and lets the other thread have its turns. */
  async function write(megabytes: number, until = () => false): Promise<number> {
    let longest = 0;
    for (let i = 0; i < megabytes && !until(); i++) {
      put(file.writer.summary.lastSeq + 1, 900);
      keeper.attend();
      longest = Math.max(longest, file.logState().frames);
      await Bun.sleep(2);
    }
    return longest * 4_096;
  }

  test('begins anew before it is long, while batches come', async () => {
    const longest = await write(80);
    expect(longest).toBeGreaterThan(8_000_000);
    expect(longest).toBeLessThan(50_000_000);
    expect(faults).toEqual([]);
  });

  test('grows while somebody reads, and is cut once they have ended', async () => {
    const reader = new OtherDatabase(path, { readonly: true });
    reader.run('BEGIN');
    reader.query('SELECT count(*) FROM message').values();
    const held = await write(72);
    expect(held).toBeGreaterThan(64_000_000);
    reader.run('COMMIT');
    reader.close(true);
    const isCut = () => statSync(`${path}-wal`).size < 40_000_000;
    await write(200, isCut);
    expect(isCut()).toBe(true);
    expect(faults).toEqual([]);
  });

  test('is copied by the writer alone where another thread cannot, and that is told', async () => {
    const missing = join(folder, 'missing.db');
    keeper = new LogKeeper(Object.create(file, { path: { value: missing } }), (message) => faults.push(message));
    const longest = await write(30);
    expect(faults[0]).toContain(missing);
    expect(longest).toBeLessThan(20_000_000);
  });
});
