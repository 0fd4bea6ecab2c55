/** A broker on memory and a clock that tests move: no sockets, no waiting. */
import { type AccessControl, AnonymousAccess } from '../../src/auth/access-control.ts';
import { type ClientIdRules, defaultClientIdRules } from '../../src/auth/client-id-rules.ts';
import { Broker } from '../../src/broker/broker.ts';
import type { ClientConnection } from '../../src/broker/client-connection.ts';
import { defaultListenerInfo, type ListenerInfo } from '../../src/broker/listener-info.ts';
import { type LogFields, type Logger, LogType } from '../../src/broker/log.ts';
import { type BrokerOptions, defaultBrokerOptions } from '../../src/config/broker-options.ts';
import type { ConnackPacket } from '../../src/protocol/connack.ts';
import type { ConnectPacket } from '../../src/protocol/connect.ts';
import { decodePacket, encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import type { Properties } from '../../src/protocol/properties.ts';
import type { SubscriptionRequest } from '../../src/protocol/subscribe.ts';
import type { SubackPacket } from '../../src/protocol/suback.ts';
import type { PublishPacket } from '../../src/protocol/publish.ts';
import type { Clock } from '../../src/session/clock.ts';
import type { ByteSocket } from '../../src/transport/byte-connection.ts';
import { PacketFramer } from '../../src/protocol/packet-framer.ts';
import type { ProtocolError } from '../../src/protocol/protocol-error.ts';

export class FakeClock implements Clock {
  private wall = 1_700_000_000_000;
  private monotonic = 1_000_000;
  wallMs(): number {
    return this.wall;
  }
  monotonicMs(): number {
    return this.monotonic;
  }
  add(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}

/** What is logged where nobody says otherwise. */
export const DEFAULT_LOG_TYPES = LogType.error | LogType.warning | LogType.notice | LogType.information;

/** Collects log lines, for tests that say what an operator reads. */
export class LogLines implements Logger {
  types: number;
  readonly lines: string[] = [];
  /** Type and fields of each line. */
  readonly details: { readonly type: LogType; readonly fields: LogFields | undefined }[] = [];

  constructor(types: number = DEFAULT_LOG_TYPES) {
    this.types = types;
  }

  log(type: LogType, line: string, fields?: LogFields): void {
    if ((this.types & type) === 0) return;
    this.lines.push(line);
    this.details.push({ type, fields });
  }
}

class MemorySocket implements ByteSocket {
  readonly remoteAddress = '192.0.2.1';
  readonly remotePort = 50_000;
  /** Bytes the next writes take in all; lower it to play a client that does not read. */
  room = Number.POSITIVE_INFINITY;
  isPaused = false;
  /** The broker sent a FIN or closed. */
  isClosed = false;
  onBytes: (bytes: Uint8Array) => void = () => {};

  write(bytes: Uint8Array, start: number, length: number): number {
    if (this.isClosed) return -1;
    const taken = Math.min(length, this.room);
    this.room -= taken;
    if (taken > 0) this.onBytes(bytes.slice(start, start + taken));
    return taken;
  }
  shutdown(): void {
    this.isClosed = true;
  }
  terminate(): void {
    this.isClosed = true;
  }
  end(): void {
    this.isClosed = true;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
}

/** Decodes what the broker sends. */
class ServerFramer extends PacketFramer {
  readonly packets: Packet[] = [];
  protected handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    this.packets.push(decodePacket(firstByte, bytes, start, end, this.protocolVersion || 4, 'server'));
  }
  protected maximumPacketLength(): number {
    return 0xffff_ffff;
  }
  protected handleFramingError(error: ProtocolError): void {
    throw error;
  }
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replace(/\s+/g, ''), 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** The packet of a type; the four acknowledgements share one interface. */
export type PacketOf<T extends Packet['type'], P = Packet> = P extends { type: infer U }
  ? T extends U
    ? P
    : never
  : never;

export interface ConnectOptions {
  version?: ProtocolVersion;
  clientId?: string;
  cleanStart?: boolean;
  keepAlive?: number;
  properties?: Properties;
  will?: ConnectPacket['will'];
  username?: string;
  password?: string;
}

export function connectPacket(options: ConnectOptions): ConnectPacket {
  const version = options.version ?? ProtocolVersion.v5;
  return {
    type: PacketType.connect,
    protocolVersion: version,
    bridge: false,
    cleanStart: options.cleanStart ?? true,
    keepAlive: options.keepAlive ?? 0,
    clientId: options.clientId ?? 'client',
    will: options.will ?? null,
    username: options.username ?? null,
    password: options.password === undefined ? null : utf8(options.password),
    properties: options.properties ?? null,
  };
}

/** The client's end of one connection. */
export class Peer {
  readonly socket = new MemorySocket();
  readonly connection: ClientConnection;
  private readonly framer = new ServerFramer();
  private readonly test: TestBroker;
  private chunks: Uint8Array[] = [];
  /** Why what the broker sent is no packet of this version. */
  private undecodable: unknown = null;

  constructor(test: TestBroker, version: ProtocolVersion, listener: ListenerInfo) {
    this.test = test;
    this.framer.protocolVersion = version;
    this.socket.onBytes = (bytes) => {
      this.chunks.push(bytes);
      try {
        this.framer.push(bytes, 0, bytes.length);
      } catch (error) {
        // Thrown from here it would be a fault of the broker, which is in the middle of a write.
        this.undecodable ??= error;
      }
    };
    const connection = test.broker.accept(listener, this.socket);
    if (connection === null) throw new Error('the broker refused the connection');
    this.connection = connection;
  }

  /** All bytes the broker sent since `take` or the last assignment, for byte-exact checks. */
  get raw(): number[] {
    return [...Buffer.concat(this.chunks)];
  }
  set raw(bytes: number[]) {
    this.chunks = [Uint8Array.from(bytes)];
  }

  get version(): ProtocolVersion {
    return this.framer.protocolVersion as ProtocolVersion;
  }

  /** The broker ended the connection. */
  get isClosed(): boolean {
    return this.socket.isClosed;
  }

  /** Sends a packet, or bytes as hex, and lets the broker answer. */
  send(what: Packet | string | Uint8Array): this {
    const bytes =
      typeof what === 'string' ? fromHex(what) : what instanceof Uint8Array ? what : encodePacket(what, this.version);
    this.test.broker.receive(this.connection, bytes);
    this.test.broker.output.flushAll();
    return this;
  }

  private flush(): void {
    this.test.broker.output.flushAll();
    if (this.undecodable !== null) throw this.undecodable;
  }

  /** Everything received since the last call. */
  take(): Packet[] {
    this.flush();
    this.chunks = [];
    return this.framer.packets.splice(0);
  }

  /** The next packet received; fails where there is none or it is of another type. */
  expect<T extends Packet['type']>(type: T): PacketOf<T> {
    this.flush();
    const packet = this.framer.packets.shift();
    if (packet === undefined) throw new Error(`expected packet type ${type}, none came`);
    if (packet.type !== type) throw new Error(`expected packet type ${type}, got ${JSON.stringify(packet)}`);
    return packet as PacketOf<T>;
  }

  expectNothing(): void {
    this.flush();
    const [packet] = this.framer.packets;
    if (packet !== undefined) throw new Error(`expected nothing, got ${JSON.stringify(packet)}`);
  }

  subscribe(topicFilter: string, qos: QoS = 0, options: Partial<SubscriptionRequest> & { identifier?: number } = {}) {
    const { identifier, ...rest } = options;
    this.send({
      type: PacketType.subscribe,
      packetId: 1,
      properties: identifier === undefined ? null : { subscriptionIdentifiers: [identifier] },
      subscriptions: [{ topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0, ...rest }],
    });
    return this.expect(PacketType.suback) as SubackPacket;
  }

  publish(topicName: string, payload: string, options: Partial<PublishPacket> = {}): this {
    return this.send({
      type: PacketType.publish,
      dup: false,
      qos: 0,
      retain: false,
      topicName,
      packetId: (options.qos ?? 0) > 0 ? 10 : 0,
      properties: null,
      payload: utf8(payload),
      ...options,
    });
  }

  puback(packetId: number): this {
    return this.send({ type: PacketType.puback, packetId, reasonCode: 0, properties: null });
  }

  /** The client's network goes away without DISCONNECT. */
  drop(): void {
    this.socket.isClosed = true;
    this.connection.onClosed();
    this.test.broker.output.flushAll();
  }

  disconnect(reasonCode = 0, properties: Properties | null = null): void {
    this.send({ type: PacketType.disconnect, reasonCode, properties });
    this.connection.onClosed();
  }
}

export class TestBroker {
  readonly clock = new FakeClock();
  readonly log = new LogLines();
  readonly broker: Broker;
  readonly listener: ListenerInfo;

  constructor(
    options: Partial<BrokerOptions & ClientIdRules> = {},
    listener: Partial<ListenerInfo> = {},
    access?: AccessControl,
  ) {
    this.broker = new Broker(
      { ...defaultBrokerOptions, ...options },
      access ?? new AnonymousAccess(true),
      this.log,
      this.clock,
    );
    const { allowZeroLengthClientid, autoIdPrefix } = { ...defaultClientIdRules, ...options };
    this.listener = {
      ...defaultListenerInfo(),
      clientIds: { ...defaultClientIdRules, allowZeroLengthClientid, autoIdPrefix },
      ...listener,
    };
  }

  /** A network connection without CONNECT. */
  open(version: ProtocolVersion = ProtocolVersion.v5): Peer {
    return new Peer(this, version, this.listener);
  }

  /** Connects and takes the CONNACK, which must be a success. */
  connect(options: ConnectOptions = {}): Peer & { connack: ConnackPacket } {
    const peer = this.open(options.version ?? ProtocolVersion.v5);
    peer.send(connectPacket(options));
    const connack = peer.expect(PacketType.connack);
    if (connack.reasonCode !== 0) throw new Error(`CONNECT was refused with ${connack.reasonCode}`);
    return Object.assign(peer, { connack });
  }

  /** Moves the clock, a tick for each second. */
  advance(ms: number): void {
    for (let left = ms; left > 0; left -= 1_000) {
      this.clock.add(Math.min(1_000, left));
      this.broker.tick();
    }
    this.broker.output.flushAll();
  }
}
