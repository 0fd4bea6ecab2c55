// The first of two passes over a `mosquitto.db`: what will be in the store, without payloads. Nothing is written before
// the whole file was read, so a damaged one leaves nothing behind; and the number of uses of a message, which stands in
// front of its clients in the file, is known when it is written. Costs some 60 bytes of memory a message, 20 a client
// message and 300 a session.

import type { QoS } from '../protocol/packet-type.ts';
import { isSharedFilter, isValidTopicFilter, isValidTopicName, parseSharedFilter } from '../protocol/topic.ts';
import { Column, type DbId, IdTable } from './mosquitto-db-columns.ts';
import { LeftOut, LeftOutCounts } from './mosquitto-db-left-out.ts';
import { forwardedProperties, subscriptionIdentifierOf } from './mosquitto-db-properties.ts';
import {
  type DbText,
  type MosquittoClient,
  type MosquittoClientMessage,
  type MosquittoDbVisitor,
  type MosquittoMessage,
  MosquittoState,
  type MosquittoSubscription,
} from './mosquitto-db-records.ts';

const NEVER = 0xffff_ffff;

export interface PlannedSession {
  /** In the store. */
  id: number;
  readonly clientId: string;
  readonly username: string | null;
  readonly expiryInterval: number;
  readonly awaySinceMs: number;
  /** Something about it is only in MQTT 5. */
  isV5: boolean;
  lastPacketId: number;
  /** Number of its first delivery; the next ones follow without gaps, those in flight in front. */
  firstSeq: number;
  inflight: number;
  queued: number;
  isWritten: boolean;
}

const Use = { dropped: 0, queued: 1, published: 2, released: 3, incoming: 4, refused: 5 } as const;
type Use = (typeof Use)[keyof typeof Use];

const Flag = { topicFails: 1, expired: 2, retained: 4, needsPayload: 8, isWritten: 16 } as const;

/** One message on its way to, or from, a session. */
export interface PlannedDelivery {
  readonly session: PlannedSession;
  /** 0: incoming. */
  readonly seq: number;
  /** 0: incoming, and refused. */
  readonly messageId: number;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly isReleased: boolean;
  readonly packetId: number;
  readonly identifier: number;
  readonly size: number;
  readonly expiresAtMs: number;
}

export interface PlanLimits {
  readonly nowMs: number;
  /** When the file was written. */
  readonly savedAtMs: number;
}

/** The numbers that come next in the store. */
export interface PlanNumbers {
  readonly sessionId: number;
  readonly messageId: number;
  readonly seq: number;
}

export interface PlanTotals {
  sessions: number;
  subscriptions: number;
  messages: number;
  payloadBytes: number;
  inflight: number;
  queued: number;
  incoming: number;
  retained: number;
}

export class MosquittoDbPlan implements MosquittoDbVisitor {
  readonly leftOut = new LeftOutCounts();
  readonly totals: PlanTotals = {
    sessions: 0,
    subscriptions: 0,
    messages: 0,
    payloadBytes: 0,
    inflight: 0,
    queued: 0,
    incoming: 0,
    retained: 0,
  };
  private readonly limits: PlanLimits;
  private numbers: PlanNumbers = { sessionId: 1, messageId: 1, seq: 1 };

  private readonly messages = new IdTable();
  private readonly messageFlags = new Column(Uint8Array);
  /** What a queue accounts for it, in bytes. */
  private readonly messageSizes = new Column(Uint32Array);
  private readonly payloadSizes = new Column(Uint32Array);
  private readonly topicSizes = new Column(Uint16Array);
  private readonly expiryTimes = new Column(Float64Array);
  private readonly references = new Column(Uint32Array);

  private readonly sessions: PlannedSession[] = [];
  /** Place in `sessions`; null: left out, and all that belongs to it. */
  private readonly sessionPlaces = new Map<string, number | null>();

  private readonly useSessions = new Column(Uint32Array);
  private readonly useMessages = new Column(Uint32Array);
  private readonly usePacketIds = new Column(Uint16Array);
  private readonly useIdentifiers = new Column(Uint32Array);
  /** QoS in bits 0 and 1, RETAIN in bit 2, `Use` above. */
  private readonly uses = new Column(Uint8Array);
  /** Numbers of uses in the order of the sessions; those of session n begin at `useStarts[n]`. */
  private useOrder = new Uint32Array(0);
  private useStarts = new Uint32Array(0);

  constructor(limits: PlanLimits) {
    this.limits = limits;
  }

  wantsPayload(): boolean {
    return false;
  }

  message(message: MosquittoMessage): void {
    const { id, offset, topicName, expiryTime } = message;
    if (this.messages.get(id) >= 0) return this.leftOut.add(LeftOut.repeatedMessage, offset);
    this.messages.add(id, this.messageFlags.length);
    let flags = 0;
    if (topicName === null || !isValidTopicName(topicName) || message.qos > 2) {
      flags |= Flag.topicFails;
      this.leftOut.add(LeftOut.topic, offset);
    }
    if (expiryTime > 0 && expiryTime * 1000 <= this.limits.nowMs) flags |= Flag.expired;
    const properties = forwardedProperties(message.properties);
    if (properties === null) this.leftOut.add(LeftOut.properties, offset);
    this.messageFlags.push(flags);
    this.messageSizes.push(message.payloadLength + message.topicLength + (properties?.length ?? 0));
    this.payloadSizes.push(message.payloadLength);
    this.topicSizes.push(message.topicLength);
    this.expiryTimes.push(expiryTime > 0 ? expiryTime : 0);
    this.references.push(0);
  }

  client(client: MosquittoClient): void {
    const { clientId, offset, expiryInterval, expiryTime, username, disconnectTime } = client;
    const { nowMs, savedAtMs } = this.limits;
    if (clientId === null || clientId === '') return this.leftOut.add(LeftOut.namelessSession, offset);
    if (this.sessionPlaces.has(clientId)) return this.leftOut.add(LeftOut.repeatedSession, offset);
    this.sessionPlaces.set(clientId, null);
    if (expiryInterval === 0) return this.leftOut.add(LeftOut.endedSession, offset);
    let awaySinceMs = disconnectTime > 0 ? disconnectTime * 1000 : savedAtMs;
    if (expiryInterval !== NEVER && expiryTime > 0) {
      if (expiryTime * 1000 <= nowMs) return this.leftOut.add(LeftOut.expiredSession, offset);
      awaySinceMs = (expiryTime - expiryInterval) * 1000;
    }
    this.sessionPlaces.set(clientId, this.sessions.length);
    this.sessions.push({
      id: 0,
      clientId,
      username: username === '' ? null : username,
      expiryInterval,
      awaySinceMs: Math.max(1, Math.min(awaySinceMs, nowMs)),
      isV5: expiryInterval !== NEVER,
      lastPacketId: client.lastPacketId,
      firstSeq: 0,
      inflight: 0,
      queued: 0,
      isWritten: false,
    });
    this.totals.sessions++;
  }

  clientMessage(one: MosquittoClientMessage): void {
    const { offset } = one;
    const place = this.placeOf(one.clientId);
    if (place === undefined) return this.leftOut.add(LeftOut.strayMessage, offset);
    if (place === null) return;
    const message = this.messages.get(one.messageId);
    if (message < 0) return this.leftOut.add(LeftOut.lostMessage, offset);
    if (!one.isOutgoing && one.qos < 2) return this.leftOut.add(LeftOut.incomingBelow2, offset);
    const use = useOf(one);
    if (use === null || one.qos > 2) return this.leftOut.add(LeftOut.damagedMessage, offset);
    const identifier = subscriptionIdentifierOf(one.properties);
    if (identifier > 0) this.sessions[place]!.isV5 = true;
    const flags = this.messageFlags.get(message);
    this.useSessions.push(place);
    this.useMessages.push(message);
    this.usePacketIds.push(one.packetId);
    this.useIdentifiers.push(identifier);
    this.uses.push(one.qos | (one.retain ? 4 : 0) | (this.useNow(use, flags, offset) << 3));
  }

  /**
   * What becomes of a use in view of its message. Delivery that has begun goes on although the message expired (v5 section
   * 3.3.2.3.3), since the client may know the packet identifier already.
   */
  private useNow(use: Use, flags: number, offset: number): Use {
    if ((flags & Flag.topicFails) !== 0) return use === Use.incoming ? Use.refused : Use.dropped;
    if ((flags & Flag.expired) === 0) return use;
    if (use === Use.incoming) return Use.refused;
    if (use !== Use.queued) return use;
    this.leftOut.add(LeftOut.expiredMessage, offset);
    return Use.dropped;
  }

  subscription(one: MosquittoSubscription): void {
    if (this.isWanted(one, this.leftOut)) {
      this.totals.subscriptions++;
      const session = this.sessions[this.placeOf(one.clientId)!]!;
      if (one.identifier > 0 || one.noLocal || one.retainAsPublished) session.isV5 = true;
    }
  }

  /** Whether a subscription will be in the store. @param leftOut counts it where it will not; null: nobody */
  isWanted(one: MosquittoSubscription, leftOut: LeftOutCounts | null = null): boolean {
    const place = this.placeOf(one.clientId);
    if (place === undefined) leftOut?.add(LeftOut.straySubscription, one.offset);
    if (place === undefined || place === null) return false;
    if (isValidFilter(one.filterText) && one.qos <= 2 && one.identifier <= 268_435_455) return true;
    leftOut?.add(LeftOut.filter, one.offset);
    return false;
  }

  retained(messageId: DbId, offset: number): void {
    const message = this.messages.get(messageId);
    if (message < 0) return this.leftOut.add(LeftOut.lostRetained, offset);
    const flags = this.messageFlags.get(message);
    if ((flags & (Flag.topicFails | Flag.retained)) !== 0 || this.payloadSizes.get(message) === 0) return;
    if ((flags & Flag.expired) !== 0) return this.leftOut.add(LeftOut.expiredRetained, offset);
    this.messageFlags.set(message, flags | Flag.retained);
    this.totals.retained++;
  }

  unknown(_type: number, _length: number, offset: number): void {
    this.leftOut.add(LeftOut.unknownChunk, offset);
  }

  /** After the last record: counts the uses of messages. */
  finish(): void {
    this.sortUses();
    const seen = new Uint8Array(65_536);
    for (let place = 0; place < this.sessions.length; place++) {
      const session = this.sessions[place]!;
      this.settlePacketIds(place, seen);
      for (let i = this.useStarts[place]!; i < this.useStarts[place + 1]!; i++) {
        const number = this.useOrder[i]!;
        const use = this.useAt(number);
        this.count(use, this.useMessages.get(number));
        if (use === Use.published || use === Use.released) session.inflight++;
        else if (use === Use.queued) session.queued++;
      }
    }
    for (let message = 0; message < this.references.length; message++) {
      if (this.references.get(message) === 0) continue;
      this.totals.messages++;
      if (!this.isHollow(message)) this.totals.payloadBytes += this.payloadSizes.get(message);
    }
  }

  /** Gives numbers to sessions and deliveries, after `finish`. */
  assignNumbers(numbers: PlanNumbers): void {
    this.numbers = numbers;
    let { sessionId, seq } = numbers;
    for (const session of this.sessions) {
      session.id = sessionId++;
      session.firstSeq = seq;
      seq += session.inflight + session.queued;
    }
  }

  private sortUses(): void {
    const starts = new Uint32Array(this.sessions.length + 1);
    for (let i = 0; i < this.uses.length; i++) starts[this.useSessions.get(i) + 1]!++;
    for (let place = 0; place < this.sessions.length; place++) starts[place + 1]! += starts[place]!;
    const next = starts.slice();
    const order = new Uint32Array(this.uses.length);
    for (let i = 0; i < this.uses.length; i++) order[next[this.useSessions.get(i)]!++] = i;
    this.useOrder = order;
    this.useStarts = starts;
  }

  /**
   * What is in flight has a packet identifier of its own, and so has what comes in; a file that says otherwise loses the
   * second one. What waits gets one where it has none.
   */
  private settlePacketIds(place: number, seen: Uint8Array): void {
    const start = this.useStarts[place]!;
    const end = this.useStarts[place + 1]!;
    const OUT = 1;
    const IN = 2;
    for (let i = start; i < end; i++) {
      const number = this.useOrder[i]!;
      const use = this.useAt(number);
      const bit = use === Use.published || use === Use.released ? OUT : use >= Use.incoming ? IN : 0;
      if (bit === 0) continue;
      const packetId = this.usePacketIds.get(number);
      if (packetId === 0 || (seen[packetId]! & bit) !== 0) {
        this.setUse(number, Use.dropped);
        this.leftOut.add(LeftOut.damagedMessage, 0);
      } else seen[packetId]! |= bit;
    }
    const session = this.sessions[place]!;
    for (let i = start; i < end; i++) {
      const number = this.useOrder[i]!;
      seen[this.usePacketIds.get(number)] = 0;
      if (this.useAt(number) !== Use.queued || this.usePacketIds.get(number) !== 0 || this.qosAt(number) === 0)
        continue;
      session.lastPacketId = (session.lastPacketId % 65_535) + 1;
      this.usePacketIds.set(number, session.lastPacketId);
    }
  }

  private count(use: Use, message: number): void {
    if (use === Use.dropped) return;
    if (use !== Use.refused) {
      this.references.set(message, this.references.get(message) + 1);
      if (use !== Use.released) this.messageFlags.set(message, this.messageFlags.get(message) | Flag.needsPayload);
    }
    if (use === Use.queued) this.totals.queued++;
    else if (use === Use.published || use === Use.released) this.totals.inflight++;
    else this.totals.incoming++;
  }

  private useAt(number: number): Use {
    return (this.uses.get(number) >> 3) as Use;
  }

  private setUse(number: number, use: Use): void {
    this.uses.set(number, (this.uses.get(number) & 7) | (use << 3));
  }

  private qosAt(number: number): QoS {
    return (this.uses.get(number) & 3) as QoS;
  }

  /** Undefined where the client is not in the file, null where it is left out. */
  private placeOf(clientId: DbText): number | null | undefined {
    return clientId === null || clientId === '' ? null : this.sessionPlaces.get(clientId);
  }

  sessionOf(clientId: DbText): PlannedSession | null {
    const place = this.placeOf(clientId);
    return place === undefined || place === null ? null : this.sessions[place]!;
  }

  /** The session to write; null where it is left out, or written already: a file may have it twice. */
  takeSession(clientId: DbText): PlannedSession | null {
    const session = this.sessionOf(clientId);
    if (session === null || session.isWritten) return null;
    session.isWritten = true;
    return session;
  }

  /** Place of a message that the store is to have; -1: none, or it is written already. */
  placeOfMessage(id: DbId): number {
    const place = this.messages.get(id);
    if (place < 0 || (this.messageFlags.get(place) & Flag.isWritten) !== 0) return -1;
    return this.references.get(place) > 0 || this.isRetained(place) ? place : -1;
  }

  markWritten(place: number): void {
    this.messageFlags.set(place, this.messageFlags.get(place) | Flag.isWritten);
  }

  isRetained(place: number): boolean {
    return (this.messageFlags.get(place) & Flag.retained) !== 0;
  }

  /** Expired, and kept only so that flows end: nobody will get its payload. */
  isHollow(place: number): boolean {
    const flags = this.messageFlags.get(place);
    return (flags & Flag.expired) !== 0 && (flags & Flag.needsPayload) === 0;
  }

  referencesOf(place: number): number {
    return this.references.get(place);
  }

  /** In the store. */
  messageIdOf(place: number): number {
    return this.numbers.messageId + place;
  }

  /** Wall clock milliseconds; 0: never. */
  expiresAtMs(place: number): number {
    return this.isHollow(place) ? 0 : this.expiryTimes.get(place) * 1000;
  }

  /** Session by session, in the order in which the client gets them, then what came in. */
  *deliveries(): Generator<PlannedDelivery> {
    for (let place = 0; place < this.sessions.length; place++) {
      const session = this.sessions[place]!;
      let sentSeq = session.firstSeq;
      let queuedSeq = session.firstSeq + session.inflight;
      for (let i = this.useStarts[place]!; i < this.useStarts[place + 1]!; i++) {
        const number = this.useOrder[i]!;
        const use = this.useAt(number);
        if (use === Use.dropped) continue;
        const seq = use === Use.queued ? queuedSeq++ : use === Use.published || use === Use.released ? sentSeq++ : 0;
        yield this.deliveryAt(number, session, use, seq);
      }
    }
  }

  private deliveryAt(number: number, session: PlannedSession, use: Use, seq: number): PlannedDelivery {
    const message = this.useMessages.get(number);
    return {
      session,
      seq,
      messageId: use === Use.refused ? 0 : this.messageIdOf(message),
      qos: this.qosAt(number),
      retain: (this.uses.get(number) & 4) !== 0,
      isReleased: use === Use.released,
      packetId: this.usePacketIds.get(number),
      identifier: this.useIdentifiers.get(number),
      size: this.isHollow(message) ? this.topicSizes.get(message) : this.messageSizes.get(message),
      expiresAtMs: this.expiresAtMs(message),
    };
  }
}

/** Null where the state does not go with the direction. */
function useOf({ isOutgoing, state, qos, dup }: MosquittoClientMessage): Use | null {
  if (!isOutgoing) return state === MosquittoState.resendPubcomp ? null : Use.incoming;
  switch (state) {
    case MosquittoState.queued:
    case MosquittoState.publishQos0:
    case MosquittoState.invalid:
      return Use.queued;
    case MosquittoState.publishQos1:
    case MosquittoState.publishQos2:
      // About to be sent; DUP tells whether it was before.
      return dup && qos > 0 ? Use.published : Use.queued;
    case MosquittoState.waitForPuback:
    case MosquittoState.waitForPubrec:
      return qos > 0 ? Use.published : Use.queued;
    case MosquittoState.resendPubrel:
    case MosquittoState.waitForPubcomp:
      return qos === 2 ? Use.released : null;
    default:
      return null;
  }
}

function isValidFilter(filterText: DbText): boolean {
  if (filterText === null) return false;
  return isSharedFilter(filterText) ? parseSharedFilter(filterText) !== null : isValidTopicFilter(filterText);
}
