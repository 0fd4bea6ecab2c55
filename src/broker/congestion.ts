import type { QueueLimits } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import type { ClientLink } from './client-link.ts';
import type { Counters } from './counters.ts';

/** Unsent bytes of a receiver above which its producers are held back, where the limit of a connection is not lower. */
const HIGH_WATER = 1024 * 1024;
const CHECK_MS = 100;
/** What a receiver takes between two checks where it keeps up: 64 KiB, or 32 acknowledgements. */
const FULL_PROGRESS = 256;
export const ACK_PROGRESS = FULL_PROGRESS / 32;

/**
 * Patience is counted in checks. Each check costs one, and full progress since the last earns five; less earns less. So a
 * receiver that takes at least 128 KiB or 64 messages a second is waited for without end, and a pause is forgiven to one
 * that did more.
 */
const EARNED = 5;
const MOST_PATIENCE = 20;
/** Of a receiver that sent something within the last second or two, such as acknowledgements: it lives. */
const PATIENCE_WITH_THE_LIVING = 10;
/** Of any other. One check could have begun just before, or have come late because the broker itself was kept busy. */
const LEAST_PATIENCE = 2;

/** A receiver with more unsent bytes than the high-water mark, or with its queue of QoS 1 and 2 messages half full. */
export class Congestion {
  /** Producers whose messages wait for it. */
  readonly waiting: ClientLink[] = [];
  /** It stopped reading: nobody waits for it while it does, and what it can't take is dropped. */
  isStalled = false;
  /** The log told that messages for it are dropped. */
  isTold = false;
  /** Checks that it may go on without progress. */
  patience: number;
  /** 256-byte units, and acknowledgements as `ACK_PROGRESS` of them, that went through since the last check. */
  progress = 0;

  constructor(patience: number) {
    this.patience = patience;
  }
}

/**
 * Back pressure from receivers to producers. A receiver that reads, but slower than its producers send, makes them
 * wait, so that a burst arrives whole, even if it pauses for up to two seconds in the middle. One whose patience is used
 * up is stalled: until it goes on, what its limits do not hold is dropped and counted, and nobody waits for it.
 */
export class CongestionControl {
  private readonly congested = new Set<ClientLink>();
  private readonly counters: Counters;
  private readonly limits: QueueLimits & { readonly maxOutgoingBytes: number };
  private timer: ReturnType<typeof setInterval> | null = null;

  constructor(counters: Counters, limits: QueueLimits & { readonly maxOutgoingBytes: number }) {
    this.counters = counters;
    this.limits = limits;
  }

  private get highWater(): number {
    return Math.min(HIGH_WATER, this.limits.maxOutgoingBytes / 2);
  }

  get size(): number {
    return this.congested.size;
  }

  onBlocked(connection: ClientLink): void {
    if (connection.congestion === null && connection.backlogBytes >= this.highWater) this.begin(connection);
  }

  /** A QoS 1 or 2 message was queued for the connection's session. */
  onQueued(connection: ClientLink, session: Session): void {
    if (connection.congestion === null && this.queueFill(session) > 0.5) this.begin(connection);
  }

  /** How full the queue behind the window is, 0 to 1: what is in memory, and what is in the store only. */
  private queueFill({ outgoing, durable }: Session): number {
    const { maxQueuedMessages, maxQueuedBytes } = this.limits;
    let messages = 0;
    let bytes = 0;
    if (outgoing !== null) {
      messages = outgoing.queue.length;
      bytes = outgoing.queuedBytes;
    }
    if (durable !== null) {
      messages += durable.length;
      bytes += durable.bytes;
    }
    return Math.max(
      maxQueuedMessages === 0 ? 0 : messages / maxQueuedMessages,
      maxQueuedBytes === 0 ? 0 : bytes / maxQueuedBytes,
    );
  }

  private begin(connection: ClientLink): void {
    connection.congestion = new Congestion(connection.wasHeardLately ? PATIENCE_WITH_THE_LIVING : LEAST_PATIENCE);
    this.congested.add(connection);
    connection.onCongested();
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
    producer.holdMessages();
    return true;
  }

  /** Bytes or acknowledgements of a congested connection went through. */
  onProgress(connection: ClientLink): void {
    if (connection.backlogBytes > this.highWater / 2) return;
    if (connection.session === null || this.queueFill(connection.session) <= 0.25) this.release(connection);
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
    for (const producer of producers) producer.releaseMessages();
  }

  private check(): void {
    for (const connection of this.congested) {
      const congestion = connection.congestion!;
      const earned = EARNED * Math.min(1, congestion.progress / FULL_PROGRESS);
      congestion.progress = 0;
      if (congestion.isStalled) {
        if (earned < EARNED) continue;
        congestion.isStalled = false;
        congestion.patience = earned;
        continue;
      }
      congestion.patience = Math.min(MOST_PATIENCE, congestion.patience + earned - 1);
      if (congestion.patience > 0) continue;
      congestion.isStalled = true;
      this.resumeProducers(congestion);
    }
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }
}
