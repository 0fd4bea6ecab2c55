// Streams through a SOCKS5 proxy, plain and with TLS inside, on real sockets.
import { afterEach, expect, test } from 'bun:test';
import { createServer, type Socket } from 'node:net';
import { ClientSockets, defaultClientTlsOptions } from '../../src/transport/client-socket.ts';
import type { SocksProxy } from '../../src/transport/client-socks.ts';
import {
  type ClientTransport,
  type TransportError,
  TransportFailure,
  type TransportHandlers,
} from '../../src/transport/client-transport.ts';
import { pem } from '../support/client/certificates.ts';
import { type SocksRules, startSocksServer } from '../support/client/socks-server.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

/** Sends back what comes. */
function startEcho(tls: Bun.TLSOptions | null = null): number {
  const waiting = new Map<unknown, Uint8Array>();
  const send = (socket: Bun.Socket<undefined>, bytes: Uint8Array) => {
    const taken = socket.write(bytes);
    if (taken < bytes.length) waiting.set(socket, bytes.slice(Math.max(0, taken)));
    else waiting.delete(socket);
  };
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    ...(tls === null ? {} : { tls }),
    socket: {
      data: (socket, chunk) => send(socket, Buffer.concat([waiting.get(socket) ?? new Uint8Array(0), chunk])),
      drain: (socket) => send(socket, waiting.get(socket) ?? new Uint8Array(0)),
    },
  });
  cleanups.push(() => server.stop(true));
  return server.port;
}

async function startProxy(rules: SocksRules = {}): Promise<{ proxy: SocksProxy; targets: string[] }> {
  const { port, targets, stop } = await startSocksServer(rules);
  cleanups.push(stop);
  return { proxy: { hostname: '127.0.0.1', port, username: null, password: '' }, targets };
}

class Recorder implements TransportHandlers {
  readonly opened = Promise.withResolvers<ClientTransport>();
  readonly closed = Promise.withResolvers<TransportError | null>();
  readonly chunks: Uint8Array[] = [];
  onChunk = () => {};
  onTransportOpen(transport: ClientTransport): void {
    this.opened.resolve(transport);
  }
  onTransportData(_transport: ClientTransport, chunk: Uint8Array, start: number, end: number): void {
    this.chunks.push(chunk.slice(start, end));
    this.onChunk();
  }
  onTransportDrain(): void {}
  onTransportClose(_transport: ClientTransport, error: TransportError | null): void {
    this.closed.resolve(error);
  }
  async received(bytes: number): Promise<Buffer> {
    for (;;) {
      const all = Buffer.concat(this.chunks);
      if (all.length >= bytes) return all;
      await new Promise<void>((resolve) => (this.onChunk = resolve));
    }
  }
}

const serverTls = { cert: pem.serverCert, key: pem.serverKey };
const clientTls = { ...defaultClientTlsOptions, ca: [pem.ca] };

test.each([
  ['plain', null, null, {}],
  ['plain, answers a byte at a time', null, null, { slow: true }],
  ['TLS', serverTls, clientTls, {}],
  ['TLS, answers a byte at a time', serverTls, clientTls, { slow: true }],
])('%s: what is written at once and much more comes back', async (_name, listenerTls, tls, rules) => {
  const port = startEcho(listenerTls);
  const { proxy, targets } = await startProxy(rules);
  const recorder = new Recorder();
  const transport = new ClientSockets({ tls, noDelay: true, proxy }).connect({ hostname: 'localhost', port }, recorder);
  const sent = Uint8Array.from({ length: 2_000_000 }, (_, i) => (i * 31) >> 4);
  transport.writeShared(sent);
  expect(Bun.deepEquals(new Uint8Array(await recorder.received(sent.length)), sent)).toBe(true);
  transport.close();
  expect(await recorder.closed.promise).toBeNull();
  // The name went to the proxy as it was.
  expect(targets).toEqual([`localhost:${port}`]);
});

test('a certificate that nobody trusts ends it, through a proxy as well', async () => {
  const port = startEcho(serverTls);
  const { proxy } = await startProxy();
  const recorder = new Recorder();
  const tls = { ...clientTls, ca: [pem.otherCa] };
  new ClientSockets({ tls, noDelay: true, proxy }).connect({ hostname: 'localhost', port }, recorder);
  expect(await recorder.closed.promise).toMatchObject({ failure: TransportFailure.certificate });
});

test('the server says something before we do', async () => {
  const server = createServer((socket: Socket) => socket.end('welcome'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  const { proxy } = await startProxy();
  const recorder = new Recorder();
  const { port } = server.address() as { port: number };
  new ClientSockets({ tls: null, noDelay: true, proxy }).connect({ hostname: '127.0.0.1', port }, recorder);
  expect((await recorder.received(7)).toString()).toBe('welcome');
  expect(await recorder.closed.promise).toBeNull();
});

test.each<[string, SocksRules, string | null]>([
  ['a refusal', { reply: 5 }, 'ENOTCONN'],
  ['a rule', { reply: 2 }, 'EACCES'],
  ['a password', { user: { name: 'a', password: 'b' } }, 'EACCES'],
  ['HTTP', { garbage: Buffer.from('HTTP/1.1 400 Bad Request\r\n') }, null],
  ['a silent end', { garbage: new Uint8Array(0) }, null],
])('%s of the proxy is told', async (_name, rules, systemCode) => {
  const { proxy } = await startProxy(rules);
  const recorder = new Recorder();
  new ClientSockets({ tls: null, noDelay: true, proxy }).connect({ hostname: 'h', port: 1 }, recorder);
  expect(await recorder.closed.promise).toMatchObject({ failure: TransportFailure.proxy, systemCode });
});

test('a proxy that nobody runs is told as a refused connection, and a name too long as one without address', async () => {
  const proxy = { hostname: '127.0.0.1', port: 1, username: null, password: '' };
  const sockets = new ClientSockets({ tls: null, noDelay: true, proxy });
  const refused = new Recorder();
  sockets.connect({ hostname: 'h', port: 1 }, refused);
  expect(await refused.closed.promise).toMatchObject({ failure: TransportFailure.connect, systemCode: 'ECONNREFUSED' });
  const tooLong = new Recorder();
  sockets.connect({ hostname: 'x'.repeat(300), port: 1 }, tooLong);
  expect(await tooLong.closed.promise).toMatchObject({ failure: TransportFailure.lookup });
});

test('abort while the proxy does not answer leaves no connection', async () => {
  const connected = Promise.withResolvers<Socket>();
  const server = createServer((socket) => connected.resolve(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as { port: number };
  const proxy = { hostname: '127.0.0.1', port, username: null, password: '' };
  const recorder = new Recorder();
  const transport = new ClientSockets({ tls: null, noDelay: true, proxy }).connect(
    { hostname: 'h', port: 1 },
    recorder,
  );
  const peer = await connected.promise;
  const closed = new Promise((resolve) => peer.on('close', resolve));
  peer.on('error', () => {});
  await new Promise((resolve) => peer.once('data', resolve));
  transport.abort();
  await closed;
});

test('a connection begins at the address that was asked for', async () => {
  const from = Promise.withResolvers<string>();
  const server = createServer((socket) => {
    from.resolve(socket.remoteAddress!);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as { port: number };
  const sockets = new ClientSockets({ tls: null, noDelay: true, localAddress: '127.0.0.9' });
  sockets.connect({ hostname: '127.0.0.1', port }, new Recorder());
  expect(await from.promise).toBe('127.0.0.9');
});
