import type { SessionStore, StoredSession, StoreSummary } from '../../storage/session-store.ts';
import { NEVER_EXPIRES, type Session } from '../../session/session.ts';
import type { Broker } from '../broker.ts';
import type { ClientConnection } from '../client-connection.ts';
import { DeliveryRestoration } from './delivery-restoration.ts';
import type { Durability } from './durability.ts';
import { fromStoredMessage } from './records.ts';
import { beginAbsence, restoreSession } from './restore-session.ts';

/** What is taken up at a time: a few milliseconds of work. */
const SESSIONS = 1_000;
const RETAINED = 1_000;
/** Sessions whose absence is written at a time, and the pause until the next. */
const ABSENCES = 1_000;
const ABSENCES_MS = 20;

/** QoS above 0, or RETAIN. */
const WAITING_PUBLISH = 0x07;

/** @param done of `total`; called for each page */
export type LoadProgress = (what: 'retained messages' | 'sessions' | 'messages', done: number, total: number) => void;

interface HeldPacket {
  readonly connection: ClientConnection;
  readonly firstByte: number;
  readonly bytes: Uint8Array;
}

/**
 * Takes up what a store holds while clients are served already: a client that connects gets its session at once, whatever
 * has been read so far. What could come too early waits until everything is there: messages at QoS 1 and 2, retained
 * ones, and wills, since it is not known yet who wants them.
 */
export class StoreLoader {
  private readonly broker: Broker;
  private readonly store: SessionStore;
  private readonly durability: Durability;
  private readonly restoration: DeliveryRestoration;
  private readonly summary: StoreSummary;
  private readonly tell: LoadProgress;
  private readonly sessions = new Map<number, Session>();
  /** Sessions that were read ahead of their turn. */
  private readonly fetched = new Set<number>();
  /** The last connections of clients whose session is being read ahead of its turn. */
  private readonly arriving = new Map<string, ClientConnection>();
  private readonly held: HeldPacket[] = [];
  private readonly later: (() => void)[] = [];
  private areSessionsLoaded = false;
  private readonly endedAtMs: number;
  private isStopped = false;

  constructor(
    broker: Broker,
    store: SessionStore,
    durability: Durability,
    summary: StoreSummary,
    tell: LoadProgress = () => {},
  ) {
    this.broker = broker;
    this.store = store;
    this.durability = durability;
    this.summary = summary;
    this.tell = tell;
    this.restoration = new DeliveryRestoration(broker, store, durability, this.sessions);
    this.endedAtMs = summary.aliveAtMs === 0 ? broker.wallMs() : Math.min(summary.aliveAtMs, broker.wallMs());
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Reads everything. @throws StoreError */
  async run(): Promise<void> {
    await this.loadRetained();
    await this.loadSessions();
    await this.restoration.run(this.summary.lastSeq, (done) => {
      this.tell('messages', done, this.summary.deliveries);
      return !this.isStopped;
    });
    if (this.isStopped) return;
    this.broker.loader = null;
    this.finish();
    void this.recordAbsences();
  }

  /** What nobody waits for, a slice at a time. */
  private async recordAbsences(): Promise<void> {
    let count = 0;
    for (const session of this.sessions.values()) {
      if (session.expiryInterval === NEVER_EXPIRES && session.will === null) continue;
      this.durability.recordAbsence(session, this.endedAtMs);
      if (++count % ABSENCES === 0) await Bun.sleep(ABSENCES_MS);
      if (this.durability.batches.isClosed) return;
    }
  }

  private async loadRetained(): Promise<void> {
    let done = 0;
    let next = this.store.readRetained(null, RETAINED);
    for (let page = await next; page.length > 0 && !this.isStopped; page = await next) {
      next = this.store.readRetained(page.at(-1)!.topicName, RETAINED);
      for (const one of page) this.broker.takeUpRetained(fromStoredMessage(this.broker, one));
      this.tell('retained messages', (done += page.length), this.summary.retained);
      await Bun.sleep(0);
    }
  }

  private async loadSessions(): Promise<void> {
    const { lastSessionId } = this.summary;
    let next = this.store.readSessions(0, SESSIONS);
    for (let page = await next; page.length > 0 && !this.isStopped; page = await next) {
      // The next page is read while this one is taken up.
      next = this.store.readSessions(page.at(-1)!.id, SESSIONS);
      for (const one of page) {
        if (one.id > lastSessionId || this.fetched.has(one.id)) continue;
        this.takeUp(one);
      }
      this.tell('sessions', this.sessions.size, this.summary.sessions);
      await Bun.sleep(0);
    }
    this.areSessionsLoaded = true;
  }

  private takeUp(stored: StoredSession): void {
    const session = restoreSession(this.broker, stored);
    this.sessions.set(stored.id, session);
    this.restoration.onSession(stored);
    beginAbsence(this.broker, session, stored.awaySinceMs || this.endedAtMs);
  }

  /**
   * Reads the session of a client that connects. Null where it is known already whether there is one.
   *
   * @returns whether no other connection of the client came meanwhile
   */
  fetch(clientId: string, connection: ClientConnection): Promise<boolean> | null {
    this.arriving.delete(clientId);
    if (this.areSessionsLoaded || this.broker.sessions.has(clientId)) return null;
    this.arriving.set(clientId, connection);
    return this.find(clientId).then(() => this.arriving.get(clientId) === connection && this.arriving.delete(clientId));
  }

  private find(clientId: string): Promise<void> {
    return this.store.findSession(clientId).then((stored) => {
      if (stored === null || this.fetched.has(stored.id) || this.broker.sessions.has(clientId)) return;
      // Meanwhile it may have been read in its turn, and have ended.
      if (stored.id > this.summary.lastSessionId || this.sessions.has(stored.id)) return;
      this.fetched.add(stored.id);
      this.takeUp(stored);
    });
  }

  /** Whether a PUBLISH has to wait: one that may become a delivery that is kept, or is retained. */
  mustWait(firstByte: number): boolean {
    const { queueQos0Messages, upgradeOutgoingQos } = this.broker.options;
    return (firstByte & WAITING_PUBLISH) !== 0 || queueQos0Messages || upgradeOutgoingQos;
  }

  /** Keeps a packet, and its connection from sending more, until everything is there. */
  hold(connection: ClientConnection, firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    this.held.push({ connection, firstByte, bytes: bytes.slice(start, end) });
    connection.pauseReading();
  }

  /** Calls back when everything is there. */
  whenLoaded(run: () => void): void {
    this.later.push(run);
  }

  private finish(): void {
    for (const session of this.sessions.values()) this.durability.onLoaded(session);
    for (const run of this.later) this.guard(run);
    for (const { connection, firstByte, bytes } of this.held) {
      if (!connection.isOpen) continue;
      this.guard(() => connection.handleHeld(firstByte, bytes));
      connection.resumeReading();
    }
  }

  private guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.broker.reportFault('what waited for the store', error);
    }
  }
}
