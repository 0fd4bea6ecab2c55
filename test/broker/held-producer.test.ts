import { expect, test } from 'bun:test';
import { encodePacket } from '../../src/protocol/packet.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { TestBroker, text, utf8 } from '../support/test-broker.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function burst(count: number, qos: 0 | 1): Uint8Array {
  const packets: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const packetId = qos === 0 ? 0 : (i % 65_535) + 1;
    packets.push(
      encodePacket(
        {
          type: PacketType.publish,
          dup: false,
          qos,
          retain: false,
          topicName: 'burst',
          packetId,
          properties: null,
          payload: utf8(String(i)),
        },
        4,
      ),
    );
  }
  return new Uint8Array(Buffer.concat(packets));
}

test('a QoS 1 burst of one chunk, longer than the queue, reaches a subscriber that acknowledges whole and in order', async () => {
  const t = new TestBroker();
  const subscriber = t.connect({ version: 4, clientId: 'subscriber' });
  subscriber.subscribe('burst', 1);
  const publisher = t.connect({ version: 4, clientId: 'publisher' });
  const total = 5_000;
  publisher.send(burst(total, 1));
  expect(publisher.socket.isPaused).toBe(true);
  const got: string[] = [];
  while (got.length < total) {
    const before = got.length;
    for (const packet of subscriber.take()) {
      if (packet.type !== PacketType.publish) continue;
      got.push(text(packet.payload));
      subscriber.puback(packet.packetId);
    }
    await turn();
    if (got.length === before && publisher.socket.isPaused) throw new Error(`stuck after ${before} messages`);
  }
  expect(got).toEqual(Array.from({ length: total }, (_, i) => String(i)));
  expect(t.broker.counters.dropped.get('queue_full')).toBe(0);
  expect(publisher.take().filter((packet) => packet.type === PacketType.puback)).toHaveLength(total);
  await turn();
  expect(publisher.socket.isPaused).toBe(false);
});

test('a subscriber that acknowledges nothing holds its producer back for a while and then loses what its queue does not hold', async () => {
  const t = new TestBroker();
  const subscriber = t.connect({ version: 4, clientId: 'subscriber' });
  subscriber.subscribe('burst', 1);
  const publisher = t.connect({ version: 4, clientId: 'publisher' });
  const total = 5_000;
  publisher.send(burst(total, 1));
  expect(publisher.socket.isPaused).toBe(true);
  while (publisher.socket.isPaused) await Bun.sleep(10);
  const { inflight, queue } = t.broker.sessions.get('subscriber')!.outgoing!;
  expect([inflight.size, queue.length]).toEqual([20, 1_000]);
  expect(t.broker.counters.dropped.get('queue_full')).toBe(total - 1_020);
});

// The exception left the loop that lets producers go on: those behind it were never read again.
test('a fault while held packets are handled ends that producer, and the others go on', async () => {
  const t = new TestBroker();
  const subscriber = t.connect({ version: 4, clientId: 'subscriber' });
  subscriber.subscribe('burst', 1);
  const [faulty, other] = [t.connect({ version: 4, clientId: 'faulty' }), t.connect({ version: 4, clientId: 'other' })];
  faulty.send(burst(1_000, 1));
  other.send(burst(1_000, 1));
  expect([faulty.socket.isPaused, other.socket.isPaused]).toEqual([true, true]);
  const { broker } = t;
  const route = broker.route.bind(broker);
  broker.route = (incoming) => {
    if (incoming.publisherId === 'faulty') throw new Error('a defect');
    route(incoming);
  };
  while (other.socket.isPaused) {
    const got = subscriber.take();
    for (const packet of got) if (packet.type === PacketType.publish) subscriber.puback(packet.packetId);
    await turn();
    if (got.length === 0 && other.socket.isPaused) throw new Error('stuck');
  }
  expect(faulty.isClosed).toBe(true);
  expect(broker.counters.internalErrors).toBe(1);
  expect(t.log.lines).toContainEqual(expect.stringMatching(/^Internal error on faulty \[.*\]: Error: a defect \| /));
});

test('a message to many receivers never waits for one of them', () => {
  const t = new TestBroker();
  for (let i = 0; i < 17; i++) t.connect({ version: 4, clientId: `s${i}` }).subscribe('burst', 1);
  const publisher = t.connect({ version: 4, clientId: 'publisher' });
  publisher.send(burst(2_000, 1));
  expect(publisher.socket.isPaused).toBe(false);
  expect(publisher.take()).toHaveLength(2_000);
});
