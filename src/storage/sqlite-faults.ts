import { SQLiteError } from 'bun:sqlite';
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError, StoreFault } from './session-store.ts';

/** Primary result codes of SQLite: the low byte of an extended one. */
const primaryCode = {
  perm: 3,
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  authorization: 23,
  notADatabase: 26,
} as const;

const says: Record<StoreFault, string> = {
  [StoreFault.full]: 'no room left',
  [StoreFault.readOnly]: 'it can only be read',
  [StoreFault.io]: 'input/output error',
  [StoreFault.corrupt]: 'the file is damaged',
  [StoreFault.locked]: 'another process has it locked',
};

/** What went wrong, told by the class and code of an error of `bun:sqlite` or of a system call. */
export function faultOf(error: unknown): StoreFault {
  if (error instanceof StoreError) return error.fault;
  if (error instanceof SQLiteError) return faultOfCode(error.errno);
  return isSystemError(error) ? faultOfSystemError(error.code) : StoreFault.io;
}

/**
 * An error of SQLite or the system as the one the store's user gets.
 *
 * @param what the deed and the file: `cannot write to /data/martlet.db`
 */
export function storeError(what: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const fault = faultOf(error);
  return new StoreError(fault, `${what}: ${says[fault]} (${detailOf(error)})`, { cause: error });
}

/**
 * As `storeError`, for a file that is opened: SQLite does not tell that the folder is missing, or may not be written.
 *
 * @param path of the database
 */
export function openError(path: string, error: unknown): StoreError {
  const isVague = error instanceof SQLiteError && (error.errno & 0xff) === primaryCode.cannotOpen;
  return storeError(`cannot open ${path}`, isVague ? (systemReason(path) ?? error) : error);
}

function systemReason(path: string): unknown {
  try {
    // The folder too: what stands beside the database is written there.
    for (const one of [dirname(path), path]) {
      if (one !== path || existsSync(path)) accessSync(one, constants.R_OK | constants.W_OK);
    }
    return null;
  } catch (error) {
    return error;
  }
}

function faultOfCode(errno: number): StoreFault {
  switch (errno & 0xff) {
    case primaryCode.full:
      return StoreFault.full;
    case primaryCode.readOnly:
    case primaryCode.perm:
    case primaryCode.authorization:
      return StoreFault.readOnly;
    case primaryCode.corrupt:
    case primaryCode.notADatabase:
      return StoreFault.corrupt;
    case primaryCode.busy:
    case primaryCode.locked:
      return StoreFault.locked;
    default:
      return StoreFault.io;
  }
}

function faultOfSystemError(code: string): StoreFault {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return StoreFault.full;
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return StoreFault.readOnly;
    default:
      return StoreFault.io;
  }
}

function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}

function detailOf(error: unknown): string {
  if (error instanceof SQLiteError) return `${error.code ?? `SQLite ${error.errno}`}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
