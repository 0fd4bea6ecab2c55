import { Delivery, DeliveryState } from '../../session/delivery.ts';
import { DeliveryStorage, type DurableState, StorageState } from '../../session/durable-state.ts';
import { DropReason, OutgoingFlow } from '../../session/outgoing-flow.ts';
import type { Session } from '../../session/session.ts';
import type { StoredDelivery } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';
import type { ClientConnection } from '../client-connection.ts';
import { LogType } from '../log.ts';
import type { Durability } from './durability.ts';
import { fromStoredMessage } from './records.ts';

/** Messages of one page of a queue, in number and bytes. */
const PAGE = 200;
const PAGE_BYTES = 1024 * 1024;
/** A session with fewer messages in its queue in memory gets the next page. */
const LOW = PAGE / 2;

/** Moves queues between memory and the store: out when the client goes away, back in pages when it returns. */
export class RestReader {
  private readonly broker: Broker;
  private readonly durability: Durability;

  constructor(broker: Broker, durability: Durability) {
    this.broker = broker;
    this.durability = durability;
  }

  /**
   * Lets go of what a session has in memory. What came by shared subscriptions and was never sent stays: another member
   * may come and take it.
   */
  spill(session: Session, durable: DurableState, outgoing: OutgoingFlow): void {
    // What waits in the store already comes behind what was in memory.
    const behind = durable.peek(Infinity);
    const { bytes, shared } = durable;
    durable.clear();
    durable.bytes = 0;
    durable.shared = 0;
    durable.sentSeq = 0;
    const inflight = outgoing.inflight.values();
    inflight.sort((a, b) => a.storage!.seq - b.storage!.seq);
    for (const delivery of inflight) {
      const stored = delivery.storage!;
      durable.sentSeq = stored.seq;
      durable.add(stored.seq, delivery.message.size, delivery.shared !== null);
      if (stored.state === StorageState.stored) this.durability.keepPacketId(delivery);
    }
    const { stored: memory } = this.broker;
    for (const { message } of inflight) memory.release(message);
    const kept: Delivery[] = [];
    for (let one = outgoing.queue.shift(); one !== undefined; one = outgoing.queue.shift()) {
      memory.release(one.message);
      if (one.storage === null || (one.shared !== null && behind.length === 0)) kept.push(one);
      else durable.add(one.storage.seq, one.message.size, one.shared !== null);
    }
    for (const seq of behind) durable.push(seq);
    durable.bytes += bytes;
    durable.shared += shared;
    durable.nextPacketId = outgoing.nextPacketId;
    session.outgoing = null;
    if (kept.length === 0) return;
    session.outgoing = new OutgoingFlow(durable.nextPacketId);
    for (const one of kept) session.outgoing.keep(one, this.broker);
  }

  /** Deletes what waits in the store for a session that is over. */
  drop(durable: DurableState): void {
    const { counters } = this.broker;
    const { open } = this.durability.batches;
    for (let seq = durable.shift(); seq !== undefined; seq = durable.shift()) {
      open.deleteDelivery(seq);
      counters.drop(DropReason.sessionEnded);
    }
    durable.bytes = 0;
    durable.shared = 0;
  }

  /**
   * Reads the next page of what waits in the store, where the queue in memory has room for it.
   *
   * @param isFirst of this connection: what was in flight on an earlier one is sent again
   */
  read(session: Session, isFirst: boolean): void {
    const durable = session.durable!;
    if (durable.isReading || durable.length === 0) return;
    if (!isFirst && session.outgoing !== null && session.outgoing.queue.length >= LOW) return;
    durable.isReading = true;
    const seqs = durable.peek(this.pageLength(durable, isFirst));
    this.durability
      .whenStored(seqs.at(-1)!)
      .then(() => this.durability.store.readDeliveries(seqs, isFirst ? Infinity : PAGE_BYTES))
      .then(
        ({ deliveries, looked }) => this.takePage(session, durable, seqs.slice(0, looked), deliveries, isFirst),
        (error: unknown) => this.onFailure(session, durable, isFirst, error),
      )
      .catch((error: unknown) => this.broker.reportFault('a page of a queue', error));
  }

  /** The first page holds all that was in flight, since it is sent again before anything else. */
  private pageLength(durable: DurableState, isFirst: boolean): number {
    if (!isFirst || durable.sentSeq === 0) return PAGE;
    const most = durable.peek(Math.max(PAGE, this.broker.window));
    return Math.max(PAGE, most.filter((seq) => seq <= durable.sentSeq).length);
  }

  private takePage(
    session: Session,
    durable: DurableState,
    seqs: readonly number[],
    deliveries: readonly StoredDelivery[],
    isFirst: boolean,
  ): void {
    durable.isReading = false;
    const link = session.link as ClientConnection | null;
    if (session.durable !== durable || link === null) return;
    session.outgoing ??= new OutgoingFlow(durable.nextPacketId);
    const { outgoing } = session;
    let next = 0;
    for (const seq of seqs) {
      while (next < deliveries.length && deliveries[next]!.seq < seq) next++;
      const record = deliveries[next]?.seq === seq ? deliveries[next]! : null;
      // It may have been taken out of the list while it was read.
      if (durable.head !== seq) continue;
      durable.take(record?.size ?? 0, record !== null && record.sharedFilter !== null);
      if (record !== null) this.restore(session, durable, outgoing, record);
    }
    if (durable.length === 0) {
      durable.bytes = 0;
      durable.shared = 0;
    }
    if (isFirst) outgoing.resume(link, this.broker);
    else outgoing.pump(link, this.broker);
    if (durable.length > 0) this.read(session, false);
  }

  private restore(session: Session, durable: DurableState, outgoing: OutgoingFlow, record: StoredDelivery): void {
    const { broker } = this;
    const message = fromStoredMessage(broker, record.message);
    const shared = record.sharedFilter === null ? null : session.findSubscription(record.sharedFilter);
    const delivery = new Delivery(message, record.qos, record.retain, record.identifier, shared);
    delivery.packetId = record.packetId;
    delivery.storage = new DeliveryStorage(session, record.seq, StorageState.stored, null);
    if (record.isReleased && !outgoing.inflight.has(record.packetId)) {
      delivery.state = DeliveryState.released;
      outgoing.restore(delivery, broker);
      return;
    }
    if (session.access !== null && !session.access.canReceive(message.topic.name)) {
      broker.onDropped(delivery, DropReason.denied);
      return;
    }
    // The same identifier twice would be a defect; what comes second is sent as if for the first time.
    const isFree = record.packetId !== 0 && !outgoing.inflight.has(record.packetId);
    if (record.seq <= durable.sentSeq && record.qos > 0 && isFree) {
      delivery.state = DeliveryState.published;
      outgoing.restore(delivery, broker);
      return;
    }
    outgoing.keep(delivery, broker);
    if (record.packetId === 0 && record.qos > 0) outgoing.number(delivery, broker);
  }

  /** The store can't be read: it is tried again, as long as the client is there. */
  private onFailure(session: Session, durable: DurableState, isFirst: boolean, error: unknown): void {
    durable.isReading = false;
    const { log } = this.broker;
    this.broker.counters.storeFailures++;
    if ((log.types & LogType.error) !== 0) {
      log.log(LogType.error, `Error: messages of a session cannot be read: ${(error as Error).message}`);
    }
    setTimeout(() => {
      if (session.durable === durable && session.link !== null) this.read(session, isFirst);
    }, 1_000).unref();
  }
}
