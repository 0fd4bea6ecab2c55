import { ProtocolError } from './protocol-error.ts';
import { MAX_REMAINING_LENGTH } from './packet-type.ts';
import { ReasonCode } from './reason-code.ts';
import { encodeUtf8 } from './utf8.ts';

/** Bytes a Variable Byte Integer takes: 1 to 4. */
export function varintLength(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

/** Writes a Variable Byte Integer at `offset`; returns the offset behind it. */
export function writeVarint(bytes: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest >= 128) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Room left in front of a packet body for the fixed header: one byte and a length of up to four. */
const HEADER_ROOM = 5;

/**
 * A growing buffer for packets of unknown length. `beginPacket`, fields, `endPacket` give one packet as
 * `bytes[packetStart, offset)`: the fixed header is set right before the body once its length is known.
 */
export class ByteWriter {
  bytes: Uint8Array;
  offset: number;
  packetStart: number;
  bodyStart: number;
  firstByte: number;

  constructor(size = 256) {
    this.bytes = new Uint8Array(Math.max(size, HEADER_ROOM));
    this.offset = 0;
    this.packetStart = 0;
    this.bodyStart = 0;
    this.firstByte = 0;
  }

  reserve(count: number): void {
    if (this.offset + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.offset + count));
    grown.set(this.bytes.subarray(0, this.offset));
    this.bytes = grown;
  }

  beginPacket(firstByte: number): void {
    this.firstByte = firstByte;
    this.offset = HEADER_ROOM;
    this.bodyStart = HEADER_ROOM;
  }

  endPacket(): void {
    const length = this.offset - this.bodyStart;
    if (length > MAX_REMAINING_LENGTH) {
      throw new ProtocolError(ReasonCode.packetTooLarge, 'packet is longer than MQTT allows', 'v5 section 2.1.4');
    }
    this.packetStart = this.bodyStart - 1 - varintLength(length);
    this.bytes[this.packetStart] = this.firstByte;
    writeVarint(this.bytes, this.packetStart + 1, length);
  }

  /** The packet just ended, as a copy. */
  packet(): Uint8Array {
    return this.bytes.slice(this.packetStart, this.offset);
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.offset++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.bytes[this.offset++] = value >>> 8;
    this.bytes[this.offset++] = value;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  /** @throws RangeError beyond 268,435,455 */
  varint(value: number): void {
    if (value > MAX_REMAINING_LENGTH) throw new RangeError('a variable byte integer holds at most 268,435,455');
    this.reserve(4);
    this.offset = writeVarint(this.bytes, this.offset, value);
  }

  raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.bytes.set(value, this.offset);
    this.offset += value.length;
  }

  string(value: string): void {
    this.binary(encodeUtf8(value));
  }

  binary(value: Uint8Array): void {
    if (value.length > 65_535) throw new RangeError('an MQTT string or binary field holds at most 65,535 bytes');
    this.u16(value.length);
    this.raw(value);
  }
}
