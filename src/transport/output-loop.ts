// Hot path: frame -> connections -> one write per connection per tick. Benchmark: bench/broker (all flows).

/** Bytes to all sockets. */
export interface Traffic {
  bytesSent: number;
  /** Those that wait for a socket to take them. */
  unsentBytes: number;
}

/** What the loop flushes at the end of a tick. */
export interface Flushable {
  flush(): void;
}

const ARENA_BYTES = 256 * 1024;
const SCRATCH_BYTES = 256 * 1024;
/** Frames encoded in one tick before they are written out in the middle of it: a broadcast stays within memory. */
const TICK_BYTES = 8 * 1024 * 1024;
/** Bytes read in one tick before what they brought about is written: only then shows who does not take it. */
const INPUT_BYTES = 1024 * 1024;

/**
 * Memory that outgoing frames live in until the end of the tick, and the list of connections that have some. What a
 * socket did not take by then is copied by its connection, so the arena starts anew each tick.
 */
export class OutputLoop {
  /** Frames are encoded here: after `reserve(n)`, `arena[offset, offset + n)` is the caller's. */
  arena = new Uint8Array(ARENA_BYTES);
  offset = 0;
  /** Where connections put several frames together for one write. */
  readonly scratch = new Uint8Array(SCRATCH_BYTES);
  private readonly base = this.arena;
  /** Where bytes are counted. */
  readonly traffic: Traffic;
  private readonly dirty: Flushable[] = [];
  private scheduled = false;
  private flushing = false;
  private tickBytes = 0;
  private inputBytes = 0;
  private readonly runFlush = (): void => {
    this.scheduled = false;
    this.flushAll();
  };

  constructor(traffic: Traffic = { bytesSent: 0, unsentBytes: 0 }) {
    this.traffic = traffic;
  }

  /** Makes room for a frame of `bytes` bytes at `arena[offset]`; the caller moves `offset` on. */
  reserve(bytes: number): void {
    this.tickBytes += bytes;
    if (this.offset + bytes <= this.arena.length) return;
    // Frames of this tick keep the old memory alive until they are written.
    this.arena = new Uint8Array(Math.max(ARENA_BYTES, bytes));
    this.offset = 0;
  }

  /** To be called with the length of what was read, once it has been handled. */
  countInput(bytes: number): void {
    this.inputBytes += bytes;
    if (this.inputBytes >= INPUT_BYTES) this.flushAll();
  }

  /** True when so much is waiting that a fan-out should call `flushAll` before it goes on. */
  get isFull(): boolean {
    return this.tickBytes > TICK_BYTES;
  }

  add(connection: Flushable): void {
    this.dirty.push(connection);
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.runFlush);
  }

  /** Writes everything out now. A connection that gets new frames meanwhile is flushed in the same call. */
  flushAll(): void {
    if (this.flushing) return;
    this.flushing = true;
    const { dirty } = this;
    for (let i = 0; i < dirty.length; i++) dirty[i]!.flush();
    dirty.length = 0;
    this.arena = this.base;
    this.offset = 0;
    this.tickBytes = 0;
    this.inputBytes = 0;
    this.flushing = false;
  }
}
