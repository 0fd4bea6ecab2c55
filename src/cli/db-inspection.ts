// What `martlet db inspect` tells, as numbers: the queries. A walk over a table of a million rows takes about a second.
import type { Database } from 'bun:sqlite';
import { statSync } from 'node:fs';

const NEVER = 0xffff_ffff;

export interface LargeSession {
  readonly clientId: string;
  readonly subscriptions: number;
  readonly messages: number;
  readonly bytes: number;
  /** Wall clock milliseconds; 0: it had a connection. */
  readonly awaySinceMs: number;
}

export interface StoreInspection {
  readonly file: {
    readonly path: string;
    readonly bytes: number;
    /** Of the write-ahead log. */
    readonly logBytes: number;
    /** Of pages that are free to be used again. */
    readonly freeBytes: number;
    readonly tablesVersion: number;
    /** When the broker last said that it runs; 0: never. */
    readonly aliveAtMs: number;
  };
  readonly sessions: {
    readonly total: number;
    /** Those that had a connection when they were written last. */
    readonly connected: number;
    readonly withoutExpiry: number;
    /** Whose time is over, and which the broker will end. */
    readonly expired: number;
    readonly withWill: number;
  };
  readonly subscriptions: { readonly total: number; readonly shared: number };
  /** Each counts once, however many sessions wait for it. */
  readonly messages: { readonly total: number; readonly payloadBytes: number };
  readonly deliveries: {
    readonly total: number;
    /** Sent on an earlier connection, and not acknowledged in full. */
    readonly inFlight: number;
    /** Of those in flight: PUBREC came. */
    readonly released: number;
    readonly queued: number;
    /** As queues account for them. */
    readonly bytes: number;
    readonly expired: number;
  };
  readonly incoming: number;
  readonly retained: { readonly total: number; readonly payloadBytes: number; readonly expired: number };
  /** Most bytes first. */
  readonly largest: readonly LargeSession[];
}

type Row = Readonly<Record<string, number>>;

/** The only row of a query without text; what is NULL is 0. */
function rowOf(db: Database, sql: string, ...values: number[]): Row {
  const statement = db.prepare<Record<string, number | null>, number[]>(sql);
  try {
    const row = statement.get(...values) ?? {};
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? 0]));
  } finally {
    statement.finalize();
  }
}

/** One query after another, each with its name: so that somebody may say how far it is. */
export async function inspectStore(
  db: Database,
  path: string,
  nowMs: number,
  limit: number,
  onStep: (name: string, number: number, of: number) => Promise<void>,
): Promise<StoreInspection> {
  const steps = 5;
  let step = 0;
  const next = (name: string) => onStep(name, ++step, steps);
  // All of one moment.
  db.run('BEGIN');
  const pageSize = rowOf(db, 'PRAGMA page_size')['page_size']!;
  const file = {
    path,
    bytes: statSync(path).size,
    logBytes: statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    freeBytes: rowOf(db, 'PRAGMA freelist_count')['freelist_count']! * pageSize,
    tablesVersion: rowOf(db, 'PRAGMA user_version')['user_version']!,
    aliveAtMs: rowOf(db, 'SELECT alive_ms FROM meta')['alive_ms'] ?? 0,
  };
  await next('sessions');
  const sessions = rowOf(
    db,
    'SELECT count(*) AS total, sum(away_since_ms = 0) AS connected, sum(expiry_interval = ?1) AS withoutExpiry, ' +
      'sum(expiry_interval <> ?1 AND away_since_ms > 0 AND away_since_ms + expiry_interval * 1000 <= ?2) AS expired, ' +
      'sum(has_will) AS withWill FROM session',
    NEVER,
    nowMs,
  );
  const subscriptions = rowOf(
    db,
    "SELECT count(*) AS total, sum(substr(filter, 1, 7) = '$share/') AS shared FROM subscription",
  );
  await next('messages');
  const messages = rowOf(db, 'SELECT count(*) AS total, sum(length(payload)) AS payloadBytes FROM message');
  await next('deliveries');
  const deliveries = rowOf(
    db,
    'SELECT count(*) AS total, sum(seq <= sent_seq) AS inFlight, sum(seq <= sent_seq AND (flags & 8) <> 0) AS released, ' +
      'sum(size) AS bytes, sum(seq > sent_seq AND expires_ms BETWEEN 1 AND ?) AS expired ' +
      'FROM delivery LEFT JOIN session ON session.id = session',
    nowMs,
  );
  await next('retained messages');
  const retained = rowOf(
    db,
    'SELECT count(*) AS total, sum(length(payload)) AS payloadBytes, sum(expires_ms BETWEEN 1 AND ?) AS expired FROM retained',
    nowMs,
  );
  const incoming = rowOf(db, 'SELECT count(*) AS total FROM incoming')['total']!;
  await next('queues');
  const largest = largestSessions(db, limit);
  db.run('COMMIT');
  return {
    file,
    sessions: {
      total: sessions['total']!,
      connected: sessions['connected']!,
      withoutExpiry: sessions['withoutExpiry']!,
      expired: sessions['expired']!,
      withWill: sessions['withWill']!,
    },
    subscriptions: { total: subscriptions['total']!, shared: subscriptions['shared']! },
    messages: { total: messages['total']!, payloadBytes: messages['payloadBytes']! },
    deliveries: {
      total: deliveries['total']!,
      inFlight: deliveries['inFlight']!,
      released: deliveries['released']!,
      queued: deliveries['total']! - deliveries['inFlight']!,
      bytes: deliveries['bytes']!,
      expired: deliveries['expired']!,
    },
    incoming,
    retained: { total: retained['total']!, payloadBytes: retained['payloadBytes']!, expired: retained['expired']! },
    largest,
  };
}

function largestSessions(db: Database, limit: number): LargeSession[] {
  return db
    .prepare<LargeSession, [number]>(
      'SELECT client_id AS clientId, ' +
        '(SELECT count(*) FROM subscription WHERE subscription.session = queue.session) AS subscriptions, ' +
        'queue.messages, queue.bytes, away_since_ms AS awaySinceMs FROM (' +
        'SELECT session, count(*) AS messages, sum(size) AS bytes FROM delivery GROUP BY session ' +
        'ORDER BY bytes DESC, session LIMIT ?) AS queue ' +
        'JOIN session ON session.id = queue.session ORDER BY queue.bytes DESC, session.id',
    )
    .all(limit);
}
