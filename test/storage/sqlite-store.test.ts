/** What is SqliteStore's own: its file, who else wants it, what becomes of a damaged one, and the thread behind it. */
import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreError } from '../../src/storage/session-store.ts';
import { SqliteHost } from '../../src/storage/sqlite-host.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { makeDatabaseFolder } from '../support/database-folder.ts';
import { deliveryRecord, putDelivery, sessionRecord, storedMessage, utf8 } from './records.ts';

let folder: string;
let path: string;
let notices: string[];
let store: SqliteStore;
const others: SqliteStore[] = [];

beforeEach(() => {
  folder = makeDatabaseFolder('store-');
  path = join(folder, 'martlet.db');
  notices = [];
  store = makeStore();
});
afterEach(async () => {
  await store.close();
  for (const one of others.splice(0)) await one.close();
  await rm(folder, { recursive: true });
});

function makeStore(): SqliteStore {
  return new SqliteStore({ path, sync: 'normal', onNotice: (line) => notices.push(line) });
}

async function errorOf(call: Promise<unknown>): Promise<StoreError> {
  const error = await call.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (error instanceof StoreError) return error;
  throw error;
}

function batchOf(write: (batch: StoreBatch) => void): StoreBatch {
  const batch = new StoreBatch();
  write(batch);
  return batch;
}

const retain = (topic: string) => batchOf((batch) => batch.putRetained(storedMessage(topic)));
const topics = async () => (await store.readRetained(null, 1_000)).map(({ topicName }) => topicName);

/** So many messages, each for one delivery. */
function messages(first: number, count: number, bytes: number): StoreBatch {
  const payload = new Uint8Array(bytes).fill(first);
  return batchOf((batch) => {
    for (let seq = first; seq < first + count; seq++) {
      batch.putMessage(seq, 1, storedMessage('t', { payload }));
      putDelivery(batch, deliveryRecord(seq));
    }
  });
}

function deletion(first: number, count: number): StoreBatch {
  return batchOf((batch) => {
    for (let seq = first; seq < first + count; seq++) batch.deleteDelivery(seq);
  });
}

describe('the file', () => {
  test('is one, once the store is closed, but for the empty file that is locked', async () => {
    await store.open();
    await store.commit(retain('a'));
    await store.close();
    expect(readdirSync(folder).sort()).toEqual(['martlet.db', 'martlet.db-lock']);
    expect(statSync(`${path}-lock`).size).toBe(0);
  });

  test('needs its folder', async () => {
    path = join(folder, 'missing', 'martlet.db');
    store = makeStore();
    const { fault, message } = await errorOf(store.open());
    expect(fault).toBe('io');
    expect(message).toContain(join(folder, 'missing'));
    expect(message).toContain('ENOENT');
  });

  test('of a later version is left as it is', async () => {
    await store.open();
    await store.close();
    const db = new Database(path);
    db.run('PRAGMA journal_mode = DELETE');
    db.run('PRAGMA user_version = 99');
    db.close(true);
    const before = readFileSync(path);
    const { fault, message } = await errorOf(store.open());
    expect(fault).toBe('corrupt');
    expect(message).toContain(`${path} has version 99 of the tables, and this program knows up to 1`);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['martlet.db', 'martlet.db-lock']);
  });

  test('of another program is left as it is', async () => {
    const db = new Database(path);
    db.run('CREATE TABLE theirs (a)');
    db.close(true);
    const before = readFileSync(path);
    expect(await errorOf(store.open())).toMatchObject({
      fault: 'corrupt',
      message: `${path} is a database of another program: it is left as it is`,
    });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('that Mosquitto wrote is left as it is', async () => {
    const bytes = Buffer.from([0x00, 0xb5, 0x00, ...utf8('mosquitto db'), 0, 0, 0, 0, 0, 0, 0, 6, 1, 2, 3]);
    writeFileSync(path, bytes);
    const { message } = await errorOf(store.open());
    expect(message).toContain('is a database of Mosquitto');
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(notices).toEqual([]);
  });

  test('grows no more than what waits in it, and gives back what was delivered', async () => {
    await store.open();
    const sizes: number[] = [];
    let seq = 1;
    for (let round = 0; round < 12; round++) {
      // 4 MB come, and what came a round before goes.
      for (let i = 0; i < 4; i++, seq += 1_000) {
        await store.commit(messages(seq, 1_000, 1_000));
        if (round > 0) await store.commit(deletion(seq - 4_000, 1_000));
      }
      sizes.push(statSync(path).size + statSync(`${path}-wal`).size);
    }
    expect(Math.max(...sizes)).toBeLessThan(60_000_000);
    await store.commit(deletion(seq - 4_000, 4_000));
    expect((await store.readDeliveryIndex(0, 10)).seqs).toHaveLength(0);
    // In a quiet moment, some milliseconds later.
    for (let i = 0; i < 400 && statSync(path).size > 4_000_000; i++) await Bun.sleep(50);
    expect(statSync(path).size).toBeLessThan(4_000_000);
  }, 60_000);
});

describe('old deliveries that are deleted', () => {
  const rows = () => {
    const db = new Database(path, { readonly: true });
    try {
      return db.query('SELECT count(*), (SELECT count(*) FROM message) FROM delivery_row').values()[0];
    } finally {
      db.close(true);
    }
  };

  test('are removed from the file in a quiet moment', async () => {
    await store.open();
    for (let seq = 1; seq <= 40_000; seq += 5_000) await store.commit(messages(seq, 5_000, 10));
    await store.commit(deletion(101, 5_000));
    expect((await store.readDeliveryIndex(0, 100_000)).seqs).toHaveLength(35_000);
    for (let i = 0; i < 200 && rows()![0] !== 35_000; i++) await Bun.sleep(50);
    expect(rows()).toEqual([35_000, 35_000]);
    expect((await store.readDeliveryIndex(0, 100_000)).seqs).toHaveLength(35_000);
  }, 30_000);

  test('are removed between batches where it is never quiet', async () => {
    const host = new SqliteHost(() => {});
    let id = 0;
    const commit = (batch: StoreBatch) => {
      const bytes = batch.copy();
      const { reply } = host.answer({ id: ++id, kind: 'commit', body: { number: id, bytes } });
      expect(reply).toEqual({ id, value: null });
      host.afterRequest();
    };
    host.answer({ id: 0, kind: 'open', body: { path, sync: 'normal', expects: null } });
    for (let seq = 1; seq <= 120_000; seq += 5_000) commit(messages(seq, 5_000, 10));
    for (let seq = 1; seq <= 80_000; seq += 2_500) commit(deletion(seq, 2_500));
    const [deliveries, stored] = rows() as [number, number];
    expect(deliveries).toBe(stored);
    expect(deliveries).toBeGreaterThanOrEqual(40_000);
    expect(deliveries).toBeLessThan(115_000);
    host.answer({ id: 0, kind: 'close', body: {} });
  }, 30_000);
});

describe('a store in use', () => {
  test('is refused to a second one of the same process', async () => {
    await store.open();
    const second = makeStore();
    others.push(second);
    expect(await errorOf(second.open())).toMatchObject({
      fault: 'locked',
      message: expect.stringContaining(`${path} is in use by`),
    });
    await store.close();
    await second.open();
  });

  test('is refused to another process, which names ours, until we end', async () => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'holder-child.ts'), path], {
      stdout: 'pipe',
      stderr: 'inherit',
    });
    try {
      const { value } = await child.stdout.getReader().read();
      expect(new TextDecoder().decode(value)).toBe('open\n');
      const { fault, message } = await errorOf(store.open());
      expect(fault).toBe('locked');
      expect(message).toBe(
        `${path} is in use by ${process.platform === 'linux' ? `process ${child.pid}` : 'another process'}`,
      );
    } finally {
      child.kill('SIGKILL');
      await child.exited;
    }
    await store.open();
    expect(await topics()).toEqual(['held']);
  }, 20_000);

  test('can be read by other programs', async () => {
    await store.open();
    await store.commit(retain('a'));
    const db = new Database(path, { readonly: true });
    expect(db.query('SELECT topic FROM retained').values()).toEqual([['a']]);
    db.close(true);
    await store.commit(retain('b'));
    expect(await topics()).toEqual(['a', 'b']);
  });

  test('waits for another program that writes, and fails a batch when that takes long', async () => {
    await store.open();
    const db = new Database(path);
    db.run('BEGIN IMMEDIATE');
    const batch = retain('a');
    expect(await errorOf(store.commit(batch))).toMatchObject({ fault: 'locked' });
    const committing = store.commit(batch);
    db.run('ROLLBACK');
    db.close(true);
    await committing;
    expect(await topics()).toEqual(['a']);
  });

  test('is copied as it is at one moment, while batches come', async () => {
    await store.open();
    // Each batch moves one unit: in any state that was committed the two counters add up to its number.
    const move = (n: number) =>
      batchOf((batch) => {
        batch.putRetained(storedMessage('taken', { payload: utf8(String(n)) }));
        batch.putRetained(storedMessage('given', { payload: utf8(String(-n)) }));
        batch.putSession(sessionRecord(n));
        batch.putMessage(n, 1, storedMessage('t', { payload: new Uint8Array(2_000) }));
        putDelivery(batch, deliveryRecord(n, { sessionId: n }));
      });
    let n = 0;
    while (n < 500) await store.commit(move(++n));
    const copy = join(folder, 'copy.db');
    let isDone = false;
    const copying = store.backup(copy).then(() => {
      isDone = true;
    });
    while (!isDone) await store.commit(move(++n));
    await copying;
    const later = await errorOf(store.backup(copy));
    expect(later.message).toContain('exists already');
    await store.close();
    const original = readFileSync(path);

    path = copy;
    store = makeStore();
    const { sessions, deliveries, lastSeq } = await store.open();
    const retained = await store.readRetained(null, 10);
    const [given, taken] = retained.map(({ payload }) => Number(new TextDecoder().decode(payload)));
    expect(taken).toBeGreaterThanOrEqual(500);
    expect([given, sessions, deliveries, lastSeq]).toEqual([-taken!, taken!, taken!, taken!]);
    expect((await store.readDeliveryIndex(0, 1e6)).seqs).toHaveLength(taken!);
    expect(notices).toEqual([]);
    expect(original.length).toBeGreaterThan(0);
    expect(readdirSync(folder).filter((name) => name.includes('.part'))).toEqual([]);
  }, 30_000);

  test('is not copied where it cannot be, and says so', async () => {
    await store.open();
    const target = join(folder, 'missing', 'copy.db');
    const { message } = await errorOf(store.backup(target));
    expect(message).toContain(`cannot copy ${path} to ${target}`);
    await store.commit(retain('a'));
  });

  test('gets its file back when that is removed', async () => {
    await store.open();
    await store.commit(retain('a'));
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
    await store.commit(retain('b'));
    expect(notices).toEqual([`${path} was removed while it was in use: it is written anew, with all it held.`]);
    await store.close();
    expect(await store.open()).toMatchObject({ retained: 2 });
    expect(await topics()).toEqual(['a', 'b']);
    expect(readdirSync(folder)).not.toContain('martlet.db-restored');
  });

  test('fails while its folder is gone, loses nothing, and goes on when it is back', async () => {
    const inner = join(folder, 'inner');
    Bun.spawnSync(['mkdir', inner]);
    path = join(inner, 'martlet.db');
    store = makeStore();
    await store.open();
    await store.commit(retain('a'));
    rmSync(inner, { recursive: true });
    const batch = retain('b');
    expect(await errorOf(store.commit(batch))).toMatchObject({ message: expect.stringContaining('was removed') });
    expect(await topics()).toEqual(['a']);
    expect(await errorOf(store.commit(batch))).toMatchObject({ message: expect.stringContaining('was removed') });
    Bun.spawnSync(['mkdir', inner]);
    await store.commit(batch);
    await store.close();
    await store.open();
    expect(await topics()).toEqual(['a', 'b']);
  });

  test('takes no other file for its own', async () => {
    await store.open();
    await store.commit(retain('a'));
    renameSync(path, `${path}.moved`);
    writeFileSync(path, 'something else');
    const batch = retain('b');
    expect(await errorOf(store.commit(batch))).toMatchObject({ message: expect.stringContaining('was replaced') });
    expect(readFileSync(path, 'utf8')).toBe('something else');
    renameSync(`${path}.moved`, path);
    await store.commit(batch);
    expect(await topics()).toEqual(['a', 'b']);
  });
});

describe('a damaged file', () => {
  const asideName = /^martlet\.db\.corrupt-\d{8}T\d{6}$/;
  const asides = () => readdirSync(folder).filter((name) => asideName.test(name));

  async function fill(): Promise<void> {
    await store.open();
    for (let seq = 1; seq <= 4_000; seq += 1_000) await store.commit(messages(seq, 1_000, 1_000));
    await store.close();
  }

  test.each([
    ['does not begin like one', (bytes: Buffer) => bytes.fill('x', 0, 100)],
    ['is all zeroes at its beginning', (bytes: Buffer) => bytes.fill(0, 0, 4_096)],
    ['is shorter than it says', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['has lost its table of tables', (bytes: Buffer) => bytes.fill(0xaa, 100, 4_096)],
  ])('that %s is set aside unharmed, and an empty one takes its place', async (_name, damage) => {
    await fill();
    const damaged = Buffer.from(damage(readFileSync(path)));
    writeFileSync(path, damaged);
    expect(await store.open()).toMatchObject({ deliveries: 0, lastSeq: 0 });
    const [aside, ...more] = asides();
    expect(more).toEqual([]);
    expect(readFileSync(join(folder, aside!)).equals(damaged)).toBe(true);
    expect(notices).toEqual([
      expect.stringContaining(`It is kept as ${join(folder, aside!)}, and ${path} starts empty.`),
    ]);
    await store.commit(retain('a'));
    await store.close();
    await store.open();
    expect(await topics()).toEqual(['a']);
    expect(notices).toHaveLength(1);
  });

  test('takes its log with it, and no earlier one loses its name', async () => {
    for (const round of [1, 2]) {
      writeFileSync(path, `damaged ${round}`.repeat(100));
      writeFileSync(`${path}-wal`, `log ${round}`);
      await store.open();
      await store.close();
    }
    const kept = readdirSync(folder).filter((name) => name.includes('.corrupt-'));
    const contents = kept.map((name) => readFileSync(join(folder, name), 'utf8').slice(0, 9));
    expect(contents.sort()).toEqual(['damaged 1', 'damaged 2', 'log 1', 'log 2']);
  });

  test('does not lose a log whose file is gone', async () => {
    writeFileSync(`${path}-wal`, 'all that is left');
    await store.open();
    const kept = readdirSync(folder).find((name) => name.includes('.corrupt-'));
    expect(kept).toEndWith('-wal');
    expect(readFileSync(join(folder, kept!), 'utf8')).toBe('all that is left');
  });

  test('that is found out in use fails what touches it, and is set aside at the next start', async () => {
    await fill();
    await store.open();
    // Under our hands: pages that were not read yet.
    truncateSync(path, 1_000_000);
    const reading = store.readDeliveries(
      Array.from({ length: 4_000 }, (_, i) => i + 1),
      1e9,
    );
    const { fault } = await errorOf(reading);
    expect(['corrupt', 'io']).toContain(fault);
    const error = await errorOf(store.commit(deletion(1, 4_000)));
    expect(['corrupt', 'io']).toContain(error.fault);
    await store.close();
    expect(await store.open()).toMatchObject({ deliveries: 0 });
    expect(asides()).toHaveLength(1);
    expect(notices.at(-1)).toContain('starts empty');
  }, 20_000);

  test('that only a look at the whole of it shows is set aside at the next start', async () => {
    await fill();
    const bytes = readFileSync(path);
    // Somewhere in the middle of the messages.
    bytes.fill(0xff, 2_000_000, 2_100_000);
    writeFileSync(path, bytes);
    await store.open();
    const seqs = Array.from({ length: 4_000 }, (_, i) => i + 1);
    expect(await errorOf(store.readDeliveries(seqs, 1e9))).toMatchObject({ fault: 'corrupt' });
    // What does not touch it goes on.
    await store.commit(retain('a'));
    expect(existsSync(`${path}-damaged`)).toBe(true);
    await store.close();
    expect(await store.open()).toMatchObject({ deliveries: 0, retained: 0 });
    expect(asides()).toHaveLength(1);
    expect(existsSync(`${path}-damaged`)).toBe(false);
  }, 20_000);
});
