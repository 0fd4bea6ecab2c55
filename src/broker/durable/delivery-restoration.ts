import { Delivery } from '../../session/delivery.ts';
import { DeliveryStorage, StorageState } from '../../session/durable-state.ts';
import { OutgoingFlow } from '../../session/outgoing-flow.ts';
import type { Session } from '../../session/session.ts';
import type { DeliveryIndex, SessionStore } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';
import type { Durability } from './durability.ts';
import { fromStoredMessage } from './records.ts';
import { SENT_UNKNOWN } from './restore-session.ts';

/** What is taken up at a time: a few milliseconds of work. */
const DELIVERIES = 20_000;
const SHARED = 500;
const SHARED_BYTES = 4 * 1024 * 1024;

/** Finds out which messages wait for which session. */
export class DeliveryRestoration {
  private readonly broker: Broker;
  private readonly store: SessionStore;
  private readonly durability: Durability;
  private readonly sessions: ReadonlyMap<number, Session>;
  /** Came by shared subscriptions and were never sent. */
  private readonly shared: number[] = [];

  constructor(broker: Broker, store: SessionStore, durability: Durability, sessions: ReadonlyMap<number, Session>) {
    this.broker = broker;
    this.store = store;
    this.durability = durability;
    this.sessions = sessions;
  }

  /** @param tell called with how many are done; false from it ends the work */
  async run(tell: (done: number) => boolean): Promise<void> {
    const { lastSeq } = this.durability;
    let done = 0;
    let next = this.store.readDeliveryIndex(0, DELIVERIES);
    for (let page = await next; page.seqs.length > 0 && page.seqs[0]! <= lastSeq; page = await next) {
      next = this.store.readDeliveryIndex(page.seqs.at(-1)!, DELIVERIES);
      this.takeUp(page, lastSeq);
      if (!tell((done += page.seqs.length))) return;
      await Bun.sleep(0);
    }
    await next;
    for (const { durable } of this.sessions.values()) {
      // With less than a window all of it may have been sent.
      if (durable !== null && durable.sentSeq === SENT_UNKNOWN) durable.sentSeq = durable.last;
    }
    for (let i = 0; i < this.shared.length; i += SHARED) await this.restoreShared(this.shared.slice(i, i + SHARED));
  }

  private takeUp({ seqs, sessionIds, sizes, shared, packetIds }: DeliveryIndex, lastSeq: number): void {
    const { window } = this.broker;
    for (let i = 0; i < seqs.length; i++) {
      const seq = seqs[i]!;
      if (seq > lastSeq) return;
      const durable = this.sessions.get(sessionIds[i]!)?.durable ?? null;
      if (durable === null) {
        // A crash between the end of a session and that of its messages, or it ended just now.
        this.durability.drop(seq);
        continue;
      }
      const isShared = shared[i] === 1;
      if (packetIds[i]! > 0) durable.nextPacketId = (packetIds[i]! % 65_535) + 1;
      if (isShared && durable.sentSeq !== SENT_UNKNOWN && seq > durable.sentSeq) {
        this.shared.push(seq);
        continue;
      }
      durable.add(seq, sizes[i]!, isShared);
      // One that was connected when the process ended may have got what fits into a window.
      if (durable.sentSeq === SENT_UNKNOWN && durable.length >= window) durable.sentSeq = seq;
    }
  }

  /** What came by shared subscriptions and was never sent waits in memory, where another member can take it. */
  private async restoreShared(seqs: number[]): Promise<void> {
    for (let rest = seqs; rest.length > 0;) {
      const { deliveries, looked } = await this.store.readDeliveries(rest, SHARED_BYTES);
      for (const record of deliveries) {
        const session = this.sessions.get(record.sessionId)!;
        if (session.durable === null) {
          this.durability.drop(record.seq);
          continue;
        }
        const subscription = session.findSubscription(record.sharedFilter!);
        const message = fromStoredMessage(this.broker, record.message);
        const delivery = new Delivery(message, record.qos, record.retain, record.identifier, subscription);
        delivery.packetId = record.packetId;
        delivery.storage = new DeliveryStorage(session, record.seq, StorageState.stored, null);
        session.outgoing ??= new OutgoingFlow(session.durable.nextPacketId);
        session.outgoing.keep(delivery, this.broker);
        if (subscription !== null) this.broker.sharedMessages.onKept(subscription);
      }
      rest = rest.slice(looked);
    }
  }
}
