// RFC 6455 section 4.2, server side: the HTTP/1.1 request that opens a WebSocket, from bytes to the bytes of the
// answer. Once a connection, not per packet. Strict on purpose: proxies in front of a broker must not disagree with it
// about where a request ends, so bare LF, bare CR, NUL, folded lines, white space before a colon, repeated single-value
// fields and request bodies are refused. Serves no files and keeps no connection after a refusal.

export interface WebSocketHandshakeOptions {
  /** The one path that is served, compared byte for byte without the query; null: every path. */
  path: string | null;
  /**
   * Subprotocols served, the preferred first: `mqtt` before `mqttv3.1` (v5 [MQTT-6.0.0-4]). A client that offers only
   * others is refused. One that offers none is let in and told none, although MQTT binds it to offer `mqtt` (v5
   * [MQTT-6.0.0-3]) and Mosquitto 2.1 closes on it: clients outside browsers often leave the field out.
   */
  protocols: readonly string[];
  /** From the request line to the empty line, inclusive (`websockets_headers_size`); 431 above it. */
  maxHeaderBytes: number;
  /**
   * Compared byte for byte with the Origin field (`websockets_origin`); null: every origin. A request without Origin
   * passes, as in Mosquitto: the check protects the users of browsers, which always send it.
   */
  allowedOrigins: readonly string[] | null;
}

export const defaultWebSocketHandshakeOptions: WebSocketHandshakeOptions = {
  path: null,
  protocols: ['mqtt', 'mqttv3.1'],
  maxHeaderBytes: 8192,
  allowedOrigins: null,
};

export type HandshakeResult = HandshakePending | HandshakeUpgraded | HandshakeRefused;

export interface HandshakePending {
  readonly kind: 'more';
}

export interface HandshakeUpgraded {
  readonly kind: 'upgraded';
  /** To be written before any frame. */
  readonly response: Uint8Array;
  /** Index in the pushed chunk where the frames begin; may be its end. */
  readonly consumed: number;
  readonly path: string;
  /** Without the question mark; empty when there is none. */
  readonly query: string;
  readonly host: string;
  /** Null when the client offered none. */
  readonly protocol: string | null;
  readonly origin: string | null;
  /** X-Forwarded-For as received, its lines joined by commas. Anyone can send it: only for listeners behind a proxy. */
  readonly forwardedFor: string | null;
}

export interface HandshakeRefused {
  readonly kind: 'refused';
  /** To be written before the connection is closed. */
  readonly response: Uint8Array;
  readonly status: number;
  /** For the log: one line, printable ASCII. */
  readonly cause: string;
}

const PENDING: HandshakePending = { kind: 'more' };

const REASON_PHRASES = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  426: 'Upgrade Required',
  431: 'Request Header Fields Too Large',
  505: 'HTTP Version Not Supported',
} as const;
type RefusalStatus = keyof typeof REASON_PHRASES;

const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const EXPLANATION = 'This port speaks MQTT over WebSocket: connect with a WebSocket client, subprotocol mqtt.';

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DELETE = 0x7f;

const LINE = 0;
const LINE_START = 1;
const AFTER_CR = 2;
const LAST_CR = 3;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const ORIGIN_FORM = /^\/[\x21\x22\x24-\x7e]*$/;
const ABSOLUTE_FORM = /^(?:https?|wss?):\/\/[^/?#]+(?<rest>[/?][\x21\x22\x24-\x7e]*)?$/i;
const HOST = /^[A-Za-z0-9\-._~%!$&'()*+;=:[\]]+$/;
const KEY = /^[A-Za-z0-9+/]{22}==$/;

const ascii = new TextEncoder();

/**
 * Reads one request; chunks may split it at any byte. Bytes after it belong to the WebSocket and stay in the chunk: a
 * client need not wait for the answer. After a result other than `more` the object has done its work.
 */
export class WebSocketHandshake {
  private readonly options: WebSocketHandshakeOptions;
  /** Where the scan stands between line ends. */
  private state: number;
  /** The request so far, when it came in more than one chunk; grows to `maxHeaderBytes` at most. */
  private buffer: Uint8Array | null;
  private length: number;

  constructor(options: WebSocketHandshakeOptions) {
    this.options = options;
    this.state = LINE;
    this.buffer = null;
    this.length = 0;
  }

  push(chunk: Uint8Array, start: number, end: number): HandshakeResult {
    const limit = Math.min(end, start + this.options.maxHeaderBytes - this.length);
    let state = this.state;
    for (let i = start; i < limit; i++) {
      const byte = chunk[i]!;
      switch (state) {
        case LINE_START:
          if (byte === CR) {
            state = LAST_CR;
            continue;
          }
          if (byte === SPACE || byte === TAB) return refuse(400, 'folded header line');
          state = LINE;
          break;
        case AFTER_CR:
          if (byte !== LF) return refuse(400, 'CR without LF in the header');
          state = LINE_START;
          continue;
        case LAST_CR:
          if (byte !== LF) return refuse(400, 'CR without LF in the header');
          return this.finish(chunk, start, i + 1);
      }
      if (byte === CR) state = AFTER_CR;
      else if ((byte < SPACE && byte !== TAB) || byte === DELETE) return refuseByte(byte, this.length + i - start);
    }
    if (this.length + limit - start >= this.options.maxHeaderBytes) {
      return refuse(431, `header longer than ${this.options.maxHeaderBytes} bytes`);
    }
    this.state = state;
    this.keep(chunk, start, limit);
    return PENDING;
  }

  private finish(chunk: Uint8Array, start: number, end: number): HandshakeResult {
    if (this.buffer === null) return answer(latin1(chunk, start, end), end, this.options);
    this.keep(chunk, start, end);
    return answer(latin1(this.buffer, 0, this.length), end, this.options);
  }

  private keep(chunk: Uint8Array, start: number, end: number): void {
    const length = this.length + end - start;
    if (this.buffer === null || this.buffer.length < length) {
      const grown = new Uint8Array(Math.min(this.options.maxHeaderBytes, Math.max(512, 2 * length)));
      if (this.buffer !== null) grown.set(this.buffer.subarray(0, this.length));
      this.buffer = grown;
    }
    this.buffer.set(chunk.subarray(start, end), this.length);
    this.length = length;
  }
}

/** The fields of a request that decide about it. List fields are joined by commas over all their lines. */
interface RequestHead {
  host: string | null;
  upgrade: string | null;
  connection: string | null;
  key: string | null;
  version: string | null;
  protocol: string | null;
  origin: string | null;
  forwardedFor: string | null;
  contentLength: string | null;
  transferEncoding: string | null;
}

/** `text`: the request up to and with the empty line, without stray line ends. `consumed` is handed through. */
function answer(text: string, consumed: number, options: WebSocketHandshakeOptions): HandshakeResult {
  const requestLineEnd = text.indexOf('\r\n');
  const requestLine = text.slice(0, requestLineEnd).split(' ');
  const [method, target, version] = requestLine;
  if (method === undefined || target === undefined || version === undefined || requestLine.length !== 3) {
    return refuse(400, 'malformed request line');
  }
  if (!TOKEN.test(method) || !/^HTTP\/\d\.\d$/.test(version)) return refuse(400, 'malformed request line');
  if (version !== 'HTTP/1.1') return refuse(505, `${version} instead of HTTP/1.1`);
  if (method !== 'GET') return refuse(405, `method ${quote(method)} instead of GET`);
  const resource = resourceOf(target);
  if (resource === null) return refuse(400, 'malformed request target');

  const head = parseFields(text, requestLineEnd + 2);
  if (typeof head === 'string') return refuse(400, head);
  if (head.host === null || !HOST.test(head.host)) return refuse(400, 'no valid Host');
  if (head.transferEncoding !== null || (head.contentLength !== null && head.contentLength !== '0')) {
    return refuse(400, 'request with a body');
  }
  if (!hasToken(head.upgrade, 'websocket')) return refuse(426, 'HTTP request without Upgrade: websocket');
  if (!hasToken(head.connection, 'upgrade')) return refuse(400, 'Connection does not name Upgrade');
  const queryStart = resource.indexOf('?');
  const path = queryStart < 0 ? resource : resource.slice(0, queryStart);
  if (options.path !== null && path !== options.path) return refuse(404, `path ${quote(path)} is not served`);
  if (head.version !== '13') {
    return refuse(426, head.version === null ? 'no Sec-WebSocket-Version' : 'Sec-WebSocket-Version is not 13');
  }
  if (head.key === null || !KEY.test(head.key)) return refuse(400, 'Sec-WebSocket-Key is not 16 bytes in base64');
  if (head.origin !== null && options.allowedOrigins !== null && !options.allowedOrigins.includes(head.origin)) {
    return refuse(403, `origin ${quote(head.origin)} is not allowed`);
  }
  const offered = head.protocol === null ? [] : listElements(head.protocol);
  for (const name of offered) if (!TOKEN.test(name)) return refuse(400, 'malformed Sec-WebSocket-Protocol');
  const protocol = options.protocols.find((name) => offered.includes(name)) ?? null;
  if (protocol === null && offered.length > 0) {
    return refuse(400, `none of the subprotocols ${quote(offered.join(', '))} is served`);
  }
  return {
    kind: 'upgraded',
    response: acceptance(head.key, protocol),
    consumed,
    path,
    query: queryStart < 0 ? '' : resource.slice(queryStart + 1),
    host: head.host,
    protocol,
    origin: head.origin,
    forwardedFor: head.forwardedFor,
  };
}

/** Path and query of a request target in origin or absolute form; null for any other. */
function resourceOf(target: string): string | null {
  if (ORIGIN_FORM.test(target)) return target;
  const absolute = ABSOLUTE_FORM.exec(target);
  if (absolute === null) return null;
  const rest = absolute.groups?.['rest'] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** The fields from `position` to the empty line, or the cause why they are malformed. */
function parseFields(text: string, position: number): RequestHead | string {
  const head: RequestHead = {
    host: null,
    upgrade: null,
    connection: null,
    key: null,
    version: null,
    protocol: null,
    origin: null,
    forwardedFor: null,
    contentLength: null,
    transferEncoding: null,
  };
  for (let start = position; ;) {
    const end = text.indexOf('\r\n', start);
    if (end === start) return head;
    const colon = text.indexOf(':', start);
    if (colon < 0 || colon > end) return 'header line without a colon';
    const name = text.slice(start, colon);
    if (!TOKEN.test(name)) return 'malformed header name';
    const value = trimBlanks(text.slice(colon + 1, end));
    const slot = FIELD_SLOTS.get(name.toLowerCase());
    if (slot !== undefined) {
      const before = head[slot];
      if (before === null) head[slot] = value;
      else if (LIST_SLOTS.has(slot)) head[slot] = `${before}, ${value}`;
      else return `${name.toLowerCase()} given twice`;
    }
    start = end + 2;
  }
}

const FIELD_SLOTS: ReadonlyMap<string, keyof RequestHead> = new Map([
  ['host', 'host'],
  ['upgrade', 'upgrade'],
  ['connection', 'connection'],
  ['sec-websocket-key', 'key'],
  ['sec-websocket-version', 'version'],
  ['sec-websocket-protocol', 'protocol'],
  ['origin', 'origin'],
  ['x-forwarded-for', 'forwardedFor'],
  ['content-length', 'contentLength'],
  ['transfer-encoding', 'transferEncoding'],
]);

const LIST_SLOTS: ReadonlySet<keyof RequestHead> = new Set(['upgrade', 'connection', 'protocol', 'forwardedFor']);

/** RFC 9110 optional white space: blanks and tabs only, unlike `trim`. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function listElements(list: string): string[] {
  return list
    .split(',')
    .map(trimBlanks)
    .filter((element) => element !== '');
}

function hasToken(list: string | null, token: string): boolean {
  return list !== null && listElements(list.toLowerCase()).includes(token);
}

/** Order and spelling of the fields are Mosquitto 2.1's, for tools that compare bytes. */
function acceptance(key: string, protocol: string | null): Uint8Array {
  const accept = new Bun.CryptoHasher('sha1').update(key + ACCEPT_GUID).digest('base64');
  return ascii.encode(
    'HTTP/1.1 101 Switching Protocols\r\n' +
      'Upgrade: WebSocket\r\n' +
      'Connection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n` +
      (protocol === null ? '\r\n' : `Sec-WebSocket-Protocol: ${protocol}\r\n\r\n`),
  );
}

function refuse(status: RefusalStatus, cause: string): HandshakeRefused {
  const body = status === 426 ? `${EXPLANATION}\n(${cause})\n` : `${cause}\n`;
  let fields = '';
  if (status === 405) fields = 'Allow: GET\r\n';
  else if (status === 426) fields = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
  const response = ascii.encode(
    `HTTP/1.1 ${status} ${REASON_PHRASES[status]}\r\n` +
      `Connection: ${status === 426 ? 'Upgrade, close' : 'close'}\r\n` +
      fields +
      'Content-Type: text/plain\r\n' +
      'X-Content-Type-Options: nosniff\r\n' +
      `Content-Length: ${body.length}\r\n\r\n` +
      body,
  );
  return { kind: 'refused', response, status, cause };
}

/** A first byte outside text most often tells which other protocol the client speaks. */
function refuseByte(byte: number, offset: number): HandshakeRefused {
  let cause = `control byte 0x${byte.toString(16).padStart(2, '0')} in the header`;
  if (offset === 0 && byte === 0x10) cause = 'not HTTP: the client speaks MQTT without WebSocket';
  else if (offset === 0 && byte === 0x16) cause = 'not HTTP: the client speaks TLS to a port without TLS';
  return refuse(400, cause);
}

/** Foreign text for a log line or an answer: printable ASCII, at most 100 characters. */
function quote(text: string): string {
  const printable = text.slice(0, 100).replace(/[^\x20-\x7e]|"/g, '?');
  return text.length > 100 ? `"${printable}..."` : `"${printable}"`;
}

/** One character a byte (`TextDecoder('latin1')` would mean windows-1252). */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
