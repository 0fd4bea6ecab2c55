// Hot path: packets of one client in, frames to it out. Benchmark: bench/broker (all flows).
import { ackFirstByte, type AckType, decodeAck, encodeAck, writeShortAck } from '../protocol/ack.ts';
import { ByteWriter } from '../protocol/byte-writer.ts';
import { checkFirstByte, type Packet, writePacket } from '../protocol/packet.ts';
import { packetTypeName, PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode, reasonCodeName } from '../protocol/reason-code.ts';
import type { Identity } from '../auth/access-control.ts';
import type { Delivery } from '../session/delivery.ts';
import { DropReason, type SessionLink } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import type { WheelItem } from '../session/timer-wheel.ts';
import { Backlog } from '../transport/backlog.ts';
import { ByteConnection, type ByteSocket, FIRST_CONNECTION_FLAG } from '../transport/byte-connection.ts';
import type { OutputLoop } from '../transport/output-loop.ts';
import type { LayerHost } from '../transport/inbound-layers.ts';
import type { ProxyHeader } from '../transport/proxy-protocol.ts';
import type { Broker } from './broker.ts';
import { ACK_PROGRESS, type Congestion } from './congestion.ts';
import { handleConnect } from './handle-connect.ts';
import { handlePublish, handlePubrel } from './handle-publish.ts';
import { handleSubscribe, handleUnsubscribe } from './handle-subscribe.ts';
import { handleDisconnect } from './handle-disconnect.ts';
import { remainingSeconds } from './incoming.ts';
import type { IncomingMessage } from './incoming.ts';
import type { ListenerInfo } from './listener-info.ts';
import { LogLevel, printable } from './log.ts';
import { TopicAliases } from './topic-aliases.ts';

/** Seconds an ended connection may take to close from its side. */
const LINGER_SECONDS = 2;

/**
 * Bytes of a CONNECT: five fields of the greatest length and as much again of properties. Before CONNECT nobody is
 * known, so nobody may have more kept.
 */
const LARGEST_CONNECT = 6 * 65_537;
/** From this many bytes to come on, an incomplete packet is a sign of life. */
const LARGE_PACKET = 1_000;

/** How many times its limit a client's backlog may be while its producers wait for it. */
const MOST_OVERSHOOT = 4;

const NO_TOPIC = new Uint8Array(0);

/** How a connection stands; a client sends CONNECT first, and once (v5 [MQTT-3.1.0-1], [MQTT-3.1.0-2]). */
export const ConnectionState = { new: 0, connected: 1, ended: 2 } as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

const STATE_MASK = 3 * FIRST_CONNECTION_FLAG;
const NO_MAXIMUM = 0xffff_ffff;

/** What a connection has only where it differs from most. */
class ConnectionExtras {
  window: number;
  maximumPacketSize = NO_MAXIMUM;
  aliasMaximum = 0;
  aliases: TopicAliases | null = null;
  wantsProblemInformation = true;
  congestion: Congestion | null = null;
  pausedBy = 0;
  /** Bytes read but not handled yet, while paused. */
  held: Backlog | null = null;
  /** Bytes of answers that wait behind frames the client does not read; -1: too many, its packets are not read. */
  unreadAnswers = 0;
  isBridge = false;
  /** From the PROXY header, or kept for the log. */
  address: string | null = null;
  port = 0;
  transportUsername: string | null = null;

  constructor(window: number) {
    this.window = window;
  }
}

/** One network connection of one client. */
export class ClientConnection extends ByteConnection implements SessionLink, LayerHost, WheelItem, Identity {
  readonly broker: Broker;
  readonly listener: ListenerInfo;
  session: Session | null = null;
  wheelSecond = -1;
  wheelIndex = 0;
  /** Monotonic second of the last packet. */
  lastSeen: number;
  /** Seconds of silence after which the connection ends: 1.5 x Keep Alive; 0: never. */
  silenceLimit = 0;
  /** What most connections do not have; null until one does. */
  private extras: ConnectionExtras | null = null;

  constructor(broker: Broker, listener: ListenerInfo, socket: ByteSocket) {
    super(socket);
    this.broker = broker;
    this.listener = listener;
    this.lastSeen = broker.second;
    if (broker.log.level >= LogLevel.notice) {
      // A closed socket has no address any more, and the line of its end names it.
      this.setAddress(plainAddress(socket.remoteAddress), socket.remotePort ?? 0);
    }
  }

  protected get loop(): OutputLoop {
    return this.broker.output;
  }

  get state(): ConnectionState {
    return ((this.flags & STATE_MASK) / FIRST_CONNECTION_FLAG) as ConnectionState;
  }

  set state(state: ConnectionState) {
    this.flags = (this.flags & ~STATE_MASK) | (state * FIRST_CONNECTION_FLAG);
  }

  private get own(): ConnectionExtras {
    this.extras ??= new ConnectionExtras(this.broker.window);
    return this.extras;
  }

  /** Largest packet the client takes, in bytes (v5 section 3.1.2.11.4). */
  get clientMaximumPacketSize(): number {
    return this.extras === null ? NO_MAXIMUM : this.extras.maximumPacketSize;
  }

  get window(): number {
    return this.extras === null ? this.broker.window : this.extras.window;
  }

  /** Aliases the client lets us make. */
  get aliasMaximum(): number {
    return this.extras === null ? 0 : this.extras.aliasMaximum;
  }

  get congestion(): Congestion | null {
    return this.extras === null ? null : this.extras.congestion;
  }

  set congestion(congestion: Congestion | null) {
    if (congestion !== null || this.extras !== null) this.own.congestion = congestion;
  }

  /** Reason Strings and User Properties may be sent anywhere (v5 section 3.1.2.11.7). */
  get wantsProblemInformation(): boolean {
    return this.extras === null || this.extras.wantsProblemInformation;
  }

  /** User name that the transport proved, such as a certificate's; null: none. */
  get transportUsername(): string | null {
    return this.extras === null ? null : this.extras.transportUsername;
  }

  set transportUsername(username: string | null) {
    if (username !== null || this.extras !== null) this.own.transportUsername = username;
  }

  /** Congested receivers that hold back this connection's reads. */
  get pausedBy(): number {
    const { extras } = this;
    return extras === null ? 0 : extras.pausedBy - (extras.unreadAnswers < 0 ? 1 : 0);
  }

  /** A bridge of Mosquitto, as its Protocol Level says: what it subscribes to keeps RETAIN and does not come back. */
  get isBridge(): boolean {
    return this.extras !== null && this.extras.isBridge;
  }

  becomeBridge(): void {
    this.own.isBridge = true;
  }

  /** Topic Aliases the client set and those we made; made at the first use. */
  get aliases(): TopicAliases {
    this.own.aliases ??= new TopicAliases();
    return this.own.aliases;
  }

  /** What the client's CONNECT says of its limits (v5 section 3.1.2.11); those left at their default cost nothing. */
  setClientLimits(properties: Properties): void {
    const { broker } = this;
    if (properties.requestProblemInformation === 0) this.own.wantsProblemInformation = false;
    if (properties.maximumPacketSize !== undefined) this.own.maximumPacketSize = properties.maximumPacketSize;
    const aliases = Math.min(properties.topicAliasMaximum ?? 0, broker.options.maxTopicAliasBroker);
    if (aliases > 0) this.own.aliasMaximum = aliases;
    const { receiveMaximum } = properties;
    if (receiveMaximum !== undefined && receiveMaximum < broker.window) this.own.window = receiveMaximum;
  }

  private setAddress(address: string, port: number): void {
    this.own.address = address;
    this.own.port = port;
  }

  get clientId(): string {
    return this.session === null ? '' : this.session.clientId;
  }

  get username(): string | null {
    return this.session === null ? null : this.session.username;
  }

  /** The client's address, from the PROXY header where there was one. */
  get address(): string {
    return this.extras?.address ?? plainAddress(this.socket?.remoteAddress);
  }

  get port(): number {
    const { extras } = this;
    return extras === null || extras.address === null ? (this.socket?.remotePort ?? 0) : extras.port;
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
        return this.handleAck(type, bytes, start, end);
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

  private handleAck(type: AckType, bytes: Uint8Array, start: number, end: number): void {
    const { broker } = this;
    const session = this.session!;
    let packetId: number;
    let reasonCode = 0;
    if (end - start === 2) {
      packetId = (bytes[start]! << 8) | bytes[start + 1]!;
      if (packetId === 0) decodeAck(type, bytes, start, end, this.protocolVersion);
    } else {
      const packet = decodeAck(type, bytes, start, end, this.protocolVersion);
      packetId = packet.packetId;
      reasonCode = packet.reasonCode;
    }
    const { congestion } = this;
    if (congestion !== null) congestion.progress += ACK_PROGRESS;
    if (type === PacketType.pubrel) return handlePubrel(broker, this, packetId);
    this.handleOwnAck(type, packetId, reasonCode, session);
    if (congestion !== null) broker.congestionControl.onProgress(this);
  }

  /** An acknowledgement of what the broker sent. */
  private handleOwnAck(
    type: typeof PacketType.puback | typeof PacketType.pubrec | typeof PacketType.pubcomp,
    packetId: number,
    reasonCode: number,
    session: Session,
  ): void {
    const { broker } = this;
    const { outgoing } = session;
    switch (type) {
      case PacketType.puback:
        if (outgoing === null || !outgoing.handlePuback(packetId, reasonCode, this, broker)) {
          this.checkStray(type, packetId);
        }
        return;
      case PacketType.pubrec:
        if (outgoing !== null && outgoing.handlePubrec(packetId, reasonCode, this, broker)) return;
        this.checkStray(type, packetId);
        // v5 section 4.3.3: an unknown PUBREC is answered, so that the peer can forget it; as in Mosquitto, with success.
        if (reasonCode < 0x80) this.sendPubrel(packetId);
        return;
      case PacketType.pubcomp:
        if (outgoing === null || !outgoing.handlePubcomp(packetId, this, broker)) this.checkStray(type, packetId);
        return;
    }
  }

  /**
   * An acknowledgement that does not belong to the state of its message (PUBACK at QoS 2, PUBCOMP before PUBREC) is a
   * protocol error; one for nothing may be late and is let pass.
   */
  private checkStray(type: AckType, packetId: number): void {
    const delivery = this.session!.outgoing?.inflight.get(packetId);
    if (delivery === undefined) return;
    throw new ProtocolError(
      ReasonCode.protocolError,
      `${packetTypeName(type)} does not fit message ${packetId}, sent at QoS ${delivery.qos}`,
      'v5 section 4.3',
    );
  }

  /** Queues any packet; for those off the hot path. False where it is larger than the client takes. */
  send(packet: Packet): boolean {
    const writer = new ByteWriter(128);
    writePacket(writer, packet, this.protocolVersion || ProtocolVersion.v311);
    const length = writer.offset - writer.packetStart;
    if (length > this.clientMaximumPacketSize) return false;
    this.countAnswer(length);
    this.queue(writer.bytes, writer.packetStart, writer.offset);
    return true;
  }

  /** A Reason String for an acknowledgement, where the option and the client ask for it (v5 section 3.1.2.11.7). */
  inWords(reason: string): Properties | null {
    if (!this.broker.options.reasonStrings || !this.wantsProblemInformation) return null;
    return { reasonString: printable(reason) };
  }

  sendAck(type: AckType, packetId: number, reasonCode: number, properties: Properties | null): void {
    if (this.protocolVersion !== ProtocolVersion.v5 || (reasonCode === 0 && properties === null)) {
      if (this.clientMaximumPacketSize < 4) return;
      const { output } = this.broker;
      output.reserve(4);
      const start = output.offset;
      output.offset = writeShortAck(output.arena, start, ackFirstByte(type), packetId);
      this.countAnswer(4);
      this.queue(output.arena, start, output.offset);
      return;
    }
    const writer = new ByteWriter(32);
    encodeAck(writer, { type, packetId, reasonCode, properties }, this.protocolVersion);
    if (writer.offset - writer.packetStart > this.clientMaximumPacketSize) {
      // v5 [MQTT-3.4.2-2]: a Reason String is left out where the packet would be too large, and so is a mere remark.
      if (properties !== null) this.sendAck(type, packetId, reasonCode, null);
      else if (reasonCode < 0x80) this.sendAck(type, packetId, 0, null);
      return;
    }
    this.countAnswer(writer.offset - writer.packetStart);
    this.queue(writer.bytes, writer.packetStart, writer.offset);
  }

  sendPubrel(packetId: number): void {
    this.sendAck(PacketType.pubrel, packetId, ReasonCode.success, null);
  }

  private sendPingresp(): void {
    const { output } = this.broker;
    output.reserve(2);
    const start = output.offset;
    output.arena[start] = PacketType.pingresp << 4;
    output.arena[start + 1] = 0;
    output.offset = start + 2;
    this.countAnswer(2);
    this.queue(output.arena, start, start + 2);
  }

  /**
   * A client that sends without reading makes the broker keep the answers: past `maxOutgoingBytes` of them its packets
   * are left in its socket until it has read what waits.
   */
  private countAnswer(bytes: number): void {
    this.broker.counters.controlSent++;
    if (this.backlog === null) return;
    const { own } = this;
    if (own.unreadAnswers < 0) return;
    own.unreadAnswers += bytes;
    if (own.unreadAnswers <= this.broker.options.maxOutgoingBytes) return;
    own.unreadAnswers = -1;
    this.pauseReading();
  }

  /** Answers of a layer, such as a WebSocket Pong, are answers too. */
  override writeRaw(bytes: Uint8Array): void {
    this.countAnswer(bytes.length);
    super.writeRaw(bytes);
  }

  sendPublish(delivery: Delivery, dup: boolean): boolean {
    if (this.aliasMaximum === 0) return this.sendDelivery(delivery, dup, 0);
    const { name } = delivery.message.topic;
    const alias = this.aliases.outgoing(name, this.aliasMaximum);
    return (
      this.sendDelivery(delivery, dup, alias) || (this.dropAlias(name, alias) && this.sendDelivery(delivery, dup, 0))
    );
  }

  /** @param alias as `TopicAliases.outgoing` gives it */
  private sendDelivery(delivery: Delivery, dup: boolean, alias: number): boolean {
    const { message } = delivery;
    const { broker } = this;
    return this.encodeAndQueue(
      delivery.qos,
      delivery.retain,
      dup,
      alias < 0 ? NO_TOPIC : message.topic.bytes,
      delivery.packetId,
      message.properties,
      0,
      message.properties.length,
      message.expiresAtMs === 0 ? -1 : remainingSeconds(message.expiresAtMs, broker.wallMs()),
      delivery.identifier,
      Math.abs(alias),
      message.payload,
      0,
      message.payload.length,
    );
  }

  /** Sends the message at hand at QoS 0 with what is this connection's own: identifier, alias. */
  sendOwnQoS0(incoming: IncomingMessage, retain: boolean, identifier: number): boolean {
    if (this.aliasMaximum === 0) return this.sendQoS0(incoming, retain, identifier, 0);
    const { name } = incoming.topic!;
    const alias = this.aliases.outgoing(name, this.aliasMaximum);
    return (
      this.sendQoS0(incoming, retain, identifier, alias) ||
      (this.dropAlias(name, alias) && this.sendQoS0(incoming, retain, identifier, 0))
    );
  }

  private sendQoS0(incoming: IncomingMessage, retain: boolean, identifier: number, alias: number): boolean {
    const topic = incoming.topic!;
    return this.encodeAndQueue(
      0,
      retain,
      false,
      alias < 0 ? NO_TOPIC : topic.bytes,
      0,
      incoming.properties,
      incoming.propertiesStart,
      incoming.propertiesEnd,
      incoming.expiryInterval,
      identifier,
      Math.abs(alias),
      incoming.payload,
      incoming.payloadStart,
      incoming.payloadEnd,
    );
  }

  private encodeAndQueue(
    qos: number,
    retain: boolean,
    dup: boolean,
    topic: Uint8Array,
    packetId: number,
    properties: Uint8Array,
    propertiesStart: number,
    propertiesEnd: number,
    expiryInterval: number,
    identifier: number,
    alias: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
  ): boolean {
    const { frame, counters } = this.broker;
    const isV5 = this.protocolVersion === ProtocolVersion.v5;
    const fits = frame.encode(
      qos,
      retain,
      dup,
      topic,
      packetId,
      isV5,
      properties,
      propertiesStart,
      propertiesEnd,
      expiryInterval,
      identifier,
      alias,
      payload,
      payloadStart,
      payloadEnd,
      this.clientMaximumPacketSize,
    );
    if (!fits) return false;
    this.queue(frame.bytes, frame.start, frame.end);
    if (frame.isSplit) this.queue(payload, payloadStart, payloadEnd);
    counters.publishSent++;
    counters.publishBytesSent += payloadEnd - payloadStart;
    return true;
  }

  /**
   * A packet with an alias was larger than the client takes: forgets the alias if that packet was to set it. True where
   * the packet may fit without.
   */
  private dropAlias(topicName: string, alias: number): boolean {
    if (alias > 0) this.aliases.forget(topicName);
    return alias !== 0;
  }

  protected onBlocked(): void {
    this.broker.congestionControl.onBlocked(this);
  }

  protected onDrained(): void {
    const { extras } = this;
    if (extras !== null) {
      const isHeld = extras.unreadAnswers < 0;
      extras.unreadAnswers = 0;
      if (isHeld) this.resumeReading();
    }
    this.broker.congestionControl.onDrained(this);
  }

  override drain(): void {
    const before = this.backlogBytes;
    super.drain();
    const { congestion } = this;
    if (congestion === null) return;
    congestion.progress += (before - this.backlogBytes) >>> 8;
    this.broker.congestionControl.onProgress(this);
  }

  /** True where a QoS 0 message must be dropped because the client does not read. */
  get isOverflowing(): boolean {
    const { maxOutgoingBytes } = this.broker.options;
    if (this.backlog === null || this.backlog.bytes <= maxOutgoingBytes) return false;
    // While its producers wait for it, what each of them had begun to send is let through.
    const { congestion } = this;
    return congestion === null || congestion.isStalled || this.backlog.bytes > MOST_OVERSHOOT * maxOutgoingBytes;
  }

  /** Takes no more packets, not even those of the chunk at hand, until as many `resumeReading` follow. */
  pauseReading(): void {
    if (this.own.pausedBy++ > 0) return;
    this.isPaused = true;
    this.socket?.pause();
  }

  resumeReading(): void {
    const { own } = this;
    if (own.pausedBy === 0 || --own.pausedBy > 0) return;
    this.broker.scheduleResume(this);
  }

  protected override holdBytes(chunk: Uint8Array, start: number, end: number): void {
    const { own } = this;
    own.held ??= new Backlog();
    own.held.append(chunk, start, end);
  }

  /** Goes on after a pause: first with what was held, then with the socket. */
  continueReading(): void {
    const { own } = this;
    if (own.pausedBy > 0 || !this.isPaused || !this.isOpen) return;
    this.isPaused = false;
    this.lastSeen = this.broker.second;
    const { held } = own;
    own.held = null;
    while (held !== null && held.bytes > 0) {
      const { block, blockStart, blockEnd } = held;
      held.consume(blockEnd - blockStart);
      this.push(block, blockStart, blockEnd);
    }
    if (!this.isPaused) this.socket?.resume();
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
    if (broker.log.level >= LogLevel.notice) {
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
    if (this.extras !== null) this.extras.held = null;
    broker.onConnectionClosed(this);
    if (wasConnected) broker.detach(this);
  }

  /** The wheel's deadline: no CONNECT in time, silence, or a lingering close. */
  onDeadline(): void {
    const { broker } = this;
    if (this.state === ConnectionState.ended) {
      this.socket?.terminate();
      return;
    }
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
    if (broker.log.level >= LogLevel.notice) {
      broker.log.log(LogLevel.notice, `Client ${this.label} closed its connection.`);
    }
  }

  countDrop(reason: DropReason): void {
    this.broker.counters.drop(reason);
  }
}

/** Mosquitto's code: there is no such packet, whatever its bytes. */
function reservedType(): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, 'packet type 0 is reserved', 'v5 section 2.1.2');
}

function notConnect(type: number): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, `${packetTypeName(type)} before CONNECT`, 'v5 [MQTT-3.1.0-1]');
}

/** IPv4 addresses reach a socket of both families as ::ffff:a.b.c.d; a unix socket has none. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'local';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
