import type { RetainedSearch } from '../routing/retained-tree.ts';
import type { Subscription } from '../routing/subscription.ts';
import { Delivery } from '../session/delivery.ts';
import type { Message } from '../session/message.ts';
import { DropReason } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';

/** Messages sent for one subscription before other work has its turn. */
const SLICE = 256;
/** The same in bytes of payload and properties; a receiver with more of them unsent waits before it gets more. */
const SLICE_BYTES = 512 * 1024;
/** Subscriptions that get a slice before other connections have their turn. */
const JOBS_PER_TURN = 8;
/** While no receiver takes any, the pause between two looks doubles up to this. */
const LONGEST_PAUSE_MS = 128;

interface Job {
  readonly connection: ClientConnection;
  readonly subscription: Subscription<Session>;
  readonly search: RetainedSearch<Message>;
}

/**
 * Sends retained messages to new subscriptions in slices: `#` over a million of them neither stops the loop nor
 * overflows the queue of the session. Most searches end in the first slice, at once.
 */
export class RetainedSender {
  private readonly broker: Broker;
  private jobs: Job[] = [];
  private readonly found: Message[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private pauseMs = 1;
  private hasProgressed = false;
  /** Jobs in a row that had their turn in vain; once it was all of them, the pause grows. */
  private idleJobs = 0;

  constructor(broker: Broker) {
    this.broker = broker;
  }

  start(connection: ClientConnection, subscription: Subscription<Session>): void {
    const { retained } = this.broker;
    if (retained.count === 0) return;
    const job = { connection, subscription, search: retained.search(subscription.entry.topicFilter) };
    if (this.run(job)) return;
    this.jobs.push(job);
    this.pauseMs = 1;
    this.schedule();
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => this.runAll(), this.pauseMs);
  }

  private runAll(): void {
    this.timer = null;
    this.hasProgressed = false;
    // Those that had their turn go to the end: with hundreds of new subscriptions nobody else waits for all of them.
    const turn = this.jobs.splice(0, JOBS_PER_TURN);
    for (const job of turn) if (!this.run(job)) this.jobs.push(job);
    this.idleJobs = this.hasProgressed ? 0 : this.idleJobs + turn.length;
    if (this.hasProgressed) this.pauseMs = 1;
    else if (this.idleJobs >= this.jobs.length) {
      this.idleJobs = 0;
      this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
    }
    if (this.jobs.length > 0) this.schedule();
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.jobs = [];
  }

  /** One slice; true when the job is done or has no receiver any more. */
  private run({ connection, subscription, search }: Job): boolean {
    if (connection.session === null || subscription.index < 0 || !connection.isOpen) return true;
    const { found } = this;
    let room = this.room(connection, subscription);
    let bytes = 0;
    let isDone = false;
    while (room > 0 && bytes < SLICE_BYTES && !isDone) {
      found.length = 0;
      isDone = search.next(1, found);
      // A call visits a bounded number of nodes: one that found nothing has used its share of the slice all the same.
      room--;
      this.hasProgressed = true;
      const [message] = found;
      if (message === undefined) continue;
      bytes += message.size;
      this.send(connection, subscription, message);
    }
    found.length = 0;
    return isDone;
  }

  /** How many messages the receiver can take now without a drop. */
  private room(connection: ClientConnection, subscription: Subscription<Session>): number {
    if (connection.backlogBytes > SLICE_BYTES) return 0;
    if (subscription.qos === 0) return SLICE;
    const { maxQueuedMessages, maxQueuedBytes } = this.broker.options;
    const { outgoing } = connection.session!;
    const queued = outgoing === null ? 0 : outgoing.queue.length;
    const window = queued > 0 ? 0 : connection.window - (outgoing === null ? 0 : outgoing.inflight.size);
    // How many go into a limit by bytes is not known ahead: then nothing is queued.
    if (maxQueuedBytes > 0) return Math.min(SLICE, Math.max(0, window));
    if (maxQueuedMessages > 0) return Math.min(SLICE, Math.max(0, maxQueuedMessages - queued));
    return queued > SLICE ? 0 : SLICE;
  }

  private send(connection: ClientConnection, subscription: Subscription<Session>, message: Message): void {
    const { broker } = this;
    if (message.isExpired(broker.wallMs())) {
      broker.unretain(message.topic.name);
      broker.counters.drop(DropReason.expired);
      return;
    }
    const session = connection.session!;
    if (subscription.noLocal && message.publisherId === session.clientId) return;
    if (subscription.needsCheck && !session.access!.canReceive(message.topic.name)) return;
    const qos = message.qos < subscription.qos ? message.qos : subscription.qos;
    // v5 [MQTT-3.3.1-8]: RETAIN is set on what is sent for a new subscription.
    const delivery = new Delivery(message, qos, true, subscription.identifier, null);
    if (qos > 0) session.deliver(delivery, broker.options, broker);
    else if (!connection.sendPublish(delivery, false)) broker.counters.drop(DropReason.tooLarge);
  }
}
