import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type Config, defaultListenerConfig, type ListenerConfig, securityOf } from '../config/config.ts';
import { ConfigError, describeProblems } from '../config/config-error.ts';
import { VERSION } from '../config/version.ts';
import { systemClock } from '../session/clock.ts';
import { CertificateError, ListenError, type OpenListener, openListener } from '../transport/listener.ts';
import { listenAddresses } from '../transport/listen-addresses.ts';
import type { PskListener, PskOptions } from '../transport/psk/psk-listener.ts';
import { Broker } from './broker.ts';
import type { ListenerFacts } from './control.ts';
import { FileRules } from './file-rules.ts';
import { type ListenerInfo, ProxyDemand } from './listener-info.ts';
import { type Logger, LogType } from './log.ts';
import { MountPoint } from './mount-point.ts';
import { replaceOptions } from './reload.ts';
import { BrokerSocketHandler } from './socket-handler.ts';
import { SysTopics } from './sys-topics.ts';

export interface BoundListener {
  readonly config: ListenerConfig;
  /** The same as it was opened on each of its addresses. */
  readonly addresses: readonly ListenerConfig[];
  readonly info: ListenerInfo;
  /** 0 for a unix socket. */
  readonly port: number;
  /** `mqtt://`, `mqtts://`, `ws://`, `wss://`, `http://`, `https://` or `unix://`, for people. */
  readonly url: string;
}

/** Opens a listener with `protocol http_api`, which is not the broker's own. */
export type ApiOpener = (config: ListenerConfig, info: ListenerInfo, server: BrokerServer) => Promise<OpenListener>;

/** A broker with its sockets and its clock. */
export class BrokerServer {
  readonly broker: Broker;
  readonly listeners: BoundListener[] = [];
  /** File that sessions and messages are kept in; null: none. */
  storePath: string | null = null;
  private config: Config;
  private readonly log: Logger;
  private readonly openApi: ApiOpener | null;
  private readonly open: OpenListener[] = [];
  private readonly rules: FileRules;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private sys: SysTopics | null;
  private seconds = 0;
  private readonly startedMs = systemClock.monotonicMs();

  /**
   * @param openApi null: there is none
   * @throws ConfigError where a file of users or rules is wrong
   */
  constructor(config: Config, log: Logger, openApi: ApiOpener | null = null) {
    this.config = config;
    this.log = log;
    this.openApi = openApi;
    this.rules = new FileRules(config, log);
    this.broker = new Broker(config.broker, this.rules.access, log, systemClock);
    this.broker.mostOpenSockets = openFilesForSockets();
    this.sys = config.sysInterval === 0 ? null : new SysTopics(this.broker, VERSION, this.startedMs);
  }

  /**
   * Takes up what is stored, and opens every listener; none stays open where one fails.
   *
   * @throws ListenError, CertificateError, StoreError
   */
  async start(): Promise<BoundListener[]> {
    const configs = this.config.listeners.length > 0 ? this.config.listeners : localListeners();
    await this.updateControl();
    await this.openStore();
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

  private async openStore(): Promise<void> {
    const { persistence } = this.config;
    if (!persistence.isOn) return;
    const { openDurably } = await import('./durable/open-durably.ts');
    this.storePath = await openDurably(this.broker, persistence, (cause) => this.onUnreadableStore(cause));
  }

  /** Serving half of the sessions would lose messages of the other half: nothing is acknowledged until it is mended. */
  private onUnreadableStore(cause: string): void {
    if (this.broker.isStopping) return; // closed by us while it was read
    this.broker.counters.storeFailing = 1;
    this.log.log(LogType.error, `Error: persistence cannot be read to its end: ${cause}`);
  }

  /** Ticks right after each whole second of the clock, so that what is due in a second is not late by most of another. */
  private scheduleTick(): void {
    this.timer = setTimeout(() => this.tick(), 1_001 - (systemClock.monotonicMs() % 1_000));
  }

  private tick(): void {
    this.scheduleTick();
    this.broker.tick();
    const { sysInterval } = this.config;
    if (this.sys === null || sysInterval === 0 || ++this.seconds % sysInterval !== 0) return;
    this.sys.update(systemClock.monotonicMs());
  }

  private async openOne(config: ListenerConfig): Promise<void> {
    const { mountPoint } = config;
    const info: ListenerInfo = {
      name: config.unixPath ?? `port ${config.port}`,
      port: config.port,
      maxQos: config.maxQos,
      maxTopicAlias: config.maxTopicAlias,
      maxConnections: config.maxConnections,
      useIdentityAsUsername: config.useIdentityAsUsername,
      needsTransportUsername: needsTransportUsername(config),
      proxyDemand: proxyDemandOf(config),
      acceptedVersions: this.rules.acceptedVersionsOf(config),
      mountPoint: mountPoint === null ? null : new MountPoint(mountPoint),
      access: this.rules.accessOf(config),
      clientIds: this.rules.clientIdsOf(config),
      connections: 0,
    };
    const hosts = await listenAddresses(config);
    const addresses: ListenerConfig[] = [];
    let opened: OpenListener | null = null;
    let failure: unknown = null;
    for (const host of hosts) {
      // A free port is the same on each address.
      const port: number = opened?.port ?? config.port;
      const one = host === config.host && port === config.port ? config : { ...config, host, port };
      try {
        opened = await this.openSockets(one, info);
      } catch (error) {
        // The loopback default asks for ::1 too; a machine without IPv6 does without.
        if (config.host === '::1' && this.config.listeners.length === 0 && this.open.length > 0) return;
        // So does a name that stands for several addresses of which the machine has one.
        if (hosts.length === 1 || !isAbsentAddress(error)) throw error;
        failure = error;
        continue;
      }
      this.open.push(opened);
      addresses.push(one);
      for (const line of describeOpening(one, opened.port)) this.log.log(LogType.information, line);
    }
    if (opened === null) throw failure;
    info.port = opened.port;
    this.listeners.push({ config, addresses, info, port: opened.port, url: listenerUrl(config, opened.port) });
  }

  private async openSockets(config: ListenerConfig, info: ListenerInfo): Promise<OpenListener> {
    if (config.protocol === 'http_api') {
      if (this.openApi === null) throw new ListenError('There is no HTTP API here.');
      return this.openApi(config, info, this);
    }
    const { pskFile } = securityOf(this.config, config);
    if (config.pskHint === null || pskFile === null) {
      return openListener(config, new BrokerSocketHandler(this.broker, config, info), this.tell(LogType.warning));
    }
    // Node.js ends the TLS and tells by PROXY v2 who the client is.
    const handler = new BrokerSocketHandler(this.broker, { ...config, proxyProtocol: 2 }, info);
    const psk = await this.openPsk(config, { hint: config.pskHint, file: pskFile }, handler);
    return { port: psk.port, stop: () => psk.stop(), reload: () => psk.reload(this.pskFileOf(info)) };
  }

  /** The `psk_file` that the configuration names now for a listener that is open; undefined where it names none. */
  private pskFileOf(info: ListenerInfo): string | undefined {
    const listener = this.config.listeners[this.listeners.findIndex((one) => one.info === info)];
    return (listener && securityOf(this.config, listener).pskFile) ?? undefined;
  }

  private tell(level: LogType): (line: string) => void {
    return (line) => {
      if ((this.log.types & level) !== 0) this.log.log(level, line);
    };
  }

  private async openPsk(config: ListenerConfig, psk: PskOptions, handler: BrokerSocketHandler): Promise<PskListener> {
    const { openPskListener } = await import('../transport/psk/psk-listener.ts');
    const { counters } = this.broker;
    const tell = (level: LogType) => this.tell(level);
    const { rules } = this;
    return openPskListener(config, psk, handler, {
      onFailure(address, port, cause, { identity }) {
        counters.close('tls error');
        if (identity !== null) rules.failedEarly(address, identity);
        tell(LogType.notice)(`Client connection from ${address}:${port} failed: ${cause}.`);
      },
      onTrouble: tell(LogType.error),
      onRecovery: tell(LogType.information),
      onWarning: (line) => tell(LogType.warning)(`Warning: ${line}`),
    });
  }

  /**
   * Takes over of another configuration what a running broker can, and reads all files anew that it names. One wrong file
   * of users or rules keeps everything about who may do what as it was.
   *
   * @param config has the listeners that are open, in their order: see `compareConfigs`
   * @returns what could not be taken over and stays as it was, a line each
   */
  async reconfigure(config: Config): Promise<string[]> {
    const problems: string[] = [];
    const attempt = async (part: () => void | Promise<void>) => {
      try {
        await part();
      } catch (error) {
        if (error instanceof ConfigError) problems.push(...describeProblems(error.problems));
        else if (error instanceof CertificateError || error instanceof ListenError) problems.push(error.message);
        else throw error;
      }
    };
    await attempt(() => this.rules.reload(this.broker, config, this.listeners));
    const { security, listeners } = problems.length === 0 ? config : this.config;
    this.config = { ...config, security, listeners };
    for (const one of this.open) await attempt(() => one.reload?.());
    for (const [index, { addresses }] of this.listeners.entries()) {
      const now = config.listeners[index];
      if (now !== undefined) for (const one of addresses) one.setTcpNodelay = now.setTcpNodelay;
    }
    replaceOptions(this.broker, config.broker);
    if (config.sysInterval > 0) {
      this.sys ??= new SysTopics(this.broker, VERSION, this.startedMs, systemClock.monotonicMs());
    }
    await this.updateControl();
    return problems;
  }

  /** `enable_control_api`: loads what answers only where it is asked for. */
  private async updateControl(): Promise<void> {
    const { broker } = this;
    if (!broker.options.enableControlApi) broker.control = null;
    else if (broker.control === null) {
      const { BrokerControl } = await import('./control.ts');
      broker.control = new BrokerControl(() => this.listenerFacts(), this.log);
    }
  }

  /** What administrators are told of the listeners. */
  listenerFacts(): ListenerFacts[] {
    return this.listeners.map(({ config: open, port }, index) => {
      const { protocol, host, unixPath, certfile, pskHint, requireCertificate } = open;
      const { allowAnonymous } = securityOf(this.config, this.config.listeners[index] ?? open);
      return {
        port,
        protocol,
        host,
        unixPath,
        hasTls: certfile !== null || pskHint !== null,
        requiresCertificate: requireCertificate,
        isAnonymousAllowed: allowAnonymous ?? this.config.listeners.length === 0,
      };
    });
  }

  /** The topics of `$SYS` whose values are whole numbers, as of the last update. */
  systree(): Record<string, number> {
    return this.sys?.numbers(systemClock.monotonicMs()) ?? {};
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
    await this.closeStore();
  }

  private async closeStore(): Promise<void> {
    const { durability } = this.broker;
    this.broker.loader?.stop();
    try {
      await durability?.stop();
    } catch (error) {
      this.log.log(LogType.error, `Error: the last changes could not be stored: ${(error as Error).message}`);
    }
  }
}

function isAbsentAddress(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? {}) as { code?: string };
  return error instanceof ListenError && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT');
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

/** Where names come from certificates or keys, nobody gets in with another one, or with a password. */
function needsTransportUsername(config: ListenerConfig): boolean {
  const { useIdentityAsUsername, useSubjectAsUsername, certfile, pskHint } = config;
  const provesNames = certfile !== null || pskHint !== null || proxyDemandOf(config) === ProxyDemand.certificate;
  return provesNames && (useIdentityAsUsername || useSubjectAsUsername);
}

function proxyDemandOf({ proxyProtocol, requireCertificate, proxyProtocolV2RequireTls }: ListenerConfig): ProxyDemand {
  if (proxyProtocol !== 2) return ProxyDemand.none;
  if (requireCertificate) return ProxyDemand.certificate;
  return proxyProtocolV2RequireTls ? ProxyDemand.tls : ProxyDemand.none;
}

/** Mosquitto's lines: one for each family of addresses, one for a WebSocket listener. */
function describeOpening({ unixPath, protocol, host }: ListenerConfig, port: number): string[] {
  if (unixPath !== null) return [`Opening unix listen socket on path ${unixPath}.`];
  if (protocol === 'http_api') return [`Opening http api listen socket on port ${port}.`];
  if (protocol === 'websockets') return [`Opening websockets listen socket on port ${port}.`];
  const families = host === null ? ['ipv4', 'ipv6'] : [host.includes(':') ? 'ipv6' : 'ipv4'];
  return families.map((family) => `Opening ${family} listen socket on port ${port}.`);
}

function listenerUrl(config: ListenerConfig, port: number): string {
  if (config.unixPath !== null) return `unix://${config.unixPath}`;
  const secure = config.certfile !== null || config.pskHint !== null;
  const isWebSocket = config.protocol === 'websockets';
  const scheme = { mqtt: 'mqtt', websockets: 'ws', http_api: 'http' }[config.protocol] + (secure ? 's' : '');
  const host =
    config.host === null || config.host === '0.0.0.0' || config.host === '::'
      ? hostname()
      : config.host.includes(':')
        ? `[${config.host}]`
        : config.host;
  return `${scheme}://${host}:${port}${isWebSocket ? (config.websocketsPath ?? '/mqtt') : ''}`;
}
