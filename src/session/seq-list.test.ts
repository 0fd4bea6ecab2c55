import { describe, expect, test } from 'bun:test';
import { SeqList } from './seq-list.ts';

describe('SeqList', () => {
  test('gives numbers back in order, small and large gaps alike', () => {
    const list = new SeqList();
    const all = [1, 2, 129, 130, 20_000, 3_000_000, 5_000_000_000, 5_000_000_001, 2 ** 52];
    for (const one of all) list.push(one);
    expect(list.peek(100)).toEqual(all);
    expect(list.peek(3)).toEqual(all.slice(0, 3));
    expect(all.map(() => list.shift())).toEqual(all);
    expect(list.shift()).toBeUndefined();
    expect(list.length).toBe(0);
  });

  test('stays right through any mixture of push, shift and remove', () => {
    const list = new SeqList();
    let model: number[] = [];
    let seq = 0;
    for (let i = 0; i < 20_000; i++) {
      const dice = Math.random();
      if (dice < 0.55) {
        seq += 1 + Math.floor(Math.random() ** 8 * 1e9);
        list.push(seq);
        model.push(seq);
      } else if (dice < 0.97) expect(list.shift()).toBe(model.shift()!);
      else {
        const gone = model[Math.floor(Math.random() * model.length)] ?? 7;
        expect(list.remove(new Set([gone]))).toEqual(model.filter((one) => one === gone));
        model = model.filter((one) => one !== gone);
      }
      expect(list.length).toBe(model.length);
      expect(list.head).toBe(model[0] ?? 0);
    }
    expect(list.peek(Infinity)).toEqual(model);
  });

  test('holds a hundred neighbouring numbers in a few hundred bytes', () => {
    const list = new SeqList();
    for (let i = 1; i <= 100; i++) list.push(i * 100_000);
    const { gaps } = list as unknown as { gaps: Uint8Array };
    expect(gaps.length).toBeLessThan(500);
  });
});
