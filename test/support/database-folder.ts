/** Where tests keep databases. */
import { mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY_FOLDER = '/dev/shm';
const ROOM_BYTES = 1024 ** 3;

/**
 * A new folder for the files of a store, in memory where the machine has room for it: what a killed process leaves does
 * not depend on the disk, and a busy disk takes a hundred milliseconds for each fsync. The caller removes it.
 */
export function makeDatabaseFolder(prefix: string): string {
  return mkdtempSync(join(hasRoom(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), prefix));
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
