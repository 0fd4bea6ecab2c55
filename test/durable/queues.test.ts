import { describe, expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { Message } from '../../src/session/message.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { DurableBroker } from '../support/durable-broker.ts';
import { utf8 } from '../support/test-broker.ts';
import { connectDurably, payloads, subscribeDurably } from '../support/durable-peers.ts';

describe('queue_full', () => {
  const publishFive = async (test: DurableBroker) => {
    const sender = await connectDurably(test, 'sender', {});
    for (let i = 1; i <= 5; i++) sender.publish('a', `m${i}`, { qos: 1, packetId: i });
    await test.settle();
    // Whatever gives way, the broker has taken the messages.
    expect([1, 2, 3, 4, 5].map(() => sender.expect(PacketType.puback).packetId)).toEqual([1, 2, 3, 4, 5]);
  };
  const receive = async (test: DurableBroker) => {
    const receiver = await connectDurably(test, 'receiver');
    await test.settle();
    return payloads(receiver);
  };

  for (const [queueFull, left] of [
    ['drop_new', ['m1', 'm2', 'm3']],
    ['drop_oldest', ['m3', 'm4', 'm5']],
    ['disconnect', ['m1', 'm2', 'm3']],
  ] as const) {
    test(`${queueFull} for a client that is away`, async () => {
      const store = new MemoryStore();
      const test = await DurableBroker.open(store, { maxQueuedMessages: 3, queueFull });
      const receiver = await connectDurably(test, 'receiver');
      await subscribeDurably(test, receiver, 'a', 1);
      receiver.drop();
      await publishFive(test);
      expect(test.broker.counters.dropped.get('queue_full')).toBe(2);
      expect((await store.open()).deliveries).toBe(3);
      test.crash();
      const after = await DurableBroker.open(store, { maxQueuedMessages: 3, queueFull });
      expect(await receive(after)).toEqual([...left]);
    });

    test(`${queueFull} for a client that is connected and does not acknowledge`, async () => {
      const options = { maxQueuedMessages: 2, maxInflightMessages: 1, queueFull };
      const test = await DurableBroker.open(new MemoryStore(), options);
      const receiver = await connectDurably(test, 'receiver');
      await subscribeDurably(test, receiver, 'a', 1);
      // From the broker itself: a client would be held back.
      for (let i = 1; i <= 5; i++) {
        const topic = test.broker.topics.byName('a');
        test.broker.publish(new Message(topic, utf8(`m${i}`), new Uint8Array(0), 1, false, 0, 'sender'));
      }
      await test.settle();
      expect(test.broker.counters.dropped.get('queue_full')).toBe(2);
      await new Promise((resolve) => setImmediate(resolve));
      const packets = receiver.take();
      expect(packets[0]).toMatchObject({ type: PacketType.publish });
      expect(receiver.isClosed).toBe(queueFull === 'disconnect');
      if (queueFull === 'disconnect') {
        expect(packets.at(-1)).toMatchObject({ type: PacketType.disconnect, reasonCode: ReasonCode.quotaExceeded });
        return;
      }
      const got: string[] = [];
      receiver.puback(1);
      for (let i = 0; i < 4; i++) {
        await test.settle();
        for (const packet of receiver.take()) {
          if (packet.type !== PacketType.publish) continue;
          got.push(new TextDecoder().decode(packet.payload));
          receiver.puback(packet.packetId);
        }
      }
      expect(got).toEqual(queueFull === 'drop_new' ? ['m2', 'm3'] : ['m4', 'm5']);
    });
  }
});

describe('expiry in the store', () => {
  test('v5 [MQTT-3.3.2-5] a sweep deletes what expired for a client that is away, and leaves the rest', async () => {
    const store = new MemoryStore();
    const test = await DurableBroker.open(store);
    const receiver = await connectDurably(test, 'receiver');
    await subscribeDurably(test, receiver, 'a', 1);
    receiver.drop();
    const sender = await connectDurably(test, 'sender', {});
    for (let i = 1; i <= 6; i++) {
      const properties = i % 2 === 0 ? { messageExpiryInterval: 10 } : null;
      sender.publish('a', `m${i}`, { qos: 1, packetId: i, properties });
    }
    await test.settle();
    expect((await store.open()).deliveries).toBe(6);
    test.advance(11_000);
    await test.broker.durability!.sweep.sweep();
    await test.settle();
    expect((await store.open()).deliveries).toBe(3);
    expect(test.broker.counters.dropped.get('expired')).toBe(3);
    const again = await connectDurably(test, 'receiver');
    await test.settle();
    expect(payloads(again)).toEqual(['m1', 'm3', 'm5']);
  });

  test('the store is empty again when the last session that waited for a message is over', async () => {
    const store = new MemoryStore();
    const test = await DurableBroker.open(store);
    const clients = ['one', 'two', 'three'];
    for (const clientId of clients) {
      const receiver = await connectDurably(test, clientId);
      await subscribeDurably(test, receiver, 'a', 1);
      receiver.drop();
    }
    const sender = await connectDurably(test, 'sender', {});
    sender.publish('a', 'shared by three', { qos: 1, packetId: 1 });
    await test.settle();
    expect(await store.open()).toMatchObject({ sessions: 3, deliveries: 3 });
    for (const clientId of clients) {
      // Clean Start ends the session (v5 [MQTT-3.1.2-4]).
      const again = await connectDurably(test, clientId, { cleanStart: true, properties: {} });
      expect(again.connack.sessionPresent).toBe(false);
    }
    await test.settle();
    expect(await store.open()).toMatchObject({ sessions: 0, deliveries: 0 });
  });
});

describe('shared subscriptions in a store', () => {
  test('v5 section 4.8.2: what waited for a member that is away goes to one that comes, also after a crash', async () => {
    const store = new MemoryStore();
    const before = await DurableBroker.open(store);
    const one = await connectDurably(before, 'one');
    await subscribeDurably(before, one, '$share/g/a', 1);
    one.drop();
    const sender = await connectDurably(before, 'sender', {});
    for (let i = 1; i <= 3; i++) sender.publish('a', `m${i}`, { qos: 1, packetId: i });
    await before.settle();
    before.crash();

    const after = await DurableBroker.open(store);
    const two = await connectDurably(after, 'two');
    await subscribeDurably(after, two, '$share/g/a', 1);
    two.drop();
    await after.settle();
    const back = await connectDurably(after, 'two');
    await after.settle();
    const packets = back.take();
    expect(packets.flatMap((packet) => (packet.type === PacketType.publish ? [packet.topicName] : []))).toEqual([
      'a',
      'a',
      'a',
    ]);
    for (const packet of packets) if (packet.type === PacketType.publish) back.puback(packet.packetId);
    await after.settle();
    expect((await store.open()).deliveries).toBe(0);
  });
});
