/**
 * Rising numbers in few bytes: the first and the last as they are, those between as differences of one byte where they
 * are below 128. A session keeps by it which of its messages wait in the store; there may be a million such sessions,
 * most with one number or none, which take no memory of their own.
 */
export class SeqList {
  length = 0;
  /** The first number; 0 while the list is empty. */
  head = 0;
  private tail = 0;
  /** Differences from `head` on: `gaps[start, end)`. */
  private gaps: Uint8Array | null = null;
  private start = 0;
  private end = 0;

  /** The last number; 0 while the list is empty. */
  get last(): number {
    return this.tail;
  }

  /** @param seq above all before */
  push(seq: number): void {
    if (this.length++ === 0) this.head = seq;
    else this.append(seq - this.tail);
    this.tail = seq;
  }

  /** Takes the first number out; undefined where there is none. */
  shift(): number | undefined {
    if (this.length === 0) return undefined;
    const first = this.head;
    if (--this.length === 0) this.clear();
    else this.head += this.readGap();
    return first;
  }

  /** The first numbers, at most `limit`. */
  peek(limit: number): number[] {
    const found: number[] = [];
    const { start } = this;
    for (let seq = this.head, left = Math.min(limit, this.length); left > 0;) {
      found.push(seq);
      if (--left > 0) seq += this.readGap();
    }
    this.start = start;
    return found;
  }

  /** Takes numbers out, wherever they stand; costs a walk over the list. Answers those that were there. */
  remove(unwanted: ReadonlySet<number>): number[] {
    const all = this.peek(this.length);
    const found = all.filter((one) => unwanted.has(one));
    if (found.length === 0) return found;
    this.clear();
    for (const one of all) if (!unwanted.has(one)) this.push(one);
    return found;
  }

  /** Adds numbers that come before those of the list, or among them; costs a walk over the list, where there are some. */
  insert(seqs: readonly number[]): void {
    if (seqs.length === 0) return;
    const all = [...seqs, ...this.peek(this.length)].sort((a, b) => a - b);
    this.clear();
    for (const one of all) this.push(one);
  }

  clear(): void {
    this.length = 0;
    this.head = 0;
    this.tail = 0;
    this.gaps = null;
    this.start = 0;
    this.end = 0;
  }

  private append(gap: number): void {
    const gaps = this.room();
    let rest = gap;
    while (rest >= 128) {
      gaps[this.end++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    gaps[this.end++] = rest;
  }

  /** Memory with room for one more difference: a double has at most 53 bits, so eight bytes. */
  private room(): Uint8Array {
    const { gaps, start, end } = this;
    if (gaps !== null && end + 8 <= gaps.length) return gaps;
    const used = end - start;
    const moved = new Uint8Array(gaps === null ? 16 : Math.max(32, Math.ceil(used * 1.5) + 8));
    if (gaps !== null) moved.set(gaps.subarray(start, end));
    this.gaps = moved;
    this.start = 0;
    this.end = used;
    return moved;
  }

  private readGap(): number {
    const gaps = this.gaps!;
    let gap = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = gaps[this.start++]!;
      gap += (byte & 127) * unit;
      if (byte < 128) return gap;
    }
  }
}
