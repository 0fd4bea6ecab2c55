import { Delivery, DeliveryState } from '../../session/delivery.ts';
import { DeliveryStorage, type DurableState, StorageState } from '../../session/durable-state.ts';
import { DropReason, OutgoingFlow } from '../../session/outgoing-flow.ts';
import type { Session } from '../../session/session.ts';
import type { StoredDelivery } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';
import { LogType } from '../log.ts';
import type { Durability } from './durability.ts';
import { fromStoredMessage } from './records.ts';

/** Messages of one page of a queue, in number and bytes. */
const PAGE = 200;
const PAGE_BYTES = 1024 * 1024;
/** A session with fewer messages in its queue in memory gets the next page. */
const LOW = PAGE / 2;
/** Pause between two attempts at a store that can't be read. */
const RETRY_MS = 1_000;

/** Moves queues between memory and the store: out when the client goes away, back in pages when it returns. */
export class RestReader {
  private readonly broker: Broker;
  private readonly durability: Durability;
  private lastRead = 0;

  constructor(broker: Broker, durability: Durability) {
    this.broker = broker;
    this.durability = durability;
  }

  /**
   * Lets go of what a session has in memory. What came by shared subscriptions and was never sent stays: another member
   * may come and take it.
   */
  spill(durable: DurableState, session: Session): void {
    const { outgoing } = session;
    durable.reading = 0;
    // The client left before what was in flight was sent again: that stays as it is, and nothing else was sent.
    if (outgoing === null || durable.isResuming) return;
    if (durable.length === 0) durable.hasShared = false;
    this.spillSent(durable, outgoing);
    const kept: Delivery[] = [];
    const waiting: number[] = [];
    for (let one = outgoing.queue.shift(); one !== undefined; one = outgoing.queue.shift()) {
      this.broker.stored.release(one.message);
      if (one.shared !== null) {
        kept.push(one);
        continue;
      }
      waiting.push(one.storage!.seq);
      durable.bytes += one.message.size;
    }
    durable.insert(waiting);
    durable.nextPacketId = outgoing.nextPacketId;
    session.outgoing = null;
    if (kept.length === 0) return;
    session.outgoing = new OutgoingFlow(durable.nextPacketId);
    for (const one of kept) session.outgoing.keep(one, this.broker);
  }

  private spillSent(durable: DurableState, outgoing: OutgoingFlow): void {
    const inflight = outgoing.inflight.values();
    durable.sent = inflight.length === 0 ? null : [];
    for (const delivery of inflight.sort((a, b) => a.storage!.seq - b.storage!.seq)) {
      const stored = delivery.storage!;
      durable.sent!.push(stored.seq);
      if (delivery.shared !== null) durable.hasShared = true;
      if (stored.state === StorageState.stored) this.durability.deliveries.keepPacketId(delivery);
      this.broker.stored.release(delivery.message);
    }
  }

  /** The client is connected. Once the store knows, since it knows then what may have been sent, everything goes on. */
  resume(session: Session, durable: DurableState): void {
    const { link } = session;
    durable.isResuming = true;
    this.durability.batches.afterCommit(() => {
      if (session.durable === durable && session.link === link) this.begin(session, durable);
    });
  }

  /** Sends what waits in memory and in the store, in the order it came. */
  private begin(session: Session, durable: DurableState): void {
    durable.isResuming = durable.sent !== null;
    const { outgoing } = session;
    if (outgoing !== null && (durable.isResuming || durable.length > 0)) this.spillKept(session, durable, outgoing);
    if (!durable.isResuming) this.goOn(session);
    this.read(session);
  }

  /** What was in flight is in memory again: it is sent, and then what waits. */
  private goOn(session: Session): void {
    session.outgoing?.resume(session.link!, this.broker);
    this.broker.sharedMessages.onAttached(session);
  }

  /** What stayed in memory takes its place among what waits in the store. */
  private spillKept(session: Session, durable: DurableState, outgoing: OutgoingFlow): void {
    const waiting: number[] = [];
    for (let one = outgoing.queue.shift(); one !== undefined; one = outgoing.queue.shift()) {
      this.broker.stored.release(one.message);
      waiting.push(one.storage!.seq);
      durable.bytes += one.message.size;
      durable.hasShared = true;
    }
    durable.insert(waiting);
    durable.nextPacketId = outgoing.nextPacketId;
    session.outgoing = null;
  }

  /** Reads what is to be sent again or, where the queue in memory has room for it, the next page of what waits. */
  read(session: Session): void {
    const durable = session.durable!;
    const { outgoing, link } = session;
    if (durable.reading !== 0 || link === null) return;
    const { isResuming } = durable;
    if (!isResuming && (durable.length === 0 || (outgoing !== null && outgoing.queue.length >= LOW))) return;
    const seqs = isResuming ? [...durable.sent!] : durable.peek(PAGE);
    const reading = ++this.lastRead;
    durable.reading = reading;
    this.durability.deliveries
      .whenStored(seqs.at(-1)!)
      .then(() => this.durability.store.readDeliveries(seqs, isResuming ? Infinity : PAGE_BYTES))
      .then(
        ({ deliveries, looked }) => {
          if (session.durable !== durable || durable.reading !== reading) return;
          this.takePage(session, durable, seqs.slice(0, looked), deliveries);
        },
        (error: unknown) => this.onFailure(session, durable, reading, error),
      )
      .catch((error: unknown) => this.broker.reportFault('a page of a queue', error));
  }

  private takePage(
    session: Session,
    durable: DurableState,
    seqs: readonly number[],
    records: readonly StoredDelivery[],
  ): void {
    durable.reading = 0;
    session.outgoing ??= new OutgoingFlow(durable.nextPacketId);
    const { outgoing } = session;
    if (durable.isResuming) {
      durable.isResuming = false;
      durable.sent = null;
      for (const record of records) this.restoreSent(session, outgoing, record);
      this.goOn(session);
    } else {
      this.takeFromList(session, durable, outgoing, seqs, records);
      outgoing.pump(session.link!, this.broker);
    }
    this.read(session);
  }

  private takeFromList(
    session: Session,
    durable: DurableState,
    outgoing: OutgoingFlow,
    seqs: readonly number[],
    records: readonly StoredDelivery[],
  ): void {
    let next = 0;
    for (const seq of seqs) {
      while (next < records.length && records[next]!.seq < seq) next++;
      const record = records[next]?.seq === seq ? records[next]! : null;
      // It may have been taken out of the list while it was read.
      if (durable.head !== seq) continue;
      durable.take(record?.size ?? 0);
      if (record !== null) this.restoreWaiting(session, outgoing, record);
    }
  }

  private newDelivery(session: Session, record: StoredDelivery): Delivery {
    const { qos, retain, identifier, sharedFilter, packetId, seq } = record;
    const shared = sharedFilter === null ? null : session.findSubscription(sharedFilter);
    const delivery = new Delivery(fromStoredMessage(this.broker, record.message), qos, retain, identifier, shared);
    delivery.packetId = packetId;
    delivery.storage = new DeliveryStorage(session, seq, StorageState.stored, null);
    return delivery;
  }

  /** @returns false where the client may not have the message any more; it is dropped then */
  private isAllowed({ access }: Session, delivery: Delivery): boolean {
    if (access === null || access.canReceive(delivery.message.topic.name)) return true;
    this.broker.onDropped(delivery, DropReason.denied);
    return false;
  }

  /** A message that was in flight. */
  private restoreSent(session: Session, outgoing: OutgoingFlow, record: StoredDelivery): void {
    const delivery = this.newDelivery(session, record);
    if (!record.isReleased && !this.isAllowed(session, delivery)) return;
    // Sent at QoS 1 just before the process ended, perhaps, and under an identifier that is not known.
    if (record.packetId === 0 || outgoing.inflight.has(record.packetId)) return this.queue(outgoing, delivery);
    delivery.state = record.isReleased ? DeliveryState.released : DeliveryState.published;
    outgoing.restore(delivery, this.broker);
  }

  /** A message that was never sent. */
  private restoreWaiting(session: Session, outgoing: OutgoingFlow, record: StoredDelivery): void {
    const delivery = this.newDelivery(session, record);
    if (this.isAllowed(session, delivery)) this.queue(outgoing, delivery);
  }

  private queue(outgoing: OutgoingFlow, delivery: Delivery): void {
    outgoing.keep(delivery, this.broker);
    if (delivery.packetId === 0 && delivery.qos > 0) outgoing.number(delivery, this.broker);
  }

  /** The store can't be read: it is tried again, as long as the client is there. */
  private onFailure(session: Session, durable: DurableState, reading: number, error: unknown): void {
    const { log } = this.broker;
    this.broker.counters.storeFailures++;
    if ((log.types & LogType.error) !== 0) {
      log.log(LogType.error, `Error: messages of a session cannot be read: ${(error as Error).message}`);
    }
    setTimeout(() => {
      if (session.durable !== durable || durable.reading !== reading) return;
      durable.reading = 0;
      this.read(session);
    }, RETRY_MS).unref();
  }
}
