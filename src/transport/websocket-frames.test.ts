import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  encodeCloseFrame,
  encodeControlFrame,
  encodeFrameHeader,
  frameHeaderLength,
  WebSocketCloseCode,
  WebSocketFrameReader,
  WebSocketOpcode,
  type WebSocketSink,
} from './websocket-frames.ts';
import { sized } from '../../test/support/long-run.ts';

const MAX_FRAME = 1_000_000;

/** Events as text; neighbouring payloads are one event, since where they are cut depends on the chunks. */
class RecordingSink implements WebSocketSink {
  readonly events: string[] = [];
  private payload = '';

  onPayload(bytes: Uint8Array, start: number, end: number): void {
    expect(start).toBeLessThan(end);
    this.payload += hexOf(bytes.subarray(start, end));
  }
  onPing(bytes: Uint8Array, start: number, end: number): void {
    this.add(`ping ${hexOf(bytes.subarray(start, end))}`);
  }
  onPong(bytes: Uint8Array, start: number, end: number): void {
    this.add(`pong ${hexOf(bytes.subarray(start, end))}`);
  }
  onClose(code: number, reason: string): void {
    this.add(`close ${code} ${reason}`);
  }
  onProtocolError(closeCode: WebSocketCloseCode, cause: string): void {
    this.add(`error ${closeCode} ${cause}`);
  }
  finish(): string[] {
    if (this.payload !== '') this.events.push(`payload ${this.payload}`);
    this.payload = '';
    return this.events;
  }
  private add(event: string): void {
    this.finish();
    this.events.push(event);
  }
}

function hexOf(bytes: Uint8Array): string {
  return bytes.toHex();
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(' ', ''));
}

/** Reads a copy of `bytes`, cut before each of `cuts`. */
function read(bytes: Uint8Array, cuts: readonly number[] = [], maxFrameBytes = MAX_FRAME): string[] {
  const reader = new WebSocketFrameReader(maxFrameBytes);
  const sink = new RecordingSink();
  let start = 0;
  for (const cut of [...cuts, bytes.length]) {
    const chunk = bytes.slice(start, cut);
    reader.read(chunk, 0, chunk.length, sink);
    start = cut;
  }
  return sink.finish();
}

function readHex(hex: string, maxFrameBytes = MAX_FRAME): string[] {
  const bytes = fromHex(hex);
  const whole = read(bytes, [], maxFrameBytes);
  expect(read(bytes, everyByte(bytes), maxFrameBytes)).toEqual(whole);
  return whole;
}

function everyByte(bytes: Uint8Array): number[] {
  return Array.from(bytes, (_, index) => index);
}

interface Frame {
  firstByte: number;
  payload: Uint8Array;
  mask: Uint8Array;
}

/** What a client sends, written without the code under test. */
function clientFrame({ firstByte, payload, mask }: Frame): Uint8Array {
  const length = payload.length;
  const header = new DataView(new ArrayBuffer(14));
  header.setUint8(0, firstByte);
  let size = 2;
  if (length < 126) {
    header.setUint8(1, 0x80 | length);
  } else if (length < 65536) {
    header.setUint8(1, 0x80 | 126);
    header.setUint16(2, length);
    size = 4;
  } else {
    header.setUint8(1, 0x80 | 127);
    header.setBigUint64(2, BigInt(length));
    size = 10;
  }
  const out = new Uint8Array(size + 4 + length);
  out.set(new Uint8Array(header.buffer, 0, size));
  out.set(mask, size);
  payload.forEach((byte, index) => (out[size + 4 + index] = byte ^ mask[index % 4]!));
  return out;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

const maskArbitrary = fc.uint8Array({ minLength: 4, maxLength: 4 });
const controlFrame = fc.record({
  firstByte: fc.constantFrom(0x89, 0x8a),
  payload: fc.uint8Array({ maxLength: 125 }),
  mask: maskArbitrary,
});
/** One message in 1 to 4 frames, pings and pongs between them. */
const message = fc
  .array(
    fc.record({
      payload: fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ minLength: 120, maxLength: 900 })),
      mask: maskArbitrary,
      control: fc.option(controlFrame, { nil: null }),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((fragments) =>
    fragments.flatMap(({ payload, mask, control }, index): Frame[] => {
      const final = index === fragments.length - 1 ? 0x80 : 0;
      const frame = { firstByte: final | (index === 0 ? 2 : 0), payload, mask };
      return control === null ? [frame] : [frame, control];
    }),
  );
const stream = fc.array(message, { minLength: 1, maxLength: 4 }).map((messages) => messages.flat());

function expectedEvents(frames: readonly Frame[]): string[] {
  const sink = new RecordingSink();
  for (const { firstByte, payload } of frames) {
    if (firstByte === 0x89) sink.onPing(payload, 0, payload.length);
    else if (firstByte === 0x8a) sink.onPong(payload, 0, payload.length);
    else if (payload.length > 0) sink.onPayload(payload, 0, payload.length);
  }
  return sink.finish();
}

describe('frames of a client (RFC 6455 section 5)', () => {
  test('a masked binary frame is unmasked (section 5.7, as binary)', () => {
    expect(readHex('82 85 37fa213d 7f9f4d5158')).toEqual(['payload 48656c6c6f']);
  });

  test('a fragmented message goes on as one stream (section 5.7, masked)', () => {
    expect(readHex('02 83 00000000 48656c  80 82 01020304 6d6d')).toEqual(['payload 48656c6c6f']);
  });

  test('v5 [MQTT-6.0.0-2] v3.1.1 [MQTT-6.0.0-2] packets may lie across frames and share one', () => {
    // PINGREQ and half a PINGREQ in one frame, the other half in the next, which holds one more.
    expect(readHex('82 83 00000000 c000c0  82 83 00000000 00c000')).toEqual(['payload c000c000c000']);
  });

  test('ping, pong and close carry their payload (section 5.7)', () => {
    expect(readHex('89 85 37fa213d 7f9f4d5158')).toEqual(['ping 48656c6c6f']);
    expect(readHex('8a 85 37fa213d 7f9f4d5158')).toEqual(['pong 48656c6c6f']);
    expect(readHex('88 85 00000000 03e8 627965')).toEqual(['close 1000 bye']);
    expect(readHex('88 80 00000000')).toEqual(['close 1005 ']);
    expect(readHex('88 82 ffffffff fc17')).toEqual(['close 1000 ']);
  });

  test('control frames may come between the fragments of a message', () => {
    expect(
      readHex('02 81 00000000 01  89 81 00000000 aa  00 81 00000000 02  8a 80 00000000  80 81 00000000 03'),
    ).toEqual(['payload 01', 'ping aa', 'payload 02', 'pong ', 'payload 03']);
  });

  test('frames without payload say nothing', () => {
    expect(readHex('82 80 12345678  02 80 12345678  80 80 12345678')).toEqual([]);
  });

  test('16-bit and 64-bit lengths are read, also where a shorter form would do', () => {
    expect(readHex('82 fe 0005 37fa213d 7f9f4d5158')).toEqual(['payload 48656c6c6f']);
    expect(readHex('82 ff 0000000000000005 37fa213d 7f9f4d5158')).toEqual(['payload 48656c6c6f']);
    const payload = new Uint8Array(65_536).fill(0x5a);
    const mask = fromHex('01020304');
    expect(read(clientFrame({ firstByte: 0x82, payload, mask }), [1, 5, 9, 13, 14, 15, 40_000])).toEqual([
      `payload ${hexOf(payload)}`,
    ]);
  });

  test('payload is handed on as it arrives, in place, before its frame is whole', () => {
    const reader = new WebSocketFrameReader(MAX_FRAME);
    const chunk = fromHex('ffff 82 ff 00000000000f4240 01010101 494949 ffff');
    const ranges: [Uint8Array, number, number][] = [];
    const sink = new RecordingSink();
    sink.onPayload = (bytes, start, end) => ranges.push([bytes, start, end]);
    reader.read(chunk, 2, chunk.length - 2, sink);
    expect(ranges).toHaveLength(1);
    expect(ranges[0]![0]).toBe(chunk);
    expect(ranges[0]!.slice(1)).toEqual([16, 19]);
    expect(hexOf(chunk.subarray(16))).toBe('484848ffff');
  });

  test('all fields exist from the start', () => {
    const reader = new WebSocketFrameReader(MAX_FRAME);
    const before = Object.keys(reader);
    for (const hex of ['89 84 00000000 aa', 'bb', 'ccdd', '88 82 00000000 03e8']) {
      const chunk = fromHex(hex);
      reader.read(chunk, 0, chunk.length, new RecordingSink());
    }
    expect(Object.keys(reader)).toEqual(before);
    expect(reader.ended).toBe(true);
  });
});

describe('what a client must not send', () => {
  const cases: [name: string, hex: string, closeCode: number, cause: string][] = [
    ['an unmasked frame (section 5.1)', '82 05 48656c6c6f', 1002, 'unmasked'],
    ['an unmasked ping', '89 00', 1002, 'unmasked'],
    ['RSV1', 'c2 80 00000000', 1002, 'reserved bit'],
    ['RSV2', 'a2 80 00000000', 1002, 'reserved bit'],
    ['RSV3', '92 80 00000000', 1002, 'reserved bit'],
    ['opcode 3', '83 80 00000000', 1002, 'reserved opcode'],
    ['opcode 7', '87 80 00000000', 1002, 'reserved opcode'],
    ['opcode 11', '8b 80 00000000', 1002, 'reserved opcode'],
    ['opcode 15', '8f 80 00000000', 1002, 'reserved opcode'],
    ['a continuation of nothing', '80 80 00000000', 1002, 'continuation'],
    ['a continuation after the final frame', '82 80 00000000 00 80 00000000', 1002, 'continuation'],
    ['a message inside a message', '02 80 00000000 82 80 00000000', 1002, 'inside'],
    ['a fragmented ping', '09 80 00000000', 1002, 'fragmented control'],
    ['a ping of 126 bytes', '89 fe 007e', 1002, 'longer than 125'],
    ['a close with a 64-bit length', '88 ff', 1002, 'longer than 125'],
    ['a 64-bit length with the highest bit', '82 ff 80', 1002, 'highest bit'],
    ['a frame over the limit', '82 fe 0401', 1009, 'longer than the limit'],
    ['a frame of 2^63 - 1 bytes', '82 ff 7fffffffffffffff', 1009, 'longer than the limit'],
    ['half a close code', '88 81 00000000 03', 1002, 'half a code'],
    ['a reason that is not UTF-8', '88 83 00000000 03e8 ff', 1007, 'not UTF-8'],
  ];
  for (const [name, hex, closeCode, cause] of cases) {
    test(`${name} ends with ${closeCode} at once, and the rest is ignored`, () => {
      const events = readHex(`${hex} 82 81 00000000 01`, 1024);
      expect(events).toHaveLength(1);
      expect(events[0]).toStartWith(`error ${closeCode} `);
      expect(events[0]).toContain(cause);
      expect(readHex(hex, 1024)).toEqual(events);
    });
  }

  test('v5 [MQTT-6.0.0-1] v3.1.1 [MQTT-6.0.0-1] a text frame ends with 1003', () => {
    expect(readHex('81 85 37fa213d 7f9f4d5158')).toEqual(['error 1003 text frame, MQTT takes binary frames only']);
  });

  test('the limit itself is allowed and does not bind control frames', () => {
    expect(readHex('82 82 00000000 0102  89 83 00000000 010203', 2)).toEqual(['payload 0102', 'ping 010203']);
    expect(readHex('82 83 00000000 010203', 2)).toEqual(['error 1009 frame longer than the limit']);
  });

  test('close codes follow section 7.4', () => {
    const allowed = (code: number): boolean => {
      const hex = code.toString(16).padStart(4, '0');
      return read(fromHex(`88 82 00000000 ${hex}`))[0] === `close ${code} `;
    };
    const ranges: [number, number][] = [];
    for (let code = 0; code <= 0xffff; code++) {
      if (!allowed(code)) continue;
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === code - 1) last[1] = code;
      else ranges.push([code, code]);
    }
    expect(ranges).toEqual([
      [1000, 1003],
      [1007, 1014],
      [3000, 4999],
    ]);
  });

  test('nothing is delivered after a close frame', () => {
    expect(readHex('82 81 00000000 01  88 80 00000000  82 81 00000000 02  ff')).toEqual(['payload 01', 'close 1005 ']);
  });

  test('a sink that calls stop() hears nothing more, not even of the same chunk', () => {
    const reader = new WebSocketFrameReader(MAX_FRAME);
    const sink = new RecordingSink();
    const onPayload = sink.onPayload.bind(sink);
    sink.onPayload = (bytes, start, end) => {
      onPayload(bytes, start, end);
      reader.stop();
    };
    const chunk = fromHex('82 81 00000000 01  82 81 00000000 02  89 80 00000000');
    reader.read(chunk, 0, chunk.length, sink);
    reader.read(chunk, 0, chunk.length, sink);
    expect(sink.finish()).toEqual(['payload 01']);
    expect(reader.ended).toBe(true);
  });
});

describe('any split and any bytes', () => {
  test('frames split anywhere give the same events', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat({ max: 5000 }), { maxLength: 12 }), (frames, positions) => {
        const bytes = concat(frames.map(clientFrame));
        const cuts = positions.filter((cut) => cut < bytes.length).sort((a, b) => a - b);
        const expected = expectedEvents(frames);
        expect(read(bytes, cuts)).toEqual(expected);
        expect(read(bytes, everyByte(bytes))).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  test('unmasking is right for every length and alignment in its buffer', () => {
    const mask = fromHex('a1b2c3d4');
    for (const length of [1, 2, 3, 4, 5, 7, 255, 256, 257, 258, 259, 260, 263, 1021, 4096]) {
      const payload = Uint8Array.from({ length }, (_, index) => (index * 7) & 0xff);
      const frame = clientFrame({ firstByte: 0x82, payload, mask });
      for (let offset = 0; offset < 8; offset++) {
        for (let cut = 0; cut <= 5; cut++) {
          const around = new Uint8Array(offset + frame.length + 5).fill(0xee);
          around.set(frame, offset);
          const chunk = around.subarray(offset, offset + frame.length);
          const sink = new RecordingSink();
          const reader = new WebSocketFrameReader(MAX_FRAME);
          const middle = Math.min(frame.length, frame.length - length + cut);
          reader.read(chunk, 0, middle, sink);
          reader.read(chunk, middle, chunk.length, sink);
          expect(sink.finish()).toEqual([`payload ${hexOf(payload)}`]);
          expect(around.subarray(0, offset).every((byte) => byte === 0xee)).toBe(true);
          expect(around.subarray(offset + frame.length).every((byte) => byte === 0xee)).toBe(true);
        }
      }
    }
  });

  test('mutated streams give documented events only, the same however they are split', () => {
    const seed = Number(Bun.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 0x7fffffff));
    console.log(`websocket-frames mutations: FUZZ_SEED=${seed}`);
    const bases = [
      '82 85 37fa213d 7f9f4d5158 82 fe 0005 37fa213d 7f9f4d5158',
      '02 81 00000000 01 89 81 00000000 aa 00 81 00000000 02 8a 80 00000000 80 81 00000000 03',
      '82 ff 0000000000000005 37fa213d 7f9f4d5158 88 85 00000000 03e8 627965',
      `89 fd 01020304 ${'77'.repeat(125)} 82 fe 0180 0a0b0c0d ${'99'.repeat(384)} 88 80 00000000`,
    ].map(fromHex);
    const mutation = fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 600 }), fc.nat({ max: 255 }));
    const ends = new Map<string, number>();
    fc.assert(
      fc.property(
        fc.nat({ max: bases.length - 1 }),
        fc.array(mutation, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat({ max: 40 }), { maxLength: 4 }),
        (base, mutations, positions) => {
          const bytes = mutate(bases[base]!, mutations);
          const events = read(bytes, [], 1024);
          const cuts = positions.filter((cut) => cut < bytes.length).sort((a, b) => a - b);
          expect(read(bytes, cuts, 1024)).toEqual(events);
          events.forEach((event, index) => {
            expect(event).toMatch(
              /^(?:payload [0-9a-f]+|p[io]ng [0-9a-f]*|close \d{4} .*|error 100[2379] [a-zA-Z0-9 ,-]+)$/su,
            );
            if (/^[ce]/.test(event)) expect(index).toBe(events.length - 1);
          });
          const end = /^error \d{4}|^close|/.exec(events.at(-1) ?? '')![0];
          ends.set(end, (ends.get(end) ?? 0) + 1);
        },
      ),
      { numRuns: sized(5_000, 50_000), seed },
    );
    // The mutations reach each way to end, or they prove little.
    expect([...ends.keys()].sort()).toEqual(['', 'close', 'error 1002', 'error 1003', 'error 1007', 'error 1009']);
  });
});

/** Sets, inserts, removes one byte, or cuts the end off. */
function mutate(base: Uint8Array, mutations: readonly [number, number, number][]): Uint8Array {
  const bytes = [...base];
  for (const [kind, at, value] of mutations) {
    const position = at % (bytes.length + 1);
    if (kind === 0) bytes[position] = value;
    else if (kind === 1) bytes.splice(position, 0, value);
    else if (kind === 2) bytes.splice(position, 1);
    else if (value < 32) bytes.length = position;
  }
  return Uint8Array.from(bytes);
}

describe('frames of the server', () => {
  test('headers match section 5.7 and take the shortest form', () => {
    const header = (opcode: WebSocketOpcode, length: number, final?: boolean): string => {
      const out = new Uint8Array(12).fill(0xee);
      const end = encodeFrameHeader(out, 1, opcode, length, final);
      expect(end - 1).toBe(frameHeaderLength(length));
      expect(out[0]).toBe(0xee);
      expect(out[end] ?? 0xee).toBe(0xee);
      return hexOf(out.subarray(1, end));
    };
    expect(header(WebSocketOpcode.text, 5)).toBe('8105');
    expect(header(WebSocketOpcode.text, 3, false)).toBe('0103');
    expect(header(WebSocketOpcode.continuation, 2)).toBe('8002');
    expect(header(WebSocketOpcode.ping, 5)).toBe('8905');
    expect(header(WebSocketOpcode.pong, 5)).toBe('8a05');
    expect(header(WebSocketOpcode.binary, 0)).toBe('8200');
    expect(header(WebSocketOpcode.binary, 125)).toBe('827d');
    expect(header(WebSocketOpcode.binary, 126)).toBe('827e007e');
    expect(header(WebSocketOpcode.binary, 256)).toBe('827e0100');
    expect(header(WebSocketOpcode.binary, 65_535)).toBe('827effff');
    expect(header(WebSocketOpcode.binary, 65_536)).toBe('827f0000000000010000');
    expect(header(WebSocketOpcode.binary, 2 ** 32 + 258)).toBe('827f0000000100000102');
    expect(header(WebSocketOpcode.binary, Number.MAX_SAFE_INTEGER)).toBe('827f001fffffffffffff');
  });

  test('a header that is encoded, masked and read again gives its length back', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 65_000, max: 66_000 })), (length) => {
        const frame = new Uint8Array(14 + length);
        const end = encodeFrameHeader(frame, 0, WebSocketOpcode.binary, length);
        frame[1]! |= 0x80;
        const sink = new RecordingSink();
        const reader = new WebSocketFrameReader(MAX_FRAME);
        reader.read(frame, 0, end + 4 + length, sink);
        const ping = fromHex('89 80 00000000');
        reader.read(ping, 0, ping.length, sink);
        expect(sink.finish()).toEqual(length === 0 ? ['ping '] : [`payload ${'00'.repeat(length)}`, 'ping ']);
      }),
      { numRuns: 200 },
    );
  });

  test('a pong repeats the range it is given', () => {
    expect(hexOf(encodeControlFrame(WebSocketOpcode.pong, fromHex('aabbccdd'), 1, 3))).toBe('8a02bbcc');
    expect(hexOf(encodeControlFrame(WebSocketOpcode.ping, new Uint8Array(0), 0, 0))).toBe('8900');
  });

  test('a close frame holds code and reason, cut between characters at 123 bytes', () => {
    expect(hexOf(encodeCloseFrame(WebSocketCloseCode.normal))).toBe('880203e8');
    expect(hexOf(encodeCloseFrame(WebSocketCloseCode.goingAway, 'bye'))).toBe('880503e9627965');
    expect(hexOf(encodeCloseFrame(WebSocketCloseCode.noStatus, 'not sent'))).toBe('8800');
    const long = encodeCloseFrame(WebSocketCloseCode.policyViolation, '\u20ac'.repeat(60));
    expect(hexOf(long)).toBe(`887d03f0${'e282ac'.repeat(41)}`);
    const odd = encodeCloseFrame(WebSocketCloseCode.policyViolation, `x${'\u20ac'.repeat(60)}`);
    expect(hexOf(odd)).toBe(`887b03f078${'e282ac'.repeat(40)}`);
  });
});
