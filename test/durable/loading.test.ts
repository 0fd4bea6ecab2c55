import { expect, test } from 'bun:test';
import { openInto } from '../../src/broker/durable/restore.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { StoredSession } from '../../src/storage/session-store.ts';
import { DurableBroker } from '../support/durable-broker.ts';
import { connectDurably, KEPT, payloads, subscribeDurably } from '../support/durable-peers.ts';
import { connectPacket, TestBroker, text } from '../support/test-broker.ts';

/** Gives sessions out in their turn only when it is told. */
class SlowStore extends MemoryStore {
  private readonly gate = Promise.withResolvers<void>();
  isSlow = false;

  release(): void {
    this.isSlow = false;
    this.gate.resolve();
  }

  override async readSessions(afterId: number, limit: number): Promise<StoredSession[]> {
    if (this.isSlow) await this.gate.promise;
    return super.readSessions(afterId, limit);
  }
}

async function turns(test: TestBroker): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await Bun.sleep(0);
    test.broker.output.flushAll();
  }
}

/** A store with three sessions: `queued` has a message, `crashed` was connected and has one in flight, `idle` has none. */
async function filledStore(): Promise<SlowStore> {
  const store = new SlowStore();
  const before = await DurableBroker.open(store);
  for (const clientId of ['queued', 'idle', 'crashed']) {
    const peer = await connectDurably(before, clientId);
    await subscribeDurably(before, peer, `to/${clientId}`, 1);
    if (clientId !== 'crashed') peer.drop();
  }
  const sender = await connectDurably(before, 'sender', {});
  sender.publish('to/queued', 'old', { qos: 1, packetId: 1 });
  sender.publish('to/crashed', 'in flight', { qos: 1, packetId: 2 });
  sender.publish('kept', 'retained', { qos: 1, packetId: 3, retain: true });
  await before.settle();
  await Bun.sleep(10);
  await before.settle();
  before.crash();
  return store;
}

test('clients are served while the store is taken up, and what comes early reaches sessions that are not read yet', async () => {
  const store = await filledStore();
  store.isSlow = true;
  const after = new TestBroker();
  const { loaded } = await openInto(after.broker, store);

  const queued = after.open();
  queued.send(connectPacket({ clientId: 'queued', ...KEPT }));
  await turns(after);
  expect(queued.expect(PacketType.connack).sessionPresent).toBe(true);
  queued.send({ type: PacketType.pingreq });
  queued.expect(PacketType.pingresp);

  const sender = after.open();
  sender.send(connectPacket({ clientId: 'sender' }));
  await turns(after);
  sender.expect(PacketType.connack);
  // QoS 0 reaches whoever is connected.
  sender.publish('to/queued', 'at once');
  expect(payloads(queued)).toEqual(['at once']);
  // At QoS 1 it is not known yet who wants it, and what is older goes first.
  sender.publish('to/queued', 'new', { qos: 1, packetId: 1 });
  sender.publish('to/idle', 'for one that is not read', { qos: 1, packetId: 2 });
  await turns(after);
  sender.expectNothing();
  queued.expectNothing();
  // A retained message may not be there yet.
  const reader = after.open();
  reader.send(connectPacket({ clientId: 'reader' }));
  await turns(after);
  reader.expect(PacketType.connack);
  reader.subscribe('kept', 1);

  store.release();
  await loaded;
  await turns(after);
  await turns(after);
  expect(payloads(queued)).toEqual(['old', 'new']);
  expect(payloads(reader)).toEqual(['retained']);
  expect([sender.expect(PacketType.puback).packetId, sender.expect(PacketType.puback).packetId]).toEqual([1, 2]);
  const idle = after.open();
  idle.send(connectPacket({ clientId: 'idle', ...KEPT }));
  await turns(after);
  expect(idle.expect(PacketType.connack).sessionPresent).toBe(true);
  expect(payloads(idle)).toEqual(['for one that is not read']);
  const crashed = after.open();
  crashed.send(connectPacket({ clientId: 'crashed', ...KEPT }));
  await turns(after);
  crashed.expect(PacketType.connack);
  const { dup, payload } = crashed.expect(PacketType.publish);
  expect([dup, text(payload)]).toEqual([true, 'in flight']);
});

test('a session that ends while the store is taken up does not come back', async () => {
  const store = await filledStore();
  store.isSlow = true;
  const after = new TestBroker();
  const { loaded } = await openInto(after.broker, store);
  const clean = after.open();
  clean.send(connectPacket({ clientId: 'queued', cleanStart: true }));
  await turns(after);
  expect(clean.expect(PacketType.connack).sessionPresent).toBe(false);
  clean.drop();
  store.release();
  await loaded;
  await turns(after);
  expect(after.broker.sessions.has('queued')).toBe(false);
  expect(after.broker.sessions.has('idle')).toBe(true);
  await Bun.sleep(20);
  // Its message went with it.
  expect(await store.open()).toMatchObject({ sessions: 2, deliveries: 1 });
});
