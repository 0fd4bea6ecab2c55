// Hot path: every byte of a WebSocket client passes here. docs/decisions/003-own-websocket-framing.md has its
// measurements.
//
// RFC 6455 section 5, server role: masked client frames in, unmasked server frames out. MQTT reads the payloads as one
// stream of bytes whose packets ignore frame borders (v5 [MQTT-6.0.0-2]), so a payload goes on as it arrives and no
// message is ever assembled. No extension is negotiated, hence no compression. The reader never answers the peer: its
// sink decides what to write.

export const WebSocketOpcode = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;
export type WebSocketOpcode = (typeof WebSocketOpcode)[keyof typeof WebSocketOpcode];

/** RFC 6455 section 7.4.1 and the IANA registry; only the codes that this project sends or names. */
export const WebSocketCloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Stands for a Close frame without a code; never on the wire. */
  noStatus: 1005,
  invalidPayload: 1007,
  policyViolation: 1008,
  messageTooBig: 1009,
  internalError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013,
} as const;
export type WebSocketCloseCode = (typeof WebSocketCloseCode)[keyof typeof WebSocketCloseCode];

/**
 * What the reader reports, in stream order. Byte ranges are unmasked, lie in the chunk that is being read (a control
 * payload split between chunks: in a buffer of the reader), and are valid during the call only.
 */
export interface WebSocketSink {
  /** The next bytes of the MQTT stream; `start < end`. Where a frame ends does not show. */
  onPayload(bytes: Uint8Array, start: number, end: number): void;
  /** At most 125 bytes, to be sent back in a Pong (section 5.5.2). */
  onPing(bytes: Uint8Array, start: number, end: number): void;
  onPong(bytes: Uint8Array, start: number, end: number): void;
  /** Close frame: `code` is 1005 when it carries none. Nothing is reported after it. */
  onClose(code: number, reason: string): void;
  /** The peer broke the protocol: send `closeCode`, then end the connection. Nothing is reported after it. */
  onProtocolError(closeCode: WebSocketCloseCode, cause: string): void;
}

const STATE_FIRST_BYTE = 0;
const STATE_SECOND_BYTE = 1;
const STATE_LENGTH = 2;
const STATE_MASK = 3;
const STATE_PAYLOAD = 4;
const STATE_ENDED = 5;

const MAX_CONTROL_PAYLOAD = 125;

/** Where making a word view begins to pay: 256 bytes take 80 ns by words, 90 ns by bytes; 64 KiB 3.4 us and 21 us. */
const WORDWISE_FROM = 256;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/**
 * Cuts the stream of one client connection into frames. Chunks may split it at any byte.
 *
 * Unmasks IN PLACE: the caller owns the chunk and must not use what was read for anything else. Refused: unmasked
 * frames (section 5.1), reserved bits and opcodes, text (1003, v5 [MQTT-6.0.0-1]), wrong fragmentation, long or
 * fragmented control frames, Close frames with a code or a reason that section 7.4 forbids. Not enforced: that a length
 * uses the shortest of its three forms.
 */
export class WebSocketFrameReader {
  private readonly maxFrameBytes: number;
  private state: number;
  private opcode: number;
  /** A data message has begun and its final frame has not. */
  private inMessage: boolean;
  /** Payload bytes of the current frame still to come; while the length is read, the length so far. */
  private remaining: number;
  /** Bytes still to come of the extended length, then of the masking key. */
  private pending: number;
  /** Masking key as a little-endian word, rotated so that its lowest byte unmasks the next payload byte. */
  private mask: number;
  /** A control payload that came in several chunks; null otherwise. */
  private control: Uint8Array | null;
  private controlLength: number;

  /** `maxFrameBytes` bounds the payload that one data frame may announce (1009 above it), up to 2^53 - 1. */
  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes;
    this.state = STATE_FIRST_BYTE;
    this.opcode = 0;
    this.inMessage = false;
    this.remaining = 0;
    this.pending = 0;
    this.mask = 0;
    this.control = null;
    this.controlLength = 0;
  }

  /** After a Close frame, a protocol error, or `stop()`. */
  get ended(): boolean {
    return this.state === STATE_ENDED;
  }

  /** Ignores all that follows, also the rest of a chunk being read: for a sink that ends the connection. */
  stop(): void {
    this.state = STATE_ENDED;
    this.control = null;
  }

  /** Reads `chunk[start, end)` to its end, unless the stream ends before. */
  read(chunk: Uint8Array, start: number, end: number, sink: WebSocketSink): void {
    let position = start;
    let words: Int32Array | null = null;
    while (position < end) {
      switch (this.state) {
        case STATE_FIRST_BYTE:
          this.readFirstByte(chunk[position++]!, sink);
          break;
        case STATE_SECOND_BYTE:
          this.readSecondByte(chunk[position++]!, sink);
          break;
        case STATE_LENGTH:
          this.readLengthByte(chunk[position++]!, sink);
          break;
        case STATE_MASK:
          this.mask = (this.mask >>> 8) | (chunk[position++]! << 24);
          if (--this.pending === 0) {
            if (this.remaining > 0) {
              this.state = STATE_PAYLOAD;
            } else {
              this.state = STATE_FIRST_BYTE;
              if (this.opcode >= WebSocketOpcode.close) this.deliverControl(chunk, position, position, sink);
            }
          }
          break;
        case STATE_PAYLOAD: {
          const from = position;
          position = Math.min(end, from + this.remaining);
          if (position - from < WORDWISE_FROM) {
            unmaskBytes(chunk, from, position, this.mask);
          } else {
            words ??= wordsOf(chunk);
            unmaskWords(chunk, words, from, position, this.mask);
          }
          this.takePayload(chunk, from, position, sink);
          break;
        }
        default:
          return;
      }
    }
  }

  /** FIN, RSV1-3, opcode. */
  private readFirstByte(byte: number, sink: WebSocketSink): void {
    const final = (byte & 0x80) !== 0;
    const opcode = byte & 0x0f;
    if ((byte & 0x70) !== 0) {
      this.fail(sink, WebSocketCloseCode.protocolError, 'reserved bit set in a frame, no extension was negotiated');
      return;
    }
    switch (opcode) {
      case WebSocketOpcode.continuation:
        if (!this.inMessage) {
          this.fail(sink, WebSocketCloseCode.protocolError, 'continuation frame without a message to continue');
          return;
        }
        this.inMessage = !final;
        break;
      case WebSocketOpcode.binary:
        if (this.inMessage) {
          this.fail(sink, WebSocketCloseCode.protocolError, 'new message inside a fragmented message');
          return;
        }
        this.inMessage = !final;
        break;
      case WebSocketOpcode.text:
        this.fail(sink, WebSocketCloseCode.unsupportedData, 'text frame, MQTT takes binary frames only');
        return;
      case WebSocketOpcode.close:
      case WebSocketOpcode.ping:
      case WebSocketOpcode.pong:
        if (!final) {
          this.fail(sink, WebSocketCloseCode.protocolError, 'fragmented control frame');
          return;
        }
        break;
      default:
        this.fail(sink, WebSocketCloseCode.protocolError, 'reserved opcode');
        return;
    }
    this.opcode = opcode;
    this.state = STATE_SECOND_BYTE;
  }

  /** MASK bit and the 7-bit length. */
  private readSecondByte(byte: number, sink: WebSocketSink): void {
    if ((byte & 0x80) === 0) {
      this.fail(sink, WebSocketCloseCode.protocolError, 'unmasked frame from a client');
      return;
    }
    const length = byte & 0x7f;
    if (length > MAX_CONTROL_PAYLOAD) {
      if (this.opcode >= WebSocketOpcode.close) {
        this.fail(sink, WebSocketCloseCode.protocolError, 'control frame longer than 125 bytes');
        return;
      }
      this.remaining = 0;
      this.pending = length === 126 ? 2 : 8;
      this.state = STATE_LENGTH;
      return;
    }
    this.remaining = length;
    this.endLength(sink);
  }

  private readLengthByte(byte: number, sink: WebSocketSink): void {
    if (this.pending === 8 && byte >= 0x80) {
      this.fail(sink, WebSocketCloseCode.protocolError, 'highest bit of a 64-bit frame length is set');
      return;
    }
    // Loses precision above 2^53, where every value is over the limit anyway.
    this.remaining = this.remaining * 256 + byte;
    if (--this.pending === 0) this.endLength(sink);
  }

  private endLength(sink: WebSocketSink): void {
    if (this.remaining > this.maxFrameBytes && this.opcode < WebSocketOpcode.close) {
      this.fail(sink, WebSocketCloseCode.messageTooBig, 'frame longer than the limit');
      return;
    }
    this.pending = 4;
    this.state = STATE_MASK;
  }

  /** The next unmasked bytes of the current frame, at least one. */
  private takePayload(chunk: Uint8Array, start: number, end: number, sink: WebSocketSink): void {
    const taken = end - start;
    this.remaining -= taken;
    const complete = this.remaining === 0;
    if (complete) {
      this.state = STATE_FIRST_BYTE;
    } else {
      const bits = (taken & 3) << 3;
      if (bits !== 0) this.mask = (this.mask >>> bits) | (this.mask << (32 - bits));
    }
    if (this.opcode < WebSocketOpcode.close) {
      sink.onPayload(chunk, start, end);
      return;
    }
    if (complete && this.control === null) {
      this.deliverControl(chunk, start, end, sink);
      return;
    }
    if (this.control === null) {
      this.control = new Uint8Array(taken + this.remaining);
      this.controlLength = 0;
    }
    const control = this.control;
    for (let i = start; i < end; i++) control[this.controlLength++] = chunk[i]!;
    if (complete) {
      this.control = null;
      this.deliverControl(control, 0, control.length, sink);
    }
  }

  private deliverControl(bytes: Uint8Array, start: number, end: number, sink: WebSocketSink): void {
    if (this.opcode === WebSocketOpcode.ping) sink.onPing(bytes, start, end);
    else if (this.opcode === WebSocketOpcode.pong) sink.onPong(bytes, start, end);
    else this.deliverClose(bytes, start, end, sink);
  }

  /** Two bytes of code, then the reason in UTF-8; or nothing (section 5.5.1). */
  private deliverClose(bytes: Uint8Array, start: number, end: number, sink: WebSocketSink): void {
    if (start === end) {
      this.stop();
      sink.onClose(WebSocketCloseCode.noStatus, '');
      return;
    }
    if (end - start === 1) {
      this.fail(sink, WebSocketCloseCode.protocolError, 'Close frame with half a code');
      return;
    }
    const code = (bytes[start]! << 8) | bytes[start + 1]!;
    if (!mayBeSent(code)) {
      this.fail(sink, WebSocketCloseCode.protocolError, 'Close frame with a code that must not be sent');
      return;
    }
    let reason: string;
    try {
      reason = utf8.decode(bytes.subarray(start + 2, end));
    } catch {
      this.fail(sink, WebSocketCloseCode.invalidPayload, 'reason of a Close frame is not UTF-8');
      return;
    }
    this.stop();
    sink.onClose(code, reason);
  }

  private fail(sink: WebSocketSink, closeCode: WebSocketCloseCode, cause: string): void {
    this.stop();
    sink.onProtocolError(closeCode, cause);
  }
}

/** Section 7.4.2: 1004-1006 and 1015 are reserved, 1016-2999 unassigned, 3000-4999 free for use. */
function mayBeSent(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

function unmaskBytes(bytes: Uint8Array, start: number, end: number, mask: number): void {
  const mask1 = mask >>> 8;
  const mask2 = mask >>> 16;
  const mask3 = mask >>> 24;
  let i = start;
  for (const last = end - 3; i < last; i += 4) {
    bytes[i]! ^= mask;
    bytes[i + 1]! ^= mask1;
    bytes[i + 2]! ^= mask2;
    bytes[i + 3]! ^= mask3;
  }
  if (i < end) bytes[i]! ^= mask;
  if (i + 1 < end) bytes[i + 1]! ^= mask1;
  if (i + 2 < end) bytes[i + 2]! ^= mask2;
}

/** The whole buffer under `chunk` as little-endian words (Bun runs on little-endian machines only). */
function wordsOf(chunk: Uint8Array): Int32Array {
  return new Int32Array(chunk.buffer, 0, chunk.buffer.byteLength >>> 2);
}

/** As `unmaskBytes`, for 4 bytes or more; `words` is `wordsOf(bytes)`. Four words a turn are 27 % faster than one. */
function unmaskWords(bytes: Uint8Array, words: Int32Array, start: number, end: number, mask: number): void {
  const offset = bytes.byteOffset;
  const head = (4 - ((offset + start) & 3)) & 3;
  unmaskBytes(bytes, start, start + head, mask);
  const bits = head << 3;
  const rotated = bits === 0 ? mask : (mask >>> bits) | (mask << (32 - bits));
  let i = (offset + start + head) >>> 2;
  const lastWord = (offset + end) >>> 2;
  for (const last = lastWord - 3; i < last; i += 4) {
    words[i]! ^= rotated;
    words[i + 1]! ^= rotated;
    words[i + 2]! ^= rotated;
    words[i + 3]! ^= rotated;
  }
  for (; i < lastWord; i++) words[i]! ^= rotated;
  unmaskBytes(bytes, (lastWord << 2) - offset, end, rotated);
}

/** Bytes of an unmasked frame header before `payloadLength` bytes: 2, 4 or 10. */
export function frameHeaderLength(payloadLength: number): number {
  return payloadLength <= 125 ? 2 : payloadLength <= 0xffff ? 4 : 10;
}

/**
 * Writes the header of an unmasked frame at `out[offset]` and returns the offset after it. `out` must have room for
 * `frameHeaderLength(payloadLength)` bytes. The caller keeps control frames final and within 125 bytes.
 */
export function encodeFrameHeader(
  out: Uint8Array,
  offset: number,
  opcode: WebSocketOpcode,
  payloadLength: number,
  final = true,
): number {
  out[offset] = final ? 0x80 | opcode : opcode;
  if (payloadLength <= 125) {
    out[offset + 1] = payloadLength;
    return offset + 2;
  }
  if (payloadLength <= 0xffff) {
    out[offset + 1] = 126;
    out[offset + 2] = payloadLength >>> 8;
    out[offset + 3] = payloadLength;
    return offset + 4;
  }
  const high = Math.floor(payloadLength / 0x1_0000_0000);
  out[offset + 1] = 127;
  out[offset + 2] = high >>> 24;
  out[offset + 3] = high >>> 16;
  out[offset + 4] = high >>> 8;
  out[offset + 5] = high;
  out[offset + 6] = payloadLength >>> 24;
  out[offset + 7] = payloadLength >>> 16;
  out[offset + 8] = payloadLength >>> 8;
  out[offset + 9] = payloadLength;
  return offset + 10;
}

/** A whole Ping or Pong with a copy of `payload[start, end)`, at most 125 bytes. */
export function encodeControlFrame(
  opcode: typeof WebSocketOpcode.ping | typeof WebSocketOpcode.pong,
  payload: Uint8Array,
  start: number,
  end: number,
): Uint8Array {
  const frame = new Uint8Array(2 + end - start);
  let position = encodeFrameHeader(frame, 0, opcode, end - start);
  for (let i = start; i < end; i++) frame[position++] = payload[i]!;
  return frame;
}

/** A whole Close frame; code 1005 makes an empty one. The reason is cut to 123 bytes of UTF-8 between characters. */
export function encodeCloseFrame(code: number, reason = ''): Uint8Array {
  const frame = new Uint8Array(2 + MAX_CONTROL_PAYLOAD);
  let length = 0;
  if (code !== WebSocketCloseCode.noStatus) {
    frame[2] = code >>> 8;
    frame[3] = code;
    length = 2 + utf8Encoder.encodeInto(reason, frame.subarray(4)).written;
  }
  return frame.subarray(0, encodeFrameHeader(frame, 0, WebSocketOpcode.close, length) + length);
}
