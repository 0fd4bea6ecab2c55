import { constants, Database } from 'bun:sqlite';
import { statSync } from 'node:fs';
import { systemErrorText } from '../config/system-error.ts';
import { isMosquittoDbFile } from '../storage/mosquitto-db-takeover.ts';
import { StoreFault } from '../storage/session-store.ts';
import { faultOf, storeError } from '../storage/sqlite-faults.ts';
import { checkSchema } from '../storage/sqlite-schema.ts';
import { DbFailure } from './db-failure.ts';

const BUSY_MS = 5_000;

/**
 * Opens a store to read, also while a broker uses it.
 *
 * @throws DbFailure, StoreError
 */
export function openToRead(path: string): Database {
  const stats = statOf(path);
  if (stats.isDirectory()) throw new DbFailure(`${path} is a folder: name the file in it`);
  if (!stats.isFile()) throw new DbFailure(`${path} is not a file`);
  if (stats.size === 0) throw new DbFailure(`${path} is empty`);
  if (isMosquittoDbFile(path)) {
    throw new DbFailure(`${path} was written by Mosquitto: 'martlet db import ${path}' takes it over`);
  }
  try {
    const db = openDatabase(path);
    try {
      db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
      if (checkSchema(db, path) === 'empty') throw new DbFailure(`${path} has no tables: no broker has used it yet`);
      return db;
    } catch (error) {
      db.close(true);
      throw error;
    }
  } catch (error) {
    if (error instanceof DbFailure) throw error;
    throw storeError(`cannot read ${path}`, error);
  }
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch (error) {
    throw new DbFailure(`cannot read ${path}: ${systemErrorText(error)}`);
  }
}

/** On a medium that cannot be written to, SQLite cannot make the index of a log, and needs none where there is no log. */
function openDatabase(path: string): Database {
  const db = new Database(path, { readonly: true });
  try {
    db.prepare('SELECT count(*) FROM sqlite_schema').values();
    return db;
  } catch (error) {
    db.close(true);
    const logBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    const fault = faultOf(error);
    if (logBytes > 0 || (fault !== StoreFault.io && fault !== StoreFault.readOnly)) throw error;
    const url = `file:${encodeURI(path).replaceAll('?', '%3f').replaceAll('#', '%23')}?immutable=1`;
    return new Database(url, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI);
  }
}
