import { chooseClientId, type ChosenClientId } from '../auth/client-id-rules.ts';
import {
  type ConnectPacket,
  decodeConnect,
  forwardedWillProperties,
  peekConnectVersion,
  type WillMessage,
} from '../protocol/connect.ts';
import { encodeConnack } from '../protocol/connack.ts';
import { ByteWriter, varintLength } from '../protocol/byte-writer.ts';
import { checkFirstByte } from '../protocol/packet.ts';
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode, reasonCodeName, toConnectReturnCode } from '../protocol/reason-code.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import { Message } from '../session/message.ts';
import { NEVER_EXPIRES, type Will } from '../session/session.ts';
import { StoreError } from '../storage/session-store.ts';
import type { BrokerOptions } from '../config/broker-options.ts';
import type { Broker } from './broker.ts';
import { type ClientConnection, ConnectionState } from './client-connection.ts';
import { logConnected, logNegotiated, logTlsByMistake } from './connection-log.ts';
import { printable } from './log.ts';
import { traceConnack, tracesPackets, traceWill } from './packet-trace.ts';
import { refuseNewSession } from './session-limits.ts';

/** First byte of what TLS clients send, which looks like a CONNECT with reserved flags. */
const TLS_HANDSHAKE = 0x16;

/** CONNECT: v5 section 3.1, v3.1.1 section 3.1, MQTT 3.1 section 3.1. */
export function handleConnect(
  broker: Broker,
  connection: ClientConnection,
  firstByte: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (firstByte === TLS_HANDSHAKE) logTlsByMistake(connection);
  const version = peekConnectVersion(bytes, start, end);
  if (version !== null) connection.protocolVersion = version;
  const { acceptedVersions } = connection.listener;
  if (acceptedVersions !== null && version !== null && !acceptedVersions.has(version)) {
    return refuse(connection, '', ReasonCode.unsupportedProtocolVersion, 'protocol version is not accepted here');
  }
  let packet: ConnectPacket;
  try {
    checkFirstByte(firstByte, version ?? 0);
    if (version === ProtocolVersion.v5) checkShortestLength(firstByte, bytes, start, end);
    packet = decodeConnect(bytes, start, end);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    if (error.reasonCode === ReasonCode.unsupportedProtocolVersion) {
      // The client may speak any version: the answer of 3.1.1 is the one that most understand (v3.1.1 [MQTT-3.1.2-2]).
      connection.protocolVersion = ProtocolVersion.v311;
      return refuse(connection, '', ReasonCode.unsupportedProtocolVersion, error.message);
    }
    broker.counters.connectionsRefused++;
    throw error;
  }
  if (packet.properties !== null) connection.setClientLimits(packet.properties);
  const username = connection.transportUsername ?? packet.username;
  const { protocolVersion, cleanStart } = packet;
  const chosen = chooseClientId(connection.listener.clientIds, {
    protocolVersion,
    clientId: packet.clientId,
    cleanStart,
    username,
  });
  const refusal: Refusal | null =
    chosen.reasonCode === ReasonCode.success ? checkConnect(broker, connection, packet) : chosen;
  if (refusal !== null) {
    if (refusal.isUnanswered === true) leaveUnanswered(connection);
    return refuse(connection, packet.clientId, refusal.reasonCode, refusal.cause);
  }
  const willProperties = packet.will?.properties ? forwardedWillProperties(bytes, start, end) : NO_PROPERTIES;
  logIn(broker, connection, { packet, willProperties, username, ...chosen });
}

/** A CONNECT that nothing speaks against but its password. */
interface Applicant extends Pick<ChosenClientId, 'clientId' | 'isAssigned'> {
  readonly packet: ConnectPacket;
  /** The Will Properties that are those of the message. */
  readonly willProperties: Uint8Array;
  /** Proved by the transport, or as in the packet. */
  readonly username: string | null;
}

/** Asks the access control; where the answer takes a while, the connection's further packets wait. */
function logIn(broker: Broker, connection: ClientConnection, applicant: Applicant): void {
  // A name that the transport proved needs no password.
  if (connection.transportUsername !== null) return admit(broker, connection, applicant);
  const { packet, clientId, username } = applicant;
  if (connection.listener.needsTransportUsername) {
    return refuse(connection, packet.clientId, ReasonCode.badUserNameOrPassword, 'not authorised');
  }
  const identity = {
    clientId,
    username,
    // Asking a socket for its address leaves the text in memory as long as the socket lives.
    get address() {
      return connection.address;
    },
  };
  const finish = (answer: ReasonCode) => {
    if (answer === ReasonCode.success) admit(broker, connection, applicant);
    else refuse(connection, packet.clientId, answer, notAuthorisedText(answer));
  };
  const answer = broker.accessOf(connection.listener).authenticate(identity, packet.password, () => connection.isOpen);
  if (typeof answer === 'number') return finish(answer);
  connection.pauseReading();
  void answer.then((later) => {
    if (!connection.isOpen || connection.state !== ConnectionState.new) return;
    try {
      finish(later);
    } catch (error) {
      broker.onInternalError(connection, error);
    }
    connection.resumeReading();
  });
}

const NO_PROPERTIES = new Uint8Array(0);

/** The connection closes without CONNACK, as Mosquitto does it: one that has no version yet is not answered. */
function leaveUnanswered(connection: ClientConnection): void {
  connection.protocolVersion = 0;
}

/** The framer lets a longer Remaining Length pass while it does not know the version (v5 [MQTT-1.5.5-1]). */
function checkShortestLength(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
  // In the longer form a byte of the length stands here, and none of them equals the first byte of CONNECT.
  if (bytes[start - 1 - varintLength(end - start)] === firstByte) return;
  throw new ProtocolError(ReasonCode.malformedPacket, 'remaining length is longer than needed', 'v5 [MQTT-1.5.5-1]');
}

interface Refusal {
  readonly reasonCode: ReasonCode;
  readonly cause: string;
  readonly isUnanswered?: boolean;
}

/** Everything that may speak against a well-formed CONNECT; null: nothing does. */
function checkConnect(broker: Broker, connection: ClientConnection, packet: ConnectPacket): Refusal | null {
  const { options } = broker;
  const isV5 = packet.protocolVersion === ProtocolVersion.v5;
  if (packet.properties?.authenticationMethod !== undefined) {
    return {
      reasonCode: ReasonCode.badAuthenticationMethod,
      cause: `unknown authentication method ${printable(packet.properties.authenticationMethod)}`,
    };
  }
  const { will } = packet;
  if (will !== null) {
    if (will.qos > connection.listener.maxQos) {
      return { reasonCode: ReasonCode.qosNotSupported, cause: 'will QoS is above the maximum' };
    }
    if (will.retain && !options.retainAvailable) {
      return { reasonCode: ReasonCode.retainNotSupported, cause: 'retained will, but retain is not available' };
    }
    const { mountPoint } = connection.listener;
    if (mountPoint !== null && mountPoint.topicName(will.topicName) === null) {
      return { reasonCode: ReasonCode.topicNameInvalid, cause: 'will topic is too long with the mount point' };
    }
    if (mountPoint === null && will.topicName.startsWith('$CONTROL/')) {
      return { reasonCode: ReasonCode.notAuthorized, cause: 'will on a $CONTROL topic', isUnanswered: true };
    }
    if (options.messageSizeLimit > 0 && will.payload.length > options.messageSizeLimit) {
      const reasonCode = isV5 ? ReasonCode.packetTooLarge : ReasonCode.notAuthorized;
      return { reasonCode, cause: 'will payload is above the size limit' };
    }
  }
  if (!isV5 && isKeepAliveTooLong(options, packet.keepAlive)) {
    return { reasonCode: ReasonCode.clientIdentifierNotValid, cause: 'keep alive is above the maximum' };
  }
  return null;
}

/** `max_keepalive` bounds what is no Keep Alive at all too, as in Mosquitto. */
function isKeepAliveTooLong({ maxKeepalive }: BrokerOptions, keepAlive: number): boolean {
  return maxKeepalive > 0 && maxKeepalive < 65_535 && (keepAlive === 0 || keepAlive > maxKeepalive);
}

/** Mosquitto's wording, which log readers match. */
function notAuthorisedText(reasonCode: ReasonCode): string {
  return reasonCode === ReasonCode.notAuthorized || reasonCode === ReasonCode.badUserNameOrPassword
    ? 'not authorised'
    : reasonCodeName(reasonCode);
}

/** Answers CONNACK with the reason in the client's version, then closes. */
function refuse(connection: ClientConnection, clientId: string, reasonCode: ReasonCode, cause: string): void {
  connection.broker.counters.connectionsRefused++;
  const { protocolVersion } = connection;
  if (protocolVersion !== ProtocolVersion.v5 && protocolVersion !== 0) {
    const returnCode = toConnectReturnCode(reasonCode);
    if (returnCode !== null) {
      if (tracesPackets(connection)) traceConnack(connection, clientId, false, returnCode);
      connection.send({ type: PacketType.connack, sessionPresent: false, reasonCode: returnCode, properties: null });
    }
  }
  connection.fail(reasonCode, cause, null, clientId);
}

function admit(broker: Broker, connection: ClientConnection, applicant: Applicant): void {
  const arriving = broker.loader?.fetch(applicant.clientId, connection) ?? null;
  if (arriving === null) return welcome(broker, connection, applicant);
  // The store is being taken up: the session of this client comes ahead of its turn.
  connection.pauseReading();
  void arriving
    .then((isLast) => {
      if (!connection.isOpen || connection.state !== ConnectionState.new) return;
      if (isLast) welcome(broker, connection, applicant);
      else refuse(connection, applicant.clientId, ReasonCode.serverBusy, 'another connection of the client came');
    })
    .catch((error: unknown) => {
      if (!(error instanceof StoreError)) return broker.onInternalError(connection, error);
      refuse(
        connection,
        applicant.clientId,
        ReasonCode.serverUnavailable,
        `its session cannot be read: ${error.message}`,
      );
    })
    .then(() => connection.resumeReading());
}

function welcome(broker: Broker, connection: ClientConnection, applicant: Applicant): void {
  const { options } = broker;
  const { packet, clientId, isAssigned } = applicant;
  const properties = packet.properties ?? {};
  const isV5 = packet.protocolVersion === ProtocolVersion.v5;
  const expiry = isV5 ? (properties.sessionExpiryInterval ?? 0) : packet.cleanStart ? 0 : NEVER_EXPIRES;
  const expiryInterval = broker.limitExpiry(expiry);
  const refusal = refuseNewSession(broker, clientId, packet.cleanStart, expiryInterval > 0);
  if (refusal !== null) return refuse(connection, clientId, refusal.reasonCode, refusal.cause);

  let keepAlive = packet.keepAlive;
  const shortened = isV5 && isKeepAliveTooLong(options, keepAlive);
  if (shortened) keepAlive = options.maxKeepalive;
  connection.silenceLimit = Math.ceil(keepAlive * 1.5);
  if (packet.bridge) connection.becomeBridge();

  const answer: Properties = {};
  if (isV5) {
    if (shortened) answer.serverKeepAlive = keepAlive;
    if (connection.listener.maxTopicAlias > 0) answer.topicAliasMaximum = connection.listener.maxTopicAlias;
    if (isAssigned) answer.assignedClientIdentifier = clientId;
    if (expiryInterval !== expiry) answer.sessionExpiryInterval = expiryInterval;
    if (properties.requestResponseInformation === 1) addResponseInformation(answer, options, clientId);
    if (!options.retainAvailable) answer.retainAvailable = 0;
    if (broker.advertisedMaxPacketSize !== 0) answer.maximumPacketSize = broker.advertisedMaxPacketSize;
    if (options.maxInflightMessages > 0) answer.receiveMaximum = options.maxInflightMessages;
    if (connection.listener.maxQos < 2) answer.maximumQoS = connection.listener.maxQos;
  }
  const writer = new ByteWriter(64);
  encodeConnack(
    writer,
    { type: PacketType.connack, sessionPresent: false, reasonCode: 0, properties: isV5 ? answer : null },
    packet.protocolVersion,
  );
  if (writer.offset - writer.packetStart > connection.clientMaximumPacketSize) {
    // v5 [MQTT-3.1.2-24]: without its CONNACK the client can't go on.
    return refuse(connection, clientId, ReasonCode.packetTooLarge, 'CONNACK is larger than the client takes');
  }

  const will = packet.will === null ? null : toWill(broker, connection, applicant, packet.will);
  const { durability } = broker;
  const { session, isPresent } = broker.attach(connection, clientId, packet.cleanStart);
  session.protocolVersion = packet.protocolVersion;
  session.username = applicant.username;
  session.expiryInterval = expiryInterval;
  session.will = will;
  broker.applyAccess(session, true);
  if (durability !== null) {
    durability.onAttached(session);
    durability.gate(connection);
  }

  if (broker.logsConnections) logConnected(connection, packet.cleanStart, keepAlive);
  if (options.connectionMessages && tracesPackets(connection)) traceWill(connection, will);
  const { negotiated } = connection;
  if (negotiated !== null) {
    connection.negotiated = null;
    logNegotiated(connection, negotiated);
  }

  // Session Present is the first byte of the body. MQTT 3.1 has none: the bit is reserved there (3.1 section 3.2).
  if (isPresent && packet.protocolVersion !== ProtocolVersion.v31) writer.bytes[writer.bodyStart] = 1;
  broker.counters.controlSent++;
  if (tracesPackets(connection)) traceConnack(connection, clientId, isPresent, ReasonCode.success);
  connection.queue(writer.bytes, writer.packetStart, writer.offset);
  if (connection.silenceLimit === 0) broker.connectionWheel.cancel(connection);
  else broker.connectionWheel.schedule(connection, broker.second + connection.silenceLimit + 1);
  if (session.durable !== null) return durability!.resume(session);
  session.outgoing?.resume(connection, broker);
  broker.sharedMessages.onAttached(session);
}

/** A topic under which only this client needs to subscribe: what is special in a topic is escaped (v5 section 4.10). */
function addResponseInformation(answer: Properties, { responseTopicPrefix }: BrokerOptions, clientId: string): void {
  if (responseTopicPrefix === null) return;
  const escaped = clientId.replace(/[%/+#]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const information = responseTopicPrefix + escaped;
  if (encodeUtf8(information).length <= 65_535) answer.responseInformation = information;
}

/** The Will Properties of the message are all but the intervals (v5 section 3.1.3.2). */
function toWill(broker: Broker, connection: ClientConnection, applicant: Applicant, will: WillMessage): Will {
  const { mountPoint } = connection.listener;
  const topicName = mountPoint === null ? will.topicName : mountPoint.topicName(will.topicName)!;
  const { willDelayInterval = 0, messageExpiryInterval } = will.properties ?? {};
  const message = new Message(
    broker.topics.byName(topicName),
    will.payload,
    applicant.willProperties,
    will.qos,
    will.retain,
    0,
    applicant.clientId,
  );
  if (will.retain) message.source = { username: applicant.username, listener: connection.listener };
  return { message, delayInterval: willDelayInterval, messageExpiryInterval: messageExpiryInterval ?? null };
}
