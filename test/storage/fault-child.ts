/**
 * A store on a disk that fails, in a process of its own with file systems or limits of its own: see `store-faults.test.ts`.
 *
 *   bun fault-child.ts SCENARIO FOLDER      prints what happened as one line of JSON
 */
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../../src/storage/session-store.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { deliveryRecord, putDelivery, storedMessage } from './records.ts';

const [scenario = '', folder = ''] = process.argv.slice(2);
const path = join(folder, 'martlet.db');
const ballast = join(folder, 'ballast');
const notices: string[] = [];
const store = new SqliteStore({ path, sync: 'full', onNotice: (line) => notices.push(line) });

/** The fault of a call that fails, with its message; null for one that does not. */
async function faultOf(call: Promise<unknown>): Promise<{ fault: string; message: string } | null> {
  try {
    await call;
    return null;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { fault: error.fault, message: error.message };
  }
}

function batchOf(seq: number, bytes: number): StoreBatch {
  const batch = new StoreBatch();
  const payload = new Uint8Array(bytes).fill(seq % 251);
  batch.putMessage(seq, 1, storedMessage('t', { payload }));
  putDelivery(batch, deliveryRecord(seq));
  return batch;
}

async function storedSeqs(): Promise<number[]> {
  return [...(await store.readDeliveryIndex(0, 100_000)).seqs];
}

/** Whether every delivery has its whole payload. */
async function isWhole(seqs: readonly number[], bytes: number): Promise<boolean> {
  for (const seq of seqs) {
    const { payload } = (await store.readDeliveries([seq], 1)).deliveries[0]!.message;
    if (payload.length !== bytes || !payload.every((byte) => byte === seq % 251)) return false;
  }
  return true;
}

/** Commits until a batch fails three times, then mends the disk and goes on with that batch. */
async function fillAndMend(mend: () => void) {
  const bytes = 20_000;
  await store.open();
  let seq = 0;
  let batch = new StoreBatch();
  const failed: Awaited<ReturnType<typeof faultOf>>[] = [];
  while (failed.length < 3 && seq < 1_000) {
    failed.length = 0;
    batch = batchOf(++seq, bytes);
    while (failed.length < 3) {
      const fault = await faultOf(store.commit(batch));
      if (fault === null) break;
      failed.push(fault);
    }
  }
  const before = await storedSeqs();
  const wholeBefore = await isWhole(before, bytes);
  mend();
  const mended = await faultOf(store.commit(batch));
  const next = await faultOf(store.commit(batchOf(seq + 1, bytes)));
  const after = await storedSeqs();
  await store.close();
  const { deliveries } = await store.open();
  const reopened = await storedSeqs();
  const wholeAfter = await isWhole(reopened, bytes);
  await store.close();
  return { seq, failed, before, wholeBefore, mended, next, after, deliveries, reopened, wholeAfter };
}

function remount(mode: 'ro' | 'rw'): void {
  const { exitCode, stderr } = Bun.spawnSync(['mount', '-o', `remount,${mode}`, folder]);
  if (exitCode !== 0) throw new Error(`mount: ${stderr.toString()}`);
}

/** Files of this process may not grow beyond so many bytes: a write that would fails with EFBIG. */
function limitFileSize(bytes: number | 'unlimited'): void {
  const limit = `--fsize=${bytes}:unlimited`;
  const { exitCode, stderr } = Bun.spawnSync(['prlimit', '--pid', String(process.pid), limit]);
  if (exitCode !== 0) throw new Error(`prlimit: ${stderr.toString()}`);
}

const scenarios: Record<string, () => Promise<object>> = {
  full: async () => {
    writeFileSync(ballast, new Uint8Array(600_000));
    return fillAndMend(() => rmSync(ballast));
  },
  'full at open': async () => {
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(ballast, new Uint8Array(bavail * bsize));
    const opened = await faultOf(store.open());
    rmSync(ballast);
    const openedLater = await faultOf(store.open());
    const committed = await faultOf(store.commit(batchOf(1, 100)));
    await store.close();
    return { opened, openedLater, committed };
  },
  'file size': async () => {
    limitFileSize(1_000_000);
    return fillAndMend(() => limitFileSize('unlimited'));
  },
  'read only': async () => {
    remount('ro');
    const openedNew = await faultOf(store.open());
    remount('rw');
    await store.open();
    await store.commit(batchOf(1, 100));
    await store.close();
    remount('ro');
    const openedAgain = await faultOf(store.open());
    remount('rw');
    await store.open();
    const seqs = await storedSeqs();
    await store.close();
    return { openedNew, openedAgain, seqs };
  },
};

const result = await scenarios[scenario]!();
process.stdout.write(`${JSON.stringify({ ...result, notices })}\n`);
