import type { ListenerConfig } from '../config/config.ts';
import type { ByteSocket } from './byte-connection.ts';
import type { SocketHandler, TlsInfo } from './listener.ts';

/** A socket's data is its connection; null before it is opened and once it is closed. */
export type BunSocket<C> = Bun.Socket<C | null>;

/** Of a listener's configuration; it may change while the listener is open, for the sockets to come. */
type SocketConfig = Pick<ListenerConfig, 'setTcpNodelay'>;

/** Turns events of Bun's plain sockets into calls of a handler. */
export function plainHandler<C>(config: SocketConfig, handler: SocketHandler<C>): Bun.SocketHandler<C | null> {
  return {
    binaryType: 'uint8array',
    open(socket) {
      const connection = handler.onOpen(socket as unknown as ByteSocket);
      socket.data = connection;
      if (connection === null) socket.terminate();
      else if (!config.setTcpNodelay) socket.setNoDelay(false);
    },
    data(socket, chunk) {
      const connection = socket.data;
      if (connection !== null) handler.onData(connection, chunk);
    },
    drain(socket) {
      const connection = socket.data;
      if (connection === null) return;
      try {
        handler.onDrain(connection);
      } catch (error) {
        handler.onCrash(connection, error);
      }
    },
    close(socket) {
      const connection = socket.data;
      if (connection === null) return;
      socket.data = null;
      try {
        handler.onClose(connection);
      } catch (error) {
        handler.onCrash(connection, error);
      }
    },
    error(socket, error) {
      const connection = socket.data;
      if (connection !== null) handler.onCrash(connection, error);
    },
  };
}

/** The same for sockets with TLS; `describe` says what a handshake brought. */
export function tlsHandler<C>(
  config: SocketConfig,
  handler: SocketHandler<C>,
  describe: (socket: BunSocket<C>, error: Error | null) => TlsInfo,
): Bun.SocketHandler<C | null> {
  return {
    ...plainHandler(config, handler),
    error(socket, error) {
      const connection = socket.data;
      if (connection !== null) handler.onTlsError(connection, errorText(error));
    },
    handshake(socket, success, error) {
      const connection = socket.data;
      if (connection === null) return;
      if (success) {
        try {
          handler.onSecure(connection, describe(socket, error));
        } catch (failure) {
          handler.onCrash(connection, failure);
        }
        return;
      }
      if (error === null || !isNetworkError(error)) {
        handler.onTlsError(connection, error === null ? 'handshake failed' : errorText(error));
      }
      socket.terminate();
    },
  };
}

export function errorText(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return message !== undefined && message !== '' ? message : (code ?? String(error));
}

/** The connection broke, which its close tells anyway. */
function isNetworkError(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE';
}
