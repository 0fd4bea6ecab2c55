// `-L URL`: user, password, host, port and topic at once.
import { ClientUsageError } from './client-usage-error.ts';

export interface ClientUrl {
  readonly isTls: boolean;
  readonly isWebSocket: boolean;
  readonly username: string | null;
  readonly password: string | null;
  /** Null: the default of the scheme. */
  readonly port: string | null;
  readonly hostname: string;
  readonly topic: string;
}

const schemes: Readonly<Record<string, { isTls: boolean; isWebSocket: boolean }>> = {
  mqtt: { isTls: false, isWebSocket: false },
  mqtts: { isTls: true, isWebSocket: false },
  ws: { isTls: false, isWebSocket: true },
  wss: { isTls: true, isWebSocket: true },
};

/**
 * `mqtt(s)://[username[:password]@]host[:port]/topic`, and `ws(s)` alike. As in Mosquitto nothing is decoded, since a
 * topic may hold any character; an IPv6 address stands in brackets.
 *
 * @throws ClientUsageError
 */
export function parseClientUrl(url: string): ClientUrl {
  const [, schemeName, rest = ''] = /^([a-z]+):\/\/(.*)$/s.exec(url) ?? [];
  const scheme = schemeName !== undefined && Object.hasOwn(schemes, schemeName) ? schemes[schemeName] : undefined;
  if (scheme === undefined) throw new ClientUsageError('Error: unsupported URL scheme.', 2);
  const slash = rest.indexOf('/');
  if (slash < 0) throw new ClientUsageError('Error: Invalid URL for -L argument specified - topic missing.', 1);
  const authority = rest.slice(0, slash);
  const at = authority.lastIndexOf('@');
  const credentials = at < 0 ? null : authority.slice(0, at);
  const colon = credentials === null ? -1 : credentials.indexOf(':');
  const [, hostname = '', port = null] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority.slice(at + 1)) ?? [];
  return {
    ...scheme,
    username: credentials === null ? null : colon < 0 ? credentials : credentials.slice(0, colon),
    password: credentials === null || colon < 0 ? null : credentials.slice(colon + 1),
    port,
    hostname: hostname.replace(/^\[|\]$/g, ''),
    topic: rest.slice(slash + 1),
  };
}
