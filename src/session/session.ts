import type { ProtocolVersion } from '../protocol/packet-type.ts';
import type { Subscription } from '../routing/subscription.ts';
import type { Delivery } from './delivery.ts';
import type { DurableState } from './durable-state.ts';
import type { Message } from './message.ts';
import { DropReason, type FlowObserver, OutgoingFlow, type QueueLimits, type SessionLink } from './outgoing-flow.ts';
import type { Absence } from './absence.ts';
import type { UnreleasedMessages } from './unreleased-messages.ts';

/** Session Expiry Interval that means never (v5 section 3.1.2.11.2). */
export const NEVER_EXPIRES = 0xffff_ffff;

/** From this many subscriptions on a session finds them by a map. */
const LIST_LIMIT = 16;

/** The access rules as they are for one client. */
export interface SessionAccess {
  canPublish(topicName: string): boolean;
  canReceive(topicName: string): boolean;
  /** Of what the filter matches the client may receive: 0 nothing, 1 some, 2 all. */
  coverage(topicFilter: string): number;
}

export interface Will {
  readonly message: Message;
  /** Seconds from when the will is published; null: it does not expire (v5 section 3.1.3.2.4). */
  readonly messageExpiryInterval: number | null;
  /** Seconds after the connection ends (v5 section 3.1.3.2.2). */
  readonly delayInterval: number;
}

export interface SessionObserver extends FlowObserver {
  /** A delivery to a session that outlives the process begins: it gets its place in the store. */
  onDelivery(delivery: Delivery, session: Session): void;
  /** The first message of those that wait in the store is to make room for another one. */
  onOldestDropped(durable: DurableState): void;
  /** A first message of this connection, or since it ended, found the session's queue full. */
  onDropping(session: Session): void;
}

type Held = Subscription<Session> | Subscription<Session>[] | Map<string, Subscription<Session>> | null;

/**
 * What the broker keeps of a client between connections (v5 section 4.1): subscriptions, outgoing and incoming
 * QoS 1 and 2 messages. Most sessions are idle, so what they do not use is null.
 */
export class Session {
  readonly clientId: string;
  /** The live connection, or null while the client is away. */
  link: SessionLink | null = null;
  /** Of the last connection: decides between one copy a subscription (5) and one a session (before). */
  protocolVersion: ProtocolVersion;
  username: string | null = null;
  /** What the client may publish and receive; null: everything. */
  access: SessionAccess | null = null;
  /** Seconds the session outlives its connection; `NEVER_EXPIRES` for ever. */
  expiryInterval = 0;
  /** Deadlines while the client is away; null while it is connected. */
  absence: Absence | null = null;
  outgoing: OutgoingFlow | null = null;
  /** QoS 2 messages received and not released yet, by packet identifier; null: a duplicate is answered, not kept. */
  incoming: UnreleasedMessages | null = null;
  will: Will | null = null;
  /** What it has beside the others where it outlives the process; null where it does not. */
  durable: DurableState | null = null;
  /** Place in the broker's list of receivers of the message at hand: see `collectReceivers`. */
  receiverIndex = 0;
  /** One alone, a list while there are few, a map by filter text above `LIST_LIMIT`. */
  private held: Held = null;

  constructor(clientId: string, protocolVersion: ProtocolVersion) {
    this.clientId = clientId;
    this.protocolVersion = protocolVersion;
  }

  get subscriptionCount(): number {
    const { held } = this;
    if (held === null) return 0;
    if (held instanceof Map) return held.size;
    return Array.isArray(held) ? held.length : 1;
  }

  /** @param filterText the filter as the client wrote it, with `$share/` where it has one */
  findSubscription(filterText: string): Subscription<Session> | null {
    const { held } = this;
    if (held instanceof Map) return held.get(filterText) ?? null;
    for (const one of this.subscriptions()) if (one.filterText === filterText) return one;
    return null;
  }

  addSubscription(subscription: Subscription<Session>): void {
    const { held } = this;
    if (held === null) this.held = subscription;
    else if (held instanceof Map) held.set(subscription.filterText, subscription);
    else if (Array.isArray(held)) {
      held.push(subscription);
      if (held.length > LIST_LIMIT) this.held = new Map(held.map((one) => [one.filterText, one]));
    } else this.held = [held, subscription];
  }

  removeSubscription(subscription: Subscription<Session>): void {
    const { held } = this;
    if (held instanceof Map) held.delete(subscription.filterText);
    else if (Array.isArray(held)) this.held = held.filter((one) => one !== subscription);
    else if (held === subscription) this.held = null;
  }

  subscriptions(): Iterable<Subscription<Session>> {
    const { held } = this;
    if (held === null) return [];
    if (held instanceof Map) return held.values();
    return Array.isArray(held) ? held : [held];
  }

  clearSubscriptions(): void {
    this.held = null;
  }

  /** Sends or queues a message; see `OutgoingFlow.enqueue`. */
  deliver(delivery: Delivery, limits: QueueLimits, observer: SessionObserver): boolean {
    const { durable } = this;
    if (durable !== null) {
      observer.onDelivery(delivery, this);
      const isInStore = this.link === null ? delivery.shared === null : durable.length > 0 || durable.isResuming;
      if (isInStore) return this.leaveInStore(delivery, durable, limits, observer);
    }
    this.outgoing ??= new OutgoingFlow(durable === null ? 1 : durable.nextPacketId);
    const { outgoing } = this;
    if (outgoing.enqueue(delivery, this.link, limits, observer)) return true;
    if (!outgoing.isDropping) {
      outgoing.isDropping = true;
      observer.onDropping(this);
    }
    return false;
  }

  /** No further message is queued, be it in memory or in the store. */
  isQueueFull(limits: QueueLimits): boolean {
    const { outgoing, durable } = this;
    const messages = (outgoing === null ? 0 : outgoing.queue.length) + (durable === null ? 0 : durable.length);
    const bytes = (outgoing === null ? 0 : outgoing.queuedBytes) + (durable === null ? 0 : durable.bytes);
    return (
      (limits.maxQueuedMessages > 0 && messages >= limits.maxQueuedMessages) ||
      (limits.maxQueuedBytes > 0 && bytes >= limits.maxQueuedBytes)
    );
  }

  /** The client is away, or so far behind that its queue is in the store already: there the message waits. */
  private leaveInStore(
    delivery: Delivery,
    durable: DurableState,
    limits: QueueLimits,
    observer: SessionObserver,
  ): boolean {
    if (limits.queueFull === 'drop_oldest') {
      // What is in memory already is about to be sent.
      while (durable.length > 0 && this.isQueueFull(limits)) observer.onOldestDropped(durable);
    }
    if (!this.isQueueFull(limits)) {
      durable.add(delivery.storage!.seq, delivery.message.size, delivery.shared !== null);
      return true;
    }
    observer.onDropped(delivery, DropReason.queueFull);
    if (!durable.isDropping) {
      durable.isDropping = true;
      observer.onDropping(this);
    }
    return false;
  }
}
