/** What a socket's bytes pass before they are MQTT: a PROXY header, then a WebSocket handshake and its frames. */
import type { ByteConnection, InboundLayer } from './byte-connection.ts';
import { type ProxyHeader, ProxyHeaderReader, type ProxyVersions } from './proxy-protocol.ts';
import {
  encodeCloseFrame,
  encodeControlFrame,
  WebSocketCloseCode,
  WebSocketFrameReader,
  WebSocketOpcode,
  type WebSocketSink,
} from './websocket-frames.ts';
import { WebSocketHandshake, type WebSocketHandshakeOptions } from './websocket-handshake.ts';

/** What the layers tell the connection above them. */
export interface LayerHost extends ByteConnection {
  onProxyHeader(header: ProxyHeader): void;
  /** The bytes are no PROXY header: log `cause` and close. */
  onProxyError(cause: string): void;
  /** The bytes are none of the protocol this listener speaks: log `cause` and close. */
  onLayerError(cause: string): void;
  /** The peer ended the WebSocket in order. */
  onPeerClosed(): void;
}

export class ProxyLayer implements InboundLayer {
  private readonly host: LayerHost;
  private readonly reader: ProxyHeaderReader;
  private readonly next: InboundLayer | null;

  constructor(host: LayerHost, versions: ProxyVersions, next: InboundLayer | null) {
    this.host = host;
    this.reader = new ProxyHeaderReader(versions);
    this.next = next;
  }

  read(chunk: Uint8Array, start: number, end: number): void {
    const result = this.reader.push(chunk, start, end);
    if (result.kind === 'more') return;
    if (result.kind === 'error') return this.host.onProxyError(result.cause);
    this.host.layer = this.next;
    this.host.onProxyHeader(result);
    if (result.consumed === end || !this.host.isOpen) return;
    if (this.next === null) this.host.push(chunk, result.consumed, end);
    else this.next.read(chunk, result.consumed, end);
  }

  closingBytes(): Uint8Array | null {
    return null;
  }
}

/** Largest frame a client may send: an MQTT packet of the standard's size and its header fit in one. */
const MAX_FRAME_BYTES = 268_435_460;

export class WebSocketLayer implements InboundLayer, WebSocketSink {
  private readonly host: LayerHost;
  private handshake: WebSocketHandshake | null;
  private readonly reader = new WebSocketFrameReader(MAX_FRAME_BYTES);
  /** Of the Close frame that ends our side. */
  private closeCode: number = WebSocketCloseCode.normal;
  /** No frame may follow: the Close frame is out, or there never was a WebSocket. */
  private isClosed = false;

  constructor(host: LayerHost, options: WebSocketHandshakeOptions) {
    this.host = host;
    this.handshake = new WebSocketHandshake(options);
  }

  read(chunk: Uint8Array, start: number, end: number): void {
    let from = start;
    if (this.handshake !== null) {
      const result = this.handshake.push(chunk, start, end);
      if (result.kind === 'more') return;
      this.host.writeRaw(result.response);
      if (result.kind === 'refused') {
        this.isClosed = true;
        return this.host.onLayerError(`WebSocket handshake: ${result.cause}`);
      }
      this.handshake = null;
      this.host.becomeWebSocket();
      from = result.consumed;
    }
    if (from < end) this.reader.read(chunk, from, end, this);
  }

  onPayload(bytes: Uint8Array, start: number, end: number): void {
    this.host.push(bytes, start, end);
  }

  onPing(bytes: Uint8Array, start: number, end: number): void {
    this.host.writeRaw(encodeControlFrame(WebSocketOpcode.pong, bytes, start, end));
  }

  onPong(): void {}

  onClose(code: number): void {
    this.closeCode = code === WebSocketCloseCode.noStatus ? WebSocketCloseCode.normal : code;
    this.host.onPeerClosed();
  }

  /** A DISCONNECT of the host goes ahead of the Close frame: nothing may follow that (RFC 6455 section 5.5.1). */
  onProtocolError(closeCode: WebSocketCloseCode, cause: string): void {
    this.closeCode = closeCode;
    this.host.onLayerError(`WebSocket: ${cause}`);
  }

  closingBytes(): Uint8Array | null {
    if (this.isClosed || this.handshake !== null) return null;
    this.isClosed = true;
    return encodeCloseFrame(this.closeCode);
  }
}
