import { expect, test } from 'bun:test';
import type { Topic } from '../routing/topic-cache.ts';
import { Message } from './message.ts';
import type { Session } from './session.ts';
import { StoredMessages } from './stored-messages.ts';

const topic = { name: 'abc', bytes: new Uint8Array(3) } as unknown as Topic<Session>;

test('a message counts once, however many hold it, until the last one lets go', () => {
  const stored = new StoredMessages();
  const one = new Message(topic, new Uint8Array(10), new Uint8Array(5), 1, false, 0, '');
  const other = new Message(topic, new Uint8Array(100), new Uint8Array(0), 1, false, 0, '');
  for (let i = 0; i < 3; i++) stored.hold(one);
  stored.hold(other);
  expect(stored).toMatchObject({ count: 2, payloadBytes: 110, bytes: 121, references: 4 });
  stored.release(one);
  stored.release(one);
  expect(stored).toMatchObject({ count: 2, payloadBytes: 110, bytes: 121, references: 2 });
  stored.release(one);
  expect(stored).toMatchObject({ count: 1, payloadBytes: 100, bytes: 103, references: 1 });
  // Held anew, it counts anew.
  stored.hold(one);
  stored.release(other);
  expect(stored).toMatchObject({ count: 1, payloadBytes: 10, bytes: 18, references: 1 });
});
