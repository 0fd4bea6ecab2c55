// What a broker's process may grow to. It runs alone in a child process, whose resident memory the kernel tells; the
// load comes from this process and from Debian's tools.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { encodePacket } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { mutatedPackets } from '../support/codec/mutations.ts';
import { seedFrom } from '../support/codec/random.ts';
import { sized } from '../support/long-run.ts';
import { PayloadSubscriber, publish, writeLargeFile } from '../support/mosquitto-tools.ts';
import { type BrokerProcess, pem, startBrokerProcess } from '../support/server.ts';
import { connectPacket, utf8 } from '../support/test-broker.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(120_000);

const MEBIBYTE = 1024 * 1024;
const { v311, v5 } = ProtocolVersion;
let broker: BrokerProcess;

beforeEach(async () => {
  broker = await startBrokerProcess([
    'log_type error',
    'log_type information',
    'allow_anonymous true',
    'listener 0 127.0.0.1',
    'listener 0 127.0.0.1',
    'certfile FOLDER/serverCert.pem',
    'keyfile FOLDER/serverKey.pem',
  ]);
});
afterEach(async () => {
  const wasAlive = broker.isAlive();
  await broker.stop();
  expect(wasAlive).toBe(true);
});

const mebibytes = (bytes: number) => Math.round(bytes / MEBIBYTE);

describe('a file of 100 MB', () => {
  test.each([
    // The packet in a buffer that grew by doubling, and the socket's copy of what is on the way.
    [0, 360],
    // And the message that is kept until it is acknowledged.
    [1, 460],
  ])('arrives whole at QoS %d with less than %d MiB', async (qos, most) => {
    const bytes = 100_000_000;
    const file = await writeLargeFile(bytes);
    const target = ['-h', '127.0.0.1', '-p', String(broker.ports[0])];
    const args = ['-V', 'mqttv311', '-q', String(qos)];
    // A retained byte tells when the subscription stands.
    await publish(target, [...args, '-t', 'big/ready', '-r', '-m', 'R']);
    const subscriber = new PayloadSubscriber(target, [...args, '-t', 'big/#', '-C', '2'], 1);
    await subscriber.received(1);
    await publish(target, [...args, '-t', 'big/file', '-f', file.path]);
    expect(await subscriber.finished()).toEqual({ bytes: bytes + 1, sha256: file.sha256 });
    await file.remove();
    expect(mebibytes(broker.peakRssBytes())).toBeLessThan(most);
  });
});

/** Connects, waits for CONNACK, sends DISCONNECT and waits for the end, `total` times over, 50 at a time. */
async function churn(port: number, total: number, tls: boolean, onCycle: (cycle: number) => void): Promise<void> {
  const connect = encodePacket(connectPacket({ clientId: 'churn-0000000' }), v5);
  const nameAt = Buffer.from(connect).indexOf('0000000');
  const disconnect = Uint8Array.of(0xe0, 0);
  let started = 0;
  let finished = 0;
  const cycle = (index: number) =>
    new Promise<void>((resolve, reject) => {
      let hasAnswer = false;
      const hello = connect.slice();
      hello.set(utf8(String(index).padStart(7, '0')), nameAt);
      const write = (socket: Bun.Socket) => void socket.write(hello);
      const socket: Bun.SocketHandler = {
        ...(tls ? { open() {}, handshake: write } : { open: write }),
        data(one, chunk) {
          hasAnswer = chunk[0] === PacketType.connack << 4;
          one.write(disconnect);
        },
        close: () => (hasAnswer ? resolve() : reject(new Error(`connection ${index} closed without CONNACK`))),
        connectError: (_socket, error) => reject(error),
      };
      const options = tls ? { tls: { ca: pem.ca, serverName: 'localhost' } } : {};
      Bun.connect({ hostname: '127.0.0.1', port, socket, ...options }).catch(reject);
    });
  const worker = async () => {
    while (started < total) {
      await cycle(started++);
      onCycle(++finished);
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
}

/** The least within a second: garbage goes at moments of its own. */
async function idleRssBytes(): Promise<number> {
  let least = broker.rssBytes();
  for (let i = 0; i < 20; i++) {
    await Bun.sleep(50);
    least = Math.min(least, broker.rssBytes());
  }
  return least;
}

describe('connections that come and go', () => {
  test.each([
    ['plain ones', sized(10_000, 100_000), false],
    ['those with TLS', sized(1_500, 10_000), true],
  ])('%s leave the memory where it was after the first tenth', async (_what, total, tls) => {
    let afterTenth = 0;
    await churn(broker.ports[tls ? 1 : 0]!, total, tls, (cycle) => {
      if (cycle === total / 10) afterTenth = broker.rssBytes();
    });
    const atEnd = await idleRssBytes();
    expect(afterTenth).toBeGreaterThan(0);
    expect(atEnd / afterTenth, `${mebibytes(afterTenth)} MiB became ${mebibytes(atEnd)} MiB`).toBeLessThan(1.2);
  });
});

describe('broken packets', () => {
  test('in thousands leave the memory where it was after the first fifth', async () => {
    const total = sized(10_000, 50_000);
    const seed = seedFrom('FUZZ_SEED');
    const packets = mutatedPackets(seed, total)[Symbol.iterator]();
    let sent = 0;
    let afterFifth = 0;
    const worker = async () => {
      for (let one = packets.next(); one.done !== true; one = packets.next()) {
        const { bytes, version } = one.value;
        const connect = encodePacket(connectPacket({ clientId: `fuzz-${sent}`, version }), version);
        const client = (await WireClient.open(broker.ports[0]!)).raw();
        if (bytes[0]! >> 4 !== PacketType.connect) client.send(connect);
        client.send(bytes).halfClose();
        await client.ended();
        client.reset();
        if (++sent === total / 5) afterFifth = broker.rssBytes();
      }
    };
    await Promise.all(Array.from({ length: 50 }, worker));
    const grown = (await idleRssBytes()) - afterFifth;
    expect(grown / MEBIBYTE, `MiB more than after a fifth of the packets, seed ${seed}`).toBeLessThan(30);
    (await WireClient.connect(broker.ports[0]!, { clientId: 'after' })).disconnect();
  });
});

describe('clients that do not read', () => {
  const payload = new Uint8Array(1_000);

  function publishes(count: number, qos: 0 | 1, topicName = 'flood', length = payload.length): Uint8Array {
    return Buffer.concat(
      Array.from({ length: count }, (_, i) =>
        encodePacket(
          {
            type: PacketType.publish,
            dup: false,
            qos,
            retain: false,
            topicName,
            packetId: qos === 0 ? 0 : i + 1,
            properties: null,
            payload: payload.subarray(0, length),
          },
          v311,
        ),
      ),
    );
  }

  async function flood(publisher: WireClient, bytes: Uint8Array, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      publisher.send(bytes);
      await publisher.until('room in the socket', () => publisher.unsentBytes < bytes.length);
    }
  }

  test.each([0, 1] as const)('ten subscribers cost no more than their limits under 100 MB at QoS %d', async (qos) => {
    const stopped: WireClient[] = [];
    for (let i = 0; i < 10; i++) {
      const client = await WireClient.connect(broker.ports[0]!, { clientId: `stopped-${i}`, version: v311 });
      await client.subscribe('flood', qos);
      client.pause();
      stopped.push(client);
    }
    const before = broker.rssBytes();
    const publisher = await WireClient.connect(broker.ports[0]!, { clientId: 'publisher', version: v311 });
    publisher.raw();
    await flood(publisher, publishes(200, qos), 500);
    const pinger = await WireClient.connect(broker.ports[0]!, { clientId: 'pinger' });
    await pinger.ping();
    // 16 MiB each at QoS 0 (of 2,000 that were to be sent), 1,020 messages at QoS 1; and garbage not collected yet.
    const grown = mebibytes(broker.peakRssBytes() - before);
    expect(grown).toBeLessThan(qos === 0 ? 400 : 100);
    for (const client of [...stopped, publisher, pinger]) client.reset();
  });

  test('a publisher that does not read its PUBACKs costs no more than its limit', async () => {
    const publisher = await WireClient.connect(broker.ports[0]!, { clientId: 'publisher', version: v311 });
    const other = await WireClient.connect(broker.ports[0]!, { clientId: 'other', version: v311 });
    const before = broker.rssBytes();
    publisher.pause();
    const bytes = publishes(65_535, 1, 'a', 0);
    // Ten million PUBACKs are 40 MB: far more than the kernel and the limit of 16 MiB take.
    const rounds = 160;
    let sent = 0;
    let stillFor = 0;
    while (sent < rounds && stillFor < 100) {
      if (publisher.unsentBytes < bytes.length) {
        publisher.send(bytes);
        sent++;
        stillFor = 0;
      } else stillFor++;
      await Bun.sleep(2);
    }
    expect(stillFor, `rounds sent: ${sent}`).toBe(100);
    await other.ping();
    expect(mebibytes(broker.peakRssBytes() - before)).toBeLessThan(90);
    publisher.reset();
    other.disconnect();
  });
});
