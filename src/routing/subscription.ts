import type { QoS } from '../protocol/packet-type.ts';
import type { RetainHandling } from '../protocol/subscribe.ts';

export interface SubscriptionOptions {
  qos: QoS;
  noLocal: boolean;
  retainAsPublished: boolean;
  retainHandling: RetainHandling;
  /** Subscription Identifier, 0 for none (v5 section 3.8.2.1.2). */
  identifier: number;
}

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
  noLocal: boolean;
  retainAsPublished: boolean;
  retainHandling: RetainHandling;
  identifier: number;

  constructor(subscriber: S, entry: FilterEntry<S>, group: ShareGroup<S> | null, options: SubscriptionOptions) {
    this.subscriber = subscriber;
    this.entry = entry;
    this.group = group;
    this.index = -1;
    this.qos = options.qos;
    this.noLocal = options.noLocal;
    this.retainAsPublished = options.retainAsPublished;
    this.retainHandling = options.retainHandling;
    this.identifier = options.identifier;
  }

  /** A repeated SUBSCRIBE replaces the options and nothing else (v5 [MQTT-3.8.4-3]). */
  replaceOptions(options: SubscriptionOptions): void {
    this.qos = options.qos;
    this.noLocal = options.noLocal;
    this.retainAsPublished = options.retainAsPublished;
    this.retainHandling = options.retainHandling;
    this.identifier = options.identifier;
  }

  /** The filter as the client wrote it, `$share/` and all. */
  get filterText(): string {
    return this.group === null ? this.entry.topicFilter : `$share/${this.group.shareName}/${this.entry.topicFilter}`;
  }
}

/** Who wants one topic filter. */
export class FilterEntry<S> {
  readonly topicFilter: string;
  readonly subscriptions: Subscription<S>[] = [];
  groups: ShareGroup<S>[] | null = null;

  constructor(topicFilter: string) {
    this.topicFilter = topicFilter;
  }

  get isEmpty(): boolean {
    return this.subscriptions.length === 0 && this.groups === null;
  }
}

/** The sessions that share one filter under one ShareName; each message goes to one of them (v5 section 4.8.2). */
export class ShareGroup<S> {
  readonly shareName: string;
  readonly members: Subscription<S>[] = [];
  /** Where the next search for a receiver begins. */
  next = 0;

  constructor(shareName: string) {
    this.shareName = shareName;
  }
}
