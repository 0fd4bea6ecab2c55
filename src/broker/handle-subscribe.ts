import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import { ReasonCode, reasonCodeName } from '../protocol/reason-code.ts';
import type { SubackPacket, UnsubackPacket } from '../protocol/suback.ts';
import { decodeSubscribe, decodeUnsubscribe, RetainHandling, type SubscriptionRequest } from '../protocol/subscribe.ts';
import { isSharedFilter, isValidTopicFilter, parseSharedFilter } from '../protocol/topic.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import type { Subscription } from '../routing/subscription.ts';
import type { Session } from '../session/session.ts';
import { type Broker, needsCheck } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import { LogLevel, printable } from './log.ts';

/** A subscription made by this SUBSCRIBE, and whether what is retained is to be sent for it. */
interface Granted {
  readonly subscription: Subscription<Session>;
  readonly sendsRetained: boolean;
}

/** SUBSCRIBE: v5 section 3.8, v3.1.1 section 3.8. */
export function handleSubscribe(
  broker: Broker,
  connection: ClientConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const packet = decodeSubscribe(bytes, start, end, connection.protocolVersion);
  const identifier = packet.properties?.subscriptionIdentifiers?.[0] ?? 0;
  const isV5 = connection.protocolVersion === ProtocolVersion.v5;
  const reasonCodes: number[] = [];
  const granted: Granted[] = [];
  for (const request of packet.subscriptions) {
    const code = subscribe(broker, connection, request, identifier, granted);
    if (broker.log.level >= LogLevel.debug) {
      broker.log.log(LogLevel.debug, `\t${printable(request.topicFilter)} (QoS ${request.qos})`);
    }
    reasonCodes.push(isV5 || code < 0x80 ? code : 0x80);
  }
  answer(connection, { type: PacketType.suback, packetId: packet.packetId, properties: null, reasonCodes });
  for (const { subscription, sendsRetained } of granted) {
    if (sendsRetained) broker.retainedSender.start(connection, subscription);
  }
}

function subscribe(
  broker: Broker,
  connection: ClientConnection,
  request: SubscriptionRequest,
  identifier: number,
  granted: Granted[],
): number {
  let { topicFilter } = request;
  let shareName: string | null = null;
  if (isSharedFilter(topicFilter)) {
    const shared = parseSharedFilter(topicFilter);
    if (shared === null) return refuseFilter(connection, topicFilter);
    ({ topicFilter, shareName } = shared);
  } else if (!isValidTopicFilter(topicFilter)) return refuseFilter(connection, topicFilter);
  const { topics } = broker.access;
  if (topics !== null && !topics.canSubscribe(connection, request.topicFilter)) return ReasonCode.notAuthorized;

  const session = connection.session!;
  const qos = request.qos < connection.listener.maxQos ? request.qos : connection.listener.maxQos;
  const options = {
    qos,
    noLocal: request.noLocal || (connection.isBridge && shareName === null),
    retainAsPublished: request.retainAsPublished || connection.isBridge,
    identifier,
  };
  const existing = session.findSubscription(request.topicFilter);
  let subscription: Subscription<Session>;
  if (existing === null) {
    subscription = broker.tree.subscribe(session, topicFilter, shareName, options);
    session.addSubscription(subscription);
  } else {
    existing.replaceOptions(options);
    subscription = existing;
  }
  subscription.needsCheck = needsCheck(session, topicFilter);
  // v5 section 3.8.3.1; no retained messages for a shared subscription (v5 section 4.8.2).
  const sendsRetained =
    shareName === null &&
    (request.retainHandling === RetainHandling.send ||
      (request.retainHandling === RetainHandling.sendIfNew && existing === null));
  granted.push({ subscription, sendsRetained });
  return qos;
}

/** MQTT 5 answers per filter; before, a filter that is no filter is a protocol violation (v3.1.1 [MQTT-4.7.1-1]). */
function refuseFilter(connection: ClientConnection, topicFilter: string): number {
  if (connection.protocolVersion === ProtocolVersion.v5 && topicFilter !== '') return ReasonCode.topicFilterInvalid;
  throw new ProtocolError(
    ReasonCode.malformedPacket,
    `'${printable(topicFilter)}' is not a valid topic filter`,
    'v3.1.1 [MQTT-4.7.1-1]',
  );
}

/** UNSUBSCRIBE: v5 section 3.10, v3.1.1 section 3.10. */
export function handleUnsubscribe(
  broker: Broker,
  connection: ClientConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const packet = decodeUnsubscribe(bytes, start, end, connection.protocolVersion);
  const session = connection.session!;
  const reasonCodes: number[] = [];
  for (const topicFilter of packet.topicFilters) {
    const subscription = session.findSubscription(topicFilter);
    if (subscription !== null) {
      session.removeSubscription(subscription);
      broker.tree.unsubscribe(subscription);
      reasonCodes.push(ReasonCode.success);
      continue;
    }
    const isValid = isSharedFilter(topicFilter)
      ? parseSharedFilter(topicFilter) !== null
      : isValidTopicFilter(topicFilter);
    reasonCodes.push(isValid ? ReasonCode.noSubscriptionExisted : refuseFilter(connection, topicFilter));
  }
  answer(connection, { type: PacketType.unsuback, packetId: packet.packetId, properties: null, reasonCodes });
}

/** With the first failure in words, where that is asked for and the client takes so much (v5 [MQTT-3.9.2-1]). */
function answer(connection: ClientConnection, packet: SubackPacket | UnsubackPacket): void {
  const failure = packet.reasonCodes.find((code) => code > ReasonCode.grantedQoS2);
  if (failure !== undefined && connection.protocolVersion === ProtocolVersion.v5) {
    const properties = connection.inWords(reasonCodeName(failure));
    if (properties !== null && connection.send({ ...packet, properties })) return;
  }
  connection.send(packet);
}
