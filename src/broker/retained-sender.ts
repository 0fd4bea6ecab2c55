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
/** A receiver with this many unsent bytes, or messages queued, waits before it gets more. */
const PAUSE_BYTES = 512 * 1024;

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

  constructor(broker: Broker) {
    this.broker = broker;
  }

  start(connection: ClientConnection, subscription: Subscription<Session>): void {
    const { retained } = this.broker;
    if (retained.count === 0) return;
    const job = { connection, subscription, search: retained.search(subscription.entry.topicFilter) };
    if (this.run(job)) return;
    this.jobs.push(job);
    this.schedule();
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => this.runAll(), 1);
  }

  private runAll(): void {
    this.timer = null;
    this.jobs = this.jobs.filter((job) => !this.run(job));
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
    const room = this.room(connection);
    if (room === 0) return false;
    this.found.length = 0;
    const isDone = search.next(room, this.found);
    for (const message of this.found) this.send(connection, subscription, message);
    this.found.length = 0;
    return isDone;
  }

  /** How many messages the receiver can take now without a drop. */
  private room(connection: ClientConnection): number {
    if (connection.backlogBytes > PAUSE_BYTES) return 0;
    const { maxQueuedMessages, maxQueuedBytes } = this.broker.options;
    const { outgoing } = connection.session!;
    if (outgoing === null) return maxQueuedMessages === 0 ? SLICE : Math.min(SLICE, maxQueuedMessages);
    if (maxQueuedBytes > 0 && outgoing.queue.length > 0) return 0;
    if (maxQueuedMessages === 0) return outgoing.queue.length > SLICE ? 0 : SLICE;
    return Math.min(SLICE, Math.max(0, maxQueuedMessages - outgoing.queue.length));
  }

  private send(connection: ClientConnection, subscription: Subscription<Session>, message: Message): void {
    const { broker } = this;
    if (message.isExpired(broker.wallMs())) {
      broker.retained.delete(message.topic.name);
      broker.counters.drop(DropReason.expired);
      return;
    }
    const session = connection.session!;
    if (subscription.noLocal && message.publisherId === session.clientId) return;
    const qos = message.qos < subscription.qos ? message.qos : subscription.qos;
    // v5 [MQTT-3.3.1-8]: RETAIN is set on what is sent for a new subscription.
    const delivery = new Delivery(message, qos, true, subscription.identifier, null);
    if (qos > 0) session.deliver(delivery, broker.options, broker);
    else if (!connection.sendPublish(delivery, false)) broker.counters.drop(DropReason.tooLarge);
  }
}
