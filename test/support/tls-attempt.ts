/** A client that shakes hands, sends CONNECT and looks what comes back. */
import { readFileSync } from 'node:fs';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { encodePacket } from '../../src/protocol/packet.ts';
import { ProtocolVersion } from '../../src/protocol/packet-type.ts';
import type { Issued } from './authority.ts';
import { type ConnectOptions, connectPacket } from './test-broker.ts';

export interface Attempt {
  readonly clientId: string;
  /** Of TLS; null where the handshake did not end well on this side. */
  readonly version: string | null;
  readonly cipher: string | null;
  readonly alpn: string | null;
  /** Common Name of the certificate that the broker showed. */
  readonly serverName: string | null;
  /** Certificates that it showed, its own among them. */
  readonly shown: number;
  /** The handshake was that of a session from before. */
  readonly isResumed: boolean;
  /** Reason code of CONNACK; null where nothing came. */
  readonly reasonCode: number | null;
  /** Of the client's TLS library. */
  readonly error: string | null;
  /** For a later attempt. */
  readonly session: Buffer | null;
}

let attempts = 0;

/** The certificate of a client, for `attemptTls`. */
export function clientOptions({ cert, key }: Issued, ...issuers: readonly string[]): ConnectionOptions {
  return { cert: [cert, ...issuers].map((file) => readFileSync(file, 'utf8')).join(''), key: readFileSync(key) };
}

/** @param tls verification of the broker is off, so that what it shows can be looked at */
export function attemptTls(port: number, tls: ConnectionOptions = {}, packet: ConnectOptions = {}): Promise<Attempt> {
  const clientId = packet.clientId ?? `attempt-${++attempts}`;
  const version = packet.version ?? ProtocolVersion.v5;
  let outcome: Attempt = {
    clientId,
    version: null,
    cipher: null,
    alpn: null,
    serverName: null,
    shown: 0,
    isResumed: false,
    reasonCode: null,
    error: null,
    session: null,
  };
  const { promise, resolve } = Promise.withResolvers<Attempt>();
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false, ...tls });
  socket.on('secureConnect', () => {
    outcome = { ...outcome, ...seenBy(socket) };
    socket.write(encodePacket(connectPacket({ ...packet, clientId }), version));
  });
  socket.on('session', (session: Buffer) => (outcome = { ...outcome, session }));
  socket.on('data', (chunk: Uint8Array) => {
    // Type and length, flags, reason code: CONNACK is short enough for a length of one byte.
    outcome = { ...outcome, reasonCode: chunk[3]! };
    socket.end();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => (outcome = { ...outcome, error: error.code ?? error.message }));
  socket.on('close', () => resolve(outcome));
  return promise;
}

function seenBy(socket: TLSSocket) {
  let shown = 0;
  let serverName: string | null = null;
  const seen = new Set<unknown>();
  for (
    let one = socket.getPeerCertificate(true);
    one?.raw !== undefined && !seen.has(one);
    one = one.issuerCertificate
  ) {
    seen.add(one);
    const name = one.subject.CN;
    if (shown++ === 0) serverName = (Array.isArray(name) ? name[0] : name) ?? null;
  }
  return {
    version: socket.getProtocol(),
    cipher: socket.getCipher().name,
    alpn: socket.alpnProtocol || null,
    serverName,
    shown,
    isResumed: socket.isSessionReused(),
  };
}
