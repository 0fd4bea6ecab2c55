// What must hold in a store, one check after another. Each is a walk over one or two tables, so that a million rows take
// seconds; none needs an index that the store does not have.
import type { Database } from 'bun:sqlite';
import { storeError } from '../storage/sqlite-faults.ts';
import { isSharedFilter, isValidTopicFilter, isValidTopicName, parseSharedFilter } from '../protocol/topic.ts';

export interface Finding {
  readonly what: string;
  readonly count: number;
  /** Where, a few of them. */
  readonly examples: readonly string[];
}

export interface StoreCheck {
  readonly name: string;
  run(db: Database): Finding[];
}

const EXAMPLES = 3;
/** Lines about damaged pages that SQLite is asked for. */
const MOST_PAGE_LINES = 20;

/** What was found of one kind. */
class Found {
  private readonly what: string;
  private readonly examples: string[] = [];
  private count = 0;

  constructor(what: string) {
    this.what = what;
  }

  add(example: string): void {
    this.count++;
    if (this.examples.length < EXAMPLES) this.examples.push(example);
  }

  list(): Finding[] {
    return this.count === 0 ? [] : [{ what: this.what, count: this.count, examples: this.examples }];
  }
}

/** A query whose rows should not be there: its first column says where. */
function noRows(db: Database, what: string, sql: string): Finding[] {
  const found = new Found(what);
  for (const row of rowsOf<{ at: string | number }>(db, sql)) found.add(String(row.at));
  return found.list();
}

function* rowsOf<T>(db: Database, sql: string): Generator<T> {
  const statement = db.prepare<T, []>(sql);
  try {
    yield* statement.iterate();
  } finally {
    statement.finalize();
  }
}

export const storeChecks: readonly StoreCheck[] = [
  { name: 'pages', run: checkPages },
  { name: 'counters', run: checkCounters },
  { name: 'sessions', run: checkSessions },
  { name: 'subscriptions', run: checkSubscriptions },
  { name: 'deliveries', run: checkDeliveries },
  { name: 'incoming messages', run: checkIncoming },
  { name: 'references', run: checkReferences },
  { name: 'topics', run: checkTopics },
];

/** SQLite's own check, which may break off at what it cannot read: what it said until then counts. */
function checkPages(db: Database): Finding[] {
  const findings: Finding[] = [];
  const add = (what: string) => findings.push({ what, count: 1, examples: [] });
  try {
    const sql = `PRAGMA integrity_check(${MOST_PAGE_LINES})`;
    for (const { integrity_check: line } of rowsOf<{ integrity_check: string }>(db, sql)) {
      if (line !== 'ok') add(line.replaceAll('\n', ' '));
    }
  } catch (error) {
    add(`pages: ${storeError('cannot be read', error).message}`);
  }
  return findings;
}

interface Counters {
  sessions: number;
  deliveries: number;
  retained: number;
  last_session: number;
  last_message: number;
  last_seq: number;
}

function checkCounters(db: Database): Finding[] {
  const rows = [...rowsOf<Counters>(db, 'SELECT * FROM meta')];
  const [counters] = rows;
  if (counters === undefined || rows.length > 1) {
    return [{ what: `the row of counters is there ${rows.length} times`, count: 1, examples: [] }];
  }
  const found: Finding[] = [];
  const number = (sql: string) => [...rowsOf<{ n: number | null }>(db, sql)][0]?.n ?? 0;
  for (const [table, counted] of [
    ['session', counters.sessions],
    ['delivery', counters.deliveries],
    ['retained', counters.retained],
  ] as const) {
    const there = number(`SELECT count(*) AS n FROM ${table}`);
    if (there !== counted) {
      found.push({ what: `table ${table} has ${there} rows, and ${counted} are counted`, count: 1, examples: [] });
    }
  }
  for (const [table, column, last] of [
    ['session', 'id', counters.last_session],
    ['message', 'id', counters.last_message],
    ['delivery', 'seq', counters.last_seq],
  ] as const) {
    const highest = number(`SELECT max(${column}) AS n FROM ${table}`);
    if (highest > last) {
      found.push({ what: `table ${table} has number ${highest}, and ${last} was given last`, count: 1, examples: [] });
    }
  }
  return found;
}

function checkSessions(db: Database): Finding[] {
  return [
    ...noRows(
      db,
      'a will without a session',
      'SELECT session AS at FROM will WHERE session NOT IN (SELECT id FROM session)',
    ),
    ...noRows(
      db,
      'a session whose will is missing, or not announced',
      'SELECT client_id AS at FROM session LEFT JOIN will ON will.session = session.id ' +
        'WHERE has_will <> (will.session IS NOT NULL)',
    ),
    ...noRows(db, 'a session without a client identifier', "SELECT id AS at FROM session WHERE client_id = ''"),
  ];
}

function checkSubscriptions(db: Database): Finding[] {
  const stray = new Found('a subscription without a session');
  const invalid = new Found('a subscription that MQTT does not allow');
  const rows = rowsOf<{ session: number; filter: string; flags: number; clientId: string | null }>(
    db,
    'SELECT session, filter, flags, client_id AS clientId FROM subscription LEFT JOIN session ON session.id = session',
  );
  for (const { session, filter, flags, clientId } of rows) {
    if (clientId === null) stray.add(`${filter} of session ${session}`);
    else if (!isFilter(filter) || (flags & 3) > 2) invalid.add(`${filter} of ${clientId}`);
  }
  return [...stray.list(), ...invalid.list()];
}

function isFilter(filter: string): boolean {
  return isSharedFilter(filter) ? parseSharedFilter(filter) !== null : isValidTopicFilter(filter);
}

function checkDeliveries(db: Database): Finding[] {
  const strayOfSession = new Found('a delivery without a session');
  const strayOfMessage = new Found('a delivery without a message');
  const nameless = new Found('a delivery without a packet identifier');
  const invalid = new Found('a delivery with a QoS that there is not');
  const twice = new Found('a packet identifier in flight twice');
  const inFlight = new Map<number, Set<number>>();
  const rows = rowsOf<{
    seq: number;
    session: number;
    flags: number;
    packetId: number;
    sentSeq: number | null;
    hasMessage: number;
  }>(
    db,
    'SELECT seq, session, delivery.flags AS flags, packet_id AS packetId, sent_seq AS sentSeq, message.id IS NOT NULL AS ' +
      'hasMessage FROM delivery LEFT JOIN session ON session.id = session LEFT JOIN message ON message.id = message ORDER BY seq',
  );
  for (const { seq, session, flags, packetId, sentSeq, hasMessage } of rows) {
    const where = `delivery ${seq} of session ${session}`;
    if (hasMessage === 0) strayOfMessage.add(where);
    if ((flags & 3) > 2) invalid.add(where);
    if ((flags & 3) > 0 && (packetId < 1 || packetId > 65_535)) nameless.add(where);
    if (sentSeq === null) strayOfSession.add(where);
    else if (seq <= sentSeq) {
      let ids = inFlight.get(session);
      if (ids === undefined) inFlight.set(session, (ids = new Set()));
      if (ids.has(packetId)) twice.add(`${packetId} of session ${session}`);
      ids.add(packetId);
    }
  }
  return [strayOfSession, strayOfMessage, invalid, nameless, twice].flatMap((one) => one.list());
}

function checkIncoming(db: Database): Finding[] {
  return [
    ...noRows(
      db,
      'an incoming message without a session',
      "SELECT 'packet ' || packet_id || ' of session ' || session AS at FROM incoming " +
        'WHERE session NOT IN (SELECT id FROM session)',
    ),
    ...noRows(
      db,
      'an incoming message that is not there',
      "SELECT 'packet ' || packet_id || ' of session ' || session AS at FROM incoming " +
        'LEFT JOIN message ON message.id = message WHERE message <> 0 AND message.id IS NULL',
    ),
    ...noRows(
      db,
      'an incoming message without a packet identifier',
      'SELECT session AS at FROM incoming WHERE packet_id NOT BETWEEN 1 AND 65535',
    ),
  ];
}

/** Two walks in the order of message numbers, side by side. */
function checkReferences(db: Database): Finding[] {
  const wrong = new Found('a message whose references are not as many as its uses');
  const uses = rowsOf<{ message: number; uses: number }>(
    db,
    'SELECT message, count(*) AS uses FROM (SELECT message FROM delivery_row UNION ALL SELECT message FROM incoming ' +
      'WHERE message <> 0) GROUP BY message ORDER BY message',
  );
  try {
    let use = uses.next();
    for (const { id, refs } of rowsOf<{ id: number; refs: number }>(db, 'SELECT id, refs FROM message ORDER BY id')) {
      // Uses of messages that are not there are told with their deliveries.
      while (use.done !== true && use.value.message < id) use = uses.next();
      const count = use.done !== true && use.value.message === id ? use.value.uses : 0;
      if (count !== refs) wrong.add(`message ${id} with ${refs} and ${count}`);
    }
  } finally {
    uses.return(undefined);
  }
  return wrong.list();
}

function checkTopics(db: Database): Finding[] {
  const invalid = new Found('a message that MQTT does not allow');
  for (const table of ['message', 'retained']) {
    for (const { id, topic, flags } of rowsOf<{ id: number; topic: string; flags: number }>(
      db,
      `SELECT id, topic, flags FROM ${table}`,
    )) {
      if (!isValidTopicName(topic) || (flags & 3) > 2) invalid.add(`${table} ${id} on '${topic}'`);
    }
  }
  return invalid.list();
}
