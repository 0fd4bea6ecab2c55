import { Delivery } from '../../session/delivery.ts';
import { DeliveryStorage, StorageState } from '../../session/durable-state.ts';
import { OutgoingFlow } from '../../session/outgoing-flow.ts';
import type { Session } from '../../session/session.ts';
import type { DeliveryIndex, SessionStore, StoredSession } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';
import type { Durability } from './durability.ts';
import { fromStoredMessage } from './records.ts';

/** What is taken up at a time: a few milliseconds of work. */
const DELIVERIES = 20_000;
const SHARED = 500;
const SHARED_BYTES = 4 * 1024 * 1024;

/** Stands for a last sent delivery that is not known, since the client was connected when the process ended. */
const UNKNOWN = -1;

/** Finds out which messages wait for which session. */
export class DeliveryRestoration {
  private readonly broker: Broker;
  private readonly store: SessionStore;
  private readonly durability: Durability;
  private readonly sessions: ReadonlyMap<number, Session>;
  /** Of sessions by their id: deliveries up to this one were sent; `UNKNOWN`; those of which none was are left out. */
  private readonly sentSeqs = new Map<number, number>();
  /** Came by shared subscriptions and were never sent. */
  private readonly shared: number[] = [];
  /** Of sessions that ended before all of theirs was gone. */
  private readonly orphans: number[] = [];
  private readonly sharedOrphans: number[] = [];

  constructor(broker: Broker, store: SessionStore, durability: Durability, sessions: ReadonlyMap<number, Session>) {
    this.broker = broker;
    this.store = store;
    this.durability = durability;
    this.sessions = sessions;
  }

  /** A session was restored: how far its deliveries were sent is known, or not. */
  onSession({ id, awaySinceMs, sentSeq }: StoredSession): void {
    if (awaySinceMs === 0) this.sentSeqs.set(id, UNKNOWN);
    else if (sentSeq > 0) this.sentSeqs.set(id, sentSeq);
  }

  /**
   * @param lastSeq the last delivery from before the start
   * @param tell called with how many are done; false from it ends the work
   */
  async run(lastSeq: number, tell: (done: number) => boolean): Promise<void> {
    let done = 0;
    let next = this.store.readDeliveryIndex(0, DELIVERIES);
    for (let page = await next; page.seqs.length > 0 && page.seqs[0]! <= lastSeq; page = await next) {
      next = this.store.readDeliveryIndex(page.seqs.at(-1)!, DELIVERIES);
      this.takeUp(page, lastSeq);
      if (!tell((done += page.seqs.length))) return;
      await Bun.sleep(0);
    }
    await next;
    for (let i = 0; i < this.shared.length; i += SHARED) await this.restoreShared(this.shared.slice(i, i + SHARED));
    this.durability.ended.takeOrphans(this.orphans, false);
    this.durability.ended.takeOrphans(this.sharedOrphans, true);
  }

  private takeUp({ seqs, sessionIds, sizes, shared, packetIds }: DeliveryIndex, lastSeq: number): void {
    for (let i = 0; i < seqs.length; i++) {
      const seq = seqs[i]!;
      if (seq > lastSeq) return;
      const sessionId = sessionIds[i]!;
      const durable = this.sessions.get(sessionId)?.durable ?? null;
      const isShared = shared[i] === 1;
      if (durable === null) {
        (isShared ? this.sharedOrphans : this.orphans).push(seq);
        continue;
      }
      durable.skipPacketId(packetIds[i]!);
      if (this.wasSent(sessionId, seq, packetIds[i]!)) {
        (durable.sent ??= []).push(seq);
        if (isShared) durable.hasShared = true;
      } else if (isShared) this.shared.push(seq);
      else durable.add(seq, sizes[i]!, false);
    }
  }

  /**
   * Of a client that was connected when the process ended, whatever has a packet identifier may have been sent. That may be
   * more than fits into a window: what was acknowledged last is here still, where its end was not committed.
   */
  private wasSent(sessionId: number, seq: number, packetId: number): boolean {
    const sentSeq = this.sentSeqs.get(sessionId);
    if (sentSeq === undefined) return false;
    return sentSeq === UNKNOWN ? packetId > 0 : seq <= sentSeq;
  }

  /** What came by shared subscriptions and was never sent waits in memory, where another member can take it. */
  private async restoreShared(seqs: number[]): Promise<void> {
    for (let rest = seqs; rest.length > 0;) {
      const { deliveries, looked } = await this.store.readDeliveries(rest, SHARED_BYTES);
      for (const record of deliveries) {
        const session = this.sessions.get(record.sessionId)!;
        if (session.durable === null) {
          this.sharedOrphans.push(record.seq);
          continue;
        }
        const subscription = session.findSubscription(record.sharedFilter!);
        const message = fromStoredMessage(this.broker, record.message);
        const delivery = new Delivery(message, record.qos, record.retain, record.identifier, subscription);
        delivery.packetId = record.packetId;
        delivery.storage = new DeliveryStorage(session, record.seq, StorageState.stored, null);
        session.outgoing ??= new OutgoingFlow(session.durable.nextPacketId);
        session.outgoing.keep(delivery, this.broker);
        if (delivery.packetId === 0 && delivery.qos > 0) session.outgoing.number(delivery, this.broker);
        if (subscription !== null) this.broker.sharedMessages.onKept(subscription);
      }
      rest = rest.slice(looked);
    }
  }
}
