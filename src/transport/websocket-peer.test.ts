// The WebSocket classes on a real socket against two independent clients: the `ws` package and Bun's own WebSocket.
//
// The server treats payloads as a stream, as MQTT does: whatever way they are framed, it reads `length (4 bytes), body`
// records and answers each body in one frame of exactly its size.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Socket, TCPSocketListener } from 'bun';
import type { WebSocket as WsWebSocket } from 'ws';
import {
  encodeCloseFrame,
  encodeControlFrame,
  encodeFrameHeader,
  frameHeaderLength,
  type WebSocketCloseCode,
  WebSocketFrameReader,
  WebSocketOpcode,
  type WebSocketSink,
} from './websocket-frames.ts';
import { defaultWebSocketHandshakeOptions, WebSocketHandshake } from './websocket-handshake.ts';

const SIZES = [0, 1, 125, 126, 65_535, 65_536, 1_000_000];

/** By path: the bare name `ws` gives Bun's own replacement. */
const wsModule = (await import(`${import.meta.dir}/../../node_modules/ws/wrapper.mjs`)) as {
  default: typeof WsWebSocket;
};
const Ws = wsModule.default;

class EchoConnection implements WebSocketSink {
  readonly events: string[] = [];
  private handshake: WebSocketHandshake | null = new WebSocketHandshake({
    ...defaultWebSocketHandshakeOptions,
    path: '/mqtt',
  });
  private readonly reader = new WebSocketFrameReader(2_000_000);
  private readonly socket: Socket<EchoConnection>;
  private stream = new Uint8Array(0);
  private unsent: Uint8Array[] = [];
  private ending = false;

  constructor(socket: Socket<EchoConnection>) {
    this.socket = socket;
  }

  data(chunk: Uint8Array): void {
    let start = 0;
    if (this.handshake !== null) {
      const result = this.handshake.push(chunk, 0, chunk.length);
      if (result.kind === 'more') return;
      this.handshake = null;
      this.write(result.response);
      if (result.kind === 'refused') {
        this.end();
        return;
      }
      start = result.consumed;
    }
    this.reader.read(chunk, start, chunk.length, this);
  }

  onPayload(bytes: Uint8Array, start: number, end: number): void {
    const joined = new Uint8Array(this.stream.length + end - start);
    joined.set(this.stream);
    joined.set(bytes.subarray(start, end), this.stream.length);
    this.stream = joined;
    while (this.stream.length >= 4) {
      const size = new DataView(this.stream.buffer, this.stream.byteOffset).getUint32(0);
      if (this.stream.length < 4 + size) return;
      const frame = new Uint8Array(frameHeaderLength(size) + size);
      const offset = encodeFrameHeader(frame, 0, WebSocketOpcode.binary, size);
      frame.set(this.stream.subarray(4, 4 + size), offset);
      this.stream = this.stream.slice(4 + size);
      this.write(frame);
    }
  }

  onPing(bytes: Uint8Array, start: number, end: number): void {
    this.write(encodeControlFrame(WebSocketOpcode.pong, bytes, start, end));
  }

  onPong(bytes: Uint8Array, start: number, end: number): void {
    this.events.push(`pong ${new TextDecoder().decode(bytes.subarray(start, end))}`);
  }

  onClose(code: number, reason: string): void {
    this.events.push(`close ${code} ${reason}`);
    this.write(encodeCloseFrame(code, reason));
    this.end();
  }

  onProtocolError(closeCode: WebSocketCloseCode, cause: string): void {
    this.events.push(`error ${closeCode}`);
    this.write(encodeCloseFrame(closeCode, cause));
    this.end();
  }

  write(bytes: Uint8Array): void {
    this.unsent.push(bytes);
    this.flush();
  }

  end(): void {
    this.ending = true;
    this.flush();
  }

  flush(): void {
    for (;;) {
      const first = this.unsent[0];
      if (first === undefined) break;
      const written = this.socket.write(first);
      if (written < first.length) {
        this.unsent[0] = first.subarray(Math.max(0, written));
        return;
      }
      this.unsent.shift();
    }
    if (this.ending) this.socket.end();
  }
}

let server: TCPSocketListener<EchoConnection>;
let connections: EchoConnection[] = [];

beforeAll(() => {
  server = Bun.listen<EchoConnection>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.data = new EchoConnection(socket);
        connections.push(socket.data);
      },
      data(socket, chunk) {
        socket.data.data(chunk);
      },
      drain(socket) {
        socket.data.flush();
      },
    },
  });
});

afterAll(() => {
  server.stop(true);
});

function record(size: number): { sent: Uint8Array<ArrayBuffer>; body: Uint8Array<ArrayBuffer> } {
  const sent = new Uint8Array(4 + size);
  new DataView(sent.buffer).setUint32(0, size);
  for (let i = 0; i < size; i++) sent[4 + i] = (i * 31 + size) & 0xff;
  return { sent, body: sent.subarray(4) };
}

/** `sameBytes` and not `toEqual`: a million elements would take seconds to compare. */
function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

describe('the ws package', () => {
  const openClient = async (protocols = ['mqtt'], path = '/mqtt'): Promise<WsWebSocket> => {
    connections = [];
    const client = new Ws(`ws://127.0.0.1:${server.port}${path}`, protocols);
    await new Promise((resolve, reject) => client.once('open', resolve).once('error', reject));
    return client;
  };
  const next = <T>(client: WsWebSocket, event: string): Promise<T> =>
    new Promise((resolve) => client.once(event, (first: T) => resolve(first)));
  const closed = (client: WsWebSocket): Promise<[code: number, reason: string]> =>
    new Promise((resolve) => client.once('close', (code, reason) => resolve([code, reason.toString()])));

  test('gets back binary messages of every length form', async () => {
    const client = await openClient(['chat', 'mqtt']);
    expect(client.protocol).toBe('mqtt');
    for (const size of SIZES) {
      const { sent, body } = record(size);
      const echo = next<Buffer>(client, 'message');
      client.send(sent);
      expect(sameBytes(await echo, body)).toBe(true);
    }
    client.close();
    expect((await closed(client))[0]).toBe(1005);
  });

  test('v5 [MQTT-6.0.0-2] v3.1.1 [MQTT-6.0.0-2] may fragment a message and put pings between', async () => {
    const client = await openClient();
    const { sent, body } = record(65_536);
    const echo = next<Buffer>(client, 'message');
    const pong = next<Buffer>(client, 'pong');
    client.send(sent.subarray(0, 2), { fin: false });
    client.send(sent.subarray(2, 2), { fin: false });
    client.ping('between');
    client.send(sent.subarray(2, 40_000), { fin: false });
    client.send(sent.subarray(40_000), { fin: true });
    expect((await pong).toString()).toBe('between');
    expect(sameBytes(await echo, body)).toBe(true);
    client.terminate();
  });

  test('may put several records into one message', async () => {
    const client = await openClient();
    const answers: number[] = [];
    const all = new Promise<void>((resolve) =>
      client.on('message', (message: Buffer) => {
        answers.push(message.length);
        if (answers.length === 3) resolve();
      }),
    );
    client.send(Buffer.concat([record(3).sent, record(0).sent, record(300).sent]));
    await all;
    expect(answers).toEqual([3, 0, 300]);
    client.terminate();
  });

  test('gets its ping payload back, and answers ours', async () => {
    const client = await openClient();
    const payload = 'p'.repeat(125);
    const pong = next<Buffer>(client, 'pong');
    client.ping(payload);
    expect((await pong).toString()).toBe(payload);
    const bytes = new TextEncoder().encode('are you there');
    connections[0]!.write(encodeControlFrame(WebSocketOpcode.ping, bytes, 0, bytes.length));
    const second = next<Buffer>(client, 'pong');
    await next(client, 'ping');
    client.ping('after');
    await second;
    expect(connections[0]!.events).toEqual(['pong are you there']);
    client.terminate();
  });

  test('closes with code and reason, and gets both back', async () => {
    const client = await openClient();
    const end = closed(client);
    client.close(4001, 'bye \u20ac');
    expect(await end).toEqual([4001, 'bye \u20ac']);
    expect(connections[0]!.events).toEqual(['close 4001 bye \u20ac']);
  });

  test('understands a close that the server starts', async () => {
    const client = await openClient();
    const end = closed(client);
    connections[0]!.write(encodeCloseFrame(1012, 'restarting'));
    expect(await end).toEqual([1012, 'restarting']);
    expect(connections[0]!.events).toEqual(['close 1012 restarting']);
  });

  test('v5 [MQTT-6.0.0-1] v3.1.1 [MQTT-6.0.0-1] is told 1003 for a text message', async () => {
    const client = await openClient();
    const end = closed(client);
    client.send('text');
    expect(await end).toEqual([1003, 'text frame, MQTT takes binary frames only']);
  });

  test('sees a refusal as the status that was meant', async () => {
    const client = new Ws(`ws://127.0.0.1:${server.port}/other`, ['mqtt']);
    client.on('error', () => {});
    const response = await new Promise<{ statusCode?: number | undefined }>((resolve) =>
      client.once('unexpected-response', (_, message) => resolve(message)),
    );
    expect(response.statusCode).toBe(404);
    client.terminate();
  });

  test('may offer no subprotocol, and none that is served is refused', async () => {
    const client = await openClient([]);
    expect(client.protocol).toBe('');
    client.terminate();
    await expect(openClient(['chat'])).rejects.toThrow('400');
  });
});

describe("Bun's WebSocket", () => {
  test('gets back binary messages of every length form and closes in order', async () => {
    connections = [];
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/mqtt`, ['mqttv3.1', 'mqtt']);
    client.binaryType = 'arraybuffer';
    await new Promise((resolve, reject) => {
      client.onopen = resolve;
      client.onerror = reject;
    });
    expect(client.protocol).toBe('mqtt');
    for (const size of SIZES) {
      const { sent, body } = record(size);
      const echo = new Promise<ArrayBuffer>((resolve) => (client.onmessage = ({ data }) => resolve(data)));
      client.send(sent);
      expect(sameBytes(new Uint8Array(await echo), body)).toBe(true);
    }
    const end = new Promise<CloseEvent>((resolve) => (client.onclose = resolve));
    client.close(1000, 'done');
    const { code, reason, wasClean } = await end;
    expect({ code, reason, wasClean }).toEqual({ code: 1000, reason: 'done', wasClean: true });
    expect(connections[0]!.events).toEqual(['close 1000 done']);
  });
});

describe('an HTTP client', () => {
  test('is told to upgrade', async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/`);
    expect(response.status).toBe(426);
    expect(response.headers.get('sec-websocket-version')).toBe('13');
    expect(await response.text()).toContain('MQTT over WebSocket');
  });
});
