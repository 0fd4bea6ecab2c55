// RFC 6455 section 5, client role: masked frames out, unmasked frames in. The counterpart of websocket-frames.ts, which
// serves brokers and their load; a client has one server, so this one is plain.
import { encodeFrameHeader, frameHeaderLength, WebSocketCloseCode, WebSocketOpcode } from './websocket-frames.ts';

const MASK_BYTES = 4;
const MAX_CONTROL_PAYLOAD = 125;

/** Bytes of a masked frame with `payloadLength` bytes of payload. */
export function maskedFrameLength(payloadLength: number): number {
  return frameHeaderLength(payloadLength) + MASK_BYTES + payloadLength;
}

/** Masking keys that nobody can foresee (section 5.3), drawn in blocks since each draw asks the system. */
export class MaskingKeys {
  private readonly pool = new Uint8Array(4_096);
  private offset = this.pool.length;

  /** Writes a key at `out[offset]`. */
  next(out: Uint8Array, offset: number): void {
    if (this.offset === this.pool.length) {
      crypto.getRandomValues(this.pool);
      this.offset = 0;
    }
    for (let i = 0; i < MASK_BYTES; i++) out[offset + i] = this.pool[this.offset++]!;
  }
}

/**
 * Writes a whole final frame with a masked copy of `payload[start, end)` at `out[0]`; `out` must hold
 * `maskedFrameLength(end - start)` bytes.
 *
 * @returns the length of the frame
 */
export function encodeMaskedFrame(
  out: Uint8Array,
  opcode: WebSocketOpcode,
  payload: Uint8Array,
  start: number,
  end: number,
  keys: MaskingKeys,
): number {
  const keyStart = encodeFrameHeader(out, 0, opcode, end - start);
  out[1]! |= 0x80;
  keys.next(out, keyStart);
  const payloadStart = keyStart + MASK_BYTES;
  for (let i = start; i < end; i++) {
    const at = i - start;
    out[payloadStart + at] = payload[i]! ^ out[keyStart + (at & 3)]!;
  }
  return payloadStart + end - start;
}

/** What the reader reports, in stream order; the ranges are valid during the call. */
export interface ServerFrameSink {
  onPayload(bytes: Uint8Array, start: number, end: number): void;
  onPing(payload: Uint8Array): void;
  /** Nothing is reported after it. */
  onClose(code: number): void;
  /** The server broke RFC 6455; nothing is reported after it. */
  onViolation(closeCode: WebSocketCloseCode, cause: string): void;
}

/** Cuts the stream of a server into frames; chunks may split it at any byte, and payloads go on as they arrive. */
export class ServerFrameReader {
  private readonly sink: ServerFrameSink;
  private readonly header = new Uint8Array(10);
  private headerLength = 0;
  private remaining = 0;
  private isControl = false;
  private inMessage = false;
  private control: number[] = [];
  private isOver = false;

  constructor(sink: ServerFrameSink) {
    this.sink = sink;
  }

  push(chunk: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end && !this.isOver) {
      if (this.remaining === 0) {
        this.header[this.headerLength++] = chunk[at++]!;
        this.readHeader();
        continue;
      }
      const next = Math.min(end, at + this.remaining);
      this.remaining -= next - at;
      if (this.isControl) {
        for (let i = at; i < next; i++) this.control.push(chunk[i]!);
        if (this.remaining === 0) this.endControl();
      } else this.sink.onPayload(chunk, at, next);
      if (this.remaining === 0) this.headerLength = 0;
      at = next;
    }
  }

  private readHeader(): void {
    const { header, headerLength } = this;
    if (headerLength < 2) return;
    const shortLength = header[1]!;
    if (headerLength === 2 && !this.checkStart(header[0]!, shortLength)) return;
    const wanted = shortLength < 126 ? 2 : shortLength === 126 ? 4 : 10;
    if (headerLength < wanted) return;
    let length = shortLength;
    if (wanted > 2) {
      length = 0;
      for (let i = 2; i < wanted; i++) length = length * 256 + header[i]!;
    }
    if (length > Number.MAX_SAFE_INTEGER) {
      this.fail(WebSocketCloseCode.messageTooBig, 'frame is longer than can be counted');
      return;
    }
    this.remaining = length;
    if (length > 0) return;
    this.headerLength = 0;
    if (this.isControl) this.endControl();
  }

  private checkStart(first: number, second: number): boolean {
    const opcode = first & 0x0f;
    const isFinal = (first & 0x80) !== 0;
    if ((first & 0x70) !== 0) return this.fail(WebSocketCloseCode.protocolError, 'reserved bits are set');
    if ((second & 0x80) !== 0) return this.fail(WebSocketCloseCode.protocolError, 'frame of a server is masked');
    this.isControl = opcode >= WebSocketOpcode.close;
    if (this.isControl) {
      if (opcode > WebSocketOpcode.pong) return this.fail(WebSocketCloseCode.protocolError, 'reserved opcode');
      if (isFinal && second <= MAX_CONTROL_PAYLOAD) return true;
      return this.fail(WebSocketCloseCode.protocolError, 'control frame is long or fragmented');
    }
    if (opcode === WebSocketOpcode.text) {
      return this.fail(WebSocketCloseCode.unsupportedData, 'text frame instead of binary');
    }
    if (opcode > WebSocketOpcode.binary) return this.fail(WebSocketCloseCode.protocolError, 'reserved opcode');
    if ((opcode === WebSocketOpcode.continuation) !== this.inMessage) {
      return this.fail(WebSocketCloseCode.protocolError, 'fragments are out of order');
    }
    this.inMessage = !isFinal;
    return true;
  }

  private endControl(): void {
    const payload = Uint8Array.from(this.control);
    const opcode = this.header[0]! & 0x0f;
    this.control = [];
    if (opcode === WebSocketOpcode.ping) this.sink.onPing(payload);
    else if (opcode === WebSocketOpcode.close) {
      this.isOver = true;
      const code = payload.length < 2 ? WebSocketCloseCode.noStatus : (payload[0]! << 8) | payload[1]!;
      this.sink.onClose(code);
    }
  }

  private fail(closeCode: WebSocketCloseCode, cause: string): false {
    this.isOver = true;
    this.sink.onViolation(closeCode, cause);
    return false;
  }
}
