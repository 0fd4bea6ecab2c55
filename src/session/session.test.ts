import { expect, test } from 'bun:test';
import { TopicTree } from '../routing/topic-tree.ts';
import { Session } from './session.ts';

const options = { qos: 0, noLocal: false, retainAsPublished: false, identifier: 0 } as const;

test('a session finds each of its subscriptions by the text of its filter, few or many', () => {
  const tree = new TopicTree<Session>();
  const session = new Session('s', 5);
  const held = new Map<string, ReturnType<typeof tree.subscribe>>();
  const check = () => {
    expect(session.subscriptionCount).toBe(held.size);
    expect([...session.subscriptions()].map((one) => one.filterText).sort()).toEqual([...held.keys()].sort());
    for (const [text, one] of held) expect(session.findSubscription(text)).toBe(one);
    expect(session.findSubscription('other')).toBeNull();
    // The filter of a shared subscription is not the plain one.
    expect(session.findSubscription('shared/0')).toBeNull();
  };
  check();
  for (let i = 0; i < 40; i++) {
    const one =
      i % 4 === 0
        ? tree.subscribe(session, `shared/${i}`, 'g', options)
        : tree.subscribe(session, `f/${i}`, null, options);
    session.addSubscription(one);
    held.set(one.filterText, one);
    check();
  }
  for (const [text, one] of [...held]) {
    session.removeSubscription(one);
    held.delete(text);
    check();
  }
  session.addSubscription(tree.subscribe(session, 'again', null, options));
  expect(session.subscriptionCount).toBe(1);
  session.clearSubscriptions();
  expect(session.subscriptionCount).toBe(0);
});
