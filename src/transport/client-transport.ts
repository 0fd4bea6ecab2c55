/**
 * A byte stream to a server as `client/` sees it. Types and one error class only, so that a browser can have its own
 * implementation.
 */

/** Why a stream did not open or broke; which side to blame decides what a user is told. */
export const TransportFailure = {
  /** The host name has no address. */
  lookup: 'lookup',
  /** The operating system refused; `systemCode` says why. */
  connect: 'connect',
  /** TLS could not be set up: bad key material, no common protocol, a peer that does not speak TLS. */
  tls: 'tls',
  /** The server's certificate is not trusted or names another host. */
  certificate: 'certificate',
  /**
   * The SOCKS5 proxy refused, or broke its protocol; `systemCode` is EACCES where it does not let us, ENOTCONN where it
   * could not connect itself.
   */
  proxy: 'proxy',
  /** The server answered the WebSocket handshake with something else, or broke RFC 6455. */
  webSocket: 'websocket',
  /** An open stream broke. */
  lost: 'lost',
} as const;
export type TransportFailure = (typeof TransportFailure)[keyof typeof TransportFailure];

export class TransportError extends Error {
  readonly failure: TransportFailure;
  /** Such as `ECONNREFUSED`, where the operating system or TLS gave one. */
  readonly systemCode: string | null;

  constructor(failure: TransportFailure, message: string, systemCode: string | null, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'TransportError';
    this.failure = failure;
    this.systemCode = systemCode;
  }
}

export interface ClientTransport {
  /** Bytes written and not taken by the network yet. */
  readonly bufferedAmount: number;
  /** Sends `bytes[start, end)`; copies what can't leave at once, so the caller may reuse the memory. */
  write(bytes: Uint8Array, start: number, end: number): void;
  /** Sends all of `bytes` without a copy: nobody may change them until `bufferedAmount` is 0. */
  writeShared(bytes: Uint8Array): void;
  /** Stops `onTransportData` until `resume`; the network then slows the server down. */
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes; `onTransportClose` follows. */
  close(): void;
  /** Closes at once and forgets what was written; no handler is called afterwards. */
  abort(): void;
}

/** Called in this order: at most one open, data and drains, exactly one close. Never called inside a connector. */
export interface TransportHandlers {
  onTransportOpen(transport: ClientTransport): void;
  /** `chunk[start, end)` may be reused after the call. */
  onTransportData(transport: ClientTransport, chunk: Uint8Array, start: number, end: number): void;
  /** `bufferedAmount` fell to 0 after the network had been slow. */
  onTransportDrain(transport: ClientTransport): void;
  /** `error` is null where either side closed in good order. */
  onTransportClose(transport: ClientTransport, error: TransportError | null): void;
}

/** Begins to open a stream. */
export type Connector = (handlers: TransportHandlers) => ClientTransport;
