// Hot path: topic bytes -> Topic, without decoding a topic that was seen before. Benchmark: bench/micro/match.ts.
import { isValidTopicNameBytes } from '../protocol/topic.ts';
import { decodeUtf8, encodeUtf8, isValidUtf8 } from '../protocol/utf8.ts';
import type { FilterEntry } from './subscription.ts';
import type { TopicTree } from './topic-tree.ts';

/** A valid Topic Name, decoded and checked once, with what it matched. */
export class Topic<S> {
  readonly name: string;
  /** UTF-8 of the name, a copy. */
  readonly bytes: Uint8Array;
  readonly hash: number;
  /** Filters that match, valid while `generation` is the tree's. */
  readonly entries: FilterEntry<S>[] = [];
  generation = 0;

  constructor(name: string, bytes: Uint8Array, hash: number) {
    this.name = name;
    this.bytes = bytes;
    this.hash = hash;
  }

  /** The filter entries that match this topic now. */
  match(tree: TopicTree<S>): FilterEntry<S>[] {
    if (this.generation !== tree.generation) {
      tree.match(this.name, this.entries);
      this.generation = tree.generation;
    }
    return this.entries;
  }
}

const SMALLEST = 1_024;
const LARGEST = 131_072;
/** Longer topics are looked up anew each time: a client could else fill the table with 16 GB of them. */
const LONGEST_KEPT = 1_024;

/** FNV-1a over the bytes. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}

function sameBytes(topic: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < topic.length; i++) if (topic[i] !== bytes[start + i]) return false;
  return true;
}

/**
 * Topics seen lately, by the hash of their bytes: a direct-mapped table, as in a processor, in which a new topic takes
 * the place of the old one. It doubles while topics push each other out, to at most 131,072 places. Topics of more than
 * 1 KiB are not kept, but for the last one.
 */
export class TopicCache<S> {
  private table: (Topic<S> | null)[] = new Array<Topic<S> | null>(SMALLEST).fill(null);
  private mask = SMALLEST - 1;
  private evictions = 0;
  /** The topic looked up last: senders that stay on one topic skip the hash. */
  private last: Topic<S> | null = null;

  /** Null where the bytes are no valid Topic Name (not UTF-8, empty, wildcards, too many levels). */
  lookup(bytes: Uint8Array, start: number, end: number): Topic<S> | null {
    const { last } = this;
    if (last !== null && last.bytes.length === end - start && sameBytes(last.bytes, bytes, start)) return last;
    const hash = hashBytes(bytes, start, end);
    const found = this.table[hash & this.mask]!;
    if (
      found !== null &&
      found.hash === hash &&
      found.bytes.length === end - start &&
      sameBytes(found.bytes, bytes, start)
    ) {
      this.last = found;
      return found;
    }
    if (!isValidTopicNameBytes(bytes, start, end) || !isValidUtf8(bytes, start, end)) return null;
    return this.insert(new Topic<S>(decodeUtf8(bytes, start, end), bytes.slice(start, end), hash));
  }

  /** For topic names that are already strings (wills, $SYS, restored messages); the name must be valid. */
  byName(name: string): Topic<S> {
    const bytes = encodeUtf8(name);
    const hash = hashBytes(bytes, 0, bytes.length);
    const found = this.table[hash & this.mask]!;
    if (found !== null && found.hash === hash && found.name === name) return found;
    return this.insert(new Topic<S>(name, bytes, hash));
  }

  private insert(topic: Topic<S>): Topic<S> {
    this.last = topic;
    if (topic.bytes.length > LONGEST_KEPT) return topic;
    const slot = topic.hash & this.mask;
    if (this.table[slot] !== null && ++this.evictions > this.table.length && this.table.length < LARGEST) {
      this.grow();
    }
    this.table[topic.hash & this.mask] = topic;
    return topic;
  }

  private grow(): void {
    const old = this.table;
    this.table = new Array<Topic<S> | null>(old.length * 2).fill(null);
    this.mask = this.table.length - 1;
    this.evictions = 0;
    for (const topic of old) if (topic !== null) this.table[topic.hash & this.mask] = topic;
  }
}
