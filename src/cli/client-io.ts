// What `martlet pub`, `sub` and their kin need of the process they run in; tests and embedders hand in their own.
import { write as writeFd } from 'node:fs';

/** Bytes out, in order. Nothing waits inside the event loop, so a slow reader never stops keep alive. */
export interface CommandOutput {
  write(bytes: Uint8Array | string): void;
  /** Bytes written that the reader has not taken. */
  readonly bufferedBytes: number;
  /** The reader is gone (EPIPE) or the disk is full: what is written leads nowhere. */
  readonly isBroken: boolean;
  /** Resolves when all has left, or nothing can. */
  flush(): Promise<void>;
  /** Called when `bufferedBytes` fell to 0, and when the output broke; null for nobody. */
  onIdle: (() => void) | null;
}

export interface CommandIo {
  readonly stdout: CommandOutput;
  readonly stderr: CommandOutput;
  readonly stdin: () => AsyncIterable<Uint8Array>;
  readonly pid: number;
  /** Calls back at SIGINT and SIGTERM until the result is called. */
  readonly onStopSignal: (callback: () => void) => () => void;
}

const FIRST_BLOCK_BYTES = 16 * 1024;
/** The block that collects while another is being written grows up to this. */
const MAX_BLOCK_BYTES = 1024 * 1024;
/** Before trying again where a non-blocking descriptor takes nothing. */
const RETRY_MS = 2;

const encoder = new TextEncoder();

/** A file descriptor: collects what a tick writes, and has one write under way at a time. */
export class FileOutput implements CommandOutput {
  onIdle: (() => void) | null = null;
  isBroken = false;
  private readonly fd: number;
  private block = new Uint8Array(FIRST_BLOCK_BYTES);
  private used = 0;
  /** Full blocks in front of `block`. */
  private readonly waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private writingBytes = 0;
  private isScheduled = false;
  private readonly flushed: (() => void)[] = [];

  constructor(fd: number) {
    this.fd = fd;
  }

  get bufferedBytes(): number {
    return this.used + this.waitingBytes + this.writingBytes;
  }

  write(data: Uint8Array | string): void {
    if (this.isBroken) return;
    if (typeof data === 'string') this.writeText(data);
    else this.writeBytes(data, 0, data.length);
    this.schedule();
  }

  /** Room for `count` bytes; the caller fills `bytes` from `offset` and then calls `advance`. */
  reserve(count: number): { bytes: Uint8Array; offset: number } {
    this.makeRoom(count);
    return { bytes: this.block, offset: this.used };
  }

  private writeText(text: string): void {
    // A UTF-16 unit takes three bytes at most.
    this.makeRoom(text.length * 3);
    this.used += encoder.encodeInto(text, this.block.subarray(this.used)).written;
  }

  writeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.makeRoom(end - start);
    this.block.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.used);
    this.used += end - start;
  }

  private makeRoom(count: number): void {
    if (this.used + count <= this.block.length) return;
    const size = Math.max(count, Math.min(MAX_BLOCK_BYTES, this.block.length * 2));
    if (this.used > 0) {
      this.waiting.push(this.block.subarray(0, this.used));
      this.waitingBytes += this.used;
    }
    this.block = new Uint8Array(size);
    this.used = 0;
  }

  flush(): Promise<void> {
    if (this.isBroken || this.bufferedBytes === 0) return Promise.resolve();
    this.schedule();
    return new Promise((resolve) => this.flushed.push(resolve));
  }

  private schedule(): void {
    if (this.isScheduled || this.writingBytes > 0) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      this.writeNext();
    });
  }

  private writeNext(): void {
    if (this.writingBytes > 0 || this.isBroken) return;
    let next = this.waiting.shift();
    if (next !== undefined) this.waitingBytes -= next.length;
    else if (this.used > 0) {
      next = this.block.subarray(0, this.used);
      this.block = new Uint8Array(Math.max(FIRST_BLOCK_BYTES, Math.min(this.block.length, MAX_BLOCK_BYTES)));
      this.used = 0;
    } else {
      this.idle();
      return;
    }
    this.writeRest(next);
  }

  private writeRest(bytes: Uint8Array): void {
    this.writingBytes = bytes.length;
    writeFd(this.fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => this.writeRest(bytes), RETRY_MS);
      else if (error !== null) this.breakOff();
      else if (written < bytes.length) this.writeRest(bytes.subarray(written));
      else {
        this.writingBytes = 0;
        this.writeNext();
      }
    });
  }

  private breakOff(): void {
    this.isBroken = true;
    this.waiting.length = 0;
    this.waitingBytes = 0;
    this.writingBytes = 0;
    this.used = 0;
    this.idle();
  }

  private idle(): void {
    for (const resolve of this.flushed.splice(0)) resolve();
    this.onIdle?.();
  }
}

/** The process itself. */
export function processIo(): CommandIo {
  return {
    stdout: new FileOutput(1),
    stderr: new FileOutput(2),
    stdin: () => Bun.stdin.stream(),
    pid: process.pid,
    onStopSignal: (callback) => {
      process.on('SIGINT', callback);
      process.on('SIGTERM', callback);
      return () => {
        process.off('SIGINT', callback);
        process.off('SIGTERM', callback);
      };
    },
  };
}
