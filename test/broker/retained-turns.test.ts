import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { TestBroker } from '../support/test-broker.ts';

test('many subscriptions to many retained messages take turns, and each gets all of them', async () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'publisher' });
  const topics = 3_000;
  for (let i = 0; i < topics; i++) publisher.publish(`r/${i}`, 'x', { retain: true });
  const subscribers = Array.from({ length: 40 }, (_, i) => t.connect({ version: 4, clientId: `s${i}` }));
  for (const one of subscribers) one.subscribe('r/#', 0);
  const counts = subscribers.map(() => 0);
  const count = () =>
    subscribers.forEach((one, i) => {
      counts[i]! += one.take().filter(({ type }) => type === PacketType.publish).length;
    });
  count();
  let mostInOneTurn = 0;
  while (counts.some((received) => received < topics)) {
    const before = t.broker.counters.publishSent;
    await Bun.sleep(1);
    count();
    mostInOneTurn = Math.max(mostInOneTurn, t.broker.counters.publishSent - before);
  }
  expect(counts).toEqual(subscribers.map(() => topics));
  // Every subscription at once would be 40 slices of 256; a sleep may see a few turns.
  expect(mostInOneTurn).toBeLessThan(40 * 256);
}, 20_000);
