import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';
import { decodeUtf8, isValidUtf8 } from './utf8.ts';

function truncated(): ProtocolError {
  return new ProtocolError(ReasonCode.malformedPacket, 'packet ends inside a field', 'v5 section 1.2');
}

/** Reads the fields of one packet body, `bytes[offset, end)`. Every method throws a malformed-packet ProtocolError. */
export class ByteReader {
  bytes: Uint8Array;
  offset: number;
  end: number;

  constructor(bytes: Uint8Array, offset: number, end: number) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  u8(): number {
    if (this.offset >= this.end) throw truncated();
    return this.bytes[this.offset++]!;
  }

  u16(): number {
    const { bytes, offset } = this;
    if (offset + 2 > this.end) throw truncated();
    this.offset = offset + 2;
    return (bytes[offset]! << 8) | bytes[offset + 1]!;
  }

  u32(): number {
    const { bytes, offset } = this;
    if (offset + 4 > this.end) throw truncated();
    this.offset = offset + 4;
    return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
  }

  /** Variable Byte Integer in its shortest form: v5 [MQTT-1.5.5-1]. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) {
          throw new ProtocolError(
            ReasonCode.malformedPacket,
            'variable byte integer is longer than needed',
            'v5 [MQTT-1.5.5-1]',
          );
        }
        return value;
      }
    }
    throw new ProtocolError(
      ReasonCode.malformedPacket,
      'variable byte integer is longer than four bytes',
      'v5 section 1.5.5',
    );
  }

  string(): string {
    const start = this.offset + 2;
    const end = start + this.u16();
    if (end > this.end) throw truncated();
    this.offset = end;
    this.checkUtf8(start, end);
    return decodeUtf8(this.bytes, start, end);
  }

  checkUtf8(start: number, end: number): void {
    if (!isValidUtf8(this.bytes, start, end)) {
      throw new ProtocolError(
        ReasonCode.malformedPacket,
        'string is not valid UTF-8 or holds a forbidden character',
        'v5 [MQTT-1.5.4-1]',
      );
    }
  }

  /** Binary Data with its two-byte length; a copy, so that it may outlive the chunk. */
  binary(): Uint8Array {
    const start = this.offset + 2;
    const end = start + this.u16();
    if (end > this.end) throw truncated();
    this.offset = end;
    return this.bytes.slice(start, end);
  }

  expectEnd(): void {
    if (this.offset !== this.end) {
      throw new ProtocolError(ReasonCode.malformedPacket, 'bytes left over at the end of the packet', 'v5 section 1.2');
    }
  }
}
