// A `mosquitto.db` becomes a file of ours, as a whole or not at all: it grows under another name beside its place.
import { Database } from 'bun:sqlite';
import { chownSync, closeSync, existsSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { importMosquittoDb, type ImportOptions, type ImportReport, StoreNotEmptyError } from './mosquitto-db-import.ts';
import type { DbFile } from './mosquitto-db-source.ts';
import { isMosquittoDb, MOSQUITTO_DB_HEADER } from './mosquitto-db.ts';
import { StoreError, StoreFault, type StoreSummary } from './session-store.ts';
import { syncToDisk } from './sqlite-backup.ts';
import { storeError } from './sqlite-faults.ts';
import { removeDatabase } from './sqlite-file.ts';
import { StoreLock } from './sqlite-lock.ts';
import { checkSchema, readNumber } from './sqlite-schema.ts';
import { SqliteStore } from './sqlite-store.ts';
import type { StoreBatch } from './store-batch.ts';

/** Whether a file begins like one of Mosquitto's; one that is not there, or cannot be read, does not. */
export function isMosquittoDbFile(path: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return false;
  }
  try {
    const start = new Uint8Array(MOSQUITTO_DB_HEADER);
    return isMosquittoDb(start.subarray(0, readSync(descriptor, start, 0, start.length, 0)));
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Imports into the database at `target`, which is made, or has to be empty. No broker can use it meanwhile. A new one is
 * for one user only: where root imports, for the one who ran Mosquitto, since the broker will run as that user.
 *
 * @throws MosquittoDbError where the source is damaged
 * @throws StoreNotEmptyError
 * @throws StoreError where the target cannot be written, is in use, or is not ours; after any error it is as it was
 */
export async function importIntoFile(source: DbFile, target: string, options: ImportOptions): Promise<ImportReport> {
  const store = new GrowingFile(target, source);
  try {
    const report = await importMosquittoDb(source, store, options);
    await store.finish();
    return report;
  } finally {
    await store.close();
  }
}

class GrowingFile {
  private readonly target: string;
  private readonly temporary: string;
  private readonly store: SqliteStore;
  private readonly owner: FileOwner;
  private lock: StoreLock | null = null;

  /** @throws StoreError or StoreNotEmptyError where the target is not for us: told before a large source is read */
  constructor(target: string, source: DbFile) {
    this.target = target;
    this.owner = statSync(target, { throwIfNoEntry: false }) ?? { uid: source.uid, gid: source.gid, mode: 0o600 };
    this.temporary = `${target}.import`;
    this.store = new SqliteStore({ path: this.temporary, sync: 'normal' });
    if (existsSync(target)) this.takeTarget();
  }

  async open(): Promise<StoreSummary> {
    if (this.lock === null) this.takeTarget();
    // What an import left that was killed.
    this.removeTemporary();
    // SQLite gives what it puts beside a file the mode of the file.
    closeSync(openSync(this.temporary, 'wx', this.owner.mode & 0o777));
    return this.store.open();
  }

  commit(batch: StoreBatch): Promise<void> {
    return this.store.commit(batch);
  }

  /** Puts the file in its place, where it lasts. */
  async finish(): Promise<void> {
    await this.store.close();
    try {
      for (const path of [this.temporary, `${this.target}-lock`]) giveTo(path, this.owner);
      syncToDisk(this.temporary);
      removeDatabase(this.target);
      renameSync(this.temporary, this.target);
      syncToDisk(dirname(this.target));
    } catch (error) {
      throw storeError(`cannot write ${this.target}`, error);
    }
  }

  /** What is not finished is gone. */
  async close(): Promise<void> {
    try {
      await this.store.close();
    } finally {
      if (this.lock !== null) this.removeTemporary();
      this.lock?.release();
    }
  }

  private takeTarget(): void {
    this.lock = new StoreLock(this.target);
    try {
      demandEmptyFile(this.target);
    } catch (error) {
      this.lock.release();
      this.lock = null;
      throw error;
    }
  }

  private removeTemporary(): void {
    removeDatabase(this.temporary);
    rmSync(`${this.temporary}-lock`, { force: true });
  }
}

interface FileOwner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

function giveTo(path: string, owner: FileOwner): void {
  if (process.getuid?.() === 0) chownSync(path, owner.uid, owner.gid);
}

/** A file that is not there is as good as an empty one. */
function demandEmptyFile(path: string): void {
  if (!existsSync(path)) return;
  if (isMosquittoDbFile(path)) {
    throw new StoreError(StoreFault.corrupt, `${path} was written by Mosquitto: it is left as it is`);
  }
  try {
    const db = new Database(path, { readonly: true });
    try {
      if (checkSchema(db, path) === 'empty') return;
      const count = (table: string) => readNumber(db, `SELECT count(*) FROM ${table}`);
      StoreNotEmptyError.demandEmpty({
        lastSessionId: 0,
        lastMessageId: 0,
        lastSeq: 0,
        aliveAtMs: 0,
        sessions: count('session'),
        deliveries: count('delivery'),
        retained: count('retained'),
      });
    } finally {
      db.close(true);
    }
  } catch (error) {
    if (error instanceof StoreNotEmptyError) throw error;
    throw storeError(`cannot read ${path}`, error);
  }
}
