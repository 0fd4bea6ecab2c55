import { statSync, unlinkSync } from 'node:fs';
import type { ListenerConfig } from '../config/config.ts';
import { errorText, plainHandler, tlsHandler } from './bun-handler.ts';
import type { ByteSocket } from './byte-connection.ts';
import { describePortHolder } from './port-holder.ts';
import { CertificateError } from './tls/certificate-error.ts';
import type { ClientCertificate } from './tls/client-certificate.ts';
import { ListenerTls } from './tls/listener-tls.ts';

export { CertificateError };

/** A listener could not be opened; the message is one line for the operator. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** Where the port is in use, the message without the options that change it: each command has its own. */
  portInUse: string | null = null;
}

/** What the owner of a listener does with its sockets; `C` is its object for a connection. */
export interface SocketHandler<C> {
  /** A new socket; null refuses it. */
  onOpen(socket: ByteSocket): C | null;
  /** The TLS handshake is over. */
  onSecure(connection: C, tls: TlsInfo): void;
  /** The handshake failed or TLS broke; `onClose` follows. */
  onTlsError(connection: C, cause: string): void;
  onData(connection: C, chunk: Uint8Array): void;
  onDrain(connection: C): void;
  onClose(connection: C): void;
  /** One of the others threw, which is a defect of ours. */
  onCrash(connection: C, error: unknown): void;
}

/** What a finished handshake brought. */
export interface TlsInfo {
  readonly version: string;
  readonly cipher: string;
  /** That the client asked for. */
  readonly serverName: string | null;
  /** Why the connection may not stay, whatever its certificate; null: it may. */
  readonly refusal: string | null;
  /** The certificate of the client, where it was asked for one. */
  readonly client: ClientCertificate;
}

export interface OpenListener {
  /** The port bound; 0 for a unix socket. */
  readonly port: number;
  stop(): void;
  /**
   * Reads the files of its TLS anew; absent where there are none.
   *
   * @throws CertificateError: what they said before still holds
   */
  reload?(): void | Promise<void>;
}

/**
 * Opens the sockets of one listener.
 *
 * @param onWarning takes lines for the log about files of TLS, now and at each `reload`
 * @throws ListenError, CertificateError
 */
export async function openListener<C>(
  config: ListenerConfig,
  handler: SocketHandler<C>,
  onWarning: (line: string) => void = () => {},
): Promise<OpenListener> {
  const { unixPath, certfile } = config;
  if (unixPath !== null) return await openUnix(unixPath, plainHandler(config, handler));
  if (certfile === null) {
    const socket = plainHandler(config, handler);
    return listen(config, (hostname) => Bun.listen<C | null>({ hostname, ...where(config), socket, data: null }));
  }
  const tls = new ListenerTls(config, onWarning);
  const socket = tlsHandler(config, handler, (one, error) => tls.describe(one, error));
  const opened = listen(config, (hostname) => {
    const listener = Bun.listen<C | null>({ hostname, ...where(config), socket, data: null, tls: tls.options });
    tls.attach(listener);
    return listener;
  });
  return { ...opened, reload: () => tls.reload() };
}

function where({ port, socketDomain }: ListenerConfig): { port: number; ipv6Only: boolean } {
  return { port, ipv6Only: socketDomain === 'ipv6' };
}

/** @throws ListenError, CertificateError */
function listen(config: ListenerConfig, open: (hostname: string) => Bun.TCPSocketListener): OpenListener {
  try {
    return opened(open(config.host ?? '::'));
  } catch (error) {
    // A machine without IPv6: every address is then every IPv4 address.
    if (config.host === null && (error as { code?: string }).code !== 'EADDRINUSE') {
      try {
        return opened(open('0.0.0.0'));
      } catch (second) {
        throw listenError(config, second);
      }
    }
    throw listenError(config, error);
  }
}

function opened(listener: Bun.TCPSocketListener): OpenListener {
  return { port: listener.port, stop: () => listener.stop(false) };
}

function listenError(config: ListenerConfig, error: unknown): Error {
  if (error instanceof CertificateError) return error;
  const { code } = error as { code?: string };
  const where = config.host === null ? `port ${config.port}` : `port ${config.port} on ${config.host}`;
  if (code === 'EADDRINUSE') {
    const holder = describePortHolder(config.port);
    const portInUse = `Cannot listen on ${where}: it is in use${holder === null ? '' : ` by ${holder}`}.`;
    const advice = `Stop that program, or choose another port with -p PORT or 'listener PORT' in the configuration file.`;
    return Object.assign(new ListenError(`${portInUse} ${advice}`, { cause: error }), { portInUse });
  }
  if (code === 'EACCES') {
    return new ListenError(
      `Cannot listen on ${where}: not permitted. Ports below 1024 need root or the capability CAP_NET_BIND_SERVICE.`,
      { cause: error },
    );
  }
  if (code === 'EADDRNOTAVAIL') {
    return new ListenError(`Cannot listen on ${where}: this machine has no such address.`, { cause: error });
  }
  return new ListenError(`Cannot listen on ${where}: ${errorText(error)}`, { cause: error });
}

async function openUnix<C>(path: string, socket: Bun.SocketHandler<C | null>): Promise<OpenListener> {
  await removeStaleSocket(path);
  try {
    const server = Bun.listen<C | null>({ unix: path, socket, data: null });
    return { port: 0, stop: () => server.stop(false) }; // which removes the file
  } catch (error) {
    const isTaken = (error as { code?: string }).code === 'EADDRINUSE';
    const cause = isTaken ? 'there is a file or a socket in use under that name' : errorText(error);
    throw new ListenError(`Cannot listen on unix socket ${path}: ${cause}.`, { cause: error });
  }
}

/**
 * A socket file that nobody listens on, as a broker leaves it that was killed. Anything else under that name stays and
 * makes the bind fail.
 */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!statSync(path).isSocket()) return;
    const peer = await Bun.connect({ unix: path, socket: { data() {} } });
    peer.terminate();
  } catch (error) {
    // Only what refuses connections is stale; what is not there or not ours to see, the bind tells.
    if ((error as { code?: string }).code === 'ECONNREFUSED') unlinkSync(path);
  }
}
