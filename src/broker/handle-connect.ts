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
import type { BrokerOptions } from '../config/broker-options.ts';
import type { Broker } from './broker.ts';
import { type ClientConnection, ConnectionState } from './client-connection.ts';
import { LogLevel, printable } from './log.ts';

/** CONNECT: v5 section 3.1, v3.1.1 section 3.1, MQTT 3.1 section 3.1. */
export function handleConnect(
  broker: Broker,
  connection: ClientConnection,
  firstByte: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const version = peekConnectVersion(bytes, start, end);
  if (version !== null) connection.protocolVersion = version;
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
  const refusal = checkConnect(broker, connection, packet);
  if (refusal !== null) {
    if (refusal.isUnanswered === true) leaveUnanswered(connection);
    return refuse(connection, packet.clientId, refusal.reasonCode, refusal.cause);
  }
  const willProperties = packet.will?.properties ? forwardedWillProperties(bytes, start, end) : NO_PROPERTIES;
  logIn(broker, connection, packet, willProperties);
}

/** Asks the access control; where the answer takes a while, the connection's further packets wait. */
function logIn(broker: Broker, connection: ClientConnection, packet: ConnectPacket, willProperties: Uint8Array): void {
  // A name that the transport proved needs no password.
  if (connection.transportUsername !== null) return admit(broker, connection, packet, willProperties);
  const identity = {
    clientId: packet.clientId,
    username: packet.username,
    // Asking a socket for its address leaves the text in memory as long as the socket lives.
    get address() {
      return connection.address;
    },
  };
  const finish = (answer: ReasonCode) => {
    if (answer === ReasonCode.success) admit(broker, connection, packet, willProperties);
    else refuse(connection, packet.clientId, answer, notAuthorisedText(answer));
  };
  const answer = broker.access.authenticate(identity, packet.password, () => connection.isOpen);
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
  if (packet.clientId === '') {
    const mayBeEmpty = isV5 || (packet.protocolVersion === ProtocolVersion.v311 && packet.cleanStart);
    if (!mayBeEmpty || !options.allowZeroLengthClientid) {
      return { reasonCode: ReasonCode.clientIdentifierNotValid, cause: 'empty client identifier' };
    }
  }
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
    if (will.topicName.startsWith('$CONTROL/')) {
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
      connection.send({ type: PacketType.connack, sessionPresent: false, reasonCode: returnCode, properties: null });
    }
  }
  connection.fail(reasonCode, cause, null, clientId);
}

function admit(broker: Broker, connection: ClientConnection, packet: ConnectPacket, willProperties: Uint8Array): void {
  const { options } = broker;
  const properties = packet.properties ?? {};
  const isV5 = packet.protocolVersion === ProtocolVersion.v5;
  const assigned = packet.clientId === '' ? options.autoIdPrefix + crypto.randomUUID().toUpperCase() : null;
  const clientId = assigned ?? packet.clientId;

  let keepAlive = packet.keepAlive;
  const shortened = isV5 && isKeepAliveTooLong(options, keepAlive);
  if (shortened) keepAlive = options.maxKeepalive;
  connection.silenceLimit = Math.ceil(keepAlive * 1.5);
  if (packet.bridge) connection.becomeBridge();
  const expiry = isV5 ? (properties.sessionExpiryInterval ?? 0) : packet.cleanStart ? 0 : NEVER_EXPIRES;
  const expiryInterval = broker.limitExpiry(expiry);

  const answer: Properties = {};
  if (isV5) {
    if (shortened) answer.serverKeepAlive = keepAlive;
    if (connection.listener.maxTopicAlias > 0) answer.topicAliasMaximum = connection.listener.maxTopicAlias;
    if (assigned !== null) answer.assignedClientIdentifier = assigned;
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

  const will = packet.will === null ? null : toWill(broker, clientId, packet.will, willProperties);
  const { session, isPresent } = broker.attach(connection, clientId, packet.cleanStart);
  session.protocolVersion = packet.protocolVersion;
  session.username = connection.transportUsername ?? packet.username;
  session.expiryInterval = expiryInterval;
  session.will = will;
  broker.applyAccess(session);

  const { log } = broker;
  if (broker.logsConnections) {
    const user = session.username === null ? '' : `, u'${printable(session.username)}'`;
    log.log(
      LogLevel.notice,
      `New ${packet.bridge ? 'bridge' : 'client'} connected from ${connection.address}:${connection.port} as ${printable(clientId)} ` +
        `(p${isV5 ? 5 : packet.protocolVersion === ProtocolVersion.v311 ? 2 : 1}, ` +
        `c${packet.cleanStart ? 1 : 0}, k${keepAlive}${user}).`,
    );
  }

  // Session Present is the first byte of the body. MQTT 3.1 has none: the bit is reserved there (3.1 section 3.2).
  if (isPresent && packet.protocolVersion !== ProtocolVersion.v31) writer.bytes[writer.bodyStart] = 1;
  broker.counters.controlSent++;
  connection.queue(writer.bytes, writer.packetStart, writer.offset);
  if (connection.silenceLimit === 0) broker.connectionWheel.cancel(connection);
  else broker.connectionWheel.schedule(connection, broker.second + connection.silenceLimit + 1);
  session.outgoing?.resume(connection, broker);
  broker.afterAttach(session);
}

/** A topic under which only this client needs to subscribe: what is special in a topic is escaped (v5 section 4.10). */
function addResponseInformation(answer: Properties, { responseTopicPrefix }: BrokerOptions, clientId: string): void {
  if (responseTopicPrefix === null) return;
  const escaped = clientId.replace(/[%/+#]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const information = responseTopicPrefix + escaped;
  if (encodeUtf8(information).length <= 65_535) answer.responseInformation = information;
}

/** @param forwarded the Will Properties that are those of the message: all but the intervals (v5 section 3.1.3.2) */
function toWill(broker: Broker, clientId: string, will: WillMessage, forwarded: Uint8Array): Will {
  const { willDelayInterval = 0, messageExpiryInterval } = will.properties ?? {};
  const message = new Message(
    broker.topics.byName(will.topicName),
    will.payload,
    forwarded,
    will.qos,
    will.retain,
    0,
    clientId,
  );
  return { message, delayInterval: willDelayInterval, messageExpiryInterval: messageExpiryInterval ?? null };
}
