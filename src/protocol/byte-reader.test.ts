import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { fromHex, varint } from '../../test/support/codec/hex.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter, varintLength, writeVarint } from './byte-writer.ts';
import { MAX_REMAINING_LENGTH } from './packet-type.ts';
import { ProtocolError } from './protocol-error.ts';

function reader(hex: string): ByteReader {
  const bytes = fromHex(hex);
  return new ByteReader(bytes, 0, bytes.length);
}

function codeOf(read: () => unknown): number {
  try {
    read();
  } catch (error) {
    if (error instanceof ProtocolError) return error.reasonCode;
    throw error;
  }
  return 0;
}

/** Section 1.5.5: where the encoding grows by a byte, and its neighbours. */
const boundaries: readonly (readonly [number, string])[] = [
  [0, '00'],
  [1, '01'],
  [127, '7f'],
  [128, '8001'],
  [16_383, 'ff7f'],
  [16_384, '808001'],
  [2_097_151, 'ffff7f'],
  [2_097_152, '80808001'],
  [268_435_455, 'ffffff7f'],
];

describe('variable byte integers', () => {
  test.each(boundaries)('v5 [MQTT-1.5.5-1] are written and read in the fewest bytes: %d', (value, hex) => {
    const bytes = new Uint8Array(6).fill(0xee);
    const end = writeVarint(bytes, 1, value);
    expect(bytes.subarray(1, end).toHex()).toBe(hex);
    expect(end - 1).toBe(varintLength(value));
    expect(bytes[end]).toBe(0xee);
    const writer = new ByteWriter(0);
    writer.varint(value);
    expect(writer.bytes.subarray(0, writer.offset).toHex()).toBe(hex);
    const source = reader(`${hex} ff`);
    expect(source.varint()).toBe(value);
    expect(source.offset).toBe(hex.length / 2);
  });

  test('v5 [MQTT-1.5.5-1] are refused in more bytes than they need', () => {
    for (const hex of ['8000', '8100', 'ff00', '808000', 'ffff00', '80808000', 'ffffff00']) {
      expect(
        codeOf(() => reader(hex).varint()),
        hex,
      ).toBe(0x81);
    }
  });

  test('are refused where they go on after four bytes or end too soon', () => {
    for (const hex of ['80808080', 'ffffffff', '8080808001', '', '80', 'ff80', '808080']) {
      expect(
        codeOf(() => reader(hex).varint()),
        hex,
      ).toBe(0x81);
    }
  });

  test('agree with the arithmetic of the standard', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_REMAINING_LENGTH }), (value) => {
        const bytes = varint(value);
        expect(new ByteReader(bytes, 0, bytes.length).varint()).toBe(value);
        const written = new Uint8Array(4);
        expect(written.subarray(0, writeVarint(written, 0, value)).toHex()).toBe(bytes.toHex());
      }),
      { numRuns: 2_000 },
    );
  });

  test('beyond the largest are the mistake of the caller', () => {
    expect(() => new ByteWriter().varint(MAX_REMAINING_LENGTH + 1)).toThrow(RangeError);
  });
});

describe('ByteReader', () => {
  test('reads integers big-endian', () => {
    const source = reader('01 0203 04050607 ffffffff');
    expect([source.u8(), source.u16(), source.u32(), source.u32()]).toEqual([1, 0x0203, 0x04050607, 0xffff_ffff]);
    expect(source.remaining).toBe(0);
    source.expectEnd();
  });

  test('reads nothing past its end, whatever the buffer holds there', () => {
    const bytes = fromHex('0002 "ab" 00000000');
    for (let end = 0; end < 4; end++) {
      const source = new ByteReader(bytes, 0, end);
      expect(codeOf(() => source.u32())).toBe(0x81);
      expect(codeOf(() => new ByteReader(bytes, 0, end).string())).toBe(0x81);
      expect(codeOf(() => new ByteReader(bytes, 0, end).binary())).toBe(0x81);
      if (end < 2) expect(codeOf(() => new ByteReader(bytes, 0, end).u16())).toBe(0x81);
    }
    expect(codeOf(() => new ByteReader(bytes, 3, 3).u8())).toBe(0x81);
  });

  test('copies binary data, so that the chunk may be used again', () => {
    const bytes = fromHex('0003 010203');
    const value = new ByteReader(bytes, 0, 5).binary();
    bytes.fill(0xee);
    expect(value).toEqual(Uint8Array.of(1, 2, 3));
    expect(value.buffer.byteLength).toBe(3);
  });

  test('refuses bytes that are left over', () => {
    const source = reader('0102');
    source.u8();
    expect(codeOf(() => source.expectEnd())).toBe(0x81);
  });
});

describe('ByteWriter', () => {
  test('puts the fixed header right in front of the body, however long its length is', () => {
    for (const [length, hex] of boundaries.filter(([value]) => value <= 2_097_152)) {
      const writer = new ByteWriter(0);
      writer.beginPacket(0xc0);
      writer.raw(new Uint8Array(length).fill(7));
      writer.endPacket();
      const packet = writer.packet();
      expect(packet.subarray(0, 1 + hex.length / 2).toHex()).toBe(`c0${hex}`);
      expect(packet.length).toBe(1 + hex.length / 2 + length);
      expect(packet.at(-1)).toBe(length === 0 ? Number.parseInt(hex, 16) : 7);
    }
  });

  test('grows by doubling and keeps what was written', () => {
    const writer = new ByteWriter(8);
    writer.beginPacket(0x30);
    for (let i = 0; i < 1_000; i++) writer.u16(i);
    writer.endPacket();
    const source = new ByteReader(writer.bytes, writer.bodyStart, writer.offset);
    for (let i = 0; i < 1_000; i++) expect(source.u16()).toBe(i);
    expect(writer.bytes.length).toBeLessThanOrEqual(4_096);
  });

  test('refuses a string or binary field of more than 65,535 bytes', () => {
    const writer = new ByteWriter();
    writer.string('a'.repeat(65_535));
    expect(() => writer.string('a'.repeat(65_536))).toThrow(RangeError);
    expect(() => writer.binary(new Uint8Array(65_536))).toThrow(RangeError);
    expect(() => writer.string('é'.repeat(32_768))).toThrow(RangeError);
  });

  test('refuses a packet that is longer than MQTT can say', () => {
    const writer = new ByteWriter();
    writer.beginPacket(0x30);
    writer.offset = writer.bodyStart + MAX_REMAINING_LENGTH + 1;
    expect(codeOf(() => writer.endPacket())).toBe(0x95);
  });
});
