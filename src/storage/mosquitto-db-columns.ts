type TypedArray = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** A list of numbers that grows, in as few bytes as they need: millions of them come out of a large file. */
export class Column<T extends TypedArray> {
  length = 0;
  private values: T;
  private readonly make: new (length: number) => T;

  constructor(make: new (length: number) => T) {
    this.make = make;
    this.values = new make(1024);
  }

  push(value: number): void {
    if (this.length === this.values.length) {
      const grown = new this.make(this.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[this.length++] = value;
  }

  get(index: number): number {
    return this.values[index]!;
  }

  set(index: number, value: number): void {
    this.values[index] = value;
  }
}

/** By what the writer of a file knows a message: 64 bits, which a number of ours cannot hold. */
export interface DbId {
  readonly low: number;
  readonly high: number;
}

/** Places by identifier, 12 bytes each at half the fill; a Map of a million takes some hundred megabytes. */
export class IdTable {
  size = 0;
  private lows = new Uint32Array(1024);
  private highs = new Uint32Array(1024);
  /** 0: free, else a place plus one. */
  private places = new Uint32Array(1024);

  /** -1 where it is not there. */
  get({ low, high }: DbId): number {
    return this.places[this.slotOf(low, high)]! - 1;
  }

  /** @param id that is not in the table */
  add({ low, high }: DbId, place: number): void {
    if (this.size * 2 >= this.places.length) this.grow();
    this.put(low, high, place + 1);
    this.size++;
  }

  /** Of the identifier, or the free one where it belongs. */
  private slotOf(low: number, high: number): number {
    const { lows, highs, places } = this;
    const mask = places.length - 1;
    let slot = mix(low, high) & mask;
    while (places[slot] !== 0 && (lows[slot] !== low || highs[slot] !== high)) slot = (slot + 1) & mask;
    return slot;
  }

  private put(low: number, high: number, value: number): void {
    const slot = this.slotOf(low, high);
    this.lows[slot] = low;
    this.highs[slot] = high;
    this.places[slot] = value;
  }

  private grow(): void {
    const { lows, highs, places } = this;
    const length = places.length * 2;
    this.lows = new Uint32Array(length);
    this.highs = new Uint32Array(length);
    this.places = new Uint32Array(length);
    for (let slot = 0; slot < places.length; slot++) {
      if (places[slot] !== 0) this.put(lows[slot]!, highs[slot]!, places[slot]!);
    }
  }
}

/** Spreads identifiers that differ in few bits over the table. */
function mix(low: number, high: number): number {
  let hash = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}
