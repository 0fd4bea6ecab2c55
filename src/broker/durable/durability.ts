// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable.
import type { ReasonCode } from '../../protocol/reason-code.ts';
import type { Subscription } from '../../routing/subscription.ts';
import type { Topic } from '../../routing/topic-cache.ts';
import { DurableState } from '../../session/durable-state.ts';
import type { Message } from '../../session/message.ts';
import type { Session } from '../../session/session.ts';
import type { SessionStore, StoreSummary } from '../../storage/session-store.ts';
import type { StoreBatch } from '../../storage/store-batch.ts';
import type { Broker } from '../broker.ts';
import type { ClientConnection } from '../client-connection.ts';
import { LogType } from '../log.ts';
import { BatchQueue } from './batch-queue.ts';
import { DeliveryWriter } from './delivery-writer.ts';
import { EndedQueues } from './ended-queues.ts';
import { ExpirySweep } from './expiry-sweep.ts';
import { IncomingMessages } from './incoming-messages.ts';
import { PublisherAcks } from './publisher-acks.ts';
import { toSessionRecord, toStoredMessage, toStoredSubscription } from './records.ts';
import { RestReader } from './rest-reader.ts';

/** What waits in memory while the store fails; above it nothing more is taken that would have to be stored. */
const MOST_WAITING_BYTES = 32 * 1024 * 1024;
/** How often the store hears that the process is alive. */
const ALIVE_MS = 10_000;

/**
 * Keeps sessions that outlive their connection in the store, and holds each acknowledgement back until what it promises
 * is there: acknowledge after commit, with group commit. Changes are gathered in a batch; one batch is committed at a
 * time.
 */
export class Durability {
  readonly store: SessionStore;
  readonly batches: BatchQueue;
  readonly acks: PublisherAcks;
  readonly deliveries: DeliveryWriter;
  readonly incoming: IncomingMessages;
  readonly ended: EndedQueues;
  readonly sweep: ExpirySweep;
  private readonly broker: Broker;
  private readonly reader: RestReader;
  private readonly lastStoredSessionId: number;
  private lastSessionId: number;
  /** Sessions of the store that changed, and what is retained now for topics where that changed: written as they are then. */
  private readonly changedSessions = new Set<Session>();
  private readonly changedRetained = new Map<string, Message | null>();
  /** Connections whose CONNACK waits. */
  private readonly gated = new Set<ClientConnection>();
  /** Sessions that were kept and ended; how many of them were by the end of the batch under way, and of the last one. */
  private endedSessions = 0;
  private endedAtClose = 0;
  private endedCommitted = 0;
  private aliveTimer: ReturnType<typeof setInterval> | undefined;

  constructor(broker: Broker, store: SessionStore, summary: StoreSummary) {
    this.broker = broker;
    this.store = store;
    this.lastSessionId = summary.lastSessionId;
    this.lastStoredSessionId = summary.lastSessionId;
    this.batches = new BatchQueue(store, broker, {
      close: (batch) => this.closeBatch(batch),
      committed: () => {
        this.endedCommitted = this.endedAtClose;
        this.deliveries.onCommitted();
      },
      failing: () => this.openGates(),
    });
    this.acks = new PublisherAcks(this.batches);
    this.deliveries = new DeliveryWriter(broker, this.batches, this.acks, summary);
    this.incoming = new IncomingMessages(this.batches, this.acks, this.deliveries);
    this.reader = new RestReader(broker, this);
    this.ended = new EndedQueues(broker, this);
    this.sweep = new ExpirySweep(broker, this);
  }

  private get batch(): StoreBatch {
    return this.batches.open;
  }

  // Sessions

  /** A client is connected to its session, whose properties are set. */
  onAttached(session: Session): void {
    if (session.durable === null) {
      if (session.expiryInterval === 0) return;
      session.durable = new DurableState(++this.lastSessionId);
      this.batch.putSession(toSessionRecord(session, 0));
    } else this.changeSession(session, 0);
    session.durable.isDropping = false;
    this.batches.schedule(true);
  }

  /** Sends what waits in memory and in the store, after CONNACK. */
  resume(session: Session): void {
    const durable = session.durable!;
    if (this.isAwaited(durable)) durable.isResuming = true;
    else this.reader.resume(session, durable);
  }

  /** There is room in the session's queue for more of what waits in the store. */
  readMore(session: Session): void {
    if (!session.durable!.isResuming) this.reader.read(session);
  }

  /** The client went away: what it has not acknowledged waits in the store from now on. */
  onDetached(session: Session): void {
    const { durable } = session;
    if (durable === null) return;
    durable.isDropping = false;
    this.reader.spill(durable, session);
    // While the store is taken up it is not known what was sent to it before: see `onLoaded`.
    if (durable.isResuming && this.isAwaited(durable)) return;
    this.changeSession(session, this.broker.wallMs());
    this.batches.schedule(true);
  }

  /** The store has messages for the session, perhaps, that are not taken up yet. */
  private isAwaited(durable: DurableState): boolean {
    return this.broker.loader !== null && durable.id <= this.lastStoredSessionId;
  }

  /**
   * The client was connected when the process ended, and has not come back: the store has from now on when it went away.
   * Otherwise it would count as gone from the end of this process, after the next start.
   */
  recordAbsence(session: Session, awaySinceMs: number): void {
    if (session.durable === null || session.link !== null || session.durable.awaySinceMs !== 0) return;
    this.changeSession(session, awaySinceMs);
    this.batches.schedule(false);
  }

  /** Everything is known now of a session that was restored. */
  onLoaded(session: Session): void {
    if (session.durable === null) return;
    if (session.link !== null) this.resume(session);
    // Its client came and went meanwhile.
    else if (session.durable.isResuming) this.changeSession(session, this.broker.wallMs());
  }

  /** The will of a client that is away went out. */
  onWillPublished(session: Session): void {
    if (session.durable === null) return;
    this.changeSession(session, session.durable.awaySinceMs);
    this.batches.schedule(true);
  }

  /** The session is over; its deliveries in memory were dropped before. */
  onEnded(session: Session): void {
    const { durable } = session;
    if (durable === null) return;
    this.incoming.onEnded(session);
    this.batch.deleteSession(durable.id);
    this.ended.take(session, durable);
    this.changedSessions.delete(session);
    this.endedSessions++;
    session.durable = null;
    this.batches.schedule(true);
  }

  /** A client that comes and goes while the store fails leaves one change. */
  private changeSession(session: Session, awaySinceMs: number): void {
    session.durable!.awaySinceMs = awaySinceMs;
    this.changedSessions.add(session);
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

  /**
   * Holds what is sent to a client back until its CONNECT is committed, or turns out to be more than the store takes: that
   * its session is kept or, where one was and must not come back, that it has ended.
   */
  gate(connection: ClientConnection): void {
    const isEndOpen = this.endedSessions > this.endedCommitted;
    if (this.batches.isFailing || (connection.session!.durable === null && !isEndOpen)) return;
    connection.closeGate();
    this.gated.add(connection);
    this.batches.afterCommit(() => {
      if (this.gated.delete(connection)) connection.openGate();
    });
  }

  private openGates(): void {
    for (const connection of this.gated) connection.openGate();
    this.gated.clear();
  }

  // A store that fails

  /** While the store fails: so much waits already that nothing more may. */
  get isOverfull(): boolean {
    return this.batches.isFailing && this.batch.length + this.deliveries.waitingBytes > MOST_WAITING_BYTES;
  }

  /** Why a message that must be stored can't be; null while the store works. */
  get refusal(): ReasonCode | null {
    return this.batches.refusal;
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

  // Retained messages

  onRetained(message: Message): void {
    if (isOwnTopic(message.topic.name)) return;
    this.changedRetained.set(message.topic.name, message);
    this.acks.expectBatch();
  }

  /** @param wasRetained false: nothing was; perhaps no longer, and that is not committed */
  onUnretained(topicName: string, wasRetained: boolean): void {
    if (isOwnTopic(topicName)) return;
    if (wasRetained) this.changedRetained.set(topicName, null);
    this.acks.expectBatch();
  }

  // Batches

  private closeBatch(batch: StoreBatch): void {
    this.endedAtClose = this.endedSessions;
    this.deliveries.write(batch);
    this.incoming.write(batch);
    for (const session of this.changedSessions) {
      batch.putSession(toSessionRecord(session, session.durable!.awaySinceMs));
    }
    for (const [topicName, message] of this.changedRetained) {
      if (message === null) batch.deleteRetained(topicName);
      else batch.putRetained(toStoredMessage(message));
    }
    this.changedSessions.clear();
    this.changedRetained.clear();
    this.deliveries.close();
  }

  /** From now on the store hears that we are alive. */
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

  /** Resolves when all changes until now are stored. */
  commitAll(): Promise<void> {
    this.deliveries.hurry();
    return new Promise((resolve) => this.batches.afterCommit(resolve));
  }

  /** Commits all there is, and closes the store. @throws StoreError where the last changes can't be stored */
  async stop(): Promise<void> {
    clearInterval(this.aliveTimer);
    this.sweep.stop();
    this.ended.stop();
    this.batch.setAlive(this.broker.wallMs());
    this.deliveries.hurry();
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
