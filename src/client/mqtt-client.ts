// Hot path of `martlet sub` and the load tester: publish, message, acknowledgement.
import { type AckPacket, ackFirstByte, type AckType, writeShortAck } from '../protocol/ack.ts';
import type { ConnackPacket } from '../protocol/connack.ts';
import type { AuthPacket } from '../protocol/disconnect.ts';
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import { decodePacket, type Packet } from '../protocol/packet.ts';
import type { Properties } from '../protocol/properties.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import type { SubackPacket, UnsubackPacket } from '../protocol/suback.ts';
import type { SubscriptionRequest } from '../protocol/subscribe.ts';
import { hasWildcard, isSharedFilter, isValidTopicFilter, parseSharedFilter } from '../protocol/topic.ts';
import { isEncodableString } from '../protocol/utf8.ts';
import { ClientConnection } from './client-connection.ts';
import type { CloseCause } from './client-handlers.ts';
import { maximumInFlight } from './client-settings.ts';
import { type AcknowledgementSender, IncomingSession } from './incoming-session.ts';
import { encodeOutgoing, type OutgoingMessage } from './outgoing-message.ts';
import { OutgoingSession } from './outgoing-session.ts';
import { IncomingAliases, OutgoingAliases } from './topic-aliases.ts';

/** What waits for SUBACK (so many filters) or UNSUBACK (minus so many). */
type PendingFilters = number;

const NO_BYTES = new Uint8Array(0);
/** Packet identifiers are 1 to this. */
const LAST_PACKET_ID = 65_535;

/**
 * An MQTT client of any version, without timers, promises or memory that an idle connection does not need. Its session
 * state outlives its connections: `open` it again and what was on its way goes on.
 */
export class MqttClient extends ClientConnection implements AcknowledgementSender {
  private outgoing: OutgoingSession | null = null;
  private incoming: IncomingSession | null = null;
  private pending: Map<number, PendingFilters> | null = null;
  private incomingAliases: IncomingAliases | null = null;
  private outgoingAliases: OutgoingAliases | null = null;
  private nextPacketId = 1;
  /** QoS 1 and 2 publishes that may be sent now (v5 section 4.9), and with how many the connection began. */
  private sendQuota = 0;
  private initialSendQuota = 0;
  /** Counts sessions, so that acknowledgements of an older one are known. */
  private sessionNumber = 1;
  /** The message that `onMessage` is being called with, while it is not acknowledged; 0 for none. */
  private inHand = 0;
  private inHandQoS = 0;

  /** QoS 1 and 2 messages that are not finished, queued ones included. */
  get unfinished(): number {
    return this.outgoing?.unfinished ?? 0;
  }

  /**
   * Sends a message, or queues it at QoS 1 and 2 while the window is full or there is no connection. `onPublished`
   * follows at QoS 1 and 2 where 0 is returned.
   *
   * @returns 0, or why it can't be sent: 0x88 QoS 0 without a connection, 0x90 topic name, 0x94 topic alias, 0x95 larger
   *   than the server takes, 0x97 queue full, 0x9A retain, 0x9B QoS not supported by the server
   * @throws RangeError for properties that do not belong in a PUBLISH
   */
  publish(message: OutgoingMessage): number {
    const prepared = message.prepare(this.protocolVersion, this.context.writer);
    if (prepared !== ReasonCode.success) return prepared;
    if (this.isConnected) {
      const refusal = this.refusal(message);
      if (refusal !== ReasonCode.success) return refusal;
    }
    if (message.qos === 0) return this.isConnected ? this.transmit(message) : ReasonCode.serverUnavailable;
    const outgoing = (this.outgoing ??= new OutgoingSession());
    if (this.isConnected && this.sendQuota > 0 && !outgoing.hasBacklog) {
      const packetId = this.freePacketId();
      if (packetId !== 0) return this.transmitNew(outgoing, message, packetId);
    }
    const { maximumQueuedMessages, maximumQueuedBytes } = this.context.settings;
    if (outgoing.queue.length >= maximumQueuedMessages || outgoing.queuedBytes + message.bytes > maximumQueuedBytes) {
      return ReasonCode.quotaExceeded;
    }
    outgoing.enqueue(message);
    return ReasonCode.success;
  }

  /**
   * Sends SUBSCRIBE; `onSubscribed` follows.
   *
   * @returns the packet identifier, or minus a reason code: 0x88 no connection, 0x8F topic filter, 0x95 larger than the
   *   server takes, 0x97 no packet identifier free, 0x9E, 0xA1, 0xA2 not supported by the server
   */
  subscribe(subscriptions: SubscriptionRequest[], properties: Properties | null = null): number {
    if (!this.isConnected) return -ReasonCode.serverUnavailable;
    for (const { topicFilter } of subscriptions) {
      const refusal = this.filterRefusal(topicFilter);
      if (refusal !== ReasonCode.success) return -refusal;
    }
    if (properties?.subscriptionIdentifiers !== undefined && !this.limits.subscriptionIdentifierAvailable) {
      return -ReasonCode.subscriptionIdentifiersNotSupported;
    }
    const packetId = this.freePacketId();
    if (packetId === 0) return -ReasonCode.quotaExceeded;
    if (!this.sendPacket({ type: PacketType.subscribe, packetId, properties, subscriptions })) {
      return -ReasonCode.packetTooLarge;
    }
    (this.pending ??= new Map()).set(packetId, subscriptions.length);
    return packetId;
  }

  /** Sends UNSUBSCRIBE; `onUnsubscribed` follows. Returns as `subscribe` does. */
  unsubscribe(topicFilters: string[], properties: Properties | null = null): number {
    if (!this.isConnected) return -ReasonCode.serverUnavailable;
    if (!topicFilters.every(isEncodableString)) return -ReasonCode.topicFilterInvalid;
    const packetId = this.freePacketId();
    if (packetId === 0) return -ReasonCode.quotaExceeded;
    if (!this.sendPacket({ type: PacketType.unsubscribe, packetId, properties, topicFilters })) {
      return -ReasonCode.packetTooLarge;
    }
    (this.pending ??= new Map()).set(packetId, -topicFilters.length);
    return packetId;
  }

  /**
   * Acknowledges a message for which `onMessage` returned `ACKNOWLEDGE_LATER`, or the one it is being called with. The
   * server sees acknowledgements in the order of the messages. One of an ended session is ignored; without a connection
   * the answer waits for the next.
   *
   * @param acknowledgement of the `IncomingMessage`
   */
  acknowledge(acknowledgement: number, reasonCode: number = ReasonCode.success): void {
    const packetId = acknowledgement & 0xffff;
    if (acknowledgement === this.inHand) {
      this.inHand = 0;
      this.answer(packetId, this.inHandQoS, reasonCode);
    } else if (Math.floor(acknowledgement / 0x10000) === this.sessionNumber) {
      this.incoming?.answer(packetId, reasonCode, this.isConnected ? this : null);
    }
  }

  protected override beginSession(present: boolean): void {
    const { settings } = this.context;
    this.initialSendQuota = Math.min(this.limits.receiveMaximum, maximumInFlight(settings));
    this.sendQuota = this.initialSendQuota;
    const ownAliases = settings.properties?.topicAliasMaximum ?? 0;
    this.incomingAliases = ownAliases > 0 ? new IncomingAliases(ownAliases) : null;
    const aliases = settings.assignTopicAliases ? this.limits.topicAliasMaximum : 0;
    this.outgoingAliases = aliases > 0 ? new OutgoingAliases(aliases) : null;
    if (present) {
      this.outgoing?.resume();
      this.incoming?.flush(this);
    } else {
      this.sessionNumber++;
      this.incoming = null;
      const arrived = this.outgoing?.restart() ?? [];
      for (const message of arrived) this.context.handlers.onPublished(this, message, ReasonCode.success, null);
    }
    if (this.outgoing === null) return;
    for (const packetId of this.outgoing.releasing.keys()) this.sendAck(PacketType.pubrel, packetId, 0);
    this.sendBacklog();
  }

  protected override endConnection(): void {
    const { pending } = this;
    this.pending = null;
    this.inHand = 0;
    if (pending === null) return;
    for (const [packetId, filters] of pending) {
      if (filters > 0) this.context.handlers.onSubscribed(this, packetId, null);
      else this.context.handlers.onUnsubscribed(this, packetId, null);
    }
  }

  protected override handleSessionPacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const type = firstByte >> 4;
    if (type === PacketType.publish) {
      this.handlePublish(firstByte, bytes, start, end);
      return;
    }
    if (end - start === 2 && this.context.trace === null) {
      const packetId = (bytes[start]! << 8) | bytes[start + 1]!;
      if (packetId !== 0 && isAckByte(firstByte)) {
        this.handleAck(type as AckType, packetId, ReasonCode.success, null);
        return;
      }
    }
    const packet = decodePacket(firstByte, bytes, start, end, this.protocolVersion, 'server');
    this.traceReceived(packet);
    if (packet.type === PacketType.suback) this.handleSuback(packet);
    else if (packet.type === PacketType.unsuback) this.handleUnsuback(packet);
    else {
      const ack = packet as AckPacket;
      this.handleAck(ack.type, ack.packetId, ack.reasonCode, ack.properties);
    }
  }

  private handlePublish(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const { message, handlers, trace } = this.context;
    message.decode(firstByte, bytes, start, end, this.protocolVersion, this.incomingAliases);
    trace?.receivedPublish(this, message);
    const { qos, packetId } = message;
    message.acknowledgement = 0;
    if (qos === 0) {
      handlers.onMessage(this, message);
      return;
    }
    if (this.incoming !== null && this.isKnown(this.incoming, packetId, qos)) return;
    const acknowledgement = this.sessionNumber * 0x10000 + packetId;
    message.acknowledgement = acknowledgement;
    this.inHand = acknowledgement;
    this.inHandQoS = qos;
    const answer = handlers.onMessage(this, message);
    if (this.inHand !== acknowledgement) return;
    this.inHand = 0;
    this.answer(packetId, qos, answer);
  }

  /** Whether the application has the message already; then it is answered here. */
  private isKnown(incoming: IncomingSession, packetId: number, qos: number): boolean {
    if (incoming.isLate(packetId)) return true;
    if (qos === 2 && incoming.received.has(packetId)) {
      this.sendAck(PacketType.pubrec, packetId, ReasonCode.success);
      return true;
    }
    if (incoming.unfinished >= (this.context.settings.properties?.receiveMaximum ?? LAST_PACKET_ID)) {
      throw new ProtocolError(
        ReasonCode.receiveMaximumExceeded,
        'more QoS 1 and 2 messages at once than our receive maximum',
        'v5 [MQTT-3.3.4-9]',
      );
    }
    return false;
  }

  private answer(packetId: number, qos: number, reasonCode: number): void {
    if (reasonCode < 0 || this.incoming?.hasLate === true) {
      (this.incoming ??= new IncomingSession()).addLate(packetId, qos, reasonCode);
    } else if (this.isConnected) this.sendAcknowledgement(packetId, qos, reasonCode);
  }

  /** Only for `IncomingSession`; the application calls `acknowledge`. */
  sendAcknowledgement(packetId: number, qos: number, reasonCode: number): void {
    // MQTT 3 can't refuse a message: not acknowledging it would block those behind it.
    const code = this.protocolVersion === ProtocolVersion.v5 ? reasonCode : ReasonCode.success;
    if (qos === 1) this.sendAck(PacketType.puback, packetId, code);
    else {
      if (code < 0x80) (this.incoming ??= new IncomingSession()).received.add(packetId);
      this.sendAck(PacketType.pubrec, packetId, code);
    }
  }

  private handleAck(type: AckType, packetId: number, reasonCode: number, properties: Properties | null): void {
    switch (type) {
      case PacketType.puback:
        return this.handlePuback(packetId, reasonCode, properties);
      case PacketType.pubrec:
        return this.handlePubrec(packetId, reasonCode, properties);
      case PacketType.pubcomp: {
        const message = this.outgoing?.releasing.get(packetId);
        if (message === undefined) return;
        this.outgoing!.releasing.delete(packetId);
        return this.finishMessage(message, ReasonCode.success, properties);
      }
      case PacketType.pubrel: {
        const isKnown = this.incoming?.received.delete(packetId) === true;
        this.sendAck(PacketType.pubcomp, packetId, isKnown ? ReasonCode.success : ReasonCode.packetIdentifierNotFound);
      }
    }
  }

  private handlePuback(packetId: number, reasonCode: number, properties: Properties | null): void {
    const message = this.outgoing?.published.get(packetId);
    // An acknowledgement of something we no longer wait for harms nobody.
    if (message === undefined) return;
    if (message.qos !== 1) throw wrongAck('PUBACK', 2);
    this.outgoing!.published.delete(packetId);
    this.finishMessage(message, reasonCode, properties);
  }

  private handlePubrec(packetId: number, reasonCode: number, properties: Properties | null): void {
    const { outgoing } = this;
    const message = outgoing?.published.get(packetId);
    if (message !== undefined && message.qos !== 2) throw wrongAck('PUBREC', 1);
    if (outgoing !== null && message !== undefined) {
      outgoing.published.delete(packetId);
      if (reasonCode >= 0x80) {
        this.finishMessage(message, reasonCode, properties);
        return;
      }
      outgoing.releasing.set(packetId, message);
    } else if (reasonCode >= 0x80) return;
    const isKnown = outgoing?.releasing.has(packetId) === true;
    this.sendAck(PacketType.pubrel, packetId, isKnown ? ReasonCode.success : ReasonCode.packetIdentifierNotFound);
  }

  private finishMessage(message: OutgoingMessage, reasonCode: number, properties: Properties | null): void {
    if (this.sendQuota < this.initialSendQuota) this.sendQuota++;
    this.context.handlers.onPublished(this, message, reasonCode, properties);
    this.sendBacklog();
  }

  /** Sends what waits, as far as the window goes. */
  private sendBacklog(): void {
    const { outgoing } = this;
    if (outgoing === null) return;
    while (this.isConnected && this.sendQuota > 0 && outgoing.resend.length > 0) this.sendAgain(outgoing);
    while (this.isConnected && this.sendQuota > 0 && outgoing.resend.length === 0 && outgoing.queue.length > 0) {
      const packetId = this.freePacketId();
      if (packetId === 0) return;
      const message = outgoing.dequeue()!;
      const refusal = this.refusal(message) || this.transmitNew(outgoing, message, packetId);
      if (refusal !== ReasonCode.success) this.context.handlers.onPublished(this, message, refusal, null);
    }
  }

  private sendAgain(outgoing: OutgoingSession): void {
    const message = outgoing.resend.shift()!;
    if (outgoing.published.get(message.packetId) !== message) return;
    // A topic alias that the application set itself meant something on an earlier connection only.
    const refusal =
      message.topicName === '' ? ReasonCode.topicAliasInvalid : this.refusal(message) || this.transmit(message);
    if (refusal === ReasonCode.success) {
      this.sendQuota--;
      return;
    }
    outgoing.published.delete(message.packetId);
    this.context.handlers.onPublished(this, message, refusal, null);
  }

  private transmitNew(outgoing: OutgoingSession, message: OutgoingMessage, packetId: number): number {
    message.packetId = packetId;
    const refusal = this.transmit(message);
    if (refusal !== ReasonCode.success) {
      message.packetId = 0;
      return refusal;
    }
    outgoing.published.set(packetId, message);
    this.sendQuota--;
    return ReasonCode.success;
  }

  /** Sends a prepared message; 0x95 where it is larger than the server takes. */
  private transmit(message: OutgoingMessage): number {
    const { writer, frame, trace } = this.context;
    const aliases = message.properties?.topicAlias === undefined ? this.outgoingAliases : null;
    const knownAlias = aliases?.find(message.topicName) ?? 0;
    const newAlias = knownAlias === 0 && aliases !== null ? aliases.next : 0;
    const topicBytes = knownAlias === 0 ? message.topicBytes! : NO_BYTES;
    const isEncoded = encodeOutgoing(writer, frame, message, this.protocolVersion, topicBytes, knownAlias || newAlias);
    if (!isEncoded || frame.length > this.limits.maximumPacketSize) return ReasonCode.packetTooLarge;
    if (newAlias !== 0) aliases!.add(message.topicName, newAlias);
    trace?.sentPublish(this, message);
    this.write(writer.bytes, writer.packetStart, writer.offset);
    if (frame.payloadFollows) this.transport?.writeShared(message.payload);
    return ReasonCode.success;
  }

  /** What the server said it does not take (v5 [MQTT-3.2.2-11], [MQTT-3.2.2-14], [MQTT-3.3.2-10]). */
  private refusal(message: OutgoingMessage): number {
    const { limits } = this;
    if (message.qos > limits.maximumQoS) return ReasonCode.qosNotSupported;
    if (message.retain && !limits.retainAvailable) return ReasonCode.retainNotSupported;
    const alias = message.properties?.topicAlias;
    if (alias !== undefined && (alias < 1 || alias > limits.topicAliasMaximum)) return ReasonCode.topicAliasInvalid;
    return ReasonCode.success;
  }

  private filterRefusal(topicFilter: string): number {
    if (isSharedFilter(topicFilter)) {
      if (parseSharedFilter(topicFilter) === null) return ReasonCode.topicFilterInvalid;
      if (!this.limits.sharedSubscriptionAvailable) return ReasonCode.sharedSubscriptionsNotSupported;
    }
    if (!isValidTopicFilter(topicFilter) || !isEncodableString(topicFilter)) return ReasonCode.topicFilterInvalid;
    if (hasWildcard(topicFilter) && !this.limits.wildcardSubscriptionAvailable) {
      return ReasonCode.wildcardSubscriptionsNotSupported;
    }
    return ReasonCode.success;
  }

  /** 0 where all are in use. */
  private freePacketId(): number {
    for (let tries = 0; tries < LAST_PACKET_ID; tries++) {
      const packetId = this.nextPacketId;
      this.nextPacketId = packetId === LAST_PACKET_ID ? 1 : packetId + 1;
      if (this.outgoing?.usesPacketId(packetId) !== true && this.pending?.has(packetId) !== true) return packetId;
    }
    return 0;
  }

  /** A reason code other than 0 is left out before MQTT 5. */
  private sendAck(type: AckType, packetId: number, reasonCode: number): void {
    if (this.context.trace !== null || (reasonCode !== 0 && this.protocolVersion === ProtocolVersion.v5)) {
      this.sendPacket({ type, packetId, reasonCode, properties: null });
      return;
    }
    const { writer } = this.context;
    this.write(writer.bytes, 0, writeShortAck(writer.bytes, 0, ackFirstByte(type), packetId));
  }

  private handleSuback(packet: SubackPacket): void {
    const filters = this.pending?.get(packet.packetId) ?? 0;
    if (filters <= 0) throw unasked('SUBACK', packet.packetId);
    if (filters !== packet.reasonCodes.length) throw wrongCount('SUBACK', 'v5 [MQTT-3.8.4-6]');
    this.dropPending(packet.packetId);
    this.context.handlers.onSubscribed(this, packet.packetId, packet);
  }

  private handleUnsuback(packet: UnsubackPacket): void {
    const filters = this.pending?.get(packet.packetId) ?? 0;
    if (filters >= 0) throw unasked('UNSUBACK', packet.packetId);
    if (this.protocolVersion === ProtocolVersion.v5 && -filters !== packet.reasonCodes.length) {
      throw wrongCount('UNSUBACK', 'v5 [MQTT-3.11.3-1]');
    }
    this.dropPending(packet.packetId);
    this.context.handlers.onUnsubscribed(this, packet.packetId, packet);
  }

  private dropPending(packetId: number): void {
    this.pending!.delete(packetId);
    if (this.pending!.size === 0) this.pending = null;
  }

  protected override notifyConnected(connack: ConnackPacket): void {
    this.context.handlers.onConnected(this, connack);
  }

  protected override notifyClosed(cause: CloseCause): void {
    this.context.handlers.onClosed(this, cause);
  }

  protected override notifyAuth(packet: AuthPacket): void {
    this.context.handlers.onAuth(this, packet);
  }

  protected override notifyDrain(): void {
    this.context.handlers.onDrain(this);
  }

  protected override traceSent(packet: Packet): void {
    this.context.trace?.sent(this, packet);
  }

  protected override traceReceived(packet: Packet): void {
    this.context.trace?.received(this, packet);
  }
}

function isAckByte(firstByte: number): boolean {
  return firstByte === 0x40 || firstByte === 0x50 || firstByte === 0x62 || firstByte === 0x70;
}

function wrongAck(name: string, qos: number): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, `${name} for a message of QoS ${qos}`, 'v5 section 4.3');
}

function unasked(name: string, packetId: number): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, `${name} ${packetId} answers no request`, 'v5 section 2.2.1');
}

function wrongCount(name: string, clause: string): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, `${name} does not answer each topic filter`, clause);
}
