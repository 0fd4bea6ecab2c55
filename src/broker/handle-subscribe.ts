import { packetTypeName, PacketType, ProtocolVersion, type QoS } from '../protocol/packet-type.ts';
import { ReasonCode, reasonCodeName } from '../protocol/reason-code.ts';
import type { SubackPacket, UnsubackPacket } from '../protocol/suback.ts';
import { decodeSubscribe, decodeUnsubscribe, RetainHandling, type SubscriptionRequest } from '../protocol/subscribe.ts';
import { isSharedFilter, parseSharedFilter } from '../protocol/topic.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import type { Subscription } from '../routing/subscription.ts';
import type { Session } from '../session/session.ts';
import { type Broker, needsCheck } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import { LogType, printable } from './log.ts';
import {
  logSubscribed,
  logUnsubscribed,
  traceFilter,
  traceReceived,
  traceSent,
  tracesPackets,
} from './packet-trace.ts';

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
  if (tracesPackets(connection)) traceReceived(connection, 'SUBSCRIBE');
  const packet = decodeSubscribe(bytes, start, end, connection.protocolVersion);
  const identifier = packet.properties?.subscriptionIdentifiers?.[0] ?? 0;
  const isV5 = connection.protocolVersion === ProtocolVersion.v5;
  const reasonCodes: number[] = [];
  const granted: Granted[] = [];
  for (const request of packet.subscriptions) {
    if (tracesPackets(connection)) traceFilter(connection, request.topicFilter, grantedQos(connection, request));
    const code = subscribe(broker, connection, request, identifier, granted);
    if (code < 0x80 && (broker.log.types & LogType.subscribe) !== 0) {
      logSubscribed(connection, request.topicFilter, code);
    }
    reasonCodes.push(isV5 || code < 0x80 ? code : 0x80);
  }
  answerWhenSafe(broker, connection, () => {
    answer(connection, { type: PacketType.suback, packetId: packet.packetId, properties: null, reasonCodes });
    for (const { subscription, sendsRetained } of granted) {
      if (sendsRetained) broker.retainedSender.start(connection, subscription);
      if (subscription.group !== null) broker.sharedMessages.onPresent(subscription);
    }
  });
}

/** Where the session is kept in a store, the answer leaves when what it says is there. */
function answerWhenSafe(broker: Broker, connection: ClientConnection, send: () => void): void {
  const { durability } = broker;
  const session = connection.session!;
  if (durability === null) return send();
  durability.afterCommit(session, () => {
    if (session.link === connection) send();
  });
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
  // Decoding has refused what is no filter.
  const shared = isSharedFilter(topicFilter) ? parseSharedFilter(topicFilter) : null;
  if (shared !== null) ({ topicFilter, shareName } = shared);
  const { mountPoint } = connection.listener;
  let filterText = request.topicFilter;
  if (mountPoint !== null) {
    filterText = mountPoint.filter(filterText);
    topicFilter = mountPoint.text + topicFilter;
  }
  const { topics } = broker.accessOf(connection.listener);
  if (topics !== null && !topics.canSubscribe(connection, filterText)) return ReasonCode.notAuthorized;

  const session = connection.session!;
  if (session.durable !== null && broker.durability!.isOverfull) return ReasonCode.quotaExceeded;
  const qos = grantedQos(connection, request);
  const options = {
    qos,
    noLocal: request.noLocal || (connection.isBridge && shareName === null),
    retainAsPublished: request.retainAsPublished || connection.isBridge,
    identifier,
  };
  const existing = session.findSubscription(filterText);
  let subscription: Subscription<Session>;
  if (existing === null) {
    if (broker.memory.isFull) return ReasonCode.quotaExceeded;
    subscription = broker.tree.subscribe(session, topicFilter, shareName, options);
    session.addSubscription(subscription);
  } else {
    existing.replaceOptions(options);
    subscription = existing;
  }
  subscription.needsCheck = needsCheck(session, topicFilter);
  broker.durability?.onSubscribed(session, subscription);
  // v5 section 3.8.3.1; no retained messages for a shared subscription (v5 section 4.8.2).
  const sendsRetained =
    shareName === null &&
    (request.retainHandling === RetainHandling.send ||
      (request.retainHandling === RetainHandling.sendIfNew && existing === null));
  granted.push({ subscription, sendsRetained });
  return qos;
}

function grantedQos({ listener }: ClientConnection, { qos }: SubscriptionRequest): QoS {
  return qos < listener.maxQos ? qos : listener.maxQos;
}

/** A shared filter without a name or a filter: MQTT 5 has an answer for it, before it is a protocol violation. */
function refuseSharedFilter(connection: ClientConnection, topicFilter: string): number {
  if (connection.protocolVersion === ProtocolVersion.v5) return ReasonCode.topicFilterInvalid;
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
  if (tracesPackets(connection)) traceReceived(connection, 'UNSUBSCRIBE');
  const packet = decodeUnsubscribe(bytes, start, end, connection.protocolVersion);
  const session = connection.session!;
  const reasonCodes: number[] = [];
  const { mountPoint } = connection.listener;
  const isLogged = (broker.log.types & (LogType.debug | LogType.unsubscribe)) !== 0;
  for (const topicFilter of packet.topicFilters) {
    if (isLogged) logUnsubscribed(connection, topicFilter);
    const filterText = mountPoint === null ? topicFilter : mountPoint.filter(topicFilter);
    const subscription = session.findSubscription(filterText);
    if (subscription !== null) {
      session.removeSubscription(subscription);
      broker.durability?.onUnsubscribed(session, filterText);
      broker.tree.unsubscribe(subscription);
      reasonCodes.push(ReasonCode.success);
      continue;
    }
    const isValid = !isSharedFilter(topicFilter) || parseSharedFilter(topicFilter) !== null;
    reasonCodes.push(isValid ? ReasonCode.noSubscriptionExisted : refuseSharedFilter(connection, topicFilter));
  }
  answerWhenSafe(broker, connection, () =>
    answer(connection, { type: PacketType.unsuback, packetId: packet.packetId, properties: null, reasonCodes }),
  );
}

/** With the first failure in words, where that is asked for and the client takes so much (v5 [MQTT-3.9.2-1]). */
function answer(connection: ClientConnection, packet: SubackPacket | UnsubackPacket): void {
  if (tracesPackets(connection)) traceSent(connection, packetTypeName(packet.type));
  const failure = packet.reasonCodes.find((code) => code > ReasonCode.grantedQoS2);
  if (failure !== undefined && connection.protocolVersion === ProtocolVersion.v5) {
    const properties = connection.inWords(reasonCodeName(failure));
    if (properties !== null && connection.send({ ...packet, properties })) return;
  }
  connection.send(packet);
}
