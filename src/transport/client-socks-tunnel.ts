// Opens a TCP connection to a SOCKS5 proxy and has it connect us; the socket is then handed over as if it were direct.
import { TransportError, TransportFailure } from './client-transport.ts';
import { SocksHandshake, type SocksProxy } from './client-socks.ts';

/** Whoever takes the socket over, or hears why there is none. */
export interface TunnelOwner {
  /** The TCP connection to the proxy is there; nothing may be sent on it yet. */
  onTunnelStart(socket: Bun.Socket<unknown>): void;
  /** The way is open. `rest` came from the target already. Exactly one of this and `onTunnelFailure` is called. */
  onTunnelOpen(socket: Bun.Socket<unknown>, rest: Uint8Array): void;
  onTunnelFailure(error: TransportError): void;
  /** A mistake of this program. */
  crash(error: unknown): void;
}

type TunnelSocket = Bun.Socket<Tunnel | null>;

/** Events of a socket whose data is null are somebody else's: it was handed over. */
const handlers: Bun.SocketHandler<Tunnel | null> = {
  open: (socket) => socket.data?.onOpen(socket),
  data: (socket, chunk) => socket.data?.onData(socket, chunk),
  close: (socket) => socket.data?.onClose(),
  error: (socket, error) => socket.data?.onClose(error),
  // The promise of `Bun.connect` tells.
  connectError: () => {},
};

class Tunnel {
  private readonly owner: TunnelOwner;
  private readonly handshake: SocksHandshake;

  constructor(owner: TunnelOwner, handshake: SocksHandshake) {
    this.owner = owner;
    this.handshake = handshake;
  }

  onOpen(socket: TunnelSocket): void {
    this.guard(() => {
      this.owner.onTunnelStart(socket);
      // A handshake fits in the buffers of a socket that is new.
      if (socket.data !== null) socket.write(this.handshake.hello);
    });
  }

  onData(socket: TunnelSocket, chunk: Uint8Array): void {
    this.guard(() => {
      let answer: Uint8Array;
      try {
        answer = this.handshake.push(chunk);
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        socket.data = null;
        socket.terminate();
        this.owner.onTunnelFailure(error);
        return;
      }
      if (answer.length > 0) socket.write(answer);
      if (!this.handshake.isOpen) return;
      socket.data = null;
      this.owner.onTunnelOpen(socket, this.handshake.rest);
    });
  }

  onClose(error?: Error): void {
    this.guard(() => {
      const message = 'it closed the connection';
      this.owner.onTunnelFailure(new TransportError(TransportFailure.proxy, message, null, error));
    });
  }

  /** Bun hands what a callback throws to `error`, where it could not be told from a network's failure. */
  private guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.owner.crash(error);
    }
  }
}

/**
 * Begins to connect.
 *
 * @returns a promise that rejects where the proxy itself cannot be reached
 * @throws TransportError for a target that cannot be asked for
 */
export function openTunnel(
  owner: TunnelOwner,
  proxy: SocksProxy,
  target: { readonly hostname: string; readonly port: number },
  localAddress: string | null,
): Promise<unknown> {
  const tunnel = new Tunnel(owner, new SocksHandshake(proxy, target.hostname, target.port));
  return Bun.connect<Tunnel | null>({
    hostname: proxy.hostname,
    port: proxy.port,
    data: tunnel,
    socket: handlers,
    ...(localAddress === null ? {} : { localAddress }),
  });
}
