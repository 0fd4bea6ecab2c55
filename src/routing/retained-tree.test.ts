import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { topicFilter, topicName } from '../../test/support/codec/arbitraries.ts';
import { topicMatches } from '../protocol/topic.ts';
import { RetainedTree } from './retained-tree.ts';

const level = fc.constantFrom('a', 'b', '', '$x', 'ab', '__proto__');
const closeName = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((name) => name !== '');
const closeFilter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean(), fc.boolean())
  .map(([levels, isOpen, isAll]) => (isAll && isOpen ? '#' : (isOpen ? [...levels, '#'] : levels).join('/')))
  .filter((filter) => filter !== '');

/** All that a search gives, `most` at a time; each slice keeps to its bound. */
function searchAll(tree: RetainedTree<string>, filter: string, most: number): string[] {
  const search = tree.search(filter);
  const all: string[] = [];
  for (let isDone = false; !isDone;) {
    const found: string[] = [];
    isDone = search.next(most, found);
    expect(found.length).toBeLessThanOrEqual(most);
    all.push(...found);
  }
  return all;
}

describe('RetainedTree', () => {
  test('finds the topics that match a filter, each once, in slices of any size', () => {
    const runs: [fc.Arbitrary<string>, fc.Arbitrary<string>][] = [
      [closeFilter, closeName],
      [topicFilter, topicName],
    ];
    for (const [filters, names] of runs) {
      fc.assert(
        fc.property(
          fc.uniqueArray(names, { maxLength: 30 }),
          fc.array(filters, { minLength: 1, maxLength: 6 }),
          fc.integer({ min: 1, max: 5 }),
          (topics, wanted, most) => {
            const tree = new RetainedTree<string>();
            for (const topic of topics) tree.set(topic, topic);
            for (const filter of [...wanted, ...topics.slice(0, 3)]) {
              expect(searchAll(tree, filter, most).sort()).toEqual(
                topics.filter((topic) => topicMatches(filter, topic)).sort(),
              );
            }
          },
        ),
        { numRuns: 500 },
      );
    }
  });

  test('holds what a map of the same changes holds', () => {
    const change = fc.record({ topic: closeName, payload: fc.option(fc.string({ minLength: 1, maxLength: 3 })) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const tree = new RetainedTree<string>();
        const model = new Map<string, string>();
        for (const { topic, payload } of changes) {
          const before = model.get(topic) ?? null;
          if (payload === null) {
            expect(tree.delete(topic)).toBe(before);
            model.delete(topic);
          } else {
            expect(tree.set(topic, payload)).toBe(before);
            model.set(topic, payload);
          }
          expect(tree.get(topic)).toBe(model.get(topic) ?? null);
        }
        expect(tree.count).toBe(model.size);
        expect(searchAll(tree, '#', 3).length).toBe([...model.keys()].filter((topic) => topic[0] !== '$').length);
        for (const topic of model.keys()) tree.delete(topic);
        expect(tree.count).toBe(0);
        expect(searchAll(tree, '#', 3)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('a slice visits a bounded number of nodes though nothing matches', () => {
    const tree = new RetainedTree<string>();
    for (let i = 0; i < 10_000; i++) tree.set(`t/${i}/x`, 'x');
    const search = tree.search('t/+/y');
    const found: string[] = [];
    expect(search.next(1, found)).toBe(false);
    expect(found).toEqual([]);
    let slices = 1;
    while (!search.next(10, found)) slices++;
    expect(slices).toBeGreaterThan(10);
    expect(found).toEqual([]);
  });

  test('a search goes on over changes: what stayed is found once, what was removed in front of it is not', () => {
    const tree = new RetainedTree<string>();
    for (let i = 0; i < 100; i++) tree.set(`t/${i}`, `${i}`);
    const search = tree.search('t/#');
    const found: string[] = [];
    search.next(30, found);
    const seen = new Set(found);
    for (let i = 0; i < 100; i += 2) tree.delete(`t/${i}`);
    for (let i = 200; i < 220; i++) tree.set(`t/${i}`, `${i}`);
    while (!search.next(7, found));
    expect(new Set(found).size).toBe(found.length);
    for (let i = 1; i < 100; i += 2) expect(found).toContain(`${i}`);
    for (let i = 0; i < 100; i += 2) expect(found.includes(`${i}`)).toBe(seen.has(`${i}`));
  });
});
