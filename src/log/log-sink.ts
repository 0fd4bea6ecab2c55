import { write } from 'node:fs';

/** As `fs.write`: at least a part of the bytes is written, or an error given, at once or some time later. */
export type WriteFunction = (
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  done: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void;

export interface SinkOptions {
  /** Makes the line that tells how many lines were dropped. */
  lostLine(count: number): string;
  /** Called with a descriptor that nothing is written to any more: `replace` made it superfluous, or `close` ended it. */
  closeFd?: (fd: number) => void;
  write?: WriteFunction;
  /** Asked before each write; an error where what is written now would be in vain. */
  check?: () => NodeJS.ErrnoException | null;
  /** Whether any failure may pass, as that of a folder that is gone; else only a full disk does. */
  canRecover?: boolean;
  /** The first failure after lines that could be written. */
  onTrouble?: (error: NodeJS.ErrnoException) => void;
}

/** Most bytes that wait for the reader of a log. */
const MOST_BYTES = 1024 * 1024;
/** How long to wait before trying again: a pipe that is full, at first and at most; what takes longer to pass. */
const FULL_PIPE_MS = 2;
const FULL_PIPE_MOST_MS = 50;
const TROUBLE_MS = 1_000;
const busy = new Set(['EAGAIN', 'EINTR', 'ENOBUFS']);
const fullDisk = new Set(['ENOSPC', 'EDQUOT', 'EIO']);

/**
 * One place that log lines go to. Nobody ever waits for it: one write at a time is under way, outside the event loop;
 * what comes meanwhile is kept up to a bound, and above the bound is counted and dropped. The count becomes a line of the
 * log, in its place, as soon as there is room.
 */
export class LogSink {
  private fd: number;
  private readonly options: SinkOptions;
  private readonly write: WriteFunction;
  private waiting: string[] = [];
  private waitingBytes = 0;
  private chunk: Uint8Array | null = null;
  /** Lines of the chunk, and those that its first line tells of. */
  private chunkLines = 0;
  private offset = 0;
  private lost = 0;
  private retryMs = FULL_PIPE_MS;
  private isScheduled = false;
  private isInTrouble = false;
  /** Nothing written here is read any more. */
  private isGone = false;
  /** Takes no more lines, and gives the descriptor back behind the last one. */
  private isClosing = false;
  private hasClosed = false;
  private retiredFd: number | null = null;
  private onIdle: (() => void) | null = null;

  constructor(fd: number, options: SinkOptions) {
    this.fd = fd;
    this.options = options;
    this.write = options.write ?? write;
  }

  /** @param line with its line break */
  add(line: string): void {
    if (this.isGone || this.isClosing) return;
    const bytes = Buffer.byteLength(line);
    const underWay = this.chunk === null ? 0 : this.chunk.length - this.offset;
    if (this.lost > 0 || this.waitingBytes + underWay + bytes > MOST_BYTES) {
      this.lost++;
      return;
    }
    this.waiting.push(line);
    this.waitingBytes += bytes;
    this.schedule();
  }

  /** Goes on with another descriptor: a log file that was moved away is opened anew. */
  replace(fd: number): void {
    if (this.chunk !== null && this.retiredFd === null) this.retiredFd = this.fd;
    else this.options.closeFd?.(this.fd);
    this.fd = fd;
    this.isGone = false;
  }

  /** True once everything is written, or can no longer be. */
  get isIdle(): boolean {
    return this.isGone || (this.chunk === null && this.waiting.length === 0 && this.lost === 0);
  }

  /** Resolves once everything is written, or after that time. */
  flush(timeoutMs: number): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    this.next();
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Writes what waits, then gives the descriptor back. */
  close(): void {
    if (this.isClosing) return;
    this.isClosing = true;
    if (this.isIdle) this.end();
  }

  /** The lines of one turn of the event loop leave in one write. */
  private schedule(): void {
    if (this.isScheduled || this.chunk !== null) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      this.next();
    });
  }

  private next(): void {
    if (this.chunk !== null || this.isGone) return;
    if (this.waiting.length === 0 && this.lost === 0) {
      this.end();
      return;
    }
    const error = this.options.check?.() ?? null;
    this.chunkLines = this.waiting.length + this.lost;
    if (this.lost > 0) this.waiting.push(this.options.lostLine(this.lost));
    this.lost = 0;
    this.chunk = Buffer.from(this.waiting.join(''));
    this.waiting = [];
    this.waitingBytes = 0;
    this.offset = 0;
    if (error === null) this.writeChunk();
    else this.onWritten(error, 0);
  }

  private writeChunk(): void {
    const chunk = this.chunk!;
    const fd = this.retiredFd ?? this.fd;
    this.write(fd, chunk, this.offset, chunk.length - this.offset, (error, written) => this.onWritten(error, written));
  }

  private onWritten(error: NodeJS.ErrnoException | null, written: number): void {
    if (error === null && written > 0) {
      this.retryMs = FULL_PIPE_MS;
      this.isInTrouble = false;
      this.offset += written;
      if (this.offset < this.chunk!.length) this.writeChunk();
      else this.endChunk();
    } else if (error === null || busy.has(error.code ?? '')) {
      setTimeout(() => this.writeChunk(), this.retryMs);
      this.retryMs = Math.min(2 * this.retryMs, FULL_PIPE_MOST_MS);
    } else if (!this.isClosing && (this.options.canRecover === true || fullDisk.has(error.code ?? ''))) {
      const isNew = !this.isInTrouble;
      this.isInTrouble = true;
      // Where in the chunk it broke off is of no use to anybody.
      this.lost += this.chunkLines;
      if (isNew) this.options.onTrouble?.(error);
      setTimeout(() => this.endChunk(), TROUBLE_MS);
    } else {
      // The reader is gone (EPIPE) or the descriptor is no good: nothing written here will ever be read.
      this.isGone = this.retiredFd === null;
      if (this.isGone) {
        this.waiting = [];
        this.waitingBytes = 0;
        this.lost = 0;
      }
      this.endChunk();
    }
  }

  private endChunk(): void {
    this.chunk = null;
    if (this.retiredFd !== null) {
      this.options.closeFd?.(this.retiredFd);
      this.retiredFd = null;
    }
    if (this.isGone) this.end();
    else this.next();
  }

  /** Nothing is left to be written. */
  private end(): void {
    this.onIdle?.();
    if (!this.isClosing || this.hasClosed) return;
    this.hasClosed = true;
    this.options.closeFd?.(this.fd);
  }
}
