// Hot path: frames -> socket. Benchmark: bench/broker (all flows).
import { FIRST_FREE_FLAG, PacketFramer } from '../protocol/packet-framer.ts';
import { Backlog } from './backlog.ts';
import type { OutputLoop } from './output-loop.ts';
import { encodeFrameHeader, frameHeaderLength, WebSocketOpcode } from './websocket-frames.ts';

/** The part of a Bun socket that a connection uses; tests hand in their own. */
export interface ByteSocket {
  /** Takes `bytes[start, start + length)` or a part of it; returns how many, -1 when closed. */
  write(bytes: Uint8Array, start: number, length: number): number;
  /** Sends a FIN after what was written; reading goes on. */
  shutdown(): void;
  /** Closes in both directions at once. */
  terminate(): void;
  end(): void;
  pause(): void;
  resume(): void;
  /** Undefined for a unix socket and once closed. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
}

/** What stands between the socket and MQTT on the way in: PROXY header, WebSocket. */
export interface InboundLayer {
  /** Takes the next bytes of the socket; hands MQTT bytes to the connection's `push`. */
  read(chunk: Uint8Array, start: number, end: number): void;
  /** Bytes to send before the TCP close, such as a WebSocket close frame; null for none. */
  closingBytes(): Uint8Array | null;
}

/** A frame, or several that lie one behind the other: `bytes[start, end)`. */
interface Range {
  bytes: Uint8Array;
  start: number;
  end: number;
}

const NO_BYTES = new Uint8Array(0);

const Flag = {
  /** In the loop's list: has frames that were not written. */
  dirty: FIRST_FREE_FLAG,
  webSocket: FIRST_FREE_FLAG * 2,
  /** Closes after what is queued has gone out. */
  ending: FIRST_FREE_FLAG * 4,
  /** The FIN is sent. */
  finished: FIRST_FREE_FLAG * 8,
  /** Nothing leaves. */
  gated: FIRST_FREE_FLAG * 16,
} as const;
/** Flags of subclasses begin here. */
export const FIRST_CONNECTION_FLAG = FIRST_FREE_FLAG * 32;

/**
 * A connection as bytes: cuts the stream into packets (as a PacketFramer) and writes queued frames once a tick. The
 * first range of frames is held in fields, so that a connection that gets one message allocates nothing.
 */
export abstract class ByteConnection extends PacketFramer {
  protected socket: ByteSocket | null;
  layer: InboundLayer | null = null;
  private outBytes: Uint8Array = NO_BYTES;
  private outStart = 0;
  private outEnd = 0;
  private outMore: Range[] | null = null;
  protected backlog: Backlog | null = null;

  constructor(socket: ByteSocket) {
    super();
    this.socket = socket;
  }

  protected abstract get loop(): OutputLoop;

  /** Frames leave in WebSocket binary frames. */
  get isWebSocket(): boolean {
    return (this.flags & Flag.webSocket) !== 0;
  }

  becomeWebSocket(): void {
    this.flags |= Flag.webSocket;
  }

  /** Closes after what is queued has gone out. */
  protected get isEnding(): boolean {
    return (this.flags & Flag.ending) !== 0;
  }

  /** All queued frames have been written, after some could not be. */
  protected abstract onDrained(): void;
  /** Frames could not all be written; `backlogBytes` wait. */
  protected abstract onBlocked(): void;

  get isOpen(): boolean {
    return this.socket !== null;
  }

  /** Bytes that wait for the socket to take them. */
  get backlogBytes(): number {
    return this.backlog === null ? 0 : this.backlog.bytes;
  }

  /** The socket has bytes. */
  receive(chunk: Uint8Array): void {
    if (this.layer === null) this.push(chunk, 0, chunk.length);
    else this.layer.read(chunk, 0, chunk.length);
  }

  /** Queues `bytes[start, end)`, which must stay as it is until the end of the tick. */
  queue(bytes: Uint8Array, start: number, end: number): void {
    if ((this.flags & Flag.ending) !== 0 || this.socket === null) return;
    if ((this.flags & Flag.dirty) === 0) {
      this.flags |= Flag.dirty;
      this.outBytes = bytes;
      this.outStart = start;
      this.outEnd = end;
      this.loop.add(this);
      return;
    }
    const more = this.outMore;
    if (more === null) {
      if (this.outBytes === bytes && this.outEnd === start) this.outEnd = end;
      else if (this.outBytes === NO_BYTES) {
        this.outBytes = bytes;
        this.outStart = start;
        this.outEnd = end;
      } else this.outMore = [{ bytes, start, end }];
      return;
    }
    const last = more[more.length - 1]!;
    if (last.bytes === bytes && last.end === start) last.end = end;
    else more.push({ bytes, start, end });
  }

  /** Writes what is queued; called once a tick by the loop. */
  flush(): void {
    this.flags &= ~Flag.dirty;
    const bytes = this.outBytes;
    const more = this.outMore;
    this.outBytes = NO_BYTES;
    this.outMore = null;
    const { socket } = this;
    if (socket === null) return;
    const start = this.outStart;
    const end = this.outEnd;
    if (this.isWebSocket) this.writeFramed(bytes, start, end, more);
    else if (more === null) {
      if (end > start && bytes !== NO_BYTES) this.writeRange(bytes, start, end);
    } else this.writeRanges(bytes, start, end, more);
    if (this.isEnding && this.backlog === null) this.finish();
  }

  private writeRange(bytes: Uint8Array, start: number, end: number): void {
    if (this.backlog !== null) return this.keep(this.backlog, bytes, start, end);
    const written = this.socket === null ? -1 : this.socket.write(bytes, start, end - start);
    if (written > 0) this.loop.traffic.bytesSent += written;
    if (written === end - start || written < 0) return;
    this.backlog = new Backlog();
    this.keep(this.backlog, bytes, start + written, end);
  }

  private keep(backlog: Backlog, bytes: Uint8Array, start: number, end: number): void {
    backlog.append(bytes, start, end);
    this.loop.traffic.unsentBytes += end - start;
    this.onBlocked();
  }

  /** Puts ranges together in the loop's scratch memory, so that they cost one write. */
  private writeRanges(bytes: Uint8Array, start: number, end: number, more: Range[]): void {
    const { scratch } = this.loop;
    let used = 0;
    for (let i = -1; i < more.length; i++) {
      const one = i < 0 ? null : more[i]!;
      const from = one === null ? bytes : one.bytes;
      const at = one === null ? start : one.start;
      const until = one === null ? end : one.end;
      const length = until - at;
      if (used + length > scratch.length) {
        if (used > 0) this.writeRange(scratch, 0, used);
        used = 0;
        if (length > scratch.length) {
          this.writeRange(from, at, until);
          continue;
        }
      }
      copyBytes(from, at, until, scratch, used);
      used += length;
    }
    if (used > 0) this.writeRange(scratch, 0, used);
  }

  private writeFramed(bytes: Uint8Array, start: number, end: number, more: Range[] | null): void {
    let length = bytes === NO_BYTES ? 0 : end - start;
    if (more !== null) for (const one of more) length += one.end - one.start;
    if (length === 0) return;
    const header = new Uint8Array(frameHeaderLength(length));
    encodeFrameHeader(header, 0, WebSocketOpcode.binary, length);
    const ranges = more ?? [];
    ranges.unshift({ bytes, start, end });
    this.writeRanges(header, 0, header.length, ranges);
  }

  /** Holds what is queued from now on back, until `openGate`. */
  closeGate(): void {
    this.flags |= Flag.gated;
    this.backlog ??= new Backlog();
  }

  /** Writes what was held back. */
  openGate(): void {
    this.flags &= ~Flag.gated;
    if (this.backlog !== null && this.socket !== null) this.drain();
  }

  /** Bytes that are no MQTT, such as a WebSocket handshake or pong; they go out before frames queued later. */
  writeRaw(bytes: Uint8Array): void {
    if ((this.flags & Flag.dirty) !== 0) this.flush();
    if (this.socket !== null && !this.isEnding) this.writeRange(bytes, 0, bytes.length);
  }

  /** The socket takes bytes again. */
  drain(): void {
    if ((this.flags & Flag.gated) !== 0) return;
    const { backlog } = this;
    while (backlog !== null && backlog.bytes > 0) {
      if (this.socket === null) return;
      const start = backlog.blockStart;
      const length = backlog.blockEnd - start;
      const written = this.socket.write(backlog.block, start, length);
      if (written <= 0) return;
      this.loop.traffic.bytesSent += written;
      this.loop.traffic.unsentBytes -= written;
      backlog.consume(written);
      if (written < length) return;
    }
    this.backlog = null;
    if (this.isEnding) this.finish();
    else this.onDrained();
  }

  /** Sends what is queued and then a FIN; the peer's remaining bytes are read and thrown away. */
  protected endGracefully(): void {
    if (this.isEnding || this.socket === null) return;
    const closing = this.layer?.closingBytes() ?? null;
    if (closing !== null) this.writeRaw(closing);
    this.framingStopped = true;
    this.dropGathered();
    this.flags |= Flag.ending;
    if ((this.flags & Flag.dirty) !== 0) this.flush();
    else if (this.backlog === null) this.finish();
  }

  /** Everything is out: half-closes, so that unread input does not turn the close into a reset. */
  private finish(): void {
    if ((this.flags & Flag.finished) !== 0) return;
    this.flags |= Flag.finished;
    this.socket?.shutdown();
  }

  /** The socket is gone: forgets everything that costs memory. */
  protected release(): void {
    this.socket = null;
    this.framingStopped = true;
    this.dropGathered();
    this.loop.traffic.unsentBytes -= this.backlogBytes;
    this.backlog = null;
    this.outBytes = NO_BYTES;
    this.outMore = null;
    this.layer = null;
  }
}

/** Copies small ranges by hand: below some 64 bytes that beats a call into the engine. */
function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, offset: number): void {
  const length = end - start;
  if (length <= 48) {
    for (let i = 0; i < length; i++) to[offset + i] = from[start + i]!;
  } else to.set(from.subarray(start, end), offset);
}
