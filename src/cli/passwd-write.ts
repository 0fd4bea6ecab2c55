import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** For the owner only: hashes of short passwords can be guessed. */
const NEW_FILE_MODE = 0o600;

/**
 * Puts new contents into a file: whoever reads it, and whoever finds it after a crash, has the old ones or the new
 * ones. A new file is for its owner only; one that is there keeps its owner and mode, since a broker that runs as
 * another user must still be able to read it.
 *
 * Where no other file can take its place (a file mounted into a container, a folder that is closed to us), it is
 * written where it stands.
 *
 * @param path no symbolic link
 */
export function writeWhole(path: string, bytes: Uint8Array): void {
  const before = statSync(path, { throwIfNoEntry: false }) ?? null;
  try {
    replaceFile(path, bytes, before);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (before === null || !['EBUSY', 'EXDEV', 'EACCES', 'EPERM', 'EROFS'].includes(code ?? '')) throw error;
    overwriteFile(path, bytes);
  }
}

function replaceFile(path: string, bytes: Uint8Array, before: Stats | null): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  const descriptor = openSync(temporary, 'wx', NEW_FILE_MODE);
  try {
    try {
      if (before === null) fchmodSync(descriptor, NEW_FILE_MODE);
      else {
        // Throws EPERM where it is somebody else's: then it is written where it stands.
        if (!before.isFile()) throw Object.assign(new Error('not a file'), { code: 'EISDIR' });
        if (before.uid !== process.getuid?.() || before.gid !== process.getgid?.()) {
          fchownSync(descriptor, before.uid, before.gid);
        }
        fchmodSync(descriptor, before.mode & 0o7777);
      }
      writeFileSync(descriptor, bytes);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
  syncFolder(dirname(path));
}

/** Makes the new name last; not every file system can. */
function syncFolder(path: string): void {
  try {
    const descriptor = openSync(path, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // The file itself is on disk, and one of its two names.
  }
}

function overwriteFile(path: string, bytes: Uint8Array): void {
  const descriptor = openSync(path, 'r+');
  try {
    ftruncateSync(descriptor, 0);
    writeFileSync(descriptor, bytes);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
