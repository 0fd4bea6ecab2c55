/** Bytes a socket did not take yet, in blocks of its own memory. */

const BLOCK_BYTES = 64 * 1024;
/** From here on a block is kept as it came: such frames lie in memory of their own, which nobody writes again. */
const SHARED_BYTES = 1024 * 1024;

export class Backlog {
  bytes = 0;
  private readonly blocks: Uint8Array[] = [];
  private readonly lengths: number[] = [];
  private offset = 0;

  /** Adds `source[start, end)`, as a copy where it is less than 1 MiB. */
  append(source: Uint8Array, start: number, end: number): void {
    let at = start;
    if (end - start >= SHARED_BYTES) {
      this.blocks.push(source.subarray(start, end));
      this.lengths.push(end - start);
      this.bytes += end - start;
      return;
    }
    const last = this.blocks.length - 1;
    if (last >= 0) {
      const block = this.blocks[last]!;
      const used = this.lengths[last]!;
      const count = Math.min(block.length - used, end - at);
      if (count > 0) {
        block.set(source.subarray(at, at + count), used);
        this.lengths[last] = used + count;
        at += count;
      }
    }
    if (at < end) {
      const rest = end - at;
      const block = new Uint8Array(Math.max(rest, Math.min(BLOCK_BYTES, Math.max(rest * 4, 1_024))));
      block.set(source.subarray(at, end), 0);
      this.blocks.push(block);
      this.lengths.push(rest);
    }
    this.bytes += end - start;
  }

  /** The next bytes to write are `block[blockStart, blockEnd)`. */
  get block(): Uint8Array {
    return this.blocks[0]!;
  }
  get blockStart(): number {
    return this.offset;
  }
  get blockEnd(): number {
    return this.lengths[0]!;
  }

  /** Forgets the first `count` bytes of the present block. */
  consume(count: number): void {
    this.bytes -= count;
    this.offset += count;
    if (this.offset < this.lengths[0]!) return;
    this.blocks.shift();
    this.lengths.shift();
    this.offset = 0;
  }
}
