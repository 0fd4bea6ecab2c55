// Readers that stop or are slow, and writers that do not read: what they cost, and whom. The policy is that of
// src/broker/congestion.ts. Memory is measured by test/soak; here the queues themselves are looked at.
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import type { BrokerOptions } from '../../src/config/broker-options.ts';
import type { ClientConnection } from '../../src/broker/client-connection.ts';
import { certificateFiles, pem, startServer, type TestServer, tlsListener, until } from '../support/server.ts';
import { utf8 } from '../support/test-broker.ts';
import { clientFrame, Opcode, upgradeRequest } from '../support/websocket-bytes.ts';
import { WireClient, type WireOptions } from '../support/wire-client.ts';

setDefaultTimeout(60_000);

const MEBIBYTE = 1024 * 1024;
/** What may be read and queued before the broker writes, and sees who does not take it: 1 MiB and the last chunk. */
const TICK_BYTES = 2 * MEBIBYTE;

const transports = ['tcp', 'tls', 'tls with several certificates'] as const;
type Transport = (typeof transports)[number];

let server: TestServer;
const open: WireClient[] = [];

async function start(options: Partial<BrokerOptions> = {}): Promise<void> {
  const tls = await tlsListener();
  const files = await certificateFiles();
  const other = { serverName: 'other.example', certfile: files.strangerCert, keyfile: files.strangerKey };
  server = await startServer([{}, tls, { ...tls, sniCertificates: [other] }, { protocol: 'websockets' }], options);
}

const timers: Timer[] = [];
/** Until the end of the test, whatever it is. */
const every = (ms: number, callback: () => void) => void timers.push(setInterval(callback, ms));

afterEach(async () => {
  for (const timer of timers.splice(0)) clearInterval(timer);
  for (const client of open.splice(0)) client.reset();
  await server.stop();
});

function way(transport: Transport): { port: number; options: WireOptions } {
  const port = server.ports[transports.indexOf(transport)]!;
  return { port, options: transport === 'tcp' ? {} : { tls: { ca: pem.ca, serverName: 'localhost' } } };
}

async function connect(clientId: string, options: WireOptions = {}, transport: Transport = 'tcp'): Promise<WireClient> {
  const { port, options: own } = way(transport);
  const client = await WireClient.connect(port, { ...own, ...options, clientId });
  open.push(client);
  return client;
}

/** The broker's end of a client's connection. */
const connectionOf = (clientId: string) => server.broker.sessions.get(clientId)!.link as ClientConnection;
const dropped = (reason: DropReason) => server.broker.counters.dropped.get(reason)!;

/** Numbers the messages: the payload begins with its own index. */
function payloadOf(index: number, length: number): Uint8Array {
  const payload = new Uint8Array(length);
  new DataView(payload.buffer).setUint32(0, index);
  return payload;
}
const indexOf = (payload: Uint8Array) => new DataView(payload.buffer, payload.byteOffset).getUint32(0);

/** A subscriber that keeps the index of each message and acknowledges at QoS 1. */
async function reader(clientId: string, qos: QoS, transport: Transport = 'tcp', topic = 'flood') {
  const indexes: number[] = [];
  let answer: (packet: Packet) => void = () => {};
  const onPacket = (packet: Packet) => {
    if (packet.type !== PacketType.publish) return answer(packet);
    indexes.push(indexOf(packet.payload));
    if (packet.qos === 1) client.puback(packet.packetId);
  };
  const { port, options } = way(transport);
  const client = await WireClient.open(port, { ...options, onPacket });
  open.push(client);
  const next = () => new Promise<Packet>((resolve) => (answer = resolve));
  let answered = next();
  client.send(connectOf(clientId));
  expect((await answered).type).toBe(PacketType.connack);
  answered = next();
  const subscriptions = [
    { topicFilter: topic, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 as const },
  ];
  client.send({ type: PacketType.subscribe, packetId: 1, properties: null, subscriptions });
  expect((await answered).type).toBe(PacketType.suback);
  return { client, indexes };
}

function connectOf(clientId: string): Packet {
  return {
    type: PacketType.connect,
    protocolVersion: ProtocolVersion.v5,
    bridge: false,
    cleanStart: true,
    keepAlive: 0,
    clientId,
    will: null,
    username: null,
    password: null,
    properties: null,
  };
}

const count = (length: number) => Array.from({ length }, (_, i) => i);
const isAscending = (indexes: readonly number[]) => indexes.every((index, i) => i === 0 || index > indexes[i - 1]!);

/** Publishes `total` numbered messages, `perWrite` in one write, and waits until the broker has read them all. */
async function flood(publisher: WireClient, total: number, length: number, qos: QoS, topic = 'flood'): Promise<void> {
  const perWrite = Math.max(1, Math.floor((256 * 1024) / length));
  for (let at = 0; at < total; at += perWrite) {
    const packets = count(Math.min(perWrite, total - at)).map((i) =>
      encodePacket(
        {
          type: PacketType.publish,
          dup: false,
          qos,
          retain: false,
          topicName: topic,
          packetId: qos === 0 ? 0 : 1 + ((at + i) % 65_535),
          properties: null,
          payload: payloadOf(at + i, length),
        },
        publisher.version,
      ),
    );
    publisher.send(Buffer.concat(packets));
    await publisher.until('room in the socket', () => publisher.unsentBytes < 4 * MEBIBYTE);
  }
}

describe.each([...transports])('over %s a subscriber that stops reading', (transport) => {
  test('costs its limit at QoS 0, loses and counts the rest, and slows nobody else', async () => {
    const maxOutgoingBytes = 8 * MEBIBYTE;
    const total = 40_000;
    await start({ maxOutgoingBytes });
    const stopped = await reader('stopped', 0, transport);
    const reading = await reader('reading', 0, transport);
    const elsewhere = await reader('elsewhere', 0, transport, 'other');
    const publisher = await connect('publisher', {}, transport);
    const other = await connect('other', {}, transport);
    stopped.client.pause();
    let mostBytes = 0;
    every(1, () => (mostBytes = Math.max(mostBytes, connectionOf('stopped').backlogBytes)));
    await Promise.all([flood(publisher, total, 1_000, 0), flood(other, total, 100, 0, 'other')]);
    await until('the others to have all', () => reading.indexes.length >= total && elsewhere.indexes.length >= total);

    expect(reading.indexes).toEqual(count(total));
    expect(elsewhere.indexes).toEqual(count(total));
    expect(mostBytes).toBeGreaterThan(maxOutgoingBytes);
    expect(mostBytes).toBeLessThan(maxOutgoingBytes + TICK_BYTES);
    const lost = dropped(DropReason.slowReader);
    expect(lost).toBeGreaterThan(total / 4);

    stopped.client.resume();
    await until('what was kept', () => stopped.indexes.length === total - lost);
    await publisher.ping();
    expect(isAscending(stopped.indexes)).toBe(true);
    publisher.publish('flood', payloadOf(total, 10));
    await until('what comes later', () => stopped.indexes.at(-1) === total);
    expect(stopped.indexes).toHaveLength(total - lost + 1);
  });

  test('gets all that its queue holds at QoS 1 when it reads again, in order, and the rest is counted', async () => {
    const total = 5_000;
    await start({ maxQueuedMessages: 1_000 });
    const stopped = await reader('stopped', 1, transport);
    const reading = await reader('reading', 1, transport);
    const publisher = await connect('publisher', { version: ProtocolVersion.v311 }, transport);
    stopped.client.pause();
    await flood(publisher, total, 1_000, 1);
    let acknowledged = 0;
    await publisher.until('PUBACK of each', () => {
      acknowledged += publisher.packets.splice(0).length;
      return acknowledged === total;
    });
    await until('the other to have all it can', () => {
      const { outgoing } = server.broker.sessions.get('reading')!;
      return outgoing!.isEmpty;
    });
    const { outgoing } = server.broker.sessions.get('stopped')!;
    expect(outgoing!.inflight.size).toBe(20);
    expect(outgoing!.queue.length).toBe(1_000);
    expect(connectionOf('stopped').backlogBytes).toBeLessThan(20 * 1_100);
    const lost = dropped(DropReason.queueFull);
    expect(lost).toBe(2 * total - 1_020 - reading.indexes.length);

    stopped.client.resume();
    await until('what was kept', () => stopped.indexes.length === 1_020 && outgoing!.isEmpty);
    expect(stopped.indexes).toEqual(count(1_020));
    expect(isAscending(reading.indexes)).toBe(true);
    publisher.publish('flood', payloadOf(total, 10), { qos: 1 });
    await until('what comes later', () => stopped.indexes.at(-1) === total);
  });
});

describe('a subscriber that reads slowly', () => {
  test.each([
    ['tcp', 200_000],
    ['tls', 200_000],
    ['tls with several certificates', 200_000],
  ] as const)('over %s loses nothing of a burst of %d at QoS 0 as long as it goes on', async (transport, total) => {
    await start();
    const slow = await reader('slow', 0, transport);
    const publisher = await connect('publisher', {}, transport);
    let mostBytes = 0;
    every(1, () => (mostBytes = Math.max(mostBytes, connectionOf('slow').backlogBytes)));
    slow.client.restMs = 8;
    await flood(publisher, total, 100, 0);
    await until('all of them', () => slow.indexes.length >= total, 50_000);
    expect(slow.indexes.length).toBe(total);
    expect(slow.indexes.every((index, i) => index === i)).toBe(true);
    expect([...server.broker.counters.dropped.values()].every((number) => number === 0)).toBe(true);
    expect(server.broker.counters.producersPaused).toBeGreaterThan(0);
    expect(mostBytes).toBeLessThan(MEBIBYTE + TICK_BYTES);
  });
});

describe('a client that sends without reading', () => {
  /** Sends until the broker takes no more: then bytes stay with the client, and the broker's counter stands still. */
  async function sendUntilHeld(client: WireClient, bytes: Uint8Array, clientId: string): Promise<number> {
    const { counters } = server.broker;
    let sent = 0;
    let mostBytes = 0;
    for (let still = 0, before = -1; still < 20;) {
      if (client.unsentBytes < 4 * MEBIBYTE) {
        client.send(bytes);
        sent++;
      }
      await Bun.sleep(5);
      mostBytes = Math.max(
        mostBytes,
        server.broker.sessions.get(clientId) === undefined ? 0 : connectionOf(clientId).backlogBytes,
      );
      still = client.unsentBytes > 0 && counters.bytesReceived === before ? still + 1 : 0;
      before = counters.bytesReceived;
      if (sent > 2_000) throw new Error(`the broker took ${sent} writes, and keeps ${mostBytes} bytes`);
    }
    return sent;
  }

  test.each([...transports])(
    'over %s is read no further once the answers it owes are too many, and loses none',
    async (transport) => {
      const maxOutgoingBytes = 256 * 1024;
      await start({ maxOutgoingBytes });
      let answers = 0;
      let wrong = 0;
      let expected = 1;
      const flooder = await connect('flooder', {}, transport);
      const onPuback = () => {
        for (const packet of flooder.packets.splice(0)) {
          if (packet.type !== PacketType.puback || packet.packetId !== expected) wrong++;
          expected = expected === 65_535 ? 1 : expected + 1;
          answers++;
        }
      };
      flooder.pause();
      const perWrite = 65_535;
      const write = Buffer.concat(
        count(perWrite).map((i) => Uint8Array.of(0x32, 6, 0, 1, 0x61, (i + 1) >>> 8, (i + 1) & 255, 0)),
      );
      const writes = await sendUntilHeld(flooder, write, 'flooder');
      const backlog = connectionOf('flooder').backlogBytes;
      expect(backlog).toBeGreaterThan(maxOutgoingBytes);
      expect(backlog).toBeLessThan(maxOutgoingBytes + MEBIBYTE);

      // Others do not notice.
      const pair = await reader('pair', 1);
      const publisher = await connect('publisher');
      for (const i of count(100)) publisher.publish('flood', payloadOf(i, 10), { qos: 1 });
      await until('messages of others', () => pair.indexes.length === 100);

      flooder.resume();
      await until(
        'an answer to each',
        () => {
          onPuback();
          return answers >= writes * perWrite;
        },
        50_000,
      );
      expect([answers, wrong]).toEqual([writes * perWrite, 0]);
      await flooder.ping();
    },
  );

  test('of WebSocket pings is read no further, either', async () => {
    const maxOutgoingBytes = 256 * 1024;
    await start({ maxOutgoingBytes });
    const flooder = await WireClient.open(server.ports[3]!);
    open.push(flooder);
    flooder
      .raw()
      .send(upgradeRequest())
      .send(clientFrame(Opcode.binary, encodePacket(connectOf('pinger'), 5)));
    await flooder.until('CONNACK', () => server.broker.sessions.has('pinger'));
    flooder.pause();
    const write = Buffer.concat(count(2_000).map((i) => clientFrame(Opcode.ping, utf8(String(i).padStart(125, '.')))));
    const writes = await sendUntilHeld(flooder, write, 'pinger');
    const backlog = connectionOf('pinger').backlogBytes;
    expect(backlog).toBeGreaterThan(maxOutgoingBytes);
    expect(backlog).toBeLessThan(maxOutgoingBytes + MEBIBYTE);
    const before = flooder.bytesReceived;
    flooder.resume();
    await until('a pong to each', () => flooder.bytesReceived - before >= writes * 2_000 * 127 - 4 * MEBIBYTE);
    flooder.send(clientFrame(Opcode.binary, Uint8Array.of(PacketType.pingreq << 4, 0)));
    await until('PINGRESP at the end', () => flooder.bytes.subarray(-2).toHex() === 'd000');
  });
});
