// On the road of QoS 1 and 2 messages. Benchmark: bench/broker (q1-100pairs).
import { Delivery, DeliveryState } from './delivery.ts';
import { Deque } from './deque.ts';
import { InflightTable } from './inflight-table.ts';
import type { StoredMessages } from './stored-messages.ts';

/** The connection a session sends on. */
export interface SessionLink {
  /** Most QoS 1 and 2 messages without their last acknowledgement (v5 [MQTT-3.3.4-9]). */
  readonly window: number;
  /** With so many bytes of them no further one is sent; Infinity: no limit. */
  readonly windowBytes: number;
  /** Sends a PUBLISH; false where the packet is larger than the client takes (v5 [MQTT-3.1.2-24]). */
  sendPublish(delivery: Delivery, dup: boolean): boolean;
  sendPubrel(packetId: number): void;
}

/** What the flow tells of the messages it keeps, and of those that end without delivery. */
export interface FlowObserver {
  readonly stored: StoredMessages;
  onDropped(delivery: Delivery, reason: DropReason): void;
  /** A delivery with a place in the store ended: it was acknowledged, or taken away. */
  onFinished(delivery: Delivery): void;
  /** PUBREC came for a delivery with a place in the store: whoever is told sends PUBREL. */
  onReleased(delivery: Delivery, link: SessionLink): void;
  /** A delivery with a place in the store has another packet identifier from now on. */
  onRenumbered(delivery: Delivery): void;
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
  denied: 'denied',
  memoryLimit: 'memory_limit',
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];

export interface QueueLimits {
  /** Messages waiting behind the window; 0: no limit. */
  readonly maxQueuedMessages: number;
  /** With so many bytes of them no further one is queued; 0: no limit. */
  readonly maxQueuedBytes: number;
  /** What gives way where the queue is full: the message that comes, or the oldest that waits. */
  readonly queueFull: 'drop_new' | 'drop_oldest' | 'disconnect';
}

/** Outgoing QoS 1 and 2 messages of one session: the window in flight, and the queue behind it, both in order. */
export class OutgoingFlow {
  readonly inflight = new InflightTable();
  readonly queue = new Deque<Delivery>();
  queuedBytes = 0;
  private inflightBytes = 0;
  /** Messages have been dropped since the last `resume`, and it was told. */
  isDropping = false;
  /** No message in `queue` expires before this: wall clock milliseconds. */
  private earliestExpiryMs = Infinity;
  nextPacketId: number;
  /** How many of `inflight` are `unresent`: they take no place in the window yet. */
  private unresent = 0;
  private unresentBytes = 0;
  /** Where the search for the next of them goes on. */
  private resendOrder: Iterator<Delivery> | null = null;

  /** @param nextPacketId where the numbering goes on */
  constructor(nextPacketId = 1) {
    this.nextPacketId = nextPacketId;
  }

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
    const { message } = delivery;
    if (link !== null && this.queue.length === 0 && this.hasWindow(link) && !delivery.isHeld) {
      if (delivery.qos > 0) observer.stored.hold(message);
      this.send(delivery, link, observer);
      return true;
    }
    if (!this.isFull(limits)) {
      this.keep(delivery, observer);
      return true;
    }
    if (this.earliestExpiryMs <= observer.wallMs()) this.dropExpired(observer);
    const hasRoom = !this.isFull(limits) || (limits.queueFull === 'drop_oldest' && this.dropOldest(limits, observer));
    if (hasRoom) this.keep(delivery, observer);
    else observer.onDropped(delivery, DropReason.queueFull);
    // What gave way may have been what the others waited for.
    if (link !== null) this.pump(link, observer);
    return hasRoom;
  }

  /** Puts a delivery behind the others, whatever the limits say. */
  keep(delivery: Delivery, observer: FlowObserver): void {
    const { message } = delivery;
    this.queue.push(delivery);
    this.queuedBytes += message.size;
    observer.stored.hold(message);
    const { expiresAtMs } = message;
    if (expiresAtMs !== 0 && expiresAtMs < this.earliestExpiryMs) this.earliestExpiryMs = expiresAtMs;
  }

  /** Takes up a delivery that an earlier connection has in flight. */
  restore(delivery: Delivery, observer: FlowObserver): void {
    this.inflight.add(delivery);
    this.inflightBytes += delivery.message.size;
    observer.stored.hold(delivery.message);
  }

  /** Gives a delivery a packet identifier that nothing in flight has. */
  number(delivery: Delivery, observer: FlowObserver): void {
    do delivery.packetId = this.takePacketId();
    while (this.inflight.has(delivery.packetId));
    if (delivery.storage !== null) observer.onRenumbered(delivery);
  }

  /** Whether the link takes one more message in flight. */
  private hasWindow(link: SessionLink): boolean {
    return this.inflight.size < link.window && this.inflightBytes < link.windowBytes;
  }

  /** The queue takes no further message. As in Mosquitto the last one taken may exceed the limit in bytes. */
  isFull({ maxQueuedMessages, maxQueuedBytes }: QueueLimits): boolean {
    return (
      (maxQueuedMessages > 0 && this.queue.length >= maxQueuedMessages) ||
      (maxQueuedBytes > 0 && this.queuedBytes >= maxQueuedBytes)
    );
  }

  /** Drops from the front what is more than fits beside one more message; false where nothing waits. */
  private dropOldest(limits: QueueLimits, observer: FlowObserver): boolean {
    if (this.queue.length === 0) return false;
    while (this.isFull(limits)) {
      const oldest = this.queue.shift();
      if (oldest === undefined) break;
      this.queuedBytes -= oldest.message.size;
      observer.stored.release(oldest.message);
      observer.onDropped(oldest, DropReason.queueFull);
    }
    return true;
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
    }, observer);
  }

  /** Moves what fits from the queue into the window. */
  pump(link: SessionLink, observer: FlowObserver): void {
    if (this.unresent > 0) this.resendMore(link, observer);
    while (this.queue.length > 0 && this.hasWindow(link)) {
      const first = this.queue.peek()!;
      // A message that waited while 65,535 others came may find its identifier taken; the window is smaller than that.
      if (first.qos > 0 && !first.isHeld && this.inflight.has(first.packetId)) this.number(first, observer);
      if (first.isHeld) return;
      const delivery = this.queue.shift()!;
      const { message } = delivery;
      this.queuedBytes -= message.size;
      if (message.isExpired(observer.wallMs())) {
        observer.stored.release(message);
        observer.onDropped(delivery, DropReason.expired);
        continue;
      }
      this.send(delivery, link, observer);
      if (delivery.qos === 0) observer.stored.release(message);
    }
  }

  private send(delivery: Delivery, link: SessionLink, observer: FlowObserver): void {
    if (delivery.qos === 0) {
      if (!link.sendPublish(delivery, false)) observer.onDropped(delivery, DropReason.tooLarge);
      else if (delivery.storage !== null) observer.onFinished(delivery);
      return;
    }
    if (this.inflight.has(delivery.packetId)) this.number(delivery, observer);
    delivery.state = DeliveryState.published;
    this.inflight.add(delivery);
    this.inflightBytes += delivery.message.size;
    if (!link.sendPublish(delivery, false)) {
      this.remove(delivery, observer);
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
    this.isDropping = false;
    this.unresent = 0;
    this.unresentBytes = 0;
    let room = link.window;
    let bytes = 0;
    for (const { state, message } of this.inflight.values()) {
      if (state !== DeliveryState.released) continue;
      room--;
      bytes += message.size;
    }
    for (const delivery of this.inflight.values()) {
      const { size } = delivery.message;
      if (delivery.state === DeliveryState.released) {
        if (!delivery.isHeld) link.sendPubrel(delivery.packetId);
      } else if (room <= 0 || bytes >= link.windowBytes) {
        delivery.state = DeliveryState.unresent;
        this.unresent++;
        this.unresentBytes += size;
      } else if (this.sendAgain(delivery, link, observer)) {
        room--;
        bytes += size;
      }
    }
    this.resendOrder = this.unresent === 0 ? null : this.inflight.values().values();
    this.pump(link, observer);
  }

  private resendMore(link: SessionLink, observer: FlowObserver): void {
    while (
      this.unresent > 0 &&
      this.inflight.size - this.unresent < link.window &&
      this.inflightBytes - this.unresentBytes < link.windowBytes
    ) {
      const { done, value } = this.resendOrder!.next();
      if (done === true) break;
      if (value.state !== DeliveryState.unresent || this.inflight.get(value.packetId) !== value) continue;
      this.unresent--;
      this.unresentBytes -= value.message.size;
      this.sendAgain(value, link, observer);
    }
    if (this.unresent === 0) this.resendOrder = null;
  }

  private sendAgain(delivery: Delivery, link: SessionLink, observer: FlowObserver): boolean {
    delivery.state = DeliveryState.published;
    if (link.sendPublish(delivery, true)) return true;
    this.remove(delivery, observer);
    observer.onDropped(delivery, DropReason.tooLarge);
    return false;
  }

  /** Takes a message in flight out for good. */
  private remove(delivery: Delivery, observer: FlowObserver): void {
    const { message } = delivery;
    this.inflight.delete(delivery.packetId);
    this.inflightBytes -= message.size;
    this.leaveUnresent(delivery);
    observer.stored.release(message);
    if (delivery.storage !== null) observer.onFinished(delivery);
  }

  private leaveUnresent(delivery: Delivery): void {
    if (delivery.state !== DeliveryState.unresent) return;
    this.unresent--;
    this.unresentBytes -= delivery.message.size;
  }

  /** @returns false where no QoS 1 message with this identifier waits for it */
  handlePuback(packetId: number, reasonCode: number, link: SessionLink, observer: FlowObserver): boolean {
    const delivery = this.inflight.get(packetId);
    if (delivery === undefined || delivery.qos !== 1) return false;
    this.remove(delivery, observer);
    if (reasonCode >= 0x80) observer.onDropped(delivery, DropReason.refused);
    this.pump(link, observer);
    return true;
  }

  /** @returns false where no QoS 2 message with this identifier is in flight */
  handlePubrec(packetId: number, reasonCode: number, link: SessionLink, observer: FlowObserver): boolean {
    const delivery = this.inflight.get(packetId);
    if (delivery === undefined || delivery.qos !== 2) return false;
    if (reasonCode >= 0x80) {
      this.remove(delivery, observer);
      observer.onDropped(delivery, DropReason.refused);
      this.pump(link, observer);
      return true;
    }
    if (delivery.state !== DeliveryState.released) {
      this.inflight.delete(packetId);
      this.leaveUnresent(delivery);
      delivery.state = DeliveryState.released;
      this.inflight.add(delivery);
      if (delivery.storage !== null) {
        observer.onReleased(delivery, link);
        return true;
      }
    }
    if (!delivery.isHeld) link.sendPubrel(packetId);
    return true;
  }

  /** @returns false where no QoS 2 message with this identifier waits for it */
  handlePubcomp(packetId: number, link: SessionLink, observer: FlowObserver): boolean {
    const delivery = this.inflight.get(packetId);
    if (delivery === undefined || delivery.state !== DeliveryState.released) return false;
    this.remove(delivery, observer);
    this.pump(link, observer);
    return true;
  }

  /**
   * Offers what may go to another member of its share group: what was never sent, and QoS 1 messages without their
   * PUBACK; QoS 2 messages that were sent stay with this session (v5 [MQTT-4.8.2-4], [MQTT-4.8.2-5]).
   *
   * @param handOver gives one to somebody else; true where it did, and the message is no longer this session's
   */
  moveShared(handOver: (delivery: Delivery) => boolean, observer: FlowObserver): void {
    for (const delivery of this.inflight.values()) {
      if (delivery.shared !== null && delivery.qos === 1 && handOver(delivery)) this.remove(delivery, observer);
    }
    this.removeQueued((delivery) => delivery.shared !== null && handOver(delivery), observer);
  }

  /** Takes messages that were never sent out of the queue. */
  removeQueued(isUnwanted: (delivery: Delivery) => boolean, observer: FlowObserver): void {
    this.queue.filter((delivery) => {
      if (!isUnwanted(delivery)) return true;
      this.queuedBytes -= delivery.message.size;
      observer.stored.release(delivery.message);
      if (delivery.storage !== null) observer.onFinished(delivery);
      return false;
    });
  }

  /** Takes out messages that were sent on a connection that is gone, and not acknowledged: they are not sent again. */
  removeSent(isUnwanted: (delivery: Delivery) => boolean, observer: FlowObserver): void {
    for (const delivery of this.inflight.values()) {
      if (delivery.state !== DeliveryState.released && isUnwanted(delivery)) this.remove(delivery, observer);
    }
  }

  /** Ends the flow: every message in it is told as dropped. */
  discard(observer: FlowObserver): void {
    for (const delivery of this.inflight.values()) {
      if (delivery.state !== DeliveryState.released) observer.onDropped(delivery, DropReason.sessionEnded);
      else if (delivery.storage !== null) observer.onFinished(delivery);
      observer.stored.release(delivery.message);
    }
    for (let one = this.queue.shift(); one !== undefined; one = this.queue.shift()) {
      observer.onDropped(one, DropReason.sessionEnded);
      observer.stored.release(one.message);
    }
    this.inflight.clear();
    this.inflightBytes = 0;
    this.unresent = 0;
    this.unresentBytes = 0;
    this.queuedBytes = 0;
  }
}
