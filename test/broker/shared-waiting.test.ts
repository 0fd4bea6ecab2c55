/** Messages of share groups that wait, and where they go when members come and leave: v5 section 4.8.2. */
import { expect, test } from 'bun:test';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { drainMessages, payloads, publishWhole } from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

const GROUP = '$share/g/a';

function member(t: TestBroker, clientId: string): Peer {
  const peer = t.connect({ clientId, cleanStart: false, properties: { sessionExpiryInterval: 1_000 } });
  if (t.broker.sessions.get(clientId)!.subscriptionCount === 0) peer.subscribe(GROUP, 1);
  return peer;
}

function publishMany(t: TestBroker, count: number, from = 0): void {
  for (let i = from; i < from + count; i++) {
    const publisher = t.connect({ clientId: 'p' });
    publishWhole(publisher, 'a', `${i}`, 1);
    publisher.disconnect();
  }
}

const queueOf = (t: TestBroker, clientId: string) => t.broker.sessions.get(clientId)!.outgoing?.queue.length ?? 0;
const dropped = (t: TestBroker) => t.broker.counters.dropped.get(DropReason.queueFull);
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);

// They were handed to a member whose queue was full, which dropped them.
test('messages of a member that leaves go to those with room in their queue, and stay with it where nobody has any', () => {
  const t = new TestBroker({ maxInflightMessages: 1, maxQueuedMessages: 4 });
  const full = member(t, 'full');
  publishMany(t, 5);
  expect(queueOf(t, 'full')).toBe(4);
  const leaving = member(t, 'leaving');
  publishMany(t, 5, 5);
  expect([queueOf(t, 'leaving'), dropped(t)]).toEqual([4, 0]);
  leaving.drop();
  expect([dropped(t), t.broker.counters.sharedRedelivered]).toEqual([0, 0]);
  // One that has room takes them.
  const fresh = member(t, 'fresh');
  expect(t.broker.counters.sharedRedelivered).toBe(5);
  expect(drainMessages(fresh).map(({ payload }) => text(payload))).toEqual(['5', '6', '7', '8', '9']);
  expect(drainMessages(full).map(({ payload }) => text(payload))).toEqual(['0', '1', '2', '3', '4']);
  expect(dropped(t)).toBe(0);
});

test('a message goes to a member with room in its queue rather than to one whose queue is full', () => {
  const t = new TestBroker({ maxInflightMessages: 1, maxQueuedMessages: 3 });
  member(t, 'full');
  publishMany(t, 4);
  member(t, 'other');
  publishMany(t, 4, 4);
  expect([queueOf(t, 'full'), queueOf(t, 'other'), dropped(t)]).toEqual([3, 3, 0]);
  publishMany(t, 1, 8);
  expect(dropped(t)).toBe(1);
});

test('what waited with every member away comes to the first that is back, whoever held it', () => {
  const t = new TestBroker();
  const peers = ['one', 'two', 'three'].map((clientId) => member(t, clientId));
  for (const peer of peers) peer.drop();
  publishMany(t, 9);
  expect(['one', 'two', 'three'].map((clientId) => queueOf(t, clientId))).toEqual([3, 3, 3]);
  expect(
    drainMessages(member(t, 'two'))
      .map(({ payload }) => text(payload))
      .sort(),
  ).toEqual(numbered(9));
  expect(['one', 'two', 'three'].map((clientId) => queueOf(t, clientId))).toEqual([0, 0, 0]);
});

test('what was under way to a member when all of them left comes to another', () => {
  const t = new TestBroker();
  const one = member(t, 'one');
  publishMany(t, 2);
  expect(payloads(one)).toEqual(['0', '1']);
  one.drop();
  const two = member(t, 'two');
  expect(payloads(two)).toEqual(['0', '1']);
  // It is two's now.
  expect(drainMessages(member(t, 'one'))).toEqual([]);
});

// Each connect walked all members of the group.
test('a member that connects costs nothing for those that are away with nothing to give', () => {
  const t = new TestBroker();
  for (let i = 0; i < 50; i++) member(t, `m${i}`).drop();
  member(t, 'last');
  const { group } = [...t.broker.sessions.get('last')!.subscriptions()][0]!;
  expect(group!.waiting?.size ?? 0).toBe(0);
  publishMany(t, 3);
  expect(group!.waiting?.size ?? 0).toBe(0);
});

test('a member that leaves the group is not asked for messages any more', () => {
  const t = new TestBroker({ maxInflightMessages: 1 });
  member(t, 'one').drop();
  publishMany(t, 3);
  const one = t.connect({ clientId: 'one', cleanStart: true, properties: { sessionExpiryInterval: 1_000 } });
  one.drop();
  const two = member(t, 'two');
  expect(drainMessages(two)).toEqual([]);
  const { group } = [...t.broker.sessions.get('two')!.subscriptions()][0]!;
  expect([group!.members.length, group!.waiting?.size ?? 0]).toEqual([1, 0]);
});
