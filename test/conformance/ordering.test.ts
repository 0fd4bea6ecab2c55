/** Message ordering: v5 section 4.6, v3.1.1 section 4.6. */
import { expect, test } from 'bun:test';
import { PacketType, type QoS } from '../../src/protocol/packet-type.ts';
import type { PublishPacket } from '../../src/protocol/publish.ts';
import { ack, drainMessages, publishWhole } from '../support/exchanges.ts';
import { type Peer, TestBroker, text } from '../support/test-broker.ts';

const COUNT = 1_000;
const numbers = (packets: readonly PublishPacket[]) => packets.map(({ payload }) => Number(text(payload)));
const inOrder = Array.from({ length: COUNT }, (_, i) => i);

/** Takes what comes and lets `lag` messages wait for their acknowledgement while the next ones arrive. */
class SlowReader {
  readonly got: PublishPacket[] = [];
  private readonly waiting: PublishPacket[] = [];
  private readonly lag: number;
  constructor(lag: number) {
    this.lag = lag;
  }
  read(peer: Peer, lag = this.lag): void {
    for (let isBusy = true; isBusy;) {
      isBusy = false;
      for (const packet of peer.take()) {
        isBusy = true;
        if (packet.type === PacketType.pubrel) peer.send(ack(PacketType.pubcomp, packet.packetId));
        if (packet.type !== PacketType.publish) continue;
        this.got.push(packet);
        if (packet.qos > 0) this.waiting.push(packet);
      }
      while (this.waiting.length > lag) {
        const { qos, packetId } = this.waiting.shift()!;
        peer.send(ack(qos === 1 ? PacketType.puback : PacketType.pubrec, packetId));
        isBusy = true;
      }
    }
  }
}

for (const version of [4, 5] as const) {
  for (const qos of [0, 1, 2] as const) {
    test(
      version === 5
        ? `v5 [MQTT-4.6.0-5] keeps the order of a topic at QoS ${qos} with a window of 3 and late acknowledgements`
        : `v3.1.1 [MQTT-4.6.0-6] keeps the order of a topic at QoS ${qos} with a window of 3 and late acknowledgements`,
      () => {
        const t = new TestBroker({ maxInflightMessages: 3, maxQueuedMessages: 0 });
        const subscriber = t.connect({ version, clientId: 's' });
        subscriber.subscribe('a', qos);
        const publisher = t.connect({ version, clientId: 'p' });
        const reader = new SlowReader(2);
        for (let i = 0; i < COUNT; i++) {
          publishWhole(publisher, 'a', `${i}`, qos);
          if (i % 5 === 0) reader.read(subscriber);
        }
        reader.read(subscriber, 0);
        expect(numbers(reader.got)).toEqual(inOrder);
        expect(reader.got.every((packet) => packet.qos === qos)).toBe(true);
      },
    );
  }

  test(
    version === 5
      ? 'v5 [MQTT-4.6.0-5] keeps the order through the queue of a client that comes and goes'
      : 'v3.1.1 [MQTT-4.6.0-6] [MQTT-4.6.0-1] keeps the order through the queue of a client that comes and goes',
    () => {
      for (const qos of [1, 2] as const) {
        const t = new TestBroker({ maxInflightMessages: 4, maxQueuedMessages: 0 });
        const connect = () =>
          version === 5
            ? t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 1_000 } })
            : t.connect({ version, clientId: 's', cleanStart: false });
        let subscriber = connect();
        subscriber.subscribe('a', qos);
        const publisher = t.connect({ version, clientId: 'p' });
        const got: PublishPacket[] = [];
        const redelivered: number[][] = [];
        for (let i = 0; i < COUNT; i++) {
          publishWhole(publisher, 'a', `${i}`, qos);
          if (i % 40 === 10) {
            // Takes some, acknowledges fewer, and goes.
            const packets: PublishPacket[] = [];
            for (const packet of subscriber.take()) {
              if (packet.type === PacketType.publish) packets.push(packet);
              if (packet.type === PacketType.pubrel) subscriber.send(ack(PacketType.pubcomp, packet.packetId));
            }
            got.push(...packets);
            const again = packets.filter(({ dup }) => dup);
            if (again.length > 0) redelivered.push(numbers(again));
            for (const { packetId } of packets.slice(0, 2)) {
              subscriber.send(ack(qos === 1 ? PacketType.puback : PacketType.pubrec, packetId));
            }
            subscriber.drop();
          }
          if (i % 40 === 30) subscriber = connect();
        }
        got.push(...drainMessages(subscriber));
        // What the client saw first, new or sent again before it was ever read, is in order; so is each redelivery.
        expect([...new Set(numbers(got))]).toEqual(inOrder);
        expect(redelivered.length).toBeGreaterThan(10);
        for (const again of redelivered) expect(again).toEqual([...again].sort((one, other) => one - other));
      }
    },
  );
}

test('v5 [MQTT-4.6.0-6] v3.1.1 [MQTT-4.6.0-5] every topic is ordered, through every filter', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker();
    const subscribers = ['a', 'a/b/c', '$x/y', '#', 'a/#', '+/b/+', '$x/#'].map((filter, i) => {
      const peer = t.connect({ version, clientId: `s${i}` });
      peer.subscribe(filter, 2);
      return peer;
    });
    const publisher = t.connect({ version, clientId: 'p' });
    const got = subscribers.map((): PublishPacket[] => []);
    for (let i = 0; i < 300; i++) {
      publishWhole(publisher, ['a', 'a/b/c', '$x/y'][i % 3]!, `${i}`, ((i >> 2) % 3) as QoS);
      if (i % 7 === 0) subscribers.forEach((peer, at) => got[at]!.push(...drainMessages(peer)));
    }
    subscribers.forEach((peer, at) => got[at]!.push(...drainMessages(peer)));
    for (const packets of got) {
      for (const topicName of new Set(packets.map((packet) => packet.topicName))) {
        for (const qos of [0, 1, 2]) {
          const seen = numbers(packets.filter((packet) => packet.topicName === topicName && packet.qos === qos));
          expect(seen.length).toBeGreaterThan(20);
          expect(seen).toEqual([...seen].sort((one, other) => one - other));
        }
      }
    }
  }
});

test('messages of several publishers keep the order of each', () => {
  const t = new TestBroker({ maxInflightMessages: 5 });
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 1);
  const publishers = Array.from({ length: 4 }, (_, i) => t.connect({ clientId: `p${i}` }));
  const reader = new SlowReader(4);
  for (let i = 0; i < 200; i++) {
    for (const [at, publisher] of publishers.entries()) publishWhole(publisher, 'a', `${at * 1_000 + i}`, 1);
    if (i % 3 === 0) reader.read(subscriber);
  }
  reader.read(subscriber, 0);
  for (let at = 0; at < 4; at++) {
    const mine = numbers(reader.got).filter((number) => Math.floor(number / 1_000) === at);
    expect(mine).toEqual(Array.from({ length: 200 }, (_, i) => at * 1_000 + i));
  }
});
