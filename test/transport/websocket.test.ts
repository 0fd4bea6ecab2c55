// MQTT over WebSocket on real sockets, plain and with TLS: v5 section 6, RFC 6455.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import { pem, startServer, type TestServer, tlsListener, until } from '../support/server.ts';
import { connectPacket, toHex, utf8 } from '../support/test-broker.ts';
import {
  acceptKey,
  clientFrame,
  mqttBytes,
  Opcode,
  readServerStream,
  type ServerFrame,
  type UpgradeOptions,
  upgradeRequest,
} from '../support/websocket-bytes.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(30_000);

const kinds = ['ws', 'wss'] as const;
const v5 = ProtocolVersion.v5;
let server: TestServer;

beforeAll(async () => {
  const protocol = 'websockets' as const;
  const tls = await tlsListener();
  const strict = { websocketsPath: '/mqtt', websocketsOrigins: ['https://app.example'], websocketsHeadersSize: 600 };
  server = await startServer([
    { protocol },
    { protocol, ...tls },
    { protocol, ...strict },
    { protocol, ...tls, ...strict },
  ]);
});

const open: WireClient[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) client.reset();
  await until('no connection left', () => server.broker.connectionCount === 0);
});
afterAll(() => server.stop());

const concat = (...parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);
const packet = (one: Packet, version: ProtocolVersion = v5) => encodePacket(one, version);
const binary = (...parts: Uint8Array[]) => clientFrame(Opcode.binary, concat(...parts));
const closeFrame = (code: number) => clientFrame(Opcode.close, Uint8Array.of(code >>> 8, code & 255));

function subscribe(topicFilter: string, qos: QoS = 0): Uint8Array {
  const subscriptions = [{ topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 as const }];
  return packet({ type: PacketType.subscribe, packetId: 1, properties: null, subscriptions });
}

function publish(topicName: string, payload: string, qos: QoS = 0, packetId = 0): Uint8Array {
  const message = { dup: false, qos, retain: false, topicName, packetId, properties: null, payload: utf8(payload) };
  return packet({ type: PacketType.publish, ...message });
}

/** A client whose bytes are frames, after the handshake. */
class FrameClient {
  readonly wire: WireClient;
  constructor(wire: WireClient) {
    this.wire = wire.raw();
    open.push(wire);
  }
  get head(): string | null {
    return readServerStream(this.wire.bytes).head;
  }
  get frames(): ServerFrame[] {
    return readServerStream(this.wire.bytes).frames;
  }
  get closeCode(): number | null {
    return readServerStream(this.wire.bytes).closeCode;
  }
  send(...parts: Uint8Array[]): this {
    this.wire.send(concat(...parts));
    return this;
  }
  /** Waits for frames whose MQTT bytes are at least `count`. */
  async mqtt(count: number): Promise<string> {
    await this.wire.until(`${count} bytes of MQTT`, () => {
      if (mqttBytes(this.frames).length >= count) return true;
      if (this.wire.isEnded) throw new Error(`the broker closed after ${toHex(this.wire.bytes)}`);
      return false;
    });
    return toHex(mqttBytes(this.frames));
  }
}

async function openRaw(kind: (typeof kinds)[number], port: number): Promise<FrameClient> {
  const tls = kind === 'wss' ? { tls: { ca: pem.ca, serverName: 'localhost' } } : {};
  return new FrameClient(await WireClient.open(port, tls));
}

async function answerTo(kind: (typeof kinds)[number], request: Uint8Array, port: number): Promise<FrameClient> {
  const client = await openRaw(kind, port);
  client.send(request);
  await client.wire.until('an answer', () => client.head);
  return client;
}

describe.each([...kinds])('%s', (kind) => {
  const port = () => server.ports[kind === 'ws' ? 0 : 1]!;
  const strictPort = () => server.ports[kind === 'ws' ? 2 : 3]!;

  async function upgrade(options: UpgradeOptions = {}): Promise<FrameClient> {
    const client = await answerTo(kind, upgradeRequest(options), port());
    expect(client.head).toStartWith('HTTP/1.1 101 ');
    return client;
  }

  async function connect(clientId: string, version: ProtocolVersion = v5): Promise<FrameClient> {
    const client = await upgrade();
    client.send(binary(packet(connectPacket({ clientId, version }), version)));
    await client.mqtt(version === v5 ? 16 : 4);
    return client;
  }

  test.each([
    ['mqtt', 'mqtt'],
    ['mqttv3.1', 'mqttv3.1'],
    ['mqttv3.1, mqtt', 'mqtt'],
    ['chat, mqtt', 'mqtt'],
    [null, null],
  ])('v5 [MQTT-6.0.0-4] v3.1.1 [MQTT-6.0.0-4] answers the offer of %p with %p', async (offer, chosen) => {
    const client = await answerTo(kind, upgradeRequest({ protocol: offer }), port());
    const lines = client.head!.split('\r\n');
    expect(lines[0]).toBe('HTTP/1.1 101 Switching Protocols');
    expect(lines).toContain(`Sec-WebSocket-Accept: ${acceptKey}`);
    expect(lines.filter((line) => /^sec-websocket-protocol:/i.test(line))).toEqual(
      chosen === null ? [] : [`Sec-WebSocket-Protocol: ${chosen}`],
    );
    client.send(binary(packet(connectPacket({ clientId: 'offer' }))));
    expect(await client.mqtt(16)).toStartWith('20');
  });

  test.each([
    ['a subprotocol that is not MQTT', upgradeRequest({ protocol: 'chat' }), 400, /subprotocols "chat"/],
    ['an HTTP request', utf8('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), 426, /without Upgrade/],
    ['MQTT without WebSocket', packet(connectPacket({})), 400, /speaks MQTT without WebSocket/],
    ['POST', utf8('POST /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n'), 405, /method "POST"/],
    ['a body', upgradeRequest({ more: ['Content-Length: 4'] }), 400, /body/],
  ])('refuses %s with a status, and logs why', async (_what, request, status, cause) => {
    const client = await answerTo(kind, request, port());
    expect(client.head).toStartWith(`HTTP/1.1 ${status} `);
    await client.wire.ended();
    expect(server.lines.at(-2)).toMatch(/^Protocol error from 127\.0\.0\.1:\d+: WebSocket handshake: /);
    expect(server.lines.at(-2)).toMatch(cause);
    expect(server.lines.at(-1)).toMatch(/^Client 127\.0\.0\.1 \[127\.0\.0\.1:\d+\] disconnected: malformed packet\.$/);
  });

  test('serves its path only, whatever the query', async () => {
    expect((await answerTo(kind, upgradeRequest({ path: '/mqtt?token=1' }), strictPort())).head).toContain(' 101 ');
    expect((await answerTo(kind, upgradeRequest({ path: '/mqtt/' }), strictPort())).head).toContain(' 404 ');
    expect((await answerTo(kind, upgradeRequest({ path: '/' }), strictPort())).head).toContain(' 404 ');
    expect((await answerTo(kind, upgradeRequest({ path: '/anything' }), port())).head).toContain(' 101 ');
  });

  test('lets in pages of the origins named, and clients without an origin', async () => {
    const ask = async (origin?: string) =>
      (await answerTo(kind, upgradeRequest(origin === undefined ? {} : { origin }), strictPort())).head!;
    expect(await ask('https://app.example')).toContain(' 101 ');
    expect(await ask()).toContain(' 101 ');
    for (const origin of ['https://evil.example', 'http://app.example', 'https://app.example.evil.example', 'null']) {
      expect(await ask(origin)).toContain(' 403 ');
    }
  });

  test('answers 431 to a header above websockets_headers_size', async () => {
    const long = upgradeRequest({ more: [`X-Filler: ${'x'.repeat(500)}`] });
    expect((await answerTo(kind, long, strictPort())).head).toContain(' 431 ');
    expect((await answerTo(kind, long, port())).head).toContain(' 101 ');
  });

  /** CONNECT, SUBSCRIBE and two PUBLISH at QoS 1, and what must come back: CONNACK, SUBACK, PUBACK and PUBLISH twice. */
  const conversation = concat(
    packet(connectPacket({ clientId: 'pieces' })),
    subscribe('pieces/#', 0),
    publish('pieces/a', 'first', 1, 7),
    publish('pieces/b', 'second '.repeat(40), 1, 8),
  );
  const answerBytes =
    16 + 6 + 2 * 4 + publish('pieces/a', 'first').length + publish('pieces/b', 'second '.repeat(40)).length;

  test('v5 [MQTT-6.0.0-2] v3.1.1 [MQTT-6.0.0-2] reads packets over frame borders: a frame a byte, a write a byte', async () => {
    const client = await openRaw(kind, port());
    const frames = [...conversation].map((byte, i) =>
      clientFrame(i === 0 ? Opcode.binary : Opcode.continuation, Uint8Array.of(byte), {
        fin: i === conversation.length - 1,
      }),
    );
    for (const byte of concat(upgradeRequest(), ...frames)) client.send(Uint8Array.of(byte));
    const answer = await client.mqtt(answerBytes);
    expect(answer).toStartWith('20');
    expect(answer.length / 2).toBe(answerBytes);
  });

  test('v5 [MQTT-6.0.0-2] v3.1.1 [MQTT-6.0.0-2] reads many packets in one frame, right behind the request, and many frames in one write', async () => {
    const whole = await openRaw(kind, port());
    whole.send(upgradeRequest(), binary(conversation));
    const answer = await whole.mqtt(answerBytes);

    const coalesced = await openRaw(kind, port());
    const frames = Array.from({ length: Math.ceil(conversation.length / 5) }, (_, i) =>
      binary(conversation.slice(i * 5, i * 5 + 5)),
    );
    coalesced.send(upgradeRequest(), ...frames);
    expect(await coalesced.mqtt(answerBytes)).toBe(answer);
  });

  test('sends one frame for what one tick brings', async () => {
    const subscriber = await connect('ticks');
    subscriber.send(binary(subscribe('ticks')));
    await subscriber.mqtt(16 + 6);
    const publisher = await connect('ticker');
    const before = subscriber.frames.length;
    publisher.send(binary(...Array.from({ length: 100 }, () => publish('ticks', 'x'))));
    await subscriber.mqtt(16 + 6 + 100 * publish('ticks', 'x').length);
    expect(subscriber.frames.length - before).toBeLessThan(20);
  });

  test('answers a ping with its payload, also between the fragments of a message', async () => {
    const client = await connect('pinger');
    const [head, tail] = [subscribe('p').slice(0, 4), subscribe('p').slice(4)];
    client.send(
      clientFrame(Opcode.binary, head, { fin: false }),
      clientFrame(Opcode.ping, utf8('are you there?')),
      clientFrame(Opcode.ping, new Uint8Array(125).fill(7)),
      clientFrame(Opcode.ping, new Uint8Array(0)),
      clientFrame(Opcode.pong, utf8('unasked')),
      clientFrame(Opcode.continuation, tail),
    );
    await client.mqtt(16 + 6);
    const pongs = client.frames.filter(({ opcode }) => opcode === Opcode.pong).map(({ payload }) => toHex(payload));
    expect(pongs).toEqual([toHex(utf8('are you there?')), '07'.repeat(125), '']);
  });

  test('answers a Close frame with its code, then closes, and the will goes out', async () => {
    const observer = await connect('observer');
    observer.send(binary(subscribe('wills/#')));
    await observer.mqtt(16 + 6);
    const lost = server.broker.counters.closed.get('connection lost') ?? 0;
    const will = { topicName: 'wills/x', payload: utf8('gone'), qos: 0 as const, retain: false, properties: null };
    const client = await upgrade();
    client.send(binary(packet(connectPacket({ clientId: 'closer', will }))));
    await client.mqtt(16);
    client.send(closeFrame(1001));
    await client.wire.ended();
    expect(client.closeCode).toBe(1001);
    expect(client.frames.at(-1)!.opcode).toBe(Opcode.close);
    await observer.mqtt(16 + 6 + publish('wills/x', 'gone').length);
    expect(server.lines).toContainEqual(
      expect.stringMatching(/^Client closer \[127\.0\.0\.1:\d+\] disconnected: connection closed by client\.$/),
    );
    expect(server.broker.counters.closed.get('connection lost')).toBe(lost + 1);
  });

  test('ends with a Close frame of its own after DISCONNECT', async () => {
    const client = await connect('leaver');
    client.send(binary(packet({ type: PacketType.disconnect, reasonCode: 0, properties: null })));
    await client.wire.ended();
    expect(client.closeCode).toBe(1000);
  });

  test('v5 [MQTT-3.1.4-3] tells a client that is taken over why, and sends Close after it', async () => {
    const old = await connect('twin');
    await connect('twin');
    await old.wire.ended();
    expect(old.frames.slice(-2).map(({ opcode }) => opcode)).toEqual([Opcode.binary, Opcode.close]);
    expect(toHex(old.frames.at(-2)!.payload)).toBe('e0018e');
    expect(old.closeCode).toBe(1000);
  });

  const rsv = binary(publish('a', 'b'));
  rsv[0]! |= 0x40;
  const huge = Uint8Array.of(0x82, 0xff, 0, 0, 0, 0x10, 0, 0, 0, 0, 1, 2, 3, 4);
  const unmasked = clientFrame(Opcode.binary, publish('a', 'b'), { masked: false });
  const unfinished = clientFrame(Opcode.binary, Uint8Array.of(0x30), { fin: false });

  test.each([
    ['v5 [MQTT-6.0.0-1] v3.1.1 [MQTT-6.0.0-1] a text frame', clientFrame(Opcode.text, utf8('hello')), 1003, /text/],
    ['a frame without mask', unmasked, 1002, /mask/],
    ['a reserved bit', rsv, 1002, /reserved bit/],
    ['a reserved opcode', clientFrame(5, utf8('x')), 1002, /opcode/],
    ['a continuation of nothing', clientFrame(Opcode.continuation, utf8('x')), 1002, /./],
    ['a new message in the middle of one', concat(unfinished, binary(publish('a', 'b'))), 1002, /./],
    ['a fragmented ping', clientFrame(Opcode.ping, utf8('x'), { fin: false }), 1002, /./],
    ['a ping of 126 bytes', clientFrame(Opcode.ping, new Uint8Array(126)), 1002, /./],
    ['a frame larger than any packet', huge, 1009, /./],
    ['a Close frame of one byte', clientFrame(Opcode.close, Uint8Array.of(3)), 1002, /Close/],
    ['a Close frame with a code nobody may send', closeFrame(1006), 1002, /Close/],
  ])('refuses %s: DISCONNECT to MQTT 5, then the Close code, and a line', async (_what, bytes, code, cause) => {
    for (const version of [v5, ProtocolVersion.v311]) {
      const client = await connect('breaker', version);
      client.send(bytes, binary(publish('ignored', 'x')));
      await client.wire.ended();
      const tail = client.frames
        .slice(-2)
        .map(({ opcode, payload }) => (opcode === Opcode.binary ? toHex(payload) : opcode));
      expect(tail).toEqual([version === v5 ? 'e00181' : toHex(Uint8Array.of(0x20, 2, 0, 0)), Opcode.close]);
      expect(client.closeCode).toBe(code);
      const told = server.lines.findLast((line) => line.startsWith('Protocol error from breaker: WebSocket: '));
      expect(told).toMatch(cause);
      expect(server.lines.at(-1)).toMatch(/^Client breaker \[127\.0\.0\.1:\d+\] disconnected: malformed packet\.$/);
    }
  });

  test('carries a packet larger than a 16-bit frame length both ways', async () => {
    const client = await connect('large');
    const payload = 'Wide frames have eight bytes of length. '.repeat(5_000);
    client.send(binary(subscribe('large')), binary(publish('large', payload)));
    const expected = publish('large', payload);
    const got = await client.mqtt(16 + 6 + expected.length);
    expect(got.slice(-2 * expected.length) === toHex(expected)).toBe(true);
  });
});

test('ws closes on TLS bytes and names the mistake', async () => {
  const client = await openRaw('ws', server.ports[0]!);
  client.send(Uint8Array.of(0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3));
  await client.wire.ended();
  expect(server.lines.at(-2)).toContain('the client speaks TLS to a port without TLS');
});
