import { afterEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pem } from '../../test/support/client/certificates.ts';
import { ClientSockets, type ClientTlsOptions, defaultClientTlsOptions, type SocketAddress } from './client-socket.ts';
import type { ClientTransport, TransportError, TransportHandlers } from './client-transport.ts';

const plain = { tls: null, noDelay: true };
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

/** Records what a transport reports, and lets tests wait for it. */
class Recorder implements TransportHandlers {
  readonly opened = Promise.withResolvers<ClientTransport>();
  readonly closed = Promise.withResolvers<TransportError | null>();
  readonly events: string[] = [];
  received = 0;
  text = '';
  onChunk: (transport: ClientTransport) => void = () => {};
  onDrain: () => void = () => {};

  onTransportOpen(transport: ClientTransport): void {
    this.events.push('open');
    this.opened.resolve(transport);
  }
  onTransportData(transport: ClientTransport, chunk: Uint8Array, start: number, end: number): void {
    this.received += end - start;
    if (this.received < 10_000) this.text += new TextDecoder().decode(chunk.subarray(start, end));
    this.onChunk(transport);
  }
  onTransportDrain(): void {
    this.events.push('drain');
    this.onDrain();
  }
  onTransportClose(_transport: ClientTransport, error: TransportError | null): void {
    this.events.push('close');
    this.closed.resolve(error);
  }
}

interface Peer {
  received: number;
  text: string;
  isPaused: boolean;
  /** Of a connection that did not close in good order. */
  error: string | null;
}

/** A server that counts what it gets. `pauseAtOnce` makes it read nothing until `resume`. */
function listen(options: { tls?: Bun.TLSOptions; unix?: string; pauseAtOnce?: boolean; greeting?: Uint8Array } = {}) {
  const peers: Bun.Socket<Peer>[] = [];
  const ended = Promise.withResolvers<Peer>();
  const socket: Bun.SocketHandler<Peer> = {
    open(peer) {
      peer.data = { received: 0, text: '', isPaused: options.pauseAtOnce === true, error: null };
      if (peer.data.isPaused) peer.pause();
      peers.push(peer);
      if (options.greeting !== undefined) peer.write(options.greeting);
    },
    data(peer, chunk) {
      peer.data.received += chunk.length;
      if (peer.data.received < 10_000) peer.data.text += chunk.toString();
    },
    // A peer whose TLS handshake failed was never opened, and has no data.
    close: (peer, error) => {
      const data = peer.data ?? { received: 0, text: '', isPaused: false, error: null };
      ended.resolve({ ...data, error: error?.message ?? null });
    },
    error() {},
  };
  const tls = options.tls === undefined ? {} : { tls: options.tls };
  let address: SocketAddress;
  if (options.unix === undefined) {
    const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket, ...tls });
    address = { hostname: '127.0.0.1', port: server.port };
    cleanups.push(() => server.stop(true));
  } else {
    const server = Bun.listen({ unix: options.unix, socket, ...tls });
    address = { unix: options.unix };
    cleanups.push(() => server.stop(true));
  }
  return { address, peers, ended: ended.promise };
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe('plain', () => {
  test('sends the frames of a tick in one write, in order', async () => {
    const { address, peers, ended } = listen();
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder);
    const transport = await recorder.opened.promise;
    for (let i = 0; i < 1_000; i++) transport.write(bytes(`x${i % 10}y`), 1, 2);
    expect(transport.bufferedAmount).toBe(1_000);
    await Promise.resolve();
    expect(transport.bufferedAmount).toBe(0);
    transport.close();
    const peer = await ended;
    expect(peer.text).toBe('0123456789'.repeat(100));
    expect(await recorder.closed.promise).toBeNull();
    expect(recorder.events).toEqual(['open', 'close']);
    expect(peers).toHaveLength(1);
  });

  test('calls nothing inside connect and takes what is written before the stream is open', async () => {
    const { address, ended } = listen();
    const recorder = new Recorder();
    const transport = new ClientSockets(plain).connect(address, recorder);
    expect(recorder.events).toEqual([]);
    transport.write(bytes('early'), 0, 5);
    await recorder.opened.promise;
    transport.close();
    expect((await ended).text).toBe('early');
  });

  test('keeps what the network does not take, tells when it has left, and closes only then', async () => {
    const { address, peers, ended } = listen({ pauseAtOnce: true });
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder);
    const transport = await recorder.opened.promise;
    const drained = new Promise<void>((resolve) => (recorder.onDrain = resolve));
    const big = new Uint8Array(20_000_000).fill(65);
    transport.writeShared(big);
    transport.write(big, 0, 100_000);
    transport.write(bytes('end'), 0, 3);
    await Promise.resolve();
    expect(transport.bufferedAmount).toBeGreaterThan(1_000_000);
    while (peers.length === 0) await Bun.sleep(1);
    peers[0]!.resume();
    await drained;
    expect(transport.bufferedAmount).toBe(0);
    transport.writeShared(big);
    transport.close();
    expect((await ended).received).toBe(40_100_003);
    expect(await recorder.closed.promise).toBeNull();
    expect(recorder.events).toEqual(['open', 'drain', 'close']);
  });

  test('pause stops data until resume', async () => {
    const { address, peers } = listen({ greeting: bytes('hello') });
    const recorder = new Recorder();
    const transport = new ClientSockets(plain).connect(address, recorder);
    transport.pause();
    await recorder.opened.promise;
    peers[0]!.write('more');
    await Bun.sleep(20);
    expect(recorder.received).toBe(0);
    const all = new Promise<void>((resolve) => {
      recorder.onChunk = () => recorder.received === 9 && resolve();
    });
    transport.resume();
    await all;
    expect(recorder.text).toBe('hellomore');
  });

  // Closing the socket at once resets the connection, and Mosquitto then loses the last acknowledgement and DISCONNECT.
  test('what was sent before close arrives although the server is sending', async () => {
    const { address, peers, ended } = listen({ greeting: new Uint8Array(3_000_000), pauseAtOnce: true });
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder);
    const sent = new Promise<void>((resolve) => {
      recorder.onChunk = (transport) => {
        transport.write(bytes('last words'), 0, 10);
        transport.close();
        resolve();
      };
    });
    await sent;
    await Bun.sleep(20);
    peers[0]!.resume();
    expect(await ended).toMatchObject({ text: 'last words', error: null });
    expect(await recorder.closed.promise).toBeNull();
  });

  test('tells of its end after close has returned', async () => {
    const { address } = listen();
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder);
    const transport = await recorder.opened.promise;
    transport.close();
    expect(recorder.events).toEqual(['open']);
    await recorder.closed.promise;
  });

  test('a server that closes', async () => {
    const { address, peers } = listen();
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder);
    await recorder.opened.promise;
    while (peers.length === 0) await Bun.sleep(1);
    peers[0]!.end();
    expect(await recorder.closed.promise).toBeNull();
  });

  test('a server that resets', async () => {
    const { address, peers } = listen();
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder);
    await recorder.opened.promise;
    while (peers.length === 0) await Bun.sleep(1);
    peers[0]!.terminate();
    expect(await recorder.closed.promise).toMatchObject({ failure: 'lost', systemCode: 'ECONNRESET' });
  });

  test('abort drops what is waiting and says nothing more', async () => {
    const { address, ended } = listen();
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder);
    const transport = await recorder.opened.promise;
    transport.write(bytes('lost'), 0, 4);
    transport.abort();
    expect(transport.bufferedAmount).toBe(0);
    expect((await ended).received).toBe(0);
    await Bun.sleep(5);
    expect(recorder.events).toEqual(['open']);
  });

  test('abort while it opens leaves no connection behind', async () => {
    const { address, ended } = listen();
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder).abort();
    await ended;
    expect(recorder.events).toEqual([]);
  });

  test('nobody listens', async () => {
    const { address } = listen();
    cleanups.pop()!();
    const recorder = new Recorder();
    new ClientSockets(plain).connect(address, recorder);
    expect(await recorder.closed.promise).toMatchObject({ failure: 'connect', systemCode: 'ECONNREFUSED' });
    expect(recorder.events).toEqual(['close']);
  });

  test('a name without address', async () => {
    const recorder = new Recorder();
    new ClientSockets(plain).connect({ hostname: 'nowhere.invalid', port: 1883 }, recorder);
    expect((await recorder.closed.promise)?.failure).toBe('lookup');
  });

  test('unix sockets', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'martlet-client-'));
    cleanups.push(() => void rm(folder, { recursive: true }));
    const { address, ended } = listen({ unix: join(folder, 's') });
    const recorder = new Recorder();
    const sockets = new ClientSockets(plain);
    sockets.connect(address, recorder);
    const transport = await recorder.opened.promise;
    transport.write(bytes('hi'), 0, 2);
    transport.close();
    expect((await ended).text).toBe('hi');
    const missing = new Recorder();
    sockets.connect({ unix: join(folder, 'missing') }, missing);
    expect(missing.events).toEqual([]);
    expect(await missing.closed.promise).toMatchObject({ failure: 'connect', systemCode: 'ENOENT' });
  });

  test('what a handler throws comes out as an uncaught error, and the connection ends', async () => {
    const { address, ended } = listen({ greeting: bytes('x') });
    const script = `
      import { ClientSockets } from ${JSON.stringify(join(import.meta.dir, 'client-socket.ts'))};
      const nothing = () => {};
      new ClientSockets({ tls: null, noDelay: true }).connect(${JSON.stringify(address)}, {
        onTransportOpen: nothing, onTransportDrain: nothing, onTransportClose: nothing,
        onTransportData() { throw new Error('my mistake'); },
      });`;
    const child = Bun.spawn([process.execPath, '-e', script], { stderr: 'pipe' });
    await ended;
    expect(await child.exited).toBe(1);
    expect(await child.stderr.text()).toContain('my mistake');
  });
});

describe('TLS', () => {
  const server = { cert: pem.serverCert, key: pem.serverKey };
  const stranger = { cert: pem.strangerCert, key: pem.strangerKey };

  async function attempt(serverTls: Bun.TLSOptions, options: Partial<ClientTlsOptions>) {
    const { address, ended } = listen({ tls: serverTls, greeting: bytes('welcome') });
    const recorder = new Recorder();
    const tls = { ...defaultClientTlsOptions, ca: [pem.ca], ...options };
    const transport = new ClientSockets({ tls, noDelay: true }).connect(address, recorder);
    recorder.onChunk = () => {
      transport.write(bytes('thanks'), 0, 6);
      transport.close();
    };
    const error = await recorder.closed.promise;
    return { error, text: recorder.text, events: recorder.events, peer: await ended };
  }

  test('talks to a trusted server of that name', async () => {
    const { error, text, peer } = await attempt(server, {});
    expect(error).toBeNull();
    expect(text).toBe('welcome');
    expect(peer.text).toBe('thanks');
  });

  test('refuses a certificate nobody trusts, and tells nothing', async () => {
    const { error, events, peer } = await attempt(server, { ca: [pem.otherCa] });
    expect(error?.failure).toBe('certificate');
    expect(events).toEqual(['close']);
    expect(peer.received).toBe(0);
  });

  test('refuses a certificate of another host', async () => {
    const { error } = await attempt(stranger, {});
    expect(error).toMatchObject({ failure: 'certificate', systemCode: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  test('verifyHost false takes another host, but nobody that is not trusted', async () => {
    expect((await attempt(stranger, { verifyHost: false })).error).toBeNull();
    expect((await attempt(stranger, { verifyHost: false, ca: [pem.otherCa] })).error?.failure).toBe('certificate');
  });

  test('trustAny takes anything', async () => {
    expect((await attempt(stranger, { trustAny: true, ca: [] })).error).toBeNull();
  });

  test('shows its own certificate, and says so where the server misses it', async () => {
    const demanding = { ...server, ca: pem.ca, requestCert: true, rejectUnauthorized: true };
    expect((await attempt(demanding, { cert: pem.clientCert, key: pem.clientKey })).error).toBeNull();
    expect((await attempt(demanding, {})).error).not.toBeNull();
  });

  test('a key that does not fit the certificate', async () => {
    const recorder = new Recorder();
    const tls = { ...defaultClientTlsOptions, cert: pem.clientCert, key: pem.serverKey };
    new ClientSockets({ tls, noDelay: true }).connect({ hostname: '127.0.0.1', port: 1 }, recorder);
    expect((await recorder.closed.promise)?.failure).toBe('tls');
    expect(recorder.events).toEqual(['close']);
  });

  test('a server that does not speak TLS', async () => {
    const { address } = listen({ greeting: bytes('220 plain text\r\n') });
    const recorder = new Recorder();
    new ClientSockets({ tls: defaultClientTlsOptions, noDelay: true }).connect(address, recorder);
    expect((await recorder.closed.promise)?.failure).toBe('tls');
  });

  test('large transfers both ways', async () => {
    const { address, ended } = listen({ tls: server });
    const recorder = new Recorder();
    const tls = { ...defaultClientTlsOptions, ca: [pem.ca] };
    new ClientSockets({ tls, noDelay: true }).connect(address, recorder);
    const transport = await recorder.opened.promise;
    transport.writeShared(new Uint8Array(5_000_000));
    transport.close();
    expect((await ended).received).toBe(5_000_000);
  });
});
