// Hot path of `martlet sub` and the load tester: socket -> chunk, frames -> one write a tick.
import { Backlog } from './backlog.ts';
import type { SocksProxy } from './client-socks.ts';
import { openTunnel, type TunnelOwner } from './client-socks-tunnel.ts';
import { bunTlsOptions, type ClientTlsOptions, judgeHandshake } from './client-tls-options.ts';
import {
  type ClientTransport,
  type Connector,
  TransportError,
  TransportFailure,
  type TransportHandlers,
} from './client-transport.ts';

export { type ClientTlsOptions, defaultClientTlsOptions } from './client-tls-options.ts';

/** Where to connect to; `fd` is an open socket, which is ours from then on. */
export type SocketAddress =
  { readonly hostname: string; readonly port: number } | { readonly unix: string } | { readonly fd: number };

export interface ClientSocketOptions {
  /** Null for a plain connection. */
  readonly tls: ClientTlsOptions | null;
  /** False leaves Nagle's algorithm on. */
  readonly noDelay: boolean;
  /** Way to what has a host name or address; null or left out: directly. */
  readonly proxy?: SocksProxy | null;
  /** An IP address of this machine to connect from; null or left out: as the system chooses. */
  readonly localAddress?: string | null;
}

type BunSocket = Bun.Socket<ClientSocket>;

const BUFFER_BYTES = 32 * 1024;
/** A server that does not end its side is left after this; Bun counts in steps of four seconds. */
const CLOSE_TIMEOUT_S = 5;
/** Free buffers kept for the next tick. */
const MAX_FREE_BUFFERS = 64;

/**
 * Opens TCP, TLS and unix sockets with Bun. One object serves many connections: they share handlers, TLS settings, the
 * list of what is to be flushed, and the buffers in which a tick's frames come together.
 */
export class ClientSockets {
  private readonly options: ClientSocketOptions;
  private readonly free: Uint8Array[] = [];
  private readonly dirty: ClientSocket[] = [];
  private readonly flushDirty = (): void => {
    const { dirty } = this;
    for (let i = 0; i < dirty.length; i++) dirty[i]!.flush();
    dirty.length = 0;
  };
  private readonly handlers: Bun.SocketHandler<ClientSocket> = {
    open: (socket) => guard(socket.data, () => socket.data.onOpen(socket)),
    handshake: (socket, _success, error) => guard(socket.data, () => socket.data.onHandshake(socket, error)),
    data: (socket, chunk) => {
      try {
        socket.data.onData(chunk);
      } catch (error) {
        socket.data.crash(error);
      }
    },
    drain: (socket) => guard(socket.data, () => socket.data.onDrain()),
    close: (socket, error) => guard(socket.data, () => socket.data.onClose(error ?? null)),
    timeout: (socket) => guard(socket.data, () => socket.data.onTimeout()),
    error: (socket, error) => socket.data.onError(error),
    connectError: (socket, error) => guard(socket.data, () => socket.data.onConnectError(error)),
  };

  constructor(options: ClientSocketOptions) {
    this.options = options;
  }

  connector(address: SocketAddress): Connector {
    return (handlers) => this.connect(address, handlers);
  }

  connect(address: SocketAddress, handlers: TransportHandlers): ClientTransport {
    const { tls, noDelay } = this.options;
    const hostname = 'hostname' in address ? address.hostname : null;
    const client = new ClientSocket(this, handlers, tls, noDelay && hostname !== null);
    try {
      this.open(address, client).catch((error: unknown) => guard(client, () => client.onConnectError(error)));
    } catch (error) {
      client.onConnectError(error);
    }
    client.started();
    return client;
  }

  private open(address: SocketAddress, client: ClientSocket): Promise<unknown> {
    const { tls, proxy = null, localAddress = null } = this.options;
    const hostname = 'hostname' in address ? address.hostname : null;
    const bunTls = tls === null ? null : bunTlsOptions(tls, hostname);
    if ('hostname' in address && proxy !== null) {
      return openTunnel(new ProxiedStart(client, this.handlers, bunTls), proxy, address, localAddress);
    }
    const common = { data: client, socket: this.handlers, ...(bunTls === null ? {} : { tls: bunTls }) };
    if ('unix' in address) return Bun.connect({ ...common, unix: address.unix });
    // The types of Bun have no `fd` for a client and no `localAddress`, which its own `node:net` is built on.
    if ('fd' in address) return Bun.connect({ ...common, ...(address as unknown as { unix: string }) });
    const from = localAddress === null ? {} : { localAddress };
    return Bun.connect({ ...common, ...from, hostname: address.hostname, port: address.port });
  }

  takeBuffer(): Uint8Array {
    return this.free.pop() ?? new Uint8Array(BUFFER_BYTES);
  }

  giveBuffer(buffer: Uint8Array): void {
    if (this.free.length < MAX_FREE_BUFFERS) this.free.push(buffer);
  }

  /** Has the socket flushed when the present callback is done. */
  schedule(socket: ClientSocket): void {
    if (this.dirty.push(socket) === 1) queueMicrotask(this.flushDirty);
  }
}

/** Bun hands what a callback throws to `error`, where it could not be told from a network's failure. */
function guard(socket: ClientSocket, callback: () => void): void {
  try {
    callback();
  } catch (error) {
    socket.crash(error);
  }
}

/** A connection that begins with a proxy: afterwards it is as one that began directly, with TLS where that is wanted. */
class ProxiedStart implements TunnelOwner {
  private readonly client: ClientSocket;
  private readonly handlers: Bun.SocketHandler<ClientSocket>;
  private readonly tls: Bun.TLSOptions | null;

  constructor(client: ClientSocket, handlers: Bun.SocketHandler<ClientSocket>, tls: Bun.TLSOptions | null) {
    this.client = client;
    this.handlers = handlers;
    this.tls = tls;
  }

  onTunnelStart(socket: Bun.Socket<unknown>): void {
    this.client.onTcpOpen(socket as BunSocket);
  }

  onTunnelOpen(socket: Bun.Socket<unknown>, rest: Uint8Array): void {
    const { client, handlers, tls } = this;
    if (tls !== null) {
      // The server speaks second in TLS, so there is no rest.
      socket.upgradeTLS<ClientSocket>({ data: client, tls, socket: handlers });
      return;
    }
    const plain = socket as BunSocket;
    plain.reload({ socket: handlers });
    plain.data = client;
    client.onOpen(plain);
    if (rest.length > 0) client.onData(rest);
  }

  onTunnelFailure(error: TransportError): void {
    this.client.over(error);
  }

  crash(error: unknown): void {
    this.client.crash(error);
  }
}

class ClientSocket implements ClientTransport {
  private readonly sockets: ClientSockets;
  private readonly handlers: TransportHandlers;
  private readonly tls: ClientTlsOptions | null;
  private readonly noDelay: boolean;
  /** Null before it is connected and once closed. */
  private socket: BunSocket | null = null;
  /** `connect` has not returned: Bun tells of unix sockets at once, and handlers must not hear of it yet. */
  private isStarting = true;
  /** The stream has ended, or `abort` forgot it: no handler is called any more. */
  private isOver = false;
  private isClosing = false;
  /** `close` has not returned: Bun may tell of the end at once, and handlers must not hear of it yet. */
  private isEnding = false;
  private isPaused = false;
  private isScheduled = false;
  /** The handlers know that it is open: with TLS, after the handshake. */
  private hasOpened = false;
  /** Frames of this tick are `buffer[0, length)`. */
  private buffer: Uint8Array | null = null;
  private length = 0;
  /** What the socket did not take; null where it takes all. */
  private backlog: Backlog | null = null;
  /** The network was slow since the last drain. */
  private owesDrain = false;
  private failure: TransportError | null = null;

  constructor(sockets: ClientSockets, handlers: TransportHandlers, tls: ClientTlsOptions | null, noDelay: boolean) {
    this.sockets = sockets;
    this.handlers = handlers;
    this.tls = tls;
    this.noDelay = noDelay;
  }

  get bufferedAmount(): number {
    return this.length + (this.backlog?.bytes ?? 0);
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver || this.isClosing) return;
    const count = end - start;
    if (this.length + count > BUFFER_BYTES) this.flush();
    if (count > BUFFER_BYTES) {
      this.send(bytes, start, end);
      return;
    }
    if (this.buffer === null) {
      this.buffer = this.sockets.takeBuffer();
      this.length = 0;
    }
    const { buffer, length } = this;
    if (count <= 32) for (let i = 0; i < count; i++) buffer[length + i] = bytes[start + i]!;
    else buffer.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), length);
    this.length = length + count;
    if (!this.isScheduled) {
      this.isScheduled = true;
      this.sockets.schedule(this);
    }
  }

  writeShared(bytes: Uint8Array): void {
    if (bytes.length <= BUFFER_BYTES) {
      this.write(bytes, 0, bytes.length);
      return;
    }
    if (this.isOver || this.isClosing) return;
    this.flush();
    this.send(bytes, 0, bytes.length);
  }

  pause(): void {
    this.isPaused = true;
    this.socket?.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.socket?.resume();
  }

  close(): void {
    if (this.isOver || this.isClosing) return;
    this.flush();
    this.isClosing = true;
    if (!this.hasOpened || this.backlog !== null) return;
    this.isEnding = true;
    this.endSocket();
    this.isEnding = false;
  }

  abort(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.dropOutput();
    this.socket?.terminate();
    this.socket = null;
  }

  /** Hands this tick's frames to the socket. */
  flush(): void {
    this.isScheduled = false;
    const { buffer, length } = this;
    if (buffer === null) return;
    this.buffer = null;
    this.length = 0;
    this.send(buffer, 0, length);
    this.sockets.giveBuffer(buffer);
  }

  /** Writes what the socket takes and keeps the rest. */
  private send(bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver) return;
    let at = start;
    if (this.socket !== null && this.hasOpened && this.backlog === null) {
      const taken = this.socket.write(bytes, start, end - start);
      if (taken > 0) at += taken;
    }
    if (at >= end) return;
    this.owesDrain = true;
    (this.backlog ??= new Backlog()).append(bytes, at, end);
  }

  private sendBacklog(): void {
    const { backlog, socket } = this;
    if (socket === null || !this.hasOpened) return;
    if (backlog !== null) {
      while (backlog.bytes > 0) {
        const taken = socket.write(backlog.block, backlog.blockStart, backlog.blockEnd - backlog.blockStart);
        if (taken <= 0) return;
        backlog.consume(taken);
      }
      this.backlog = null;
    }
    if (this.isClosing) this.endSocket();
    else if (this.owesDrain) {
      this.owesDrain = false;
      this.handlers.onTransportDrain(this);
    }
  }

  private dropOutput(): void {
    if (this.buffer !== null) this.sockets.giveBuffer(this.buffer);
    this.buffer = null;
    this.length = 0;
    this.backlog = null;
  }

  /**
   * Ends our side and reads on, into nothing, until the server ends its side. Closing at once would answer what the
   * server is still sending with a reset, and that can destroy what we sent last before the server reads it.
   */
  private endSocket(): void {
    const { socket } = this;
    if (socket === null) return;
    if (this.isPaused) socket.resume();
    socket.shutdown();
    socket.timeout(CLOSE_TIMEOUT_S);
  }

  started(): void {
    this.isStarting = false;
  }

  onOpen(socket: BunSocket): void {
    if (this.isStarting) {
      queueMicrotask(() => guard(this, () => this.onOpen(socket)));
      return;
    }
    this.onTcpOpen(socket);
    if (this.tls === null && !this.isOver) this.opened(socket);
  }

  /** Bytes can be sent, but they are not those of our stream yet. */
  onTcpOpen(socket: BunSocket): void {
    if (this.isOver) {
      socket.terminate();
      return;
    }
    this.socket = socket;
    if (this.noDelay) socket.setNoDelay(true);
  }

  onHandshake(socket: BunSocket, error: Error | null): void {
    const { tls } = this;
    if (tls === null || this.isOver || this.hasOpened) return;
    if (error === null) {
      this.opened(socket);
      return;
    }
    const failure = judgeHandshake(tls, systemCode(error), error);
    if (failure === null) {
      this.opened(socket);
      return;
    }
    this.failure = failure;
    socket.terminate();
  }

  private opened(socket: BunSocket): void {
    this.hasOpened = true;
    this.owesDrain = false;
    if (this.isPaused) socket.pause();
    this.handlers.onTransportOpen(this);
    this.sendBacklog();
  }

  onData(chunk: Uint8Array): void {
    if (this.isOver || this.isClosing || !this.hasOpened) return;
    this.handlers.onTransportData(this, chunk, 0, chunk.length);
  }

  onDrain(): void {
    if (!this.isOver) this.sendBacklog();
  }

  onTimeout(): void {
    this.socket?.terminate();
  }

  /** The TLS session failed; `onClose` follows. */
  onError(error: Error): void {
    const failure = this.tls === null ? TransportFailure.lost : TransportFailure.tls;
    this.failure ??= new TransportError(failure, error.message, systemCode(error), error);
  }

  /** A handler threw: a mistake of this program, which must not pass unseen. */
  crash(error: unknown): void {
    this.abort();
    queueMicrotask(() => {
      throw error;
    });
  }

  onConnectError(error: unknown): void {
    if (this.isStarting) {
      queueMicrotask(() => guard(this, () => this.onConnectError(error)));
      return;
    }
    if (error instanceof TransportError) {
      this.over(error);
      return;
    }
    const code = systemCode(error);
    const message = error instanceof Error ? error.message : String(error);
    let failure: TransportFailure = TransportFailure.connect;
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code?.startsWith('DNS_') === true) {
      failure = TransportFailure.lookup;
    } else if (code?.startsWith('ERR_') === true) failure = TransportFailure.tls;
    this.over(new TransportError(failure, message, code, error));
  }

  onClose(error: Error | null): void {
    if (this.isClosing && this.failure === null) {
      this.over(null);
      return;
    }
    let failure = this.failure;
    if (failure === null && this.tls !== null && !this.hasOpened) {
      failure = new TransportError(TransportFailure.tls, 'closed before the TLS handshake', systemCode(error), error);
    } else if (failure === null && error !== null) {
      failure = new TransportError(TransportFailure.lost, error.message, systemCode(error), error);
    }
    this.over(failure);
  }

  /** The stream has ended, or does not begin. */
  over(error: TransportError | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.socket = null;
    this.dropOutput();
    if (this.isEnding) queueMicrotask(() => guard(this, () => this.handlers.onTransportClose(this, error)));
    else this.handlers.onTransportClose(this, error);
  }
}

function systemCode(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
