import { PacketFramer } from '../../../src/protocol/packet-framer.ts';
import { MAX_REMAINING_LENGTH, PacketType, ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import { decodePacket, encodePacket, type Packet } from '../../../src/protocol/packet.ts';
import type { ProtocolError } from '../../../src/protocol/protocol-error.ts';

/** One connection to a server whose answers a test scripts. */
export class FakeConnection extends PacketFramer {
  readonly received: Packet[] = [];
  /** Counts the connections of a server, from 1. */
  readonly number: number;
  private readonly socket: Bun.Socket<FakeConnection>;
  private readonly answer: Answer;

  constructor(socket: Bun.Socket<FakeConnection>, number: number, answer: Answer) {
    super();
    this.socket = socket;
    this.number = number;
    this.answer = answer;
  }

  /** Bytes that the client has not taken. */
  private waiting: Uint8Array | null = null;
  private mayClose = false;

  send(...packets: Packet[]): void {
    for (const packet of packets) this.sendBytes(encodePacket(packet, this.protocolVersion || ProtocolVersion.v5));
  }

  sendBytes(bytes: Uint8Array): void {
    if (this.waiting === null) this.write(bytes);
    else this.waiting = Buffer.concat([this.waiting, bytes]);
  }

  close(): void {
    if (this.waiting === null) this.socket.end();
    else this.mayClose = true;
  }

  onDrain(): void {
    if (this.waiting !== null) this.write(this.waiting);
    if (this.waiting === null && this.mayClose) this.socket.end();
  }

  private write(bytes: Uint8Array): void {
    const taken = Math.max(0, this.socket.write(bytes));
    this.waiting = taken < bytes.length ? bytes.subarray(taken) : null;
  }

  protected override handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const version = this.protocolVersion || ProtocolVersion.v5;
    const packet = decodePacket(firstByte, bytes, start, end, version, 'client');
    if (packet.type === PacketType.connect) this.protocolVersion = packet.protocolVersion;
    this.received.push(packet);
    this.answer(this, packet);
  }

  protected override maximumPacketLength(): number {
    return MAX_REMAINING_LENGTH + 5;
  }

  protected override handleFramingError(error: ProtocolError): void {
    throw error;
  }
}

/** What the server does on a packet; null for a connection that just opened. */
export type Answer = (connection: FakeConnection, packet: Packet | null) => void;

export interface FakeServer {
  readonly port: number;
  readonly connections: FakeConnection[];
  stop(): void;
}

export function startFakeServer(answer: Answer): FakeServer {
  const connections: FakeConnection[] = [];
  const listener = Bun.listen<FakeConnection>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.data = new FakeConnection(socket, connections.length + 1, answer);
        connections.push(socket.data);
        answer(socket.data, null);
      },
      data: (socket, chunk) => socket.data.push(chunk, 0, chunk.length),
      drain: (socket) => socket.data.onDrain(),
      error() {},
    },
  });
  return { port: listener.port, connections, stop: () => listener.stop(true) };
}

/** Accepts, grants, acknowledges. */
export const obliging: Answer = (connection, packet) => {
  switch (packet?.type) {
    case PacketType.connect:
      connection.send({ type: PacketType.connack, sessionPresent: false, reasonCode: 0, properties: null });
      return;
    case PacketType.subscribe: {
      const reasonCodes = packet.subscriptions.map(({ qos }) => qos);
      connection.send({ type: PacketType.suback, packetId: packet.packetId, properties: null, reasonCodes });
      return;
    }
    case PacketType.publish:
      if (packet.qos === 1) {
        connection.send({ type: PacketType.puback, packetId: packet.packetId, reasonCode: 0, properties: null });
      }
      return;
    case PacketType.pingreq:
      connection.send({ type: PacketType.pingresp });
      return;
    case PacketType.disconnect:
      connection.close();
      return;
    default:
  }
};
