import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { topicName } from '../../test/support/codec/arbitraries.ts';
import { MAX_TOPIC_LEVELS } from '../protocol/topic.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import { TopicCache } from './topic-cache.ts';
import { TopicTree } from './topic-tree.ts';

const options = { qos: 0, noLocal: false, retainAsPublished: false, identifier: 0 } as const;

/** Looks a name up as it would lie in a chunk, between other bytes. */
function lookup(cache: TopicCache<string>, name: string | Uint8Array) {
  const bytes = typeof name === 'string' ? encodeUtf8(name) : name;
  const chunk = new Uint8Array(bytes.length + 6).fill(0x2b);
  chunk.set(bytes, 3);
  return cache.lookup(chunk, 3, 3 + bytes.length);
}

describe('TopicCache', () => {
  test('gives the topic of the bytes, and the same one again', () => {
    fc.assert(
      fc.property(fc.array(topicName, { maxLength: 30 }), (names) => {
        const cache = new TopicCache<string>();
        for (const name of [...names, ...names]) {
          const topic = lookup(cache, name);
          expect(topic?.name).toBe(name);
          expect(topic?.bytes).toEqual(encodeUtf8(name));
          expect(lookup(cache, name)).toBe(topic);
          expect(cache.byName(name)).toBe(topic!);
        }
      }),
    );
  });

  test('refuses what is no Topic Name, also after one that differs in its last byte', () => {
    const cache = new TopicCache<string>();
    expect(lookup(cache, 'a/b')?.name).toBe('a/b');
    for (const bad of ['', 'a/+', '#', 'a/#/b', 'a\0b', '/'.repeat(MAX_TOPIC_LEVELS)]) {
      expect(lookup(cache, bad)).toBeNull();
    }
    expect(lookup(cache, Uint8Array.of(0x61, 0xff))).toBeNull();
    expect(lookup(cache, Uint8Array.of(0xed, 0xa0, 0x80))).toBeNull();
    expect(lookup(cache, 'a/b')?.name).toBe('a/b');
  });

  test('keeps a copy: the chunk may be written again', () => {
    const cache = new TopicCache<string>();
    const chunk = encodeUtf8('a/b');
    const topic = cache.lookup(chunk, 0, 3)!;
    chunk.fill(0x78);
    expect(topic.bytes).toEqual(encodeUtf8('a/b'));
    expect(cache.lookup(chunk, 0, 3)?.name).toBe('xxx');
  });

  test('stays right while topics push each other out and the table grows', () => {
    const cache = new TopicCache<string>();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20_000; i++) expect(lookup(cache, `topic/${i}`)?.name).toBe(`topic/${i}`);
    }
  });

  // 30,000 PUBLISH packets with topics of 60,000 bytes took 1.4 GB that never came back.
  test('keeps no topic of more than 1 KiB but the last one', () => {
    const cache = new TopicCache<string>();
    const [kept, long] = ['k'.repeat(1_024), 'l'.repeat(1_025)];
    const [first, second] = [lookup(cache, kept), lookup(cache, long)];
    expect(second?.name).toBe(long);
    expect(lookup(cache, long)).toBe(second);
    expect(lookup(cache, kept)).toBe(first);
    expect(lookup(cache, long)).not.toBe(second);
    expect(cache.byName(long).name).toBe(long);
  });

  test('a topic matches anew when the filters changed, and keeps what it found until then', () => {
    const cache = new TopicCache<string>();
    const tree = new TopicTree<string>();
    const topic = cache.byName('a/b');
    expect(topic.match(tree)).toEqual([]);
    const one = tree.subscribe('one', 'a/+', null, options);
    expect(topic.match(tree).map((entry) => entry.topicFilter)).toEqual(['a/+']);
    // A second subscriber of a filter that is there is in the entry that the topic holds.
    tree.subscribe('two', 'a/+', null, options);
    expect(topic.match(tree)[0]?.count).toBe(2);
    tree.subscribe('one', '#', null, options);
    expect(topic.match(tree).length).toBe(2);
    tree.unsubscribe(one);
    expect(topic.match(tree).map((entry) => entry.count)).toEqual([1, 1]);
    // A topic that the table forgot is still right.
    for (let i = 0; i < 5_000; i++) cache.byName(`other/${i}`);
    tree.subscribe('three', 'a/b', null, options);
    expect(topic.match(tree).length).toBe(3);
  });
});
