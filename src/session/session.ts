import type { ProtocolVersion } from '../protocol/packet-type.ts';
import type { Subscription } from '../routing/subscription.ts';
import type { Delivery } from './delivery.ts';
import type { Message } from './message.ts';
import { type FlowObserver, OutgoingFlow, type QueueLimits, type SessionLink } from './outgoing-flow.ts';
import type { WheelItem } from './timer-wheel.ts';

/** Session Expiry Interval that means never (v5 section 3.1.2.11.2). */
export const NEVER_EXPIRES = 0xffff_ffff;

/** From this many subscriptions on a session finds them by a map. */
const LIST_LIMIT = 16;

export interface Will {
  readonly message: Message;
  /** Seconds from when the will is published; null: it does not expire (v5 section 3.1.3.2.4). */
  readonly messageExpiryInterval: number | null;
  /** Seconds after the connection ends (v5 section 3.1.3.2.2). */
  readonly delayInterval: number;
}

/**
 * What the broker keeps of a client between connections (v5 section 4.1): subscriptions, outgoing and incoming
 * QoS 1 and 2 messages. Most sessions are idle, so what they do not use is null.
 */
export class Session implements WheelItem {
  readonly clientId: string;
  /** The live connection, or null while the client is away. */
  link: SessionLink | null = null;
  /** Of the last connection: decides between one copy a subscription (5) and one a session (before). */
  protocolVersion: ProtocolVersion;
  username: string | null = null;
  /** Seconds the session outlives its connection; `NEVER_EXPIRES` for ever. */
  expiryInterval = 0;
  /** Monotonic second at which it ends while the client is away; -1 while it has none. */
  expiresAtSecond = -1;
  outgoing: OutgoingFlow | null = null;
  /** QoS 2 messages received and not released yet, by packet identifier; null: a duplicate is answered, not kept. */
  incoming: Map<number, Message | null> | null = null;
  will: Will | null = null;
  /** Monotonic second at which the will goes out while the client is away; -1: no will is waiting. */
  willAtSecond = -1;
  wheelSecond = -1;
  wheelIndex = 0;
  /** Place in the broker's list of receivers of the message at hand: see `collectReceivers`. */
  receiverIndex = 0;
  private list: Subscription<Session>[] | null = null;
  private byFilter: Map<string, Subscription<Session>> | null = null;

  constructor(clientId: string, protocolVersion: ProtocolVersion) {
    this.clientId = clientId;
    this.protocolVersion = protocolVersion;
  }

  get subscriptionCount(): number {
    return this.byFilter?.size ?? this.list?.length ?? 0;
  }

  /** @param filterText the filter as the client wrote it, with `$share/` where it has one */
  findSubscription(filterText: string): Subscription<Session> | null {
    if (this.byFilter !== null) return this.byFilter.get(filterText) ?? null;
    if (this.list !== null) for (const one of this.list) if (one.filterText === filterText) return one;
    return null;
  }

  addSubscription(subscription: Subscription<Session>): void {
    if (this.byFilter !== null) {
      this.byFilter.set(subscription.filterText, subscription);
      return;
    }
    this.list ??= [];
    this.list.push(subscription);
    if (this.list.length <= LIST_LIMIT) return;
    this.byFilter = new Map(this.list.map((one) => [one.filterText, one]));
    this.list = null;
  }

  removeSubscription(subscription: Subscription<Session>): void {
    if (this.byFilter !== null) {
      this.byFilter.delete(subscription.filterText);
      return;
    }
    if (this.list === null) return;
    this.list = this.list.length === 1 ? null : this.list.filter((one) => one !== subscription);
  }

  subscriptions(): Iterable<Subscription<Session>> {
    return this.byFilter?.values() ?? this.list ?? [];
  }

  clearSubscriptions(): void {
    this.byFilter = null;
    this.list = null;
  }

  /** Sends or queues a message; see `OutgoingFlow.enqueue`. */
  deliver(delivery: Delivery, limits: QueueLimits, observer: FlowObserver): boolean {
    this.outgoing ??= new OutgoingFlow();
    return this.outgoing.enqueue(delivery, this.link, limits, observer);
  }
}
