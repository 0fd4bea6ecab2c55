// Bytes of a `mosquitto.db`, read in order through a window of bounded size: the file may be larger than memory.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { DbId } from './mosquitto-db-columns.ts';

/** A file, or what stands for one. */
export interface DbSource {
  /** Bytes. */
  readonly size: number;
  /** Reads into `target` from a place in the file. @returns how many bytes, fewer than asked for only at the end */
  read(target: Uint8Array, position: number): number;
}

/** A file, open until it is closed. */
export class DbFile implements DbSource {
  readonly size: number;
  /** When it was written last, wall clock milliseconds. */
  readonly savedAtMs: number;
  /** Whoever ran Mosquitto. */
  readonly uid: number;
  readonly gid: number;
  private readonly descriptor: number;

  /** @throws a system error; EISDIR where it is a folder, EINVAL where it is something else than a file */
  constructor(path: string) {
    this.descriptor = openSync(path, 'r');
    const stats = fstatSync(this.descriptor);
    if (!stats.isFile()) {
      this.close();
      const isFolder = stats.isDirectory();
      throw Object.assign(new Error(isFolder ? 'it is a folder' : 'it is not a file'), {
        code: isFolder ? 'EISDIR' : 'EINVAL',
      });
    }
    this.size = stats.size;
    this.savedAtMs = Math.floor(stats.mtimeMs);
    this.uid = stats.uid;
    this.gid = stats.gid;
  }

  read(target: Uint8Array, position: number): number {
    let done = 0;
    while (done < target.length) {
      const count = readSync(this.descriptor, target, done, target.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

/** A file that is not what Mosquitto writes, or not all of it. */
export class MosquittoDbError extends Error {
  override readonly name = 'MosquittoDbError';
  /** Where in the file. */
  readonly offset: number;

  /** @param message one line, which does not name the file or the place */
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const NO_BYTES = new Uint8Array(0);

/** Holds the longest text (65,535 bytes) and the fields around it. */
const WINDOW = 256 * 1024;

/** Reads fields of a source one after another. Numbers are big-endian but where the name says otherwise. */
export class DbReader {
  /** What is read must end here: where the file ends, or the chunk. */
  private limit: number;
  private enclosing: 'file' | 'chunk' = 'file';
  private readonly source: DbSource;
  private readonly window: Uint8Array;
  private readonly view: DataView;
  /** Place in the file of the first byte of the window. */
  private base = 0;
  /** Bytes of the window that are filled. */
  private filled = 0;
  private at = 0;

  constructor(source: DbSource) {
    this.source = source;
    this.limit = source.size;
    this.window = new Uint8Array(Math.min(WINDOW, Math.max(source.size, 1)));
    this.view = new DataView(this.window.buffer);
  }

  /** Of the next byte, from the beginning of the file. */
  get position(): number {
    return this.base + this.at;
  }

  /** Bytes up to the limit. */
  get remaining(): number {
    return this.limit - this.position;
  }

  /** From here on, nothing is read beyond `end`. */
  enterChunk(end: number): void {
    this.limit = end;
    this.enclosing = 'chunk';
  }

  /** Also where it was in none. */
  leaveChunk(): void {
    this.limit = this.source.size;
    this.enclosing = 'file';
  }

  /** Moves to a place, back or forth. */
  seek(position: number): void {
    if (position >= this.base && position <= this.base + this.filled) this.at = position - this.base;
    else {
      this.base = position;
      this.filled = 0;
      this.at = 0;
    }
  }

  skip(count: number): void {
    this.expect(count);
    this.seek(this.position + count);
  }

  u8(): number {
    return this.window[this.take(1)]!;
  }

  u16(): number {
    return this.view.getUint16(this.take(2));
  }

  u32(): number {
    return this.view.getUint32(this.take(4));
  }

  /** In the byte order of the machine that wrote it: only good to compare. */
  id(): DbId {
    const at = this.take(8);
    return { low: this.view.getUint32(at, true), high: this.view.getUint32(at + 4, true) };
  }

  /** Seconds since 1970 in 64 bits, in whichever byte order makes a time of them. */
  time(): number {
    const at = this.take(8);
    const little = Number(this.view.getBigInt64(at, true));
    if (isTime(little)) return little;
    const big = Number(this.view.getBigInt64(at, false));
    return isTime(big) ? big : little;
  }

  /** Seconds since 1970 in 32 bits. */
  shortTime(): number {
    const at = this.take(4);
    // From 2001 on a time fills its most significant byte, and the years up to 2106 have one of 0x3b or more there.
    return this.window[at + 3]! >= 0x38 ? this.view.getUint32(at, true) : this.view.getUint32(at, false);
  }

  /** A view of at most 65,535 bytes, which the next read may change. */
  short(count: number): Uint8Array {
    const at = this.take(count);
    return this.window.subarray(at, at + count);
  }

  /** A copy. */
  bytes(count: number): Uint8Array {
    if (count === 0) return NO_BYTES;
    this.expect(count);
    const copy = new Uint8Array(count);
    const start = this.position;
    if (count <= this.filled - this.at) copy.set(this.window.subarray(this.at, this.at + count));
    else if (this.source.read(copy, start) < count) throw this.shrunk(start);
    this.seek(start + count);
    return copy;
  }

  /** @returns where in the window `count` bytes begin, which are read then */
  private take(count: number): number {
    this.expect(count);
    if (this.at + count > this.filled) this.refill(count);
    this.at += count;
    return this.at - count;
  }

  private refill(count: number): void {
    this.base += this.at;
    this.at = 0;
    this.filled = this.source.read(this.window, this.base);
    if (this.filled < count) throw this.shrunk(this.base);
  }

  private expect(count: number): void {
    const { remaining } = this;
    if (count <= remaining) return;
    throw new MosquittoDbError(
      `the ${this.enclosing} ends in the middle: ${count} more bytes are expected, ${remaining} are there`,
      this.position,
    );
  }

  private shrunk(offset: number): MosquittoDbError {
    return new MosquittoDbError('the file became shorter while it was read; is Mosquitto still running?', offset);
  }
}

/** 0, or up to the year 36812: no two byte orders of a time of our days are both below. */
function isTime(seconds: number): boolean {
  return seconds >= 0 && seconds < 2 ** 40;
}
