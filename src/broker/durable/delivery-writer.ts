// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable.
import { type Delivery, DeliveryState } from '../../session/delivery.ts';
import { DeliveryStorage, type DurableState, StorageState } from '../../session/durable-state.ts';
import type { Message } from '../../session/message.ts';
import type { SessionLink } from '../../session/outgoing-flow.ts';
import type { Session } from '../../session/session.ts';
import type { StoreSummary } from '../../storage/session-store.ts';
import type { StoreBatch } from '../../storage/store-batch.ts';
import type { Broker } from '../broker.ts';
import type { BatchQueue } from './batch-queue.ts';
import type { PublisherAcks } from './publisher-acks.ts';
import { toStoredMessage } from './records.ts';

/** How long a receiver that is connected has to acknowledge what would be written. */
const WINDOW_MS = 5;
/** What a delivery that waits takes of memory beside its message. */
const OVERHEAD = 250;
/** While no batch is closed, so many deliveries that need not be written any more are kept before they are let go. */
const MOST_FINISHED = 4_096;

/**
 * Deliveries to sessions that are kept, on their way to the store. One that its receiver acknowledges before its batch is
 * closed is never written.
 */
export class DeliveryWriter {
  lastSeq: number;
  /** What the deliveries that wait take of memory. */
  waitingBytes = 0;
  /** See `bound`. */
  isBound = false;
  private lastMessageId: number;
  private readonly broker: Broker;
  private readonly batches: BatchQueue;
  private readonly acks: PublisherAcks;
  /** Those that are to be written, unless they are done before. */
  private pending: Delivery[] = [];
  /** How many of them are done. */
  private finished = 0;
  /** Those of the batch under way. */
  private writing: Delivery[] = [];
  private batchNumber = 1;
  /** The next batch takes all, however young. */
  private mustWriteAll = false;
  /** Deliveries up to this number are committed, or done; those up to `closingSeq` are in the batch under way. */
  private committedSeq: number;
  private closingSeq: number;

  constructor(broker: Broker, batches: BatchQueue, acks: PublisherAcks, summary: StoreSummary) {
    this.broker = broker;
    this.batches = batches;
    this.acks = acks;
    this.lastMessageId = summary.lastMessageId;
    this.lastSeq = summary.lastSeq;
    this.committedSeq = this.lastSeq;
    this.closingSeq = this.lastSeq;
  }

  /** How many deliveries wait to be written. */
  get pendingCount(): number {
    return this.pending.length - this.finished;
  }

  /** What `run` delivers goes into the batch that is open, with what brought it about, however fast its receiver is. */
  bound<T>(run: () => T): T {
    const before = this.isBound;
    this.isBound = true;
    try {
      return run();
    } finally {
      this.isBound = before;
    }
  }

  /** A delivery to a durable session begins. To be called before it is sent or queued. */
  track(delivery: Delivery, session: Session): void {
    const settlement = delivery.qos === 0 ? null : this.acks.expect();
    // A client that is away won't be faster than the store, and at QoS 2 it waits for it.
    const isUrgent = session.link === null || delivery.qos === 2 || this.isBound;
    const sinceMs = isUrgent ? 0 : performance.now();
    delivery.storage = new DeliveryStorage(session, ++this.lastSeq, StorageState.waiting, settlement, sinceMs);
    this.pending.push(delivery);
    this.waitingBytes += delivery.message.size + OVERHEAD;
    this.batches.schedule(isUrgent);
  }

  /** A delivery ended, by its acknowledgement or a drop. */
  onFinished(delivery: Delivery): void {
    const stored = delivery.storage!;
    const { state } = stored;
    if (state === StorageState.done) return;
    stored.state = StorageState.done;
    if (state === StorageState.waiting) {
      this.waitingBytes -= delivery.message.size + OVERHEAD;
      if (++this.finished > MOST_FINISHED) this.forgetFinished();
    } else {
      this.batches.open.deleteDelivery(stored.seq);
      this.batches.schedule(false);
    }
    stored.settlement?.settleOne();
    stored.settlement = null;
  }

  /** A store that fails closes no batch: what goes on without it must not pile up. */
  private forgetFinished(): void {
    if (this.finished * 2 < this.pending.length || !this.batches.isFailing) return;
    this.pending = this.pending.filter(isWaiting);
    this.finished = 0;
  }

  /** The message goes to another session instead: whoever waits for the one delivery waits for the other. */
  onMoved({ storage: from }: Delivery, { storage: to }: Delivery): void {
    if (from === null || to === null || from.settlement === null || to.state === StorageState.done) return;
    to.settlement = from.settlement;
    from.settlement = null;
  }

  /** Drops the first message of those that wait in the store. How large it is is known there only: an average is taken. */
  dropOldest(durable: DurableState): void {
    const seq = durable.head;
    durable.take(Math.round(durable.bytes / durable.length));
    this.drop(seq);
  }

  /** Deletes a delivery that is in the store, or is to be written there. */
  drop(seq: number): void {
    if (seq > this.committedSeq) {
      const waiting = this.pending.find((one) => one.storage!.seq === seq);
      if (waiting !== undefined) return this.onFinished(waiting);
    }
    this.batches.open.deleteDelivery(seq);
    this.batches.schedule(false);
  }

  /** Those of a session that wait to be written. */
  waitingOf(session: Session): Delivery[] {
    return this.pending.filter((one) => one.storage!.session === session && isWaiting(one));
  }

  /** PUBREC came: PUBREL goes out when that is committed, so that the message can't come a second time. */
  onReleased(delivery: Delivery, link: SessionLink): void {
    const stored = delivery.storage!;
    this.batches.open.moveDelivery(stored.seq, stored.seq, true, delivery.packetId);
    stored.state = StorageState.writing;
    this.batches.afterCommit(() => {
      if (stored.state === StorageState.writing) stored.state = StorageState.stored;
      if (stored.session.link === link && stored.isStored) link.sendPubrel(delivery.packetId);
    });
  }

  /** A delivery has another packet identifier than the store knows: at QoS 2 it is sent when that is committed. */
  onRenumbered(delivery: Delivery): void {
    const stored = delivery.storage!;
    if (stored.state === StorageState.waiting || stored.state === StorageState.done) return;
    this.batches.open.moveDelivery(stored.seq, stored.seq, false, delivery.packetId);
    this.batches.schedule(false);
    if (delivery.qos !== 2) return;
    stored.state = StorageState.writing;
    this.batches.afterCommit(() => {
      if (stored.state !== StorageState.writing) return;
      stored.state = StorageState.stored;
      this.pump(stored.session);
    });
  }

  /** The client went away with the message in flight: its identifier is kept for when it is sent again. */
  keepPacketId({ storage, packetId, state }: Delivery): void {
    if (state === DeliveryState.released) return;
    this.batches.open.moveDelivery(storage!.seq, storage!.seq, false, packetId);
  }

  /** Resolves when a delivery can be read from the store. */
  whenStored(seq: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (seq <= this.committedSeq) return resolve();
        this.mustWriteAll = true;
        this.batches.afterCommit(look);
      };
      look();
    });
  }

  /** The next batch takes all there is. */
  hurry(): void {
    this.mustWriteAll = true;
  }

  /**
   * Writes a message into the open batch.
   *
   * @param until the last batch in which its number holds for other deliveries
   * @returns where the batch counts its references
   */
  putMessage(message: Message, references: number, until: number): number {
    message.storeId = ++this.lastMessageId;
    message.storeBatch = until;
    return this.batches.open.putMessage(message.storeId, references, toStoredMessage(message));
  }

  /** Writes what is to be written; what its receivers may still be faster with waits for the next batch. */
  write(batch: StoreBatch): void {
    const { pending, mustWriteAll } = this;
    this.mustWriteAll = false;
    const youngest = mustWriteAll ? Infinity : performance.now() - WINDOW_MS;
    let kept = 0;
    let bytes = 0;
    // Deliveries of one message stand one behind the other: it is stored once for all of them.
    for (let start = 0; start < pending.length;) {
      const { message } = pending[start]!;
      let end = start;
      let isDue = false;
      for (; end < pending.length && pending[end]!.message === message; end++) {
        const { state, sinceMs } = pending[end]!.storage!;
        if (state === StorageState.waiting && sinceMs <= youngest) isDue = true;
      }
      if (isDue) this.writeDeliveries(batch, message, start, end);
      else {
        for (let i = start; i < end; i++) {
          if (!isWaiting(pending[i]!)) continue;
          pending[kept++] = pending[i]!;
          bytes += message.size + OVERHEAD;
        }
      }
      start = end;
    }
    pending.length = kept;
    this.waitingBytes = bytes;
    this.finished = 0;
  }

  /** Nothing more goes into the batch. */
  close(): void {
    const [first] = this.pending;
    this.batchNumber++;
    this.closingSeq = first === undefined ? this.lastSeq : first.storage!.seq - 1;
  }

  /** Writes `pending[start, end)`, which are deliveries of one message. */
  private writeDeliveries(batch: StoreBatch, message: Message, start: number, end: number): void {
    let place = -1;
    let references = 0;
    for (let i = start; i < end; i++) {
      const delivery = this.pending[i]!;
      const stored = delivery.storage!;
      if (stored.state !== StorageState.waiting) continue;
      if (stored.session.durable === null) {
        this.onFinished(delivery);
        continue;
      }
      if (references++ === 0 && message.storeBatch < this.batchNumber) {
        place = this.putMessage(message, 1, this.batchNumber);
      }
      stored.state = StorageState.writing;
      this.writing.push(delivery);
      batch.putDelivery(
        stored.seq,
        stored.session.durable.id,
        message.storeId,
        delivery.qos,
        delivery.retain,
        false,
        delivery.packetId,
        delivery.identifier,
        delivery.shared === null ? null : delivery.shared.filterText,
        message.size,
        message.expiresAtMs,
      );
    }
    if (references === 0) return;
    if (place >= 0) batch.setReferences(place, references);
    else batch.addReferences(message.storeId, references);
  }

  onCommitted(): void {
    const { writing } = this;
    this.writing = [];
    this.committedSeq = this.closingSeq;
    if (this.pending.length > 0) this.batches.schedule(false);
    for (const delivery of writing) {
      const stored = delivery.storage!;
      stored.settlement?.settleOne();
      stored.settlement = null;
      if (stored.state !== StorageState.writing) continue;
      stored.state = StorageState.stored;
      if (delivery.qos === 2) this.pump(stored.session);
    }
  }

  /** QoS 2 messages leave when they are committed. */
  private pump(session: Session): void {
    const { link, outgoing, durable } = session;
    // Before anything else goes what was in flight on an earlier connection.
    if (link === null || outgoing === null || durable === null || durable.isResuming) return;
    outgoing.pump(link, this.broker);
    if (durable.length > 0) this.broker.durability!.readMore(session);
  }
}

function isWaiting(delivery: Delivery): boolean {
  return delivery.storage!.state === StorageState.waiting;
}
