import { encodeUtf8 } from '../protocol/utf8.ts';
import { isSharedFilter, isValidTopicName } from '../protocol/topic.ts';
import type { Topic, TopicCache } from '../routing/topic-cache.ts';
import type { Session } from '../session/session.ts';

const LONGEST_TOPIC = 65_535;

/**
 * `mount_point`: stands before each topic and filter of a listener's clients, and is taken off what is sent to them. It
 * is put in front as it is; a `/` between is part of it where one is wanted.
 */
export class MountPoint {
  readonly text: string;
  private readonly bytes: Uint8Array;
  private buffer: Uint8Array;

  constructor(text: string) {
    this.text = text;
    this.bytes = encodeUtf8(text);
    this.buffer = new Uint8Array(this.bytes.length + 256);
    this.buffer.set(this.bytes);
  }

  /** The topic behind this mount point; null where that is none: see `TopicCache.lookup`, and too long. */
  lookup(topics: TopicCache<Session>, bytes: Uint8Array, start: number, end: number): Topic<Session> | null {
    const at = this.bytes.length;
    const length = at + end - start;
    if (length > LONGEST_TOPIC) return null;
    if (length > this.buffer.length) {
      this.buffer = new Uint8Array(length * 2);
      this.buffer.set(this.bytes);
    }
    const { buffer } = this;
    for (let i = start; i < end; i++) buffer[at + i - start] = bytes[i]!;
    return topics.lookup(buffer, 0, length);
  }

  /** The whole of a topic name, or null where it would be too long or have too many levels. */
  topicName(name: string): string | null {
    const whole = this.text + name;
    return encodeUtf8(whole).length <= LONGEST_TOPIC && isValidTopicName(whole) ? whole : null;
  }

  /** The whole of a filter; in a shared one the mount point stands behind the share name. */
  filter(topicFilter: string): string {
    if (!isSharedFilter(topicFilter)) return this.text + topicFilter;
    const at = topicFilter.indexOf('/', topicFilter.indexOf('/') + 1) + 1;
    return topicFilter.slice(0, at) + this.text + topicFilter.slice(at);
  }

  /** What a client sees of a topic; null where it sees nothing of it. */
  visible({ bytes }: Topic<Session>): Uint8Array | null {
    const { length } = this.bytes;
    if (bytes.length <= length) return null;
    for (let i = 0; i < length; i++) if (bytes[i] !== this.bytes[i]) return null;
    return bytes.subarray(length);
  }
}
