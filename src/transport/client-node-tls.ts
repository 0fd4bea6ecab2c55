// TLS by a process of Node.js, for what the TLS of Bun lacks: pre-shared keys, a key log, cipher suites of TLS 1.3. The
// connection to the server stays here, so that proxies and WebSocket are the same on both ways.
import program from './client-node-tls-program.mjs' with { type: 'text' };
import { ClientSockets } from './client-socket.ts';
import { type ClientTlsOptions, judgeHandshake } from './client-tls-options.ts';
import {
  type ClientTransport,
  type Connector,
  TransportError,
  TransportFailure,
  type TransportHandlers,
} from './client-transport.ts';
import { nodeEnvironment } from './node-environment.ts';

/** A key that both sides have. */
export interface PskSecret {
  readonly identity: string;
  readonly key: Uint8Array;
}

export interface NodeTlsOptions extends ClientTlsOptions {
  /** Null: certificates. */
  readonly psk: PskSecret | null;
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3';
  /** A file to which the secrets of each connection are appended, in the format of NSS; null for none. */
  readonly keyLogFile: string | null;
}

/** One side is read no further while so many bytes wait for the other. */
const MAX_WAITING_BYTES = 256 * 1024;
const MAX_ERROR_TEXT = 2_000;

/** What the program says; see there. */
type Report =
  | { readonly type: 'open'; readonly problem: { readonly code: string; readonly message: string } | null }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

/**
 * TLS over what `inner` opens.
 *
 * @param node path of the Node.js program, version 20 or newer
 * @param hostname what the certificate must name; null for nothing
 */
export function nodeTlsConnector(
  inner: Connector,
  node: string,
  hostname: string | null,
  options: NodeTlsOptions,
): Connector {
  return (handlers) => new NodeTlsTransport(inner, node, hostname, options, handlers);
}

class NodeTlsTransport implements ClientTransport {
  private readonly options: NodeTlsOptions;
  private readonly handlers: TransportHandlers;
  private readonly child;
  private readonly sockets = new ClientSockets({ tls: null, noDelay: false });
  /** To the server. */
  private readonly outer: ClientTransport;
  /** The same bytes from and to the process; null until there is a connection. */
  private encrypted: ClientTransport | null = null;
  /** Our bytes as they are. */
  private readonly clear: ClientTransport;
  /** The handshake is over, and the server is to be trusted. */
  private hasOpened = false;
  private isClosing = false;
  private isOver = false;
  /** How the connection to the server broke, for when all that came before has been read. */
  private loss: TransportError | null = null;

  constructor(
    inner: Connector,
    node: string,
    hostname: string | null,
    options: NodeTlsOptions,
    handlers: TransportHandlers,
  ) {
    this.options = options;
    this.handlers = handlers;
    this.child = Bun.spawn({
      cmd: [node, '--input-type=module', '--eval', program],
      env: nodeEnvironment(),
      stdio: ['pipe', 'pipe', 'pipe', 'socket-fd', 'socket-fd'],
    });
    // Keys go this way, since command lines and environments can be read by others.
    this.child.stdin.write(`${JSON.stringify(programOptions(hostname, options))}\n`);
    void Promise.resolve(this.child.stdin.flush()).catch(() => {}); // its exit tells
    this.clear = this.sockets.connect({ fd: this.child.stdio[3]! }, this.clearHandlers());
    this.clear.pause();
    this.outer = inner(this.outerHandlers());
    void this.watch();
  }

  get bufferedAmount(): number {
    return this.clear.bufferedAmount;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    this.clear.write(bytes, start, end);
  }

  writeShared(bytes: Uint8Array): void {
    this.clear.writeShared(bytes);
  }

  pause(): void {
    this.clear.pause();
  }

  resume(): void {
    this.clear.resume();
  }

  /** The process ends TLS, then its side of `encrypted` ends, and then the connection does. */
  close(): void {
    if (this.isOver || this.isClosing) return;
    this.isClosing = true;
    if (this.hasOpened) this.clear.close();
  }

  abort(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.release();
  }

  private clearHandlers(): TransportHandlers {
    return {
      onTransportOpen: () => {},
      onTransportData: (_clear, chunk, start, end) => {
        if (!this.isOver && !this.isClosing) this.handlers.onTransportData(this, chunk, start, end);
      },
      onTransportDrain: () => {
        if (this.hasOpened && !this.isOver) this.handlers.onTransportDrain(this);
      },
      onTransportClose: () => {
        if (this.hasOpened && !this.isClosing) this.over(this.loss);
      },
    };
  }

  private outerHandlers(): TransportHandlers {
    return {
      onTransportOpen: (outer) => {
        this.encrypted = this.sockets.connect({ fd: this.child.stdio[4]! }, this.encryptedHandlers(outer));
      },
      onTransportData: (outer, chunk, start, end) => {
        const { encrypted } = this;
        if (encrypted === null) return;
        encrypted.write(chunk, start, end);
        if (encrypted.bufferedAmount > MAX_WAITING_BYTES) outer.pause();
      },
      onTransportDrain: () => this.encrypted?.resume(),
      onTransportClose: (_outer, error) => {
        if (this.isClosing || this.encrypted === null) this.over(error);
        else {
          this.loss = error;
          this.encrypted.close();
        }
      },
    };
  }

  private encryptedHandlers(outer: ClientTransport): TransportHandlers {
    return {
      onTransportOpen: () => {},
      onTransportData: (encrypted, chunk, start, end) => {
        outer.write(chunk, start, end);
        if (outer.bufferedAmount > MAX_WAITING_BYTES) encrypted.pause();
      },
      onTransportDrain: () => outer.resume(),
      onTransportClose: () => outer.close(),
    };
  }

  private async watch(): Promise<void> {
    const { child } = this;
    const errors = readAll(child.stderr);
    const said = await readAll(child.stdout, (text) => text.includes('\n'));
    if (said.includes('\n')) this.handle(JSON.parse(said) as Report);
    await child.exited;
    if (this.hasOpened || this.isOver) return;
    const how = child.signalCode ?? `status ${child.exitCode}`;
    const line = (await errors).split('\n').findLast((one) => /^\w*Error\b/.test(one)) ?? how;
    this.over(new TransportError(TransportFailure.tls, `Node.js ended: ${line}`, null));
  }

  private handle(report: Report): void {
    if (this.isOver) return;
    if (report.type === 'failed') {
      const message = report.code === 'ECONNRESET' ? 'closed before the TLS handshake' : report.message;
      this.over(new TransportError(TransportFailure.tls, message, report.code));
      return;
    }
    const { problem } = report;
    const failure = problem === null ? null : judgeHandshake(this.options, problem.code, new Error(problem.message));
    if (failure !== null) {
      this.over(failure);
      return;
    }
    this.hasOpened = true;
    this.clear.resume();
    this.handlers.onTransportOpen(this);
    if (this.isClosing && !this.isOver) this.clear.close();
  }

  private over(error: TransportError | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.release();
    this.handlers.onTransportClose(this, error);
  }

  private release(): void {
    this.outer.abort();
    this.encrypted?.abort();
    this.clear.abort();
    this.child.kill('SIGKILL');
  }
}

function programOptions(hostname: string | null, options: NodeTlsOptions): object {
  const { psk, ca, cert, key, passphrase = null, alpn, ciphers, minVersion = 'TLSv1.2', maxVersion } = options;
  return {
    hostname,
    ca: ca.length === 0 ? null : ca,
    cert,
    key,
    passphrase,
    alpn,
    ciphers: ciphers ?? (psk === null ? null : 'PSK'),
    minVersion,
    maxVersion,
    psk: psk === null ? null : { identity: psk.identity, key: psk.key.toHex() },
    keyLog: options.keyLogFile,
  };
}

/** The text of a stream up to its end, or until there is enough. */
async function readAll(
  stream: ReadableStream<Uint8Array>,
  isEnough: (text: string) => boolean = () => false,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stream) {
    text = (text + decoder.decode(chunk, { stream: true })).slice(-MAX_ERROR_TEXT);
    if (isEnough(text)) break;
  }
  return text;
}
