// On the road of QoS 1 and 2 messages. Benchmark: bench/broker (q1-100pairs).
import { Delivery, DeliveryState } from './delivery.ts';
import { Deque } from './deque.ts';
import { InflightTable } from './inflight-table.ts';

/** The connection a session sends on. */
export interface SessionLink {
  /** Most QoS 1 and 2 messages without their last acknowledgement (v5 [MQTT-3.3.4-9]). */
  readonly window: number;
  /** Sends a PUBLISH; false where the packet is larger than the client takes (v5 [MQTT-3.1.2-24]). */
  sendPublish(delivery: Delivery, dup: boolean): boolean;
  sendPubrel(packetId: number): void;
}

/** What the flow tells of messages that end without delivery. */
export interface FlowObserver {
  onDropped(delivery: Delivery, reason: DropReason): void;
  wallMs(): number;
}

/** Why a message did not reach a session: names of counters. */
export const DropReason = {
  queueFull: 'queue_full',
  expired: 'expired',
  tooLarge: 'too_large',
  refused: 'refused_by_client',
  sessionEnded: 'session_ended',
  slowReader: 'slow_reader',
  offline: 'offline_qos0',
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];

export interface QueueLimits {
  /** Messages waiting behind the window; 0: no limit. */
  readonly maxQueuedMessages: number;
  /** Their bytes; 0: no limit. */
  readonly maxQueuedBytes: number;
}

/** Outgoing QoS 1 and 2 messages of one session: the window in flight, and the queue behind it, both in order. */
export class OutgoingFlow {
  readonly inflight = new InflightTable();
  readonly queue = new Deque<Delivery>();
  queuedBytes = 0;
  /** No message in `queue` expires before this: wall clock milliseconds. */
  private earliestExpiryMs = Infinity;
  private nextPacketId = 1;
  /** How many of `inflight` are `unresent`: they take no place in the window yet. */
  private unresent = 0;
  /** Where the search for the next of them goes on. */
  private resendOrder: Iterator<Delivery> | null = null;

  get isEmpty(): boolean {
    return this.inflight.size === 0 && this.queue.length === 0;
  }

  /**
   * Sends the message or queues it.
   *
   * @returns false where the queue is full and the message was dropped
   */
  enqueue(delivery: Delivery, link: SessionLink | null, limits: QueueLimits, observer: FlowObserver): boolean {
    if (delivery.qos > 0) delivery.packetId = this.takePacketId();
    if (link !== null && this.queue.length === 0 && this.inflight.size < link.window) {
      this.send(delivery, link, observer);
      return true;
    }
    const { size, expiresAtMs } = delivery.message;
    if (this.isFull(size, limits)) {
      if (this.earliestExpiryMs <= observer.wallMs()) this.dropExpired(observer);
      if (this.isFull(size, limits)) {
        observer.onDropped(delivery, DropReason.queueFull);
        return false;
      }
    }
    this.queue.push(delivery);
    this.queuedBytes += size;
    if (expiresAtMs !== 0 && expiresAtMs < this.earliestExpiryMs) this.earliestExpiryMs = expiresAtMs;
    return true;
  }

  /** @param bytes of the message that wants in */
  private isFull(bytes: number, { maxQueuedMessages, maxQueuedBytes }: QueueLimits): boolean {
    return (
      (maxQueuedMessages > 0 && this.queue.length >= maxQueuedMessages) ||
      (maxQueuedBytes > 0 && this.queuedBytes + bytes > maxQueuedBytes)
    );
  }

  /** What expired while it waited makes room (v5 [MQTT-3.3.2-5]). */
  private dropExpired(observer: FlowObserver): void {
    const nowMs = observer.wallMs();
    this.earliestExpiryMs = Infinity;
    this.removeQueued((delivery) => {
      const { message } = delivery;
      if (message.isExpired(nowMs)) {
        observer.onDropped(delivery, DropReason.expired);
        return true;
      }
      if (message.expiresAtMs !== 0) this.earliestExpiryMs = Math.min(this.earliestExpiryMs, message.expiresAtMs);
      return false;
    });
  }

  /** Moves what fits from the queue into the window. */
  pump(link: SessionLink, observer: FlowObserver): void {
    if (this.unresent > 0) this.resendMore(link, observer);
    while (this.queue.length > 0 && this.inflight.size < link.window) {
      const delivery = this.queue.shift()!;
      this.queuedBytes -= delivery.message.size;
      if (delivery.message.isExpired(observer.wallMs())) observer.onDropped(delivery, DropReason.expired);
      else this.send(delivery, link, observer);
    }
  }

  private send(delivery: Delivery, link: SessionLink, observer: FlowObserver): void {
    if (delivery.qos === 0) {
      if (!link.sendPublish(delivery, false)) observer.onDropped(delivery, DropReason.tooLarge);
      return;
    }
    // A message that waited while 65,535 others came may find its identifier taken; the window is smaller than that.
    while (this.inflight.has(delivery.packetId)) delivery.packetId = this.takePacketId();
    delivery.state = DeliveryState.published;
    this.inflight.add(delivery);
    if (!link.sendPublish(delivery, false)) {
      this.inflight.delete(delivery.packetId);
      observer.onDropped(delivery, DropReason.tooLarge);
    }
  }

  /**
   * Identifiers 1..65535 in turn. Like Mosquitto, a message has its own from when it comes, also while it waits and even
   * if it is dropped then: clients see the same numbers.
   */
  private takePacketId(): number {
    const packetId = this.nextPacketId;
    this.nextPacketId = packetId === 65_535 ? 1 : packetId + 1;
    return packetId;
  }

  /**
   * Sends again what a new connection has to finish (v5 [MQTT-4.4.0-1]), then what waits. Each PUBREL goes out at once;
   * a PUBLISH beyond a window that is smaller than before waits for its place (v5 [MQTT-3.3.4-9]).
   */
  resume(link: SessionLink, observer: FlowObserver): void {
    this.unresent = 0;
    let room = link.window;
    for (const { state } of this.inflight.values()) if (state === DeliveryState.released) room--;
    for (const delivery of this.inflight.values()) {
      if (delivery.state === DeliveryState.released) link.sendPubrel(delivery.packetId);
      else if (room <= 0) {
        delivery.state = DeliveryState.unresent;
        this.unresent++;
      } else if (this.sendAgain(delivery, link, observer)) room--;
    }
    this.resendOrder = this.unresent === 0 ? null : this.inflight.values().values();
    this.pump(link, observer);
  }

  private resendMore(link: SessionLink, observer: FlowObserver): void {
    while (this.unresent > 0 && this.inflight.size - this.unresent < link.window) {
      const { done, value } = this.resendOrder!.next();
      if (done === true) break;
      if (value.state !== DeliveryState.unresent || this.inflight.get(value.packetId) !== value) continue;
      this.unresent--;
      this.sendAgain(value, link, observer);
    }
    if (this.unresent === 0) this.resendOrder = null;
  }

  private sendAgain(delivery: Delivery, link: SessionLink, observer: FlowObserver): boolean {
    delivery.state = DeliveryState.published;
    if (link.sendPublish(delivery, true)) return true;
    this.inflight.delete(delivery.packetId);
    observer.onDropped(delivery, DropReason.tooLarge);
    return false;
  }

  private remove(delivery: Delivery): void {
    this.inflight.delete(delivery.packetId);
    if (delivery.state === DeliveryState.unresent) this.unresent--;
  }

  /** @returns false where no QoS 1 message with this identifier waits for it */
  handlePuback(packetId: number, reasonCode: number, link: SessionLink, observer: FlowObserver): boolean {
    const delivery = this.inflight.get(packetId);
    if (delivery === undefined || delivery.qos !== 1) return false;
    this.remove(delivery);
    if (reasonCode >= 0x80) observer.onDropped(delivery, DropReason.refused);
    this.pump(link, observer);
    return true;
  }

  /** @returns false where no QoS 2 message with this identifier is in flight */
  handlePubrec(packetId: number, reasonCode: number, link: SessionLink, observer: FlowObserver): boolean {
    const delivery = this.inflight.get(packetId);
    if (delivery === undefined || delivery.qos !== 2) return false;
    if (reasonCode >= 0x80) {
      this.remove(delivery);
      observer.onDropped(delivery, DropReason.refused);
      this.pump(link, observer);
      return true;
    }
    if (delivery.state !== DeliveryState.released) {
      this.remove(delivery);
      delivery.state = DeliveryState.released;
      this.inflight.add(delivery);
    }
    link.sendPubrel(packetId);
    return true;
  }

  /** @returns false where no QoS 2 message with this identifier waits for it */
  handlePubcomp(packetId: number, link: SessionLink, observer: FlowObserver): boolean {
    const delivery = this.inflight.get(packetId);
    if (delivery === undefined || delivery.state !== DeliveryState.released) return false;
    this.inflight.delete(packetId);
    this.pump(link, observer);
    return true;
  }

  /**
   * Takes out what may go to another member of its share group: what was never sent, and QoS 1 messages without
   * their PUBACK; QoS 2 messages that were sent stay with this session (v5 [MQTT-4.8.2-4], [MQTT-4.8.2-5]).
   */
  takeShared(canMove: (delivery: Delivery) => boolean): Delivery[] {
    const taken: Delivery[] = [];
    for (const delivery of this.inflight.values()) {
      if (delivery.shared === null || delivery.qos !== 1 || !canMove(delivery)) continue;
      this.remove(delivery);
      taken.push(delivery);
    }
    this.queue.filter((delivery) => {
      if (delivery.shared === null || !canMove(delivery)) return true;
      this.queuedBytes -= delivery.message.size;
      taken.push(delivery);
      return false;
    });
    return taken;
  }

  /** Takes messages that were never sent out of the queue. */
  removeQueued(isUnwanted: (delivery: Delivery) => boolean): void {
    this.queue.filter((delivery) => {
      if (!isUnwanted(delivery)) return true;
      this.queuedBytes -= delivery.message.size;
      return false;
    });
  }

  /** Ends the flow: every message in it is told as dropped. */
  discard(observer: FlowObserver): void {
    for (const delivery of this.inflight.values()) {
      if (delivery.state !== DeliveryState.released) observer.onDropped(delivery, DropReason.sessionEnded);
    }
    for (let one = this.queue.shift(); one !== undefined; one = this.queue.shift()) {
      observer.onDropped(one, DropReason.sessionEnded);
    }
    this.inflight.clear();
    this.unresent = 0;
    this.queuedBytes = 0;
  }
}
