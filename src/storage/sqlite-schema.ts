import type { Database } from 'bun:sqlite';
import { StoreError, StoreFault } from './session-store.ts';

/** `Mrlt`, at offset 68 of the file: what `file` and we know it by. */
export const applicationId = 0x4d726c74;

/** Of the tables below; a file with a higher one is left alone. */
export const schemaVersion = 1;

/**
 * Rows of `message` and `delivery_row` come in the order of their keys and go in nearly the same one, so that writing touches
 * the ends of two trees only: inserting into an index on `session` would touch a page of its own for each delivery, at a
 * fifth of the rate. Which session a delivery belongs to is known to the broker, which reads it once at start.
 *
 * Times are wall clock milliseconds, 0 for never. `message.flags`: QoS, 4 RETAIN. `delivery.flags`: QoS, 4 RETAIN, 8
 * released. `subscription.flags`: QoS, 4 No Local, 8 Retain As Published. `incoming.message`: 0 where it was refused.
 * `delivery` is what waits. Rows of `delivery_row` whose numbers are in a list of `gone` are deleted: see `GoneDeliveries`.
 * Such a row holds its reference to a message until it is removed.
 *
 * `meta` has one row: what tells this store from all others, the highest numbers given, the last batch, how many rows there are, when the broker last lived.
 */
const tables = `
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uid TEXT NOT NULL,
  last_session INTEGER NOT NULL,
  last_message INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  last_batch INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  deliveries INTEGER NOT NULL,
  retained INTEGER NOT NULL,
  alive_ms INTEGER NOT NULL
);
CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  client_id TEXT NOT NULL UNIQUE,
  protocol_version INTEGER NOT NULL,
  username TEXT,
  expiry_interval INTEGER NOT NULL,
  away_since_ms INTEGER NOT NULL,
  sent_seq INTEGER NOT NULL,
  has_will INTEGER NOT NULL
);
CREATE TABLE will (
  session INTEGER PRIMARY KEY,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL,
  properties BLOB NOT NULL,
  flags INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  publisher TEXT NOT NULL,
  message_expiry_interval INTEGER,
  delay_interval INTEGER NOT NULL
);
CREATE TABLE subscription (
  session INTEGER NOT NULL,
  filter TEXT NOT NULL,
  flags INTEGER NOT NULL,
  identifier INTEGER NOT NULL,
  PRIMARY KEY (session, filter)
) WITHOUT ROWID;
CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  refs INTEGER NOT NULL,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL,
  properties BLOB NOT NULL,
  flags INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  publisher TEXT NOT NULL
);
CREATE TABLE delivery_row (
  seq INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  message INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  packet_id INTEGER NOT NULL,
  identifier INTEGER NOT NULL,
  shared TEXT,
  size INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
);
CREATE TABLE gone (
  id INTEGER PRIMARY KEY,
  seqs TEXT NOT NULL
);
CREATE VIEW delivery AS
  SELECT * FROM delivery_row WHERE seq NOT IN (SELECT value FROM gone, json_each(gone.seqs));
CREATE INDEX delivery_expires ON delivery_row (expires_ms) WHERE expires_ms > 0;
CREATE TABLE incoming (
  session INTEGER NOT NULL,
  packet_id INTEGER NOT NULL,
  message INTEGER NOT NULL,
  PRIMARY KEY (session, packet_id)
) WITHOUT ROWID;
CREATE TABLE retained (
  id INTEGER PRIMARY KEY,
  topic TEXT NOT NULL UNIQUE,
  payload BLOB NOT NULL,
  properties BLOB NOT NULL,
  flags INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  publisher TEXT NOT NULL
);
`;

/** A file that is whole, as far as we can tell, and not for us. It is never moved. */
export class ForeignFileError extends StoreError {
  constructor(message: string) {
    super(StoreFault.corrupt, message);
  }
}

/** Makes the tables in a file that has none. In one transaction: a file is ours as a whole, or still empty. */
export function createSchema(db: Database): void {
  db.run('PRAGMA auto_vacuum = INCREMENTAL');
  db.run('PRAGMA synchronous = FULL');
  db.run('BEGIN EXCLUSIVE');
  try {
    db.run(tables);
    db.run('INSERT INTO meta VALUES (1, ?, 0, 0, 0, 0, 0, 0, 0, 0)', [crypto.randomUUID()]);
    db.run(`PRAGMA application_id = ${applicationId}`);
    db.run(`PRAGMA user_version = ${schemaVersion}`);
    db.run('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.run('ROLLBACK');
    throw error;
  }
}

/**
 * Whether the file holds our tables, or nothing yet.
 *
 * @throws ForeignFileError where it is another program's or of a later version
 */
export function checkSchema(db: Database, path: string): 'ours' | 'empty' {
  const id = readNumber(db, 'PRAGMA application_id');
  const version = readNumber(db, 'PRAGMA user_version');
  if (id !== applicationId) {
    if (id === 0 && readNumber(db, 'SELECT count(*) FROM sqlite_schema') === 0) return 'empty';
    throw new ForeignFileError(`${path} is a database of another program: it is left as it is`);
  }
  if (version < 1 || version > schemaVersion) {
    throw new ForeignFileError(
      `${path} has version ${version} of the tables, and this program knows up to ${schemaVersion}: ` +
        'it is left as it is; use the program that wrote it, or a later one',
    );
  }
  return 'ours';
}

/** The first column of the first row of a query, which is a number. */
export function readNumber(db: Database, sql: string): number {
  const statement = db.prepare<unknown, []>(sql);
  try {
    const value = statement.values()[0]?.[0];
    return typeof value === 'number' ? value : 0;
  } finally {
    statement.finalize();
  }
}
