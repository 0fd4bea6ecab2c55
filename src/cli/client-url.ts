// URLs on the command line: `-L` for user, password, host, port and topic at once, `--proxy`.
import type { SocksProxy } from '../transport/client-socks.ts';
import { ClientUsageError } from './client-usage-error.ts';

export interface ClientUrl {
  readonly isTls: boolean;
  readonly isWebSocket: boolean;
  readonly username: string | null;
  readonly password: string | null;
  readonly port: number;
  readonly hostname: string;
  readonly topic: string;
}

const schemes: Readonly<Record<string, { isTls: boolean; isWebSocket: boolean; port: number }>> = {
  mqtt: { isTls: false, isWebSocket: false, port: 1883 },
  mqtts: { isTls: true, isWebSocket: false, port: 8883 },
  ws: { isTls: false, isWebSocket: true, port: 80 },
  wss: { isTls: true, isWebSocket: true, port: 443 },
};

/**
 * `mqtt(s)://[username[:password]@]host[:port]/topic`, and `ws(s)` alike. As in Mosquitto nothing is decoded, since a
 * topic may hold any character; an IPv6 address stands in brackets.
 *
 * @throws ClientUsageError
 */
export function parseClientUrl(url: string): ClientUrl {
  const [, schemeName = '', rest = ''] = /^([a-z]+):\/\/(.*)$/is.exec(url) ?? [];
  const name = schemeName.toLowerCase();
  const scheme = Object.hasOwn(schemes, name) ? schemes[name] : undefined;
  if (scheme === undefined) throw new ClientUsageError('Error: Unsupported URL scheme.', 2);
  const slash = rest.indexOf('/');
  if (slash < 0) throw new ClientUsageError('Error: Invalid URL for -L argument specified - topic missing.', 1);
  const { username, password, hostname, port } = takeApart(rest.slice(0, slash));
  const given = port === null ? scheme.port : portNumber(port);
  if (given === null) throw new ClientUsageError(`Error: Invalid port given: ${port}`, 1);
  return { ...scheme, port: given, username, password, hostname, topic: rest.slice(slash + 1) };
}

const PROXY_SCHEME = 'socks5h://';
const DEFAULT_PROXY_PORT = 1080;
/** RFC 1929. */
const MAX_CREDENTIAL_BYTES = 255;

/**
 * `socks5h://[username[:password]@]host[:port]`. In user name and password `%25`, `%3A` and `%40` stand for `%`, `:` and
 * `@`.
 *
 * @throws ClientUsageError
 */
export function parseProxyUrl(url: string): SocksProxy {
  if (!url.startsWith(PROXY_SCHEME)) {
    throw new ClientUsageError(`Error: Unsupported proxy protocol: ${url}\n(there is none but ${PROXY_SCHEME})`, 1);
  }
  const { username, password, hostname, port } = takeApart(url.slice(PROXY_SCHEME.length));
  const number = port === null ? DEFAULT_PROXY_PORT : portNumber(port);
  if (number === null) throw new ClientUsageError(`Error: Invalid proxy port ${port}`, 1);
  if (hostname === '') throw new ClientUsageError('Error: Invalid proxy.\n(it has no host)', 1);
  return {
    hostname,
    port: number,
    username: username === null ? null : credential(username, 'user name'),
    password: credential(password ?? '', 'password'),
  };
}

function credential(text: string, what: string): string {
  const decoded = text.replaceAll(/%(.{0,2})/gs, (whole, hex: string) => {
    const character = { '25': '%', '3a': ':', '40': '@' }[hex.toLowerCase()];
    if (character === undefined) {
      throw new ClientUsageError(`Error: Invalid proxy ${what}: '${whole}' is none of %25, %3A and %40.`, 1);
    }
    return character;
  });
  const bytes = Buffer.byteLength(decoded);
  if ((what === 'user name' && bytes === 0) || bytes > MAX_CREDENTIAL_BYTES) {
    throw new ClientUsageError(`Error: Invalid proxy ${what}: up to ${MAX_CREDENTIAL_BYTES} bytes, and not empty.`, 1);
  }
  return decoded;
}

interface Authority {
  readonly username: string | null;
  readonly password: string | null;
  readonly hostname: string;
  readonly port: string | null;
}

/** `[username[:password]@]host[:port]`; the last `@` counts, since no host has one. */
function takeApart(authority: string): Authority {
  const at = authority.lastIndexOf('@');
  const credentials = at < 0 ? null : authority.slice(0, at);
  const colon = credentials === null ? -1 : credentials.indexOf(':');
  const [, hostname = '', port = null] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority.slice(at + 1)) ?? [];
  return {
    username: credentials === null ? null : colon < 0 ? credentials : credentials.slice(0, colon),
    password: credentials === null || colon < 0 ? null : credentials.slice(colon + 1),
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port,
  };
}

function portNumber(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}
