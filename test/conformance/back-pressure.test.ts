/** Receivers that do not take what they are sent cost bounded memory and slow no one else. */
import { expect, test } from 'bun:test';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { payloads, publishes, publishWhole } from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

const MIB = 1024 * 1024;
const LARGE = 'x'.repeat(100_000);

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error('it never came to that');
    await Bun.sleep(5);
  }
}

/** The client reads everything that waits. */
function readAll(peer: Peer): void {
  peer.socket.room = Number.POSITIVE_INFINITY;
  peer.connection.drain();
}

test('a client that takes no bytes costs no more than its limit; QoS 0 messages above it are dropped and counted', async () => {
  const t = new TestBroker({ maxOutgoingBytes: 3 * MIB });
  const stuck = t.connect({ version: 4, clientId: 'stuck' });
  stuck.subscribe('a');
  stuck.socket.room = 0;
  const quick = t.connect({ clientId: 'quick' });
  quick.subscribe('a');
  const publisher = t.connect({ clientId: 'p' });
  const total = 50;
  for (let i = 0; i < total; i++) {
    publishWhole(publisher, 'a', LARGE);
    // It waits once, until the receiver is known to be stopped.
    await until(() => !publisher.socket.isPaused);
  }
  expect(publishes(quick).length).toBe(total);
  expect(stuck.connection.backlogBytes).toBeGreaterThan(3 * MIB);
  expect(stuck.connection.backlogBytes).toBeLessThan(3 * MIB + 2 * LARGE.length);
  const taken = Math.floor(stuck.connection.backlogBytes / LARGE.length);
  expect(t.broker.counters.dropped.get(DropReason.slowReader)).toBe(total - taken);
  expect(t.broker.counters.producersPaused).toBe(1);

  // What it has, it gets whole, and then what comes next.
  readAll(stuck);
  expect(publishes(stuck).map(({ payload }) => payload.length)).toEqual(
    Array.from({ length: taken }, () => LARGE.length),
  );
  publishWhole(publisher, 'a', 'next');
  expect(payloads(stuck)).toEqual(['next']);
  expect(t.broker.congestionControl.size).toBe(0);
});

test('a receiver that is slow makes its producer wait, and loses nothing', async () => {
  const t = new TestBroker();
  const slow = t.connect({ clientId: 'slow' });
  slow.subscribe('a');
  slow.socket.room = 0;
  const publisher = t.connect({ clientId: 'p' });
  const other = t.connect({ clientId: 'other' });
  for (let i = 0; i < 30; i++) publisher.publish('a', `${i} ${LARGE}`);
  expect(publisher.socket.isPaused).toBe(true);
  expect(slow.connection.backlogBytes).toBeLessThan(MIB + 2 * LARGE.length);
  // A client that sends elsewhere does not wait.
  other.publish('b', 'x');
  expect(other.socket.isPaused).toBe(false);
  const got: string[] = [];
  await until(() => {
    slow.socket.room = 300_000;
    slow.connection.drain();
    got.push(...payloads(slow).map((payload) => payload.split(' ')[0]!));
    return got.length === 30;
  });
  expect(got).toEqual(Array.from({ length: 30 }, (_, i) => `${i}`));
  await until(() => !publisher.socket.isPaused);
  expect(t.broker.counters.dropped.get(DropReason.slowReader)).toBe(0);
});

test('a producer is let go when the receiver it waits for is gone', async () => {
  const t = new TestBroker();
  const slow = t.connect({ clientId: 'slow' });
  slow.subscribe('a');
  slow.socket.room = 0;
  const publisher = t.connect({ clientId: 'p' });
  for (let i = 0; i < 15; i++) publisher.publish('a', LARGE);
  expect(publisher.socket.isPaused).toBe(true);
  slow.drop();
  expect(t.broker.congestionControl.size).toBe(0);
  await until(() => !publisher.socket.isPaused);
  publisher.publish('a', 'x', { qos: 1 });
  expect(publisher.take().at(-1)).toMatchObject({ reasonCode: 0x10 });
});

test('an unread answer to each packet of a client that does not read ends in its packets not being read', async () => {
  const t = new TestBroker({ maxOutgoingBytes: 1_000 });
  const peer = t.connect({ clientId: 'c1', keepAlive: 60 });
  peer.take();
  peer.socket.room = 0;
  let sent = 0;
  while (!peer.socket.isPaused && sent < 10_000) {
    peer.publish('a', 'x', { qos: 1, packetId: 1 });
    sent++;
  }
  expect([peer.socket.isPaused, sent > 180, sent < 260]).toEqual([true, true, true]);
  const { backlogBytes } = peer.connection;
  for (let i = 0; i < 50; i++) peer.publish('a', 'x', { qos: 1, packetId: 1 });
  expect(peer.connection.backlogBytes).toBe(backlogBytes);
  readAll(peer);
  await until(() => !peer.socket.isPaused);
  expect(peer.take().length).toBe(sent + 50);

  // If it goes on not to read, it is silent to the broker and its Keep Alive runs out.
  peer.socket.room = 0;
  while (!peer.socket.isPaused) peer.publish('a', 'x', { qos: 1, packetId: 1 });
  t.advance(100_000);
  expect(t.broker.counters.keepAliveTimeouts).toBe(1);
});

test('time for which the broker holds a producer back is no silence of its own', async () => {
  const t = new TestBroker();
  const slow = t.connect({ clientId: 'slow' });
  slow.subscribe('a');
  slow.socket.room = 0;
  const publisher = t.connect({ clientId: 'p', keepAlive: 10 });
  for (let i = 0; i < 15; i++) publisher.publish('a', LARGE);
  expect(publisher.socket.isPaused).toBe(true);
  t.advance(60_000);
  expect(publisher.isClosed).toBe(false);
  slow.drop();
  await until(() => !publisher.socket.isPaused);
  t.advance(14_000);
  expect(publisher.isClosed).toBe(false);
  t.advance(3_000);
  expect(publisher.isClosed).toBe(true);
});

test('messages of QoS 1 to a client that takes no bytes stay within its window and its queue', () => {
  const t = new TestBroker({ maxQueuedMessages: 10, maxInflightMessages: 5 });
  const stuck = t.connect({ clientId: 'stuck' });
  stuck.subscribe('a', 1);
  stuck.socket.room = 0;
  for (let i = 0; i < 40; i++) {
    const publisher = t.connect({ clientId: 'p' });
    publishWhole(publisher, 'a', `${i}`, 1);
    publisher.disconnect();
  }
  expect(t.broker.counters.dropped.get(DropReason.queueFull)).toBe(25);
  readAll(stuck);
  expect(publishes(stuck).map(({ payload }) => text(payload))).toEqual(['0', '1', '2', '3', '4']);
});
