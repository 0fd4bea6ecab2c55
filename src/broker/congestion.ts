import type { ClientLink } from './client-link.ts';
import type { Counters } from './counters.ts';
import type { OutgoingFlow, QueueLimits } from '../session/outgoing-flow.ts';

/** Unsent bytes of a receiver above which its producers are held back, where the limit of a connection is not lower. */
const HIGH_WATER = 1024 * 1024;
const CHECK_MS = 100;
/** One could have begun just before, or have come late because the broker itself was kept from reading and writing. */
const IDLE_CHECKS = 2;
/** What a receiver must take between two checks to hold producers back: 64 KiB, or 32 acknowledgements. */
const LEAST_PROGRESS = 256;
export const ACK_PROGRESS = LEAST_PROGRESS / 32;

/** A receiver with more unsent bytes than the high-water mark, or with its queue of QoS 1 and 2 messages half full. */
export class Congestion {
  /** Producers whose reads wait for it. */
  readonly waiting: ClientLink[] = [];
  /** It stopped reading: nobody waits for it while it does, and what it can't take is dropped. */
  isStalled = false;
  /** Checks in a row that found too little progress. */
  idleChecks = 0;
  /** 256-byte units, and acknowledgements as `ACK_PROGRESS` of them, that went through since the last check. */
  progress = 0;
}

/**
 * Back pressure from receivers to producers. A receiver that reads, but slower than its producers send, makes them
 * wait, so that a burst arrives whole; one that takes less than some 640 KiB/s, or acknowledges fewer than 320 messages
 * a second, while it is behind is stalled: until it goes on, what its limits do not hold is dropped and counted, and
 * nobody waits for it. A stopped reader so costs its producers at most two check intervals.
 */
export class CongestionControl {
  private readonly congested = new Set<ClientLink>();
  private readonly counters: Counters;
  private readonly limits: QueueLimits;
  private readonly highWater: number;
  private timer: ReturnType<typeof setInterval> | null = null;

  constructor(counters: Counters, limits: QueueLimits & { readonly maxOutgoingBytes: number }) {
    this.counters = counters;
    this.limits = limits;
    this.highWater = Math.min(HIGH_WATER, limits.maxOutgoingBytes / 2);
  }

  get size(): number {
    return this.congested.size;
  }

  onBlocked(connection: ClientLink): void {
    if (connection.congestion === null && connection.backlogBytes >= this.highWater) this.begin(connection);
  }

  /** A QoS 1 or 2 message was queued for the connection's session. */
  onQueued(connection: ClientLink, flow: OutgoingFlow): void {
    if (connection.congestion === null && this.queueFill(flow) > 0.5) this.begin(connection);
  }

  /** How full the queue behind the window is, 0 to 1. */
  private queueFill(flow: OutgoingFlow | null): number {
    if (flow === null) return 0;
    const { maxQueuedMessages, maxQueuedBytes } = this.limits;
    const messages = maxQueuedMessages === 0 ? 0 : flow.queue.length / maxQueuedMessages;
    const bytes = maxQueuedBytes === 0 ? 0 : flow.queuedBytes / maxQueuedBytes;
    return Math.max(messages, bytes);
  }

  private begin(connection: ClientLink): void {
    connection.congestion = new Congestion();
    this.congested.add(connection);
    this.timer ??= setInterval(() => this.check(), CHECK_MS);
  }

  /**
   * Holds back a producer that sends to a congested receiver.
   *
   * @returns false where nobody waits for that receiver, or nobody can
   */
  hold(producer: ClientLink | null, receiver: ClientLink): boolean {
    const { congestion } = receiver;
    if (congestion === null || congestion.isStalled || producer === null || !producer.isOpen) return false;
    if (congestion.waiting.includes(producer)) return true;
    congestion.waiting.push(producer);
    this.counters.producersPaused++;
    producer.pauseReading();
    return true;
  }

  /** Bytes or acknowledgements of a congested connection went through. */
  onProgress(connection: ClientLink): void {
    if (connection.backlogBytes > this.highWater / 2) return;
    if (this.queueFill(connection.session?.outgoing ?? null) <= 0.25) this.release(connection);
  }

  onDrained(connection: ClientLink): void {
    if (connection.congestion !== null) this.onProgress(connection);
  }

  onClosed(connection: ClientLink): void {
    if (connection.congestion !== null) this.release(connection);
  }

  private release(connection: ClientLink): void {
    const { congestion } = connection;
    connection.congestion = null;
    this.congested.delete(connection);
    if (congestion !== null) this.resumeProducers(congestion);
    if (this.congested.size === 0) this.stop();
  }

  private resumeProducers(congestion: Congestion): void {
    const producers = congestion.waiting.splice(0);
    for (const producer of producers) producer.resumeReading();
  }

  private check(): void {
    for (const connection of this.congested) {
      const congestion = connection.congestion!;
      if (congestion.progress >= LEAST_PROGRESS) {
        congestion.idleChecks = 0;
        congestion.isStalled = false;
      } else if (++congestion.idleChecks === IDLE_CHECKS) {
        congestion.isStalled = true;
        this.resumeProducers(congestion);
      }
      congestion.progress = 0;
    }
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }
}
