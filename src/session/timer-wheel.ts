/** What a wheel can hold: it writes where it put the item. */
export interface WheelItem {
  /** Second at which the item is due, -1 while it is in no wheel, -2 while its second is being fired. */
  wheelSecond: number;
  wheelIndex: number;
}

const FIRING = -2;

/**
 * Deadlines by the second for hundreds of thousands of items: no timer each, O(1) to set, move and cancel. An item
 * has one deadline; setting another one moves it.
 */
export class TimerWheel<T extends WheelItem> {
  private readonly slots = new Map<number, T[]>();
  private readonly onDue: (item: T) => void;
  private current: number;
  size = 0;

  /** @param second the present second; @param onDue called once for each item whose second has come */
  constructor(second: number, onDue: (item: T) => void) {
    this.current = second;
    this.onDue = onDue;
  }

  schedule(item: T, second: number): void {
    const at = Math.max(second, this.current + 1);
    if (item.wheelSecond === at) return;
    if (item.wheelSecond >= 0) this.cancel(item);
    let slot = this.slots.get(at);
    if (slot === undefined) {
      slot = [];
      this.slots.set(at, slot);
    }
    item.wheelSecond = at;
    item.wheelIndex = slot.length;
    slot.push(item);
    this.size++;
  }

  cancel(item: T): void {
    if (item.wheelSecond < 0) {
      item.wheelSecond = -1;
      return;
    }
    const slot = this.slots.get(item.wheelSecond)!;
    const last = slot.pop()!;
    if (last !== item) {
      slot[item.wheelIndex] = last;
      last.wheelIndex = item.wheelIndex;
    }
    if (slot.length === 0) this.slots.delete(item.wheelSecond);
    item.wheelSecond = -1;
    this.size--;
  }

  *items(): Iterable<T> {
    for (const slot of this.slots.values()) yield* slot;
  }

  /** Fires what is due up to and with `second`. */
  advance(second: number): void {
    if (second - this.current > this.slots.size * 2 + 60) {
      // The clock jumped (a suspended machine): visit the slots there are, not every second.
      const due = [...this.slots.keys()].filter((at) => at <= second).sort((a, b) => a - b);
      this.current = second;
      for (const at of due) this.fire(at);
      return;
    }
    while (this.current < second) this.fire(++this.current);
  }

  private fire(at: number): void {
    const slot = this.slots.get(at);
    if (slot === undefined) return;
    this.slots.delete(at);
    this.size -= slot.length;
    for (const item of slot) item.wheelSecond = FIRING;
    for (const item of slot) {
      // Another item of this second may have cancelled or moved it.
      if (item.wheelSecond !== FIRING) continue;
      item.wheelSecond = -1;
      this.onDue(item);
    }
  }
}
