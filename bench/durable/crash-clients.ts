/** Clients of the crash test: what a careful MQTT client does, across any number of connections. */
import { decodePacket, encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { PacketFramer } from '../../src/protocol/packet-framer.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import type { ProtocolError } from '../../src/protocol/protocol-error.ts';

const RETRY_MS = 15;
/** Unacknowledged messages of a publisher at a time: fewer than the broker's Receive Maximum. */
const WINDOW = 16;

class Framer extends PacketFramer {
  private readonly onPacket: (packet: Packet) => void;

  constructor(version: ProtocolVersion, onPacket: (packet: Packet) => void) {
    super();
    this.protocolVersion = version;
    this.onPacket = onPacket;
  }

  protected handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const body = bytes.slice(start, end);
    this.onPacket(decodePacket(firstByte, body, 0, body.length, this.protocolVersion || 4, 'server'));
  }

  protected maximumPacketLength(): number {
    return 0xffff_ffff;
  }

  protected handleFramingError(error: ProtocolError): void {
    throw error;
  }
}

/** Connects again and again with a session that is to be kept, until it is told to stop. */
abstract class CarefulClient {
  readonly clientId: string;
  /** What the broker must not do. */
  readonly violations: string[] = [];
  connects = 0;
  private readonly version: ProtocolVersion;
  private readonly port: number;
  private socket: Bun.Socket<undefined> | null = null;
  private framer: Framer | null = null;
  private isStopped = false;
  private isReady = false;
  private wasConnected = false;

  constructor(clientId: string, version: ProtocolVersion, port: number) {
    this.clientId = clientId;
    this.version = version;
    this.port = port;
  }

  protected abstract onConnected(): void;
  protected abstract onPacket(packet: Packet): void;

  get isConnected(): boolean {
    return this.isReady;
  }

  start(): void {
    void this.connect();
  }

  stop(): void {
    this.isStopped = true;
    this.socket?.terminate();
  }

  /** The network goes away; the client comes back after a while. */
  dropFor(ms: number): void {
    const { socket } = this;
    this.pauseMs = ms;
    socket?.terminate();
  }

  private pauseMs = 0;

  private async connect(): Promise<void> {
    while (!this.isStopped) {
      if (this.pauseMs > 0) {
        await Bun.sleep(this.pauseMs);
        this.pauseMs = 0;
      }
      const closed = Promise.withResolvers<void>();
      const framer = new Framer(this.version, (packet) => this.receive(packet));
      this.framer = framer;
      try {
        this.socket = await Bun.connect({
          hostname: '127.0.0.1',
          port: this.port,
          data: undefined,
          socket: {
            binaryType: 'uint8array',
            data: (_socket, chunk) => {
              if (this.framer === framer) framer.push(chunk, 0, chunk.length);
            },
            close: () => closed.resolve(),
            error: () => closed.resolve(),
          },
        });
        this.send({
          type: PacketType.connect,
          protocolVersion: this.version,
          bridge: false,
          cleanStart: false,
          keepAlive: 0,
          clientId: this.clientId,
          will: null,
          username: null,
          password: null,
          properties: this.version === ProtocolVersion.v5 ? { sessionExpiryInterval: 0xffff_ffff } : null,
        });
        await closed.promise;
      } catch {
        // the broker is down
      }
      this.isReady = false;
      this.framer = null;
      await Bun.sleep(RETRY_MS);
    }
  }

  private receive(packet: Packet): void {
    if (packet.type === PacketType.connack) {
      if (packet.reasonCode !== 0) {
        this.violations.push(`${this.clientId}: CONNECT was refused with ${packet.reasonCode}`);
        return;
      }
      if (this.wasConnected && !packet.sessionPresent) {
        this.violations.push(`${this.clientId}: the session of an acknowledged CONNECT is gone`);
      }
      this.wasConnected = true;
      this.isReady = true;
      this.connects++;
      this.onConnected();
    } else if (packet.type === PacketType.disconnect) {
      this.violations.push(`${this.clientId}: DISCONNECT ${packet.reasonCode}`);
    } else this.onPacket(packet);
  }

  protected send(packet: Packet): void {
    this.socket?.write(encodePacket(packet, this.version));
  }
}

interface Outgoing {
  readonly qos: 1 | 2;
  readonly number: number;
  packetId: number;
  isReleased: boolean;
  isSent: boolean;
}

/** Publishes numbered messages at QoS 1 and 2, and sends again what was not acknowledged. */
export class CarefulPublisher extends CarefulClient {
  /** How many messages were begun, by QoS. */
  readonly begun = { 1: 0, 2: 0 };
  /** How many were acknowledged to the end. */
  acknowledged = 0;
  private readonly inflight = new Map<number, Outgoing>();
  private nextPacketId = 1;
  private readonly padding: string;

  constructor(clientId: string, version: ProtocolVersion, port: number, payloadBytes: number) {
    super(clientId, version, port);
    this.padding = '.'.repeat(payloadBytes);
  }

  get isIdle(): boolean {
    return this.inflight.size === 0;
  }

  /** Begins a message, where the window has room. */
  publish(): boolean {
    if (!this.isConnected || this.inflight.size >= WINDOW) return false;
    const qos = Math.random() < 0.5 ? 1 : 2;
    while (this.inflight.has(this.nextPacketId)) this.nextPacketId = (this.nextPacketId % 65_535) + 1;
    const packetId = this.nextPacketId;
    this.nextPacketId = (packetId % 65_535) + 1;
    const one: Outgoing = { qos, number: ++this.begun[qos], packetId, isReleased: false, isSent: false };
    this.inflight.set(packetId, one);
    this.transmit(one);
    return true;
  }

  private transmit(one: Outgoing): void {
    const { packetId, qos } = one;
    if (one.isReleased) {
      this.send({ type: PacketType.pubrel, packetId, reasonCode: 0, properties: null });
      return;
    }
    this.send({
      type: PacketType.publish,
      dup: one.isSent,
      qos,
      retain: false,
      topicName: `crash/${this.clientId}/q${qos}`,
      packetId,
      properties: null,
      payload: new TextEncoder().encode(`${one.number} ${this.padding}`),
    });
    one.isSent = true;
  }

  protected onConnected(): void {
    for (const one of this.inflight.values()) this.transmit(one);
  }

  protected onPacket(packet: Packet): void {
    if (packet.type === PacketType.puback || packet.type === PacketType.pubcomp) {
      const one = this.inflight.get(packet.packetId);
      if (one === undefined) return;
      if (packet.reasonCode >= 0x80) this.violations.push(`${this.clientId}: answered ${packet.reasonCode}`);
      this.inflight.delete(packet.packetId);
      this.acknowledged++;
    } else if (packet.type === PacketType.pubrec) {
      const one = this.inflight.get(packet.packetId);
      if (one === undefined) return;
      one.isReleased = true;
      this.transmit(one);
    }
  }
}

/** Keeps what it received, by topic; at QoS 2 a message counts when its identifier is new (v5 section 4.3.3). */
export class CarefulSubscriber extends CarefulClient {
  readonly received = new Map<string, number[]>();
  isSubscribed = false;
  /** Messages over all topics, duplicates included. */
  receivedCount = 0;
  private readonly unreleased = new Set<number>();

  protected onConnected(): void {
    if (this.isSubscribed) return;
    this.send({
      type: PacketType.subscribe,
      packetId: 1,
      properties: null,
      subscriptions: [
        { topicFilter: 'crash/+/q1', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
        { topicFilter: 'crash/+/q2', qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 },
      ],
    });
  }

  protected onPacket(packet: Packet): void {
    if (packet.type === PacketType.suback) this.isSubscribed = true;
    else if (packet.type === PacketType.pubrel) {
      this.unreleased.delete(packet.packetId);
      this.send({ type: PacketType.pubcomp, packetId: packet.packetId, reasonCode: 0, properties: null });
    } else if (packet.type === PacketType.publish) {
      const { packetId, qos, topicName } = packet;
      if (qos === 1 || !this.unreleased.has(packetId)) {
        this.receivedCount++;
        const number = Number.parseInt(new TextDecoder().decode(packet.payload), 10);
        const list = this.received.get(topicName);
        if (list === undefined) this.received.set(topicName, [number]);
        else list.push(number);
      }
      if (qos === 2) this.unreleased.add(packetId);
      const type = qos === 1 ? PacketType.puback : PacketType.pubrec;
      this.send({ type, packetId, reasonCode: 0, properties: null });
    }
  }

  /** What is wrong with what came of one topic, of which `total` messages were acknowledged. */
  check(topicName: string, qos: 1 | 2, total: number): string[] {
    const list = this.received.get(topicName) ?? [];
    const seen = new Set<number>();
    const wrong: string[] = [];
    let last = 0;
    let duplicates = 0;
    for (const number of list) {
      if (seen.has(number)) {
        duplicates++;
        continue;
      }
      seen.add(number);
      if (number < last) wrong.push(`${this.clientId}: ${topicName}: ${number} came first after ${last}`);
      last = number;
    }
    let missing = 0;
    for (let number = 1; number <= total; number++) if (!seen.has(number)) missing++;
    if (missing > 0) wrong.push(`${this.clientId}: ${topicName}: ${missing} of ${total} messages are missing`);
    if (qos === 2 && duplicates > 0) wrong.push(`${this.clientId}: ${topicName}: ${duplicates} came twice at QoS 2`);
    return wrong.slice(0, 5);
  }
}
