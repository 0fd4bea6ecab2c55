import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { concatBytes, fromHex, varint } from '../../test/support/codec/hex.ts';
import { RecordingFramer } from '../../test/support/codec/recording-framer.ts';
import { PacketFramer } from './packet-framer.ts';
import { MAX_REMAINING_LENGTH, PacketType, ProtocolVersion } from './packet-type.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';

const { v311, v5 } = ProtocolVersion;

interface Handed {
  firstByte: number;
  bytes: Uint8Array;
  start: number;
  end: number;
}

/** Keeps what it is handed, as it is handed. */
class PlainFramer extends PacketFramer {
  readonly handed: Handed[] = [];
  readonly errors: ProtocolError[] = [];
  limit = MAX_REMAINING_LENGTH + 5;
  onPacket: ((packet: Handed) => void) | null = null;

  protected override handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const packet = { firstByte, bytes, start, end };
    this.handed.push(packet);
    this.onPacket?.(packet);
  }

  protected override maximumPacketLength(): number {
    return this.limit;
  }

  protected override handleFramingError(error: ProtocolError): void {
    this.errors.push(error);
  }

  give(hex: string): void {
    const bytes = fromHex(hex);
    this.push(bytes, 0, bytes.length);
  }

  stop(): void {
    this.framingStopped = true;
  }

  get missing(): number {
    return this.missingBytes;
  }
}

/** Holds what comes while it is paused, as a connection does that waits for a decision about its client. */
class PausingFramer extends PlainFramer {
  readonly held: Uint8Array[] = [];

  protected override holdBytes(chunk: Uint8Array, start: number, end: number): void {
    this.held.push(chunk.slice(start, end));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    for (const bytes of this.held.splice(0)) this.push(bytes, 0, bytes.length);
  }

  get isWaiting(): boolean {
    return this.isPaused;
  }
}

/** The buffer of an incomplete packet. */
function bufferOf(framer: PacketFramer): Uint8Array | null {
  const { gathered } = framer as unknown as { gathered: { bytes: Uint8Array } | null };
  if (gathered !== null && !(gathered.bytes instanceof Uint8Array)) throw new TypeError('look again where it gathers');
  return gathered === null ? null : gathered.bytes;
}

describe('PacketFramer', () => {
  test('hands out a whole packet where it lies', () => {
    const framer = new PlainFramer();
    const chunk = fromHex('ffff c000 3003 0001 "a" ffff');
    framer.push(chunk, 2, 9);
    expect(framer.handed).toEqual([
      { firstByte: 0xc0, bytes: chunk, start: 4, end: 4 },
      { firstByte: 0x30, bytes: chunk, start: 6, end: 9 },
    ]);
    expect(framer.handed[1]!.bytes).toBe(chunk);
    expect(bufferOf(framer)).toBeNull();
  });

  test('looks at the given range of a chunk only', () => {
    const framer = new PlainFramer();
    const chunk = fromHex('c000 c000 c000');
    framer.push(chunk, 2, 3);
    expect(framer.handed).toEqual([]);
    framer.push(chunk, 1, 2);
    expect(framer.handed.map(({ firstByte, start, end }) => [firstByte, end - start])).toEqual([[0xc0, 0]]);
    framer.push(chunk, 3, 3);
    expect(framer.handed.length).toBe(1);
  });

  test('goes on in the same chunk after a packet that was split', () => {
    const framer = new PlainFramer();
    framer.give('30 05 00');
    framer.give('01 "a" "xy" c0 00 30');
    framer.give('03 0001 "b"');
    expect(
      framer.handed.map(({ firstByte, bytes, start, end }) => [firstByte, bytes.slice(start, end).toHex()]),
    ).toEqual([
      [0x30, '0001617879'],
      [0xc0, ''],
      [0x30, '000162'],
    ]);
  });

  test('takes empty pushes at any point of a packet', () => {
    const framer = new PlainFramer();
    for (const byte of fromHex('30 83 01 00 01 "a" {78*128} c0 00')) {
      framer.push(new Uint8Array(0), 0, 0);
      framer.push(Uint8Array.of(byte), 0, 1);
    }
    expect(framer.handed.map(({ start, end }) => end - start)).toEqual([131, 0]);
  });

  test('uses the version that CONNECT told for what follows in the same chunk', () => {
    const connect5 = '10 0d 0004 "MQTT" 05 02 003c 00 0000';
    const bytes = fromHex(`${connect5} 30 05 0001 "a" 00 "x" e0 01 04`);
    const framer = new RecordingFramer(0, 'client');
    framer.push(bytes, 0, bytes.length);
    expect(framer.error).toBeNull();
    expect(framer.packets.map(({ type }) => type)).toEqual([
      PacketType.connect,
      PacketType.publish,
      PacketType.disconnect,
    ]);
    const old = fromHex('10 0c 0004 "MQTT" 04 02 003c 0000 e0 01 04');
    const strict = new RecordingFramer(0, 'client');
    strict.pushSlowly(old);
    expect(strict.packets.map(({ type }) => type)).toEqual([PacketType.connect]);
    expect(strict.error?.reasonCode).toBe(ReasonCode.malformedPacket);
  });

  test('hands out nothing after it was stopped, neither of the chunk nor of what was gathered', () => {
    const framer = new PlainFramer();
    framer.onPacket = () => framer.stop();
    framer.give('c0 00 c0 00 c0 00');
    expect(framer.handed.length).toBe(1);
    const split = new PlainFramer();
    split.give('30 03 00');
    split.stop();
    split.give('01 "a" c0 00');
    expect(split.handed).toEqual([]);
    expect(split.errors).toEqual([]);
  });

  test('stops at a ProtocolError of the handler and reports it once', () => {
    const framer = new PlainFramer();
    const error = new ProtocolError(ReasonCode.protocolError, 'no', 'v5 section 4.13');
    framer.onPacket = () => {
      throw error;
    };
    framer.give('c0 00 c0 00');
    framer.give('c0 00');
    expect(framer.handed.length).toBe(1);
    expect(framer.errors).toEqual([error]);
  });

  test('lets any other error of the handler through', () => {
    const framer = new PlainFramer();
    framer.onPacket = () => {
      throw new TypeError('a bug');
    };
    expect(() => framer.give('c0 00')).toThrow(TypeError);
    expect(framer.errors).toEqual([]);
  });

  test('forgets an incomplete packet when told', () => {
    const framer = new PlainFramer();
    framer.give('30 7f 00');
    framer.dropGathered();
    expect(bufferOf(framer)).toBeNull();
    framer.give('c0 00');
    expect(framer.handed.length).toBe(1);
  });

  test('cuts any stream of frames the same, however it is split', () => {
    const body = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 300 }));
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(body, { maxLength: 8 }), cuts, (frames, at) => {
        const stream = concatBytes(
          frames.map(([firstByte, bytes]) => concatBytes([Uint8Array.of(firstByte), varint(bytes.length), bytes])),
        );
        const framer = new PlainFramer();
        framer.protocolVersion = v5;
        const seen: (readonly [number, string])[] = [];
        framer.onPacket = ({ firstByte, bytes, start, end }) => seen.push([firstByte, bytes.slice(start, end).toHex()]);
        let start = 0;
        for (const end of [...at.map((cut) => Math.floor(cut * stream.length)).sort((a, b) => a - b), stream.length]) {
          framer.push(stream, start, end);
          start = end;
        }
        expect(framer.errors).toEqual([]);
        expect(seen).toEqual(frames.map(([firstByte, bytes]) => [firstByte, bytes.toHex()]));
        expect(bufferOf(framer)).toBeNull();
      }),
      { numRuns: 500 },
    );
  });
});

describe('a paused framer', () => {
  test('holds the rest of the chunk and what comes after it, in order, and goes on where it was', () => {
    const framer = new PausingFramer();
    const seen: string[] = [];
    framer.onPacket = ({ firstByte, bytes, start, end }) => {
      seen.push(`${firstByte.toString(16)} ${bytes.slice(start, end).toHex()}`);
      if (firstByte === 0x10) framer.pause();
    };
    framer.give('30 01 aa 10 00 30 01 bb 30');
    expect(framer.isWaiting).toBe(true);
    framer.give('01');
    framer.give('cc 30 01 dd');
    expect(seen).toEqual(['30 aa', '10 ']);
    expect(concatBytes(framer.held).toHex()).toBe('3001bb3001cc3001dd');
    framer.resume();
    expect(framer.isWaiting).toBe(false);
    expect(seen).toEqual(['30 aa', '10 ', '30 bb', '30 cc', '30 dd']);
    expect(framer.held).toEqual([]);
  });

  test('holds what follows a packet that came in pieces, and can pause again', () => {
    const framer = new PausingFramer();
    let packets = 0;
    framer.onPacket = () => {
      packets++;
      framer.pause();
    };
    framer.give('c0');
    framer.give('00 c0 00 c0 00');
    expect(packets).toBe(1);
    framer.resume();
    expect(packets).toBe(2);
    expect(concatBytes(framer.held).toHex()).toBe('c000');
    framer.resume();
    expect(packets).toBe(3);
  });

  test('holds the end of a packet whose beginning it has', () => {
    const framer = new PausingFramer();
    framer.give('30 03 aa');
    framer.pause();
    framer.give('bb cc');
    expect(framer.handed).toEqual([]);
    framer.resume();
    expect(framer.handed.map(({ bytes, start, end }) => bytes.slice(start, end).toHex())).toEqual(['aabbcc']);
  });

  test('holds nothing once it was stopped', () => {
    const framer = new PausingFramer();
    framer.onPacket = () => {
      framer.pause();
      framer.stop();
    };
    framer.give('c0 00 c0 00');
    framer.give('c0 00');
    expect(framer.held).toEqual([]);
    expect(framer.handed.length).toBe(1);
  });
});

test('what is missing of an incomplete packet is known with its length', () => {
  const framer = new PlainFramer();
  const steps: (readonly [string, number])[] = [
    ['30', 0],
    ['81', 0],
    ['01', 129],
    ['00 01 "a"', 126],
    ['{78*125}', 1],
    ['78', 0],
    ['30 05 00', 4],
    ['01 "abc"', 0],
  ];
  for (const [hex, missing] of steps) {
    framer.give(hex);
    expect(framer.missing, hex).toBe(missing);
  }
  expect(framer.handed.length).toBe(2);
});

describe('Remaining Length', () => {
  test('v5 [MQTT-1.5.5-1] is refused in more bytes than it needs, whole or split; MQTT 3 has no such rule', () => {
    for (const hex of ['c0 80 00', 'c0 80 80 00', 'c0 80 80 80 00']) {
      const bytes = fromHex(hex);
      for (const version of [v5, v311, 0] as const) {
        for (const step of [1, bytes.length]) {
          const framer = new PlainFramer();
          framer.protocolVersion = version;
          for (let at = 0; at < bytes.length; at += step) framer.push(bytes, at, Math.min(at + step, bytes.length));
          expect(framer.errors.map(({ reasonCode }) => reasonCode)).toEqual(version === v5 ? [0x81] : []);
          expect(framer.handed.length).toBe(version === v5 ? 0 : 1);
        }
      }
    }
  });

  test('v5 section 1.5.5 is refused where it goes on after four bytes, as soon as that is known', () => {
    for (const version of [v5, v311, 0] as const) {
      for (const step of [1, 5]) {
        const framer = new PlainFramer();
        framer.protocolVersion = version;
        const bytes = fromHex('30 ff ff ff ff');
        for (let at = 0; at < bytes.length; at += step) framer.push(bytes, at, Math.min(at + step, bytes.length));
        expect(framer.errors.map(({ reasonCode }) => reasonCode)).toEqual([0x81]);
        framer.give('c0 00');
        expect(framer.handed).toEqual([]);
        expect(framer.errors.length).toBe(1);
      }
    }
  });
});

describe('the largest packet', () => {
  test('v5 [MQTT-3.2.2-15] is refused with 0x95 from its fixed header on, one byte beyond the limit', () => {
    for (const step of [1, 1_000]) {
      for (const [length, isTooLarge] of [
        [98, false],
        [99, true],
      ] as const) {
        const framer = new PlainFramer();
        framer.limit = 100;
        const header = concatBytes([Uint8Array.of(0x30), varint(length)]);
        for (let at = 0; at < header.length; at += step) framer.push(header, at, Math.min(at + step, header.length));
        framer.push(new Uint8Array(1), 0, 1);
        expect(framer.errors.map(({ reasonCode }) => reasonCode)).toEqual(isTooLarge ? [0x95] : []);
        framer.push(new Uint8Array(97), 0, 97);
        expect(framer.handed.length).toBe(isTooLarge ? 0 : 1);
      }
    }
  });

  test('v5 [MQTT-3.2.2-15] counts the fixed header, whole or split', () => {
    for (const [limit, code] of [
      [131, []],
      [130, [0x95]],
    ] as const) {
      const bytes = fromHex('30 8001 0001 "a" {78*125}');
      expect(bytes.length).toBe(131);
      for (const cut of [131, 2, 1, 50]) {
        const framer = new PlainFramer();
        framer.limit = limit;
        framer.push(bytes, 0, cut);
        framer.push(bytes, cut, bytes.length);
        expect(framer.errors.map(({ reasonCode }) => reasonCode)).toEqual([...code]);
        expect(framer.handed.length).toBe(1 - code.length);
      }
    }
  });

  test('of the standard, 268,435,455 bytes and its header, is waited for', () => {
    const framer = new PlainFramer();
    framer.give('30 ff ff ff 7f 00');
    expect(framer.errors).toEqual([]);
    const small = new PlainFramer();
    small.limit = MAX_REMAINING_LENGTH + 4;
    small.give('30 ff ff ff 7f 00');
    expect(small.errors.map(({ reasonCode }) => reasonCode)).toEqual([0x95]);
  });
});

describe('memory', () => {
  test('is not reserved for a length that is only announced', () => {
    const framer = new PlainFramer();
    framer.give('30 ff ff ff 7f 00 01 "a"');
    expect(bufferOf(framer)!.length).toBeLessThanOrEqual(4_096);
    const idle = new PlainFramer();
    idle.give('30');
    expect(bufferOf(idle)!.length).toBeLessThanOrEqual(16);
    idle.give('ff ff ff');
    expect(bufferOf(idle)!.length).toBeLessThanOrEqual(16);
  });

  test('for a split packet grows with what came and is copied a constant number of times', () => {
    const total = 4_000_000;
    const framer = new PlainFramer();
    const header = concatBytes([Uint8Array.of(0x30), varint(total)]);
    framer.push(header, 0, header.length);
    const piece = new Uint8Array(1_000).fill(7);
    let buffer: Uint8Array | null = null;
    let copied = 0;
    let came = header.length;
    for (let i = 0; i < total / piece.length; i++) {
      framer.push(piece, 0, piece.length);
      const now = bufferOf(framer);
      if (now !== null && now !== buffer) {
        copied += came;
        expect(now.length).toBeLessThanOrEqual(Math.max(4_096, 2 * (came + piece.length)));
      }
      buffer = now;
      came += piece.length;
    }
    expect(copied).toBeLessThan(2 * total);
    expect(framer.handed.map(({ start, end }) => end - start)).toEqual([total]);
    expect(framer.handed[0]!.bytes.length).toBe(total + header.length);
    expect(framer.handed[0]!.bytes.subarray(header.length).every((byte) => byte === 7)).toBe(true);
  });
});
