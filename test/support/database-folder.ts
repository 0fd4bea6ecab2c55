/** Where tests keep databases. */
import { mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const MEMORY_FOLDER = '/dev/shm';
const ROOM_BYTES = 1024 ** 3;

/**
 * A new folder for the files of a store, in memory where the machine has room for it: what a killed process leaves does
 * not depend on the disk, and a busy disk takes a hundred milliseconds for each fsync. The caller removes it; of a test
 * that dies, `npm test` does, by the name of its own temporary folder in front.
 */
export function makeDatabaseFolder(prefix: string): string {
  const name = hasRoom(MEMORY_FOLDER) ? join(MEMORY_FOLDER, `${basename(tmpdir())}-${prefix}`) : join(tmpdir(), prefix);
  return mkdtempSync(name);
}

function hasRoom(folder: string): boolean {
  try {
    const { type, bavail, bsize } = statfsSync(folder);
    return type === TMPFS && bavail * bsize > ROOM_BYTES;
  } catch {
    return false;
  }
}

/** TMPFS_MAGIC of statfs(2). */
const TMPFS = 0x0102_1994;
