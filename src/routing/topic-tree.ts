// Hot path: topic -> filter entries. Benchmark: bench/micro/match.ts.
import { hasWildcard } from '../protocol/topic.ts';
import { FilterEntry, ShareGroup, Subscription, type SubscriptionOptions } from './subscription.ts';

/** One level of the filters that hold a wildcard. `hash` is the entry of the filter that ends in `#` below here. */
class WildcardNode<S> {
  readonly parent: WildcardNode<S> | null;
  readonly level: string;
  children: Map<string, WildcardNode<S>> | null = null;
  plus: WildcardNode<S> | null = null;
  hash: FilterEntry<S> | null = null;
  entry: FilterEntry<S> | null = null;

  constructor(parent: WildcardNode<S> | null, level: string) {
    this.parent = parent;
    this.level = level;
  }

  get isEmpty(): boolean {
    return this.children === null && this.plus === null && this.hash === null && this.entry === null;
  }
}

/**
 * All subscriptions of a broker. Filters without a wildcard, by far the most, live in one hash map; the others in a
 * tree by level. `generation` changes when the set of filters changes, so that a topic may keep the entries it matched
 * until then; joining or leaving a filter that others hold does not change it.
 */
export class TopicTree<S> {
  private readonly exact = new Map<string, FilterEntry<S>>();
  private readonly root = new WildcardNode<S>(null, '');
  generation = 1;
  filterCount = 0;
  subscriptionCount = 0;
  sharedSubscriptionCount = 0;

  /** Adds a subscription; the caller knows that the subscriber has none for this filter and share name. */
  subscribe(
    subscriber: S,
    topicFilter: string,
    shareName: string | null,
    options: SubscriptionOptions,
  ): Subscription<S> {
    const entry = this.entryFor(topicFilter);
    const group = shareName === null ? null : groupFor(entry, shareName);
    const subscription = new Subscription(subscriber, entry, group, options);
    if (group === null) entry.add(subscription);
    else group.add(subscription);
    this.subscriptionCount++;
    if (group !== null) this.sharedSubscriptionCount++;
    return subscription;
  }

  unsubscribe(subscription: Subscription<S>): void {
    const { entry, group } = subscription;
    if (group === null) entry.remove(subscription);
    else group.remove(subscription);
    this.subscriptionCount--;
    if (group !== null) {
      this.sharedSubscriptionCount--;
      if (group.members.length === 0 && entry.groups !== null) {
        entry.groups = entry.groups.length === 1 ? null : entry.groups.filter((one) => one !== group);
      }
    }
    if (entry.isEmpty) this.removeEntry(entry);
  }

  /** Fills `found` with the entries of all filters that match, in no order that means anything. */
  match(topicName: string, found: FilterEntry<S>[]): void {
    found.length = 0;
    const exact = this.exact.get(topicName);
    if (exact !== undefined) found.push(exact);
    if (this.root.isEmpty) return;
    const wildcards = topicName.charCodeAt(0) !== 0x24;
    if (wildcards && this.root.hash !== null) found.push(this.root.hash);
    this.walk(this.root, topicName, 0, wildcards, found);
  }

  private walk(
    node: WildcardNode<S>,
    topicName: string,
    start: number,
    wildcards: boolean,
    found: FilterEntry<S>[],
  ): void {
    const slash = topicName.indexOf('/', start);
    if (node.children !== null) {
      const level = slash < 0 ? topicName.slice(start) : topicName.slice(start, slash);
      const child = node.children.get(level);
      if (child !== undefined) this.enter(child, topicName, slash, found);
    }
    if (wildcards && node.plus !== null) this.enter(node.plus, topicName, slash, found);
  }

  /** `child` matched the level that ends at `slash` (-1: it was the last level). */
  private enter(child: WildcardNode<S>, topicName: string, slash: number, found: FilterEntry<S>[]): void {
    if (child.hash !== null) found.push(child.hash);
    if (slash < 0) {
      if (child.entry !== null) found.push(child.entry);
    } else this.walk(child, topicName, slash + 1, true, found);
  }

  /** All filters that somebody holds. The tree may change meanwhile: what comes or goes is met or not. */
  *entries(): Generator<FilterEntry<S>> {
    yield* this.exact.values();
    yield* entriesBelow(this.root);
  }

  private entryFor(topicFilter: string): FilterEntry<S> {
    if (!hasWildcard(topicFilter)) {
      const found = this.exact.get(topicFilter);
      if (found !== undefined) return found;
      const made = this.newEntry(topicFilter);
      this.exact.set(topicFilter, made);
      return made;
    }
    const endsInHash = topicFilter.charCodeAt(topicFilter.length - 1) === 0x23;
    const node = this.nodeFor(topicFilter, endsInHash);
    if (endsInHash) return (node.hash ??= this.newEntry(topicFilter));
    return (node.entry ??= this.newEntry(topicFilter));
  }

  private newEntry(topicFilter: string): FilterEntry<S> {
    this.generation++;
    this.filterCount++;
    return new FilterEntry<S>(topicFilter);
  }

  private nodeFor(topicFilter: string, endsInHash: boolean): WildcardNode<S> {
    const levels = topicFilter.split('/');
    if (endsInHash) levels.pop();
    let node = this.root;
    for (const level of levels) {
      if (level === '+') node = node.plus ??= new WildcardNode(node, level);
      else {
        node.children ??= new Map();
        let child = node.children.get(level);
        if (child === undefined) {
          child = new WildcardNode<S>(node, level);
          node.children.set(level, child);
        }
        node = child;
      }
    }
    return node;
  }

  private removeEntry(entry: FilterEntry<S>): void {
    this.generation++;
    this.filterCount--;
    if (!hasWildcard(entry.topicFilter)) {
      this.exact.delete(entry.topicFilter);
      return;
    }
    const endsInHash = entry.topicFilter.charCodeAt(entry.topicFilter.length - 1) === 0x23;
    let node = this.nodeFor(entry.topicFilter, endsInHash);
    if (endsInHash) node.hash = null;
    else node.entry = null;
    while (node.isEmpty && node.parent !== null) {
      const { parent } = node;
      if (parent.plus === node) parent.plus = null;
      else if (parent.children !== null) {
        parent.children.delete(node.level);
        if (parent.children.size === 0) parent.children = null;
      }
      node = parent;
    }
  }
}

function* entriesBelow<S>(node: WildcardNode<S>): Generator<FilterEntry<S>> {
  if (node.entry !== null) yield node.entry;
  if (node.hash !== null) yield node.hash;
  if (node.plus !== null) yield* entriesBelow(node.plus);
  if (node.children !== null) for (const child of node.children.values()) yield* entriesBelow(child);
}

function groupFor<S>(entry: FilterEntry<S>, shareName: string): ShareGroup<S> {
  entry.groups ??= [];
  for (const group of entry.groups) if (group.shareName === shareName) return group;
  const made = new ShareGroup<S>(shareName);
  entry.groups.push(made);
  return made;
}
