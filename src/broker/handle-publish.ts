// Hot path: PUBLISH in -> router. Benchmark: bench/broker (q0-pair, q1-100pairs).
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode, reasonCodeName } from '../protocol/reason-code.ts';
import { isValidUtf8 } from '../protocol/utf8.ts';
import type { PublishView } from '../protocol/publish.ts';
import type { Topic } from '../routing/topic-cache.ts';
import { DropReason } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import { UnreleasedMessages } from '../session/unreleased-messages.ts';
import type { Identity } from '../auth/access-control.ts';
import type { AckType } from '../protocol/ack.ts';
import type { Properties } from '../protocol/properties.ts';
import type { Message } from '../session/message.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Durability } from './durable/durability.ts';
import { handleControl, isControlTopic } from './handle-control.ts';
import { tracePublishReceived, tracesPackets } from './packet-trace.ts';

const DOLLAR = 0x24;
/** What a session may hold of QoS 2 messages without PUBREL, beyond one of any size. */
const MOST_UNRELEASED_BYTES = 64 * 1024 * 1024;

/** PUBLISH from a client: v5 section 3.3, v3.1.1 section 3.3. */
export function handlePublish(
  broker: Broker,
  connection: ClientConnection,
  firstByte: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const { view, counters } = broker;
  const session = connection.session!;
  view.decode(firstByte, bytes, start, end, connection.protocolVersion);
  const topic = resolveTopic(broker, connection, bytes);
  const { qos } = view;
  if (view.hasSubscriptionIdentifier) {
    throw new ProtocolError(
      ReasonCode.protocolError,
      'a client sent a subscription identifier in PUBLISH',
      'v5 [MQTT-3.3.4-6]',
    );
  }
  if (qos > connection.listener.maxQos) {
    throw new ProtocolError(ReasonCode.qosNotSupported, 'QoS above the maximum', 'v5 [MQTT-3.2.2-11]');
  }
  if (view.retain && !broker.options.retainAvailable) {
    throw new ProtocolError(ReasonCode.retainNotSupported, 'retain is not available', 'v5 [MQTT-3.2.2-14]');
  }
  counters.publishReceived++;
  counters.publishBytesReceived += view.payloadEnd - view.payloadStart;
  const { durability } = broker;
  const refusal = mayPublish(broker, connection, topic);
  if (refusal !== ReasonCode.success) return refusePublish(broker, connection, topic, refusal);
  if (tracesPackets(connection)) tracePublishReceived(connection, 'Received', view, topic.name);
  if (topic.bytes[0] === DOLLAR && isControlTopic(topic.name)) return handleControl(broker, connection, topic, bytes);

  const { incoming } = broker;
  incoming.fromView(view, bytes, topic, session.clientId, view.messageExpiryInterval < 0 ? 0 : broker.wallMs());
  if (view.retain) incoming.source = { username: session.username, listener: connection.listener };
  if (durability !== null && qos > 0) {
    receiveDurably(broker, durability, connection, topic);
  } else if (qos === 0) {
    if (!view.retain) offerFrame(broker, connection, firstByte, bytes, start, end);
    broker.route(incoming);
  } else if (qos === 1) {
    const wanted = topic.match(broker.tree).length > 0;
    const reasonCode = wanted ? ReasonCode.success : ReasonCode.noMatchingSubscribers;
    // The acknowledgement goes ahead of the copy that the publisher may itself receive.
    connection.sendAck(PacketType.puback, view.packetId, reasonCode, null);
    broker.route(incoming);
  } else {
    holdUntilRelease(broker, connection, session);
    // Whether somebody subscribes is known at PUBREL: as in Mosquitto, PUBREC is never 0x10.
    connection.sendAck(PacketType.pubrec, view.packetId, ReasonCode.success, null);
  }
  incoming.clear();
}

/** QoS 1 and 2 with a store: the acknowledgement leaves when what it promises is safe. */
function receiveDurably(
  broker: Broker,
  durability: Durability,
  connection: ClientConnection,
  topic: Topic<Session>,
): void {
  const { view, incoming } = broker;
  const { qos, packetId } = view;
  const session = connection.session!;
  if (durability.refusal !== null && mustBeStored(durability, session, topic, view)) {
    if (connection.protocolVersion === ProtocolVersion.v5) {
      const type = qos === 1 ? PacketType.puback : PacketType.pubrec;
      return durability.acks.sendInOrder(connection, type, packetId, durability.refusal);
    }
    // Before MQTT 5 there is no such answer: the message waits with the others, as long as there is room.
    if (durability.isOverfull) return connection.fail(ReasonCode.quotaExceeded, 'message cannot be stored');
  }
  if (qos === 1) {
    const wanted = topic.match(broker.tree).length > 0;
    const reasonCode = wanted ? ReasonCode.success : ReasonCode.noMatchingSubscribers;
    durability.acks.begin(connection, PacketType.puback, packetId, reasonCode);
    broker.route(incoming);
    return durability.acks.end();
  }
  const held = holdUntilRelease(broker, connection, session);
  durability.acks.begin(connection, PacketType.pubrec, packetId, ReasonCode.success);
  if (held !== null) durability.incoming.onPublish(session, packetId, held);
  else durability.incoming.onRepeated(session);
  durability.acks.end();
}

/** Whether the message can't be taken while the store fails. One that was taken before, and comes again, can. */
function mustBeStored(
  durability: Durability,
  session: Session,
  topic: Topic<Session>,
  { qos, dup, retain, packetId }: PublishView,
): boolean {
  if (qos === 2) {
    if (dup && session.incoming !== null && session.incoming.has(packetId)) return false;
    if (session.durable !== null) return true;
  }
  return durability.needsStore(topic, retain);
}

/**
 * Holds a QoS 2 message until its PUBREL (v5 section 4.3.3, method A). A second PUBLISH with the same identifier is
 * answered again (v5 [MQTT-4.3.3-10]); with DUP it changes nothing, without it is another message, from a client that
 * gave the first one up, and takes its place (as Mosquitto).
 *
 * @returns the message, or null where it was known
 */
function holdUntilRelease(broker: Broker, connection: ClientConnection, session: Session): Message | null {
  const { packetId, dup } = broker.view;
  session.incoming ??= new UnreleasedMessages(broker.stored);
  const isKnown = session.incoming.has(packetId);
  if (isKnown && dup) return null;
  const maximum = receiveMaximumOf(broker, connection);
  const isFull = !isKnown && maximum > 0 && session.incoming.size >= maximum;
  if (isFull && connection.protocolVersion === ProtocolVersion.v5) {
    throw new ProtocolError(
      ReasonCode.receiveMaximumExceeded,
      `more than ${maximum} unreleased QoS 2 messages`,
      'v5 [MQTT-3.3.4-9]',
    );
  }
  const message = broker.incoming.message();
  if (session.incoming.size > 0 && session.incoming.bytes + message.size > MOST_UNRELEASED_BYTES) {
    throw new ProtocolError(
      ReasonCode.quotaExceeded,
      `more than ${MOST_UNRELEASED_BYTES} bytes of unreleased QoS 2 messages`,
      'v5 section 4.13.2',
    );
  }
  session.incoming.set(packetId, message);
  return message;
}

/** Never less than the client was told; 0: 65,535. */
function receiveMaximumOf({ options }: Broker, { promised }: ClientConnection): number {
  const maximum = options.maxInflightMessages;
  if (promised === null || maximum === 0) return maximum;
  return promised.receiveMaximum === 0 ? 0 : Math.max(promised.receiveMaximum, maximum);
}

/**
 * PUBREL: the message goes out once, PUBCOMP ahead of it (v5 [MQTT-4.3.3-11]). An identifier that is not known is one
 * that was completed: as in Mosquitto, that is no error.
 */
export function handlePubrel(broker: Broker, connection: ClientConnection, packetId: number): void {
  const session = connection.session!;
  const message = session.incoming?.get(packetId);
  session.incoming?.delete(packetId);
  const { durability } = broker;
  if (durability === null) {
    connection.sendAck(PacketType.pubcomp, packetId, ReasonCode.success, null);
    if (message !== undefined && message !== null) release(broker, message);
    return;
  }
  durability.acks.begin(connection, PacketType.pubcomp, packetId, ReasonCode.success);
  if (message === undefined) durability.incoming.onRepeated(session);
  else {
    durability.incoming.onPubrel(session, packetId, message);
    if (message !== null) releaseDurably(broker, durability, message);
  }
  durability.acks.end();
}

/** Its deliveries are written together with its release: it is theirs, or still the publisher's, and never nobody's. */
function releaseDurably(broker: Broker, { deliveries }: Durability, message: Message): void {
  deliveries.isBound = true;
  try {
    release(broker, message);
  } finally {
    deliveries.isBound = false;
  }
}

function release(broker: Broker, message: Message): void {
  if (message.isExpired(broker.wallMs())) {
    // v5 [MQTT-3.3.2-5]: its time ran out between PUBLISH and PUBREL. It replaced what was retained all the same.
    if (message.retain) broker.unretain(message.topic.name);
    broker.counters.drop(DropReason.expired);
    return;
  }
  const { incoming } = broker;
  incoming.fromMessage(message, broker.wallMs());
  broker.route(incoming);
  incoming.clear();
}

function resolveTopic(broker: Broker, connection: ClientConnection, bytes: Uint8Array): Topic<Session> {
  const { view } = broker;
  const alias = view.topicAlias;
  if (alias >= 0 && (alias === 0 || alias > connection.listener.maxTopicAlias)) {
    throw new ProtocolError(
      ReasonCode.topicAliasInvalid,
      `topic alias ${alias} is not in 1..${connection.listener.maxTopicAlias}`,
      'v5 [MQTT-3.3.2-9]',
    );
  }
  if (view.topicStart === view.topicEnd) {
    const known = alias > 0 ? connection.aliases.getIncoming(alias) : null;
    if (known !== null) return known;
    if (alias < 0 && connection.protocolVersion !== ProtocolVersion.v5) {
      throw new ProtocolError(ReasonCode.malformedPacket, 'topic name is empty', 'v3.1.1 [MQTT-4.7.3-1]');
    }
    throw new ProtocolError(
      ReasonCode.protocolError,
      alias < 0 ? 'no topic name and no topic alias' : `topic alias ${alias} was not set`,
      'v5 section 3.3.2.3.4',
    );
  }
  const { mountPoint } = connection.listener;
  const topic =
    mountPoint === null
      ? broker.topics.lookup(bytes, view.topicStart, view.topicEnd)
      : mountPoint.lookup(broker.topics, bytes, view.topicStart, view.topicEnd);
  if (topic === null) {
    throw isValidUtf8(bytes, view.topicStart, view.topicEnd)
      ? new ProtocolError(
          ReasonCode.malformedPacket,
          'topic name holds a wildcard or has too many levels',
          'v5 [MQTT-3.3.2-2]',
        )
      : new ProtocolError(ReasonCode.malformedPacket, 'topic name is not valid UTF-8', 'v5 [MQTT-3.3.2-1]');
  }
  if (alias > 0) connection.aliases.setIncoming(alias, topic);
  return topic;
}

/** `$SYS` is the broker's own, but for the state of bridges (as Mosquitto); the rest is for the access control. */
export function canPublishTo(broker: Broker, identity: Identity, session: Session, topic: Topic<Session>): boolean {
  if (topic.bytes[0] === DOLLAR && !isOpenDollarTopic(topic.name)) return false;
  if (session.access !== null) return session.access.canPublish(topic.name);
  const { topics } = broker.access;
  return topics === null || topics.canPublish(identity, topic.name);
}

function mayPublish(broker: Broker, connection: ClientConnection, topic: Topic<Session>): ReasonCode {
  if (!canPublishTo(broker, connection, connection.session!, topic)) return ReasonCode.notAuthorized;
  const { messageSizeLimit, memoryLimit } = broker.options;
  return messageSizeLimit > 0 || memoryLimit > 0 ? withinLimits(broker) : ReasonCode.success;
}

/** What is passed on at once takes no memory, and an empty retained message frees some: only what may be kept is refused. */
function withinLimits({ view, options, memory }: Broker): ReasonCode {
  const length = view.payloadEnd - view.payloadStart;
  if (options.messageSizeLimit > 0 && length > options.messageSizeLimit) return ReasonCode.implementationSpecificError;
  if (memory.isFull && (view.qos > 0 || (view.retain && length > 0))) return ReasonCode.quotaExceeded;
  return ReasonCode.success;
}

const BRIDGE_STATE = /^\$SYS\/broker\/connection\/[^/]+\/state$/;

function isOpenDollarTopic(topicName: string): boolean {
  if (topicName === '$SYS' || topicName.startsWith('$SYS/')) return BRIDGE_STATE.test(topicName);
  return !topicName.startsWith('$share/');
}

/** The message goes no further; its QoS flow is completed (v5 section 3.4.2.1, v3.1.1 [MQTT-3.3.5-2]). */
function refusePublish(
  broker: Broker,
  connection: ClientConnection,
  topic: Topic<Session>,
  reasonCode: ReasonCode,
): void {
  const { view } = broker;
  const isV5 = connection.protocolVersion === ProtocolVersion.v5;
  if (reasonCode === ReasonCode.quotaExceeded) {
    broker.counters.drop(DropReason.memoryLimit);
    // Anything but an answer of MQTT 5 would say that the message was taken (as Mosquitto out of memory).
    if (!isV5 || view.qos === 0) throw new ProtocolError(reasonCode, 'memory limit reached', 'v5 section 4.13.2');
  }
  if (tracesPackets(connection)) {
    const fate = reasonCode === ReasonCode.notAuthorized ? 'Denied' : 'Dropped too large';
    tracePublishReceived(connection, fate, view, topic.name);
  }
  const properties = isV5 && view.qos > 0 ? connection.inWords(reasonCodeName(reasonCode)) : null;
  // Before MQTT 5 the packet has no place for it, but the log has.
  const answered = reasonCode;
  const { durability } = broker;
  if (view.qos === 1) answerRefused(broker, connection, PacketType.puback, answered, properties);
  else if (view.qos === 2) {
    // In MQTT 5 an error in PUBREC ends the flow; before, PUBREL follows and must find the identifier.
    if (!isV5) {
      const session = connection.session!;
      session.incoming ??= new UnreleasedMessages(broker.stored);
      if (!view.dup || !session.incoming.has(view.packetId)) {
        session.incoming.set(view.packetId, null);
        durability?.incoming.onPublish(session, view.packetId, null);
      }
    }
    answerRefused(broker, connection, PacketType.pubrec, answered, properties);
  }
}

function answerRefused(
  { durability, view }: Broker,
  connection: ClientConnection,
  type: AckType,
  reasonCode: number,
  properties: Properties | null,
): void {
  const { unsettled } = connection;
  if (durability === null || unsettled === null || unsettled.length === 0) {
    connection.sendAck(type, view.packetId, reasonCode, properties);
  } else durability.acks.sendInOrder(connection, type, view.packetId, reasonCode);
}

/**
 * Lets receivers of the same layout have the very bytes that came: QoS 0, no DUP, no RETAIN, topic in full, and in
 * MQTT 5 no property that changes on the way. The fixed header lies right before the body unless its length is padded.
 */
function offerFrame(
  broker: Broker,
  connection: ClientConnection,
  firstByte: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const { view, incoming } = broker;
  if (view.topicAlias >= 0 || view.messageExpiryInterval >= 0 || view.forwarded !== bytes) return;
  // Behind a mount point the topic is another one than the client wrote.
  if (incoming.topic!.bytes.length !== view.topicEnd - view.topicStart) return;
  const length = end - start;
  const head = start - (length < 128 ? 2 : length < 16_384 ? 3 : length < 2_097_152 ? 4 : 5);
  if (head < 0 || bytes[head] !== firstByte) return;
  incoming.frame = bytes;
  incoming.frameStart = head;
  incoming.frameEnd = end;
  incoming.frameIsV5 = connection.protocolVersion === ProtocolVersion.v5;
}
