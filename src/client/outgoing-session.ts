import { Deque } from '../session/deque.ts';
import type { OutgoingMessage } from './outgoing-message.ts';

/**
 * The sending half of a client's session state (v5 section 4.1), and what waits to become part of it. Made once the
 * client needs it: one that only receives has none.
 */
export class OutgoingSession {
  /** PUBLISH sent, no PUBACK or PUBREC yet; in the order of sending (v5 [MQTT-4.6.0-1]). */
  readonly published = new Map<number, OutgoingMessage>();
  /** PUBREC came, no PUBCOMP yet; in the order of the PUBRECs (v5 [MQTT-4.6.0-4]). */
  readonly releasing = new Map<number, OutgoingMessage>();
  /** Of `published`, what is to be sent again on this connection, in order; goes before `queue`. */
  resend = new Deque<OutgoingMessage>();
  /** Never sent, since the window was full or there was no connection. */
  readonly queue = new Deque<OutgoingMessage>();
  queuedBytes = 0;

  /** Something waits that must go before the next new message. */
  get hasBacklog(): boolean {
    return this.resend.length > 0 || this.queue.length > 0;
  }

  get unfinished(): number {
    return this.published.size + this.releasing.size + this.queue.length;
  }

  usesPacketId(packetId: number): boolean {
    return this.published.has(packetId) || this.releasing.has(packetId);
  }

  enqueue(message: OutgoingMessage): void {
    this.queue.push(message);
    this.queuedBytes += message.bytes;
  }

  dequeue(): OutgoingMessage | undefined {
    const message = this.queue.shift();
    if (message !== undefined) this.queuedBytes -= message.bytes;
    return message;
  }

  /** The server kept the session: all that is unacknowledged goes again (v5 [MQTT-4.4.0-1]). */
  resume(): void {
    this.resend = new Deque();
    for (const message of this.published.values()) {
      message.dup = true;
      this.resend.push(message);
    }
  }

  /**
   * The server has no session, so packet identifiers mean nothing any more (v5 [MQTT-3.2.2-5]). What it has not
   * acknowledged becomes new messages, ahead of the queue.
   *
   * @returns those it had answered with PUBREC: they have arrived
   */
  restart(): OutgoingMessage[] {
    const arrived = [...this.releasing.values()];
    const waiting: OutgoingMessage[] = [...this.published.values()];
    for (let next = this.dequeue(); next !== undefined; next = this.dequeue()) waiting.push(next);
    this.resend = new Deque();
    this.published.clear();
    this.releasing.clear();
    for (const message of waiting) {
      message.packetId = 0;
      message.dup = false;
      this.enqueue(message);
    }
    return arrived;
  }
}
