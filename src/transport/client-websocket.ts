// MQTT over WebSocket (v5 section 6), client side, on any other transport: RFC 6455 section 4.1 and then frames.
import {
  type ClientTransport,
  type Connector,
  TransportError,
  TransportFailure,
  type TransportHandlers,
} from './client-transport.ts';
import {
  encodeMaskedFrame,
  maskedFrameLength,
  MaskingKeys,
  ServerFrameReader,
  type ServerFrameSink,
} from './client-websocket-frames.ts';
import { WebSocketCloseCode, WebSocketOpcode } from './websocket-frames.ts';

export interface WebSocketRequest {
  /** For the Host field, with the port where it is not the usual one. */
  readonly host: string;
  /** Path and query, such as `/mqtt`. */
  readonly path: string;
  /** `mqtt`, or `mqttv3.1` for MQTT 3.1. */
  readonly protocol: string;
  /** More fields of the request. */
  readonly headers: Readonly<Record<string, string>>;
}

const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const MAX_RESPONSE_BYTES = 16 * 1024;
/** Payload bytes that go into one frame. */
const MAX_FRAME_PAYLOAD = 64 * 1024;

/** Speaks WebSocket over what `inner` opens. Clients that share the result share its scratch memory. */
export function webSocketConnector(inner: Connector, request: WebSocketRequest): Connector {
  const shared = { keys: new MaskingKeys(), scratch: new Uint8Array(maskedFrameLength(MAX_FRAME_PAYLOAD)) };
  return (handlers) => new WebSocketTransport(inner, request, handlers, shared);
}

interface Shared {
  readonly keys: MaskingKeys;
  readonly scratch: Uint8Array;
}

class WebSocketTransport implements ClientTransport, TransportHandlers, ServerFrameSink {
  private readonly inner: ClientTransport;
  private readonly request: WebSocketRequest;
  private readonly handlers: TransportHandlers;
  private readonly shared: Shared;
  private readonly key: string;
  /** What came of the server's answer; null once it is complete. */
  private response: Uint8Array | null = new Uint8Array(0);
  private readonly reader = new ServerFrameReader(this);
  private isClosing = false;
  private isOver = false;

  constructor(inner: Connector, request: WebSocketRequest, handlers: TransportHandlers, shared: Shared) {
    this.request = request;
    this.handlers = handlers;
    this.shared = shared;
    this.key = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
    this.inner = inner(this);
  }

  get bufferedAmount(): number {
    return this.inner.bufferedAmount;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    if (this.isClosing) return;
    for (let at = start; at < end; at += MAX_FRAME_PAYLOAD) {
      this.sendFrame(WebSocketOpcode.binary, bytes, at, Math.min(end, at + MAX_FRAME_PAYLOAD));
    }
  }

  /** Masking makes a copy anyway. */
  writeShared(bytes: Uint8Array): void {
    this.write(bytes, 0, bytes.length);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  close(): void {
    if (this.isClosing) return;
    if (this.response === null) this.sendClose(WebSocketCloseCode.normal);
    this.isClosing = true;
    this.inner.close();
  }

  abort(): void {
    this.isOver = true;
    this.isClosing = true;
    this.inner.abort();
  }

  onTransportOpen(): void {
    const { request } = this;
    const lines = [
      `GET ${request.path} HTTP/1.1`,
      `Host: ${request.host}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${this.key}`,
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Protocol: ${request.protocol}`,
      ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
    ];
    if (lines.some((line) => /[\r\n]/.test(line))) {
      this.fail('a field of the WebSocket request holds a line break');
      return;
    }
    const bytes = new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`);
    this.inner.write(bytes, 0, bytes.length);
  }

  onTransportData(_inner: ClientTransport, chunk: Uint8Array, start: number, end: number): void {
    if (this.isOver) return;
    if (this.response === null) {
      this.reader.push(chunk, start, end);
      return;
    }
    const joined = new Uint8Array(this.response.length + end - start);
    joined.set(this.response);
    joined.set(chunk.subarray(start, end), this.response.length);
    const headEnd = findHeadEnd(joined);
    if (headEnd < 0) {
      this.response = joined;
      if (joined.length > MAX_RESPONSE_BYTES) this.fail('the answer to the WebSocket request is too long');
      return;
    }
    const problem = this.judge(new TextDecoder('latin1').decode(joined.subarray(0, headEnd)));
    if (problem !== null) {
      this.fail(problem);
      return;
    }
    this.response = null;
    this.handlers.onTransportOpen(this);
    if (headEnd < joined.length && !this.isOver) this.reader.push(joined, headEnd, joined.length);
  }

  onTransportDrain(): void {
    if (this.response === null && !this.isOver) this.handlers.onTransportDrain(this);
  }

  onTransportClose(_inner: ClientTransport, error: TransportError | null): void {
    if (this.isOver) return;
    const isEarly = error === null && this.response !== null && !this.isClosing;
    this.over(isEarly ? new TransportError(TransportFailure.lost, 'closed before the WebSocket answer', null) : error);
  }

  onPayload(bytes: Uint8Array, start: number, end: number): void {
    if (!this.isOver) this.handlers.onTransportData(this, bytes, start, end);
  }

  onPing(payload: Uint8Array): void {
    if (!this.isClosing) this.sendFrame(WebSocketOpcode.pong, payload, 0, payload.length);
  }

  /** The server ends the stream; its code says nothing that MQTT does not. */
  onClose(): void {
    if (this.isOver) return;
    if (!this.isClosing) this.sendClose(WebSocketCloseCode.normal);
    this.isClosing = true;
    this.inner.close();
  }

  onViolation(closeCode: WebSocketCloseCode, cause: string): void {
    if (this.isOver) return;
    if (!this.isClosing) this.sendClose(closeCode);
    this.isClosing = true;
    this.inner.close();
    this.over(new TransportError(TransportFailure.webSocket, cause, null));
  }

  private sendFrame(opcode: WebSocketOpcode, payload: Uint8Array, start: number, end: number): void {
    const { keys, scratch } = this.shared;
    this.inner.write(scratch, 0, encodeMaskedFrame(scratch, opcode, payload, start, end, keys));
  }

  private sendClose(code: WebSocketCloseCode): void {
    this.sendFrame(WebSocketOpcode.close, Uint8Array.of(code >>> 8, code), 0, 2);
  }

  /** What is wrong with the server's answer (RFC 6455 section 4.1), or null. */
  private judge(head: string): string | null {
    const [statusLine = '', ...lines] = head.split('\r\n');
    const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(statusLine)?.[1];
    if (status !== '101') return `the server answered the WebSocket request with ${status ?? 'something else'}`;
    const fields = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      if (colon > 0) fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    if (fields.get('upgrade')?.toLowerCase() !== 'websocket') return 'the server did not upgrade to WebSocket';
    if (!/(^|,)\s*upgrade\s*(,|$)/i.test(fields.get('connection') ?? '')) return 'the server did not upgrade';
    const accept = new Bun.CryptoHasher('sha1').update(this.key + ACCEPT_GUID).digest('base64');
    if (fields.get('sec-websocket-accept') !== accept) return 'the server did not take the WebSocket key';
    if (fields.get('sec-websocket-protocol') !== this.request.protocol) {
      return `the server does not speak ${this.request.protocol}`;
    }
    return fields.has('sec-websocket-extensions') ? 'the server uses an extension nobody asked for' : null;
  }

  private fail(message: string): void {
    this.inner.abort();
    this.over(new TransportError(TransportFailure.webSocket, message, null));
  }

  private over(error: TransportError | null): void {
    this.isOver = true;
    this.isClosing = true;
    this.handlers.onTransportClose(this, error);
  }
}

/** Index behind the empty line, or -1. */
function findHeadEnd(bytes: Uint8Array): number {
  for (let i = 3; i < bytes.length; i++) {
    if (bytes[i] === 10 && bytes[i - 1] === 13 && bytes[i - 2] === 10 && bytes[i - 3] === 13) return i + 1;
  }
  return -1;
}
