// How a broker that starts comes to its database, whatever it finds in its place.
import { closeSync, existsSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { isMosquittoDb, MOSQUITTO_DB_HEADER } from './mosquitto-db.ts';
import { StoreError, StoreFault } from './session-store.ts';
import { setAside } from './set-aside.ts';
import { storeError } from './sqlite-faults.ts';
import { isSound, SqliteFile } from './sqlite-file.ts';
import type { SyncMode } from './sqlite-protocol.ts';
import { ForeignFileError } from './sqlite-schema.ts';

const SQLITE_HEADER = 'SQLite format 3\0';

/**
 * Opens the database, or makes it. One that is damaged goes aside, and an empty one takes its place.
 *
 * @param notice gets a line where that was done
 * @throws StoreError
 */
export function openFirst(
  { path, sync }: { readonly path: string; readonly sync: SyncMode },
  notice: (line: string) => void,
): SqliteFile {
  try {
    demandDatabase(path);
    demandSound(path);
    // The log of a database that is gone would be taken for the new one's, and removed.
    if (!existsSync(path) && existsSync(`${path}-wal`)) {
      throw new StoreError(StoreFault.corrupt, `${path}-wal is there, and ${path} is not`);
    }
    makePrivate(path);
    return new SqliteFile(path, sync, null);
  } catch (cause) {
    const error = storeError(`cannot open ${path}`, cause);
    if (error.fault !== StoreFault.corrupt || error instanceof ForeignFileError) throw error;
    const target = moveAside(path);
    notice(`${error.message}. It is kept as ${target}, and ${path} starts empty.`);
    makePrivate(path);
    return new SqliteFile(path, sync, null);
  }
}

/** A new file is for its owner only: messages are in it. SQLite gives what it puts beside it the same mode. */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch {
    // It is there, or SQLite is about to say what keeps it from being made.
  }
}

/** Has the file judged as a whole before it is opened again: damage was found while it was in use. */
export function markDamaged(path: string, error: StoreError): void {
  try {
    writeFileSync(markerOf(path), `${error.message}\n`);
  } catch {
    // Then the next start looks at it no closer than usual: nothing else depends on it.
  }
}

function demandSound(path: string): void {
  const marker = markerOf(path);
  if (!existsSync(marker)) return;
  if (existsSync(path) && !isSound(path)) throw new StoreError(StoreFault.corrupt, `${path} is damaged`);
  rmSync(marker, { force: true });
}

function moveAside(path: string): string {
  try {
    const target = setAside(path, new Date());
    rmSync(markerOf(path), { force: true });
    return target;
  } catch (error) {
    throw storeError(`${path} is damaged, and cannot be set aside`, error);
  }
}

function markerOf(path: string): string {
  return `${path}-damaged`;
}

/** SQLite itself would find it out as late as when it has thrown away the log of a file that is not a database. */
function demandDatabase(path: string): void {
  const start = startOf(path);
  if (start.length === 0 || start.toString('latin1').startsWith(SQLITE_HEADER)) return;
  if (isMosquittoDb(start)) {
    throw new ForeignFileError(
      `${path} is a database of Mosquitto, which is imported into another file with "martlet db import": it is left as it is`,
    );
  }
  throw new StoreError(StoreFault.corrupt, `${path} does not begin like a database`);
}

/** Empty where there is no file. */
function startOf(path: string): Buffer {
  const start = Buffer.alloc(Math.max(MOSQUITTO_DB_HEADER, SQLITE_HEADER.length));
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if (!existsSync(path)) return Buffer.alloc(0);
    throw error;
  }
  try {
    return start.subarray(0, readSync(descriptor, start, 0, start.length, 0));
  } finally {
    closeSync(descriptor);
  }
}
