import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type Config, defaultListenerConfig, type ListenerConfig } from '../config/config.ts';
import { VERSION } from '../config/version.ts';
import { systemClock } from '../session/clock.ts';
import type { ByteSocket } from '../transport/byte-connection.ts';
import { type OpenListener, openListener, type SocketHandler, type TlsInfo } from '../transport/listener.ts';
import type { PskListener, PskOptions } from '../transport/psk/psk-listener.ts';
import { ProxyLayer, WebSocketLayer } from '../transport/inbound-layers.ts';
import { Broker } from './broker.ts';
import { type ClientConnection, ConnectionState } from './client-connection.ts';
import { FileRules } from './file-rules.ts';
import type { ListenerInfo } from './listener-info.ts';
import { type Logger, LogLevel } from './log.ts';
import { SysTopics } from './sys-topics.ts';

export interface BoundListener {
  readonly config: ListenerConfig;
  readonly info: ListenerInfo;
  /** 0 for a unix socket. */
  readonly port: number;
  /** `mqtt://`, `mqtts://`, `ws://`, `wss://` or `unix://`, for people. */
  readonly url: string;
}

/** A broker with its sockets and its clock. */
export class BrokerServer {
  readonly broker: Broker;
  readonly listeners: BoundListener[] = [];
  private readonly config: Config;
  private readonly log: Logger;
  private readonly open: OpenListener[] = [];
  private readonly rules: FileRules;
  private readonly psk: PskListener[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private readonly sys: SysTopics | null;
  private seconds = 0;

  /** @throws ConfigError where a file of users or rules is wrong */
  constructor(config: Config, log: Logger) {
    this.config = config;
    this.log = log;
    this.rules = new FileRules(config, log);
    this.broker = new Broker(config.broker, this.rules.access, log, systemClock);
    this.broker.mostOpenSockets = openFilesForSockets();
    this.sys = config.sysInterval === 0 ? null : new SysTopics(this.broker, VERSION, systemClock.monotonicMs());
  }

  /**
   * Opens every listener; none stays open where one fails.
   *
   * @throws ListenError, CertificateError
   */
  async start(): Promise<BoundListener[]> {
    const configs = this.config.listeners.length > 0 ? this.config.listeners : localListeners();
    try {
      for (const config of configs) await this.openOne(config);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.sys?.update(systemClock.monotonicMs());
    this.scheduleTick();
    return this.listeners;
  }

  /** Ticks right after each whole second of the clock, so that what is due in a second is not late by most of another. */
  private scheduleTick(): void {
    this.timer = setTimeout(() => this.tick(), 1_001 - (systemClock.monotonicMs() % 1_000));
  }

  private tick(): void {
    this.scheduleTick();
    this.broker.tick();
    if (this.sys === null || ++this.seconds % this.config.sysInterval !== 0) return;
    this.sys.update(systemClock.monotonicMs());
  }

  private async openOne(config: ListenerConfig): Promise<void> {
    const info: ListenerInfo = {
      name: config.unixPath ?? `port ${config.port}`,
      port: config.port,
      maxQos: config.maxQos,
      maxTopicAlias: config.maxTopicAlias,
      maxConnections: config.maxConnections,
      useIdentityAsUsername: config.useIdentityAsUsername,
      connections: 0,
    };
    let opened: OpenListener;
    try {
      opened = await this.openSockets(config, info);
    } catch (error) {
      // The loopback default asks for ::1 too; a machine without IPv6 does without.
      if (config.host === '::1' && this.config.listeners.length === 0 && this.open.length > 0) return;
      throw error;
    }
    this.open.push(opened);
    const { log } = this;
    if (log.level >= LogLevel.information) {
      log.log(LogLevel.information, describeOpening(config, opened.port));
    }
    this.listeners.push({ config, info, port: opened.port, url: listenerUrl(config, opened.port) });
  }

  private openSockets(config: ListenerConfig, info: ListenerInfo): Promise<OpenListener> {
    const { pskFile } = this.config;
    if (config.pskHint === null || pskFile === null) {
      return openListener(config, new BrokerSocketHandler(this.broker, config, info));
    }
    // Node.js ends the TLS and tells by PROXY v2 who the client is.
    const handler = new BrokerSocketHandler(this.broker, { ...config, proxyProtocol: 2 }, info);
    return this.openPsk(config, { hint: config.pskHint, file: pskFile }, handler);
  }

  private async openPsk(config: ListenerConfig, psk: PskOptions, handler: BrokerSocketHandler): Promise<PskListener> {
    const { openPskListener } = await import('../transport/psk/psk-listener.ts');
    const { counters } = this.broker;
    const tell = (level: LogLevel) => (line: string) => {
      if (this.log.level >= level) this.log.log(level, line);
    };
    const listener = await openPskListener(config, psk, handler, {
      onFailure(address, port, cause) {
        counters.close('tls error');
        tell(LogLevel.notice)(`Client connection from ${address}:${port} failed: ${cause}.`);
      },
      onTrouble: tell(LogLevel.error),
      onRecovery: tell(LogLevel.information),
      onWarning: tell(LogLevel.warning),
    });
    this.psk.push(listener);
    return listener;
  }

  /**
   * Reads `password_file`, `acl_file` and `psk_file` anew.
   *
   * @throws ConfigError where one of them is wrong: what it says stays as it was
   */
  async reload(): Promise<void> {
    this.rules.reload(this.broker);
    for (const listener of this.psk) await listener.reload();
  }

  /** Stops listening, ends every connection in order, and gives what is queued a moment to leave. */
  async stop(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    for (const one of this.open.splice(0)) one.stop();
    this.broker.stop();
    const deadline = performance.now() + 500;
    while (this.broker.connectionCount > 0 && performance.now() < deadline) await Bun.sleep(5);
    for (const connection of this.broker.allConnections()) connection.abort();
  }
}

/** Open files kept for what is no client: listeners, logs, files of users, the HTTP side. */
const SPARE_FILES = 64;

/**
 * How many clients the limit of open files leaves room for. One more is accepted and closed, counted and logged: left in
 * the kernel's queue it would keep the loop busy.
 */
function openFilesForSockets(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? Infinity : Math.max(1, Number(limit) - SPARE_FILES);
  } catch {
    return Infinity; // not Linux: the system says no by itself
  }
}

/** The listener of `-p PORT` or of no configuration: loopback, both families. */
export function localListeners(port = 1883): ListenerConfig[] {
  return ['127.0.0.1', '::1'].map((host) => ({ ...defaultListenerConfig(), port, host }));
}

function describeOpening(config: ListenerConfig, port: number): string {
  if (config.unixPath !== null) return `Opening unix listen socket on path ${config.unixPath}.`;
  const family = config.host === null ? 'ipv4 and ipv6' : config.host.includes(':') ? 'ipv6' : 'ipv4';
  const kind = config.protocol === 'websockets' ? 'websockets listen socket' : 'listen socket';
  return `Opening ${family} ${kind} on port ${port}.`;
}

function listenerUrl(config: ListenerConfig, port: number): string {
  if (config.unixPath !== null) return `unix://${config.unixPath}`;
  const secure = config.certfile !== null || config.pskHint !== null;
  const isWebSocket = config.protocol === 'websockets';
  const scheme = isWebSocket ? (secure ? 'wss' : 'ws') : secure ? 'mqtts' : 'mqtt';
  const host =
    config.host === null || config.host === '0.0.0.0' || config.host === '::'
      ? hostname()
      : config.host.includes(':')
        ? `[${config.host}]`
        : config.host;
  return `${scheme}://${host}:${port}${isWebSocket ? (config.websocketsPath ?? '/mqtt') : ''}`;
}

/** In the TLS library's words: `require_certificate` is set and the client has none. */
const NO_CLIENT_CERTIFICATE = 'PEER_DID_NOT_RETURN_A_CERTIFICATE';

/** Joins sockets to the broker. */
class BrokerSocketHandler implements SocketHandler<ClientConnection> {
  private readonly broker: Broker;
  private readonly config: ListenerConfig;
  private readonly info: ListenerInfo;

  constructor(broker: Broker, config: ListenerConfig, info: ListenerInfo) {
    this.broker = broker;
    this.config = config;
    this.info = info;
  }

  onOpen(socket: ByteSocket): ClientConnection | null {
    const connection = this.broker.accept(this.info, socket);
    if (connection === null) return null;
    const { config } = this;
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
    }
    return connection;
  }

  onSecure(connection: ClientConnection, tls: TlsInfo): void {
    const { log } = this.broker;
    if (this.config.requireCertificate && !tls.isVerified) {
      this.rejectCertificate(connection, tls.error);
      connection.abort();
      return;
    }
    if (this.config.useIdentityAsUsername) connection.transportUsername = tls.commonName;
    if (log.level >= LogLevel.debug) {
      log.log(LogLevel.debug, `Connection from ${connection.label} negotiated ${tls.version} cipher ${tls.cipher}`);
    }
  }

  onTlsError(connection: ClientConnection, cause: string): void {
    if (connection.state === ConnectionState.ended) return; // our own end broke the handshake
    if (cause.includes(NO_CLIENT_CERTIFICATE)) return this.rejectCertificate(connection, null);
    const { log, counters } = this.broker;
    // Of a client that was connected the close is counted as any other loss.
    if (connection.state === ConnectionState.new) counters.close('tls error');
    if (log.level >= LogLevel.notice) {
      log.log(LogLevel.notice, `Client connection from ${connection.label} failed: ${cause}.`);
    }
  }

  private rejectCertificate(connection: ClientConnection, error: string | null): void {
    const { log, counters } = this.broker;
    counters.close('client certificate');
    if (log.level >= LogLevel.notice) {
      log.log(
        LogLevel.notice,
        error === null
          ? `Client connection from ${connection.label} rejected, client did not provide a certificate.`
          : `Client connection from ${connection.label} rejected, client certificate: ${error}.`,
      );
    }
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
