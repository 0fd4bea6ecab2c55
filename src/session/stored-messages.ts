// On the road of QoS 1 and 2 messages. Benchmark: bench/broker (q1-100pairs).
import type { Message } from './message.ts';

/**
 * Counts what a broker keeps of messages: each message once, however many sessions and the retained tree hold it, and
 * those that hold it.
 */
export class StoredMessages {
  /** Messages that somebody holds. */
  count = 0;
  /** Their payloads. */
  payloadBytes = 0;
  /** Their payloads, properties and topics. */
  bytes = 0;
  /** Who holds them, all together. */
  references = 0;

  hold(message: Message): void {
    this.references++;
    if (message.holders++ > 0) return;
    this.count++;
    this.payloadBytes += message.payload.length;
    this.bytes += message.size + message.topic.bytes.length;
  }

  /** Undoes one `hold`. */
  release(message: Message): void {
    this.references--;
    if (--message.holders > 0) return;
    this.count--;
    this.payloadBytes -= message.payload.length;
    this.bytes -= message.size + message.topic.bytes.length;
  }
}
