import { networkInterfaces } from 'node:os';
import { type BoundListener, BrokerServer, localListeners } from '../broker/broker-server.ts';
import type { ListenerInfo } from '../broker/listener-info.ts';
import { LogTopics } from '../broker/log-topics.ts';
import { type Config, type ListenerConfig, ListenerProtocol } from '../config/config.ts';
import type { LogWriter } from '../log/log-writer.ts';
import { StoreError } from '../storage/session-store.ts';
import { CertificateError, ListenError, type OpenListener } from '../transport/listener.ts';
import { VERSION } from './version.ts';

/** Something the broker needs could not be had; the message is one line for the operator. */
export class StartError extends Error {
  override readonly name = 'StartError';
  /** What is wrong, where the port of a listener is taken, so that another port would help; else null. */
  get portInUse(): string | null {
    return this.cause instanceof ListenError ? this.cause.portInUse : null;
  }
}

export interface RunningBroker {
  readonly listeners: readonly BoundListener[];
  /** Where a browser finds the status page; null without HTTP. */
  readonly httpUrl: string | null;
  /** File that sessions and messages are kept in; null: none. */
  readonly storePath: string | null;
  /**
   * Takes over of another configuration what can be, and reads the files anew that it names.
   *
   * @param config has the listeners that are open, in their order
   * @returns what could not be taken over and stays as it was, a line each
   */
  reconfigure(config: Config): Promise<string[]>;
  /** Saves what sessions and retained messages there are. Answers with a line for the operator. */
  save(): Promise<string>;
  /**
   * Writes who subscribes to what.
   *
   * @param write takes text; false ends the list
   * @returns how many subscriptions were written
   */
  listSubscriptions(write: (text: string) => Promise<boolean>): Promise<number>;
  /** Closes every port, then every connection in order. */
  stop(): Promise<void>;
}

/**
 * Opens all ports of a configuration, or none.
 *
 * @throws StartError; ConfigError where a file of users or rules is wrong
 */
export async function openBroker(config: Config, log: LogWriter): Promise<RunningBroker> {
  const startedAtMs = Date.now();
  const server = new BrokerServer(config, log, openApi);
  const topics = new LogTopics(server.broker);
  log.attachTopics((type, line) => topics.publish(type, line));
  const listeners = await server.start().catch((error: unknown) => {
    if (!(error instanceof ListenError || error instanceof CertificateError || error instanceof StoreError))
      throw error;
    throw new StartError(error.message, { cause: error });
  });
  const stopAlive = keptAlive(server);
  const stopServer = () => {
    // Who reads the log by MQTT still gets its last lines.
    topics.flush();
    return stopAlive();
  };
  const running: RunningBroker = {
    listeners,
    httpUrl: null,
    storePath: server.storePath,
    reconfigure: (next) => server.reconfigure(next),
    save: () => save(server),
    async listSubscriptions(write) {
      const { listSubscriptions } = await import('../broker/subscription-list.ts');
      return listSubscriptions(server.broker.tree, write);
    },
    stop: stopServer,
  };
  const { httpListener } = config;
  if (httpListener === null) return running;

  const { HttpListenError, startHttp } = await import('../http/server.ts');
  try {
    const status = listeners
      .filter(({ config: one }) => one.protocol !== ListenerProtocol.httpApi)
      .map(({ config: one, info, url }) => ({ name: listenerName(one), url, connections: () => info.connections }));
    const http = startHttp(httpListener, server.broker, { version: VERSION, listeners: status, startedAtMs });
    return {
      ...running,
      httpUrl: http.url,
      async stop() {
        // The health check says that we go while connections end.
        await stopServer();
        await http.stop();
      },
    };
  } catch (error) {
    await stopServer();
    if (!(error instanceof HttpListenError)) throw error;
    throw new StartError(error.message, { cause: error });
  }
}

async function save(server: BrokerServer): Promise<string> {
  const { durability } = server.broker;
  if (durability === null) return describeUnsaved(server);
  await durability.commitAll();
  return `SIGUSR1: all changes are stored in ${server.storePath}.`;
}

/** A listener with `protocol http_api`. */
async function openApi(config: ListenerConfig, info: ListenerInfo, server: BrokerServer): Promise<OpenListener> {
  const { openApiListener } = await import('../http/api-listener.ts');
  return openApiListener(config, {
    version: VERSION,
    access: () => server.broker.accessOf(info),
    listeners: () => server.listenerFacts(),
    systree: () => server.systree(),
    log: server.broker.log,
  });
}

function describeUnsaved({ broker }: BrokerServer): string {
  const { sessions, retained } = broker;
  return `SIGUSR1: nothing is saved, persistence is off (sessions: ${sessions.size}, retained messages: ${retained.count}).`;
}

/**
 * One defect must not end the connections of everybody: until the returned function stops the server, an exception that
 * nobody caught is logged and counted.
 */
function keptAlive(server: BrokerServer): () => Promise<void> {
  const report = (error: unknown) => server.broker.reportFault('the broker', error);
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  for (const event of events) process.on(event, report);
  return () => {
    for (const event of events) process.off(event, report);
    return server.stop();
  };
}

/** What is spoken on a listener, for people. */
export function listenerName({ protocol, certfile, pskHint, unixPath }: ListenerConfig): string {
  if (protocol === ListenerProtocol.httpApi) return certfile === null ? 'HTTP API' : 'HTTP API with TLS';
  const name = protocol === ListenerProtocol.websockets ? 'MQTT over WebSocket' : 'MQTT';
  if (unixPath !== null) return `${name} on a unix socket`;
  if (pskHint !== null) return `${name} with TLS-PSK`;
  return certfile === null ? name : `${name} with TLS`;
}

/** Listeners for programs on this machine only: IPv4, and IPv6 where the machine has it. */
export function loopbackListeners(port: number): ListenerConfig[] {
  // Two addresses would get two free ports.
  const hasIpv6 = port !== 0 && Object.values(networkInterfaces()).some((all) => all?.some(isIpv6Loopback));
  return localListeners(port).filter(({ host }) => hasIpv6 || host !== '::1');
}

function isIpv6Loopback({ address }: { address: string }): boolean {
  return address === '::1';
}
