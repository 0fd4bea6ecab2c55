import { networkInterfaces } from 'node:os';
import { type BoundListener, BrokerServer, localListeners } from '../broker/broker-server.ts';
import type { Logger } from '../broker/log.ts';
import { type Config, type ListenerConfig, ListenerProtocol } from '../config/config.ts';
import { CertificateError, ListenError } from '../transport/listener.ts';
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
  /**
   * Reads the files of users and rules anew.
   *
   * @throws ConfigError where one is wrong: the rules stay as they were
   */
  reload(): Promise<void>;
  /** Closes every port, then every connection in order. */
  stop(): Promise<void>;
}

/**
 * Opens all ports of a configuration, or none.
 *
 * @throws StartError
 */
export async function openBroker(config: Config, log: Logger): Promise<RunningBroker> {
  const startedAtMs = Date.now();
  const server = new BrokerServer(config, log);
  const listeners = await server.start().catch((error: unknown) => {
    if (!(error instanceof ListenError || error instanceof CertificateError)) throw error;
    throw new StartError(error.message, { cause: error });
  });
  const stopServer = keptAlive(server);
  const { httpListener } = config;
  if (httpListener === null) return { listeners, httpUrl: null, reload: () => server.reload(), stop: stopServer };

  const { HttpListenError, startHttp } = await import('../http/server.ts');
  try {
    const status = listeners.map(({ config: one, info, url }) => ({
      name: listenerName(one),
      url,
      connections: () => info.connections,
    }));
    const http = startHttp(httpListener, server.broker, { version: VERSION, listeners: status, startedAtMs });
    return {
      listeners,
      httpUrl: http.url,
      reload: () => server.reload(),
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

/** A signal this long after the first one is a second wish, in milliseconds. */
const AGAIN_MS = 1_000;

/**
 * Resolves with the first signal that ends the broker. One that comes a second or more after it ends the process at once,
 * for people who do not want to wait; an earlier one is the same wish, sent to a whole group of processes.
 *
 * @param onHangup called for each SIGHUP; where it is null, SIGHUP ends the broker, too
 */
export function waitForEnd(onHangup: (() => void) | null): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let endedAtMs: number | null = null;
    const end = (signal: NodeJS.Signals) => {
      const nowMs = performance.now();
      if (endedAtMs !== null && nowMs - endedAtMs >= AGAIN_MS) process.exit(1);
      endedAtMs ??= nowMs;
      resolve(signal);
    };
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
    process.on('SIGHUP', onHangup ?? end);
  });
}
