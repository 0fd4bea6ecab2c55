import { expect, test } from 'bun:test';
import { TopicTree } from '../routing/topic-tree.ts';
import { Session } from '../session/session.ts';
import { listSubscriptions } from './subscription-list.ts';

const options = { noLocal: false, retainAsPublished: false, identifier: 0 };

function subscribe(tree: TopicTree<Session>, clientId: string, filter: string, qos: 0 | 1 | 2, share: string | null) {
  return tree.subscribe(new Session(clientId, 4), filter, share, { ...options, qos });
}

async function list(tree: TopicTree<Session>): Promise<{ text: string; count: number }> {
  let text = '';
  const count = await listSubscriptions(tree, async (part) => {
    text += part;
    return true;
  });
  return { text, count };
}

test('every filter has a line with its clients and their QoS, shared ones each their own', async () => {
  const tree = new TopicTree<Session>();
  subscribe(tree, 'c1', 'a/b', 1, null);
  subscribe(tree, 'c2', 'a/b', 0, null);
  subscribe(tree, 'c3', 'a/+', 2, null);
  subscribe(tree, 'c4', '#', 0, null);
  subscribe(tree, 'c5', 'x/#', 0, null);
  subscribe(tree, 'c6', '/+/y', 0, null);
  subscribe(tree, 'c7', 'a/b', 1, 'g');
  subscribe(tree, 'c8', '$SYS/#', 0, 'h');
  subscribe(tree, 'evil\u001b[2J', 'c\n', 0, null);
  const { text, count } = await list(tree);
  expect(text.split('\n').sort()).toEqual(
    [
      '',
      '# (c4, 0)',
      '$share/g/a/b (c7, 1)',
      '$share/h/$SYS/# (c8, 0)',
      '/+/y (c6, 0)',
      'a/+ (c3, 2)',
      'a/b (c1, 1) (c2, 0)',
      'c? (evil?[2J, 0)',
      'x/# (c5, 0)',
    ].sort(),
  );
  expect(count).toBe(9);
  expect(await list(new TopicTree<Session>())).toEqual({ text: '', count: 0 });
});

test('the list comes in slices, in between which subscriptions come and go', async () => {
  const tree = new TopicTree<Session>();
  const crowd = Array.from({ length: 30_000 }, (_, i) => subscribe(tree, `client-${i}`, 'crowd/+', 0, null));
  let slices = 0;
  let longest = 0;
  await listSubscriptions(tree, async (text) => {
    slices++;
    longest = Math.max(longest, text.length);
    for (const one of crowd.splice(0, 100)) tree.unsubscribe(one);
    subscribe(tree, 'late', `late/${slices}/+`, 0, null);
    return true;
  });
  expect(slices).toBeGreaterThan(4);
  expect(longest).toBeLessThan(70_000);
});

test('the list ends where nobody takes it any more', async () => {
  const tree = new TopicTree<Session>();
  for (let i = 0; i < 30_000; i++) subscribe(tree, 'c', `filter/${i}`, 0, null);
  let slices = 0;
  const count = await listSubscriptions(tree, async () => ++slices < 2);
  expect(slices).toBe(2);
  expect(count).toBeLessThan(30_000);
});
