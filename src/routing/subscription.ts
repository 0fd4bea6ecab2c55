import type { QoS } from '../protocol/packet-type.ts';

export interface SubscriptionOptions {
  qos: QoS;
  noLocal: boolean;
  retainAsPublished: boolean;
  /** Subscription Identifier, 0 for none (v5 section 3.8.2.1.2). */
  identifier: number;
}

const NO_LOCAL = 1;
const RETAIN_AS_PUBLISHED = 2;
const NEEDS_CHECK = 4;

/**
 * One session's interest in one topic filter. `list` is the array it stands in (of the filter or of its share group)
 * and `index` its place there, so that leaving a filter with a million subscribers costs the same as leaving one.
 */
export class Subscription<S> {
  readonly subscriber: S;
  readonly entry: FilterEntry<S>;
  readonly group: ShareGroup<S> | null;
  index: number;
  qos: QoS;
  identifier: number;
  /** Three booleans in one field: there may be millions of these. */
  private flags = 0;

  constructor(subscriber: S, entry: FilterEntry<S>, group: ShareGroup<S> | null, options: SubscriptionOptions) {
    this.subscriber = subscriber;
    this.entry = entry;
    this.group = group;
    this.index = -1;
    this.qos = options.qos;
    this.identifier = options.identifier;
    this.setFlags(options);
  }

  private setFlags({ noLocal, retainAsPublished }: SubscriptionOptions): void {
    this.flags = (this.flags & NEEDS_CHECK) | (noLocal ? NO_LOCAL : 0) | (retainAsPublished ? RETAIN_AS_PUBLISHED : 0);
  }

  get noLocal(): boolean {
    return (this.flags & NO_LOCAL) !== 0;
  }

  get retainAsPublished(): boolean {
    return (this.flags & RETAIN_AS_PUBLISHED) !== 0;
  }

  /** The subscriber may not receive all that the filter matches: each topic is asked for. */
  get needsCheck(): boolean {
    return (this.flags & NEEDS_CHECK) !== 0;
  }

  set needsCheck(needsCheck: boolean) {
    this.flags = needsCheck ? this.flags | NEEDS_CHECK : this.flags & ~NEEDS_CHECK;
  }

  /** A repeated SUBSCRIBE replaces the options and nothing else (v5 [MQTT-3.8.4-3]). */
  replaceOptions(options: SubscriptionOptions): void {
    this.qos = options.qos;
    this.identifier = options.identifier;
    this.setFlags(options);
  }

  /** The filter as the client wrote it, `$share/` and all. */
  get filterText(): string {
    return this.group === null ? this.entry.topicFilter : `$share/${this.group.shareName}/${this.entry.topicFilter}`;
  }
}

/** Who wants one topic filter. */
export class FilterEntry<S> {
  readonly topicFilter: string;
  /** The subscription of a filter that has one: most filters are one device's own topic, and need no list. */
  only: Subscription<S> | null = null;
  /** All subscriptions once there were two at a time; `only` is then null. */
  list: Subscription<S>[] | null = null;
  groups: ShareGroup<S>[] | null = null;

  constructor(topicFilter: string) {
    this.topicFilter = topicFilter;
  }

  get isEmpty(): boolean {
    return this.only === null && (this.list === null || this.list.length === 0) && this.groups === null;
  }

  get count(): number {
    return this.list !== null ? this.list.length : this.only === null ? 0 : 1;
  }

  add(subscription: Subscription<S>): void {
    if (this.list === null) {
      if (this.only === null) {
        this.only = subscription;
        subscription.index = 0;
        return;
      }
      this.list = [this.only];
      this.only = null;
    }
    subscription.index = this.list.length;
    this.list.push(subscription);
  }

  remove(subscription: Subscription<S>): void {
    if (this.list === null) this.only = null;
    else removeAt(this.list, subscription);
    subscription.index = -1;
  }
}

/** The sessions that share one filter under one ShareName; each message goes to one of them (v5 section 4.8.2). */
export class ShareGroup<S> {
  readonly shareName: string;
  readonly members: Subscription<S>[] = [];
  /** Where the next search for a receiver begins. */
  next = 0;
  /** Members that are away and may have messages for others; null: there were none yet. */
  waiting: Set<Subscription<S>> | null = null;

  constructor(shareName: string) {
    this.shareName = shareName;
  }

  add(subscription: Subscription<S>): void {
    subscription.index = this.members.length;
    this.members.push(subscription);
  }

  remove(subscription: Subscription<S>): void {
    this.waiting?.delete(subscription);
    removeAt(this.members, subscription);
    subscription.index = -1;
  }
}

/** Puts the last one in its place: the order of a list means nothing. */
function removeAt<S>(list: Subscription<S>[], subscription: Subscription<S>): void {
  const last = list.pop()!;
  if (last === subscription) return;
  list[subscription.index] = last;
  last.index = subscription.index;
}
