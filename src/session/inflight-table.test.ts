import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Topic } from '../routing/topic-cache.ts';
import { Delivery } from './delivery.ts';
import { InflightTable } from './inflight-table.ts';
import { Message } from './message.ts';
import type { Session } from './session.ts';

const topic = { name: 't', bytes: new Uint8Array(1) } as unknown as Topic<Session>;
const message = new Message(topic, new Uint8Array(0), new Uint8Array(0), 1, false, 0, '');

function delivery(packetId: number): Delivery {
  const made = new Delivery(message, 1, false, 0, null);
  made.packetId = packetId;
  return made;
}

test('the table holds what a Map in order of insertion holds, whatever is added and taken', () => {
  const step = fc.tuple(fc.boolean(), fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 65_535 })));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new InflightTable();
      const model = new Map<number, Delivery>();
      for (const [adds, packetId] of steps) {
        if (adds && !model.has(packetId)) {
          const one = delivery(packetId);
          table.add(one);
          model.set(packetId, one);
        } else {
          table.delete(packetId);
          model.delete(packetId);
        }
        expect(table.get(packetId)).toBe(model.get(packetId));
      }
      expect(table.size).toBe(model.size);
      expect(table.values()).toEqual([...model.values()]);
    }),
  );
});

test('a full window of 65,535 identifiers fits, and clearing forgets all', () => {
  const table = new InflightTable();
  for (let packetId = 1; packetId <= 65_535; packetId++) table.add(delivery(packetId));
  expect(table.size).toBe(65_535);
  expect(table.get(65_535)?.packetId).toBe(65_535);
  table.clear();
  expect([table.size, table.has(1), table.values().length]).toEqual([0, false, 0]);
});

// A session that once had a wide window in flight kept half a megabyte for the rest of its life.
test('a table that is empty again takes no more memory than a new one', () => {
  const table = new InflightTable();
  for (let packetId = 1; packetId <= 20_000; packetId++) table.add(delivery(packetId));
  const places = () => (table as unknown as { slots: unknown[] }).slots.length;
  expect(places()).toBeGreaterThanOrEqual(20_000);
  for (let packetId = 1; packetId <= 20_000; packetId++) table.delete(packetId);
  expect(places()).toBeLessThan(300);
  table.add(delivery(7));
  expect([table.size, table.get(7)?.packetId]).toEqual([1, 7]);
});
