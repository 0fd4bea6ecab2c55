/** Part of the suite of every SessionStore: messages, their deliveries, and what is retained. */
import { describe, expect, test } from 'bun:test';
import { deliveryRecord, putDelivery, sessionRecord, storedMessage, utf8 } from './records.ts';
import type { Suite } from './session-store-suite.ts';

export function describeMessages(suite: Suite): void {
  describe('deliveries', () => {
    test('come back with their message, in the order asked for', async () => {
      const shown = deliveryRecord(2, {
        messageId: 9,
        qos: 2,
        retain: true,
        isReleased: true,
        packetId: 65_535,
        identifier: 268_435_455,
        sharedFilter: '$share/g/a/#',
        size: 4_000_000_000,
        expiresAtMs: 1_700_000_000_500,
      });
      const message = storedMessage('a/b', { qos: 2, retain: true, expiresAtMs: 1_700_000_000_500 });
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1));
        batch.putMessage(9, 2, message);
        putDelivery(batch, deliveryRecord(1, { messageId: 9 }));
        putDelivery(batch, shown);
      });
      expect(await suite.store.readDeliveries([2, 77, 1], 1_000_000)).toEqual({
        deliveries: [
          { ...shown, message },
          { ...deliveryRecord(1, { messageId: 9 }), message },
        ],
        looked: 3,
      });
    });

    test('are handed out up to so many bytes, at least one', async () => {
      await suite.commit((batch) => {
        for (let seq = 1; seq <= 4; seq++) {
          batch.putMessage(seq, 1, storedMessage('t', { payload: new Uint8Array(1_000) }));
          putDelivery(batch, deliveryRecord(seq));
        }
      });
      const read = async (seqs: number[], maxBytes: number) => {
        const { deliveries, looked } = await suite.store.readDeliveries(seqs, maxBytes);
        return [deliveries.map(({ seq }) => seq), looked];
      };
      expect(await read([1, 2, 3, 4], 2_500)).toEqual([[1, 2], 2]);
      expect(await read([3, 4], 1)).toEqual([[3], 1]);
      expect(await read([99, 3, 98, 4], 2_000)).toEqual([[3, 4], 4]);
      expect(await read([99], 2_000)).toEqual([[], 1]);
      expect(await read([], 2_000)).toEqual([[], 0]);
    });

    test('are listed for all sessions in their order, in pages', async () => {
      await suite.commit((batch) => {
        batch.putMessage(1, 5, storedMessage('t'));
        for (let seq = 1; seq <= 5; seq++) {
          const sharedFilter = seq === 3 ? '$share/g/t' : null;
          const sessionId = 10 + (seq % 2);
          putDelivery(batch, deliveryRecord(seq, { messageId: 1, sessionId, sharedFilter, packetId: seq * 7 }));
        }
        batch.deleteDelivery(2);
      });
      expect(await suite.store.readDeliveryIndex(0, 3)).toEqual({
        seqs: Float64Array.of(1, 3, 4),
        sessionIds: Float64Array.of(11, 11, 10),
        sizes: Uint32Array.of(101, 103, 104),
        shared: Uint8Array.of(0, 1, 0),
        packetIds: Uint16Array.of(7, 21, 28),
      });
      expect((await suite.store.readDeliveryIndex(4, 3)).seqs).toEqual(Float64Array.of(5));
      expect((await suite.store.readDeliveryIndex(5, 3)).seqs).toHaveLength(0);
    });

    test('are released, and go on under a new number', async () => {
      await suite.commit((batch) => {
        batch.putMessage(1, 3, storedMessage('t'));
        for (let seq = 1; seq <= 3; seq++)
          putDelivery(batch, deliveryRecord(seq, { messageId: 1, qos: 2, packetId: seq }));
      });
      await suite.commit((batch) => {
        batch.moveDelivery(1, 1, true, 1);
        batch.moveDelivery(2, 10, true, 5);
        batch.moveDelivery(77, 78, true, 5);
      });
      const { deliveries } = await suite.store.readDeliveries([1, 2, 3, 10, 77, 78], 1_000_000);
      const shown = deliveries.map(({ seq, isReleased, packetId, qos, size }) => [
        seq,
        isReleased,
        packetId,
        qos,
        size,
      ]);
      expect(shown).toEqual([
        [1, true, 1, 2, 101],
        [3, false, 3, 2, 103],
        [10, true, 5, 2, 102],
      ]);
      await suite.commit((batch) => batch.moveDelivery(10, 11, false, 6));
      expect((await suite.store.readDeliveries([11], 1_000)).deliveries[0]).toMatchObject({
        isReleased: false,
        packetId: 6,
      });
      expect(await suite.store.readDeliveryIndex(0, 9)).toMatchObject({ seqs: Float64Array.of(1, 3, 11) });
      expect(await suite.reopen()).toMatchObject({ lastSeq: 78, deliveries: 3 });
    });

    test('that expired before a moment are found, the oldest first, with their client', async () => {
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1));
        batch.putSession(sessionRecord(2));
        batch.putMessage(1, 5, storedMessage('t'));
        const expiries = [0, 3_000, 1_000, 2_000, 4_000];
        for (const [i, expiresAtMs] of expiries.entries()) {
          putDelivery(batch, deliveryRecord(i + 1, { messageId: 1, sessionId: 1 + (i % 2), expiresAtMs }));
        }
      });
      expect(await suite.store.readExpired(3_001, 10)).toEqual([
        { seq: 3, clientId: 'client-1', size: 103 },
        { seq: 4, clientId: 'client-2', size: 104 },
        { seq: 2, clientId: 'client-2', size: 102 },
      ]);
      expect(await suite.store.readExpired(3_000, 10)).toHaveLength(2);
      expect(await suite.store.readExpired(5_000, 1)).toEqual([{ seq: 3, clientId: 'client-1', size: 103 }]);
      await suite.commit((batch) => batch.deleteDelivery(3));
      expect((await suite.store.readExpired(3_000, 10)).map(({ seq }) => seq)).toEqual([4]);
      expect(await suite.store.readExpired(1, 10)).toEqual([]);
    });
  });

  describe('a message', () => {
    test('goes with the last of its deliveries, and not before', async () => {
      await suite.commit((batch) => {
        batch.putMessage(1, 3, storedMessage('t'));
        for (const seq of [1, 2, 3]) putDelivery(batch, deliveryRecord(seq, { messageId: 1 }));
      });
      await suite.commit((batch) => {
        batch.deleteDelivery(2);
        batch.deleteDelivery(2);
        batch.deleteDelivery(99);
      });
      expect(await suite.seqsOf(1, 2, 3)).toEqual([1, 3]);
      await suite.commit((batch) => batch.deleteDelivery(1));
      expect(await suite.seqsOf(3)).toEqual([3]);
      await suite.commit((batch) => batch.deleteDelivery(3));
      // It would show with a delivery that named it now.
      await suite.commit((batch) => putDelivery(batch, deliveryRecord(4, { messageId: 1 })));
      expect(await suite.seqsOf(4)).toEqual([]);
    });

    test('that got more references later goes with the last of all', async () => {
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1));
        batch.putMessage(1, 1, storedMessage('t'));
        putDelivery(batch, deliveryRecord(1));
      });
      await suite.commit((batch) => {
        batch.addReferences(1, 2);
        putDelivery(batch, deliveryRecord(2, { messageId: 1 }));
        batch.putIncoming(1, 5, 1);
        batch.deleteDelivery(1);
      });
      await suite.commit((batch) => batch.deleteDelivery(2));
      expect((await suite.store.findSession('client-1'))?.incoming).toEqual([
        { packetId: 5, message: storedMessage('t') },
      ]);
      await suite.commit((batch) => batch.deleteIncoming(1, 5));
      await suite.commit((batch) => putDelivery(batch, deliveryRecord(4, { messageId: 1 })));
      expect(await suite.seqsOf(4)).toEqual([]);
    });

    test('that nothing refers to is not kept, though its number is taken', async () => {
      await suite.commit((batch) => batch.putMessage(41, 0, storedMessage('t')));
      await suite.commit((batch) => putDelivery(batch, deliveryRecord(1, { messageId: 41 })));
      expect(await suite.seqsOf(1)).toEqual([]);
      expect((await suite.reopen()).lastMessageId).toBe(41);
    });

    test('gets the number of references that is corrected before the batch is committed', async () => {
      await suite.commit((batch) => {
        const place = batch.putMessage(1, 5, storedMessage('t'));
        putDelivery(batch, deliveryRecord(1));
        batch.setReferences(place, 1);
      });
      await suite.commit((batch) => batch.deleteDelivery(1));
      await suite.commit((batch) => putDelivery(batch, deliveryRecord(2, { messageId: 1 })));
      expect(await suite.seqsOf(2)).toEqual([]);
    });
  });

  describe('retained messages', () => {
    test('are one for each topic, in the order of its bytes', async () => {
      // U+10000 comes after U+FFFD in bytes, and before it in the order of JavaScript.
      const topics = ['a', 'A', 'a/b', '\u{10000}', '\ufffd', 'é', '/'];
      await suite.commit((batch) => {
        for (const topic of topics) batch.putRetained(storedMessage(topic, { retain: true }));
      });
      await suite.commit((batch) => {
        batch.putRetained(storedMessage('a/b', { payload: utf8('newer'), qos: 0, properties: new Uint8Array([1, 1]) }));
        batch.deleteRetained('A');
        batch.deleteRetained('never/there');
      });
      const read = async (after: string | null, limit: number) =>
        (await suite.store.readRetained(after, limit)).map(({ topicName }) => topicName);
      expect(await read(null, 100)).toEqual(['/', 'a', 'a/b', 'é', '\ufffd', '\u{10000}']);
      expect(await read(null, 2)).toEqual(['/', 'a']);
      expect(await read('a', 2)).toEqual(['a/b', 'é']);
      expect(await read('\u{10000}', 2)).toEqual([]);
      expect((await suite.store.readRetained('a', 1))[0]).toEqual(
        storedMessage('a/b', { payload: utf8('newer'), qos: 0, properties: new Uint8Array([1, 1]) }),
      );
      expect((await suite.reopen()).retained).toBe(6);
    });

    test('that are large come in several pages', async () => {
      const payload = new Uint8Array(1_000_000).fill(1);
      await suite.commit((batch) => {
        for (let i = 10; i < 20; i++) batch.putRetained(storedMessage(`t/${i}`, { payload }));
      });
      const topics: string[] = [];
      for (;;) {
        const page = await suite.store.readRetained(topics.at(-1) ?? null, 1_000);
        if (page.length === 0) break;
        topics.push(...page.map(({ topicName }) => topicName));
      }
      expect(topics).toEqual(Array.from({ length: 10 }, (_, i) => `t/${i + 10}`));
    });
  });

  describe('content', () => {
    test.each([
      ['an empty payload', storedMessage('t', { payload: new Uint8Array(0) })],
      ['every byte', storedMessage('t', { payload: Uint8Array.from({ length: 256 }, (_, i) => i) })],
      ['megabytes', storedMessage('t', { payload: new Uint8Array(3_000_000).fill(0xab) })],
      ['texts beyond ASCII', storedMessage('häuser/\u{1f3e0}/窓', { publisherId: 'Zoë \u{1f98a}' })],
      ['a topic of 65,535 bytes', storedMessage(`${'ä/'.repeat(21_844)}abc`)],
      ['an empty publisher', storedMessage('t', { publisherId: '' })],
      ['properties', storedMessage('t', { properties: utf8('\x01\x01\x00'.repeat(500)) })],
    ])('comes back with %s', async (_name, message) => {
      await suite.commit((batch) => {
        batch.putSession(sessionRecord(1));
        batch.putMessage(1, 2, message);
        putDelivery(batch, deliveryRecord(1));
        batch.putIncoming(1, 1, 1);
        batch.putRetained(message);
      });
      await suite.reopen();
      expect((await suite.store.readDeliveries([1], 1)).deliveries[0]?.message).toEqual(message);
      expect((await suite.store.findSession('client-1'))?.incoming[0]?.message).toEqual(message);
      expect(await suite.store.readRetained(null, 1)).toEqual([message]);
    });

    test('of one reply does not change with later batches or replies', async () => {
      await suite.commit((batch) => {
        batch.putMessage(1, 1, storedMessage('first'));
        putDelivery(batch, deliveryRecord(1));
        batch.putRetained(storedMessage('first'));
      });
      const [delivery] = (await suite.store.readDeliveries([1], 1_000)).deliveries;
      const [retained] = await suite.store.readRetained(null, 1);
      await suite.commit((batch) => {
        batch.putMessage(2, 1, storedMessage('other'));
        putDelivery(batch, deliveryRecord(2));
        batch.putRetained(storedMessage('first', { payload: utf8('other of first') }));
      });
      await suite.store.readDeliveries([2], 1_000);
      await suite.store.readRetained(null, 1);
      expect(delivery?.message).toEqual(storedMessage('first'));
      expect(retained).toEqual(storedMessage('first'));
    });
  });
}
