/**
 * A client on a real socket that does exactly what a test says: sends any bytes in any pieces, stops reading, resets.
 * Packets of the broker are decoded; the socket may be wrapped in TLS or WebSocket by what the test hands in.
 */
import { PacketFramer } from '../../src/protocol/packet-framer.ts';
import { decodePacket, encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import type { ProtocolError } from '../../src/protocol/protocol-error.ts';
import type { ConnackPacket } from '../../src/protocol/connack.ts';
import type { PublishPacket } from '../../src/protocol/publish.ts';
import { type ConnectOptions, connectPacket, utf8 } from './test-broker.ts';

const WAIT_LIMIT_MS = 20_000;

class Framer extends PacketFramer {
  readonly onPacket: (packet: Packet) => void;
  constructor(version: ProtocolVersion, onPacket: (packet: Packet) => void) {
    super();
    this.protocolVersion = version;
    this.onPacket = onPacket;
  }
  protected handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    this.onPacket(
      decodePacket(firstByte, bytes.slice(start, end), 0, end - start, this.protocolVersion || 4, 'server'),
    );
  }
  protected maximumPacketLength(): number {
    return 0xffff_ffff;
  }
  protected handleFramingError(error: ProtocolError): void {
    throw error;
  }
}

export interface WireOptions {
  version?: ProtocolVersion;
  hostname?: string;
  unix?: string;
  tls?: Bun.TLSOptions;
  /** Called for each packet instead of keeping it in `packets`. */
  onPacket?: (packet: Packet) => void;
}

export class WireClient {
  readonly version: ProtocolVersion;
  /** What the broker sent and `next` did not take yet. */
  readonly packets: Packet[] = [];
  bytesReceived = 0;
  /** The broker sent its FIN, or the socket is gone. */
  isEnded = false;
  isClosed = false;
  /** Milliseconds of rest after each chunk, for a client that reads slowly; 0: none. */
  restMs = 0;
  private socket: Bun.Socket<undefined> | null = null;
  private readonly framer: Framer;
  private isRaw = false;
  private readonly chunks: Uint8Array[] = [];
  private unsent: Uint8Array[] = [];
  private wakers: (() => void)[] = [];
  private nextPacketId = 1;

  private constructor(options: WireOptions) {
    this.version = options.version ?? ProtocolVersion.v5;
    this.framer = new Framer(this.version, options.onPacket ?? ((packet) => void this.packets.push(packet)));
  }

  /** Opens a socket, and its TLS. */
  static async open(port: number, options: WireOptions = {}): Promise<WireClient> {
    const client = new WireClient(options);
    const opened = Promise.withResolvers<void>();
    opened.promise.catch(() => {}); // where the connect itself fails, nobody waits for it
    const socket: Bun.SocketHandler<undefined> = {
      open: () => {
        if (options.tls === undefined) opened.resolve();
      },
      handshake: (_socket, success, error) => {
        if (success) opened.resolve();
        else opened.reject(error ?? new Error('handshake failed'));
      },
      binaryType: 'uint8array',
      data: (_socket, chunk) => client.onData(chunk),
      drain: () => client.flush(),
      end: () => client.onEnd(false),
      close: () => {
        opened.reject(new Error('closed during the handshake'));
        client.onEnd(true);
      },
      error: (_socket, error) => opened.reject(error),
      connectError: (_socket, error) => opened.reject(error),
    };
    const common = { socket, data: undefined, allowHalfOpen: true, ...(options.tls ? { tls: options.tls } : {}) };
    client.socket =
      options.unix !== undefined
        ? await Bun.connect({ ...common, unix: options.unix })
        : await Bun.connect({ ...common, hostname: options.hostname ?? '127.0.0.1', port });
    await opened.promise;
    return client;
  }

  /** Opens a socket and exchanges CONNECT and CONNACK, which must be a success. */
  static async connect(port: number, options: WireOptions & ConnectOptions = {}): Promise<WireClient> {
    const client = await WireClient.open(port, options);
    const connack = await client.handshake(options);
    if (connack.reasonCode !== 0) throw new Error(`CONNECT was refused with ${connack.reasonCode}`);
    return client;
  }

  async handshake(options: ConnectOptions = {}): Promise<ConnackPacket> {
    this.send(connectPacket({ ...options, version: this.version }));
    return (await this.next(PacketType.connack)) as ConnackPacket;
  }

  /** What comes is no MQTT: it is kept in `bytes`. */
  raw(): this {
    this.isRaw = true;
    return this;
  }

  private onData(chunk: Uint8Array): void {
    this.bytesReceived += chunk.length;
    if (this.restMs > 0) {
      this.pause();
      setTimeout(() => this.resume(), this.restMs);
    }
    if (this.isRaw) this.chunks.push(chunk.slice());
    else this.framer.push(chunk, 0, chunk.length);
    this.wake();
  }

  /** All that came since `raw`. */
  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  private onEnd(isClosed: boolean): void {
    this.isEnded = true;
    if (isClosed) this.isClosed = true;
    this.wake();
  }

  private wake(): void {
    for (const waker of this.wakers.splice(0)) waker();
  }

  /** Sends a packet or bytes; what the socket does not take leaves when it does. */
  send(what: Packet | Uint8Array): this {
    const bytes = what instanceof Uint8Array ? what : encodePacket(what, this.version);
    this.unsent.push(bytes);
    if (this.unsent.length === 1) this.flush();
    return this;
  }

  /** Bytes that the socket did not take yet. */
  get unsentBytes(): number {
    return this.unsent.reduce((total, { length }) => total + length, 0);
  }

  private flush(): void {
    while (this.unsent.length > 0 && this.socket !== null && !this.isClosed) {
      const bytes = this.unsent[0]!;
      const written = this.socket.write(bytes);
      if (written < bytes.length) {
        if (written > 0) this.unsent[0] = bytes.subarray(written);
        return;
      }
      this.unsent.shift();
    }
    this.wake();
  }

  /** Waits for `condition`, which is asked again after whatever happens on the socket. */
  async until<T>(what: string, condition: () => T | false | null | undefined): Promise<T> {
    const deadline = performance.now() + WAIT_LIMIT_MS;
    for (;;) {
      const value = condition();
      if (value !== false && value !== null && value !== undefined) return value;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`waited in vain: ${what}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, left);
      this.wakers.push(resolve);
      await promise;
      clearTimeout(timer);
    }
  }

  /** The next packet, which must be of the type. */
  async next<T extends Packet['type']>(type: T): Promise<Packet & { type: T }> {
    const packet = await this.until(`packet type ${type}`, () => {
      const first = this.packets.shift();
      if (first === undefined && this.isEnded) throw new Error(`the broker closed; expected packet type ${type}`);
      return first;
    });
    if (packet.type !== type) throw new Error(`expected packet type ${type}, got ${JSON.stringify(packet)}`);
    return packet as Packet & { type: T };
  }

  ended(): Promise<true> {
    return this.until('the end of the connection', () => this.isEnded);
  }

  closed(): Promise<true> {
    return this.until('the close of the socket', () => this.isClosed);
  }

  /** Subscribes and waits for the answer. */
  async subscribe(topicFilter: string, qos: QoS = 0): Promise<readonly number[]> {
    this.send({
      type: PacketType.subscribe,
      packetId: this.nextPacketId++,
      properties: null,
      subscriptions: [{ topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 }],
    });
    return (await this.next(PacketType.suback)).reasonCodes;
  }

  publish(topicName: string, payload: string | Uint8Array, options: Partial<PublishPacket> = {}): this {
    return this.send({
      type: PacketType.publish,
      dup: false,
      qos: 0,
      retain: false,
      topicName,
      packetId: (options.qos ?? 0) > 0 ? this.nextPacketId++ : 0,
      properties: null,
      payload: typeof payload === 'string' ? utf8(payload) : payload,
      ...options,
    });
  }

  puback(packetId: number): this {
    return this.send({ type: PacketType.puback, packetId, reasonCode: 0, properties: null });
  }

  /** A round trip: all that was sent before has been handled, and all that was answered has come. */
  async ping(): Promise<void> {
    this.send({ type: PacketType.pingreq });
    await this.next(PacketType.pingresp);
  }

  pause(): void {
    this.socket?.pause();
  }

  resume(): void {
    this.socket?.resume();
  }

  /** FIN; the broker's bytes still come. */
  halfClose(): void {
    this.socket?.shutdown();
  }

  /** Closes in order. */
  end(): void {
    this.socket?.end();
  }

  disconnect(): void {
    if (this.isClosed) return;
    this.send({ type: PacketType.disconnect, reasonCode: 0, properties: null });
    this.end();
  }

  /** RST instead of FIN. */
  reset(): void {
    this.socket?.terminate();
  }
}
