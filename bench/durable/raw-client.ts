/** A client of the load generator: hand-made MQTT 3.1.1 packets on a raw socket, as little work as can be. */

const PUBACK = 0x40;
const PUBLISH_QOS1 = 0x32;

/** CONNECT of MQTT 3.1.1 without a Keep Alive. */
export function connectBytes(clientId: string, cleanSession: boolean): Uint8Array {
  const id = new TextEncoder().encode(clientId);
  return Uint8Array.of(
    ...[0x10, 12 + id.length, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, cleanSession ? 2 : 0, 0, 0],
    ...[id.length >> 8, id.length & 255],
    ...id,
  );
}

export function subscribeBytes(topicFilter: string, qos: number): Uint8Array {
  const filter = new TextEncoder().encode(topicFilter);
  return Uint8Array.of(0x82, 5 + filter.length, 0, 1, filter.length >> 8, filter.length & 255, ...filter, qos);
}

/** A PUBLISH at QoS 1 of less than 16 KiB. */
export function publishBytes(topicName: string, packetId: number, payload: Uint8Array): Uint8Array {
  const topic = new TextEncoder().encode(topicName);
  const length = 4 + topic.length + payload.length;
  const head = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
  const packet = new Uint8Array(1 + head.length + length);
  packet.set([PUBLISH_QOS1, ...head, topic.length >> 8, topic.length & 255, ...topic]);
  const at = 1 + head.length + 2 + topic.length;
  packet[at] = packetId >> 8;
  packet[at + 1] = packetId & 255;
  packet.set(payload, at + 2);
  return packet;
}

export interface RawEvents {
  onConnack?(sessionPresent: boolean): void;
  onPuback?(packetId: number): void;
  /** @param payload a view that is gone after the call */
  onPublish?(payload: Uint8Array): void;
  onSuback?(): void;
}

/** Cuts what comes into packets, acknowledges each PUBLISH at QoS 1, and tells. */
export class RawClient {
  private readonly events: RawEvents;
  private socket: Bun.Socket<undefined> | null = null;
  private rest: Uint8Array = new Uint8Array(0);
  private unsent: Uint8Array[] = [];
  readonly closed: Promise<void>;
  private readonly onClosed: () => void;

  private constructor(events: RawEvents) {
    this.events = events;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.onClosed = resolve;
  }

  static async open(port: number, events: RawEvents): Promise<RawClient> {
    const client = new RawClient(events);
    client.socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      data: undefined,
      socket: {
        binaryType: 'uint8array',
        data: (_socket, chunk) => client.take(chunk),
        drain: () => client.flush(),
        close: () => client.onClosed(),
        error: () => client.onClosed(),
      },
    });
    return client;
  }

  send(bytes: Uint8Array): void {
    this.unsent.push(bytes);
    if (this.unsent.length === 1) this.flush();
  }

  close(): void {
    this.socket?.terminate();
  }

  private flush(): void {
    while (this.unsent.length > 0 && this.socket !== null) {
      const bytes = this.unsent.length === 1 ? this.unsent[0]! : Buffer.concat(this.unsent);
      const written = this.socket.write(bytes);
      this.unsent = written < bytes.length ? [bytes.subarray(Math.max(0, written))] : [];
      if (written < bytes.length) return;
    }
  }

  private take(chunk: Uint8Array): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const acks: number[] = [];
    let at = 0;
    while (at + 2 <= bytes.length) {
      let length = 0;
      let next = at + 1;
      for (let shift = 0; next < bytes.length; shift += 7) {
        const byte = bytes[next++]!;
        length |= (byte & 127) << shift;
        if (byte < 128) break;
      }
      if (next + length > bytes.length) break;
      this.handle(bytes, at, next, next + length, acks);
      at = next + length;
    }
    this.rest = at === bytes.length ? new Uint8Array(0) : bytes.slice(at);
    if (acks.length > 0) this.send(Uint8Array.from(acks));
  }

  private handle(bytes: Uint8Array, start: number, body: number, end: number, acks: number[]): void {
    const { events } = this;
    switch (bytes[start]! & 0xf0) {
      case 0x20:
        if (bytes[body + 1] !== 0) throw new Error(`CONNECT was refused with ${bytes[body + 1]}`);
        events.onConnack?.(bytes[body] === 1);
        return;
      case PUBACK:
        events.onPuback?.((bytes[body]! << 8) | bytes[body + 1]!);
        return;
      case 0x90:
        events.onSuback?.();
        return;
      case 0x30: {
        let at = body + 2 + ((bytes[body]! << 8) | bytes[body + 1]!);
        if ((bytes[start]! & 0x06) !== 0) {
          acks.push(PUBACK, 2, bytes[at]!, bytes[at + 1]!);
          at += 2;
        }
        events.onPublish?.(bytes.subarray(at, end));
      }
    }
  }
}
