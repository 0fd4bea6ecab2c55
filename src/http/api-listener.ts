// `listener PORT` with `protocol http_api`: what Mosquitto 2.1 serves over HTTP, at the same paths and in the same form.
import { readFileSync, realpathSync } from 'node:fs';
import type { LoginControl } from '../auth/access-control.ts';
import type { ListenerFacts } from '../broker/control.ts';
import { LogType, type Logger } from '../broker/log.ts';
import type { ListenerConfig } from '../config/config.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import { CertificateError, ListenError } from '../transport/listener.ts';
import { describePortHolder } from '../transport/port-holder.ts';
import { openStaticFile } from './static-files.ts';

/** What the answers are made of. */
export interface ApiSources {
  readonly version: string;
  /** Who may ask; a reload may change it. */
  access(): LoginControl;
  listeners(): readonly ListenerFacts[];
  /** Topics of `$SYS` whose values are whole numbers. */
  systree(): Readonly<Record<string, number>>;
  readonly log: Logger;
}

export interface ApiListener {
  readonly port: number;
  stop(): void;
  /**
   * Takes up the certificate that its files hold now; connections stay.
   *
   * @throws CertificateError: the old one stays
   */
  reload(): void;
}

/** No request has a body. */
const MAX_BODY_BYTES = 1_024;
const IDLE_SECONDS = 30;
/** Of all who ask: rules for topics that begin with `/` say who may read which path. */
const CLIENT_ID = 'http-api';
const REALM = 'Mosquitto API';

/** @throws ListenError, CertificateError */
export function openApiListener(config: ListenerConfig, sources: ApiSources): ApiListener {
  const root = config.httpDir === null ? null : realFolder(config.httpDir);
  const answer = (request: Request, address: string) => respond(request, address, root, sources);
  let server = listen(config, config.port, answer, sources.log);
  if (root !== null && (sources.log.types & LogType.information) !== 0) {
    sources.log.log(LogType.information, `Using http_dir ${root}`);
  }
  return {
    get port() {
      return server.port!;
    },
    stop: () => void server.stop(true),
    reload() {
      if (config.certfile === null) return;
      const { port } = server;
      // A second server on a port of its own shows whether the files are good, before the first one gives up its port.
      listen({ ...config, host: '127.0.0.1' }, 0, answer, sources.log).stop(true);
      void server.stop(false);
      server = listen(config, port!, answer, sources.log);
    },
  };
}

type Answer = (request: Request, address: string) => Promise<Response>;
type ApiServer = Bun.Server<undefined>;

function listen(config: ListenerConfig, port: number, answer: Answer, log: Logger): ApiServer {
  const options = {
    port,
    // Where it is not set, Bun lets two production servers share a port in silence.
    reusePort: false,
    development: false,
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: MAX_BODY_BYTES,
    async fetch(request: Request, server: ApiServer): Promise<Response> {
      try {
        return await answer(request, server.requestIP(request)?.address ?? 'local');
      } catch (error) {
        const where = error instanceof Error ? (error.stack ?? error.message) : String(error);
        log.log(LogType.error, `HTTP API: ${where.replaceAll('\n', ' | ')}`);
        return plain('Internal server error.\n', 500);
      }
    },
  };
  try {
    const tls = config.certfile === null ? {} : { tls: tlsOf(config) };
    if (config.host !== null) return Bun.serve({ ...options, ...tls, hostname: config.host });
    try {
      return Bun.serve({ ...options, ...tls, hostname: '::' });
    } catch (error) {
      if ((error as { code?: string }).code === 'EADDRINUSE') throw error;
      // A machine without IPv6: every address is then every IPv4 address.
      return Bun.serve({ ...options, ...tls, hostname: '0.0.0.0' });
    }
  } catch (error) {
    throw openingError(config, port, error);
  }
}

function tlsOf({ certfile, keyfile }: ListenerConfig) {
  return { cert: readPem(certfile!, 'certfile'), key: readPem(keyfile!, 'keyfile') };
}

function readPem(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CertificateError(`Unable to load ${option} "${path}": ${(error as Error).message}`, { cause: error });
  }
}

function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new ListenError(`http_dir "${path}" cannot be served: ${(error as Error).message}`, { cause: error });
  }
}

function openingError({ host, certfile }: ListenerConfig, port: number, error: unknown): Error {
  if (error instanceof CertificateError) return error;
  const { code = '', message } = error as { code?: string; message: string };
  if (code.startsWith('ERR_OSSL') || code.startsWith('ERR_SSL')) {
    return new CertificateError(`certfile "${certfile}" and its keyfile cannot be used: ${message}`, { cause: error });
  }
  const text = `Cannot open the HTTP API on port ${port}${host === null ? '' : ` on ${host}`}`;
  switch (code) {
    case 'EADDRINUSE': {
      const holder = describePortHolder(port);
      return new ListenError(`${text}: it is in use${holder === null ? '' : ` by ${holder}`}.`, { cause: error });
    }
    case 'EACCES':
      return new ListenError(`${text}: not permitted.`, { cause: error });
    case 'EADDRNOTAVAIL':
      return new ListenError(`${text}: this machine has no such address.`, { cause: error });
    default:
      return new ListenError(`${text}: ${message.split('\n')[0]}`, { cause: error });
  }
}

async function respond(request: Request, address: string, root: string | null, sources: ApiSources): Promise<Response> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return plain('Invalid HTTP Method\n', 405, { Allow: 'GET, HEAD' });
  }
  const path = pathOf(request);
  if (path === null) return plain('Not found.\n', 404);
  if (!(await isAllowed(request, address, path, sources.access()))) {
    return plain('Not authorised\n', 401, { 'WWW-Authenticate': `Basic realm="${REALM}", charset="UTF-8"` });
  }
  if (/^\/api\//i.test(path)) return api(path, sources);
  return file(request, root, path);
}

/** Percent-decoded, without the query; null where that is no text. */
function pathOf(request: Request): string | null {
  const url = URL.parse(request.url, 'http://localhost');
  if (url === null) return null;
  try {
    return decodeURIComponent(url.pathname);
  } catch {
    return null;
  }
}

/** User name and password come by HTTP Basic; without them a client is as anonymous as in MQTT. */
async function isAllowed(request: Request, address: string, path: string, access: LoginControl): Promise<boolean> {
  const { username, password } = credentials(request.headers.get('Authorization'));
  const identity = { clientId: CLIENT_ID, username, address };
  if ((await access.authenticate(identity, password, () => !request.signal.aborted)) !== 0) return false;
  const rules = access.topics?.forClient?.(identity);
  return rules === undefined || rules.canReceive(path);
}

function credentials(header: string | null): { username: string | null; password: Uint8Array | null } {
  const nobody = { username: null, password: null };
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return nobody;
  const text = new TextDecoder().decode(Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0)));
  const colon = text.indexOf(':');
  if (colon < 0) return nobody;
  return { username: text.slice(0, colon), password: encodeUtf8(text.slice(colon + 1)) };
}

function api(path: string, sources: ApiSources): Response {
  switch (path) {
    case '/api/v1/version':
      return open(sources.version, 'text/plain; charset=utf-8');
    case '/api/v1/listeners':
      return open(json({ listeners: sources.listeners().map(describe) }), 'application/json');
    case '/api/v1/systree':
      return open(json(sources.systree()), 'application/json');
    default:
      return plain('Not found.\n', 404);
  }
}

const protocolNames = { mqtt: 'mqtt', websockets: 'websockets', http_api: 'httpapi' };

function describe(listener: ListenerFacts): Record<string, unknown> {
  return {
    ...(listener.unixPath === null ? { port: listener.port } : { path: listener.unixPath }),
    protocol: protocolNames[listener.protocol],
    tls: listener.hasTls,
    mtls: listener.requiresCertificate,
    allow_anonymous: listener.isAnonymousAllowed,
  };
}

function json(value: unknown): string {
  return JSON.stringify(value, null, '\t');
}

/** Web pages of other origins may read it, as with Mosquitto. */
function open(body: string, contentType: string): Response {
  return new Response(body, {
    headers: { ...headers, 'Content-Type': contentType, 'Access-Control-Allow-Origin': '*' },
  });
}

function plain(body: string, status: number, more: Record<string, string> = {}): Response {
  return new Response(body, {
    status,
    headers: { ...headers, 'Content-Type': 'text/plain; charset=utf-8', ...more },
  });
}

const headers = { 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' };

async function file(request: Request, root: string | null, path: string): Promise<Response> {
  const found = root === null ? null : await openStaticFile(root, path);
  if (found === null) return plain('Not found.\n', 404);
  const { contentType, bytes } = found;
  const of = { 'X-Content-Type-Options': 'nosniff', 'Content-Type': contentType };
  if (request.method === 'GET') return new Response(found.stream(), { headers: of });
  await found.close();
  return new Response(null, { headers: { ...of, 'Content-Length': String(bytes) } });
}
