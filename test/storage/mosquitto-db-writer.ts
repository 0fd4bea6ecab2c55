// Writes files as Mosquitto does, in each of its formats and layouts: what Debian's version cannot make, or no version would.

const encoder = new TextEncoder();

export interface WriterLayout {
  /** 2 to 6. */
  readonly format: number;
  /** Of 64-bit numbers. */
  readonly isBigEndian?: boolean;
  /** 64-bit numbers stand at multiples of 4 only, as on 32-bit x86: two structures are shorter. */
  readonly isCompact?: boolean;
  /** Bytes of a `time_t`. */
  readonly timeSize?: 4 | 8;
}

export interface WrittenMessage {
  readonly id: number | bigint;
  readonly topicName: string | Uint8Array;
  readonly payload?: string | Uint8Array;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly sourceId?: string;
  readonly username?: string;
  /** Seconds. */
  readonly expiryTime?: number;
  /** With their length in front. */
  readonly properties?: readonly number[];
}

export interface WrittenClient {
  readonly clientId: string | Uint8Array;
  readonly expiryTime?: number;
  readonly expiryInterval?: number;
  readonly disconnectTime?: number;
  readonly lastPacketId?: number;
  readonly username?: string | Uint8Array;
  readonly listenerPort?: number;
}

export interface WrittenClientMessage {
  readonly clientId: string;
  readonly messageId: number | bigint;
  readonly packetId: number;
  readonly qos: number;
  readonly state: number;
  readonly isIncoming?: boolean;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly identifier?: number;
}

export interface WrittenSubscription {
  readonly clientId: string;
  readonly filterText: string;
  readonly qos: number;
  readonly options?: number;
  readonly identifier?: number;
}

export class MosquittoDbWriter {
  private readonly layout: WriterLayout;
  private readonly pieces: Uint8Array[] = [];
  length = 0;

  constructor(layout: WriterLayout) {
    this.layout = layout;
    this.add([0, 0xb5, 0, ...encoder.encode('mosquitto db'), 0, 0, 0, 0, ...u32(layout.format)]);
  }

  finish(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.pieces));
  }

  private add(bytes: readonly number[]): void {
    this.pieces.push(Uint8Array.from(bytes));
    this.length += bytes.length;
  }

  chunk(type: number, body: readonly number[], length = body.length): this {
    this.add([...(this.isStruct ? u32(type) : u16(type)), ...u32(length)]);
    this.add(body);
    return this;
  }

  config(idSize = 8): this {
    if (!this.isStruct) return this.chunk(1, [1, idSize, ...this.u64(9)]);
    return this.chunk(1, [...this.u64(9), 1, idSize, ...zeroes(this.layout.isCompact ? 2 : 6)]);
  }

  message(one: WrittenMessage): this {
    const topic = bytesOf(one.topicName);
    const payload = bytesOf(one.payload ?? '');
    const source = bytesOf(one.sourceId ?? '');
    const username = bytesOf(one.username ?? '');
    const flags = [one.qos ?? 1, one.retain === true ? 1 : 0];
    if (this.isStruct) {
      return this.chunk(2, [
        ...this.u64(one.id),
        ...this.u64(one.expiryTime ?? 0),
        ...u32(payload.length),
        ...u16(7),
        ...u16(source.length),
        ...u16(username.length),
        ...u16(topic.length),
        ...u16(1883),
        ...flags,
        ...source,
        ...username,
        ...topic,
        ...payload,
        ...(one.properties ?? []),
      ]);
    }
    const body = [
      ...this.u64(one.id),
      ...prefixed(source),
      ...(this.layout.format >= 4 ? [...prefixed(username), ...u16(1883)] : []),
      ...u16(7),
      ...u16(0),
      ...prefixed(topic),
      ...flags,
      ...u32(payload.length),
      ...payload,
    ];
    // Mosquitto 1.5.6 and 1.5.7 count the source twice.
    return this.chunk(2, body, this.layout.format >= 4 ? body.length + source.length : body.length);
  }

  client(one: WrittenClient): this {
    const clientId = bytesOf(one.clientId);
    const username = bytesOf(one.username ?? '');
    const { format } = this.layout;
    if (!this.isStruct) {
      const time = one.disconnectTime ?? 1_700_000_000;
      const stamp = format < 3 ? [] : this.layout.timeSize === 4 ? this.u32(time) : this.u64(time);
      return this.chunk(6, [...prefixed(clientId), ...u16(one.lastPacketId ?? 0), ...stamp]);
    }
    return this.chunk(6, [
      ...this.u64(one.expiryTime ?? 0),
      ...u32(one.expiryInterval ?? 0xffff_ffff),
      ...u16(one.lastPacketId ?? 0),
      ...u16(clientId.length),
      ...(format >= 6 ? [...u16(one.listenerPort ?? 1883), ...u16(username.length)] : []),
      ...zeroes(format >= 6 && this.layout.isCompact !== true ? 4 : 0),
      ...clientId,
      ...(format >= 6 ? username : []),
    ]);
  }

  clientMessage(one: WrittenClientMessage): this {
    const clientId = bytesOf(one.clientId);
    const retain = one.retain === true ? 1 : 0;
    const dup = one.dup === true ? 1 : 0;
    const direction = one.isIncoming === true ? 0 : 1;
    if (!this.isStruct) {
      return this.chunk(3, [
        ...prefixed(clientId),
        ...this.u64(one.messageId),
        ...u16(one.packetId),
        ...[one.qos, retain, direction, one.state, dup],
      ]);
    }
    return this.chunk(3, [
      ...this.u64(one.messageId),
      ...u16(one.packetId),
      ...u16(clientId.length),
      ...[one.qos, one.state, (retain << 4) | dup, direction],
      ...clientId,
      ...(one.identifier === undefined ? [] : [2, 0x0b, one.identifier]),
    ]);
  }

  subscription(one: WrittenSubscription): this {
    const clientId = bytesOf(one.clientId);
    const filter = bytesOf(one.filterText);
    if (!this.isStruct) return this.chunk(5, [...prefixed(clientId), ...prefixed(filter), one.qos]);
    return this.chunk(5, [
      ...u32(one.identifier ?? 0),
      ...u16(clientId.length),
      ...u16(filter.length),
      ...[one.qos, one.options ?? 0, 0, 0],
      ...clientId,
      ...filter,
    ]);
  }

  retained(id: number | bigint): this {
    return this.chunk(4, this.u64(id));
  }

  private get isStruct(): boolean {
    return this.layout.format >= 5;
  }

  private u64(value: number | bigint): number[] {
    return this.native(8, (view, isLittle) => view.setBigInt64(0, BigInt.asIntN(64, BigInt(value)), isLittle));
  }

  private u32(value: number): number[] {
    return this.native(4, (view, isLittle) => view.setUint32(0, value, isLittle));
  }

  private native(size: number, set: (view: DataView, isLittle: boolean) => void): number[] {
    const view = new DataView(new ArrayBuffer(size));
    set(view, this.layout.isBigEndian !== true);
    return [...new Uint8Array(view.buffer)];
  }
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? encoder.encode(text) : text;
}

function u16(value: number): number[] {
  return [value >>> 8, value & 0xff];
}

function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

function prefixed(bytes: Uint8Array): number[] {
  return [...u16(bytes.length), ...bytes];
}

function zeroes(count: number): number[] {
  return Array<number>(count).fill(0);
}
