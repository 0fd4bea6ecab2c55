// Hot path: chunk -> packets. Benchmark: bench/micro/codec.ts and bench/broker (q0-pair).
import { ProtocolVersion } from './packet-type.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';

/** First allocation for a packet that arrives in pieces; it doubles as bytes come, up to the packet's length. */
const FIRST_PIECE = 4_096;

const STOPPED = 1;
const PAUSED = 2;
export const FIRST_FREE_FLAG = 4;

/** The bytes that came of a packet whose end has not. */
class GatheredPacket {
  bytes: Uint8Array;
  length = 0;
  remainingLength = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  /** The caller has made room. */
  append(chunk: Uint8Array, start: number, end: number): void {
    if (end - start === 1) this.bytes[this.length] = chunk[start]!;
    else this.bytes.set(chunk.subarray(start, end), this.length);
    this.length += end - start;
  }

  /** Makes room for `needed` bytes of a packet of `total`, by doubling. */
  grow(needed: number, total: number): void {
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.min(total, Math.max(needed, this.bytes.length * 2, FIRST_PIECE)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/**
 * Cuts a byte stream into packets. A packet that lies whole in a chunk is handed out where it lies; one that is split
 * is gathered in a buffer that grows with the bytes that came, so a declared length alone reserves nothing. Subclasses
 * are connections: the framer's fields live in the same object, since an idle connection should cost one object.
 */
export abstract class PacketFramer {
  /** 0 until CONNECT told it. */
  protocolVersion: ProtocolVersion | 0 = 0;
  /** A packet that is not complete yet, or null. */
  private gathered: GatheredPacket | null = null;
  /** Bits `STOPPED` and `PAUSED` are the framer's; subclasses have the bits from `FIRST_FREE_FLAG` on. */
  protected flags = 0;

  /**
   * One packet: `bytes[start, end)` is its body and must be copied to outlive the call.
   *
   * @throws ProtocolError
   */
  protected abstract handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void;
  /** Most bytes a packet may have, fixed header included. */
  protected abstract maximumPacketLength(): number;
  /**
   * Looks at the first byte of a packet that is not whole yet, or never will be: some need no more to be refused.
   *
   * @throws ProtocolError
   */
  protected checkStart(_firstByte: number): void {}
  /** Keeps a copy of `chunk[start, end)`, which came while paused, to be pushed after `isPaused` is false again. */
  protected holdBytes(_chunk: Uint8Array, _start: number, _end: number): void {
    throw new Error('a framer that pauses must hold the bytes that come meanwhile');
  }
  /** The stream can't be cut any further. */
  protected abstract handleFramingError(error: ProtocolError): void;

  /** Takes the next bytes of the stream, `chunk[start, end)`. */
  push(chunk: Uint8Array, start: number, end: number): void {
    if (this.framingStopped) return;
    if ((this.flags & PAUSED) !== 0) return this.holdBytes(chunk, start, end);
    let at = start;
    if (this.gathered !== null) {
      at = this.gather(this.gathered, chunk, at, end);
      if (at < 0) return;
    }
    while (at < end) {
      if ((this.flags & (STOPPED | PAUSED)) !== 0) {
        if (!this.framingStopped) this.holdBytes(chunk, at, end);
        return;
      }
      let length = -1;
      let body = at + 1;
      if (body < end) {
        const first = chunk[body]!;
        body++;
        if (first < 128) length = first;
        else {
          length = first & 0x7f;
          let shift = 7;
          for (;;) {
            if (body >= end) {
              length = -1;
              break;
            }
            const next = chunk[body]!;
            body++;
            length |= (next & 0x7f) << shift;
            if (next < 128) {
              if (next === 0 && !this.allowsPadding()) return;
              break;
            }
            shift += 7;
            if (shift > 21) return this.failLength(chunk[at]!);
          }
        }
      }
      if (length >= 0 && body - at + length > this.maximumPacketLength()) return this.failSize(body - at + length);
      if (length < 0 || body + length > end) {
        this.startGathering(chunk, at, end, length < 0 ? -1 : body - at + length);
        return;
      }
      const next = body + length;
      this.dispatch(chunk[at]!, chunk, body, next);
      at = next;
    }
  }

  /** Bytes still to come of the packet that is incomplete; 0 where none is, or its length is not known yet. */
  protected get missingBytes(): number {
    const packet = this.gathered;
    if (packet === null) return 0;
    const header = this.parseHeader(packet);
    return header <= 0 ? 0 : header + packet.remainingLength - packet.length;
  }

  /** True: packets wait, also those in the rest of the chunk at hand. */
  protected get isPaused(): boolean {
    return (this.flags & PAUSED) !== 0;
  }

  protected set isPaused(isPaused: boolean) {
    this.flags = isPaused ? this.flags | PAUSED : this.flags & ~PAUSED;
  }

  /** True: no packet is handed out any more, even in the middle of a chunk. */
  protected get framingStopped(): boolean {
    return (this.flags & STOPPED) !== 0;
  }

  protected set framingStopped(isStopped: boolean) {
    this.flags = isStopped ? this.flags | STOPPED : this.flags & ~STOPPED;
  }

  /** Forgets an incomplete packet, for a connection that closed. */
  dropGathered(): void {
    this.gathered = null;
  }

  private dispatch(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    try {
      this.handlePacket(firstByte, bytes, start, end);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.framingStopped = true;
      this.handleFramingError(error);
    }
  }

  private startsBadly(firstByte: number): boolean {
    try {
      this.checkStart(firstByte);
      return false;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.framingStopped = true;
      this.handleFramingError(error);
      return true;
    }
  }

  private startGathering(chunk: Uint8Array, start: number, end: number, total: number): void {
    if (this.startsBadly(chunk[start]!)) return;
    const have = end - start;
    const size = total < 0 ? 8 : Math.min(total, Math.max(FIRST_PIECE, have * 2));
    this.gathered = new GatheredPacket(Math.max(size, have));
    this.gathered.append(chunk, start, end);
  }

  /** Adds bytes to the incomplete packet; hands it out when complete. Returns where the chunk goes on, or -1. */
  private gather(packet: GatheredPacket, chunk: Uint8Array, start: number, end: number): number {
    let at = start;
    let header = this.parseHeader(packet);
    while (header === 0 && at < end) {
      packet.append(chunk, at, ++at);
      header = this.parseHeader(packet);
    }
    if (header <= 0) return -1;
    const total = header + packet.remainingLength;
    if (total > this.maximumPacketLength()) {
      this.failSize(total);
      return -1;
    }
    const wanted = Math.min(total - packet.length, end - at);
    packet.grow(packet.length + wanted, total);
    packet.append(chunk, at, at + wanted);
    if (packet.length < total) return -1;
    this.gathered = null;
    this.dispatch(packet.bytes[0]!, packet.bytes, header, total);
    return at + wanted;
  }

  /** Length of the fixed header and, in `remainingLength`, what it announces; 0: more bytes needed; -1: failed. */
  private parseHeader(packet: GatheredPacket): number {
    let length = 0;
    for (let i = 1; i < packet.length; i++) {
      const byte = packet.bytes[i]!;
      length |= (byte & 0x7f) << (7 * (i - 1));
      if (byte < 128) {
        if (byte === 0 && i > 1 && !this.allowsPadding()) return -1;
        packet.remainingLength = length;
        return i + 1;
      }
      if (i === 4) {
        this.failLength(packet.bytes[0]!);
        return -1;
      }
    }
    return 0;
  }

  /** MQTT 5 wants the shortest form of a length (v5 [MQTT-1.5.5-1]); 3.1.1 clients pad it. */
  private allowsPadding(): boolean {
    if (this.protocolVersion !== ProtocolVersion.v5) return true;
    this.failFraming(ReasonCode.malformedPacket, 'remaining length is longer than needed', 'v5 [MQTT-1.5.5-1]');
    return false;
  }

  private failLength(firstByte: number): void {
    if (this.startsBadly(firstByte)) return;
    this.failFraming(ReasonCode.malformedPacket, 'remaining length is longer than four bytes', 'v5 section 1.5.5');
  }

  private failSize(length: number): void {
    this.failFraming(
      ReasonCode.packetTooLarge,
      `packet of ${length} bytes is larger than the ${this.maximumPacketLength()} allowed`,
      'v5 [MQTT-3.2.2-15]',
    );
  }

  private failFraming(reasonCode: ReasonCode, message: string, clause: string): void {
    this.framingStopped = true;
    this.dropGathered();
    this.handleFramingError(new ProtocolError(reasonCode, message, clause));
  }
}
