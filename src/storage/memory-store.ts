// A SessionStore that forgets: for tests, and as the plain statement of what every store does.
import type {
  DeliveryIndex,
  DeliveryRecord,
  ExpiredDelivery,
  SessionRecord,
  SessionStore,
  StoredDelivery,
  StoredMessage,
  StoredSession,
  StoredSubscription,
  StoreSummary,
} from './session-store.ts';
import { StoreError, StoreFault } from './session-store.ts';
import { type BatchReader, replayBatch, type StoreBatch } from './store-batch.ts';

interface KeptSession {
  readonly record: SessionRecord;
  readonly subscriptions: Map<string, StoredSubscription>;
  /** Message id by packet identifier; 0: refused. */
  readonly incoming: Map<number, number>;
}

interface KeptMessage {
  readonly message: StoredMessage;
  references: number;
}

export class MemoryStore implements SessionStore {
  private readonly tables = new Tables();
  private isOpen = false;

  async open(): Promise<StoreSummary> {
    this.isOpen = true;
    return this.tables.summary();
  }

  async commit(batch: StoreBatch): Promise<void> {
    this.demandOpen();
    // Replayed from a copy: what is kept are views of the bytes, and the batch is the caller's again.
    replayBatch(batch.copy(), this.tables);
  }

  async readSessions(afterId: number, limit: number): Promise<StoredSession[]> {
    this.demandOpen();
    return take(sortedAbove(this.tables.sessions.keys(), afterId), limit).map((id) => this.tables.storedSession(id));
  }

  async findSession(clientId: string): Promise<StoredSession | null> {
    this.demandOpen();
    const id = this.tables.idOfClient.get(clientId);
    return id === undefined ? null : this.tables.storedSession(id);
  }

  async readDeliveryIndex(afterSeq: number, limit: number): Promise<DeliveryIndex> {
    this.demandOpen();
    const seqs = take(sortedAbove(this.tables.deliveries.keys(), afterSeq), limit);
    const deliveries = seqs.map((seq) => this.tables.deliveries.get(seq)!);
    return {
      seqs: Float64Array.from(seqs),
      sessionIds: Float64Array.from(deliveries, ({ sessionId }) => sessionId),
      sizes: Uint32Array.from(deliveries, ({ size }) => size),
      packetIds: Uint16Array.from(deliveries, ({ packetId }) => packetId),
      shared: Uint8Array.from(deliveries, ({ sharedFilter }) => (sharedFilter === null ? 0 : 1)),
    };
  }

  async readDeliveries(
    seqs: readonly number[],
    maxBytes: number,
  ): Promise<{ deliveries: StoredDelivery[]; looked: number }> {
    this.demandOpen();
    const deliveries: StoredDelivery[] = [];
    let looked = 0;
    let bytes = 0;
    for (const seq of seqs) {
      const delivery = this.tables.deliveries.get(seq);
      const kept = delivery === undefined ? undefined : this.tables.messages.get(delivery.messageId);
      if (delivery !== undefined && kept !== undefined) {
        bytes += kept.message.payload.length + kept.message.properties.length;
        if (deliveries.length > 0 && bytes > maxBytes) break;
        deliveries.push({ ...delivery, message: kept.message });
      }
      looked++;
    }
    return { deliveries, looked };
  }

  async readRetained(afterTopic: string | null, limit: number): Promise<StoredMessage[]> {
    this.demandOpen();
    const { retained } = this.tables;
    const topics = [...retained.keys()].filter((topic) => afterTopic === null || byteOrder(topic, afterTopic) > 0);
    return take(topics.sort(byteOrder), limit).map((topic) => retained.get(topic)!);
  }

  async readExpired(wallMs: number, limit: number): Promise<ExpiredDelivery[]> {
    this.demandOpen();
    const { deliveries, sessions } = this.tables;
    const expired = [...deliveries.values()].filter(({ expiresAtMs }) => expiresAtMs > 0 && expiresAtMs < wallMs);
    expired.sort((a, b) => a.expiresAtMs - b.expiresAtMs || a.seq - b.seq);
    return take(expired, limit).map(({ seq, sessionId, size }) => ({
      seq,
      clientId: sessions.get(sessionId)?.record.clientId ?? '',
      size,
    }));
  }

  async usedBytes(): Promise<number> {
    this.demandOpen();
    return 0;
  }

  async backup(path: string): Promise<void> {
    throw new StoreError(StoreFault.io, `there is no file to copy to ${path}: this store keeps all in memory`);
  }

  /** What is stored stays: `open` has it again. */
  async close(): Promise<void> {
    this.isOpen = false;
  }

  private demandOpen(): void {
    if (!this.isOpen) throw new StoreError(StoreFault.io, 'the store is not open');
  }
}

class Tables implements BatchReader {
  readonly sessions = new Map<number, KeptSession>();
  readonly idOfClient = new Map<string, number>();
  readonly messages = new Map<number, KeptMessage>();
  readonly deliveries = new Map<number, DeliveryRecord>();
  readonly retained = new Map<string, StoredMessage>();
  private lastSessionId = 0;
  private lastMessageId = 0;
  private lastSeq = 0;
  private aliveAtMs = 0;

  summary(): StoreSummary {
    return {
      lastSessionId: this.lastSessionId,
      lastMessageId: this.lastMessageId,
      lastSeq: this.lastSeq,
      sessions: this.sessions.size,
      deliveries: this.deliveries.size,
      retained: this.retained.size,
      aliveAtMs: this.aliveAtMs,
    };
  }

  storedSession(id: number): StoredSession {
    const { record, subscriptions, incoming } = this.sessions.get(id)!;
    return {
      ...record,
      subscriptions: [...subscriptions.keys()].sort(byteOrder).map((filter) => subscriptions.get(filter)!),
      incoming: [...incoming.keys()]
        .sort((a, b) => a - b)
        .map((packetId) => {
          const messageId = incoming.get(packetId)!;
          return { packetId, message: messageId === 0 ? null : (this.messages.get(messageId)?.message ?? null) };
        }),
    };
  }

  putSession(session: SessionRecord): void {
    const namesake = this.idOfClient.get(session.clientId);
    // A client has one session, and a session one client.
    if (namesake !== undefined && namesake !== session.id) this.deleteSession(namesake);
    if (namesake !== session.id) this.deleteSession(session.id);
    const known = this.sessions.get(session.id);
    this.sessions.set(session.id, {
      record: session,
      subscriptions: known?.subscriptions ?? new Map<string, StoredSubscription>(),
      incoming: known?.incoming ?? new Map<number, number>(),
    });
    this.idOfClient.set(session.clientId, session.id);
    this.lastSessionId = Math.max(this.lastSessionId, session.id);
  }

  deleteSession(id: number): void {
    const known = this.sessions.get(id);
    if (known === undefined) return;
    for (const messageId of known.incoming.values()) this.release(messageId);
    this.sessions.delete(id);
    this.idOfClient.delete(known.record.clientId);
  }

  putSubscription(sessionId: number, subscription: StoredSubscription): void {
    this.sessions.get(sessionId)?.subscriptions.set(subscription.filterText, subscription);
  }

  deleteSubscription(sessionId: number, filterText: string): void {
    this.sessions.get(sessionId)?.subscriptions.delete(filterText);
  }

  putMessage(id: number, references: number, message: StoredMessage): void {
    if (references > 0) this.messages.set(id, { message, references });
    this.lastMessageId = Math.max(this.lastMessageId, id);
  }

  addReferences(messageId: number, count: number): void {
    const kept = this.messages.get(messageId);
    if (kept !== undefined) kept.references += count;
  }

  putDelivery(delivery: DeliveryRecord): void {
    this.deliveries.set(delivery.seq, delivery);
    this.lastSeq = Math.max(this.lastSeq, delivery.seq);
  }

  moveDelivery(seq: number, newSeq: number, isReleased: boolean, packetId: number): void {
    this.lastSeq = Math.max(this.lastSeq, newSeq);
    const delivery = this.deliveries.get(seq);
    if (delivery === undefined) return;
    this.deliveries.delete(seq);
    this.putDelivery({ ...delivery, seq: newSeq, isReleased, packetId });
  }

  deleteDelivery(seq: number): void {
    const delivery = this.deliveries.get(seq);
    if (delivery === undefined) return;
    this.deliveries.delete(seq);
    this.release(delivery.messageId);
  }

  putIncoming(sessionId: number, packetId: number, messageId: number): void {
    const session = this.sessions.get(sessionId);
    if (session === undefined) return this.release(messageId);
    this.release(session.incoming.get(packetId) ?? 0);
    session.incoming.set(packetId, messageId);
  }

  deleteIncoming(sessionId: number, packetId: number): void {
    const session = this.sessions.get(sessionId);
    this.release(session?.incoming.get(packetId) ?? 0);
    session?.incoming.delete(packetId);
  }

  putRetained(message: StoredMessage): void {
    this.retained.set(message.topicName, message);
  }

  deleteRetained(topicName: string): void {
    this.retained.delete(topicName);
  }

  setAlive(wallMs: number): void {
    this.aliveAtMs = wallMs;
  }

  private release(messageId: number): void {
    const kept = this.messages.get(messageId);
    if (kept !== undefined && --kept.references <= 0) this.messages.delete(messageId);
  }
}

function sortedAbove(keys: Iterable<number>, floor: number): number[] {
  return [...keys].filter((key) => key > floor).sort((a, b) => a - b);
}

function take<T>(list: readonly T[], limit: number): T[] {
  return list.slice(0, limit);
}

/** The order of the UTF-8 bytes of two texts, which is not that of JavaScript's `<` beyond the Basic Multilingual Plane. */
function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
