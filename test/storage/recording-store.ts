import type {
  DeliveryRecord,
  SessionRecord,
  SessionStore,
  StoredMessage,
  StoredSubscription,
  StoreSummary,
} from '../../src/storage/session-store.ts';
import { type BatchReader, replayBatch, type StoreBatch } from '../../src/storage/store-batch.ts';

const empty: StoreSummary = {
  lastSessionId: 0,
  lastMessageId: 0,
  lastSeq: 0,
  sessions: 0,
  deliveries: 0,
  retained: 0,
  aliveAtMs: 0,
};

/** Keeps what an import puts in, row by row, and every inconsistency of it. */
export class RecordingStore implements Pick<SessionStore, 'open' | 'commit'>, BatchReader {
  readonly sessions = new Map<number, SessionRecord>();
  readonly subscriptions: (StoredSubscription & { sessionId: number })[] = [];
  readonly messages = new Map<number, { references: number; message: StoredMessage }>();
  readonly deliveries: DeliveryRecord[] = [];
  readonly incoming: { sessionId: number; packetId: number; messageId: number }[] = [];
  readonly retained: StoredMessage[] = [];
  aliveAtMs = 0;
  commits = 0;
  isOpen = false;
  private readonly summary: StoreSummary;

  constructor(summary: Partial<StoreSummary> = {}) {
    this.summary = { ...empty, ...summary };
  }

  async open(): Promise<StoreSummary> {
    this.isOpen = true;
    return this.summary;
  }

  async commit(batch: StoreBatch): Promise<void> {
    this.commits++;
    replayBatch(batch.copy(), this);
  }

  session(clientId: string): SessionRecord | undefined {
    return [...this.sessions.values()].find((one) => one.clientId === clientId);
  }

  /** Of a session, in order: topic, packet identifier and where it stands. */
  queueOf(clientId: string): string[] {
    const session = this.session(clientId)!;
    return this.deliveries
      .filter(({ sessionId }) => sessionId === session.id)
      .sort((a, b) => a.seq - b.seq)
      .map((one) => {
        const state = one.isReleased ? 'released' : one.seq <= session.sentSeq ? 'sent' : 'queued';
        return `${this.messages.get(one.messageId)!.message.topicName} ${one.packetId} ${state}`;
      });
  }

  /** What no broker could start with. */
  complaints(): string[] {
    const found: string[] = [];
    const uses = new Map<number, number>();
    const use = (id: number) => uses.set(id, (uses.get(id) ?? 0) + 1);
    const packetIds = new Set<string>();
    for (const { seq, sessionId, messageId, packetId, qos } of this.deliveries) {
      use(messageId);
      const session = this.sessions.get(sessionId);
      if (session === undefined) found.push(`delivery ${seq} has no session`);
      else if (seq <= session.sentSeq) {
        if (packetIds.has(`${sessionId} ${packetId}`)) found.push(`packet id ${packetId} is in flight twice`);
        packetIds.add(`${sessionId} ${packetId}`);
        if (qos === 0) found.push(`delivery ${seq} is in flight at QoS 0`);
      }
      if (qos > 0 && packetId === 0) found.push(`delivery ${seq} has no packet id`);
    }
    for (const { sessionId, packetId, messageId } of this.incoming) {
      if (messageId !== 0) use(messageId);
      if (packetId === 0 || !this.sessions.has(sessionId)) found.push(`incoming ${packetId} is astray`);
      if (packetIds.has(`in ${sessionId} ${packetId}`)) found.push(`packet id ${packetId} came in twice`);
      packetIds.add(`in ${sessionId} ${packetId}`);
    }
    for (const { sessionId } of this.subscriptions) {
      if (!this.sessions.has(sessionId)) found.push('a subscription has no session');
    }
    for (const [id, { references }] of this.messages) {
      if (references !== uses.get(id)) found.push(`message ${id}: ${references} references, ${uses.get(id)} uses`);
      uses.delete(id);
    }
    for (const id of uses.keys()) found.push(`message ${id} is not there`);
    const seqs = this.deliveries.map(({ seq }) => seq);
    if (new Set(seqs).size !== seqs.length) found.push('a number of a delivery is given twice');
    return found;
  }

  putSession(session: SessionRecord): void {
    this.sessions.set(session.id, session);
  }

  putSubscription(sessionId: number, subscription: StoredSubscription): void {
    this.subscriptions.push({ sessionId, ...subscription });
  }

  putMessage(id: number, references: number, message: StoredMessage): void {
    if (this.messages.has(id)) throw new Error(`message ${id} is put twice`);
    this.messages.set(id, { references, message });
  }

  putDelivery(delivery: DeliveryRecord): void {
    this.deliveries.push(delivery);
  }

  putIncoming(sessionId: number, packetId: number, messageId: number): void {
    this.incoming.push({ sessionId, packetId, messageId });
  }

  putRetained(message: StoredMessage): void {
    this.retained.push(message);
  }

  setAlive(wallMs: number): void {
    this.aliveAtMs = wallMs;
  }

  deleteSession = unexpected;
  deleteSubscription = unexpected;
  addReferences = unexpected;
  moveDelivery = unexpected;
  deleteDelivery = unexpected;
  deleteIncoming = unexpected;
  deleteRetained = unexpected;
}

function unexpected(): never {
  throw new Error('an import only adds');
}
