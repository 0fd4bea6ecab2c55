// Hot path: packets of one client in. Benchmark: bench/broker (all flows).
import type { Identity } from '../auth/access-control.ts';
import { checkFirstByte } from '../protocol/packet.ts';
import { packetTypeName, PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode, reasonCodeName } from '../protocol/reason-code.ts';
import type { WheelItem } from '../session/timer-wheel.ts';
import { type ByteSocket, FIRST_CONNECTION_FLAG } from '../transport/byte-connection.ts';
import type { LayerHost } from '../transport/inbound-layers.ts';
import type { ProxyHeader } from '../transport/proxy-protocol.ts';
import type { Broker } from './broker.ts';
import { ClientLink, plainAddress } from './client-link.ts';
import { handleAck } from './handle-ack.ts';
import { handleConnect } from './handle-connect.ts';
import { handleDisconnect } from './handle-disconnect.ts';
import { handlePublish } from './handle-publish.ts';
import { handleSubscribe, handleUnsubscribe } from './handle-subscribe.ts';
import type { ListenerInfo } from './listener-info.ts';
import { LogLevel, printable } from './log.ts';

/** Seconds an ended connection may take to close from its side. */
const LINGER_SECONDS = 2;

/**
 * Bytes of a CONNECT: five fields of the greatest length and as much again of properties. Before CONNECT nobody is
 * known, so nobody may have more kept.
 */
const LARGEST_CONNECT = 6 * 65_537;
/** From this many bytes to come on, an incomplete packet is a sign of life. */
const LARGE_PACKET = 1_000;

/** How a connection stands; a client sends CONNECT first, and once (v5 [MQTT-3.1.0-1], [MQTT-3.1.0-2]). */
export const ConnectionState = { new: 0, connected: 1, ended: 2 } as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

const STATE_MASK = 3 * FIRST_CONNECTION_FLAG;

/** One network connection of one client. */
export class ClientConnection extends ClientLink implements LayerHost, WheelItem, Identity {
  wheelSecond = -1;
  wheelIndex = 0;
  /** Monotonic second of the last packet. */
  lastSeen: number;
  /** Seconds of silence after which the connection ends: 1.5 x Keep Alive; 0: never. */
  silenceLimit = 0;

  constructor(broker: Broker, listener: ListenerInfo, socket: ByteSocket) {
    super(broker, listener, socket);
    this.lastSeen = broker.second;
  }

  get state(): ConnectionState {
    return ((this.flags & STATE_MASK) / FIRST_CONNECTION_FLAG) as ConnectionState;
  }

  set state(state: ConnectionState) {
    this.flags = (this.flags & ~STATE_MASK) | (state * FIRST_CONNECTION_FLAG);
  }

  /** `ID [ADDR:PORT]` for logs, or the address alone before CONNECT. */
  get label(): string {
    return this.labelOf(this.clientId);
  }

  private labelOf(clientId: string): string {
    const at = `${this.address}:${this.port}`;
    return clientId === '' ? at : `${printable(clientId)} [${at}]`;
  }

  protected maximumPacketLength(): number {
    if (this.protocolVersion === ProtocolVersion.v5) return this.broker.maxPacketSizeV5;
    const { maxPacketSizeV3 } = this.broker;
    return this.protocolVersion === 0 ? Math.min(LARGEST_CONNECT, maxPacketSizeV3) : maxPacketSizeV3;
  }

  override receive(chunk: Uint8Array): void {
    super.receive(chunk);
    // A client can't send PINGREQ in the middle of a large packet, which is alive while bytes of it come (as Mosquitto).
    if (this.missingBytes >= LARGE_PACKET) this.lastSeen = this.broker.second;
  }

  protected override checkStart(firstByte: number): void {
    const type = firstByte >> 4;
    if (this.state === ConnectionState.new && type !== PacketType.connect) throw notConnect(type);
    if (type === 0) throw reservedType();
  }

  protected handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const { broker } = this;
    broker.counters.packetsReceived++;
    this.lastSeen = broker.second;
    const type = firstByte >> 4;
    if (this.state !== ConnectionState.connected) {
      if (this.state === ConnectionState.ended) return;
      if (type !== PacketType.connect) throw notConnect(type);
      return handleConnect(broker, this, firstByte, bytes, start, end);
    }
    if (type === PacketType.publish) return handlePublish(broker, this, firstByte, bytes, start, end);
    if (type === 0) throw reservedType();
    checkFirstByte(firstByte, this.protocolVersion);
    switch (type) {
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubrel:
      case PacketType.pubcomp:
        return handleAck(broker, this, type, bytes, start, end);
      case PacketType.subscribe:
        return handleSubscribe(broker, this, bytes, start, end);
      case PacketType.unsubscribe:
        return handleUnsubscribe(broker, this, bytes, start, end);
      case PacketType.pingreq:
        if (start !== end) {
          throw new ProtocolError(ReasonCode.malformedPacket, 'PINGREQ has a body', 'v5 section 3.12');
        }
        return this.sendPingresp();
      case PacketType.disconnect:
        return handleDisconnect(broker, this, bytes, start, end);
      case PacketType.connect:
        throw new ProtocolError(ReasonCode.protocolError, 'second CONNECT', 'v5 [MQTT-3.1.0-2]');
      default:
        throw new ProtocolError(
          ReasonCode.protocolError,
          `a client may not send ${packetTypeName(type)}`,
          'v5 section 2.1.2',
        );
    }
  }

  protected handleFramingError(error: ProtocolError): void {
    this.fail(error.reasonCode, `${error.message} (${error.clause})`);
  }

  /**
   * Ends the connection for what the client did or what the broker decided: answers CONNACK or DISCONNECT where the
   * protocol has one, logs `cause`, counts the reason, and closes.
   *
   * @param clientId for the log, where the CONNECT that is refused gave it
   */
  fail(
    reasonCode: ReasonCode,
    cause: string,
    properties: Properties | null = null,
    clientId: string = this.clientId,
  ): void {
    if (this.state === ConnectionState.ended) return;
    const { broker } = this;
    broker.counters.close(reasonCodeName(reasonCode));
    if (broker.logsConnections) {
      broker.log.log(LogLevel.notice, `Client ${this.labelOf(clientId)} disconnected: ${cause}.`);
    }
    if (this.protocolVersion === ProtocolVersion.v5) {
      // CONNACK and DISCONNECT may always carry a Reason String (v5 section 3.1.2.11.7); it is left out where it makes the
      // packet too large for the client (v5 [MQTT-3.2.2-19], [MQTT-3.14.2-3]).
      const isTold =
        broker.options.reasonStrings && this.sendEnd(reasonCode, { ...properties, reasonString: printable(cause) });
      if (!isTold) this.sendEnd(reasonCode, properties);
    }
    this.end();
  }

  private sendEnd(reasonCode: ReasonCode, properties: Properties | null): boolean {
    return this.state === ConnectionState.connected
      ? this.send({ type: PacketType.disconnect, reasonCode, properties })
      : this.send({ type: PacketType.connack, sessionPresent: false, reasonCode, properties });
  }

  /** Closes after what is queued; the session goes its way as its will and expiry say. */
  end(): void {
    if (this.state === ConnectionState.ended) return;
    const wasConnected = this.state === ConnectionState.connected;
    this.state = ConnectionState.ended;
    this.endGracefully();
    this.broker.connectionWheel.schedule(this, this.broker.second + LINGER_SECONDS);
    if (wasConnected) this.broker.detach(this);
  }

  /** Closes at once, without a word. */
  abort(): void {
    const { socket } = this;
    this.onClosed();
    socket?.terminate();
  }

  /** The socket closed, for whatever cause. */
  onClosed(): void {
    const { broker } = this;
    if (this.socket === null) return;
    const wasConnected = this.state === ConnectionState.connected;
    if (wasConnected) this.countLoss();
    this.state = ConnectionState.ended;
    broker.connectionWheel.cancel(this);
    broker.congestionControl.onClosed(this);
    this.release();
    this.dropHeld();
    broker.onConnectionClosed(this);
    if (wasConnected) broker.detach(this);
  }

  /** The wheel's deadline: no CONNECT in time, silence, or a lingering close. */
  onDeadline(): void {
    const { broker } = this;
    if (this.state === ConnectionState.ended) return this.abort();
    if (this.state === ConnectionState.new) {
      this.fail(ReasonCode.keepAliveTimeout, 'no CONNECT in time');
      return;
    }
    if (this.silenceLimit === 0) return;
    // `lastSeen` is a whole second, up to one before the packet: nobody may be cut off early.
    const due = this.lastSeen + this.silenceLimit + 1;
    if (due > broker.second || this.pausedBy > 0) {
      broker.connectionWheel.schedule(this, Math.max(due, broker.second + 1));
      return;
    }
    broker.counters.keepAliveTimeouts++;
    this.fail(ReasonCode.keepAliveTimeout, 'exceeded timeout');
  }

  protected onContinue(): void {
    this.lastSeen = this.broker.second;
  }

  onProxyHeader(header: ProxyHeader): void {
    if (header.sourceAddress !== null) {
      this.setAddress(plainAddress(header.sourceAddress), header.sourcePort ?? 0);
    }
    if (header.tls !== null && header.tls.verified && this.listener.useIdentityAsUsername) {
      this.transportUsername = header.tls.commonName;
    }
  }

  onLayerError(cause: string): void {
    this.fail(ReasonCode.malformedPacket, cause);
  }

  onPeerClosed(): void {
    if (this.state === ConnectionState.connected) this.countLoss();
    this.end();
  }

  /** The client went away without DISCONNECT. */
  private countLoss(): void {
    const { broker } = this;
    broker.counters.close('connection lost');
    if (broker.logsConnections) {
      broker.log.log(LogLevel.notice, `Client ${this.label} closed its connection.`);
    }
  }
}

/** Mosquitto's code: there is no such packet, whatever its bytes. */
function reservedType(): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, 'packet type 0 is reserved', 'v5 section 2.1.2');
}

function notConnect(type: number): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, `${packetTypeName(type)} before CONNECT`, 'v5 [MQTT-3.1.0-1]');
}
