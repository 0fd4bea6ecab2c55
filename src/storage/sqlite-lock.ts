import { Database, SQLiteError } from 'bun:sqlite';
import { readFileSync, statSync } from 'node:fs';
import { StoreError, StoreFault } from './session-store.ts';
import { faultOf, openError } from './sqlite-faults.ts';

/**
 * Keeps a second broker away from a store. The lock is on an empty file beside it, so that other programs can still read
 * the store itself; the system drops it when the process ends, however it ends. The file stays: to remove it would let two
 * processes lock two files of one name.
 */
export class StoreLock {
  private readonly db: Database;

  /** @throws StoreError where another process has it */
  constructor(path: string) {
    const lockPath = `${path}-lock`;
    let db: Database | null = null;
    try {
      db = new Database(lockPath, { readwrite: true, create: true });
      // Nothing is ever written to it, so no journal is wanted.
      db.run('PRAGMA journal_mode = OFF');
      db.run('BEGIN EXCLUSIVE');
      this.db = db;
    } catch (error) {
      db?.close(true);
      if (error instanceof SQLiteError && faultOf(error) === StoreFault.locked) {
        throw new StoreError(StoreFault.locked, `${path} is in use by ${holderOf(lockPath)}`, { cause: error });
      }
      throw openError(lockPath, error);
    }
  }

  release(): void {
    this.db.close(true);
  }
}

/** Who has a file locked, as Linux tells. */
function holderOf(path: string): string {
  try {
    const inode = `:${statSync(path).ino}`;
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      // 1: POSIX  ADVISORY  WRITE 4711 fe:00:131073 1073741826 1073742335
      const [, kind, , access, pid, file] = line.trim().split(/\s+/);
      if (kind !== 'POSIX' || access !== 'WRITE' || !file?.endsWith(inode)) continue;
      return Number(pid) > 0 ? `process ${pid}` : 'another process';
    }
  } catch {
    // Only for the message, and only on Linux.
  }
  return 'another process';
}
