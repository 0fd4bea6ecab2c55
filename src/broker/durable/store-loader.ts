import type { SessionStore, StoreSummary } from '../../storage/session-store.ts';
import type { Session } from '../../session/session.ts';
import type { Broker } from '../broker.ts';
import type { ClientConnection } from '../client-connection.ts';
import { DeliveryRestoration } from './delivery-restoration.ts';
import type { Durability } from './durability.ts';
import { fromStoredMessage } from './records.ts';
import { beginAbsence, restoreSession } from './restore-session.ts';

/** What is taken up at a time: a few milliseconds of work. */
const SESSIONS = 1_000;
const RETAINED = 1_000;

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
  private readonly summary: StoreSummary;
  private readonly tell: LoadProgress;
  private readonly sessions = new Map<number, Session>();
  /** Sessions that were read ahead of their turn. */
  private readonly fetched = new Set<number>();
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
    this.endedAtMs = summary.aliveAtMs === 0 ? broker.wallMs() : Math.min(summary.aliveAtMs, broker.wallMs());
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Reads everything. @throws StoreError */
  async run(): Promise<void> {
    await this.loadRetained();
    await this.loadSessions();
    const restoration = new DeliveryRestoration(this.broker, this.store, this.durability, this.sessions);
    await restoration.run((done) => {
      this.tell('messages', done, this.summary.deliveries);
      return !this.isStopped;
    });
    if (this.isStopped) return;
    this.broker.loader = null;
    this.finish();
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
        const session = restoreSession(this.broker, one);
        this.sessions.set(one.id, session);
        beginAbsence(this.broker, session, one.awaySinceMs || this.endedAtMs);
      }
      this.tell('sessions', this.sessions.size, this.summary.sessions);
      await Bun.sleep(0);
    }
    this.areSessionsLoaded = true;
  }

  /** Reads the session of a client that connects. Null where it is known already whether there is one. */
  fetch(clientId: string): Promise<void> | null {
    if (this.areSessionsLoaded || this.broker.sessions.has(clientId)) return null;
    return this.store.findSession(clientId).then((stored) => {
      if (stored === null || this.fetched.has(stored.id) || this.broker.sessions.has(clientId)) return;
      // Meanwhile it may have been read in its turn, and have ended.
      if (stored.id > this.summary.lastSessionId || this.sessions.has(stored.id)) return;
      this.fetched.add(stored.id);
      const session = restoreSession(this.broker, stored);
      this.sessions.set(stored.id, session);
      beginAbsence(this.broker, session, stored.awaySinceMs || this.endedAtMs);
    });
  }

  /** Whether a PUBLISH has to wait. */
  mustWait(firstByte: number): boolean {
    return (firstByte & WAITING_PUBLISH) !== 0 || this.broker.options.queueQos0Messages;
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
    for (const session of this.sessions.values()) {
      if (session.link !== null && session.durable !== null) this.durability.resume(session);
    }
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
