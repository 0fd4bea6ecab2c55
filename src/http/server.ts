import type { Broker } from '../broker/broker.ts';
import { LogType } from '../broker/log.ts';
import { systemClock } from '../session/clock.ts';
import { describePortHolder } from '../transport/port-holder.ts';
import { ApiError, ErrorCode } from './api-error.ts';
import { createApp, errorResponse } from './app.ts';
import { hostGuard, urlHost } from './host-guard.ts';
import { Sampler } from './sampler.ts';
import { secure } from './security-headers.ts';
import type { ServerInfo } from './server-info.ts';

/** No request has a body yet. */
const MAX_BODY_BYTES = 64 * 1024;
const IDLE_SECONDS = 30;
/** How long `stop` waits for requests that are not complete. */
const STOP_MS = 500;

export interface HttpOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Address or name to bind to. On loopback, requests that name another host are refused. */
  readonly host: string;
}

export interface HttpServer {
  /** Where a browser on this machine finds it; ends in a slash. */
  readonly url: string;
  readonly port: number;
  /** Closes the port at once, and every connection when its answer is out, within half a second. */
  stop(): Promise<void>;
}

/** The HTTP port could not be opened; the message is one line for the operator. */
export class HttpListenError extends Error {
  override readonly name = 'HttpListenError';
}

/**
 * Serves health, metrics and the status page of a broker.
 *
 * @throws HttpListenError
 */
export function startHttp(options: HttpOptions, broker: Broker, info: ServerInfo): HttpServer {
  const sampler = new Sampler(broker, systemClock);
  const originMs = systemClock.monotonicMs() - (systemClock.wallMs() - info.startedAtMs);
  const uptimeSeconds = () => (systemClock.monotonicMs() - originMs) / 1_000;
  const report = (error: Error): void => {
    if ((broker.log.types & LogType.error) !== 0)
      broker.log.log(LogType.error, `HTTP: ${(error.stack ?? error.message).replaceAll('\n', ' | ')}`);
  };
  const app = createApp({ broker, info, sampler, uptimeSeconds }, report);
  const judge = hostGuard(options.host);
  const server = listen(options, async (request) => {
    const host = request.headers.get('Host');
    const verdict = judge(host);
    if (verdict !== 'allowed') return secure(await errorResponse(request, hostError(verdict, options.host)));
    return secure(await app.fetch(host === null || request.method === 'HEAD' ? normalized(request) : request));
  });
  sampler.start();
  return {
    url: `http://${browserHost(options.host)}:${server.port}/`,
    port: server.port ?? options.port,
    stop: async () => {
      sampler.stop();
      const stopped = server.stop(false);
      const patience = setTimeout(() => void server.stop(true), STOP_MS);
      await stopped;
      clearTimeout(patience);
    },
  };
}

/**
 * A request as the routes expect it: with a whole URL, which one without Host does not have; GET in place of HEAD, since
 * the server sends the head of that answer, with the length that the body would have.
 */
function normalized(request: Request): Request {
  const url = request.url.startsWith('/') ? `http://localhost${request.url}` : request.url;
  return new Request(url, { method: request.method === 'HEAD' ? 'GET' : request.method, headers: request.headers });
}

function listen({ port, host }: HttpOptions, fetch: (request: Request) => Promise<Response>) {
  try {
    return Bun.serve({
      port,
      hostname: host,
      // Where it is not set, Bun lets two production servers share a port in silence.
      reusePort: false,
      development: false,
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: MAX_BODY_BYTES,
      fetch,
    });
  } catch (error) {
    throw listenError(port, host, error);
  }
}

function hostError(verdict: 'invalid' | 'foreign', boundHost: string): ApiError {
  if (verdict === 'invalid') {
    return new ApiError(ErrorCode.badHost, 400, 'The Host header of the request is no host name.');
  }
  return new ApiError(
    ErrorCode.hostNotAllowed,
    403,
    `Martlet listens on ${boundHost} and answers to localhost, 127.0.0.1 and [::1] only. To reach it by another name, ` +
      `let it listen on an address of the network (http_listener PORT ADDRESS), or let the proxy in front of it send ` +
      `'Host: localhost'.`,
  );
}

/** Every address includes this machine, which calls itself localhost. */
function browserHost(host: string): string {
  return host === '0.0.0.0' || host === '::' ? 'localhost' : urlHost(host);
}

function listenError(port: number, host: string, error: unknown): HttpListenError {
  const { code, message } = error as { code?: string; message?: string };
  const where = `HTTP port ${port} on ${host}`;
  const otherPort = 'choose another port with --http-port PORT, or http_listener PORT in the configuration file';
  const text = (): string => {
    switch (code) {
      case 'EADDRINUSE': {
        const holder = describePortHolder(port);
        const by = holder === null ? '' : ` by ${holder}`;
        return `Cannot open ${where}: it is in use${by}. Stop that program, or ${otherPort}.`;
      }
      case 'EACCES':
        return `Cannot open ${where}: not permitted. Ports below 1024 need root or CAP_NET_BIND_SERVICE; or ${otherPort}.`;
      case 'EADDRNOTAVAIL':
        return `Cannot open ${where}: this machine has no such address. Give another one with http_listener PORT ADDRESS.`;
      default:
        return `Cannot open ${where}: ${(message ?? String(error)).split('\n')[0]}`;
    }
  };
  return new HttpListenError(text(), { cause: error });
}
