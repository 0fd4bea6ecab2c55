import { PacketFramer } from '../../../src/protocol/packet-framer.ts';
import { MAX_REMAINING_LENGTH, PacketType, ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import { decodePacket, encodePacket, type Packet } from '../../../src/protocol/packet.ts';
import type { Properties } from '../../../src/protocol/properties.ts';
import type { ProtocolError } from '../../../src/protocol/protocol-error.ts';
import type { PublishPacket } from '../../../src/protocol/publish.ts';
import type {
  ClientTransport,
  Connector,
  TransportError,
  TransportHandlers,
} from '../../../src/transport/client-transport.ts';

/** Decodes what a client sends, strictly. */
class Inbox extends PacketFramer {
  readonly packets: Packet[] = [];

  protected override handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const version = this.protocolVersion === 0 ? ProtocolVersion.v5 : this.protocolVersion;
    const packet = decodePacket(firstByte, bytes, start, end, version, 'client');
    if (packet.type === PacketType.connect) this.protocolVersion = packet.protocolVersion;
    this.packets.push(packet);
  }

  protected override maximumPacketLength(): number {
    return MAX_REMAINING_LENGTH + 5;
  }

  protected override handleFramingError(error: ProtocolError): void {
    throw error;
  }
}

/** One connection in memory. All is synchronous, but for the client's own `close`, which ends at `finishClose`. */
export class ScriptedConnection implements ClientTransport {
  /** Bytes the network refuses to take: `write` then only counts them. */
  bufferedAmount = 0;
  isPaused = false;
  isClosed = false;
  wasAborted = false;
  writes = 0;
  private readonly handlers: TransportHandlers;
  private readonly inbox = new Inbox();
  private seen = 0;

  constructor(handlers: TransportHandlers) {
    this.handlers = handlers;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    if (this.isClosed) throw new Error('write after close');
    this.writes++;
    const copy = bytes.slice(start, end);
    this.inbox.push(copy, 0, copy.length);
  }

  writeShared(bytes: Uint8Array): void {
    this.write(bytes, 0, bytes.length);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(): void {
    this.isClosed = true;
  }

  abort(): void {
    this.isClosed = true;
    this.wasAborted = true;
  }

  /** The stream is open: the client sends CONNECT. */
  open(): void {
    this.handlers.onTransportOpen(this);
  }

  /** The client's packets since the last call. */
  take(): Packet[] {
    const fresh = this.inbox.packets.slice(this.seen);
    this.seen = this.inbox.packets.length;
    return fresh;
  }

  get version(): ProtocolVersion {
    const version = this.inbox.protocolVersion;
    if (version === 0) throw new Error('no CONNECT yet');
    return version;
  }

  send(packet: Packet): void {
    this.sendBytes(encodePacket(packet, this.version));
  }

  sendBytes(bytes: Uint8Array): void {
    this.handlers.onTransportData(this, bytes, 0, bytes.length);
  }

  drain(): void {
    this.bufferedAmount = 0;
    this.handlers.onTransportDrain(this);
  }

  /** The stream is gone: as the server wanted, or after the client's `close`. */
  finishClose(error: TransportError | null = null): void {
    this.isClosed = true;
    this.handlers.onTransportClose(this, error);
  }

  /** Opens, takes CONNECT and accepts it. */
  accept(properties: Properties | null = null, sessionPresent = false): void {
    this.open();
    this.take();
    this.send({ type: PacketType.connack, sessionPresent, reasonCode: 0, properties });
  }

  publish(packet: Partial<PublishPacket>): void {
    this.send({ ...emptyPublish, ...packet });
  }

  ack(
    type: typeof PacketType.puback | typeof PacketType.pubrec | typeof PacketType.pubrel | typeof PacketType.pubcomp,
    packetId: number,
    reasonCode = 0,
  ): void {
    this.send({ type, packetId, reasonCode, properties: null });
  }
}

const emptyPublish: PublishPacket = {
  type: PacketType.publish,
  dup: false,
  qos: 0,
  retain: false,
  topicName: 'a/b',
  packetId: 0,
  properties: null,
  payload: new Uint8Array(0),
};

/** Hands out connections in memory, which tests play the server's part of. */
export class ScriptedServer {
  readonly connections: ScriptedConnection[] = [];
  readonly connector: Connector = (handlers) => {
    const connection = new ScriptedConnection(handlers);
    this.connections.push(connection);
    return connection;
  };

  /** The latest connection. */
  get connection(): ScriptedConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('no connection was asked for');
    return connection;
  }
}
