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
import {
  logBadProxyHeader,
  logFailure,
  logLost,
  logManyConnects,
  logNegotiated,
  logOpened,
  logWebSocket,
  logProxiedRefused,
} from './connection-log.ts';
import { handleAck } from './handle-ack.ts';
import { handleConnect } from './handle-connect.ts';
import { handleDisconnect } from './handle-disconnect.ts';
import { handlePublish } from './handle-publish.ts';
import { handleSubscribe, handleUnsubscribe } from './handle-subscribe.ts';
import { type ListenerInfo, ProxyDemand } from './listener-info.ts';
import { printable } from './log.ts';
import { traceConnack, traceDisconnect, traceReceived, tracesPackets } from './packet-trace.ts';

/** Mosquitto's words for silence, also where CONNECT is not come in time. */
const EXCEEDED_TIMEOUT = 'exceeded timeout';
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
/** The log told of the connection, so it tells of its end. */
const ANNOUNCED = 4 * FIRST_CONNECTION_FLAG;

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

  get isAnnounced(): boolean {
    return (this.flags & ANNOUNCED) !== 0;
  }

  set isAnnounced(isAnnounced: boolean) {
    this.flags = isAnnounced ? this.flags | ANNOUNCED : this.flags & ~ANNOUNCED;
  }

  /** `ADDR:PORT` for logs. */
  get peer(): string {
    return `${this.address}:${this.port}`;
  }

  /** `ID [ADDR:PORT]` for logs, or the address alone before CONNECT. */
  get label(): string {
    const { clientId, peer } = this;
    return clientId === '' ? peer : `${printable(clientId)} [${peer}]`;
  }

  protected maximumPacketLength(): number {
    if (this.protocolVersion === ProtocolVersion.v5) {
      const { promised } = this;
      const { maxPacketSizeV5 } = this.broker;
      return promised === null ? maxPacketSizeV5 : Math.max(promised.maximumPacketSize, maxPacketSizeV5);
    }
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
    if (this.state === ConnectionState.new && type !== PacketType.connect) throw notConnect(firstByte);
    if (type === 0) throw reservedType();
  }

  protected handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const { broker } = this;
    broker.counters.packetsReceived++;
    this.lastSeen = broker.second;
    const type = firstByte >> 4;
    if (this.state !== ConnectionState.connected) {
      if (this.state === ConnectionState.ended) return;
      if (type !== PacketType.connect) throw notConnect(firstByte);
      return handleConnect(broker, this, firstByte, bytes, start, end);
    }
    if (type === PacketType.publish) {
      const { loader } = broker;
      if (loader !== null && loader.mustWait(firstByte)) return loader.hold(this, firstByte, bytes, start, end);
      if (this.isDeferring) return this.defer(firstByte, bytes, start, end);
      return handlePublish(broker, this, firstByte, bytes, start, end);
    }
    if (type === 0) throw reservedType();
    checkFirstByte(firstByte, this.protocolVersion);
    switch (type) {
      case PacketType.pubrel:
        if (broker.loader !== null) return broker.loader.hold(this, firstByte, bytes, start, end);
        if (this.isDeferring) return this.defer(firstByte, bytes, start, end);
        return handleAck(broker, this, type, bytes, start, end);
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubcomp:
        return handleAck(broker, this, type, bytes, start, end);
      case PacketType.subscribe:
        this.flushDeferred();
        return handleSubscribe(broker, this, bytes, start, end);
      case PacketType.unsubscribe:
        this.flushDeferred();
        return handleUnsubscribe(broker, this, bytes, start, end);
      case PacketType.pingreq:
        if (start !== end) {
          throw new ProtocolError(ReasonCode.malformedPacket, 'PINGREQ has a body', 'v5 section 3.12');
        }
        if (tracesPackets(this)) traceReceived(this, 'PINGREQ');
        return this.sendPingresp();
      case PacketType.disconnect:
        this.flushDeferred();
        return handleDisconnect(broker, this, bytes, start, end);
      case PacketType.connect:
        logManyConnects(this);
        throw new ProtocolError(ReasonCode.protocolError, 'second CONNECT', 'v5 [MQTT-3.1.0-2]');
      default:
        throw new ProtocolError(
          ReasonCode.protocolError,
          `a client may not send ${packetTypeName(type)}`,
          'v5 section 2.1.2',
        );
    }
  }

  protected handleDeferred(firstByte: number, body: Uint8Array): void {
    if (this.state !== ConnectionState.connected) return;
    if (firstByte >> 4 === PacketType.publish) handlePublish(this.broker, this, firstByte, body, 0, body.length);
    else handleAck(this.broker, this, PacketType.pubrel, body, 0, body.length);
  }

  /** Handles a packet that had to wait. */
  handleHeld(firstByte: number, bytes: Uint8Array): void {
    const { broker } = this;
    broker.reading = this;
    try {
      this.handlePacket(firstByte, bytes, 0, bytes.length);
    } catch (error) {
      if (error instanceof ProtocolError) this.handleFramingError(error);
      else broker.onInternalError(this, error);
    }
    broker.reading = null;
  }

  protected handleFramingError(error: ProtocolError): void {
    this.fail(error.reasonCode, error.clause === '' ? error.message : `${error.message} (${error.clause})`);
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
    if (this.protocolVersion === ProtocolVersion.v5) {
      if (tracesPackets(this)) this.traceEnd(clientId, reasonCode);
      // CONNACK and DISCONNECT may always carry a Reason String (v5 section 3.1.2.11.7); it is left out where it makes the
      // packet too large for the client (v5 [MQTT-3.2.2-19], [MQTT-3.14.2-3]).
      const isTold =
        broker.options.reasonStrings && this.sendEnd(reasonCode, { ...properties, reasonString: printable(cause) });
      if (!isTold) this.sendEnd(reasonCode, properties);
    }
    logFailure(this, clientId, reasonCode, cause);
    this.end();
  }

  private traceEnd(clientId: string, reasonCode: ReasonCode): void {
    if (this.state === ConnectionState.connected) traceDisconnect(this, reasonCode);
    else traceConnack(this, clientId, false, reasonCode);
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
    else if (this.state === ConnectionState.new && this.isAnnounced) logLost(this);
    this.state = ConnectionState.ended;
    broker.connectionWheel.cancel(this);
    broker.congestionControl.onClosed(this);
    this.release();
    this.dropUnhandled();
    broker.onConnectionClosed(this);
    if (wasConnected) broker.detach(this);
  }

  /** The wheel's deadline: no CONNECT in time, silence, or a lingering close. */
  onDeadline(): void {
    const { broker } = this;
    if (this.state === ConnectionState.ended) return this.abort();
    if (this.state === ConnectionState.new) {
      this.fail(ReasonCode.keepAliveTimeout, EXCEEDED_TIMEOUT);
      return;
    }
    if (this.silenceLimit === 0) return;
    // `lastSeen` is a whole second, up to one before the packet: nobody may be cut off early.
    const due = this.lastSeen + this.silenceLimit + 1;
    if (due > broker.second || this.isKeptUnread) {
      broker.connectionWheel.schedule(this, Math.max(due, broker.second + 1));
      return;
    }
    broker.counters.keepAliveTimeouts++;
    this.fail(ReasonCode.keepAliveTimeout, EXCEEDED_TIMEOUT);
  }

  get wasHeardLately(): boolean {
    return this.broker.second - this.lastSeen <= 1;
  }

  protected onContinue(): void {
    this.lastSeen = this.broker.second;
  }

  onProxyHeader(header: ProxyHeader): void {
    if (header.sourceAddress !== null) {
      this.setAddress(plainAddress(header.sourceAddress), header.sourcePort ?? 0);
      // A proxy that speaks for itself looks whether we are there; that is not worth a line.
      logOpened(this);
    }
    const { tls } = header;
    const { proxyDemand } = this.listener;
    if (
      proxyDemand !== ProxyDemand.none &&
      (tls === null || (proxyDemand === ProxyDemand.certificate && !tls.verified))
    ) {
      return this.refuseProxied(header);
    }
    if (tls !== null && tls.version !== null && tls.cipher !== null) {
      logNegotiated(this, `${printable(tls.version)} cipher ${printable(tls.cipher)}`);
    }
    if (header.tls !== null && header.tls.verified && this.listener.useIdentityAsUsername) {
      this.transportUsername = header.tls.commonName;
    }
  }

  /** The proxy does not say what the listener demands. */
  private refuseProxied({ tls, local }: ProxyHeader): void {
    this.broker.counters.close(tls === null ? 'tls error' : 'client certificate');
    // A proxy that speaks for itself looks whether we are there.
    if (!local)
      logProxiedRefused(
        this,
        tls === null ? 'client did not connect using TLS' : 'client did not provide a certificate',
      );
    this.abort();
  }

  onProxyError(cause: string): void {
    this.broker.counters.close(reasonCodeName(ReasonCode.malformedPacket));
    logBadProxyHeader(this, cause);
    this.end();
  }

  override becomeWebSocket(): void {
    super.becomeWebSocket();
    logWebSocket(this);
  }

  onLayerError(cause: string): void {
    this.fail(ReasonCode.malformedPacket, cause);
  }

  onPeerClosed(): void {
    // What it sent before it went is not lost: nobody waits on its behalf any more.
    this.flushDeferred();
    if (this.state === ConnectionState.connected) this.countLoss();
    this.end();
  }

  /** The client went away without DISCONNECT. */
  private countLoss(): void {
    const { broker } = this;
    broker.counters.close('connection lost');
    if (broker.logsConnections && !broker.isStopping) logLost(this);
  }
}

/** Mosquitto's code: there is no such packet, whatever its bytes. */
function reservedType(): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, 'RESERVED packet', 'v5 section 2.1.2');
}

/** v5 [MQTT-3.1.0-1], without the clause: tools match these words of Mosquitto 2.1. */
function notConnect(firstByte: number): ProtocolError {
  const byte = firstByte.toString(16).toUpperCase().padStart(2, '0');
  return new ProtocolError(ReasonCode.protocolError, `First packet not CONNECT (${byte})`, '');
}
