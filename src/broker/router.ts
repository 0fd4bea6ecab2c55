// Hot path: message -> receivers. Benchmark: bench/broker (fanout-1000, fanout-5000).
import { ProtocolVersion } from '../protocol/packet-type.ts';
import type { FilterEntry, Subscription } from '../routing/subscription.ts';
import { Delivery } from '../session/delivery.ts';
import { DropReason } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import type { IncomingMessage } from './incoming.ts';
import { tracePublishSent, tracesPackets } from './packet-trace.ts';
import { chooseMember } from './shared-messages.ts';

/** Layouts of a QoS 0 frame that receivers share: bit 0 is MQTT 5, bit 1 is RETAIN. */
const LAYOUTS = 4;
/** Most receivers of a message of which each may hold its producer back. */
const HOLDING_RECEIVERS = 16;

/**
 * Takes a message to everyone who wants it. Nothing is allocated per receiver at QoS 0. One object serves the broker;
 * its fields are those of the message at hand.
 */
export class Router {
  private readonly broker: Broker;
  private readonly frameBytes: (Uint8Array | null)[] = new Array<Uint8Array | null>(LAYOUTS).fill(null);
  private readonly frameStart = new Int32Array(LAYOUTS);
  private readonly frameEnd = new Int32Array(LAYOUTS);
  private readonly frameLength = new Int32Array(LAYOUTS);
  private readonly framePayload: boolean[] = new Array<boolean>(LAYOUTS).fill(false);
  /** How many subscriptions get the message at hand. */
  private receiverCount = 0;
  private receivers: Subscription<Session>[] = [];
  private receiverQoS: number[] = [];

  constructor(broker: Broker) {
    this.broker = broker;
  }

  /** Sends or queues the message for all that subscribe to its topic. */
  route(incoming: IncomingMessage): void {
    const entries = incoming.topic!.match(this.broker.tree);
    if (entries.length === 0) return;
    this.forgetFrames();
    if (entries.length === 1) {
      const entry = entries[0]!;
      this.receiverCount = entry.count;
      const { only, list } = entry;
      if (only !== null) this.deliver(incoming, only, only.qos);
      // A receiver that turns out to be gone may leave the list during the walk: backwards, none is skipped.
      else if (list !== null) for (let i = list.length - 1; i >= 0; i--) this.deliver(incoming, list[i]!, list[i]!.qos);
      if (entry.groups !== null) this.routeShared(incoming, entry);
      return;
    }
    this.routeOverlapping(incoming, entries);
  }

  private forgetFrames(): void {
    const { frameBytes } = this;
    for (let i = 0; i < LAYOUTS; i++) frameBytes[i] = null;
  }

  /**
   * Several filters match. In MQTT 5 each subscription gets its copy with its identifier (v5 [MQTT-3.3.4-2],
   * [MQTT-3.3.4-5]); before, a session gets one copy at the highest QoS (v3.1.1 [MQTT-3.3.5-1]), unless
   * `allow_duplicate_messages` says otherwise.
   */
  private routeOverlapping(incoming: IncomingMessage, entries: FilterEntry<Session>[]): void {
    const { receivers, receiverQoS } = this;
    this.receivers = [];
    this.receiverQoS = [];
    receivers.length = 0;
    const oneCopy = !this.broker.options.allowDuplicateMessages;
    for (const { only, list } of entries) {
      if (only !== null) addReceiver(receivers, receiverQoS, only, oneCopy);
      else if (list !== null) for (const one of list) addReceiver(receivers, receiverQoS, one, oneCopy);
    }
    this.receiverCount = receivers.length;
    for (let i = 0; i < receivers.length; i++) this.deliver(incoming, receivers[i]!, receiverQoS[i]!);
    for (const entry of entries) if (entry.groups !== null) this.routeShared(incoming, entry);
    receivers.length = 0;
    this.receivers = receivers;
    this.receiverQoS = receiverQoS;
  }

  private routeShared(incoming: IncomingMessage, entry: FilterEntry<Session>): void {
    for (const group of entry.groups!) {
      const member = chooseMember(group, null, incoming.topic!.name, this.broker.options);
      if (member !== null) this.deliver(incoming, member, member.qos);
    }
  }

  /** @param granted maximum QoS of the subscription, or of all of them that match */
  private deliver(incoming: IncomingMessage, subscription: Subscription<Session>, granted: number): void {
    const session = subscription.subscriber;
    // v5 [MQTT-3.8.3-3]; by identifier, so that it holds for the client's own will too.
    if (subscription.noLocal && session.clientId === incoming.publisherId) return;
    if (subscription.needsCheck && !session.access!.canReceive(incoming.topic!.name)) return;
    const { broker } = this;
    let qos: number = incoming.qos;
    if (qos !== granted && (granted < qos || broker.options.upgradeOutgoingQos)) qos = granted;
    const retain = subscription.retainAsPublished && incoming.retain;
    const link = session.link as ClientConnection | null;
    if (qos === 0) {
      if (link !== null) this.sendQoS0(incoming, link, retain, subscription.identifier);
      else if (broker.options.queueQos0Messages && session.expiryInterval > 0 && hasRoom(broker)) {
        const delivery = new Delivery(incoming.message(), 0, retain, subscription.identifier, null);
        session.deliver(delivery, broker.options, broker);
      } else broker.counters.drop(DropReason.offline);
      return;
    }
    const shared = subscription.group === null ? null : subscription;
    const delivery = new Delivery(incoming.message(), qos as 1 | 2, retain, subscription.identifier, shared);
    session.deliver(delivery, broker.options, broker);
    if (link !== null) {
      const { outgoing, durable } = session;
      if ((outgoing !== null && outgoing.queue.length > 0) || (durable !== null && durable.length > 0)) {
        broker.congestionControl.onQueued(link, session);
      }
      this.holdProducer(link);
    } else if (shared !== null) broker.sharedMessages.onKept(shared);
    this.flushIfFull();
  }

  /**
   * One receiver of few may slow its producer down; one of many must not slow the others.
   *
   * @returns whether the producer waits now
   */
  private holdProducer(link: ClientConnection): boolean {
    if (link.congestion === null || this.receiverCount > HOLDING_RECEIVERS) return false;
    return this.broker.congestionControl.hold(this.broker.reading, link);
  }

  private dropForSlowReader(link: ClientConnection): void {
    const { broker } = this;
    const { congestion, session } = link;
    broker.counters.drop(DropReason.slowReader);
    if (congestion === null || congestion.isTold) return;
    congestion.isTold = true;
    broker.onDropping(session!);
  }

  /** Frames made for one receiver each add up in a large fan-out. */
  private flushIfFull(): void {
    const { output } = this.broker;
    if (!output.isFull) return;
    output.flushAll();
    this.forgetFrames();
  }

  private sendQoS0(incoming: IncomingMessage, link: ClientConnection, retain: boolean, identifier: number): void {
    const isAwaited = this.holdProducer(link);
    const { counters } = this.broker;
    if (link.isOverflowing(isAwaited)) return this.dropForSlowReader(link);
    const isV5 = link.protocolVersion === ProtocolVersion.v5;
    if (isV5 && (identifier !== 0 || link.aliasMaximum !== 0)) {
      if (!link.sendOwnQoS0(incoming, retain, identifier)) counters.drop(DropReason.tooLarge);
      this.flushIfFull();
      return;
    }
    const layout = (isV5 ? 1 : 0) | (retain ? 2 : 0);
    if (this.frameBytes[layout] === null) this.makeFrame(incoming, layout);
    if (this.frameLength[layout]! > link.largestSharedFrame) {
      // Too large for this client, or not what it sees of the message.
      if (!link.sendOwnQoS0(incoming, retain, 0)) counters.drop(DropReason.tooLarge);
      this.flushIfFull();
      return;
    }
    link.queue(this.frameBytes[layout]!, this.frameStart[layout]!, this.frameEnd[layout]!);
    if (this.framePayload[layout]) link.queue(incoming.payload, incoming.payloadStart, incoming.payloadEnd);
    const bytes = incoming.payloadEnd - incoming.payloadStart;
    counters.publishSent++;
    counters.publishBytesSent += bytes;
    if (tracesPackets(link)) tracePublishSent(link, false, 0, retain, 0, incoming.topic!.name, bytes);
  }

  private makeFrame(incoming: IncomingMessage, layout: number): void {
    const isV5 = (layout & 1) !== 0;
    const retain = (layout & 2) !== 0;
    if (!retain && incoming.frameEnd !== 0 && incoming.frameIsV5 === isV5) {
      this.frameBytes[layout] = incoming.frame;
      this.frameStart[layout] = incoming.frameStart;
      this.frameEnd[layout] = incoming.frameEnd;
      this.frameLength[layout] = incoming.frameEnd - incoming.frameStart;
      this.framePayload[layout] = false;
      return;
    }
    const { frame } = this.broker;
    frame.encode(
      0,
      retain,
      false,
      incoming.topic!.bytes,
      0,
      isV5,
      incoming.properties,
      incoming.propertiesStart,
      incoming.propertiesEnd,
      incoming.expiryInterval,
      0,
      0,
      incoming.payload,
      incoming.payloadStart,
      incoming.payloadEnd,
      0xffff_ffff,
    );
    this.frameBytes[layout] = frame.bytes;
    this.frameStart[layout] = frame.start;
    this.frameEnd[layout] = frame.end;
    this.frameLength[layout] = frame.length;
    this.framePayload[layout] = frame.isSplit;
  }
}

/** Whether a QoS 0 message may be kept. */
function hasRoom({ memory, durability }: Broker): boolean {
  return !memory.isFull && (durability === null || !durability.isOverfull);
}

/**
 * A session before MQTT 5 stands in the list once, with the highest QoS of its subscriptions.
 *
 * @param oneCopy false: as often as it has subscriptions
 */
function addReceiver(
  receivers: Subscription<Session>[],
  receiverQoS: number[],
  subscription: Subscription<Session>,
  oneCopy: boolean,
): void {
  const session = subscription.subscriber;
  if (oneCopy && session.protocolVersion !== ProtocolVersion.v5) {
    const at = session.receiverIndex;
    if (at < receivers.length && receivers[at]!.subscriber === session) {
      if (subscription.qos > receiverQoS[at]!) receiverQoS[at] = subscription.qos;
      return;
    }
    session.receiverIndex = receivers.length;
  }
  receiverQoS[receivers.length] = subscription.qos;
  receivers.push(subscription);
}
