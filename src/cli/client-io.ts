// What `martlet pub`, `sub` and their kin need of the process they run in; tests and embedders hand in their own.
import type { SrvRecord } from 'node:dns';
import { readFileSync, write as writeFd } from 'node:fs';
import type { Environment } from './client-option-file.ts';

/** Bytes out, in order. Nothing waits inside the event loop, so a slow reader never stops keep alive. */
export interface CommandOutput {
  write(text: string): void;
  /** Takes `bytes[start, end)`; the memory may be reused at once. */
  writeBytes(bytes: Uint8Array, start: number, end: number): void;
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
  readonly stdin: () => ReadableStream<Uint8Array>;
  readonly pid: number;
  readonly env: Environment;
  /** All words of the process as bytes, ours last; null where the system does not keep them. */
  readonly rawWords: () => Uint8Array[] | null;
  /** Asks the DNS; rejects where it knows of none. */
  readonly resolveSrv: (name: string) => Promise<SrvRecord[]>;
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

  write(text: string): void {
    if (this.isBroken) return;
    // A UTF-16 unit takes three bytes at most.
    this.makeRoom(text.length * 3);
    const { block, used } = this;
    if (text.length > 16) this.used += encoder.encodeInto(text, block.subarray(used)).written;
    else {
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i);
        if (code > 127) {
          this.used = used + encoder.encodeInto(text, block.subarray(used)).written;
          this.schedule();
          return;
        }
        block[used + i] = code;
      }
      this.used = used + text.length;
    }
    this.schedule();
  }

  writeBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.isBroken) return;
    const count = end - start;
    this.makeRoom(count);
    const { block, used } = this;
    // Below some 40 bytes the loop is faster than making a view.
    if (count < 40) for (let i = 0; i < count; i++) block[used + i] = bytes[start + i]!;
    else block.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), used);
    this.used = used + count;
    this.schedule();
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
    env: process.env,
    rawWords: readRawWords,
    resolveSrv: async (name) => (await import('node:dns/promises')).resolveSrv(name),
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

function readRawWords(): Uint8Array[] | null {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync('/proc/self/cmdline');
  } catch {
    // Only Linux has it.
    return null;
  }
  const words: Uint8Array[] = [];
  for (let start = 0, end = bytes.indexOf(0); end >= 0; start = end + 1, end = bytes.indexOf(0, start)) {
    words.push(bytes.subarray(start, end));
  }
  return words;
}
