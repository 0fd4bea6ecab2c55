import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import type { ClientTransport, TransportError, TransportHandlers } from './client-transport.ts';
import { ClientSockets } from './client-socket.ts';
import { encodeMaskedFrame, maskedFrameLength, MaskingKeys, ServerFrameReader } from './client-websocket-frames.ts';
import { webSocketConnector } from './client-websocket.ts';
import { WebSocketFrameReader, WebSocketOpcode } from './websocket-frames.ts';

const request = { host: 'h:1', path: '/mqtt', protocol: 'mqtt', headers: { 'X-Extra': 'yes' } };
const bytes = (text: string) => new TextEncoder().encode(text);

/** The stream under the WebSocket, in memory. */
class Pipe implements ClientTransport {
  bufferedAmount = 0;
  written = '';
  frames: number[] = [];
  isClosed = false;
  wasAborted = false;
  private readonly handlers: TransportHandlers;

  constructor(handlers: TransportHandlers) {
    this.handlers = handlers;
  }
  write(chunk: Uint8Array, start: number, end: number): void {
    if (this.written.endsWith('\r\n\r\n')) this.frames.push(...chunk.subarray(start, end));
    else this.written += new TextDecoder().decode(chunk.subarray(start, end));
  }
  writeShared(chunk: Uint8Array): void {
    this.write(chunk, 0, chunk.length);
  }
  pause(): void {}
  resume(): void {}
  close(): void {
    this.isClosed = true;
  }
  abort(): void {
    this.wasAborted = true;
  }
  open(): void {
    this.handlers.onTransportOpen(this);
  }
  send(chunk: Uint8Array): void {
    this.handlers.onTransportData(this, chunk, 0, chunk.length);
  }
  finishClose(error: TransportError | null = null): void {
    this.handlers.onTransportClose(this, error);
  }

  get answer(): string {
    const key = /Sec-WebSocket-Key: (\S+)/.exec(this.written)?.[1] ?? '';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    return [
      'HTTP/1.1 101 Switching Protocols',
      'upgrade: WebSocket',
      'Connection: keep-alive, Upgrade',
      `sec-websocket-accept: ${accept}`,
      'Sec-WebSocket-Protocol: mqtt',
      '\r\n',
    ].join('\r\n');
  }
}

function start() {
  let pipe: Pipe | null = null;
  const events: string[] = [];
  const errors: (TransportError | null)[] = [];
  const received: number[] = [];
  const handlers: TransportHandlers = {
    onTransportOpen: () => void events.push('open'),
    onTransportData: (_transport, chunk, from, to) => void received.push(...chunk.subarray(from, to)),
    onTransportDrain: () => void events.push('drain'),
    onTransportClose: (_transport, error) => {
      events.push('close');
      errors.push(error);
    },
  };
  const transport = webSocketConnector((inner) => (pipe = new Pipe(inner)), request)(handlers);
  const made = pipe as Pipe | null;
  if (made === null) throw new Error('no inner connection was asked for');
  return { transport, pipe: made, events, errors, received };
}

function upgraded() {
  const all = start();
  all.pipe.open();
  all.pipe.send(bytes(all.pipe.answer));
  return all;
}

describe('handshake', () => {
  test('asks as RFC 6455 section 4.1 wants and opens on the right answer', () => {
    const { pipe, events } = start();
    pipe.open();
    expect(pipe.written).toMatch(/^GET \/mqtt HTTP\/1\.1\r\nHost: h:1\r\n/);
    expect(pipe.written).toMatch(/\r\nSec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r\n/);
    expect(pipe.written).toContain('\r\nSec-WebSocket-Protocol: mqtt\r\n');
    expect(pipe.written).toContain('\r\nX-Extra: yes\r\n');
    expect(events).toEqual([]);
    for (const byte of bytes(pipe.answer)) pipe.send(Uint8Array.of(byte));
    expect(events).toEqual(['open']);
  });

  test('frames right behind the answer are not lost', () => {
    const { pipe, received } = start();
    pipe.open();
    pipe.send(Uint8Array.from([...bytes(pipe.answer), 0x82, 2, 7, 8]));
    expect(received).toEqual([7, 8]);
  });

  test.each<[string, (answer: string) => string]>([
    ['another status', (answer) => answer.replace('101 Switching Protocols', '200 OK')],
    ['no HTTP', () => 'SSH-2.0\r\n\r\n'],
    ['no upgrade', (answer) => answer.replace('upgrade: WebSocket\r\n', '')],
    ['no Connection field', (answer) => answer.replace('Connection: keep-alive, Upgrade\r\n', '')],
    ['a wrong key', (answer) => answer.replace(/accept: .*\r/, 'accept: AAAA\r')],
    ['another subprotocol', (answer) => answer.replace('Protocol: mqtt', 'Protocol: chat')],
    ['no subprotocol', (answer) => answer.replace('Sec-WebSocket-Protocol: mqtt\r\n', '')],
    [
      'an extension',
      (answer) => answer.replace('\r\n\r\n', '\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n'),
    ],
    ['an endless answer', () => `HTTP/1.1 101 X\r\n${'a: b\r\n'.repeat(4_000)}`],
  ])('refuses %s', (_name, change) => {
    const { pipe, events, errors } = start();
    pipe.open();
    pipe.send(bytes(change(pipe.answer)));
    expect(events).toEqual(['close']);
    expect(errors[0]?.failure).toBe('websocket');
    expect(pipe.wasAborted).toBe(true);
  });

  test('refuses to smuggle fields', () => {
    const errors: (TransportError | null)[] = [];
    let pipe: Pipe | null = null;
    const nothing = () => {};
    const odd = { ...request, path: '/ HTTP/1.1\r\nX: y' };
    webSocketConnector(
      (inner) => (pipe = new Pipe(inner)),
      odd,
    )({
      onTransportOpen: nothing,
      onTransportData: nothing,
      onTransportDrain: nothing,
      onTransportClose: (_transport, error) => void errors.push(error),
    });
    (pipe as Pipe | null)?.open();
    expect(errors[0]?.failure).toBe('websocket');
    expect((pipe as Pipe | null)?.written).toBe('');
  });

  test('a server that closes instead of answering', () => {
    const { pipe, errors } = start();
    pipe.open();
    pipe.finishClose();
    expect(errors[0]?.failure).toBe('lost');
  });
});

describe('frames', () => {
  test('go out masked, as our own server reads them', () => {
    const { transport, pipe } = upgraded();
    const big = Uint8Array.from({ length: 200_000 }, (_, i) => i * 7);
    transport.write(bytes('xhellox'), 1, 6);
    transport.writeShared(big);
    const collected: number[] = [];
    const problems: string[] = [];
    const frames = Uint8Array.from(pipe.frames);
    new WebSocketFrameReader(1_000_000).read(frames, 0, frames.length, {
      onPayload: (chunk, from, to) => void collected.push(...chunk.subarray(from, to)),
      onPing: () => void problems.push('ping'),
      onPong: () => void problems.push('pong'),
      onClose: () => void problems.push('close'),
      onProtocolError: (_code, cause) => void problems.push(cause),
    });
    expect(problems).toEqual([]);
    expect(Uint8Array.from(collected)).toEqual(Uint8Array.from([...bytes('hello'), ...big]));
  });

  test('come in whole, split and fragmented', () => {
    const { pipe, received } = upgraded();
    const stream = [0x02, 1, 1, 0x89, 0, 0x00, 2, 2, 3, 0x80, 0, 0x82, 126, 0, 200, ...new Array<number>(200).fill(9)];
    for (const byte of stream) pipe.send(Uint8Array.of(byte));
    expect(received).toEqual([1, 2, 3, ...new Array<number>(200).fill(9)]);
  });

  test('a ping gets its pong', () => {
    const { pipe } = upgraded();
    pipe.send(Uint8Array.of(0x89, 2, 0x61, 0x62));
    const key = pipe.frames.slice(2, 6);
    expect(pipe.frames.slice(0, 2)).toEqual([0x8a, 0x82]);
    expect(pipe.frames.slice(6).map((byte, i) => byte ^ key[i]!)).toEqual([0x61, 0x62]);
  });

  test('Close is answered and ends the stream in good order', () => {
    const { pipe, events, errors, received } = upgraded();
    pipe.send(Uint8Array.of(0x88, 2, 3, 0xe9, 0x82, 1, 5));
    expect(pipe.frames[0]).toBe(0x88);
    expect(pipe.isClosed).toBe(true);
    pipe.finishClose();
    expect(events).toEqual(['open', 'close']);
    expect(errors).toEqual([null]);
    expect(received).toEqual([]);
  });

  test('our close says so to the server', () => {
    const { transport, pipe, errors } = upgraded();
    transport.close();
    expect(pipe.frames.slice(0, 2)).toEqual([0x88, 0x82]);
    transport.write(bytes('late'), 0, 4);
    expect(pipe.frames).toHaveLength(8);
    pipe.finishClose();
    expect(errors).toEqual([null]);
  });

  test.each<[string, number[]]>([
    ['text', [0x81, 1, 0x61]],
    ['a masked frame', [0x82, 0x81, 1, 2, 3, 4, 5]],
    ['reserved bits', [0xc2, 0]],
    ['a reserved opcode', [0x83, 0]],
    ['a reserved control opcode', [0x8b, 0]],
    ['a continuation of nothing', [0x80, 0]],
    ['a message inside a message', [0x02, 0, 0x82, 0]],
    ['a fragmented control frame', [0x09, 0]],
    ['a long control frame', [0x89, 126, 0, 200]],
    ['a length beyond counting', [0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255]],
  ])('%s ends the connection', (_name, frame) => {
    const { pipe, events, errors } = upgraded();
    pipe.send(Uint8Array.from(frame));
    expect(events).toEqual(['open', 'close']);
    expect(errors[0]?.failure).toBe('websocket');
    expect(pipe.frames[0]).toBe(0x88);
    pipe.send(Uint8Array.of(0x82, 1, 1));
    pipe.finishClose();
    expect(events).toHaveLength(2);
  });

  test('masking keys differ', () => {
    const keys = new MaskingKeys();
    const seen = new Set<string>();
    const out = new Uint8Array(maskedFrameLength(0));
    for (let i = 0; i < 3_000; i++) {
      encodeMaskedFrame(out, WebSocketOpcode.pong, out, 0, 0, keys);
      seen.add(out.subarray(2).join());
    }
    expect(seen.size).toBeGreaterThan(2_990);
  });

  test('the reader stops after Close', () => {
    const log: string[] = [];
    const reader = new ServerFrameReader({
      onPayload: () => void log.push('payload'),
      onPing: () => void log.push('ping'),
      onClose: (code) => void log.push(`close ${code}`),
      onViolation: () => void log.push('violation'),
    });
    const stream = Uint8Array.of(0x88, 0, 0x82, 1, 1);
    reader.push(stream, 0, stream.length);
    expect(log).toEqual(['close 1005']);
  });
});

test('speaks with a WebSocket server over a socket', async () => {
  const echoed = Promise.withResolvers<string>();
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (incoming, self) => {
      const headers = { 'Sec-WebSocket-Protocol': incoming.headers.get('Sec-WebSocket-Protocol') ?? '' };
      return self.upgrade(incoming, { headers }) ? undefined : new Response('no', { status: 400 });
    },
    websocket: { message: (socket, message) => void socket.send(message) },
  });
  let text = '';
  const connector = new ClientSockets({ tls: null, noDelay: true }).connector({
    hostname: '127.0.0.1',
    port: server.port ?? 0,
  });
  const closed = Promise.withResolvers<TransportError | null>();
  webSocketConnector(
    connector,
    request,
  )({
    onTransportOpen: (transport) => transport.write(bytes('ping-pong'), 0, 9),
    onTransportData: (transport, chunk, from, to) => {
      text += new TextDecoder().decode(chunk.subarray(from, to));
      if (text.length < 9) return;
      echoed.resolve(text);
      transport.close();
    },
    onTransportDrain: () => {},
    onTransportClose: (_transport, error) => closed.resolve(error),
  });
  expect(await echoed.promise).toBe('ping-pong');
  expect(await closed.promise).toBeNull();
  await server.stop(true);
});
