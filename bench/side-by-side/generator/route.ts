/**
 * A route: one publisher and those who receive what it publishes, one member for a pair, N for a fan-out. It keeps the
 * counts that a run is judged by: every member must have received exactly what was sent.
 */
import type { Link, LinkObserver } from './link.ts';
import { fixedHeaderBytes, publishPacket, setPacketId, variableHeaderBytes, writeStamp } from './wire.ts';

/** Who drives the route in the current phase. */
export interface RouteDriver {
  onProgress(route: Route, deliveries: number): void;
}

export class Member implements LinkObserver {
  received = 0;
  readonly link: Link;
  private readonly route: Route;

  constructor(link: Link, route: Route) {
    this.link = link;
    this.route = route;
    link.observer = this;
  }

  onChunk(_link: Link, deliveries: number): void {
    this.received += deliveries;
    this.route.received += deliveries;
    this.route.driver?.onProgress(this.route, deliveries);
  }
}

class PublisherSide implements LinkObserver {
  private readonly route: Route;

  constructor(link: Link, route: Route) {
    this.route = route;
    link.observer = this;
  }

  onChunk(_link: Link, _deliveries: number, acknowledgements: number): void {
    this.route.acknowledged += acknowledgements;
    this.route.driver?.onProgress(this.route, 0);
  }
}

export class Route {
  sent = 0;
  received = 0;
  acknowledged = 0;
  driver: RouteDriver | null = null;
  readonly publisher: Link;
  readonly members: Member[];
  readonly qos: 0 | 1;
  readonly window: number;
  /** `slots` PUBLISH packets one after the other, so that a batch is one write without building anything. */
  private readonly ring: Uint8Array;
  private readonly slots: number;
  private slot = 0;
  private readonly frameBytes: number;
  /** The single packet of paced phases, patched before each write. */
  private readonly single: Uint8Array;
  private readonly headerBytes: number;
  private readonly stampOffset: number;
  private readonly topicName: string;

  constructor(
    publisher: Link,
    members: readonly Link[],
    topicName: string,
    payloadBytes: number,
    qos: 0 | 1,
    window: number,
  ) {
    this.publisher = publisher;
    this.members = members.map((link) => new Member(link, this));
    this.qos = qos;
    this.window = window;
    this.topicName = topicName;
    // Twice the window: a QoS 1 packet id comes round again only long after it was acknowledged.
    this.slots = Math.max(window * 2, 16);
    this.single = publishPacket(topicName, payloadBytes, qos);
    this.frameBytes = this.single.length;
    this.headerBytes = fixedHeaderBytes(this.single);
    this.stampOffset = this.headerBytes + variableHeaderBytes(topicName, qos);
    this.ring = new Uint8Array(this.slots * this.frameBytes);
    for (let i = 0; i < this.slots; i++) {
      const offset = i * this.frameBytes;
      this.ring.set(this.single, offset);
      if (qos === 1) setPacketId(this.ring, offset, this.headerBytes, topicName, i + 1);
    }
    new PublisherSide(publisher, this);
  }

  /** Before a phase, when nothing is under way. */
  reset(): void {
    this.sent = 0;
    this.received = 0;
    this.acknowledged = 0;
    for (const member of this.members) member.received = 0;
  }

  /** Messages sent and not yet both delivered to all members and, at QoS 1, acknowledged. */
  get outstanding(): number {
    const delivered = Math.floor(this.received / this.members.length);
    return this.sent - (this.qos === 0 ? delivered : Math.min(delivered, this.acknowledged));
  }

  /** True where every member received exactly what was sent, and every QoS 1 publish was acknowledged once. */
  get balanced(): boolean {
    if (this.qos === 1 && this.acknowledged !== this.sent) return false;
    return this.members.every((member) => member.received === this.sent);
  }

  /** Sends the next `count` packets of the ring in one write, or two where the ring turns. */
  sendBatch(count: number): void {
    this.sent += count;
    let rest = count;
    while (rest > 0) {
      const run = Math.min(rest, this.slots - this.slot);
      this.publisher.write(this.ring, this.slot * this.frameBytes, run * this.frameBytes);
      this.slot = (this.slot + run) % this.slots;
      rest -= run;
    }
  }

  /** One packet whose payload starts with the moment it was due. */
  sendStamped(dueMicroseconds: number): void {
    if (this.qos === 1) setPacketId(this.single, 0, this.headerBytes, this.topicName, (this.sent % 65_535) + 1);
    this.sent++;
    writeStamp(this.single, this.stampOffset, dueMicroseconds);
    this.publisher.write(this.single);
  }
}
