// One consistent copy of a store in use, made by a thread of its own beside the one that writes.
import { Database } from 'bun:sqlite';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError, StoreFault } from './session-store.ts';
import { storeError } from './sqlite-faults.ts';
import { removeDatabase } from './sqlite-file.ts';

export interface BackupRequest {
  readonly path: string;
  readonly target: string;
}

export type BackupReply = { readonly fault: StoreFault; readonly message: string } | null;

/**
 * Copies what is committed now, while others write. The copy has its name only once it is whole and on the disk.
 *
 * @throws StoreError, also where `target` exists
 */
export function copyNow({ path, target }: BackupRequest): void {
  const part = partOf(target);
  try {
    demandAbsent(target);
    removeDatabase(part);
    // SQLite writes into an empty file as into one that it makes, which would be for everybody to read.
    closeSync(openSync(part, 'wx', statSync(path).mode & 0o777));
    const db = new Database(path, { readonly: true });
    try {
      db.prepare<unknown, [string]>('VACUUM INTO ?').run(part);
    } finally {
      db.close(true);
    }
    syncToDisk(part);
    demandAbsent(target);
    renameSync(part, target);
    syncToDisk(dirname(target));
  } catch (error) {
    removeDatabase(part);
    throw storeError(`cannot copy ${path} to ${target}`, error);
  }
}

/** Where a copy grows until it is whole. */
export function partOf(target: string): string {
  return `${target}.part-${process.pid}`;
}

/** `copyNow` in a thread of its own. */
export function copyDatabase(path: string, target: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const worker = new Worker(new URL('./sqlite-backup-worker.ts', import.meta.url).href);
  let reason = 'its thread ended';
  worker.addEventListener('message', ({ data }: MessageEvent<BackupReply>) => {
    if (data === null) resolve();
    else reject(new StoreError(data.fault, data.message));
    worker.terminate();
  });
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    reason = event.message;
  });
  // Without effect where it has answered.
  worker.addEventListener('close', () => {
    reject(new StoreError(StoreFault.io, `cannot copy ${path} to ${target}: ${reason}`));
  });
  worker.postMessage({ path, target } satisfies BackupRequest);
  return promise;
}

/** Waits until a file, or the names in a folder, are on the disk. */
export function syncToDisk(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function demandAbsent(target: string): void {
  if (existsSync(target)) throw new StoreError(StoreFault.io, `${target} exists already, and is not overwritten`);
}
