import { Database, SQLiteError } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDatabaseFolder } from '../../test/support/database-folder.ts';
import { StoreError } from './session-store.ts';
import { faultOf, openError, storeError } from './sqlite-faults.ts';

let folder: string;
beforeEach(() => {
  folder = makeDatabaseFolder('store-');
});
afterEach(() => rmSync(folder, { recursive: true }));

function thrownBy(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says`), { code });
}

describe('the fault of an error', () => {
  test.each([
    ['ENOSPC', 'full'],
    ['EDQUOT', 'full'],
    ['EFBIG', 'full'],
    ['EROFS', 'read_only'],
    ['EACCES', 'read_only'],
    ['EIO', 'io'],
    ['ENOENT', 'io'],
  ] as const)('of the system: %s is %s', (code, fault) => {
    expect(faultOf(systemError(code))).toBe(fault);
  });

  test('of SQLite: a quota of pages is full', () => {
    const db = new Database(join(folder, 'a.db'));
    db.run('PRAGMA max_page_count = 2');
    const error = thrownBy(() => db.run('CREATE TABLE a (b); CREATE TABLE c (d); CREATE TABLE e (f)'));
    db.close(true);
    expect([error instanceof SQLiteError, faultOf(error)]).toEqual([true, 'full']);
  });

  test('of SQLite: what may only be read is read_only', () => {
    new Database(join(folder, 'a.db')).run('CREATE TABLE a (b)');
    const db = new Database(join(folder, 'a.db'), { readonly: true });
    const error = thrownBy(() => db.run('INSERT INTO a VALUES (1)'));
    db.close(true);
    expect([error instanceof SQLiteError, faultOf(error)]).toEqual([true, 'read_only']);
  });

  test('of SQLite: what is no database is corrupt', () => {
    writeFileSync(join(folder, 'a.db'), 'no database'.repeat(100));
    const db = new Database(join(folder, 'a.db'));
    const error = thrownBy(() => db.run('CREATE TABLE a (b)'));
    db.close(true);
    expect([error instanceof SQLiteError, faultOf(error)]).toEqual([true, 'corrupt']);
  });

  test('of SQLite: a lock of another is locked', () => {
    const holder = new Database(join(folder, 'a.db'));
    holder.run('BEGIN EXCLUSIVE');
    const db = new Database(join(folder, 'a.db'));
    const error = thrownBy(() => db.run('BEGIN EXCLUSIVE'));
    db.close(true);
    holder.close(true);
    expect([error instanceof SQLiteError, faultOf(error)]).toEqual([true, 'locked']);
  });

  test('that is none of these is io', () => {
    expect(faultOf(new Error('a batch holds the unknown change 99'))).toBe('io');
    expect(faultOf('text')).toBe('io');
  });
});

describe('the error for the operator', () => {
  test('says what was done, to which file, and why it failed', () => {
    const cause = systemError('ENOSPC');
    const error = storeError('cannot write to /data/martlet.db', cause);
    expect(error.message).toBe('cannot write to /data/martlet.db: no room left (ENOSPC: as the system says)');
    expect([error.fault, error.cause]).toEqual(['full', cause]);
  });

  test('is not wrapped a second time', () => {
    const error = new StoreError('locked', 'in use');
    expect(storeError('cannot open it', error)).toBe(error);
  });

  test('tells that the folder of a database is missing, which SQLite does not', () => {
    const path = join(folder, 'missing', 'a.db');
    const error = openError(
      path,
      thrownBy(() => new Database(path)),
    );
    expect(error.message).toContain(`cannot open ${path}: input/output error (ENOENT`);
  });
});
