import { describe, expect, test } from 'bun:test';
import type { SessionRecord, StoredMessage } from './session-store.ts';
import { type BatchReader, replayBatch, StoreBatch } from './store-batch.ts';

/** Each change as its name and what was said with it. */
function changesOf(bytes: Uint8Array): unknown[][] {
  const changes: unknown[][] = [];
  const reader = new Proxy({} as BatchReader, {
    get:
      (_target, name) =>
      (...said: unknown[]) =>
        changes.push([name, ...said]),
  });
  replayBatch(bytes, reader);
  return changes;
}

const message: StoredMessage = {
  topicName: 'häuser/\u{1f3e0}',
  payload: new Uint8Array([0, 1, 255]),
  properties: new Uint8Array([1, 1]),
  qos: 2,
  retain: true,
  expiresAtMs: 1_700_000_000_123,
  publisherId: 'ana',
};
const session: SessionRecord = {
  id: 2 ** 50,
  clientId: 'client',
  protocolVersion: 5,
  username: null,
  expiryInterval: 0xffffffff,
  awaySinceMs: 1_700_000_000_123,
  sentSeq: 2 ** 45,
  will: { message, messageExpiryInterval: null, delayInterval: 0xffffffff },
};

describe('a batch', () => {
  test('gives back every change as it was said, in its order', () => {
    const batch = new StoreBatch();
    const subscription = {
      filterText: '$share/g/a',
      qos: 2,
      noLocal: true,
      retainAsPublished: true,
      identifier: 9,
    } as const;
    batch.putSession(session);
    batch.putSession({ ...session, username: '', will: null });
    batch.deleteSession(2 ** 50);
    batch.putSubscription(1, subscription);
    batch.deleteSubscription(1, 'a/#');
    batch.putMessage(3, 4, message);
    batch.addReferences(3, 2);
    batch.putDelivery(5, 1, 3, 2, true, true, 65_535, 268_435_455, '$share/g/a', 4_000_000_000, 77);
    batch.moveDelivery(5, 6, true, 1);
    batch.deleteDelivery(6);
    batch.putIncoming(1, 65_535, 0);
    batch.deleteIncoming(1, 65_535);
    batch.putRetained(message);
    batch.deleteRetained('');
    batch.setAlive(8);
    const delivery = {
      seq: 5,
      sessionId: 1,
      messageId: 3,
      qos: 2,
      retain: true,
      isReleased: true,
      packetId: 65_535,
      identifier: 268_435_455,
      size: 4_000_000_000,
      expiresAtMs: 77,
      sharedFilter: '$share/g/a',
    };
    expect(changesOf(batch.copy())).toEqual([
      ['putSession', session],
      ['putSession', { ...session, username: '', will: null }],
      ['deleteSession', 2 ** 50],
      ['putSubscription', 1, subscription],
      ['deleteSubscription', 1, 'a/#'],
      ['putMessage', 3, 4, message],
      ['addReferences', 3, 2],
      ['putDelivery', delivery],
      ['moveDelivery', 5, 6, true, 1],
      ['deleteDelivery', 6],
      ['putIncoming', 1, 65_535, 0],
      ['deleteIncoming', 1, 65_535],
      ['putRetained', message],
      ['deleteRetained', ''],
      ['setAlive', 8],
    ]);
    expect([batch.count, batch.isEmpty]).toEqual([15, false]);
  });

  test('cuts no text or payload where it grows', () => {
    const batch = new StoreBatch();
    // Lengths that meet the end of the memory at every kind of place.
    const topics = Array.from({ length: 3_000 }, (_, i) => '窓'.repeat(1 + ((i * 7) % 61)));
    for (const topic of topics) batch.deleteRetained(topic);
    batch.putRetained({ ...message, payload: new Uint8Array(5_000_000).fill(9) });
    const changes = changesOf(batch.copy());
    expect(changes.slice(0, -1).map(([, topic]) => topic)).toEqual(topics);
    expect((changes.at(-1)![1] as StoredMessage).payload).toEqual(new Uint8Array(5_000_000).fill(9));
  });

  test('is empty once it is cleared, and can be filled again', () => {
    const batch = new StoreBatch();
    batch.putRetained({ ...message, payload: new Uint8Array(5_000_000) });
    batch.clear();
    expect([batch.length, batch.count, batch.isEmpty, batch.copy().length]).toEqual([0, 0, true, 0]);
    batch.setAlive(1);
    expect(changesOf(batch.copy())).toEqual([['setAlive', 1]]);
  });

  test('corrects the references of a message in it', () => {
    const batch = new StoreBatch();
    batch.setAlive(1);
    const place = batch.putMessage(3, 4, message);
    batch.setAlive(2);
    batch.setReferences(place, 9);
    expect(changesOf(batch.copy())[1]).toEqual(['putMessage', 3, 9, message]);
  });

  test('hands out a copy that later changes leave alone', () => {
    const batch = new StoreBatch();
    batch.setAlive(1);
    const copy = batch.copy();
    batch.clear();
    batch.setAlive(2);
    expect(changesOf(copy)).toEqual([['setAlive', 1]]);
  });

  test('of a kind that is not known is refused', () => {
    expect(() => changesOf(new Uint8Array([99]))).toThrow('unknown change 99');
  });
});
