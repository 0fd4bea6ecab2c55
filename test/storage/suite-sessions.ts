/** Part of the suite of every SessionStore: sessions, and batches as a whole. */
import { describe, expect, test } from 'bun:test';
import { StoreError, StoreFault } from '../../src/storage/session-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { deliveryRecord, putDelivery, sessionRecord, storedMessage, subscriptionRecord, utf8 } from './records.ts';
import { NOBODY, type Suite } from './session-store-suite.ts';

export function describeSessions(suite: Suite): void {
  describe('sessions', () => {
    test('come back as they were put, by number and by client', async () => {
      const will = {
        message: storedMessage('a/will', { qos: 2, retain: true, properties: new Uint8Array([1, 1]) }),
        messageExpiryInterval: 60,
        delayInterval: 5,
      };
      const first = sessionRecord(1, { username: 'ana', expiryInterval: 0xffffffff, will });
      const second = sessionRecord(2, { protocolVersion: 4, awaySinceMs: 1_700_000_000_123, sentSeq: 2 ** 40 });
      await suite.commit((batch) => {
        batch.putSession(first);
        batch.putSession(second);
      });
      const rest = { subscriptions: [], incoming: [] };
      expect(await suite.everySession()).toEqual([
        { ...first, ...rest },
        { ...second, ...rest },
      ]);
      expect(await suite.store.findSession('client-2')).toEqual({ ...second, ...rest });
      expect(await suite.store.findSession('client-3')).toBeNull();
    });

    test('take the place of what was put before under their number', async () => {
      const will = { message: storedMessage('w'), messageExpiryInterval: null, delayInterval: 0 };
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1, { will }));
        batch.putSubscription(1, subscriptionRecord('kept'));
      });
      await suite.commit((batch) => batch.putSession(sessionRecord(1, { awaySinceMs: 99, username: 'later' })));
      expect(await suite.everySession()).toEqual([
        {
          ...sessionRecord(1, { awaySinceMs: 99, username: 'later' }),
          subscriptions: [subscriptionRecord('kept')],
          incoming: [],
        },
      ]);
      await suite.commit((batch) => batch.putSession(sessionRecord(1, { will })));
      expect((await suite.store.findSession('client-1'))?.will).toEqual(will);
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1, { will: { ...will, delayInterval: 7 } }));
      });
      expect((await suite.store.findSession('client-1'))?.will?.delayInterval).toBe(7);
      expect((await suite.reopen()).sessions).toBe(1);
    });

    test('a client has one: a new number for it ends the session before', async () => {
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1, { clientId: 'same' }));
        batch.putSubscription(1, subscriptionRecord('old'));
      });
      await suite.commit((batch) => batch.putSession(sessionRecord(2, { clientId: 'same' })));
      expect(await suite.everySession()).toEqual([
        { ...sessionRecord(2, { clientId: 'same' }), subscriptions: [], incoming: [] },
      ]);
      expect((await suite.reopen()).sessions).toBe(1);
    });

    test('end with their will, subscriptions and incoming messages, and no other with them', async () => {
      const will = { message: storedMessage('w'), messageExpiryInterval: null, delayInterval: 0 };
      await suite.commit((batch) => {
        for (const id of [1, 2]) {
          batch.putSession(sessionRecord(id, { will }));
          batch.putSubscription(id, subscriptionRecord('a'));
          batch.putMessage(id, 1, storedMessage('in'));
          batch.putIncoming(id, 7, id);
        }
      });
      await suite.commit((batch) => batch.deleteSession(1));
      await suite.commit((batch) => batch.deleteSession(1));
      expect((await suite.everySession()).map(({ id }) => id)).toEqual([2]);
      expect(await suite.store.findSession('client-1')).toBeNull();
      // The same client again, under a new number, finds nothing of it.
      await suite.commit((batch) => batch.putSession(sessionRecord(3, { clientId: 'client-1' })));
      expect(await suite.store.findSession('client-1')).toEqual({
        ...sessionRecord(3, { clientId: 'client-1' }),
        subscriptions: [],
        incoming: [],
      });
      expect((await suite.store.findSession('client-2'))?.incoming).toHaveLength(1);
      expect((await suite.reopen()).sessions).toBe(2);
    });

    test('are read in pages, in the order of their numbers', async () => {
      await suite.commit((batch) => {
        for (const id of [5, 3, 1, 4, 2]) batch.putSession(sessionRecord(id));
        batch.putSubscription(4, subscriptionRecord('four'));
      });
      const page = async (afterId: number, limit: number) =>
        (await suite.store.readSessions(afterId, limit)).map(({ id, subscriptions }) => [id, subscriptions.length]);
      expect(await page(0, 2)).toEqual([
        [1, 0],
        [2, 0],
      ]);
      expect(await page(2, 2)).toEqual([
        [3, 0],
        [4, 1],
      ]);
      expect(await page(4, 2)).toEqual([[5, 0]]);
      expect(await page(5, 2)).toEqual([]);
    });

    test('are as the last batch left them on each page, whatever was read before it', async () => {
      await suite.commit((batch) => {
        for (let id = 1; id <= 6; id++) batch.putSession(sessionRecord(id));
      });
      expect((await suite.store.readSessions(0, 2)).map(({ id }) => id)).toEqual([1, 2]);
      await suite.commit((batch) => batch.deleteSession(3));
      expect((await suite.store.readSessions(2, 2)).map(({ id }) => id)).toEqual([4, 5]);
      const batch = new StoreBatch();
      batch.deleteSession(6);
      const committing = suite.store.commit(batch);
      expect(await suite.store.readSessions(5, 2)).toEqual([]);
      await committing;
    });

    test('that are large come in several pages, each of them whole', async () => {
      const payload = new Uint8Array(1_500_000).fill(7);
      const will = { message: storedMessage('w', { payload }), messageExpiryInterval: null, delayInterval: 0 };
      await suite.commit((batch) => {
        for (let id = 1; id <= 6; id++) {
          batch.putSession(sessionRecord(id, { will }));
          batch.putSubscription(id, subscriptionRecord(`of/${id}`));
        }
      });
      const ids: number[] = [];
      for (let after = 0; ; after = ids.at(-1)!) {
        const sessions = await suite.store.readSessions(after, 100);
        if (sessions.length === 0) break;
        for (const one of sessions) {
          ids.push(one.id);
          expect(Buffer.compare(one.will!.message.payload, payload)).toBe(0);
          expect(one.subscriptions).toEqual([subscriptionRecord(`of/${one.id}`)]);
        }
      }
      expect(ids).toEqual([1, 2, 3, 4, 5, 6]);
    });
  });

  describe('subscriptions', () => {
    test('come back with all their options, one for each filter', async () => {
      const all = [
        subscriptionRecord('$share/group/a/#', { qos: 2, identifier: 268_435_455 }),
        subscriptionRecord('+/x', { qos: 0, noLocal: true }),
        subscriptionRecord('a/#', { retainAsPublished: true }),
        subscriptionRecord('a/b'),
      ];
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1));
        batch.putSession(sessionRecord(2));
        for (const one of all) batch.putSubscription(1, one);
        batch.putSubscription(2, subscriptionRecord('a/b', { qos: 0 }));
      });
      const sorted = async (clientId: string) =>
        [...(await suite.store.findSession(clientId))!.subscriptions].sort((a, b) =>
          a.filterText < b.filterText ? -1 : 1,
        );
      expect(await sorted('client-1')).toEqual(all);
      await suite.commit((batch) => {
        batch.putSubscription(1, subscriptionRecord('a/b', { qos: 2, identifier: 4 }));
        batch.deleteSubscription(1, 'a/#');
        batch.deleteSubscription(1, 'never/there');
      });
      expect(await sorted('client-1')).toEqual([
        all[0]!,
        all[1]!,
        subscriptionRecord('a/b', { qos: 2, identifier: 4 }),
      ]);
      expect(await sorted('client-2')).toEqual([subscriptionRecord('a/b', { qos: 0 })]);
    });
  });

  describe('incoming messages', () => {
    test('come back by packet identifier; one that was refused is known too', async () => {
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1));
        batch.putMessage(1, 1, storedMessage('in', { qos: 2 }));
        batch.putIncoming(1, 65_535, 1);
        batch.putIncoming(1, 3, 0);
      });
      expect((await suite.store.findSession('client-1'))?.incoming).toEqual([
        { packetId: 3, message: null },
        { packetId: 65_535, message: storedMessage('in', { qos: 2 }) },
      ]);
      await suite.commit((batch) => {
        batch.deleteIncoming(1, 3);
        batch.deleteIncoming(1, 4);
      });
      expect((await suite.everySession())[0]?.incoming.map(({ packetId }) => packetId)).toEqual([65_535]);
    });

    test('take the place of one with the same identifier, whose message loses a reference', async () => {
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1));
        batch.putMessage(1, 1, storedMessage('old'));
        batch.putIncoming(1, 7, 1);
      });
      await suite.commit((batch) => {
        batch.putMessage(2, 1, storedMessage('new'));
        batch.putIncoming(1, 7, 2);
      });
      expect((await suite.store.findSession('client-1'))?.incoming).toEqual([
        { packetId: 7, message: storedMessage('new') },
      ]);
      await suite.commit((batch) => {
        putDelivery(batch, deliveryRecord(1, { messageId: 1 }));
        putDelivery(batch, deliveryRecord(2, { messageId: 2 }));
        batch.addReferences(2, 1);
      });
      expect(await suite.seqsOf(1, 2)).toEqual([2]);
    });
  });

  describe('batches', () => {
    test('are read back by what is asked after them, in the order of the calls', async () => {
      const batch = new StoreBatch();
      batch.putSession(sessionRecord(1));
      const committing = suite.store.commit(batch);
      const reading = suite.store.findSession('client-1');
      const later = new StoreBatch();
      later.deleteSession(1);
      const deleting = suite.store.commit(later);
      const readingLater = suite.store.findSession('client-1');
      await Promise.all([committing, deleting]);
      expect([(await reading)?.id, await readingLater]).toEqual([1, null]);
    });

    test('are the caller`s again once they are committed', async () => {
      const batch = new StoreBatch();
      batch.putRetained(storedMessage('t', { payload: utf8('one') }));
      await suite.store.commit(batch);
      batch.clear();
      batch.putRetained(storedMessage('u', { payload: utf8('two') }));
      await suite.store.commit(batch);
      const shown = (await suite.store.readRetained(null, 9)).map(({ payload }) => new TextDecoder().decode(payload));
      expect(shown).toEqual(['one', 'two']);
    });

    test('of many changes, and of none, are committed', async () => {
      await suite.store.commit(new StoreBatch());
      await suite.commit((batch) => {
        for (let seq = 1; seq <= 20_000; seq++) {
          batch.putMessage(seq, 1, storedMessage('t'));
          putDelivery(batch, deliveryRecord(seq));
        }
        for (let seq = 1; seq <= 20_000; seq += 2) batch.deleteDelivery(seq);
      });
      expect((await suite.store.readDeliveryIndex(0, 100_000)).seqs).toHaveLength(10_000);
    });
  });

  describe('opened again', () => {
    test('a store is as it was left', async () => {
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1, { username: 'ana' }));
        batch.putSubscription(1, subscriptionRecord('a/#'));
        batch.putMessage(1, 2, storedMessage('t'));
        putDelivery(batch, deliveryRecord(1));
        batch.putIncoming(1, 9, 1);
        batch.putRetained(storedMessage('r', { retain: true }));
        batch.setAlive(1_700_000_000_000);
      });
      const read = async () => ({
        sessions: await suite.everySession(),
        index: await suite.store.readDeliveryIndex(0, 10),
        deliveries: await suite.store.readDeliveries([1], 1_000),
        retained: await suite.store.readRetained(null, 10),
      });
      const before = await read();
      expect(await suite.reopen()).toEqual({
        lastSessionId: 1,
        lastMessageId: 1,
        lastSeq: 1,
        sessions: 1,
        deliveries: 1,
        retained: 1,
        aliveAtMs: 1_700_000_000_000,
      });
      expect(await read()).toEqual(before);
    });

    test('it gives no number twice, though what had it is gone', async () => {
      const far = 2 ** 41;
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(far));
        batch.putMessage(far + 1, 1, storedMessage('t'));
        putDelivery(batch, deliveryRecord(far + 2, { messageId: far + 1, sessionId: far }));
      });
      await suite.commit((batch) => {
        batch.deleteDelivery(far + 2);
        batch.deleteSession(far);
      });
      expect(await suite.reopen()).toEqual({ ...NOBODY, lastSessionId: far, lastMessageId: far + 1, lastSeq: far + 2 });
    });
  });

  describe('closed', () => {
    test('it refuses all calls, and takes a second close', async () => {
      await suite.store.close();
      await suite.store.close();
      const batch = new StoreBatch();
      batch.setAlive(1);
      const calls = [
        () => suite.store.commit(batch),
        () => suite.store.readSessions(0, 1),
        () => suite.store.findSession('c'),
        () => suite.store.readDeliveryIndex(0, 1),
        () => suite.store.readDeliveries([1], 1),
        () => suite.store.readRetained(null, 1),
        () => suite.store.readExpired(1, 1),
        () => suite.store.usedBytes(),
        () => suite.store.backup('/nowhere/x'),
      ];
      for (const call of calls) {
        const error = await call().then(
          () => null,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(StoreError);
        expect((error as StoreError).fault).toBe(StoreFault.io);
      }
    });
  });
}
