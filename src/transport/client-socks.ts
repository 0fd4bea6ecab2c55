// SOCKS5, client side (RFC 1928, RFC 1929): bytes only, so that it can be tested without a proxy. No GSSAPI, no UDP.
import { isIPv4, isIPv6 } from 'node:net';
import { TransportError, TransportFailure } from './client-transport.ts';

export interface SocksProxy {
  readonly hostname: string;
  readonly port: number;
  /** Null: no authentication is offered. Up to 255 bytes of UTF-8. */
  readonly username: string | null;
  /** Up to 255 bytes of UTF-8; empty where there is none. */
  readonly password: string;
}

const VERSION = 5;
const PASSWORD_VERSION = 1;
const METHOD_NONE = 0;
const METHOD_PASSWORD = 2;
const CONNECT = 1;
const ADDRESS_IPV4 = 1;
const ADDRESS_NAME = 3;
const ADDRESS_IPV6 = 4;

const replies = [
  '',
  'general failure',
  'its rules do not allow the connection',
  'network unreachable',
  'host unreachable',
  'connection refused',
  'time to live expired',
  'command not supported',
  'address type not supported',
];

const replyCodes: Readonly<Record<number, string>> = { 2: 'EACCES', 3: 'ENOTCONN', 4: 'ENOTCONN', 5: 'ENOTCONN' };

type Step = 'method' | 'password' | 'connect' | 'open';

/**
 * The conversation in front of a stream through a proxy. Names go to the proxy unresolved.
 *
 * `hello` is to be sent first; then each chunk of the proxy goes through `push` until `isOpen`.
 */
export class SocksHandshake {
  readonly hello: Uint8Array;
  /** The stream to the target begins; `rest` holds what of it came already. */
  isOpen = false;
  rest: Uint8Array = new Uint8Array(0);
  private readonly proxy: SocksProxy;
  private readonly request: Uint8Array;
  private step: Step = 'method';
  private unread: Uint8Array = new Uint8Array(0);

  /** @throws TransportError for a name that does not fit in a request */
  constructor(proxy: SocksProxy, hostname: string, port: number) {
    this.proxy = proxy;
    this.request = connectRequest(hostname, port);
    const methods = proxy.username === null ? [METHOD_NONE] : [METHOD_NONE, METHOD_PASSWORD];
    this.hello = Uint8Array.of(VERSION, methods.length, ...methods);
  }

  /**
   * Takes bytes of the proxy.
   *
   * @returns what is to be sent now; empty for nothing
   * @throws TransportError where the proxy refuses or breaks the protocol
   */
  push(bytes: Uint8Array): Uint8Array {
    const unread = new Uint8Array(this.unread.length + bytes.length);
    unread.set(this.unread);
    unread.set(bytes, this.unread.length);
    const length = this.answerLength(unread);
    if (unread.length < length) {
      this.unread = unread;
      return new Uint8Array(0);
    }
    const answer = unread.slice(0, length);
    this.unread = unread.slice(length);
    const next = this.take(answer);
    if (this.step === 'open') {
      this.isOpen = true;
      this.rest = this.unread;
    } else if (this.unread.length > 0) throw refusal('it says more than it was asked');
    return next;
  }

  /** Bytes of the answer that is due, as far as its beginning tells. */
  private answerLength(bytes: Uint8Array): number {
    if (this.step !== 'connect') return 2;
    // Of a refusal nothing else matters, and some proxies leave the rest out.
    if (bytes.length >= 2 && bytes[1] !== 0) return 2;
    if (bytes.length < 5) return 5;
    switch (bytes[3]) {
      case ADDRESS_IPV4:
        return 10;
      case ADDRESS_IPV6:
        return 22;
      case ADDRESS_NAME:
        return 7 + bytes[4]!;
      default:
        throw refusal('its answer has an address of an unknown type');
    }
  }

  private take(answer: Uint8Array): Uint8Array {
    const [version, code = 0] = answer;
    if (version !== (this.step === 'password' ? PASSWORD_VERSION : VERSION)) {
      throw refusal('it does not answer as a SOCKS5 proxy');
    }
    switch (this.step) {
      case 'method':
        if (code === METHOD_NONE) return this.connect();
        if (code !== METHOD_PASSWORD || this.proxy.username === null) {
          const isWanted = this.proxy.username === null && (code === METHOD_PASSWORD || code === 0xff);
          throw refusal(isWanted ? 'it wants a user name' : 'it takes no way of authentication that we know', 'EACCES');
        }
        this.step = 'password';
        return passwordRequest(this.proxy.username, this.proxy.password);
      case 'password':
        if (code !== 0) throw refusal('it does not accept the user name and password', 'EACCES');
        return this.connect();
      default:
        if (code !== 0) throw refusal(replies[code] ?? `reply ${code}`, replyCodes[code] ?? null);
        this.step = 'open';
        return new Uint8Array(0);
    }
  }

  private connect(): Uint8Array {
    this.step = 'connect';
    return this.request;
  }
}

function connectRequest(hostname: string, port: number): Uint8Array {
  const head = [VERSION, CONNECT, 0];
  const tail = [port >>> 8, port & 0xff];
  if (isIPv4(hostname)) return Uint8Array.of(...head, ADDRESS_IPV4, ...hostname.split('.').map(Number), ...tail);
  if (isIPv6(hostname)) return Uint8Array.of(...head, ADDRESS_IPV6, ...ipv6Bytes(hostname), ...tail);
  const name = new TextEncoder().encode(hostname);
  if (name.length > 255) {
    throw new TransportError(TransportFailure.lookup, 'the host name is longer than 255 bytes', null);
  }
  return Uint8Array.of(...head, ADDRESS_NAME, name.length, ...name, ...tail);
}

function passwordRequest(username: string, password: string): Uint8Array {
  const name = new TextEncoder().encode(username);
  const secret = new TextEncoder().encode(password);
  return Uint8Array.of(PASSWORD_VERSION, name.length, ...name, secret.length, ...secret);
}

/** @param address as `isIPv6` accepts it; a zone (`%eth0`) means nothing to a proxy and is left out */
function ipv6Bytes(address: string): number[] {
  const text = address.split('%', 1)[0]!.replace(/\d+\.\d+\.\d+\.\d+$/, (dotted) => {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = [], tail] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const missing = tail === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...new Array<string>(missing).fill('0'), ...(tail ?? [])];
  return groups.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >>> 8, value & 0xff];
  });
}

function refusal(what: string, systemCode: string | null = null): TransportError {
  return new TransportError(TransportFailure.proxy, what, systemCode);
}
