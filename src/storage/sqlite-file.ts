// The open database of a store: settings, checkpoints, and giving space back. Used by the thread that writes.
//
// While it is open, nothing else in this process may open the file but through SQLite: where any descriptor of a file is
// closed, the system drops the locks that the process has on it, and the next program that closes the database would take
// itself for the last one and remove its log.
import { Database, type Statement } from 'bun:sqlite';
import { rmSync, statSync } from 'node:fs';
import { StoreError, StoreFault } from './session-store.ts';
import { faultOf, openError, storeError } from './sqlite-faults.ts';
import type { Expected, SyncMode } from './sqlite-protocol.ts';
import { SqliteReader } from './sqlite-reader.ts';
import { checkSchema, createSchema, readNumber } from './sqlite-schema.ts';
import { type Marks, RECENT_DELIVERIES, SqliteWriter } from './sqlite-writer.ts';

const PAGE_SIZE = 4096;
const CHECKPOINT_FRAMES = (8 * 1024 * 1024) / PAGE_SIZE;
const CACHE_KIBIBYTES = 48 * 1024;
/** Free pages given back to the file system at a time. */
const VACUUM_PAGES = 512;
/** How long a write waits for another process that has the file open, as `martlet db` does. */
const BUSY_MS = 500;
const CLOSE_TRIES = 100;
const CLOSE_WAIT_MS = 10;

export class SqliteFile {
  readonly path: string;
  readonly writer: SqliteWriter;
  readonly reader: SqliteReader;
  private readonly db: Database;
  private readonly identity: string;
  private readonly logNow: Statement;

  /**
   * @param expects null: any store, and a new one where there is no file, or an empty one
   * @throws StoreError
   */
  constructor(path: string, sync: SyncMode, expects: Expected | null, recentDeliveries = RECENT_DELIVERIES) {
    this.path = path;
    try {
      this.db = new Database(path, { readwrite: true, create: expects === null });
    } catch (error) {
      throw openError(path, error);
    }
    try {
      const marks = this.prepare(sync, expects);
      this.writer = new SqliteWriter(this.db, marks, recentDeliveries);
      this.reader = new SqliteReader(this.db);
      this.logNow = this.db.prepare('PRAGMA wal_checkpoint(NOOP)');
      this.identity = identityOf(path) ?? '';
    } catch (error) {
      closeAfter(this.db);
      throw openError(path, error);
    }
  }

  /** @throws StoreError */
  commit(number: number, bytes: Uint8Array): void {
    try {
      this.writer.commit(number, bytes);
    } catch (error) {
      throw storeError(`cannot write to ${this.path}`, error);
    }
  }

  /** How long the write-ahead log is, and how much of it is in the file already, in pages. */
  logState(): { readonly frames: number; readonly copied: number } {
    const row = this.logNow.values()[0] as [busy: number, frames: number, copied: number] | undefined;
    return { frames: row?.[1] ?? 0, copied: row?.[2] ?? 0 };
  }

  /**
   * Copies the write-ahead log into the file, as far as readers let it. `TRUNCATE` empties it too, where nobody reads.
   *
   * @returns `busy` where another thread or process is at that, or reads what was to be cut
   */
  checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): 'done' | 'busy' {
    this.db.run('PRAGMA busy_timeout = 0');
    try {
      return readNumber(this.db, `PRAGMA wal_checkpoint(${mode})`) === 0 ? 'done' : 'busy';
    } finally {
      this.db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    }
  }

  /** For a writer without a thread beside it: takes some milliseconds between two batches, or nothing. */
  checkpointWhenDue(): void {
    if (this.logState().frames >= CHECKPOINT_FRAMES) this.checkpoint('PASSIVE');
  }

  /**
   * Gives some free pages back to the file system, where more than a share of the file is free.
   *
   * @param share some are kept, as they will be wanted again
   * @returns whether there were any
   */
  giveBackPages(share: number): boolean {
    const free = readNumber(this.db, 'PRAGMA freelist_count');
    if (free <= VACUUM_PAGES || free <= readNumber(this.db, 'PRAGMA page_count') * share) return false;
    this.db.run(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
    return true;
  }

  /**
   * Writes all that is stored to a new file.
   *
   * @throws an error of SQLite or the system
   */
  copyTo(path: string): void {
    this.db.prepare<unknown, [string]>('VACUUM INTO ?').run(path);
  }

  /** Leaves one file, unless somebody else has it open. @throws an error of SQLite */
  close(): void {
    try {
      // Another thread may be at a checkpoint: then it takes a moment.
      for (let i = 0; this.checkpoint('TRUNCATE') === 'busy' && i < CLOSE_TRIES; i++) Bun.sleepSync(CLOSE_WAIT_MS);
    } finally {
      this.db.close(true);
    }
  }

  /** Lets go of the file as it is. @throws an error of SQLite */
  abandon(): void {
    this.db.close(true);
  }

  /** Where the file of its name is: here, gone, or another one has taken its place. */
  whereabouts(): 'here' | 'gone' | 'replaced' {
    const now = identityOf(this.path);
    if (now === null) return 'gone';
    return now === this.identity ? 'here' : 'replaced';
  }

  private prepare(sync: SyncMode, expects: Expected | null): Marks {
    const { db, path } = this;
    db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    if (checkSchema(db, path) === 'empty') {
      if (expects !== null) throw notTheSame(path);
      createSchema(db);
    }
    const mode = db.prepare<unknown, []>('PRAGMA journal_mode = WAL').values()[0]?.[0];
    if (mode !== 'wal') throw new StoreError(StoreFault.io, `the file system of ${path} cannot keep a write-ahead log`);
    db.run(`PRAGMA synchronous = ${sync === 'full' ? 'FULL' : 'NORMAL'}`);
    db.run(`PRAGMA cache_size = -${CACHE_KIBIBYTES}`);
    db.run('PRAGMA temp_store = MEMORY');
    db.run('PRAGMA wal_autocheckpoint = 0');
    const marks = readMarks(db, path);
    if (expects !== null && (marks.uid !== expects.uid || marks.lastBatch < expects.lastBatch)) throw notTheSame(path);
    return marks;
  }
}

/** Closes a database after an error, which tells more than what closing it may add. */
function closeAfter(db: Database): void {
  try {
    db.close(true);
  } catch {
    // It is closed all the same.
  }
}

function notTheSame(path: string): StoreError {
  return new StoreError(
    StoreFault.io,
    `${path} is not the file any more that was in use: put that one back, or start the broker anew`,
  );
}

function readMarks(db: Database, path: string): Marks {
  const row = db
    .prepare<Record<string, number>, []>(
      'SELECT last_session, last_message, last_seq, last_batch, sessions, deliveries, retained, alive_ms FROM meta',
    )
    .values()[0];
  const uid = db.prepare<unknown, []>('SELECT uid FROM meta').values()[0]?.[0];
  if (row === undefined || typeof uid !== 'string') {
    throw new StoreError(StoreFault.corrupt, `${path} is damaged: its row of counters is missing`);
  }
  const number = (column: number) => Number(row[column]);
  return {
    uid,
    // The ends of the tables are read too: where they were cut off, it shows now.
    lastSessionId: Math.max(number(0), readNumber(db, 'SELECT max(id) FROM session')),
    lastMessageId: Math.max(number(1), readNumber(db, 'SELECT max(id) FROM message')),
    lastSeq: Math.max(number(2), readNumber(db, 'SELECT max(seq) FROM delivery_row')),
    lastBatch: number(3),
    sessions: number(4),
    deliveries: number(5),
    retained: number(6),
    aliveAtMs: number(7),
  };
}

/** Whether SQLite finds a file's structure whole: reads all of it. */
export function isSound(path: string): boolean {
  let db: Database | null = null;
  try {
    db = new Database(path, { readwrite: true, create: false });
    return db.prepare<unknown, []>('PRAGMA integrity_check(1)').values()[0]?.[0] === 'ok';
  } catch (error) {
    if (faultOf(error) === StoreFault.corrupt) return false;
    throw error;
  } finally {
    db?.close(true);
  }
}

/** Device and inode; null where there is no such file. */
function identityOf(path: string): string | null {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? null : `${stats.dev}:${stats.ino}`;
}

/** Bytes of the database and its write-ahead log. */
export function bytesOnDisk(path: string): number {
  return [path, `${path}-wal`].reduce((sum, one) => sum + (statSync(one, { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** Removes a database that is not needed any more, with what stands beside it. */
export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
}
