import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { topicFilter, topicName } from '../../test/support/codec/arbitraries.ts';
import { topicMatches } from '../protocol/topic.ts';
import type { Subscription, SubscriptionOptions } from './subscription.ts';
import { TopicTree } from './topic-tree.ts';

const options: SubscriptionOptions = {
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  identifier: 0,
};

const subscribe = (tree: TopicTree<string>, filter: string, who = 'me', shareName: string | null = null) =>
  tree.subscribe(who, filter, shareName, options);

function matching(tree: TopicTree<string>, name: string): string[] {
  const found: Parameters<TopicTree<string>['match']>[1] = [];
  tree.match(name, found);
  return found.map((entry) => entry.topicFilter).sort();
}

/** Few names for levels, so that filters and topics meet; borders of the grammar come often. */
const level = fc.constantFrom('a', 'b', '', '$x', 'ab', '\u00e5', '__proto__');
const closeName = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((name) => name !== '');
const closeFilter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean(), fc.boolean())
  .map(([levels, isOpen, isAll]) => (isAll && isOpen ? '#' : (isOpen ? [...levels, '#'] : levels).join('/')))
  .filter((filter) => filter !== '');

describe('TopicTree', () => {
  test('finds the filters that match a topic, and no others', () => {
    const runs: [fc.Arbitrary<string>, fc.Arbitrary<string>][] = [
      [closeFilter, closeName],
      [topicFilter, topicName],
    ];
    for (const [filters, names] of runs) {
      fc.assert(
        fc.property(
          fc.uniqueArray(filters, { maxLength: 20 }),
          fc.array(names, { maxLength: 10 }),
          (wanted, published) => {
            const tree = new TopicTree<string>();
            for (const filter of wanted) subscribe(tree, filter);
            for (const name of published) {
              expect(matching(tree, name)).toEqual(wanted.filter((filter) => topicMatches(filter, name)).sort());
            }
          },
        ),
        { numRuns: 500 },
      );
    }
  });

  test('is what it was after subscriptions came and went, and empty when all have gone', () => {
    const change = fc.record({
      filter: closeFilter,
      who: fc.constantFrom('one', 'two', 'three'),
      shareName: fc.constantFrom(null, null, 'g', 'h'),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), fc.array(closeName, { maxLength: 5 }), (changes, names) => {
        const tree = new TopicTree<string>();
        const held = new Map<string, Subscription<string>>();
        for (const { filter, who, shareName } of changes) {
          const key = `${who} ${shareName} ${filter}`;
          const subscription = held.get(key);
          if (subscription === undefined) held.set(key, subscribe(tree, filter, who, shareName));
          else {
            tree.unsubscribe(subscription);
            held.delete(key);
          }
        }
        const filters = new Set([...held.values()].map((one) => one.entry.topicFilter));
        expect(tree.filterCount).toBe(filters.size);
        expect(tree.subscriptionCount).toBe(held.size);
        expect(tree.sharedSubscriptionCount).toBe([...held.values()].filter((one) => one.group !== null).length);
        for (const name of names) {
          expect(matching(tree, name)).toEqual([...filters].filter((filter) => topicMatches(filter, name)).sort());
        }
        // Each stands where its index says.
        for (const one of held.values()) {
          const list = one.group === null ? (one.entry.list ?? [one.entry.only]) : one.group.members;
          expect(list[one.index]).toBe(one);
        }
        for (const one of held.values()) tree.unsubscribe(one);
        expect([tree.filterCount, tree.subscriptionCount, tree.sharedSubscriptionCount]).toEqual([0, 0, 0]);
        for (const name of names) expect(matching(tree, name)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('changes its generation with its filters, and not with their subscribers', () => {
    const tree = new TopicTree<string>();
    const { generation } = tree;
    const first = subscribe(tree, 'a/+', 'one');
    const made = tree.generation;
    expect(made).toBeGreaterThan(generation);
    const second = subscribe(tree, 'a/+', 'two');
    const shared = subscribe(tree, 'a/+', 'one', 'g');
    tree.unsubscribe(first);
    tree.unsubscribe(shared);
    expect(tree.generation).toBe(made);
    tree.unsubscribe(second);
    expect(tree.generation).toBeGreaterThan(made);
  });

  test('puts the members of a share group together, apart for each filter and name', () => {
    const tree = new TopicTree<string>();
    const one = subscribe(tree, 'a', 'one', 'g');
    const two = subscribe(tree, 'a', 'two', 'g');
    expect(one.group).toBe(two.group);
    expect(one.group?.members.map((member) => member.subscriber)).toEqual(['one', 'two']);
    expect(subscribe(tree, 'a', 'one', 'h').group).not.toBe(one.group);
    expect(subscribe(tree, 'a/#', 'one', 'g').group).not.toBe(one.group);
    expect(one.entry.count).toBe(0);
    expect(one.filterText).toBe('$share/g/a');
  });

  test('lets one of many subscribers of a filter go without a walk over the others', () => {
    const tree = new TopicTree<string>();
    const all = Array.from({ length: 100_000 }, (_, i) => subscribe(tree, 'a', `${i}`));
    const startedAt = performance.now();
    for (const one of all) tree.unsubscribe(one);
    // A walk each would take minutes.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(tree.filterCount).toBe(0);
  });
});
