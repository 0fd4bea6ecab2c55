import type { RetainedSearch } from '../routing/retained-tree.ts';
import type { Subscription } from '../routing/subscription.ts';
import { Delivery } from '../session/delivery.ts';
import type { Message } from '../session/message.ts';
import { DropReason } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import type { ListenerInfo } from './listener-info.ts';

/** Messages sent to one connection before other work has its turn. */
const SLICE = 256;
/** The same in bytes of payload and properties; a receiver with more of them unsent waits before it gets more. */
const SLICE_BYTES = 512 * 1024;
/** Connections that get a slice before other work has its turn. */
const CONNECTIONS_PER_TURN = 8;
/** While no receiver takes any, the pause between two looks doubles up to this. */
const LONGEST_PAUSE_MS = 128;

/** Searches that are not over, by subscription: the same one again begins anew, so there are no more than those. */
type Searches = Map<Subscription<Session>, RetainedSearch<Message>>;

/**
 * Sends retained messages to new subscriptions in slices: `#` over a million of them neither stops the loop nor
 * overflows the queue of the session. Most searches end in the first slice, at once.
 */
export class RetainedSender {
  private readonly broker: Broker;
  /** In the order of their turns. */
  private readonly waiting = new Map<ClientConnection, Searches>();
  private readonly found: Message[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private pauseMs = 1;
  private hasProgressed = false;
  /** Connections in a row that had their turn in vain; once it was all of them, the pause grows. */
  private idleTurns = 0;

  constructor(broker: Broker) {
    this.broker = broker;
  }

  /** How many searches are not over. */
  get size(): number {
    let sum = 0;
    for (const searches of this.waiting.values()) sum += searches.size;
    return sum;
  }

  start(connection: ClientConnection, subscription: Subscription<Session>): void {
    const { loader } = this.broker;
    if (loader !== null) return loader.whenLoaded(() => this.start(connection, subscription));
    const { retained } = this.broker;
    if (retained.count === 0) return;
    const search = retained.search(subscription.entry.topicFilter);
    const others = this.waiting.get(connection);
    if (others !== undefined) {
      others.delete(subscription);
      others.set(subscription, search);
      return;
    }
    const searches: Searches = new Map([[subscription, search]]);
    if (this.run(connection, searches)) return;
    this.waiting.set(connection, searches);
    this.pauseMs = 1;
    this.schedule();
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => this.takeTurn(), this.pauseMs);
  }

  private takeTurn(): void {
    this.timer = null;
    this.hasProgressed = false;
    const turn = [...this.waiting.entries().take(CONNECTIONS_PER_TURN)];
    for (const [connection, searches] of turn) {
      this.waiting.delete(connection);
      // Those that had their turn go to the end: with hundreds of new subscriptions nobody else waits for all of them.
      if (!this.run(connection, searches)) this.waiting.set(connection, searches);
    }
    this.idleTurns = this.hasProgressed ? 0 : this.idleTurns + turn.length;
    if (this.hasProgressed) this.pauseMs = 1;
    else if (this.idleTurns >= this.waiting.size) {
      this.idleTurns = 0;
      this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
    }
    if (this.waiting.size > 0) this.schedule();
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.waiting.clear();
  }

  /** One slice; true when all searches are over or have no receiver any more. */
  private run(connection: ClientConnection, searches: Searches): boolean {
    if (connection.session === null || !connection.isOpen) return true;
    let left = SLICE;
    for (const [subscription, search] of searches) {
      if (left > 0 && subscription.index >= 0) {
        const used = this.send(connection, subscription, search, left);
        if (used < 0) return false;
        left -= used;
      }
      if (left <= 0) return false;
      searches.delete(subscription);
    }
    return true;
  }

  /** How much of the slice a search took that is over; -1 where it is not. */
  private send(
    connection: ClientConnection,
    subscription: Subscription<Session>,
    search: RetainedSearch<Message>,
    most: number,
  ): number {
    const { found } = this;
    const room = Math.min(most, this.room(connection, subscription));
    let used = 0;
    let bytes = 0;
    let isDone = false;
    while (used < room && bytes < SLICE_BYTES && !isDone) {
      found.length = 0;
      isDone = search.next(1, found);
      // A call visits a bounded number of nodes: one that found nothing has used its share of the slice all the same.
      used++;
      this.hasProgressed = true;
      const [message] = found;
      if (message === undefined) continue;
      bytes += message.size;
      this.sendOne(connection, subscription, message);
      // How many go into a limit by bytes is not known ahead: then no two are queued.
      if (this.broker.options.maxQueuedBytes > 0 && isQueueing(connection)) break;
    }
    found.length = 0;
    return isDone ? used : -1;
  }

  /** How many messages the receiver can take now without a drop. */
  private room(connection: ClientConnection, subscription: Subscription<Session>): number {
    if (connection.backlogBytes > SLICE_BYTES) return 0;
    const { maxQueuedMessages, maxQueuedBytes, upgradeOutgoingQos } = this.broker.options;
    if (subscription.qos === 0 && !upgradeOutgoingQos) return SLICE;
    if (maxQueuedBytes > 0 && isQueueing(connection)) return 0;
    const { outgoing, durable } = connection.session!;
    const queued = (outgoing === null ? 0 : outgoing.queue.length) + (durable === null ? 0 : durable.length);
    if (maxQueuedMessages > 0) return Math.min(SLICE, Math.max(0, maxQueuedMessages - queued));
    return queued > SLICE ? 0 : SLICE;
  }

  private sendOne(connection: ClientConnection, subscription: Subscription<Session>, message: Message): void {
    const { broker } = this;
    if (message.isExpired(broker.wallMs())) {
      broker.unretain(message.topic.name);
      broker.counters.drop(DropReason.expired);
      return;
    }
    const session = connection.session!;
    if (subscription.noLocal && message.publisherId === session.clientId) return;
    if (subscription.needsCheck && !session.access!.canReceive(message.topic.name)) return;
    if (!this.mayStillWrite(message)) return;
    const granted = subscription.qos;
    const qos = granted < message.qos || broker.options.upgradeOutgoingQos ? granted : message.qos;
    // v5 [MQTT-3.3.1-8]: RETAIN is set on what is sent for a new subscription.
    const delivery = new Delivery(message, qos, true, subscription.identifier, null);
    if (qos > 0) session.deliver(delivery, broker.options, broker);
    else if (!connection.sendPublish(delivery, false)) broker.counters.drop(DropReason.tooLarge);
  }

  /** `check_retain_source`: whether the publisher may write to the topic by the rules of now. */
  private mayStillWrite({ source, topic, publisherId }: Message): boolean {
    const { broker } = this;
    if (source === null || !broker.options.checkRetainSource) return true;
    const { topics } = broker.accessOf(source.listener as ListenerInfo);
    if (topics === null) return true;
    return topics.canPublish({ clientId: publisherId, username: source.username, address: '' }, topic.name);
  }
}

/** Messages wait behind the window. */
function isQueueing({ session }: ClientConnection): boolean {
  const { outgoing, durable } = session!;
  return (outgoing !== null && outgoing.queue.length > 0) || (durable !== null && durable.length > 0);
}
