/** Every transport carries bytes in order and without loss: v5 section 4.2, v3.1.1 section 7.1.1. On real sockets. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { pem, startServer, type TestServer, tlsListener, until } from '../support/server.ts';
import { WireClient, type WireOptions } from '../support/wire-client.ts';
import { connect, field, join, packet } from './raw-packets.ts';

const kinds = ['tcp', 'tls', 'unix', 'websocket', 'secure websocket'] as const;
type Kind = (typeof kinds)[number];

let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(joinPath(tmpdir(), 'martlet-transports-'));
  const tls = await tlsListener();
  const websockets = { protocol: 'websockets' } as const;
  server = await startServer([
    {},
    tls,
    { unixPath: joinPath(folder, 'broker.sock') },
    websockets,
    { ...websockets, ...tls },
  ]);
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A client's end, as bytes. */
interface Stream {
  send(bytes: Uint8Array): void;
  /** All bytes that came so far. */
  received(): Uint8Array;
  /** How many they are. */
  receivedBytes(): number;
  close(): void;
}

async function openStream(kind: Kind): Promise<Stream> {
  const port = server.ports[kinds.indexOf(kind)]!;
  if (kind === 'websocket' || kind === 'secure websocket') return openWebSocket(kind, port);
  const options: WireOptions = {
    ...(kind === 'unix' && { unix: joinPath(folder, 'broker.sock') }),
    ...(kind === 'tls' && { tls: { ca: pem.ca, serverName: 'localhost' } }),
  };
  const client = (await WireClient.open(port, options)).raw();
  return {
    send: (bytes) => void client.send(bytes),
    received: () => client.bytes,
    receivedBytes: () => client.bytesReceived,
    close: () => client.reset(),
  };
}

async function openWebSocket(kind: Kind, port: number): Promise<Stream> {
  const url = kind === 'websocket' ? `ws://127.0.0.1:${port}/mqtt` : `wss://localhost:${port}/mqtt`;
  const socket = new WebSocket(url, { protocols: ['mqtt'], tls: { ca: pem.ca } });
  socket.binaryType = 'arraybuffer';
  const chunks: Uint8Array[] = [];
  let receivedBytes = 0;
  socket.onmessage = ({ data }) => {
    const chunk = new Uint8Array(data as ArrayBuffer);
    receivedBytes += chunk.length;
    chunks.push(chunk);
  };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.onopen = () => resolve();
  socket.onerror = () => reject(new Error('no WebSocket'));
  await promise;
  return {
    send: (bytes) => void socket.send(bytes.slice()),
    received: () => Buffer.concat(chunks),
    receivedBytes: () => receivedBytes,
    close: () => socket.terminate(),
  };
}

const MESSAGES = 2_500;
const PAYLOAD_BYTES = 4_000;
const PATTERN = Uint8Array.from({ length: PAYLOAD_BYTES + 256 }, (_, i) => i * 7);

/** Ten million bytes of numbered messages, no two of them alike, for a topic that one subscriber has. */
function numberedMessages(level: 4 | 5, topicName: string): Uint8Array {
  const messages = Array.from({ length: MESSAGES }, (_, number) => {
    const payload = PATTERN.slice(number % 256, (number % 256) + PAYLOAD_BYTES);
    new DataView(payload.buffer).setUint32(0, number);
    return packet(0x30, field(topicName), level === 5 ? '00' : '', payload);
  });
  return join(...messages);
}

const answersBytes = (level: 4 | 5): number => (level === 5 ? 16 + 6 : 4 + 5);

test('v5 [MQTT-4.2.0-1] v3.1.1 [MQTT-7.1.1-1] every transport carries ten megabytes in order and whole, both ways', async () => {
  for (const [index, kind] of kinds.entries()) {
    for (const level of [4, 5] as const) {
      const topicName = `${index}/${level}`;
      const stream = numberedMessages(level, topicName);
      const subscriber = await openStream(kind);
      const publisher = await openStream(kind);
      const noProperties = level === 5 ? '00' : '';
      subscriber.send(connect({ level, clientId: `s${index}` }));
      subscriber.send(packet(0x82, '0001', noProperties, field(topicName), '00'));
      const answers = answersBytes(level);
      await until('CONNACK and SUBACK', () => subscriber.receivedBytes() === answers);
      publisher.send(connect({ level, clientId: `p${index}` }));
      // Packets lie across the pieces, and some pieces hold several.
      for (let at = 0; at < stream.length; at += 7_919) publisher.send(stream.subarray(at, at + 7_919));
      await until('all messages', () => subscriber.receivedBytes() >= answers + stream.length);
      const got = subscriber.received().subarray(answers);
      expect([kind, level, Buffer.compare(got, stream)]).toEqual([kind, level, 0]);
      subscriber.close();
      publisher.close();
    }
  }
}, 60_000);

test('v5 a CONNECT in pieces of one byte and ten packets in one piece both work on every transport', async () => {
  for (const kind of kinds) {
    const stream = await openStream(kind);
    for (const byte of connect({ clientId: `pieces ${kind}` })) stream.send(Uint8Array.of(byte));
    await until('CONNACK', () => stream.received().length === 16);
    stream.send(join(...new Array<string>(10).fill('c0 00')));
    await until('ten PINGRESPs', () => stream.received().length === 16 + 20);
    expect(Buffer.from(stream.received().subarray(16)).toString('hex')).toBe('d000'.repeat(10));
    stream.close();
  }
});
