/** A Host header: a name, an IPv4 address or a bracketed IPv6 address, and perhaps a port (RFC 9110 section 7.2). */
const HOST = /^(?<name>\[[0-9a-f:.]+\]|[^\s:/?#@[\],\\]+)(?::\d{1,5})?$/i;

export type HostVerdict = 'allowed' | 'invalid' | 'foreign';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Host in a URL: IPv6 addresses stand in brackets. */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * Tells whether a request was meant for us. Bound to loopback we answer to the names of loopback only: a web page whose
 * own name was made to point at 127.0.0.1 (DNS rebinding) still sends that name. The port is not looked at, so that a
 * tunnel from another port works. Null, no header at all, is what HTTP/1.0 allows and health checks send; browsers
 * always send one.
 */
export function hostGuard(boundHost: string): (hostHeader: string | null) => HostVerdict {
  const allowed = isLoopback(boundHost)
    ? new Set(['localhost', '127.0.0.1', '[::1]', urlHost(boundHost).toLowerCase()])
    : null;
  return (hostHeader) => {
    if (hostHeader === null) return 'allowed';
    const name = HOST.exec(hostHeader)?.groups?.['name'];
    if (name === undefined) return 'invalid';
    if (allowed === null) return 'allowed';
    return allowed.has(name.toLowerCase().replace(/\.$/, '')) ? 'allowed' : 'foreign';
  };
}
