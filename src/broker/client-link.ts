// Hot path: frames to one client. Benchmark: bench/broker (all flows).
import { ackFirstByte, type AckType, encodeAck, writeShortAck } from '../protocol/ack.ts';
import { ByteWriter, varintLength } from '../protocol/byte-writer.ts';
import { type Packet, writePacket } from '../protocol/packet.ts';
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { decodeUtf8 } from '../protocol/utf8.ts';
import type { Topic } from '../routing/topic-cache.ts';
import type { Delivery } from '../session/delivery.ts';
import type { SessionLink } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import type { ByteSocket } from '../transport/byte-connection.ts';
import type { OutputLoop } from '../transport/output-loop.ts';
import type { Broker } from './broker.ts';
import { NO_MAXIMUM, type PromisedLimits } from './connection-extras.ts';
import { type IncomingMessage, remainingSeconds } from './incoming.ts';
import type { ListenerInfo } from './listener-info.ts';
import { UnsettledAcks } from './durable/settlement.ts';
import { LogType, printable } from './log.ts';
import { tracePublishSent, traceSent, traceSentAck, tracesPackets } from './packet-trace.ts';
import { PausableConnection } from './pausable-connection.ts';
import { TopicAliases } from './topic-aliases.ts';

/** How many times its limit a client's backlog may be while its producers wait for it. */
const MOST_OVERSHOOT = 4;

const NO_TOPIC = new Uint8Array(0);

/**
 * The sending half of a client's connection: packets out, the limits the client set, and back pressure. What it receives
 * is `ClientConnection`'s; both are one object, since an idle connection should cost one.
 */
export abstract class ClientLink extends PausableConnection implements SessionLink {
  readonly broker: Broker;
  readonly listener: ListenerInfo;
  session: Session | null = null;

  constructor(broker: Broker, listener: ListenerInfo, socket: ByteSocket) {
    super(socket);
    this.broker = broker;
    this.listener = listener;
    // What is sent to others is not what these clients see.
    if (listener.mountPoint !== null) this.own.largestSharedFrame = 0;
    if (broker.logsConnections) {
      // A closed socket has no address any more, and the line of its end names it.
      this.setAddress(addressOf(socket, listener), socket.remotePort ?? 0);
    }
  }

  protected get loop(): OutputLoop {
    return this.broker.output;
  }

  /** Largest packet the client takes, in bytes (v5 section 3.1.2.11.4). */
  get clientMaximumPacketSize(): number {
    return this.extras === null ? NO_MAXIMUM : this.extras.maximumPacketSize;
  }

  /** The same for frames that are made for all; 0 where this client needs its own. */
  get largestSharedFrame(): number {
    return this.extras === null ? NO_MAXIMUM : this.extras.largestSharedFrame;
  }

  get window(): number {
    const { extras } = this;
    const { window } = this.broker;
    return extras === null || extras.receiveMaximum >= window ? window : extras.receiveMaximum;
  }

  /** What CONNACK told the client, where the configuration has changed since. */
  get promised(): PromisedLimits | null {
    return this.extras === null ? null : this.extras.promised;
  }

  set promised(promised: PromisedLimits | null) {
    if (promised !== null || this.extras !== null) this.own.promised = promised;
  }

  get windowBytes(): number {
    return this.broker.windowBytes;
  }

  /** Aliases the client lets us make. */
  get aliasMaximum(): number {
    return this.extras === null ? 0 : this.extras.aliasMaximum;
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

  /** `TLSv1.3 cipher NAME`, until the log has told of it; null: no TLS, or nobody reads it. */
  get negotiated(): string | null {
    return this.extras === null ? null : this.extras.negotiated;
  }

  set negotiated(negotiated: string | null) {
    if (negotiated !== null || this.extras !== null) this.own.negotiated = negotiated;
  }

  /** The client sent something within the last second or two. */
  abstract get wasHeardLately(): boolean;

  protected get mostDeferredBytes(): number {
    return this.broker.options.maxOutgoingBytes;
  }

  protected resumeLater(): void {
    this.broker.scheduleResume(this);
  }

  /** Acknowledgements that wait for the store; null while there were none. */
  get unsettled(): UnsettledAcks | null {
    return this.extras === null ? null : this.extras.unsettled;
  }

  waitingAcks(): UnsettledAcks {
    this.own.unsettled ??= new UnsettledAcks();
    return this.own.unsettled;
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
    const { maximumPacketSize } = properties;
    if (maximumPacketSize !== undefined) {
      this.own.maximumPacketSize = maximumPacketSize;
      this.own.largestSharedFrame = Math.min(maximumPacketSize, this.own.largestSharedFrame);
    }
    const aliases = Math.min(properties.topicAliasMaximum ?? 0, broker.options.maxTopicAliasBroker);
    if (aliases > 0) this.own.aliasMaximum = aliases;
    const { receiveMaximum } = properties;
    if (receiveMaximum !== undefined && receiveMaximum < 65_535) this.own.receiveMaximum = receiveMaximum;
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
    return this.extras?.address ?? addressOf(this.socket, this.listener);
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
      if (tracesPackets(this)) traceSentAck(this, type, packetId, reasonCode);
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
    if (tracesPackets(this)) traceSentAck(this, type, packetId, reasonCode);
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
    if (tracesPackets(this)) traceSent(this, 'PINGRESP');
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
    const { qos, retain, packetId, message } = delivery;
    if (!this.sendWithAlias(delivery, dup)) {
      this.tellTooLarge(message.topic);
      return false;
    }
    if (tracesPackets(this)) {
      tracePublishSent(this, dup, qos, retain, packetId, this.visibleName(message.topic), message.payload.length);
    }
    return true;
  }

  private sendWithAlias(delivery: Delivery, dup: boolean): boolean {
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
    const topic = this.visibleTopic(message.topic);
    if (topic === null) return false;
    return this.encodeAndQueue(
      delivery.qos,
      delivery.retain,
      dup,
      alias < 0 ? NO_TOPIC : topic,
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
    const topic = incoming.topic!;
    if (!this.sendQoS0WithAlias(incoming, retain, identifier)) {
      this.tellTooLarge(topic);
      return false;
    }
    if (tracesPackets(this)) {
      const bytes = incoming.payloadEnd - incoming.payloadStart;
      tracePublishSent(this, false, 0, retain, 0, this.visibleName(topic), bytes);
    }
    return true;
  }

  /** A PUBLISH is not sent for its length. */
  private tellTooLarge(topic: Topic<Session>): void {
    const { log, frame } = this.broker;
    if ((log.types & LogType.notice) === 0 || this.visibleTopic(topic) === null) return;
    const client = printable(this.clientId);
    const line = `Dropping too large outgoing PUBLISH for ${client} (${remainingLength(frame.length)} bytes)`;
    log.log(LogType.notice, line, { client, topic: printable(topic.name) });
  }

  /** For the log. */
  private visibleName(topic: Topic<Session>): string {
    if (this.listener.mountPoint === null) return topic.name;
    const bytes = this.visibleTopic(topic) ?? NO_TOPIC;
    return decodeUtf8(bytes, 0, bytes.length);
  }

  private sendQoS0WithAlias(incoming: IncomingMessage, retain: boolean, identifier: number): boolean {
    if (this.aliasMaximum === 0) return this.sendQoS0(incoming, retain, identifier, 0);
    const { name } = incoming.topic!;
    const alias = this.aliases.outgoing(name, this.aliasMaximum);
    return (
      this.sendQoS0(incoming, retain, identifier, alias) ||
      (this.dropAlias(name, alias) && this.sendQoS0(incoming, retain, identifier, 0))
    );
  }

  private sendQoS0(incoming: IncomingMessage, retain: boolean, identifier: number, alias: number): boolean {
    const topic = this.visibleTopic(incoming.topic!);
    if (topic === null) return false;
    return this.encodeAndQueue(
      0,
      retain,
      false,
      alias < 0 ? NO_TOPIC : topic,
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

  /** A topic as this client sees it; null where it must not. */
  private visibleTopic(topic: Topic<Session>): Uint8Array | null {
    const { mountPoint } = this.listener;
    return mountPoint === null ? topic.bytes : mountPoint.visible(topic);
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
    const { options, memory } = this.broker;
    if (memory.isFull) return true;
    const { maxOutgoingBytes } = options;
    return this.backlog.bytes > (isAwaited ? MOST_OVERSHOOT * maxOutgoingBytes : maxOutgoingBytes);
  }
}

/** Of a packet of that length in all. */
function remainingLength(length: number): number {
  let bytes = 1;
  while (varintLength(length - 1 - bytes) > bytes) bytes++;
  return length - 1 - bytes;
}

/** As Mosquitto names it: of a unix socket it is the path. */
export function addressOf(socket: ByteSocket | null, listener: ListenerInfo): string {
  const address = socket?.remoteAddress;
  return address === undefined && listener.port === 0 ? listener.name : plainAddress(address);
}

/** IPv4 addresses reach a socket of both families as ::ffff:a.b.c.d; a unix socket has none. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'local';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
