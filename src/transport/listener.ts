import { readFileSync, statSync, unlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { ListenerConfig } from '../config/config.ts';
import type { ByteSocket } from './byte-connection.ts';
import { describePortHolder } from './port-holder.ts';

/** A listener could not be opened; the message is one line for the operator. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** Where the port is in use, the message without the options that change it: each command has its own. */
  portInUse: string | null = null;
}

/** Certificates could not be loaded or do not fit; the message names the file. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
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

export interface TlsInfo {
  readonly version: string;
  readonly cipher: string;
  /** Common Name of the client's certificate, where it presented one that verified. */
  readonly commonName: string | null;
  readonly isVerified: boolean;
  readonly error: string | null;
  readonly serverName: string | null;
}

export interface OpenListener {
  /** The port bound; 0 for a unix socket. */
  readonly port: number;
  stop(): void;
}

/** A socket's data is its connection; null before it is opened and once it is closed. */
type BunSocket<C> = Bun.Socket<C | null>;

/** ALPN names in the wire form that the TLS library takes: a length byte before each. */
function alpnList(names: readonly string[]): string {
  return names.map((name) => String.fromCharCode(name.length) + name).join('');
}

function readPem(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CertificateError(`Unable to load ${option} "${path}": ${(error as Error).message}`, { cause: error });
  }
}

/** Everything of a listener's TLS that both ways of serving it need. */
function tlsOptions(config: ListenerConfig) {
  const ca = config.cafile === null ? null : readPem(config.cafile, 'cafile');
  return {
    key: readPem(config.keyfile!, 'keyfile'),
    cert: readPem(config.certfile!, 'certfile'),
    ...(ca === null ? {} : { ca }),
    ...(config.ciphers === null ? {} : { ciphers: config.ciphers }),
    requestCert: config.requireCertificate,
    rejectUnauthorized: config.requireCertificate,
  };
}

/** The lowest TLS version as Bun.listen takes it: the number on the wire. */
function minVersionNumber(config: ListenerConfig): number {
  return config.tlsVersion === 'tlsv1.3' ? 0x0304 : 0x0303;
}

function alpnNames(config: ListenerConfig): string[] {
  return config.protocol === 'websockets' ? ['http/1.1', 'mqtt'] : ['mqtt'];
}

function errorText(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return message !== undefined && message !== '' ? message : (code ?? String(error));
}

/**
 * Opens the sockets of one listener.
 *
 * @throws ListenError, CertificateError
 */
export async function openListener<C>(config: ListenerConfig, handler: SocketHandler<C>): Promise<OpenListener> {
  if (config.certfile !== null && config.sniCertificates.length > 0) return openSniListener(config, handler);
  const socket = bunHandler(config, handler);
  if (config.unixPath !== null) return await openUnix(config.unixPath, socket);
  const tls =
    config.certfile === null
      ? {}
      : {
          tls: {
            ...tlsOptions(config),
            ALPNProtocols: alpnList(alpnNames(config)),
            minVersion: minVersionNumber(config),
          },
        };
  const listen = (hostname: string) =>
    Bun.listen<C | null>({ hostname, port: config.port, socket, data: null, ...tls });
  try {
    const server = listen(config.host ?? '::');
    return { port: server.port, stop: () => server.stop(false) };
  } catch (error) {
    // A machine without IPv6: every address is then every IPv4 address.
    if (config.host === null && (error as { code?: string }).code !== 'EADDRINUSE') {
      try {
        const server = listen('0.0.0.0');
        return { port: server.port, stop: () => server.stop(false) };
      } catch (second) {
        throw listenError(config, second);
      }
    }
    throw listenError(config, error);
  }
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

function bunHandler<C>(config: ListenerConfig, handler: SocketHandler<C>): Bun.SocketHandler<C | null> {
  const shared: Bun.SocketHandler<C | null> = {
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
      if (connection === null) return;
      if (config.certfile === null) handler.onCrash(connection, error);
      else handler.onTlsError(connection, errorText(error));
    },
  };
  if (config.certfile === null) return shared;
  shared.handshake = (socket, success, error) => {
    const connection = socket.data;
    if (connection === null) return;
    if (!success) {
      if (error === null || !isNetworkError(error)) {
        handler.onTlsError(connection, error === null ? 'handshake failed' : errorText(error));
      }
      socket.terminate();
      return;
    }
    handler.onSecure(connection, bunTlsInfo(config, socket, error));
  };
  return shared;
}

function bunTlsInfo<C>(config: ListenerConfig, socket: BunSocket<C>, error: Error | null): TlsInfo {
  const certificate = config.requireCertificate ? socket.getPeerCertificate() : null;
  const hasCertificate = certificate !== null && Object.keys(certificate).length > 0;
  const isVerified = hasCertificate && socket.authorized;
  const cipher = socket.getCipher();
  const name = certificate?.subject?.CN;
  return {
    version: cipher.version,
    cipher: cipher.name,
    commonName: isVerified ? ((Array.isArray(name) ? name[0] : name) ?? null) : null,
    isVerified,
    error: error === null ? null : ((error as { code?: string }).code ?? error.message),
    serverName: socket.getServername() || null,
  };
}

/**
 * A listener with several certificates. Bun.listen takes one, so this one goes through node:tls, which chooses by the
 * name the client asks for; a connection here costs a few KB more.
 */
async function openSniListener<C>(config: ListenerConfig, handler: SocketHandler<C>): Promise<OpenListener> {
  const server: Server = createServer({
    ...tlsOptions(config),
    ALPNProtocols: alpnNames(config),
    minVersion: config.tlsVersion === 'tlsv1.3' ? 'TLSv1.3' : 'TLSv1.2',
  });
  for (const one of config.sniCertificates) {
    server.addContext(one.serverName, {
      key: readPem(one.keyfile, 'sni_certificate'),
      cert: readPem(one.certfile, 'sni_certificate'),
    });
  }
  serveNodeSockets(config, server, handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(config, error)));
    server.listen(config.port, config.host ?? '::', resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : config.port,
    stop: () => server.close(),
  };
}

class NodeByteSocket implements ByteSocket {
  private readonly socket: TLSSocket;
  readonly remoteAddress: string;
  readonly remotePort: number;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    this.remoteAddress = socket.remoteAddress ?? 'unknown';
    this.remotePort = socket.remotePort ?? 0;
  }

  /** Takes all or nothing: node buffers what it took, until `drain`. */
  write(bytes: Uint8Array, start: number, length: number): number {
    if (this.socket.destroyed) return -1;
    if (this.socket.writableNeedDrain) return 0;
    this.socket.write(bytes.slice(start, start + length));
    return length;
  }

  shutdown(): void {
    this.socket.end();
  }
  terminate(): void {
    this.socket.destroy();
  }
  end(): void {
    this.socket.end();
  }
  pause(): void {
    this.socket.pause();
  }
  resume(): void {
    this.socket.resume();
  }
}

/**
 * Connections count from the moment they are accepted, so that limits and the time for CONNECT hold for those that
 * never finish their handshake: under Bun the socket of `connection` is the one that `secureConnection` gives later.
 */
function serveNodeSockets<C>(config: ListenerConfig, server: Server, handler: SocketHandler<C>): void {
  const connections = new WeakMap<Socket, C>();
  const secure = new WeakSet<Socket>();
  server.on('connection', (socket: Socket) => {
    const connection = handler.onOpen(new NodeByteSocket(socket as TLSSocket));
    if (connection === null) return void socket.destroy();
    connections.set(socket, connection);
    const guard = (call: () => void) => {
      try {
        call();
      } catch (error) {
        handler.onCrash(connection, error);
      }
    };
    socket.setNoDelay(config.setTcpNodelay);
    socket.on('data', (chunk: Uint8Array) => handler.onData(connection, chunk));
    socket.on('drain', () => guard(() => handler.onDrain(connection)));
    socket.on('close', () => guard(() => handler.onClose(connection)));
    // What fails before the handshake is over comes as `tlsClientError` too.
    socket.on('error', (error) => {
      if (secure.has(socket) && !isNetworkError(error)) handler.onTlsError(connection, errorText(error));
    });
  });
  server.on('secureConnection', (socket) => {
    const connection = connections.get(socket);
    if (connection === undefined) return;
    secure.add(socket);
    handler.onSecure(connection, nodeTlsInfo(config, socket, null));
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const connection = connections.get(socket);
    const rejection = socket.authorizationError as Error | string | null | undefined;
    if (connection === undefined || isNetworkError(error)) return void socket.destroy();
    if (rejection != null) handler.onSecure(connection, nodeTlsInfo(config, socket, String(rejection)));
    else handler.onTlsError(connection, errorText(error));
    socket.destroy();
  });
}

/** The connection broke, which its close tells anyway. */
function isNetworkError(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE';
}

function nodeTlsInfo(config: ListenerConfig, socket: TLSSocket, error: string | null): TlsInfo {
  const certificate = config.requireCertificate ? socket.getPeerCertificate() : null;
  const isVerified = certificate !== null && Object.keys(certificate).length > 0 && socket.authorized;
  const cipher = socket.getCipher();
  const name = certificate?.subject?.CN;
  return {
    version: socket.getProtocol() ?? cipher.version,
    cipher: cipher.name,
    commonName: isVerified ? ((Array.isArray(name) ? name[0] : name) ?? null) : null,
    isVerified,
    error,
    serverName: (socket as TLSSocket & { servername?: string }).servername ?? null,
  };
}
