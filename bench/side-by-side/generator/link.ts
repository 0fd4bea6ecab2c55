/**
 * One MQTT connection of the load generator, and the cheapest reader that still counts right: it walks from fixed
 * header to fixed header, touches a payload only where a phase asks for its time stamp, and tells its observer once a
 * chunk. It never trusts byte counts: a broker that sends anything else than expected is seen, not averaged away.
 */
import type { Socket, SocketHandler } from 'bun';
import { PacketType, connectPacket, disconnectPacket, readStamp, subscribePacket } from './wire.ts';

export interface Endpoint {
  port: number;
  tls: boolean;
}

/** What one chunk held. Called after the whole chunk was walked, so an observer may write from inside. */
export interface LinkObserver {
  onChunk(link: Link, deliveries: number, acknowledgements: number): void;
}

/** Takes the stamp of each delivery of a paced phase, in microseconds of that phase's clock. */
export interface StampSink {
  onStamp(dueMicroseconds: number): void;
}

/** Counted over all links that share it; an orderly run leaves both at zero. */
export interface Faults {
  unexpectedPackets: number;
  lostConnections: number;
}

const noBytes = new Uint8Array(0);

export class Link {
  observer: LinkObserver | null = null;
  stamps: StampSink | null = null;
  private closing = false;
  private grantedQos = 0;
  private socket: Socket<Link> | null = null;
  private carry: Uint8Array = noBytes;
  private backlog: Uint8Array[] = [];
  /** PUBACKs for the QoS 1 deliveries of the current chunk; grows to the largest chunk seen. */
  private ackBytes: Uint8Array = noBytes;
  private settle: ((refusal: Error | null) => void) | null = null;
  private closed: (() => void) | null = null;

  private readonly clientId: string;
  private readonly keepAliveSeconds: number;
  private readonly faults: Faults;

  constructor(clientId: string, keepAliveSeconds: number, faults: Faults) {
    this.clientId = clientId;
    this.keepAliveSeconds = keepAliveSeconds;
    this.faults = faults;
  }

  /** Resolves at CONNACK with return code 0. For TLS the socket opens when the handshake is done. */
  open(endpoint: Endpoint): Promise<void> {
    return new Promise((resolve, reject) => {
      this.expect(resolve, reject);
      const options = { hostname: '127.0.0.1', port: endpoint.port, socket: handlers, data: this };
      const connecting = endpoint.tls
        ? Bun.connect<Link>({ ...options, tls: { rejectUnauthorized: false } })
        : Bun.connect<Link>(options);
      connecting.catch((cause: unknown) => this.settle?.(new Error(`cannot connect: ${String(cause)}`, { cause })));
    });
  }

  /** Resolves at SUBACK; rejects where the broker granted another QoS than asked. */
  subscribe(topicFilter: string, qos: 0 | 1): Promise<void> {
    return new Promise((resolve, reject) => {
      this.expect(resolve, reject);
      this.grantedQos = qos;
      this.write(subscribePacket(1, topicFilter, qos));
    });
  }

  private expect(resolve: () => void, reject: (refusal: Error) => void): void {
    this.settle = (refusal) => {
      this.settle = null;
      if (refusal === null) resolve();
      else reject(refusal);
    };
  }

  /** DISCONNECT, then waits until the broker has closed its side. */
  leave(): Promise<void> {
    this.closing = true;
    if (this.socket === null) return Promise.resolve();
    return new Promise((resolve) => {
      this.closed = resolve;
      this.write(disconnectPacket);
    });
  }

  /** Sends; what the socket does not take is copied and sent when it drains. */
  write(bytes: Uint8Array, offset = 0, length = bytes.length - offset): void {
    const socket = this.socket;
    if (socket === null) return;
    if (this.backlog.length > 0) {
      this.backlog.push(bytes.slice(offset, offset + length));
      return;
    }
    const written = socket.write(bytes, offset, length);
    if (written < length) this.backlog.push(bytes.slice(offset + Math.max(written, 0), offset + length));
  }

  onOpen(socket: Socket<Link>): void {
    this.socket = socket;
    this.write(connectPacket(this.clientId, this.keepAliveSeconds));
  }

  onDrain(): void {
    while (this.backlog.length > 0 && this.socket !== null) {
      const next = this.backlog[0] ?? noBytes;
      const written = this.socket.write(next);
      if (written < next.length) {
        this.backlog[0] = next.subarray(Math.max(written, 0));
        return;
      }
      this.backlog.shift();
    }
  }

  onClose(): void {
    this.socket = null;
    if (this.closing) {
      this.closed?.();
      return;
    }
    this.faults.lostConnections++;
    this.settle?.(new Error('the broker closed the connection before it answered'));
  }

  onChunk(arrived: Uint8Array): void {
    let chunk = arrived;
    if (this.carry.length > 0) {
      chunk = new Uint8Array(this.carry.length + arrived.length);
      chunk.set(this.carry);
      chunk.set(arrived, this.carry.length);
      this.carry = noBytes;
    }
    const end = chunk.length;
    let at = 0;
    let deliveries = 0;
    let acknowledgements = 0;
    let ackLength = 0;
    while (at + 2 <= end) {
      const first = chunk[at] ?? 0;
      let body = at + 2;
      let remaining = chunk[at + 1] ?? 0;
      if (remaining >= 128) {
        remaining &= 127;
        let shift = 7;
        let byte = 128;
        while (byte >= 128 && body < end) {
          byte = chunk[body++] ?? 0;
          remaining |= (byte & 127) << shift;
          shift += 7;
        }
        if (byte >= 128) break;
      }
      const next = body + remaining;
      if (next > end) break;
      switch (first >> 4) {
        case PacketType.publish: {
          deliveries++;
          const qosBits = first & 0x06;
          if (qosBits !== 0 || this.stamps !== null) {
            let payload = body + 2 + (((chunk[body] ?? 0) << 8) | (chunk[body + 1] ?? 0));
            if (qosBits !== 0) {
              if (ackLength + 4 > this.ackBytes.length) this.growAcks();
              const acks = this.ackBytes;
              acks[ackLength + 2] = chunk[payload] ?? 0;
              acks[ackLength + 3] = chunk[payload + 1] ?? 0;
              ackLength += 4;
              payload += 2;
            }
            if (this.stamps !== null) this.stamps.onStamp(readStamp(chunk, payload));
          }
          break;
        }
        case PacketType.puback:
          acknowledgements++;
          break;
        case PacketType.connack: {
          const code = chunk[body + 1] ?? 255;
          this.settle?.(code === 0 ? null : new Error(`CONNACK carries return code ${code}`));
          break;
        }
        case PacketType.suback: {
          const granted = chunk[body + 2] ?? 255;
          this.settle?.(granted === this.grantedQos ? null : new Error(`SUBACK grants ${granted}`));
          break;
        }
        default:
          this.faults.unexpectedPackets++;
      }
      at = next;
    }
    if (at < end) this.carry = chunk.slice(at);
    if (ackLength > 0) this.write(this.ackBytes, 0, ackLength);
    if (deliveries + acknowledgements > 0) this.observer?.onChunk(this, deliveries, acknowledgements);
  }

  /** Every fourth pair of bytes is the constant `40 02` of a PUBACK; only packet ids are written later. */
  private growAcks(): void {
    const grown = new Uint8Array(Math.max(256, this.ackBytes.length * 2));
    for (let i = 0; i < grown.length; i += 4) {
      grown[i] = 0x40;
      grown[i + 1] = 0x02;
    }
    grown.set(this.ackBytes);
    this.ackBytes = grown;
  }
}

/** One set for all connections of the process: Bun keeps it once. */
const handlers: SocketHandler<Link> = {
  binaryType: 'uint8array',
  open: (socket) => socket.data.onOpen(socket),
  data: (socket, chunk) => socket.data.onChunk(chunk),
  drain: (socket) => socket.data.onDrain(),
  close: (socket) => socket.data.onClose(),
  error: () => {
    // A failing socket is closed right after this call; the close handler counts it.
  },
  connectError: () => {
    // The promise of Bun.connect rejects too, and open() reports that one.
  },
};

/** Runs `work` for 0..count-1, at most `concurrency` at a time. The first failure stops it. */
export async function forEachConcurrently(
  count: number,
  concurrency: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < count && !failed) {
      try {
        await work(next++);
      } catch (cause) {
        failed = true;
        throw cause;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, lane));
}
