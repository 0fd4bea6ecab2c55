import type { ListenerConfig } from '../config/config.ts';
import type { ByteSocket } from '../transport/byte-connection.ts';
import { ProxyLayer, WebSocketLayer } from '../transport/inbound-layers.ts';
import type { SocketHandler, TlsInfo } from '../transport/listener.ts';
import type { Broker } from './broker.ts';
import { type ClientConnection, ConnectionState } from './client-connection.ts';
import type { ListenerInfo } from './listener-info.ts';
import { logCertificateRefused, logOpened, logTlsFailure } from './connection-log.ts';
import { LogType } from './log.ts';

/** In the TLS library's words: `require_certificate` is set and the client has none. */
const NO_CLIENT_CERTIFICATE = 'PEER_DID_NOT_RETURN_A_CERTIFICATE';

/** Joins sockets to the broker. */
export class BrokerSocketHandler implements SocketHandler<ClientConnection> {
  private readonly broker: Broker;
  private readonly config: ListenerConfig;
  private readonly info: ListenerInfo;

  constructor(broker: Broker, config: ListenerConfig, info: ListenerInfo) {
    this.broker = broker;
    this.config = config;
    this.info = info;
  }

  onOpen(socket: ByteSocket): ClientConnection | null {
    const { config } = this;
    // Reset before it was accepted: nobody to serve, and no address to log or to count failed logins by.
    const isGone = socket.remoteAddress === undefined && config.unixPath === null && config.proxyProtocol === 0;
    const connection = isGone ? null : this.broker.accept(this.info, socket);
    if (connection === null) return null;
    if (config.protocol === 'websockets') {
      connection.layer = new WebSocketLayer(connection, {
        path: config.websocketsPath,
        protocols: ['mqtt', 'mqttv3.1'],
        maxHeaderBytes: config.websocketsHeadersSize,
        allowedOrigins: config.websocketsOrigins.length > 0 ? config.websocketsOrigins : null,
      });
    }
    if (config.proxyProtocol !== 0) {
      const versions = { v1: config.proxyProtocol === 1, v2: config.proxyProtocol === 2 };
      connection.layer = new ProxyLayer(connection, versions, connection.layer);
    } else logOpened(connection);
    return connection;
  }

  onSecure(connection: ClientConnection, { version, cipher, refusal, client }: TlsInfo): void {
    const { log } = this.broker;
    if (refusal !== null) {
      this.onTlsError(connection, refusal);
      return connection.abort();
    }
    if (this.config.requireCertificate && !client.isVerified) {
      this.rejectCertificate(connection, client.error);
      return connection.abort();
    }
    if (client.username !== null) connection.transportUsername = client.username;
    if ((log.types & LogType.notice) !== 0) connection.negotiated = `${version} cipher ${cipher}`;
  }

  onTlsError(connection: ClientConnection, cause: string): void {
    if (connection.state === ConnectionState.ended) return; // our own end broke the handshake
    if (cause.includes(NO_CLIENT_CERTIFICATE)) return this.rejectCertificate(connection, null);
    logTlsFailure(connection, cause);
    // Of a client that was connected the close is counted, and told, as any other loss.
    if (connection.state === ConnectionState.new) this.countFailure(connection, 'tls error');
  }

  private countFailure(connection: ClientConnection, reason: string): void {
    this.broker.counters.close(reason);
    connection.isAnnounced = false;
  }

  private rejectCertificate(connection: ClientConnection, error: string | null): void {
    logCertificateRefused(connection, error);
    this.countFailure(connection, 'client certificate');
  }

  onData(connection: ClientConnection, chunk: Uint8Array): void {
    this.broker.receive(connection, chunk);
  }

  onDrain(connection: ClientConnection): void {
    connection.drain();
  }

  onClose(connection: ClientConnection): void {
    connection.onClosed();
  }

  onCrash(connection: ClientConnection, error: unknown): void {
    this.broker.onInternalError(connection, error);
  }
}
