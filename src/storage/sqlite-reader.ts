import type { Database, Statement } from 'bun:sqlite';
import type { QoS } from '../protocol/packet-type.ts';
import type { ExpiredDelivery, SessionRecord, StoredMessage, StoredWill } from './session-store.ts';
import { waitsSql } from './sqlite-gone.ts';
import type { PageBytes, Replies } from './sqlite-protocol.ts';
import { StoreBatch } from './store-batch.ts';

/** A page is full at this many bytes, however few rows that is. */
const PAGE_BYTES = 2 * 1024 * 1024;
/** Rows that SQLite hands out in one go. */
const SLICE = 256;
const INDEX_SLICE = 4096;

type SessionRow = [
  id: number,
  clientId: string,
  protocolVersion: number,
  username: string | null,
  expiryInterval: number,
  awaySinceMs: number,
  sentSeq: number,
  hasWill: number,
];
interface SubscriptionRow {
  readonly session: number;
  readonly filter: string;
  readonly flags: number;
  readonly identifier: number;
}
type MessageRow = [
  topic: string,
  payload: Uint8Array,
  properties: Uint8Array,
  flags: number,
  expiresMs: number,
  publisher: string,
];
type DeliveryRow = [
  session: number,
  message: number,
  flags: number,
  packetId: number,
  identifier: number,
  shared: string | null,
  size: number,
  expiresMs: number,
];

const messageColumns = 'topic, payload, properties, flags, expires_ms, publisher';

/** Reads pages of the tables as bytes of a batch. */
export class SqliteReader {
  private readonly db: Database;
  private readonly page = new StoreBatch();
  private readonly begin: Statement;
  private readonly end: Statement;
  private readonly sessionsAfter: Statement;
  private readonly sessionOf: Statement;
  private readonly willOf: Statement;
  private readonly subscriptionsOf: Statement<SubscriptionRow, number[]>;
  private readonly incomingOf: Statement;
  private readonly messageOf: Statement;
  private readonly deliveriesAfter: Statement;
  private readonly deliveryOf: Statement;
  private readonly retainedFrom: Statement;
  private readonly retainedAfter: Statement;
  private readonly expiredBefore: Statement;

  constructor(db: Database) {
    this.db = db;
    this.begin = db.prepare('BEGIN');
    this.end = db.prepare('COMMIT');
    const sessionColumns =
      'id, client_id, protocol_version, username, expiry_interval, away_since_ms, sent_seq, has_will';
    this.sessionsAfter = db.prepare(`SELECT ${sessionColumns} FROM session WHERE id > ? ORDER BY id LIMIT ?`);
    this.sessionOf = db.prepare(`SELECT ${sessionColumns} FROM session WHERE client_id = ?`);
    this.willOf = db.prepare(
      `SELECT ${messageColumns}, message_expiry_interval, delay_interval FROM will WHERE session = ?`,
    );
    this.subscriptionsOf = db.prepare(
      'SELECT session, filter, flags, identifier FROM subscription WHERE session BETWEEN ? AND ? ORDER BY session, filter',
    );
    this.incomingOf = db.prepare(
      'SELECT session, packet_id, message FROM incoming WHERE session BETWEEN ? AND ? ORDER BY session, packet_id',
    );
    this.messageOf = db.prepare(`SELECT ${messageColumns} FROM message WHERE id = ?`);
    this.deliveriesAfter = db.prepare(
      'SELECT seq, session, size, shared IS NOT NULL, packet_id FROM delivery_row ' +
        `WHERE seq > ? AND ${waitsSql()} ORDER BY seq LIMIT ?`,
    );
    // Without a join to the message: it would be prepared anew for each number, as that might be one of a partial index.
    this.deliveryOf = db.prepare(
      'SELECT session, message, flags, packet_id, identifier, shared, size, expires_ms FROM delivery_row ' +
        `WHERE seq = ? AND ${waitsSql()}`,
    );
    this.retainedFrom = db.prepare(`SELECT ${messageColumns} FROM retained WHERE topic >= ? ORDER BY topic LIMIT ?`);
    this.retainedAfter = db.prepare(`SELECT ${messageColumns} FROM retained WHERE topic > ? ORDER BY topic LIMIT ?`);
    this.expiredBefore = db.prepare(
      'SELECT d.seq, s.client_id, d.size FROM delivery_row d LEFT JOIN session s ON s.id = d.session ' +
        `WHERE d.expires_ms > 0 AND d.expires_ms < ? AND ${waitsSql('d.')} ORDER BY d.expires_ms, d.seq LIMIT ?`,
    );
  }

  sessions(afterId: number, limit: number): PageBytes {
    return this.inSnapshot(() => this.readSessions(afterId, limit));
  }

  session(clientId: string): PageBytes {
    return this.inSnapshot(() => this.readSession(clientId));
  }

  index(afterSeq: number, limit: number): Replies['index'] {
    return this.inSnapshot(() => this.readIndex(afterSeq, limit));
  }

  deliveries(seqs: Float64Array, maxBytes: number): Replies['deliveries'] {
    return this.inSnapshot(() => this.readDeliveries(seqs, maxBytes));
  }

  retained(afterTopic: string | null, limit: number): PageBytes {
    return this.inSnapshot(() => this.readRetained(afterTopic, limit));
  }

  expired(wallMs: number, limit: number): ExpiredDelivery[] {
    const rows = this.expiredBefore.values(wallMs, limit) as [number, string | null, number][];
    return rows.map(([seq, clientId, size]) => ({ seq, clientId: clientId ?? '', size }));
  }

  /** Each statement by itself would look for its place in the log anew, which takes longer than to read a row. */
  private inSnapshot<T>(read: () => T): T {
    this.begin.run();
    try {
      return read();
    } finally {
      if (this.db.inTransaction) this.end.run();
    }
  }

  private readSessions(afterId: number, limit: number): PageBytes {
    const { page } = this;
    page.clear();
    let last = afterId;
    let left = limit;
    while (left > 0 && page.length < PAGE_BYTES) {
      const rows = this.sessionsAfter.values(last, Math.min(left, SLICE)) as SessionRow[];
      if (rows.length === 0) break;
      last = this.addSessions(rows);
      left -= rows.length;
    }
    return page.copy();
  }

  private readSession(clientId: string): PageBytes {
    this.page.clear();
    const rows = this.sessionOf.values(clientId) as SessionRow[];
    if (rows.length > 0) this.addSessions(rows);
    return this.page.copy();
  }

  private readIndex(afterSeq: number, limit: number): Replies['index'] {
    let index = emptyIndex(Math.min(limit, INDEX_SLICE));
    let count = 0;
    for (let last = afterSeq; count < limit;) {
      const rows = this.deliveriesAfter.values(last, Math.min(INDEX_SLICE, limit - count)) as number[][];
      if (rows.length === 0) break;
      if (count + rows.length > index.seqs.length)
        index = resizedIndex(index, Math.min(limit, count * 2 + INDEX_SLICE));
      for (const row of rows) {
        index.seqs[count] = last = row[0]!;
        index.sessionIds[count] = row[1]!;
        index.sizes[count] = row[2]!;
        index.shared[count] = row[3]!;
        index.packetIds[count] = row[4]!;
        count++;
      }
    }
    return count === index.seqs.length ? index : resizedIndex(index, count);
  }

  private readDeliveries(seqs: Float64Array, maxBytes: number): Replies['deliveries'] {
    const { page } = this;
    page.clear();
    let bytes = 0;
    let looked = 0;
    for (const seq of seqs) {
      const row = (this.deliveryOf.values(seq) as DeliveryRow[])[0];
      const message = row === undefined ? undefined : this.message(row[1]);
      if (row !== undefined && message !== undefined) {
        bytes += message.payload.length + message.properties.length;
        if (!page.isEmpty && bytes > maxBytes) break;
        this.addDelivery(seq, row, message);
      }
      looked++;
    }
    return { bytes: page.copy(), looked };
  }

  private readRetained(afterTopic: string | null, limit: number): PageBytes {
    const { page } = this;
    page.clear();
    let from = afterTopic ?? '';
    let query = afterTopic === null ? this.retainedFrom : this.retainedAfter;
    let left = limit;
    // One row at a time once a payload may be of any size would be slow for small ones: slices grow while rows are small.
    let slice = 4;
    while (left > 0 && page.length < PAGE_BYTES) {
      const before = page.length;
      const rows = query.values(from, Math.min(left, slice)) as MessageRow[];
      if (rows.length === 0) break;
      for (const row of rows) page.putRetained(messageOf(row));
      from = rows[rows.length - 1]![0];
      query = this.retainedAfter;
      left -= rows.length;
      slice = page.length - before < PAGE_BYTES / 16 ? Math.min(slice * 2, SLICE) : Math.max(slice >> 2, 1);
    }
    return page.copy();
  }

  /** @returns the id of the last one that was added: fewer than all where they fill the page */
  private addSessions(rows: readonly SessionRow[]): number {
    const { page } = this;
    const first = rows[0]![0];
    const last = rows[rows.length - 1]![0];
    const incoming = this.incomingOf.values(first, last) as [session: number, packetId: number, message: number][];
    const subscriptions = this.subscriptionsOf.iterate(first, last);
    let subscription = subscriptions.next();
    let nextIncoming = 0;
    for (const row of rows) {
      const id = row[0];
      page.putSession(this.recordOf(row));
      // Rows of sessions that are not there would be passed over, and not taken for this one's.
      for (; !subscription.done && subscription.value.session <= id; subscription = subscriptions.next()) {
        const { session, filter, flags, identifier } = subscription.value;
        if (session !== id) continue;
        page.putSubscription(id, {
          filterText: filter,
          qos: (flags & 3) as QoS,
          noLocal: (flags & 4) !== 0,
          retainAsPublished: (flags & 8) !== 0,
          identifier,
        });
      }
      for (; nextIncoming < incoming.length && incoming[nextIncoming]![0] <= id; nextIncoming++) {
        const [session, packetId, messageId] = incoming[nextIncoming]!;
        if (session === id) this.addIncoming(id, packetId, messageId);
      }
      if (page.length >= PAGE_BYTES) {
        subscriptions.return?.();
        return id;
      }
    }
    return last;
  }

  private addIncoming(sessionId: number, packetId: number, messageId: number): void {
    const message = messageId === 0 ? undefined : this.message(messageId);
    if (message !== undefined) this.page.putMessage(messageId, 1, message);
    this.page.putIncoming(sessionId, packetId, message === undefined ? 0 : messageId);
  }

  private addDelivery(seq: number, row: DeliveryRow, message: StoredMessage): void {
    const [session, messageId, flags, packetId, identifier, shared, size, expiresMs] = row;
    this.page.putMessage(messageId, 1, message);
    const isReleased = (flags & 8) !== 0;
    const qos = (flags & 3) as QoS;
    const retain = (flags & 4) !== 0;
    this.page.putDelivery(
      seq,
      session,
      messageId,
      qos,
      retain,
      isReleased,
      packetId,
      identifier,
      shared,
      size,
      expiresMs,
    );
  }

  private message(id: number): StoredMessage | undefined {
    const row = (this.messageOf.values(id) as MessageRow[])[0];
    return row === undefined ? undefined : messageOf(row);
  }

  private recordOf(row: SessionRow): SessionRecord {
    const [id, clientId, protocolVersion, username, expiryInterval, awaySinceMs, sentSeq, hasWill] = row;
    const will = hasWill === 0 ? null : this.will(id);
    return { id, clientId, protocolVersion, username, expiryInterval, awaySinceMs, sentSeq, will };
  }

  private will(sessionId: number): StoredWill | null {
    const row = (this.willOf.values(sessionId) as [...MessageRow, number | null, number][])[0];
    if (row === undefined) return null;
    const [topic, payload, properties, flags, expiresMs, publisher, messageExpiryInterval, delayInterval] = row;
    const message = messageOf([topic, payload, properties, flags, expiresMs, publisher]);
    return { message, messageExpiryInterval, delayInterval };
  }
}

function emptyIndex(length: number): Replies['index'] {
  return {
    seqs: new Float64Array(length),
    sessionIds: new Float64Array(length),
    sizes: new Uint32Array(length),
    shared: new Uint8Array(length),
    packetIds: new Uint16Array(length),
  };
}

/** A copy of another length. */
function resizedIndex(index: Replies['index'], length: number): Replies['index'] {
  const resized = emptyIndex(length);
  resized.seqs.set(index.seqs.subarray(0, length));
  resized.sessionIds.set(index.sessionIds.subarray(0, length));
  resized.sizes.set(index.sizes.subarray(0, length));
  resized.shared.set(index.shared.subarray(0, length));
  resized.packetIds.set(index.packetIds.subarray(0, length));
  return resized;
}

function messageOf([topicName, payload, properties, flags, expiresAtMs, publisherId]: MessageRow): StoredMessage {
  return {
    topicName,
    payload,
    properties,
    qos: (flags & 3) as QoS,
    retain: (flags & 4) !== 0,
    expiresAtMs,
    publisherId,
  };
}
