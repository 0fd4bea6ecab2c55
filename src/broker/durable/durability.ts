// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable.
import type { AckType } from '../../protocol/ack.ts';
import { PacketType } from '../../protocol/packet-type.ts';
import { ReasonCode } from '../../protocol/reason-code.ts';
import type { Subscription } from '../../routing/subscription.ts';
import type { Topic } from '../../routing/topic-cache.ts';
import { type Delivery, DeliveryState } from '../../session/delivery.ts';
import { DeliveryStorage, DurableState, StorageState } from '../../session/durable-state.ts';
import type { Message } from '../../session/message.ts';
import type { SessionLink } from '../../session/outgoing-flow.ts';
import type { Session } from '../../session/session.ts';
import type { SessionStore, StoreSummary } from '../../storage/session-store.ts';
import type { StoreBatch } from '../../storage/store-batch.ts';
import type { Broker } from '../broker.ts';
import type { ClientConnection } from '../client-connection.ts';
import { LogType } from '../log.ts';
import { BatchQueue } from './batch-queue.ts';
import { ExpirySweep } from './expiry-sweep.ts';
import { toSessionRecord, toStoredMessage, toStoredSubscription } from './records.ts';
import { RestReader } from './rest-reader.ts';
import { Settlement } from './settlement.ts';

/** How long a receiver that is connected has to acknowledge what would be written. */
export const WINDOW_MS = 5;
/** How often the store hears that the process is alive. */
const ALIVE_MS = 10_000;

/**
 * Keeps sessions that outlive their connection in the store, and holds each acknowledgement back until what it promises
 * is there: acknowledge after commit, with group commit. Changes are gathered in a batch; one batch is committed at a
 * time. A delivery that its receiver acknowledges before its batch is closed is never written.
 */
export class Durability {
  readonly store: SessionStore;
  readonly batches: BatchQueue;
  private readonly broker: Broker;
  private readonly reader: RestReader;
  readonly sweep: ExpirySweep;
  private lastSessionId: number;
  private lastMessageId: number;
  lastSeq: number;
  /** Deliveries that are to be written, unless they are done before. */
  private pending: Delivery[] = [];
  /** Those of the batch under way. */
  private writing: Delivery[] = [];
  /** Incoming QoS 2 messages that were released: deleted once their deliveries are written. */
  private released: { session: Session; packetId: number; message: Message | null }[] = [];
  private batchNumber = 1;
  /** The next batch takes all deliveries, however young. */
  private mustWriteAll = false;
  /** What is tracked now belongs to an incoming message that is released. */
  private isReleasing = false;
  /** Sessions that were kept and ended. */
  endedSessions = 0;
  private aliveTimer: ReturnType<typeof setInterval> | undefined;
  /** Deliveries up to this number are committed, or done; those up to `closingSeq` are in the batch under way. */
  private committedSeq: number;
  private closingSeq: number;
  /** The acknowledgement of the message being routed; null until something makes it wait. */
  private current: Settlement | null = null;
  private ackConnection: ClientConnection | null = null;
  private ackType: AckType = PacketType.puback;
  private ackPacketId = 0;
  private ackReasonCode = 0;

  constructor(broker: Broker, store: SessionStore, summary: StoreSummary) {
    this.broker = broker;
    this.store = store;
    this.lastSessionId = summary.lastSessionId;
    this.lastMessageId = summary.lastMessageId;
    this.lastSeq = summary.lastSeq;
    this.committedSeq = this.lastSeq;
    this.closingSeq = this.lastSeq;
    this.reader = new RestReader(broker, this);
    this.sweep = new ExpirySweep(broker, this);
    this.batches = new BatchQueue(store, broker, {
      close: (batch) => this.closeBatch(batch),
      committed: () => this.onCommitted(),
    });
  }

  private get batch(): StoreBatch {
    return this.batches.open;
  }

  /** How many deliveries wait to be written. */
  get pendingCount(): number {
    return this.pending.length;
  }

  // Sessions

  /** A client is connected to its session, whose properties are set. */
  onAttached(session: Session): void {
    if (session.durable === null) {
      if (session.expiryInterval === 0) return;
      session.durable = new DurableState(++this.lastSessionId);
    }
    this.putSession(session, 0);
    this.batches.schedule(true);
  }

  /** Sends what waits in the store, after CONNACK. */
  resume(session: Session): void {
    if (session.durable !== null && session.durable.length > 0) this.reader.read(session, true);
  }

  /** There is room in the session's queue for more of what waits in the store. */
  readMore(session: Session): void {
    this.reader.read(session, false);
  }

  /** The client went away: what it has not acknowledged waits in the store from now on. */
  onDetached(session: Session): void {
    const { durable, outgoing } = session;
    if (durable === null) return;
    if (outgoing !== null) this.reader.spill(session, durable, outgoing);
    this.putSession(session, this.broker.wallMs());
    this.batches.schedule(true);
  }

  /** The will of a client that is away went out. */
  onWillPublished(session: Session): void {
    if (session.durable === null) return;
    this.putSession(session, session.durable.awaySinceMs);
    this.batches.schedule(true);
  }

  /** The session is over; its deliveries in memory were dropped before. */
  onEnded(session: Session): void {
    const { durable } = session;
    if (durable === null) return;
    this.reader.drop(durable);
    this.batch.deleteSession(durable.id);
    this.endedSessions++;
    session.durable = null;
    this.batches.schedule(true);
  }

  private putSession(session: Session, awaySinceMs: number): void {
    session.durable!.awaySinceMs = awaySinceMs;
    this.batch.putSession(toSessionRecord(session, awaySinceMs));
  }

  onSubscribed(session: Session, subscription: Subscription<Session>): void {
    if (session.durable === null) return;
    this.batch.putSubscription(session.durable.id, toStoredSubscription(subscription));
  }

  onUnsubscribed(session: Session, filterText: string): void {
    if (session.durable === null) return;
    this.batch.deleteSubscription(session.durable.id, filterText);
  }

  /** Calls back once all that was said until now is committed; at once where the session is not kept. */
  afterCommit(session: Session, then: () => void): void {
    if (session.durable === null) then();
    else this.batches.afterCommit(then);
  }

  /** Holds what is sent to a client back until its CONNECT is committed. */
  gate(connection: ClientConnection): void {
    if (this.batches.isFailing) return;
    connection.closeGate();
    this.batches.afterCommit(() => connection.openGate());
  }

  // Acknowledgements of what clients publish

  /** Between this and `endPublish` a message is routed; its acknowledgement waits for what is tracked meanwhile. */
  beginPublish(connection: ClientConnection, type: AckType, packetId: number, reasonCode: number): void {
    this.current = null;
    this.ackConnection = connection;
    this.ackType = type;
    this.ackPacketId = packetId;
    this.ackReasonCode = reasonCode;
  }

  /** Sends the acknowledgement, or has it wait. */
  endPublish(): void {
    const connection = this.ackConnection!;
    const settlement = this.current;
    this.ackConnection = null;
    this.current = null;
    this.isReleasing = false;
    const { unsettled } = connection;
    if (settlement === null && (unsettled === null || unsettled.length === 0)) {
      connection.sendAck(this.ackType, this.ackPacketId, this.ackReasonCode, null);
      return;
    }
    const waiting = settlement ?? new Settlement(connection, this.ackType, this.ackPacketId, this.ackReasonCode);
    connection.waitingAcks().push(waiting);
    waiting.settleOne();
  }

  /** Sends an acknowledgement that need not wait for the store, after those that do. */
  sendInOrder(connection: ClientConnection, type: AckType, packetId: number, reasonCode: number): void {
    this.beginPublish(connection, type, packetId, reasonCode);
    this.endPublish();
  }

  private expect(): Settlement | null {
    const connection = this.ackConnection;
    if (connection === null) return null;
    const { ackType, ackPacketId, ackReasonCode } = this;
    this.current ??= new Settlement(connection, ackType, ackPacketId, ackReasonCode);
    this.current.expectOne();
    return this.current;
  }

  /** The acknowledgement at hand waits for the batch as well. */
  private expectBatch(): void {
    const settlement = this.expect();
    if (settlement === null) this.batches.schedule(false);
    else this.batches.afterCommit(() => settlement.settleOne());
  }

  /** While the store fails: so much waits already that nothing more may. */
  get isOverfull(): boolean {
    return this.batches.isOverfull;
  }

  /** Why a message that must be stored can't be; null while the store works. */
  get refusal(): ReasonCode | null {
    return this.batches.refusal;
  }

  // Messages

  /** A delivery to a durable session begins. To be called before `Session.deliver`. */
  track(delivery: Delivery, session: Session): void {
    const settlement = delivery.qos === 0 ? null : this.expect();
    // A client that is away won't be faster than the store, and at QoS 2 it waits for it.
    const isUrgent = session.link === null || delivery.qos === 2 || this.isReleasing;
    const sinceMs = isUrgent ? 0 : performance.now();
    delivery.storage = new DeliveryStorage(session, ++this.lastSeq, StorageState.waiting, settlement, sinceMs);
    this.pending.push(delivery);
    this.batches.schedule(isUrgent);
  }

  /** A delivery ended, by its acknowledgement or a drop. */
  onFinished(delivery: Delivery): void {
    const stored = delivery.storage!;
    const { state } = stored;
    if (state === StorageState.done) return;
    stored.state = StorageState.done;
    if (state !== StorageState.waiting) {
      this.batch.deleteDelivery(stored.seq);
      this.batches.schedule(false);
    }
    stored.settlement?.settleOne();
    stored.settlement = null;
  }

  /** Drops the first message of those that wait in the store. How large it is is known there only: an average is taken. */
  dropOldest(durable: DurableState): void {
    const seq = durable.head;
    durable.take(Math.round(durable.bytes / durable.length), false);
    this.drop(seq);
  }

  /** Deletes a delivery that is in the store, or is to be written there. */
  drop(seq: number): void {
    if (seq > this.committedSeq) {
      const waiting = this.pending.find((one) => one.storage!.seq === seq);
      if (waiting !== undefined) return this.onFinished(waiting);
    }
    this.batch.deleteDelivery(seq);
    this.batches.schedule(false);
  }

  /** PUBREC came: PUBREL goes out when that is committed, so that the message can't come a second time. */
  onReleased(delivery: Delivery, link: SessionLink): void {
    const stored = delivery.storage!;
    this.batch.moveDelivery(stored.seq, stored.seq, true, delivery.packetId);
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
    this.batch.moveDelivery(stored.seq, stored.seq, false, delivery.packetId);
    if (delivery.qos !== 2) return;
    stored.state = StorageState.writing;
    this.batches.afterCommit(() => {
      if (stored.state !== StorageState.writing) return;
      stored.state = StorageState.stored;
      pumpHeld(stored.session, this.broker);
    });
  }

  /** The client went away with the message in flight: its identifier is kept for when it is sent again. */
  keepPacketId({ storage, packetId, state }: Delivery): void {
    if (state === DeliveryState.released) return;
    this.batch.moveDelivery(storage!.seq, storage!.seq, false, packetId);
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

  /** A QoS 2 message came in. PUBREC waits for it. @param message null: it was refused, and only its flow goes on */
  onIncoming(session: Session, packetId: number, message: Message | null): void {
    if (session.durable === null) return;
    if (message !== null) this.putMessage(message, 1, Infinity);
    this.batch.putIncoming(session.durable.id, packetId, message === null ? 0 : message.storeId);
    this.expectBatch();
  }

  /** PUBREL came for it. To be called before it is routed. PUBCOMP waits for it. */
  onIncomingReleased(session: Session, packetId: number, message: Message | null): void {
    if (session.durable === null) return;
    // Its deliveries are written with it: it is theirs, or still the publisher's, and never nobody's.
    this.isReleasing = true;
    this.released.push({ session, packetId, message });
    this.expectBatch();
  }

  onRetained(message: Message): void {
    if (isOwnTopic(message.topic.name)) return;
    this.batch.putRetained(toStoredMessage(message));
    this.expectBatch();
  }

  onUnretained(topicName: string): void {
    if (isOwnTopic(topicName)) return;
    this.batch.deleteRetained(topicName);
    this.expectBatch();
  }

  /** @returns where the batch counts its references */
  private putMessage(message: Message, references: number, until: number): number {
    message.storeId = ++this.lastMessageId;
    message.storeBatch = until;
    return this.batch.putMessage(message.storeId, references, toStoredMessage(message));
  }

  // Batches

  /** Writes what is to be written into the batch; what its receivers may still be faster with waits for the next one. */
  private closeBatch(batch: StoreBatch): void {
    const { pending, mustWriteAll } = this;
    this.mustWriteAll = false;
    const youngest = mustWriteAll ? Infinity : performance.now() - WINDOW_MS;
    let kept = 0;
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
      else for (let i = start; i < end; i++) if (isWaiting(pending[i]!)) pending[kept++] = pending[i]!;
      start = end;
    }
    pending.length = kept;
    for (const one of this.released) {
      if (one.session.durable !== null) batch.deleteIncoming(one.session.durable.id, one.packetId);
      if (one.message !== null) one.message.storeBatch = 0;
    }
    this.released.length = 0;
    this.batchNumber++;
    this.closingSeq = kept === 0 ? this.lastSeq : pending[0]!.storage!.seq - 1;
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

  private onCommitted(): void {
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
      if (delivery.qos === 2) pumpHeld(stored.session, this.broker);
    }
  }

  /** Everything is restored: changes that were made meanwhile are written, and the store hears that we are alive. */
  start(): void {
    this.sayAlive();
    this.aliveTimer = setInterval(() => this.sayAlive(), ALIVE_MS);
    this.aliveTimer.unref();
    this.sweep.start();
  }

  /** From it a next start tells how long clients that are connected now have been away. */
  private sayAlive(): void {
    this.batch.setAlive(this.broker.wallMs());
    this.batches.schedule(false);
  }

  /** Whether a message must be stored before it is acknowledged: it is retained, or a session that is kept wants it. */
  needsStore(topic: Topic<Session>, retain: boolean): boolean {
    if (retain) return true;
    for (const { only, list, groups } of topic.match(this.broker.tree)) {
      if (only !== null && only.subscriber.durable !== null) return true;
      if (list !== null && list.some((one) => one.subscriber.durable !== null)) return true;
      if (groups !== null && groups.some(({ members }) => members.some((one) => one.subscriber.durable !== null))) {
        return true;
      }
    }
    return false;
  }

  /** Resolves when all changes until now are stored. */
  commitAll(): Promise<void> {
    this.mustWriteAll = true;
    return new Promise((resolve) => this.batches.afterCommit(resolve));
  }

  /** Commits all there is, and closes the store. @throws StoreError where the last changes can't be stored */
  async stop(): Promise<void> {
    clearInterval(this.aliveTimer);
    this.sweep.stop();
    this.batch.setAlive(this.broker.wallMs());
    this.mustWriteAll = true;
    try {
      await this.batches.drain();
      const { storeChanges, storeBatches } = this.broker.counters;
      this.broker.log.log(LogType.information, `Persistence: ${storeChanges} changes in ${storeBatches} batches.`);
    } finally {
      await this.store.close();
    }
  }
}

/** What the broker publishes of itself is made anew at each start. */
function isOwnTopic(topicName: string): boolean {
  return topicName.startsWith('$SYS/');
}

function isWaiting(delivery: Delivery): boolean {
  return delivery.storage!.state === StorageState.waiting;
}

/** QoS 2 messages leave when they are committed. */
function pumpHeld(session: Session, broker: Broker): void {
  if (session.link !== null) session.outgoing?.pump(session.link, broker);
}
