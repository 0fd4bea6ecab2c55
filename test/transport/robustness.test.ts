// What strangers, broken clients and broken networks do to a running broker: it goes on, and its other clients with it.
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { BrokerOptions } from '../../src/config/broker-options.ts';
import { encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import type { FilterEntry } from '../../src/routing/subscription.ts';
import type { Session } from '../../src/session/session.ts';
import { type MutatedPacket, mutatedPackets } from '../support/codec/mutations.ts';
import { sized } from '../support/long-run.ts';
import { Random, seedFrom } from '../support/codec/random.ts';
import { pem, startServer, sum, type TestServer, tlsListener, until } from '../support/server.ts';
import { connectPacket, utf8 } from '../support/test-broker.ts';
import { clientFrame, Opcode, upgradeRequest } from '../support/websocket-bytes.ts';
import { WireClient, type WireOptions } from '../support/wire-client.ts';

setDefaultTimeout(60_000);

const seed = seedFrom('FUZZ_SEED');
const { v31, v311, v5 } = ProtocolVersion;

let server: TestServer;
afterEach(() => server.stop());

async function start(options: Partial<BrokerOptions> = {}): Promise<void> {
  const tls = await tlsListener();
  const protocol = 'websockets' as const;
  server = await startServer([{}, tls, { protocol }, { ...tls, protocol }], options);
}

const tlsOptions: WireOptions = { tls: { ca: pem.ca, serverName: 'localhost' } };
const concat = (...parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);
const allGone = () => until('no connection left', () => server.broker.connectionCount === 0);

/** A publisher and a subscriber that exchange QoS 1 messages one by one until told to end. */
class WellBehavedPair {
  private readonly publisher: WireClient;
  private readonly subscriber: WireClient;
  private readonly received: string[] = [];
  private sent = 0;
  private isEnding = false;
  private readonly running: Promise<void>;

  private constructor(publisher: WireClient, subscriber: WireClient) {
    this.publisher = publisher;
    this.subscriber = subscriber;
    this.running = this.run();
  }

  static async start(port: number): Promise<WellBehavedPair> {
    const subscriber = await WireClient.connect(port, { clientId: 'pair-subscriber', version: v311 });
    await subscriber.subscribe('pair/messages', 1);
    return new WellBehavedPair(await WireClient.connect(port, { clientId: 'pair-publisher' }), subscriber);
  }

  private async run(): Promise<void> {
    while (!this.isEnding) {
      const packetId = 1 + (this.sent % 65_535);
      this.publisher.publish('pair/messages', String(this.sent++), { qos: 1, packetId });
      const puback = await this.publisher.next(PacketType.puback);
      if (puback.packetId !== packetId) throw new Error(`PUBACK of ${puback.packetId} for ${packetId}`);
      const message = await this.subscriber.next(PacketType.publish);
      this.received.push(new TextDecoder().decode(message.payload));
      this.subscriber.puback(message.packetId);
    }
  }

  /** Ends it and returns how many messages went through; throws where one did not, or came late or twice. */
  async end(): Promise<number> {
    this.isEnding = true;
    await this.running;
    await Promise.all([this.publisher.ping(), this.subscriber.ping()]);
    expect(this.received).toEqual(Array.from({ length: this.sent }, (_, i) => String(i)));
    this.publisher.disconnect();
    this.subscriber.disconnect();
    return this.sent;
  }
}

/** True where the bytes are whole packets by their lengths, so that what follows is read as a packet of its own. */
function isWhole(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    let length = 0;
    let shift = 0;
    let byte: number | undefined;
    do {
      byte = bytes[++at];
      if (byte === undefined || shift > 21) return false;
      length += (byte & 127) << shift;
      shift += 7;
    } while (byte >= 128);
    at += 1 + length;
  }
  return at === bytes.length;
}

const PINGREQ = Uint8Array.of(0xc0, 0);
const PINGRESP = Buffer.from([0xd0, 0]);

describe('broken packets', () => {
  /** Sends one packet on a connection of its own and waits for the answer or the end. */
  async function attempt(
    { bytes, version }: MutatedPacket,
    index: number,
    random: Random,
  ): Promise<'answered' | 'closed'> {
    const isConnect = bytes[0]! >> 4 === PacketType.connect;
    const before = isConnect
      ? new Uint8Array(0)
      : encodePacket(connectPacket({ clientId: `fuzz-${index}`, version }), version);
    const whole = isWhole(bytes);
    const all = concat(before, bytes, whole ? PINGREQ : new Uint8Array(0));
    const client = (await WireClient.open(server.port)).raw();
    if (random.below(4) === 0) {
      const cut = random.below(all.length);
      client.send(all.subarray(0, cut)).send(all.subarray(cut));
    } else client.send(all);
    if (!whole) client.halfClose();
    const answered = () => whole && Buffer.from(client.bytes).includes(PINGRESP);
    await client.until(
      `an answer to ${bytes.toHex()} (version ${version}, seed ${seed})`,
      () => answered() || client.isEnded,
    );
    const outcome = answered() ? 'answered' : 'closed';
    if (index % 2 === 0) client.end();
    else client.reset();
    return outcome;
  }

  test('in thousands: each is answered or closes its connection, each close is counted, and nobody else notices', async () => {
    const total = sized(5_000, 20_000);
    await start({ maxPacketSize: 4_096 });
    const { counters } = server.broker;
    const pair = await WellBehavedPair.start(server.port);
    const sumBefore = sum(counters.closed);
    const acceptedBefore = counters.connectionsAccepted;
    const linesBefore = server.lines.length;
    const packets = mutatedPackets(seed, total)[Symbol.iterator]();
    const random = new Random(seed ^ 0x2545f491);
    const outcomes = { answered: 0, closed: 0 };
    let connects = 0;
    let next = 0;
    const worker = async () => {
      for (let one = packets.next(); one.done !== true; one = packets.next()) {
        if (one.value.bytes[0]! >> 4 === PacketType.connect) connects++;
        outcomes[await attempt(one.value, next++, random)]++;
      }
    };
    await Promise.all(Array.from({ length: 100 }, worker));
    const exchanged = await pair.end();
    await allGone();

    expect(outcomes.answered + outcomes.closed).toBe(total);
    expect(outcomes.answered, `seed ${seed}`).toBeGreaterThan(total / 20);
    expect(outcomes.closed, `seed ${seed}`).toBeGreaterThan(total / 4);
    expect(exchanged).toBeGreaterThan(20);
    expect(counters.internalErrors).toBe(0);
    expect(counters.connectionsAccepted - acceptedBefore).toBe(total);

    // Each connection has one line of its end, each line but that of DISCONNECT is counted, and only a connection that
    // never got through CONNECT may end without.
    const lines = server.lines.slice(linesBefore);
    const closed = ' disconnected: connection closed by client.';
    const failed = lines.filter((line) => /^Client .* disconnected: /.test(line) && !line.endsWith(closed)).length;
    // Those without CONNECT have the address in place of a name.
    const isLoss = (line: string) => line.endsWith(closed) && !line.startsWith('Client 127.0.0.1 [');
    const lost = lines.filter(isLoss).length;
    const left = lines.filter((line) => /^Client .* disconnected\.$/.test(line)).length - 2;
    expect(sum(counters.closed) - sumBefore).toBe(failed + lost);
    expect(counters.closed.get('connection lost')).toBe(lost);
    const silent = total - failed - lost - left;
    expect(silent).toBeGreaterThanOrEqual(0);
    expect(silent).toBeLessThanOrEqual(connects);
  });
});

describe.each(['tcp', 'tls'] as const)('over %s', (transport) => {
  const openOne = () =>
    WireClient.open(server.ports[transport === 'tcp' ? 0 : 1]!, transport === 'tcp' ? {} : tlsOptions);

  test.each([v31, v311, v5])(
    'a connection that ends after any byte of an exchange leaves nothing behind (level %d)',
    async (version) => {
      await start();
      const pair = await WellBehavedPair.start(server.port);
      const message = { dup: false, retain: false, topicName: 'cut/a', properties: null, payload: utf8('payload') };
      const exchange = concat(
        ...[
          connectPacket({ clientId: 'cut', version }),
          subscribePacket('cut/#', 2),
          { ...message, type: PacketType.publish, qos: 1, packetId: 2 } satisfies Packet,
          { ...message, type: PacketType.publish, qos: 2, packetId: 3 } satisfies Packet,
          { type: PacketType.pubrel, packetId: 3, reasonCode: 0, properties: null } satisfies Packet,
        ].map((packet) => encodePacket(packet, version)),
      );
      for (const close of ['end', 'reset', 'halfClose'] as const) {
        const cuts = Array.from({ length: exchange.length + 1 }, async (_, length) => {
          // Each under its own name, or each would take over the one before.
          const bytes = exchange.slice(0, length);
          const at = Buffer.from(bytes).indexOf('cut');
          const client = (await openOne()).raw();
          if (at > 0 && at + 3 <= length) bytes.set(utf8(length.toString(36).padStart(3, '0')), at);
          client.send(bytes);
          client[close]();
          await client.ended().catch(() => {});
          client.reset();
        });
        await Promise.all(cuts);
        await until('only the pair left', () => server.broker.connectionCount === 2);
      }
      expect([...server.broker.sessions.keys()].toSorted()).toEqual(['pair-publisher', 'pair-subscriber']);
      const subscribed: FilterEntry<Session>[] = [];
      server.broker.tree.match('cut/a', subscribed);
      expect(subscribed).toEqual([]);
      expect(await pair.end()).toBeGreaterThan(0);
      await allGone();
      expect(server.broker.counters.internalErrors).toBe(0);
    },
  );

  test('receivers that reset in the middle of a flood take nothing from the others', async () => {
    await start();
    const stayed: number[] = [];
    const onPacket = (packet: Packet) => {
      if (packet.type === PacketType.publish)
        stayed.push(new DataView(packet.payload.buffer, packet.payload.byteOffset).getUint32(0));
    };
    const witness = await WireClient.connect(server.port, { clientId: 'witness' });
    await witness.subscribe('wills/#', 1);
    const doomed: WireClient[] = [];
    for (let i = 0; i < 100; i++) {
      const client = await openOne();
      const will = { topicName: `wills/${i}`, payload: utf8('gone'), qos: 1 as const, retain: false, properties: null };
      await client.handshake({ clientId: `doomed-${i}`, will });
      await client.subscribe('flood', 0);
      doomed.push(client);
    }
    const total = 2_000;
    const reader = await openReader(server.port, onPacket);
    const publisher = await WireClient.connect(server.port, { clientId: 'publisher' });
    const payload = new Uint8Array(500);
    for (let i = 0; i < total; i++) {
      new DataView(payload.buffer).setUint32(0, i);
      publisher.publish('flood', payload.slice());
      if (i % 20 === 0) {
        doomed[i / 20]!.reset();
        await publisher.ping();
      }
    }
    await until('all messages', () => stayed.length === total);
    expect(stayed).toEqual(Array.from({ length: total }, (_, i) => i));
    const wills = new Set<string>();
    while (wills.size < doomed.length) {
      const will = await witness.next(PacketType.publish);
      witness.puback(will.packetId);
      wills.add(will.topicName);
    }
    for (const client of [reader, publisher, witness]) client.disconnect();
    await allGone();
    expect(server.broker.counters.internalErrors).toBe(0);
  });

  test('a defect of ours ends the one connection that met it, and is logged with its place', async () => {
    await start();
    const pair = await WellBehavedPair.start(server.port);
    Object.assign(server.broker.retained, {
      set: () => {
        throw new TypeError('planted by the test');
      },
    });
    const victim = await openOne();
    await victim.handshake({ clientId: 'victim' });
    victim.publish('a', 'x', { retain: true });
    expect((await victim.next(PacketType.disconnect)).reasonCode).toBe(0x80);
    await victim.ended();
    await server.waitForLog(
      /^Internal error on victim \[127\.0\.0\.1:\d+\]: TypeError: planted by the test .*robustness\.test\.ts/,
    );
    expect(server.broker.counters.internalErrors).toBe(1);
    expect(await pair.end()).toBeGreaterThan(0);
  });
});

/** A subscriber of `flood` whose messages go to a function. */
async function openReader(port: number, onMessage: (packet: Packet) => void): Promise<WireClient> {
  const subscribed = Promise.withResolvers<void>();
  const onPacket = (packet: Packet) => (packet.type === PacketType.suback ? subscribed.resolve() : onMessage(packet));
  const client = await WireClient.open(port, { onPacket });
  client.send(connectPacket({ clientId: 'reader' }));
  client.send(subscribePacket('flood', 0));
  await subscribed.promise;
  return client;
}

function subscribePacket(topicFilter: string, qos: QoS): Packet {
  const subscriptions = [{ topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 as const }];
  return { type: PacketType.subscribe, packetId: 1, properties: null, subscriptions };
}

describe('slow clients', () => {
  test('have as long for CONNECT as connect_timeout says, however steadily its bytes come', async () => {
    await start({ connectTimeout: 1 });
    const connect = encodePacket(connectPacket({ clientId: 'slow'.repeat(20) }), v5);
    const pieces: [WireClient, Uint8Array][] = [
      [await WireClient.open(server.ports[0]!), connect],
      [await WireClient.open(server.ports[1]!, tlsOptions), connect],
      [await WireClient.open(server.ports[2]!), upgradeRequest()],
      [await WireClient.open(server.ports[3]!, tlsOptions), upgradeRequest()],
      [await WireClient.open(server.ports[0]!), new Uint8Array(0)],
    ];
    const steadily = pieces.map(async ([client, bytes]) => {
      client.raw();
      for (let i = 0; i < bytes.length && !client.isEnded; i++) {
        client.send(bytes.subarray(i, i + 1));
        await Bun.sleep(50);
      }
      await client.ended();
      client.end();
    });
    await Promise.all(steadily);
    expect(server.lines.filter((line) => line.endsWith('disconnected: exceeded timeout.'))).toHaveLength(pieces.length);
    expect(server.broker.counters.closed.get('keep alive timeout')).toBe(pieces.length);
    await allGone();
  });

  test('do not live longer than their Keep Alive by the bytes of a packet that never ends', async () => {
    await start();
    const client = await WireClient.connect(server.port, { clientId: 'dripper', keepAlive: 1 });
    client.raw();
    const packet = encodePacket(
      {
        type: PacketType.publish,
        dup: false,
        qos: 0,
        retain: false,
        topicName: 'a',
        packetId: 0,
        properties: null,
        payload: new Uint8Array(200),
      },
      v5,
    );
    for (let i = 0; i < packet.length && !client.isEnded; i++) {
      client.send(packet.subarray(i, i + 1));
      await Bun.sleep(50);
    }
    await client.ended();
    expect(client.bytes.toHex()).toBe('e0018d');
    expect(server.broker.counters.keepAliveTimeouts).toBe(1);
  });
});

describe('garbage', () => {
  /** Random bytes that begin as what the listener expects. */
  function* garbage(random: Random, count: number, beginning: Uint8Array): Iterable<Uint8Array> {
    for (let i = 0; i < count; i++) {
      const kept = beginning.slice(0, random.below(beginning.length + 1));
      if (kept.length > 0 && random.below(2) === 0) kept[random.below(kept.length)]! ^= 1 << random.below(8);
      yield concat(
        kept,
        Uint8Array.from({ length: 1 + random.below(300) }, () => random.below(256)),
      );
    }
  }

  /** ClientHello of TLS 1.2 with one cipher and no extensions. */
  const clientHello = concat(
    Uint8Array.of(0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3),
    new Uint8Array(32).fill(7),
    Uint8Array.of(0, 0, 2, 0xc0, 0x2b, 1, 0),
  );

  test.each([
    ['TLS', 1, clientHello],
    ['WebSocket', 2, upgradeRequest()],
    ['plain', 0, encodePacket(connectPacket({ clientId: 'garbage' }), v5)],
  ] as const)('at a %s listener ends with the connection', async (_what, listener, beginning) => {
    await start();
    const pair = await WellBehavedPair.start(server.port);
    const random = new Random(seed);
    const attempts = [...garbage(random, 300, beginning)].map(async (bytes) => {
      const client = (await WireClient.open(server.ports[listener]!)).raw();
      client.send(bytes).halfClose();
      await client.ended();
      client.reset();
    });
    await Promise.all(attempts);
    await until('only the pair left', () => server.broker.connectionCount === 2);
    expect(await pair.end()).toBeGreaterThan(0);
    expect(server.broker.counters.internalErrors, `seed ${seed}`).toBe(0);
  });

  test.each([
    ['ws', 2, {}],
    ['wss', 3, tlsOptions],
  ] as const)('behind the handshake of %s ends with the connection', async (_what, listener, options) => {
    await start();
    const pair = await WellBehavedPair.start(server.port);
    const random = new Random(seed ^ 0x1234567);
    const beginning = clientFrame(Opcode.binary, encodePacket(connectPacket({ clientId: 'frames' }), v5));
    const attempts = [...garbage(random, 300, beginning)].map(async (bytes) => {
      const client = (await WireClient.open(server.ports[listener]!, options)).raw();
      client.send(upgradeRequest());
      await client.until('its answer', () => client.bytesReceived > 0);
      client.send(bytes).halfClose();
      await client.ended();
      client.reset();
    });
    await Promise.all(attempts);
    await until('only the pair left', () => server.broker.connectionCount === 2);
    expect(await pair.end()).toBeGreaterThan(0);
    expect(server.broker.counters.internalErrors, `seed ${seed}`).toBe(0);
  });
});
