// A mosquitto.db becomes a file of ours, or nothing at all.
import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chownSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ImportOptions, StoreNotEmptyError } from '../../src/storage/mosquitto-db-import.ts';
import { MosquittoState as State } from '../../src/storage/mosquitto-db-records.ts';
import { DbFile, MosquittoDbError } from '../../src/storage/mosquitto-db-source.ts';
import { importIntoFile, isMosquittoDbFile } from '../../src/storage/mosquitto-db-takeover.ts';
import { StoreError, StoreFault } from '../../src/storage/session-store.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { MosquittoDbWriter } from './mosquitto-db-writer.ts';

let folder: string;
let target: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martlet-takeover-'));
  target = join(folder, 'martlet.db');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const whole = new MosquittoDbWriter({ format: 6 })
  .config()
  .message({ id: 1, topicName: 'a', payload: 'queued', qos: 1 })
  .message({ id: 2, topicName: 'r', payload: 'kept', retain: true })
  .client({ clientId: 'client', lastPacketId: 1 })
  .clientMessage({ clientId: 'client', messageId: 1, packetId: 1, qos: 1, state: State.queued })
  .subscription({ clientId: 'client', filterText: 'a', qos: 1 })
  .retained(2)
  .finish();

async function take(bytes: Uint8Array = whole, options: Partial<ImportOptions> = {}) {
  const path = join(folder, 'mosquitto.db');
  writeFileSync(path, bytes);
  const source = new DbFile(path);
  try {
    return await importIntoFile(source, target, { nowMs: Date.now(), savedAtMs: source.savedAtMs, ...options });
  } finally {
    source.close();
  }
}

/** What is there beside the source. */
const names = () =>
  readdirSync(folder)
    .filter((name) => name !== 'mosquitto.db')
    .sort();

async function contents(): Promise<string[]> {
  const store = new SqliteStore({ path: target, sync: 'normal' });
  const { lastSeq } = await store.open();
  const [session] = await store.readSessions(0, 10);
  const { deliveries } = await store.readDeliveries([lastSeq], 1e6);
  const retained = await store.readRetained(null, 10);
  await store.close();
  return [
    session!.clientId,
    session!.subscriptions[0]!.filterText,
    deliveries[0]!.message.topicName,
    retained[0]!.topicName,
  ];
}

test('makes a file that a store opens, for one user only, and leaves the source as it is', async () => {
  await take();
  expect(names()).toEqual(['martlet.db', 'martlet.db-lock']);
  expect(statSync(target).mode & 0o777).toBe(0o600);
  expect(await contents()).toEqual(['client', 'a', 'a', 'r']);
  expect(new Uint8Array(readFileSync(join(folder, 'mosquitto.db')))).toEqual(new Uint8Array(whole));
});

test.if(process.getuid?.() === 0)('made by root, belongs to whoever ran Mosquitto', async () => {
  const path = join(folder, 'mosquitto.db');
  writeFileSync(path, whole);
  chownSync(path, 4_711, 4_712);
  await take();
  for (const name of [target, `${target}-lock`]) {
    expect([statSync(name).uid, statSync(name).gid]).toEqual([4_711, 4_712]);
  }
});

test('goes into a store that is empty still', async () => {
  const store = new SqliteStore({ path: target, sync: 'normal' });
  await store.open();
  await store.close();
  await take();
  expect(await contents()).toEqual(['client', 'a', 'a', 'r']);
});

test('removes what an import left that was killed', async () => {
  for (const suffix of ['', '-wal', '-shm', '-lock']) writeFileSync(`${target}.import${suffix}`, 'rest');
  await take();
  expect(names()).toEqual(['martlet.db', 'martlet.db-lock']);
});

describe('leaves a target alone', () => {
  test('that is not empty', async () => {
    await take();
    const before = readFileSync(target);
    const error = await take().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(StoreNotEmptyError);
    expect(error).toMatchObject({ summary: { sessions: 1, deliveries: 1, retained: 1 } });
    expect(readFileSync(target).equals(before)).toBe(true);
  });

  test('that a broker uses', async () => {
    const store = new SqliteStore({ path: target, sync: 'normal' });
    await store.open();
    try {
      await expect(take()).rejects.toMatchObject({ fault: StoreFault.locked });
    } finally {
      await store.close();
    }
  });

  test.each([
    ['of another program', (path: string) => new Database(path, { create: true }).run('CREATE TABLE t (x)')],
    ['that is no database', (path: string) => writeFileSync(path, 'a text that is long enough to be one'.repeat(100))],
    ['that Mosquitto wrote', (path: string) => writeFileSync(path, whole)],
  ])('%s', async (_, make) => {
    make(target);
    const before = readFileSync(target);
    await expect(take()).rejects.toBeInstanceOf(StoreError);
    expect(readFileSync(target).equals(before)).toBe(true);
  });
});

describe('leaves nothing behind', () => {
  test('where the source is damaged', async () => {
    await expect(take(whole.subarray(0, whole.length - 1))).rejects.toBeInstanceOf(MosquittoDbError);
    expect(names()).toEqual([]);
  });

  test('where it is stopped', async () => {
    const controller = new AbortController();
    const onProgress = (done: number) => {
      if (done > whole.length) controller.abort(new Error('enough'));
    };
    await expect(take(whole, { signal: controller.signal, onProgress })).rejects.toThrow('enough');
    expect(names()).toEqual(['martlet.db-lock']);
  });

  test('where there is no folder for it', async () => {
    target = join(folder, 'missing', 'martlet.db');
    await expect(take()).rejects.toBeInstanceOf(StoreError);
    expect(names()).toEqual([]);
  });
});

test('takes what stands before the damage where that is asked for', async () => {
  const report = await take(whole.subarray(0, whole.length - 1), { salvage: true });
  expect(report.damage).toBeInstanceOf(MosquittoDbError);
  expect(report.totals).toMatchObject({ sessions: 1, queued: 1, retained: 0 });
  expect(existsSync(target)).toBe(true);
});

test('tells files of Mosquitto from others', async () => {
  writeFileSync(target, whole);
  expect(isMosquittoDbFile(target)).toBe(true);
  writeFileSync(target, whole.subarray(1));
  expect(isMosquittoDbFile(target)).toBe(false);
  expect(isMosquittoDbFile(folder)).toBe(false);
  expect(isMosquittoDbFile(join(folder, 'nothing'))).toBe(false);
});
