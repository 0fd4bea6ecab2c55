// Hot path: frames to one client. Benchmark: bench/broker (all flows).
import { ackFirstByte, type AckType, encodeAck, writeShortAck } from '../protocol/ack.ts';
import { ByteWriter } from '../protocol/byte-writer.ts';
import { type Packet, writePacket } from '../protocol/packet.ts';
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { Delivery } from '../session/delivery.ts';
import type { SessionLink } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import { Backlog } from '../transport/backlog.ts';
import { ByteConnection, type ByteSocket } from '../transport/byte-connection.ts';
import type { OutputLoop } from '../transport/output-loop.ts';
import type { Broker } from './broker.ts';
import type { Congestion } from './congestion.ts';
import { ConnectionExtras, NO_MAXIMUM } from './connection-extras.ts';
import { type IncomingMessage, remainingSeconds } from './incoming.ts';
import type { ListenerInfo } from './listener-info.ts';
import { printable } from './log.ts';
import { TopicAliases } from './topic-aliases.ts';

/** How many times its limit a client's backlog may be while its producers wait for it. */
const MOST_OVERSHOOT = 4;

const NO_TOPIC = new Uint8Array(0);

/**
 * The sending half of a client's connection: packets out, the limits the client set, and back pressure. What it receives
 * is `ClientConnection`'s; both are one object, since an idle connection should cost one.
 */
export abstract class ClientLink extends ByteConnection implements SessionLink {
  readonly broker: Broker;
  readonly listener: ListenerInfo;
  session: Session | null = null;
  /** What most connections do not have; null until one does. */
  protected extras: ConnectionExtras | null = null;

  constructor(broker: Broker, listener: ListenerInfo, socket: ByteSocket) {
    super(socket);
    this.broker = broker;
    this.listener = listener;
    if (broker.logsConnections) {
      // A closed socket has no address any more, and the line of its end names it.
      this.setAddress(plainAddress(socket.remoteAddress), socket.remotePort ?? 0);
    }
  }

  protected get loop(): OutputLoop {
    return this.broker.output;
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

  protected setAddress(address: string, port: number): void {
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

  sendPingresp(): void {
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

  /**
   * True where a QoS 0 message must be dropped because the client does not read.
   *
   * @param isAwaited the message's producer waits for this client from now on: what it had begun to send is let through
   */
  isOverflowing(isAwaited: boolean): boolean {
    if (this.backlog === null) return false;
    const { maxOutgoingBytes } = this.broker.options;
    return this.backlog.bytes > (isAwaited ? MOST_OVERSHOOT * maxOutgoingBytes : maxOutgoingBytes);
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

  /** Reading goes on: silence until now was ours. */
  protected abstract onContinue(): void;

  protected dropHeld(): void {
    if (this.extras !== null) this.extras.held = null;
  }

  /** Goes on after a pause: first with what was held, then with the socket. */
  continueReading(): void {
    const { own } = this;
    if (own.pausedBy > 0 || !this.isPaused || !this.isOpen) return;
    this.isPaused = false;
    this.onContinue();
    const { held } = own;
    own.held = null;
    while (held !== null && held.bytes > 0) {
      const { block, blockStart, blockEnd } = held;
      held.consume(blockEnd - blockStart);
      this.push(block, blockStart, blockEnd);
      // Many may go on in one turn: what they bring about is written in between, as it is for what is read.
      this.loop.countInput(blockEnd - blockStart);
    }
    if (!this.isPaused) this.socket?.resume();
  }
}

/** IPv4 addresses reach a socket of both families as ::ffff:a.b.c.d; a unix socket has none. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'local';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
