import { afterEach, describe, expect, test } from 'bun:test';
import type { Socket, TCPSocketListener } from 'bun';
import { ClosedLoop } from './closed-loop.ts';
import { Link, type Faults, type LinkObserver } from './link.ts';
import { OpenLoop } from './open-loop.ts';
import { Route } from './route.ts';
import { connectPacket, publishPacket, readStamp, setPacketId, subscribePacket, writeStamp } from './wire.ts';

const topicName = 'bench/route/00000';

interface PeerState {
  subscriber: boolean;
}

/**
 * A stand-in broker for one topic at QoS 0 that loses or doubles the delivery it is told to; it expects whole packets
 * in a chunk, which holds on loopback for what these tests send.
 */
class FaultyBroker {
  private readonly subscribers = new Set<Socket<PeerState>>();
  private readonly listener: TCPSocketListener<PeerState>;
  private delivered = 0;

  constructor(copiesOf: (delivery: number) => number) {
    const publishBytes = publishPacket(topicName, 64, 0).length;
    this.listener = Bun.listen<PeerState>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (socket) => {
          socket.data = { subscriber: false };
        },
        data: (socket, chunk) => {
          const type = (chunk[0] ?? 0) >> 4;
          if (type === 1) socket.write(new Uint8Array([0x20, 2, 0, 0]));
          if (type === 8) {
            this.subscribers.add(socket);
            socket.write(new Uint8Array([0x90, 3, chunk[2] ?? 0, chunk[3] ?? 0, 0]));
          }
          if (type === 14) socket.end();
          if (type !== 3) return;
          for (let at = 0; at < chunk.length; at += publishBytes) {
            for (const subscriber of this.subscribers) {
              for (let copy = copiesOf(this.delivered++); copy > 0; copy--) {
                subscriber.write(chunk.subarray(at, at + publishBytes));
              }
            }
          }
        },
      },
    });
  }

  get endpoint(): { port: number; tls: boolean } {
    return { port: this.listener.port, tls: false };
  }

  stop(): void {
    this.listener.stop(true);
  }
}

let broker: FaultyBroker | null = null;
afterEach(() => {
  broker?.stop();
  broker = null;
});

async function routeThrough(copiesOf: (delivery: number) => number, fanOut: number): Promise<Route> {
  broker = new FaultyBroker(copiesOf);
  const faults: Faults = { unexpectedPackets: 0, lostConnections: 0 };
  const links = Array.from({ length: fanOut + 1 }, (_, i) => new Link(`link-${i}`, 60, faults));
  for (const link of links) await link.open(broker.endpoint);
  const [publisher, ...members] = links;
  for (const member of members) await member.subscribe(topicName, 0);
  if (publisher === undefined) throw new Error('no publisher');
  return new Route(publisher, members, topicName, 64, 0, 10);
}

describe('closed loop', () => {
  test('counts every delivery of a fan-out and leaves nothing under way', async () => {
    const route = await routeThrough(() => 1, 3);
    const result = await new ClosedLoop([route]).run(0.1);
    expect(result.sent).toBeGreaterThan(10);
    expect(result.deliveries).toBe(result.sent * 3);
    expect(result.balanced).toBe(true);
    expect(route.outstanding).toBe(0);
  });

  test('reports a delivery that never comes instead of waiting for it', async () => {
    const route = await routeThrough((delivery) => (delivery === 7 ? 0 : 1), 1);
    const result = await new ClosedLoop([route], 200).run(0.05);
    expect(result.deliveries).toBe(result.expected - 1);
    expect(result.balanced).toBe(false);
  });

  test('reports a delivery that comes twice', async () => {
    const route = await routeThrough((delivery) => (delivery === 7 ? 2 : 1), 1);
    const result = await new ClosedLoop([route], 200).run(0.05);
    expect(result.balanced).toBe(false);
  });
});

describe('open loop', () => {
  test('sends the asked number of messages at the asked rate and times each delivery', async () => {
    const route = await routeThrough(() => 1, 2);
    const result = await new OpenLoop([route]).run(1_000, 0.1);
    expect(result).toMatchObject({ sent: 100, deliveries: 200, expected: 200, balanced: true });
    expect(result.seconds).toBeGreaterThan(0.09);
    expect(result.p50).toBeGreaterThan(0);
    expect(result.max).toBeGreaterThanOrEqual(result.p99);
  });
});

class Tally implements LinkObserver {
  deliveries = 0;
  acknowledgements = 0;
  onChunk(_link: Link, deliveries: number, acknowledgements: number): void {
    this.deliveries += deliveries;
    this.acknowledgements += acknowledgements;
  }
}

describe('reader', () => {
  const large = publishPacket(topicName, 300, 0);
  const small = publishPacket(topicName, 64, 1);
  setPacketId(small, 0, 2, topicName, 0x1234);
  const puback = new Uint8Array([0x40, 2, 0x12, 0x34]);
  const pingresp = new Uint8Array([0xd0, 0]);
  const stream = Uint8Array.from([large, small, puback, pingresp, large].flatMap((packet) => [...packet]));

  for (const step of [1, 3, 50, 1_000]) {
    test(`counts the same whatever the chunks: ${step} bytes at a time`, () => {
      const faults: Faults = { unexpectedPackets: 0, lostConnections: 0 };
      const link = new Link('reader', 60, faults);
      const tally = new Tally();
      link.observer = tally;
      for (let at = 0; at < stream.length; at += step) link.onChunk(stream.slice(at, at + step));
      expect(tally).toMatchObject({ deliveries: 3, acknowledgements: 1 });
      expect(faults.unexpectedPackets).toBe(1);
    });
  }

  test('finds the stamp behind topic name and packet id', () => {
    const stamped = publishPacket(topicName, 64, 1);
    writeStamp(stamped, 2 + 2 + topicName.length + 2, 4_000_000_001);
    const seen: number[] = [];
    const link = new Link('reader', 60, { unexpectedPackets: 0, lostConnections: 0 });
    link.stamps = { onStamp: (stamp) => seen.push(stamp) };
    link.onChunk(stamped);
    expect(seen).toEqual([4_000_000_001]);
  });
});

describe('packets', () => {
  const hex = (bytes: Uint8Array): string => bytes.toHex();

  test('CONNECT, SUBSCRIBE and PUBLISH are what MQTT 3.1.1 lays down', () => {
    expect(hex(connectPacket('ab', 60))).toBe('100e00044d5154540402003c00026162');
    expect(hex(subscribePacket(1, 'a/b', 1))).toBe('820800010003612f6201');
    expect(hex(publishPacket('a/b', 2, 0))).toBe('30070003612f620000');
    expect(hex(publishPacket('a/b', 200, 1).subarray(0, 3))).toBe('32cf01');
  });

  test('stamps survive the round trip over their whole range', () => {
    const bytes = new Uint8Array(4);
    for (const value of [0, 1, 65_536, 2 ** 31, 2 ** 32 - 1]) {
      writeStamp(bytes, 0, value);
      expect(readStamp(bytes, 0)).toBe(value);
    }
  });
});
