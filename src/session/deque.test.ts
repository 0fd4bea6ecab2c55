import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Deque } from './deque.ts';

test('is a first-in-first-out list: the same as an array under push, shift and filter', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 1_000 }).map((item) => ({ push: item })) },
    { weight: 5, arbitrary: fc.constant({ shift: true }) },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: 5 }).map((divisor) => ({ keepMultiplesOf: divisor })) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const deque = new Deque<number>();
      let model: number[] = [];
      for (const one of steps) {
        if ('push' in one) {
          deque.push(one.push);
          model.push(one.push);
        } else if ('shift' in one) expect(deque.shift()).toBe(model.shift());
        else {
          deque.filter((item) => item % one.keepMultiplesOf === 0);
          model = model.filter((item) => item % one.keepMultiplesOf === 0);
        }
        expect(deque.length).toBe(model.length);
        expect(deque.peek()).toBe(model[0]);
      }
    }),
  );
});

test('keeps its order over a hundred thousand items', () => {
  const deque = new Deque<{ index: number }>();
  let taken = 0;
  for (let i = 0; i < 100_000; i++) {
    deque.push({ index: i });
    if (i % 3 !== 0) expect(deque.shift()?.index).toBe(taken++);
  }
  while (deque.length > 0) expect(deque.shift()?.index).toBe(taken++);
  expect(taken).toBe(100_000);
});
