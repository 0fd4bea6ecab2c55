import { write } from 'node:fs';

/** As `fs.write`: at least a part of the bytes is written, or an error given, some time later. */
export type WriteFunction = (
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  done: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void;

/** Most bytes that wait for the reader of a log. */
const MOST_BYTES = 1024 * 1024;
/** How long to wait before trying again: a pipe that is full, at first and at most; a disk that is full. */
const FULL_PIPE_MS = 2;
const FULL_PIPE_MOST_MS = 50;
const FULL_DISK_MS = 1_000;
const fullDisk = new Set(['ENOSPC', 'EDQUOT', 'EIO']);

/**
 * One place that log lines go to. Nobody ever waits for it: one write at a time is under way, outside the event loop;
 * what comes meanwhile is kept up to a bound, and above the bound is counted and dropped. The count becomes a line of the
 * log, in its place, as soon as there is room.
 */
export class LogSink {
  private fd: number;
  private readonly write: WriteFunction;
  private readonly lostLine: (count: number) => string;
  private waiting: string[] = [];
  private waitingBytes = 0;
  private chunk: Uint8Array | null = null;
  private chunkLines = 0;
  private offset = 0;
  private lost = 0;
  private retryMs = FULL_PIPE_MS;
  private isScheduled = false;
  private isClosed = false;
  private retiredFd: number | null = null;
  private readonly closeFd: (fd: number) => void;
  private onIdle: (() => void) | null = null;

  /**
   * @param lostLine makes the line that tells how many lines were dropped
   * @param closeFd called with a descriptor that `replace` made superfluous, once nothing is written to it any more
   */
  constructor(
    fd: number,
    lostLine: (count: number) => string,
    closeFd: (fd: number) => void = () => {},
    writeFunction: WriteFunction = write,
  ) {
    this.fd = fd;
    this.lostLine = lostLine;
    this.closeFd = closeFd;
    this.write = writeFunction;
  }

  /** @param line with its line break */
  add(line: string): void {
    if (this.isClosed) return;
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
    else this.closeFd(this.fd);
    this.fd = fd;
    this.isClosed = false;
  }

  /** True once everything is written, or can no longer be. */
  get isIdle(): boolean {
    return this.isClosed || (this.chunk === null && this.waiting.length === 0 && this.lost === 0);
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
    if (this.chunk !== null || this.isClosed) return;
    if (this.lost > 0) this.waiting.push(this.lostLine(this.lost));
    this.lost = 0;
    if (this.waiting.length === 0) {
      this.onIdle?.();
      return;
    }
    this.chunk = Buffer.from(this.waiting.join(''));
    this.chunkLines = this.waiting.length;
    this.waiting = [];
    this.waitingBytes = 0;
    this.offset = 0;
    this.writeChunk();
  }

  private writeChunk(): void {
    const chunk = this.chunk!;
    const fd = this.retiredFd ?? this.fd;
    this.write(fd, chunk, this.offset, chunk.length - this.offset, (error, written) => this.onWritten(error, written));
  }

  private onWritten(error: NodeJS.ErrnoException | null, written: number): void {
    if (error === null && written > 0) {
      this.retryMs = FULL_PIPE_MS;
      this.offset += written;
      if (this.offset < this.chunk!.length) this.writeChunk();
      else this.endChunk();
    } else if (error === null || error.code === 'EAGAIN' || error.code === 'EINTR') {
      setTimeout(() => this.writeChunk(), this.retryMs);
      this.retryMs = Math.min(2 * this.retryMs, FULL_PIPE_MOST_MS);
    } else if (fullDisk.has(error.code ?? '')) {
      // Where in the chunk the disk became full is of no use to anybody.
      this.lost += this.chunkLines;
      setTimeout(() => this.endChunk(), FULL_DISK_MS);
    } else {
      // The reader is gone (EPIPE) or the descriptor is no good: nothing written here will ever be read.
      this.isClosed = this.retiredFd === null;
      if (this.isClosed) {
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
      this.closeFd(this.retiredFd);
      this.retiredFd = null;
    }
    if (this.isClosed) this.onIdle?.();
    else this.next();
  }
}
