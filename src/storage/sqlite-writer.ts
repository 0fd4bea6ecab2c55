// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable/store.ts.
import type { Database, Statement } from 'bun:sqlite';
import type {
  DeliveryRecord,
  SessionRecord,
  StoredMessage,
  StoredSubscription,
  StoreSummary,
} from './session-store.ts';
import { GoneDeliveries, waitsSql } from './sqlite-gone.ts';
import { type BatchReader, replayBatch } from './store-batch.ts';

export interface Marks extends StoreSummary {
  /** Tells this store from all others. */
  readonly uid: string;
  /** Number of the last batch that was committed. */
  readonly lastBatch: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Deliveries so far from the last one are removed at once when they are deleted: their rows are in memory still. */
export const RECENT_DELIVERIES = 32_768;

/** `?, ?, ?` */
const places = (count: number) => Array<string>(count).fill('?').join(', ');

/** Applies batches to the tables, one transaction each. */
export class SqliteWriter implements BatchReader {
  private readonly db: Database;
  private readonly recentDeliveries: number;
  private marks: Mutable<Marks>;
  private readonly gone: GoneDeliveries;

  private readonly begin: Statement;
  private readonly end: Statement;
  private readonly setMarks: Statement;
  private readonly insertMessage: Statement;
  private readonly addMessageReferences: Statement;
  private readonly deleteLastUse: Statement;
  private readonly dropReference: Statement;
  private readonly insertDelivery: Statement;
  private readonly updateDelivery: Statement;
  private readonly removeDelivery: Statement;
  private readonly updateSession: Statement;
  private readonly updateWithoutWill: Statement;
  private readonly insertSession: Statement;
  private readonly removeSession: Statement;
  private readonly findNamesake: Statement;
  private readonly upsertWill: Statement;
  private readonly removeWill: Statement;
  private readonly upsertSubscription: Statement;
  private readonly removeSubscription: Statement;
  private readonly removeSubscriptions: Statement;
  private readonly upsertIncoming: Statement;
  private readonly findIncoming: Statement;
  private readonly removeIncoming: Statement;
  private readonly removeAllIncoming: Statement;
  private readonly updateRetained: Statement;
  private readonly insertRetained: Statement;
  private readonly removeRetained: Statement;

  /** @param recentDeliveries see `RECENT_DELIVERIES` */
  constructor(db: Database, marks: Marks, recentDeliveries: number) {
    this.db = db;
    this.recentDeliveries = recentDeliveries;
    this.marks = { ...marks };
    this.gone = new GoneDeliveries(db);
    this.begin = db.prepare('BEGIN IMMEDIATE');
    this.end = db.prepare('COMMIT');
    this.setMarks = db.prepare(
      'UPDATE meta SET last_session = ?, last_message = ?, last_seq = ?, last_batch = ?, sessions = ?, deliveries = ?, ' +
        'retained = ?, alive_ms = ? WHERE id = 1',
    );
    this.insertMessage = db.prepare(`INSERT INTO message VALUES (${places(8)})`);
    this.addMessageReferences = db.prepare('UPDATE message SET refs = refs + ? WHERE id = ?');
    this.deleteLastUse = db.prepare('DELETE FROM message WHERE id = ? AND refs <= 1');
    this.dropReference = db.prepare('UPDATE message SET refs = refs - 1 WHERE id = ?');
    this.insertDelivery = db.prepare(`INSERT INTO delivery_row VALUES (${places(9)})`);
    this.updateDelivery = db.prepare(
      `UPDATE delivery_row SET seq = ?, flags = (flags & ~8) | ?, packet_id = ? WHERE seq = ? AND ${waitsSql()}`,
    );
    this.removeDelivery = db.prepare('DELETE FROM delivery_row WHERE seq = ? RETURNING message');
    const update =
      'UPDATE session SET protocol_version = ?, username = ?, expiry_interval = ?, away_since_ms = ?, sent_seq = ?, ' +
      'has_will = ? WHERE id = ? AND client_id = ?';
    this.updateSession = db.prepare(update);
    this.updateWithoutWill = db.prepare(`${update} AND has_will = 0`);
    this.insertSession = db.prepare(
      'INSERT INTO session (protocol_version, username, expiry_interval, away_since_ms, sent_seq, has_will, id, ' +
        `client_id) VALUES (${places(8)}) ON CONFLICT DO NOTHING`,
    );
    this.removeSession = db.prepare('DELETE FROM session WHERE id = ?');
    this.findNamesake = db.prepare('SELECT id FROM session WHERE client_id = ?');
    this.upsertWill = db.prepare(`INSERT OR REPLACE INTO will VALUES (${places(9)})`);
    this.removeWill = db.prepare('DELETE FROM will WHERE session = ?');
    this.upsertSubscription = db.prepare(`INSERT OR REPLACE INTO subscription VALUES (${places(4)})`);
    this.removeSubscription = db.prepare('DELETE FROM subscription WHERE session = ? AND filter = ?');
    this.removeSubscriptions = db.prepare('DELETE FROM subscription WHERE session = ?');
    this.upsertIncoming = db.prepare(`INSERT OR REPLACE INTO incoming VALUES (${places(3)})`);
    this.findIncoming = db.prepare('SELECT message FROM incoming WHERE session = ? AND packet_id = ?');
    this.removeIncoming = db.prepare('DELETE FROM incoming WHERE session = ? AND packet_id = ? RETURNING message');
    this.removeAllIncoming = db.prepare('DELETE FROM incoming WHERE session = ? RETURNING message');
    this.updateRetained = db.prepare(
      'UPDATE retained SET payload = ?, properties = ?, flags = ?, expires_ms = ?, publisher = ? WHERE topic = ?',
    );
    this.insertRetained = db.prepare(
      `INSERT INTO retained (payload, properties, flags, expires_ms, publisher, topic) VALUES (${places(6)})`,
    );
    this.removeRetained = db.prepare('DELETE FROM retained WHERE topic = ?');
  }

  get summary(): Marks {
    return { ...this.marks };
  }

  /**
   * All of a batch, or nothing where it throws. One that was committed before, told by its number, is not applied again.
   *
   * @param number above those of all batches before it
   */
  commit(number: number, bytes: Uint8Array): void {
    if (number <= this.marks.lastBatch) return;
    this.inTransaction(() => {
      replayBatch(bytes, this);
      this.marks.lastBatch = number;
    });
  }

  get goneDeliveries(): number {
    return this.gone.count;
  }

  /** Removes rows of deliveries that are gone, those with the lowest numbers, in a transaction of its own. */
  removeGone(limit: number): void {
    if (this.gone.count === 0) return;
    this.inTransaction(() => {
      for (const seq of this.gone.take(limit)) this.release(firstNumber(this.removeDelivery.values(seq)));
    });
  }

  private inTransaction(work: () => void): void {
    const before = { ...this.marks };
    this.gone.begin();
    try {
      this.begin.run();
      work();
      this.gone.write();
      const { marks } = this;
      this.setMarks.run(
        marks.lastSessionId,
        marks.lastMessageId,
        marks.lastSeq,
        marks.lastBatch,
        marks.sessions,
        marks.deliveries,
        marks.retained,
        marks.aliveAtMs,
      );
      this.end.run();
    } catch (error) {
      this.marks = before;
      this.gone.undo();
      // After a full disk or an I/O error SQLite has rolled back by itself.
      if (this.db.inTransaction) this.db.run('ROLLBACK');
      throw error;
    }
  }

  putSession(session: SessionRecord): void {
    const { id, will } = session;
    if (id > this.marks.lastSessionId) {
      this.marks.lastSessionId = id;
      this.addSession(session);
    } else if (will === null && putRow(this.updateWithoutWill, session)) {
      // By far the most frequent: one that is known comes or goes, and one row changes, in no index.
      return;
    } else if (!putRow(this.updateSession, session)) {
      this.deleteSession(id);
      this.addSession(session);
    } else if (will === null) {
      this.removeWill.run(id);
      return;
    }
    if (will === null) return;
    const { message } = will;
    this.upsertWill.run(
      id,
      message.topicName,
      message.payload,
      message.properties,
      flagsOf(message),
      message.expiresAtMs,
      message.publisherId,
      will.messageExpiryInterval,
      will.delayInterval,
    );
  }

  /** A client has one session: a new one takes the place of another's row. */
  private addSession(session: SessionRecord): void {
    if (!putRow(this.insertSession, session)) {
      this.deleteSession(firstNumber(this.findNamesake.values(session.clientId)));
      putRow(this.insertSession, session);
    }
    this.marks.sessions++;
  }

  deleteSession(id: number): void {
    if (this.removeSession.run(id).changes === 0) return;
    this.marks.sessions--;
    this.removeWill.run(id);
    this.removeSubscriptions.run(id);
    for (const row of this.removeAllIncoming.values(id)) this.release(firstNumber([row]));
  }

  putSubscription(sessionId: number, subscription: StoredSubscription): void {
    const { filterText, qos, noLocal, retainAsPublished, identifier } = subscription;
    const flags = qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0);
    this.upsertSubscription.run(sessionId, filterText, flags, identifier);
  }

  deleteSubscription(sessionId: number, filterText: string): void {
    this.removeSubscription.run(sessionId, filterText);
  }

  putMessage(id: number, references: number, message: StoredMessage): void {
    if (id > this.marks.lastMessageId) this.marks.lastMessageId = id;
    if (references === 0) return;
    this.insertMessage.run(
      id,
      references,
      message.topicName,
      message.payload,
      message.properties,
      flagsOf(message),
      message.expiresAtMs,
      message.publisherId,
    );
  }

  addReferences(messageId: number, count: number): void {
    this.addMessageReferences.run(count, messageId);
  }

  putDelivery(delivery: DeliveryRecord): void {
    const { seq } = delivery;
    if (seq > this.marks.lastSeq) this.marks.lastSeq = seq;
    this.marks.deliveries++;
    this.insertDelivery.run(
      seq,
      delivery.sessionId,
      delivery.messageId,
      delivery.qos | (delivery.retain ? 4 : 0) | (delivery.isReleased ? 8 : 0),
      delivery.packetId,
      delivery.identifier,
      delivery.sharedFilter,
      delivery.size,
      delivery.expiresAtMs,
    );
  }

  moveDelivery(seq: number, newSeq: number, isReleased: boolean, packetId: number): void {
    if (newSeq > this.marks.lastSeq) this.marks.lastSeq = newSeq;
    this.updateDelivery.run(newSeq, isReleased ? 8 : 0, packetId, seq);
  }

  deleteDelivery(seq: number): void {
    if (seq <= this.marks.lastSeq - this.recentDeliveries) {
      if (this.gone.note(seq)) this.marks.deliveries--;
      return;
    }
    const messageId = firstNumber(this.removeDelivery.values(seq));
    if (messageId === 0) return;
    this.marks.deliveries--;
    this.release(messageId);
  }

  putIncoming(sessionId: number, packetId: number, messageId: number): void {
    this.release(firstNumber(this.findIncoming.values(sessionId, packetId)));
    this.upsertIncoming.run(sessionId, packetId, messageId);
  }

  deleteIncoming(sessionId: number, packetId: number): void {
    this.release(firstNumber(this.removeIncoming.values(sessionId, packetId)));
  }

  putRetained(message: StoredMessage): void {
    const { topicName, payload, properties, expiresAtMs, publisherId } = message;
    const flags = flagsOf(message);
    if (this.updateRetained.run(payload, properties, flags, expiresAtMs, publisherId, topicName).changes > 0) return;
    this.insertRetained.run(payload, properties, flags, expiresAtMs, publisherId, topicName);
    this.marks.retained++;
  }

  deleteRetained(topicName: string): void {
    this.marks.retained -= this.removeRetained.run(topicName).changes;
  }

  setAlive(wallMs: number): void {
    this.marks.aliveAtMs = wallMs;
  }

  /** One use of a message ended. @param messageId 0: there was none */
  private release(messageId: number): void {
    if (messageId === 0) return;
    if (this.deleteLastUse.run(messageId).changes === 0) this.dropReference.run(messageId);
  }
}

/** @returns whether a row was written */
function putRow(statement: Statement, session: SessionRecord): boolean {
  const { id, clientId, protocolVersion, username, expiryInterval, awaySinceMs, sentSeq, will } = session;
  return (
    statement.run(protocolVersion, username, expiryInterval, awaySinceMs, sentSeq, will === null ? 0 : 1, id, clientId)
      .changes > 0
  );
}

function flagsOf(message: StoredMessage): number {
  return message.qos | (message.retain ? 4 : 0);
}

/** Of the first row, 0 where there is none. */
function firstNumber(rows: readonly (readonly unknown[])[]): number {
  return (rows[0]?.[0] as number | undefined) ?? 0;
}
