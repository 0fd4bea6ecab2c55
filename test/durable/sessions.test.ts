import { describe, expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { DurableBroker } from '../support/durable-broker.ts';
import { connectDurably, payloads, subscribeDurably } from '../support/durable-peers.ts';
import { type Peer, text } from '../support/test-broker.ts';

describe('sessions in a store', () => {
  test('a session, its subscription and what was queued come back after a crash', async () => {
    const store = new MemoryStore();
    const before = await DurableBroker.open(store);
    const receiver = await connectDurably(before, 'receiver');
    await subscribeDurably(before, receiver, 'a/+', 1);
    receiver.drop();
    const sender = await connectDurably(before, 'sender', {});
    for (let i = 1; i <= 3; i++) sender.publish('a/b', `m${i}`, { qos: 1, packetId: i });
    await before.settle();
    expect([1, 2, 3].map(() => sender.expect(PacketType.puback).packetId)).toEqual([1, 2, 3]);
    before.crash();

    const after = await DurableBroker.open(store);
    const again = await connectDurably(after, 'receiver');
    expect(again.connack.sessionPresent).toBe(true);
    await after.settle();
    const got = again.take();
    expect(got.map((packet) => packet.type === PacketType.publish && [text(packet.payload), packet.dup])).toEqual([
      ['m1', false],
      ['m2', false],
      ['m3', false],
    ]);
    const other = await connectDurably(after, 'other', {});
    other.publish('a/c', 'live', { qos: 1, packetId: 9 });
    await after.settle();
    expect(payloads(again)).toEqual(['live']);
  });

  test('PUBACK waits for the store where the receiver is away', async () => {
    const test = await DurableBroker.open(new MemoryStore());
    const receiver = await connectDurably(test, 'receiver');
    await subscribeDurably(test, receiver, 'a', 1);
    receiver.drop();
    const sender = await connectDurably(test, 'sender', {});
    sender.publish('a', 'x', { qos: 1, packetId: 5 });
    sender.expectNothing();
    // A message that nobody waits for is acknowledged behind it (v5 [MQTT-4.6.0-2]).
    sender.publish('nobody', 'x', { qos: 1, packetId: 6 });
    sender.expectNothing();
    await test.settle();
    expect(sender.expect(PacketType.puback).packetId).toBe(5);
    expect(sender.expect(PacketType.puback).packetId).toBe(6);
  });

  test('a message acknowledged by its receiver at once is never written', async () => {
    const test = await DurableBroker.open(new MemoryStore());
    const receiver = await connectDurably(test, 'receiver');
    await subscribeDurably(test, receiver, 'a', 1);
    const sender = await connectDurably(test, 'sender', {});
    await test.settle();
    const { counters } = test.broker;
    const before = counters.storeChanges;
    sender.publish('a', 'x', { qos: 1, packetId: 5 });
    receiver.puback(receiver.expect(PacketType.publish).packetId);
    expect(sender.expect(PacketType.puback).packetId).toBe(5);
    await test.settle();
    expect(counters.storeChanges).toBe(before);
  });

  test('a QoS 2 message goes out when it is committed, and once, whatever moment the process ends at', async () => {
    for (let cut = 0; cut < 6; cut++) {
      const store = new MemoryStore();
      let test = await DurableBroker.open(store);
      let receiver: Peer = await connectDurably(test, 'receiver');
      await subscribeDurably(test, receiver, 'a', 2);
      let sender: Peer = await connectDurably(test, 'sender');
      const delivered: number[] = [];
      const known = new Set<number>();
      let step = 0;
      let isComplete = false;
      let sent: 'publish' | 'pubrel' = 'publish';
      const resend = () => {
        if (sent === 'publish') sender.publish('a', 'once', { qos: 2, packetId: 7, dup: step > 0 });
        else sender.send({ type: PacketType.pubrel, packetId: 7, reasonCode: 0, properties: null });
      };
      resend();
      while (!isComplete || known.size > 0 || step < 8) {
        if (step++ > 40) throw new Error('the flow does not end');
        if (step === cut + 1) {
          test.crash();
          test = await DurableBroker.open(store);
          receiver = await connectDurably(test, 'receiver');
          sender = await connectDurably(test, 'sender');
          if (!isComplete) resend();
        } else await test.settle();
        for (const packet of sender.take()) {
          if (packet.type === PacketType.pubrec) {
            sent = 'pubrel';
            resend();
          } else if (packet.type === PacketType.pubcomp) isComplete = true;
        }
        for (const packet of receiver.take()) {
          if (packet.type === PacketType.publish) {
            if (!known.has(packet.packetId)) delivered.push(packet.packetId);
            known.add(packet.packetId);
            receiver.send({ type: PacketType.pubrec, packetId: packet.packetId, reasonCode: 0, properties: null });
          } else if (packet.type === PacketType.pubrel) {
            known.delete(packet.packetId);
            receiver.send({ type: PacketType.pubcomp, packetId: packet.packetId, reasonCode: 0, properties: null });
          }
        }
      }
      expect(`cut ${cut}: ${delivered.length}`).toBe(`cut ${cut}: 1`);
      await test.settle();
      const summary = await test.store.open();
      expect(summary.deliveries).toBe(0);
    }
  });

  test('what was in flight is sent again with DUP and its packet identifier', async () => {
    const store = new MemoryStore();
    const before = await DurableBroker.open(store);
    const receiver = await connectDurably(before, 'receiver');
    await subscribeDurably(before, receiver, 'a', 1);
    const sender = await connectDurably(before, 'sender', {});
    for (let i = 1; i <= 30; i++) sender.publish('a', `m${i}`, { qos: 1, packetId: i });
    await before.settle();
    const first = receiver.take();
    expect(first.length).toBe(20);
    receiver.drop();
    await before.settle();
    const again = await connectDurably(before, 'receiver');
    await before.settle();
    const second = again.take().map((packet) => packet.type === PacketType.publish && [packet.packetId, packet.dup]);
    expect(second).toEqual(first.map((packet) => packet.type === PacketType.publish && [packet.packetId, true]));
    before.crash();
    const after = await DurableBroker.open(store);
    const last = await connectDurably(after, 'receiver');
    for (let i = 1; i <= 30; i++) {
      await after.settle();
      const packet = last.expect(PacketType.publish);
      // Those beyond the window were not sent, which nobody knows any more: DUP is right for what may have been.
      expect([text(packet.payload), packet.dup]).toEqual([`m${i}`, true]);
      last.puback(packet.packetId);
    }
    await after.settle();
    expect((await store.open()).deliveries).toBe(0);
  });

  test('a queue in the store comes in pages, in order, with what is published meanwhile behind it', async () => {
    const test = await DurableBroker.open(new MemoryStore(), { maxQueuedMessages: 0 });
    const receiver = await connectDurably(test, 'receiver');
    await subscribeDurably(test, receiver, 'a', 1);
    receiver.drop();
    const sender = await connectDurably(test, 'sender', {});
    const total = 1_500;
    for (let i = 1; i <= 1_000; i++) sender.publish('a', `${i}`, { qos: 1, packetId: i });
    await test.settle();
    const session = test.broker.sessions.get('receiver')!;
    expect(session.outgoing).toBeNull();
    expect(session.durable!.length).toBe(1_000);
    const again = await connectDurably(test, 'receiver');
    for (let i = 1_001; i <= total; i++) sender.publish('a', `${i}`, { qos: 1, packetId: i });
    const got: string[] = [];
    for (let turn = 0; got.length < total && turn < 2_000; turn++) {
      for (const packet of again.take()) {
        if (packet.type !== PacketType.publish) continue;
        got.push(text(packet.payload));
        again.puback(packet.packetId);
      }
      await Bun.sleep(0);
    }
    expect(got).toEqual(Array.from({ length: total }, (_, i) => `${i + 1}`));
    expect(session.durable!.length).toBe(0);
  });

  test('wills with delay, session expiry and retained messages run on', async () => {
    const store = new MemoryStore();
    const before = await DurableBroker.open(store);
    const watcher = await connectDurably(before, 'watcher');
    await subscribeDurably(before, watcher, 'will', 1);
    const properties = { sessionExpiryInterval: 100 };
    const will = {
      topicName: 'will',
      payload: new TextEncoder().encode('gone'),
      qos: 1 as const,
      retain: true,
      properties: { willDelayInterval: 50 },
    };
    const mortal = await connectDurably(before, 'mortal', { cleanStart: false, properties, will });
    mortal.drop();
    before.advance(20_000);
    await before.settle();
    before.crash();

    const after = await DurableBroker.open(store, {}, 20_000);
    after.advance(20_000);
    await after.settle();
    expect(after.broker.sessions.get('mortal')!.will).not.toBeNull();
    after.advance(20_000);
    await after.settle();
    expect(after.broker.sessions.get('mortal')!.will).toBeNull();
    expect(after.broker.retained.count).toBe(1);
    after.advance(60_000);
    await after.settle();
    expect(after.broker.sessions.has('mortal')).toBe(false);
    after.crash();
    const last = await DurableBroker.open(store, {}, 130_000);
    expect(last.broker.sessions.has('mortal')).toBe(false);
    const again = await connectDurably(last, 'watcher');
    await last.settle();
    expect(payloads(again)).toEqual(['gone']);
    expect(last.broker.retained.count).toBe(1);
  });
});
