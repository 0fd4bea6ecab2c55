// Lines on connections that come and go, in the words of Mosquitto 2.1: tools read them.
import { ReasonCode } from '../protocol/reason-code.ts';
import type { ByteSocket } from '../transport/byte-connection.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import { addressOf } from './client-link.ts';
import type { ListenerInfo } from './listener-info.ts';
import { LogType, printable } from './log.ts';

const notAllowedFeature = 'using not allowed feature (QoS too high, retain not supported, or bad AUTH method)';

/** Mosquitto's names for what clients do wrong: what it was precisely is for a line of its own. */
const faults = new Map<ReasonCode, string>([
  [ReasonCode.malformedPacket, 'malformed packet'],
  [ReasonCode.protocolError, 'protocol error'],
  [ReasonCode.unsupportedProtocolVersion, 'protocol error'],
  [ReasonCode.clientIdentifierNotValid, 'protocol error'],
  [ReasonCode.badAuthenticationMethod, notAllowedFeature],
  [ReasonCode.qosNotSupported, notAllowedFeature],
  [ReasonCode.retainNotSupported, notAllowedFeature],
  [ReasonCode.receiveMaximumExceeded, 'receive maximum exceeded'],
  [ReasonCode.topicAliasInvalid, 'topic alias invalid'],
  [ReasonCode.packetTooLarge, 'oversize packet'],
  [ReasonCode.quotaExceeded, 'quota exceeded'],
]);

function readsNotices({ broker }: ClientConnection): boolean {
  return (broker.log.types & LogType.notice) !== 0;
}

/** A new socket; where a PROXY header stands in front, once that has told the address. */
export function logOpened(connection: ClientConnection): void {
  const { broker, peer, listener } = connection;
  if (!broker.logsConnections) return;
  connection.isAnnounced = true;
  const line = `New connection from ${peer} on port ${listener.port}.`;
  broker.log.log(LogType.notice, line, { address: peer });
}

/** A new socket that a limit keeps out. */
export function logRefused(
  { log, logsConnections }: Broker,
  listener: ListenerInfo,
  socket: ByteSocket,
  isOutOfFiles: boolean,
): void {
  if (isOutOfFiles) {
    // A line that needs no making.
    log.log(
      LogType.warning,
      'Unable to accept new connection, system socket count has been exceeded. ' +
        'Try increasing "ulimit -n" or equivalent.',
    );
  } else if (logsConnections) {
    const address = addressOf(socket, listener);
    const reason = 'max_connections exceeded';
    log.log(LogType.notice, `Client connection from ${address} denied: ${reason}.`, { address, reason });
  }
}

/** Another connection of a client that is connected. An error to Mosquitto: two clients may have one identifier. */
export function logTakeover({ log, options }: Broker, clientId: string): void {
  if (!options.connectionMessages || (log.types & LogType.error) === 0) return;
  const client = printable(clientId);
  log.log(LogType.error, `Client ${client} already connected, closing old connection.`, { client });
}

/** CONNECT was accepted. */
export function logConnected(connection: ClientConnection, cleanStart: boolean, keepAlive: number): void {
  const { broker, peer, username } = connection;
  const client = printable(connection.clientId);
  const kind = connection.isBridge ? 'bridge' : 'client';
  const user = username === null ? '' : `, u'${printable(username)}'`;
  broker.log.log(
    LogType.notice,
    `New ${kind} connected from ${peer} as ${client} (p${connection.protocolVersion}, c${cleanStart ? 1 : 0}, k${keepAlive}${user}).`,
    { client, address: peer, ...(username === null ? {} : { username: printable(username) }) },
  );
}

/** The client sent DISCONNECT. */
export function logDisconnected(connection: ClientConnection): void {
  logEnding(connection, connection.clientId, null);
}

/** The socket closed without DISCONNECT. */
export function logLost(connection: ClientConnection): void {
  logEnding(connection, connection.clientId, 'connection closed by client');
}

/**
 * The broker ends a connection.
 *
 * @param clientId of the CONNECT that is refused, or of the session
 * @param cause what the client did wrong, or in Mosquitto's words why it has to go
 */
export function logFailure(
  connection: ClientConnection,
  clientId: string,
  reasonCode: ReasonCode,
  cause: string,
): void {
  const { broker } = connection;
  const fault = faults.get(reasonCode);
  if (fault !== undefined && fault !== cause) logFault(connection, clientId, cause);
  // At the end of the broker everybody has to go: that is told once.
  if (broker.logsConnections && reasonCode !== ReasonCode.serverShuttingDown) {
    logEnding(connection, clientId, fault ?? cause);
  }
}

/** The PROXY header is none: nobody is known, and Mosquitto's words for that are these. */
export function logBadProxyHeader(connection: ClientConnection, cause: string): void {
  const { broker, peer } = connection;
  logFault(connection, '', `PROXY protocol: ${cause}`);
  if (!broker.logsConnections) return;
  const reason = 'Invalid input';
  const line = `Bad socket read/write on client <unknown>: ${reason}`;
  broker.log.log(LogType.notice, line, { address: peer, reason });
}

/** The handshake is over: `log_type websockets`. */
export function logWebSocket({ broker, peer }: ClientConnection): void {
  if ((broker.log.types & LogType.websockets) === 0) return;
  broker.log.log(LogType.websockets, `WebSocket opened by ${peer}.`, { address: peer });
}

/** A second CONNECT; the line on the end of the connection follows. */
export function logManyConnects(connection: ClientConnection): void {
  if (!readsNotices(connection)) return;
  const { broker, peer } = connection;
  const line = `Bad client ${peer} sending multiple CONNECT messages.`;
  broker.log.log(LogType.notice, line, { client: printable(connection.clientId), address: peer });
}

/** The first byte of a TLS handshake where CONNECT should be. */
export function logTlsByMistake(connection: ClientConnection): void {
  if (!readsNotices(connection)) return;
  const { broker, peer } = connection;
  const line = `Client from ${peer} appears to be using TLS to connect to a non-TLS listener.`;
  broker.log.log(LogType.notice, line, { address: peer });
}

/** A handshake that failed; its socket is closed. */
export function logTlsFailure(connection: ClientConnection, cause: string): void {
  if (!readsNotices(connection)) return;
  const { broker, peer } = connection;
  broker.log.log(LogType.notice, `Client connection from ${peer} failed: ${cause}.`, { address: peer, reason: cause });
}

/** `require_certificate`, and there is none, or none that verifies. */
export function logCertificateRefused(connection: ClientConnection, error: string | null): void {
  if (!readsNotices(connection)) return;
  const { broker, peer } = connection;
  const reason = error === null ? 'client did not provide a certificate' : `client certificate: ${error}`;
  const line = `Client connection from ${peer} rejected, ${reason}.`;
  broker.log.log(LogType.notice, line, { address: peer, reason });
}

/** The PROXY header does not say what `proxy_protocol_v2_require_tls` or `require_certificate` demands. */
export function logProxiedRefused(connection: ClientConnection, reason: string): void {
  if (!readsNotices(connection)) return;
  const { broker, peer } = connection;
  broker.log.log(LogType.notice, `Connection from ${peer} rejected, ${reason}.`, { address: peer, reason });
}

/** What TLS came to: behind CONNECT under the client's name, or as a PROXY header tells it. */
export function logNegotiated(connection: ClientConnection, negotiated: string): void {
  if (!readsNotices(connection)) return;
  const { broker, clientId, peer } = connection;
  const client = printable(clientId);
  if (clientId === '') {
    broker.log.log(LogType.notice, `Connection from ${peer} negotiated ${negotiated}`, { address: peer });
  } else {
    broker.log.log(LogType.notice, `Client ${client} negotiated ${negotiated}`, { client, address: peer });
  }
}

function logEnding(connection: ClientConnection, clientId: string, reason: string | null): void {
  const { peer, broker } = connection;
  const name = clientId === '' ? connection.address : printable(clientId);
  broker.log.log(LogType.notice, `Client ${name} [${peer}] disconnected${reason === null ? '' : `: ${reason}`}.`, {
    ...(clientId === '' ? {} : { client: name }),
    address: peer,
    ...(reason === null ? {} : { reason }),
  });
}

/** For those who write clients; the line on the end of the connection follows. */
function logFault(connection: ClientConnection, clientId: string, cause: string): void {
  const { peer, broker } = connection;
  if ((broker.log.types & LogType.information) === 0) return;
  const name = clientId === '' ? peer : printable(clientId);
  broker.log.log(LogType.information, `Protocol error from ${name}: ${cause}.`, {
    ...(clientId === '' ? {} : { client: name }),
    address: peer,
  });
}
