import { type ConnectPacket, decodeConnect, peekConnectVersion, type WillMessage } from '../protocol/connect.ts';
import { encodeConnack } from '../protocol/connack.ts';
import { ByteWriter } from '../protocol/byte-writer.ts';
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import { encodePropertyList, type Properties, WILL_PROPERTIES } from '../protocol/properties.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { ReasonCode, reasonCodeName, toConnectReturnCode } from '../protocol/reason-code.ts';
import { Message } from '../session/message.ts';
import { NEVER_EXPIRES, type Will } from '../session/session.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import { LogLevel, printable } from './log.ts';

/** CONNECT: v5 section 3.1, v3.1.1 section 3.1, MQTT 3.1 section 3.1. */
export function handleConnect(
  broker: Broker,
  connection: ClientConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const version = peekConnectVersion(bytes, start, end);
  if (version !== null) connection.protocolVersion = version;
  let packet: ConnectPacket;
  try {
    packet = decodeConnect(bytes, start, end);
  } catch (error) {
    if (error instanceof ProtocolError && error.reasonCode === ReasonCode.unsupportedProtocolVersion) {
      // The client may speak any version: the answer of 3.1.1 is the one that most understand (v3.1.1 [MQTT-3.1.2-2]).
      connection.protocolVersion = ProtocolVersion.v311;
      return refuse(connection, ReasonCode.unsupportedProtocolVersion, error.message);
    }
    throw error;
  }
  if (packet.properties !== null) connection.setClientLimits(packet.properties);
  const refusal = checkConnect(broker, connection, packet);
  if (refusal !== null) return refuse(connection, refusal.reasonCode, refusal.cause);
  admit(broker, connection, packet);
}

interface Refusal {
  readonly reasonCode: ReasonCode;
  readonly cause: string;
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
      return { reasonCode: ReasonCode.notAuthorized, cause: 'will on a $CONTROL topic' };
    }
  }
  if (!isV5 && options.maxKeepalive > 0 && packet.keepAlive > options.maxKeepalive) {
    return { reasonCode: ReasonCode.clientIdentifierNotValid, cause: 'keep alive is above the maximum' };
  }
  const identity = {
    clientId: packet.clientId,
    username: connection.transportUsername ?? packet.username,
    // Asking a socket for its address leaves the text in memory as long as the socket lives.
    get address() {
      return connection.address;
    },
  };
  const answer = broker.access.authenticate(identity, packet.password);
  if (answer !== ReasonCode.success) return { reasonCode: answer, cause: notAuthorisedText(answer) };
  return null;
}

/** Mosquitto's wording, which log readers match. */
function notAuthorisedText(reasonCode: ReasonCode): string {
  return reasonCode === ReasonCode.notAuthorized || reasonCode === ReasonCode.badUserNameOrPassword
    ? 'not authorised'
    : reasonCodeName(reasonCode);
}

/** Answers CONNACK with the reason in the client's version, then closes. */
function refuse(connection: ClientConnection, reasonCode: ReasonCode, cause: string): void {
  connection.broker.counters.connectionsRefused++;
  if (connection.protocolVersion !== ProtocolVersion.v5) {
    const returnCode = toConnectReturnCode(reasonCode);
    if (returnCode !== null) {
      connection.send({ type: PacketType.connack, sessionPresent: false, reasonCode: returnCode, properties: null });
    }
  }
  connection.fail(reasonCode, cause);
}

function admit(broker: Broker, connection: ClientConnection, packet: ConnectPacket): void {
  const { options } = broker;
  const properties = packet.properties ?? {};
  const isV5 = packet.protocolVersion === ProtocolVersion.v5;
  const assigned = packet.clientId === '' ? options.autoIdPrefix + crypto.randomUUID().toUpperCase() : null;
  const clientId = assigned ?? packet.clientId;

  let keepAlive = packet.keepAlive;
  const shortened = isV5 && options.maxKeepalive > 0 && options.maxKeepalive < keepAlive;
  if (shortened) keepAlive = options.maxKeepalive;
  connection.silenceLimit = Math.ceil(keepAlive * 1.5);
  const expiry = isV5 ? (properties.sessionExpiryInterval ?? 0) : packet.cleanStart ? 0 : NEVER_EXPIRES;
  const will = packet.will === null ? null : toWill(broker, clientId, packet.will);
  const { session, isPresent } = broker.attach(connection, clientId, packet.cleanStart);
  session.protocolVersion = packet.protocolVersion;
  session.username = connection.transportUsername ?? packet.username;
  session.expiryInterval = broker.limitExpiry(expiry);
  session.will = will;

  const { log } = broker;
  if (log.level >= LogLevel.notice) {
    const user = session.username === null ? '' : `, u'${printable(session.username)}'`;
    log.log(
      LogLevel.notice,
      `New client connected from ${connection.address}:${connection.port} as ${printable(clientId)} ` +
        `(p${isV5 ? 5 : packet.protocolVersion === ProtocolVersion.v311 ? 2 : 1}, ` +
        `c${packet.cleanStart ? 1 : 0}, k${keepAlive}${user}).`,
    );
  }

  const answer: Properties = {};
  if (isV5) {
    if (shortened) answer.serverKeepAlive = keepAlive;
    if (connection.listener.maxTopicAlias > 0) answer.topicAliasMaximum = connection.listener.maxTopicAlias;
    if (assigned !== null) answer.assignedClientIdentifier = assigned;
    if (session.expiryInterval !== expiry) answer.sessionExpiryInterval = session.expiryInterval;
    if (properties.requestResponseInformation === 1 && options.responseTopicPrefix !== null) {
      answer.responseInformation = `${options.responseTopicPrefix}${clientId}`;
    }
    if (!options.retainAvailable) answer.retainAvailable = 0;
    if (broker.advertisedMaxPacketSize !== 0) answer.maximumPacketSize = broker.advertisedMaxPacketSize;
    if (options.maxInflightMessages > 0) answer.receiveMaximum = options.maxInflightMessages;
    if (connection.listener.maxQos < 2) answer.maximumQoS = connection.listener.maxQos;
  }
  const writer = new ByteWriter(64);
  // MQTT 3.1 has no Session Present: the bit is reserved there (3.1 section 3.2).
  const sessionPresent = isPresent && packet.protocolVersion !== ProtocolVersion.v31;
  encodeConnack(
    writer,
    { type: PacketType.connack, sessionPresent, reasonCode: 0, properties: isV5 ? answer : null },
    packet.protocolVersion,
  );
  connection.queue(writer.bytes, writer.packetStart, writer.offset);
  if (connection.silenceLimit === 0) broker.connectionWheel.cancel(connection);
  else broker.connectionWheel.schedule(connection, broker.second + connection.silenceLimit);
  session.outgoing?.resume(connection, broker);
  broker.afterAttach(session);
}

/** Will Properties but the delay are those of the message (v5 section 3.1.3.2). */
function toWill(broker: Broker, clientId: string, will: WillMessage): Will {
  const { willDelayInterval = 0, messageExpiryInterval, ...forwarded } = will.properties ?? {};
  const writer = new ByteWriter(64);
  encodePropertyList(writer, forwarded, WILL_PROPERTIES);
  const message = new Message(
    broker.topics.byName(will.topicName),
    will.payload,
    writer.bytes.slice(0, writer.offset),
    will.qos,
    will.retain,
    0,
    clientId,
  );
  return { message, delayInterval: willDelayInterval, messageExpiryInterval: messageExpiryInterval ?? null };
}
