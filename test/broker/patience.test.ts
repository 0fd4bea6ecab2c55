/** How long producers wait for a receiver that is behind, and that nobody waits for himself. */
import { expect, test } from 'bun:test';
import { encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { PacketType, type QoS } from '../../src/protocol/packet-type.ts';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { type Peer, TestBroker, text, utf8 } from '../support/test-broker.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const numbered = (count: number) => Array.from({ length: count }, (_, i) => String(i));

/** Numbered messages in one chunk; `after` stands behind them. */
function burst(topicName: string, count: number, qos: QoS, length = 0, after: Uint8Array[] = []): Uint8Array {
  const packets = numbered(count).map((name, i) =>
    encodePacket(
      {
        type: PacketType.publish,
        dup: false,
        qos,
        retain: false,
        topicName,
        packetId: qos === 0 ? 0 : (i % 65_535) + 1,
        properties: null,
        payload: utf8(name.padEnd(length)),
      },
      4,
    ),
  );
  return new Uint8Array(Buffer.concat([...packets, ...after]));
}

function client(t: TestBroker, clientId: string, topicFilter: string, qos: QoS): Peer {
  const peer = t.connect({ version: 4, clientId });
  peer.subscribe(topicFilter, qos);
  return peer;
}

/** Takes what has come and acknowledges it to the end of its flow. */
function readAndAcknowledge(peer: Peer, got: string[]): void {
  for (const packet of peer.take()) {
    if (packet.type === PacketType.pubrec) {
      peer.send({ type: PacketType.pubrel, packetId: packet.packetId, reasonCode: 0, properties: null });
    }
    if (packet.type === PacketType.pubrel) {
      peer.send({ type: PacketType.pubcomp, packetId: packet.packetId, reasonCode: 0, properties: null });
    }
    if (packet.type !== PacketType.publish) continue;
    got.push(text(packet.payload).trimEnd());
    if (packet.qos === 1) peer.puback(packet.packetId);
    if (packet.qos === 2) {
      peer.send({ type: PacketType.pubrec, packetId: packet.packetId, reasonCode: 0, properties: null });
    }
  }
}

const deferredOf = (peer: Peer) =>
  (peer.connection as unknown as { extras: { deferred: { length: number; bytes: number } | null } | null }).extras
    ?.deferred ?? null;

const noDrops = (t: TestBroker) =>
  expect([...t.broker.counters.dropped.values()].every((count) => count === 0)).toBe(true);

// It paused itself: its own acknowledgements, behind its messages, were not read until it counted as stalled.
test.each([1, 2] as const)(
  'a client that floods itself at QoS %d gets all of it, in order, without a pause',
  async (qos) => {
    const t = new TestBroker({ maxInflightMessages: 20 });
    const peer = client(t, 'self', 'own', qos);
    const total = 5_000;
    // At QoS 2 the broker takes no more messages at a time than it told; a client before MQTT 5 is not held to it.
    peer.send(burst('own', total, qos));
    expect(peer.socket.isPaused).toBe(false);
    const got: string[] = [];
    const startMs = performance.now();
    for (let idle = 0; got.length < total && idle < 100; idle++) {
      const before = got.length;
      readAndAcknowledge(peer, got);
      await turn();
      if (got.length > before) idle = 0;
    }
    expect(got).toEqual(numbered(total));
    noDrops(t);
    expect(performance.now() - startMs).toBeLessThan(3_000);
    await turn();
    expect([deferredOf(peer), t.broker.congestionControl.size]).toEqual([null, 0]);
  },
);

test('what a client sends itself beyond max_outgoing_bytes is not put aside: its queue takes what it can, and the rest is dropped', () => {
  const maxOutgoingBytes = 100_000;
  const t = new TestBroker({ maxOutgoingBytes });
  const peer = client(t, 'self', 'own', 1);
  peer.send(burst('own', 5_000, 1, 100));
  const dropped = t.broker.counters.dropped.get(DropReason.queueFull)!;
  expect(dropped).toBeGreaterThan(2_000);
  expect(deferredOf(peer)!.bytes).toBeLessThanOrEqual(maxOutgoingBytes);
  const { inflight, queue } = t.broker.sessions.get('self')!.outgoing!;
  expect([inflight.size, queue.length]).toEqual([20, 1_000]);
  expect(dropped + 1_020 + deferredOf(peer)!.length).toBe(5_000);
});

test('two clients that flood each other get all of it', async () => {
  const t = new TestBroker();
  const [one, two] = [client(t, 'one', 'to/one', 1), client(t, 'two', 'to/two', 1)];
  const total = 4_000;
  one.send(burst('to/two', total, 1));
  two.send(burst('to/one', total, 1));
  const [gotOne, gotTwo]: [string[], string[]] = [[], []];
  for (let idle = 0; gotOne.length + gotTwo.length < 2 * total && idle < 100; idle++) {
    const before = gotOne.length + gotTwo.length;
    readAndAcknowledge(one, gotOne);
    readAndAcknowledge(two, gotTwo);
    await turn();
    if (gotOne.length + gotTwo.length > before) idle = 0;
  }
  expect(gotOne).toEqual(numbered(total));
  expect(gotTwo).toEqual(numbered(total));
  noDrops(t);
});

test('SUBSCRIBE, UNSUBSCRIBE and DISCONNECT do not go ahead of messages that were put aside', () => {
  const packets: Readonly<Record<string, Packet>> = {
    subscribe: {
      type: PacketType.subscribe,
      packetId: 7,
      properties: null,
      subscriptions: [{ topicFilter: 'b', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 }],
    },
    unsubscribe: { type: PacketType.unsubscribe, packetId: 7, properties: null, topicFilters: ['own'] },
    disconnect: { type: PacketType.disconnect, reasonCode: 0, properties: null },
  };
  for (const [name, packet] of Object.entries(packets)) {
    const t = new TestBroker();
    const peer = client(t, 'self', 'own', 1);
    const watcher = client(t, 'watcher', 'own', 0);
    peer.send(burst('own', 3_000, 1, 0, [encodePacket(packet, 4)]));
    expect([name, watcher.take().length, deferredOf(peer)?.length ?? 0]).toEqual([name, 3_000, 0]);
  }
});

test('a client that floods itself and closes its end has all its messages taken', () => {
  const t = new TestBroker();
  const peer = client(t, 'self', 'own', 1);
  const watcher = client(t, 'watcher', 'own', 0);
  peer.send(burst('own', 3_000, 1));
  expect(deferredOf(peer)!.length).toBeGreaterThan(1_000);
  peer.connection.onPeerClosed();
  expect(watcher.take()).toHaveLength(3_000);
});

/** Sends a burst to a subscriber that acknowledges all it gets but for one pause, which begins after `before` messages. */
async function burstWithPause(before: number, pauseMs: number): Promise<{ t: TestBroker; got: string[] }> {
  const t = new TestBroker();
  const subscriber = client(t, 'subscriber', 'burst', 1);
  const publisher = t.connect({ version: 4, clientId: 'publisher' });
  const total = 6_000;
  publisher.send(burst('burst', total, 1));
  const got: string[] = [];
  let hasPaused = false;
  const dropped = () => t.broker.counters.dropped.get(DropReason.queueFull)!;
  for (let idle = 0; got.length + dropped() < total && idle < 100; idle++) {
    if (!hasPaused && got.length >= before) {
      hasPaused = true;
      await Bun.sleep(pauseMs);
    }
    const count = got.length;
    readAndAcknowledge(subscriber, got);
    await turn();
    if (got.length > count) idle = 0;
  }
  return { t, got };
}

// After 200 ms without an acknowledgement what the queue did not hold was lost.
test.each([0, 2_000])(
  'a subscriber that pauses for 700 ms in a burst, after %d messages, loses nothing',
  async (before) => {
    const { t, got } = await burstWithPause(before, 700);
    expect(got).toEqual(numbered(6_000));
    noDrops(t);
  },
);

test('a subscriber that keeps on acknowledging 100 messages a second is waited for without end', async () => {
  const t = new TestBroker({ maxInflightMessages: 1 });
  const subscriber = client(t, 'subscriber', 'burst', 1);
  const publisher = t.connect({ version: 4, clientId: 'publisher' });
  publisher.send(burst('burst', 3_000, 1));
  for (let i = 0; i < 150; i++) {
    subscriber.puback(subscriber.expect(PacketType.publish).packetId);
    await Bun.sleep(9);
  }
  noDrops(t);
  expect(publisher.socket.isPaused).toBe(true);
  subscriber.drop();
});

test('of a receiver that was not heard of lately producers have less patience', async () => {
  const waitOf = async (silentMs: number): Promise<number> => {
    const t = new TestBroker();
    client(t, 'subscriber', 'burst', 1);
    t.advance(silentMs);
    const publisher = t.connect({ version: 4, clientId: 'publisher' });
    const startMs = performance.now();
    publisher.send(burst('burst', 2_000, 1));
    while (publisher.socket.isPaused) await Bun.sleep(5);
    return performance.now() - startMs;
  };
  const [stranger, acquaintance] = await Promise.all([waitOf(60_000), waitOf(0)]);
  expect(stranger).toBeLessThan(600);
  expect(acquaintance).toBeGreaterThan(700);
  expect(acquaintance).toBeLessThan(3_000);
});
