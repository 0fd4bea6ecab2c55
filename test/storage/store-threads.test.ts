/** The thread behind a SqliteStore dies, or holds up the end of the process. */
import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreError } from '../../src/storage/session-store.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { makeDatabaseFolder } from '../support/database-folder.ts';
import { deliveryRecord, putDelivery, storedMessage } from './records.ts';

const RealWorker = globalThis.Worker;
/** Those of the store, the last one at the end. */
let workers: Worker[] = [];
let onPost: (worker: Worker, kind: string) => 'pass' | 'drop' = () => 'pass';
let onReply: (worker: Worker) => 'pass' | 'drop' = () => 'pass';

class WatchedWorker extends RealWorker {
  constructor(...args: ConstructorParameters<typeof Worker>) {
    super(...args);
    watch(this);
  }
}

function watch(worker: Worker): void {
  workers.push(worker);
  const post = worker.postMessage.bind(worker);
  worker.postMessage = (message: { kind: string }, transfer: unknown) => {
    if (onPost(worker, message.kind) === 'pass') post(message, transfer as ArrayBuffer[]);
  };
  const listen = worker.addEventListener.bind(worker) as (type: string, listener: (event: Event) => void) => void;
  worker.addEventListener = (type: string, listener: unknown) => {
    const heard = listener as (event: Event) => void;
    listen(type, (event) => {
      if (type !== 'message' || onReply(worker) === 'pass') heard(event);
    });
  };
}

let folder: string;
let path: string;
let notices: string[];
let store: SqliteStore;

beforeEach(async () => {
  workers = [];
  onPost = () => 'pass';
  onReply = () => 'pass';
  globalThis.Worker = WatchedWorker;
  folder = makeDatabaseFolder('store-');
  path = join(folder, 'martlet.db');
  notices = [];
  store = new SqliteStore({ path, sync: 'normal', onNotice: (line) => notices.push(line) });
  await store.open();
  const batch = new StoreBatch();
  batch.putMessage(1, 1, storedMessage('t'));
  putDelivery(batch, deliveryRecord(1));
  await store.commit(batch);
});
afterEach(async () => {
  globalThis.Worker = RealWorker;
  await store.close();
  await rm(folder, { recursive: true });
});

/** One that shows how often it was applied. */
function reference(): StoreBatch {
  const batch = new StoreBatch();
  batch.addReferences(1, 1);
  return batch;
}

function references(): unknown {
  const db = new Database(path, { readonly: true });
  try {
    return db.query('SELECT refs FROM message').values()[0]?.[0];
  } finally {
    db.close(true);
  }
}

const died = () => expect.stringContaining(`the thread that writes to ${path} died`);

describe('a thread that dies', () => {
  test('between two calls is replaced, and nothing is lost', async () => {
    workers[0]!.terminate();
    await store.commit(reference());
    expect(references()).toBe(2);
    expect((await store.readDeliveries([1], 1_000)).deliveries).toHaveLength(1);
    expect([workers.length, notices]).toEqual([2, [died()]]);
  });

  test('with calls under way has each of them done once', async () => {
    const commits = Array.from({ length: 200 }, () => store.commit(reference()));
    const reading = store.readDeliveries([1], 1_000);
    await commits[20];
    workers[0]!.terminate();
    await Promise.all(commits);
    expect((await reading).deliveries).toHaveLength(1);
    expect(references()).toBe(201);
    expect(workers).toHaveLength(2);
  });

  test('after it has committed, and before it has said so, has not done so twice', async () => {
    onReply = (worker) => {
      worker.terminate();
      onReply = () => 'pass';
      return 'drop';
    };
    await store.commit(reference());
    expect(references()).toBe(2);
    await store.commit(reference());
    expect(references()).toBe(3);
    expect(workers).toHaveLength(2);
  });

  test('of the same call again and again fails it, and the same batch goes in later', async () => {
    onPost = (worker, kind) => {
      if (kind !== 'commit') return 'pass';
      worker.terminate();
      return 'drop';
    };
    const batch = reference();
    const error = await store.commit(batch).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ fault: 'io', message: died() });
    onPost = () => 'pass';
    await store.commit(batch);
    expect(references()).toBe(2);
  });

  test('is told apart from one that had stored what it was not heard to have stored', async () => {
    // Both replies are lost, and the call fails although its batch is stored. It comes again.
    let losses = 2;
    onReply = (worker) => {
      if (losses === 0) return 'pass';
      losses--;
      worker.terminate();
      return 'drop';
    };
    const batch = reference();
    await store.commit(batch).catch(() => {});
    onReply = () => 'pass';
    expect(references()).toBe(2);
    await store.commit(batch);
    expect(references()).toBe(2);
    await store.commit(batch);
    expect(references()).toBe(3);
  });
});

describe('the process', () => {
  async function run(script: string): Promise<{ out: string; status: number }> {
    const imports = ['sqlite-store', 'store-batch'].map(
      (name) =>
        `import * as ${name.replace('-', '')} from ${JSON.stringify(join(import.meta.dir, `../../src/storage/${name}.ts`))};`,
    );
    const setup = `
      const store = new sqlitestore.SqliteStore({ path: ${JSON.stringify(join(folder, 'other.db'))}, sync: 'normal' });
      const batch = new storebatch.StoreBatch();
      batch.setAlive(1);`;
    const file = join(folder, 'script.ts');
    await Bun.write(file, [...imports, setup, script].join('\n'));
    const child = Bun.spawn([process.execPath, file], { stdout: 'pipe', stderr: 'inherit', timeout: 10_000 });
    return { out: await child.stdout.text(), status: await child.exited };
  }

  test('ends by itself beside an open store', async () => {
    const script = `await store.open(); await store.commit(batch); console.log('committed');`;
    expect(await run(script)).toEqual({ out: 'committed\n', status: 0 });
  }, 20_000);

  test('does not end before a call has its answer, though nothing else keeps it', async () => {
    const script = `store.open().then(() => store.commit(batch)).then(() => store.close()).then(() => console.log('closed'));`;
    expect(await run(script)).toEqual({ out: 'closed\n', status: 0 });
  }, 20_000);
});
