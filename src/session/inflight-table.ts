// On the road of QoS 1 and 2 messages. Benchmark: bench/broker (q1-100pairs).
import type { Delivery } from './delivery.ts';

const SMALLEST = 32;
/** An empty table of more places than this lets go of them: an idle session keeps no memory of its busiest time. */
const LARGEST_IDLE = 256;

/**
 * Deliveries in flight by packet identifier. Identifiers are given out in turn and come back nearly in turn, so a ring
 * indexed by their low bits holds a window without collisions; it doubles when one does not fit. A Map in its place
 * took a fifth of the CPU of a QoS 1 delivery: it rehashes all the time when every key is new.
 */
export class InflightTable {
  private slots: (Delivery | null)[] = new Array<Delivery | null>(SMALLEST).fill(null);
  private sent = 0;
  size = 0;

  get(packetId: number): Delivery | undefined {
    const found = this.slots[packetId & (this.slots.length - 1)]!;
    return found !== null && found.packetId === packetId ? found : undefined;
  }

  has(packetId: number): boolean {
    return this.get(packetId) !== undefined;
  }

  /** Adds a delivery whose identifier is not in the table. */
  add(delivery: Delivery): void {
    while (this.slots[delivery.packetId & (this.slots.length - 1)] !== null) this.grow();
    this.slots[delivery.packetId & (this.slots.length - 1)] = delivery;
    delivery.order = ++this.sent;
    this.size++;
  }

  delete(packetId: number): void {
    const slot = packetId & (this.slots.length - 1);
    const found = this.slots[slot]!;
    if (found === null || found.packetId !== packetId) return;
    this.slots[slot] = null;
    if (--this.size === 0 && this.slots.length > LARGEST_IDLE) this.clear();
  }

  clear(): void {
    this.slots = new Array<Delivery | null>(SMALLEST).fill(null);
    this.size = 0;
  }

  /**
   * What is in flight now, in the order it was added, which is the order of redelivery (v5 [MQTT-4.6.0-1]). What its
   * PUBREC released was added anew, so it stands in the order of the PUBRECs (v5 [MQTT-4.6.0-4]).
   */
  values(): Delivery[] {
    const all: Delivery[] = [];
    for (const one of this.slots) if (one !== null) all.push(one);
    return all.sort((a, b) => a.order - b.order);
  }

  /** Two identifiers differ in their low 16 bits, so that the loop of `add` ends. */
  private grow(): void {
    const old = this.slots;
    this.slots = new Array<Delivery | null>(old.length * 2).fill(null);
    const mask = this.slots.length - 1;
    for (const one of old) if (one !== null) this.slots[one.packetId & mask] = one;
  }
}
