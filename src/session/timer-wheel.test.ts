import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { TimerWheel, type WheelItem } from './timer-wheel.ts';

class Item implements WheelItem {
  wheelSecond = -1;
  wheelIndex = 0;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

function makeWheel(second = 100) {
  const fired: string[] = [];
  const wheel = new TimerWheel<Item>(second, (item) => fired.push(item.name));
  return { wheel, fired, take: () => fired.splice(0) };
}

describe('TimerWheel', () => {
  test('fires an item once, in its second and not before', () => {
    const { wheel, take } = makeWheel();
    wheel.schedule(new Item('a'), 103);
    wheel.advance(102);
    expect([take(), wheel.size]).toEqual([[], 1]);
    wheel.advance(103);
    expect([take(), wheel.size]).toEqual([['a'], 0]);
    wheel.advance(200);
    expect(take()).toEqual([]);
  });

  test('a second that is past or present means the next one', () => {
    const { wheel, take } = makeWheel();
    wheel.schedule(new Item('past'), 5);
    wheel.schedule(new Item('now'), 100);
    expect(take()).toEqual([]);
    wheel.advance(101);
    expect(take()).toEqual(['past', 'now']);
  });

  test('a new deadline takes the place of the old one, earlier or later', () => {
    const { wheel, take } = makeWheel();
    const item = new Item('a');
    wheel.schedule(item, 110);
    wheel.schedule(item, 105);
    wheel.schedule(item, 105);
    expect(wheel.size).toBe(1);
    wheel.schedule(item, 120);
    wheel.advance(119);
    expect(take()).toEqual([]);
    wheel.advance(120);
    expect(take()).toEqual(['a']);
  });

  test('a cancelled item does not fire, and cancelling twice changes nothing', () => {
    const { wheel, take } = makeWheel();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new Item(name)) as [Item, Item, Item];
    for (const item of [a, b, c]) wheel.schedule(item, 105);
    wheel.cancel(a);
    wheel.cancel(a);
    wheel.cancel(c);
    expect(wheel.size).toBe(1);
    wheel.advance(110);
    expect(take()).toEqual(['b']);
    wheel.cancel(b);
    expect(wheel.size).toBe(0);
  });

  test('an item may move itself and others while its second is being fired', () => {
    const fired: string[] = [];
    const items = ['a', 'b', 'c', 'd'].map((name) => new Item(name)) as [Item, Item, Item, Item];
    const [a, b, c, d] = items;
    const wheel = new TimerWheel<Item>(100, (item) => {
      fired.push(item.name);
      if (item !== a || fired.length > 1) return;
      wheel.schedule(a, 101);
      wheel.cancel(b);
      wheel.schedule(c, 103);
    });
    for (const item of items) wheel.schedule(item, 101);
    wheel.advance(101);
    expect([fired, wheel.size]).toEqual([['a', 'd'], 2]);
    expect([b.wheelSecond, d.wheelSecond]).toEqual([-1, -1]);
    wheel.advance(102);
    expect(fired).toEqual(['a', 'd', 'a']);
    wheel.advance(103);
    expect(fired).toEqual(['a', 'd', 'a', 'c']);
  });

  test('after a jump of the clock everything due fires, in the order of the seconds', () => {
    const { wheel, take } = makeWheel();
    for (const second of [100_000, 150, 90_000, 200_000, 101]) wheel.schedule(new Item(`${second}`), second);
    wheel.advance(150_000);
    expect([take(), wheel.size]).toEqual([['101', '150', '90000', '100000'], 1]);
    wheel.advance(150_001);
    wheel.advance(200_000);
    expect(take()).toEqual(['200000']);
  });

  test('does what a plain list of deadlines does', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ item: fc.nat(9), delay: fc.integer({ min: -3, max: 40 }) }) },
      { weight: 2, arbitrary: fc.record({ cancel: fc.nat(9) }) },
      {
        weight: 3,
        arbitrary: fc.record({ advance: fc.oneof(fc.integer({ min: 0, max: 8 }), fc.constant(5_000)) }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { wheel, take } = makeWheel();
        const items = Array.from({ length: 10 }, (_, i) => new Item(`${i}`));
        const due = new Map<Item, number>();
        let now = 100;
        for (const one of steps) {
          if ('item' in one) {
            const item = items[one.item]!;
            wheel.schedule(item, now + one.delay);
            due.set(item, Math.max(now + 1, now + one.delay));
          } else if ('cancel' in one) {
            wheel.cancel(items[one.cancel]!);
            due.delete(items[one.cancel]!);
          } else {
            now += one.advance;
            wheel.advance(now);
            const expected = [...due].filter(([, second]) => second <= now).map(([item]) => item.name);
            expect(take().sort()).toEqual(expected.sort());
            for (const [item, second] of due) if (second <= now) due.delete(item);
          }
          expect(wheel.size).toBe(due.size);
          expect(new Set(wheel.items())).toEqual(new Set(due.keys()));
        }
      }),
    );
  });
});
