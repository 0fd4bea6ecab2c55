import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { PacketType, ProtocolVersion, QoS } from './packet-type.ts';
import {
  decodeProperties,
  encodeProperties,
  type Properties,
  PropertyId,
  scanProperties,
  WILL_PROPERTIES,
} from './properties.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';
import { isValidTopicName } from './topic.ts';
import { isValidUtf8 } from './utf8.ts';

export interface WillMessage {
  topicName: string;
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
  properties: Properties | null;
}

export interface ConnectPacket {
  type: typeof PacketType.connect;
  protocolVersion: ProtocolVersion;
  /** Set by bridges of Mosquitto: bit 7 of the Protocol Level (0x83, 0x84). */
  bridge: boolean;
  cleanStart: boolean;
  /** Seconds, 0 is off. */
  keepAlive: number;
  clientId: string;
  will: WillMessage | null;
  username: string | null;
  password: Uint8Array | null;
  properties: Properties | null;
}

function malformed(message: string, clause: string): ProtocolError {
  return new ProtocolError(ReasonCode.malformedPacket, message, clause);
}

const BRIDGE_BIT = 0x80;

/** Protocol Name and Protocol Level (v5 section 3.1.2.1, v3.1.1 section 3.1.2.1, MQTT 3.1 section 3.1). */
function decodeVersion(reader: ByteReader): { version: ProtocolVersion; bridge: boolean } {
  const length = reader.u16();
  if (length !== 4 && length !== 6) throw malformed('protocol name is neither MQTT nor MQIsdp', 'v5 [MQTT-3.1.2-1]');
  let name = '';
  for (let i = 0; i < length; i++) name += String.fromCharCode(reader.u8());
  const level = reader.u8();
  const bridge = (level & BRIDGE_BIT) !== 0;
  const number = level & ~BRIDGE_BIT;
  if (name === 'MQIsdp') {
    if (number === ProtocolVersion.v31) return { version: ProtocolVersion.v31, bridge };
  } else if (name === 'MQTT') {
    if (number === ProtocolVersion.v311) return { version: ProtocolVersion.v311, bridge };
    if (level === ProtocolVersion.v5) return { version: ProtocolVersion.v5, bridge: false };
  } else throw malformed('protocol name is neither MQTT nor MQIsdp', 'v5 [MQTT-3.1.2-1]');
  throw new ProtocolError(
    ReasonCode.unsupportedProtocolVersion,
    `protocol level ${level} of ${name} is not supported`,
    'v5 [MQTT-3.1.2-2]',
  );
}

function decodeWill(reader: ByteReader, flags: number, properties: Properties | null): WillMessage {
  const topicName = reader.string();
  const payload = reader.binary();
  if (!isValidTopicName(topicName)) {
    throw malformed('will topic is empty, holds a wildcard or has too many levels', 'v5 [MQTT-4.7.0-1]');
  }
  if (properties?.payloadFormatIndicator === 1 && !isValidUtf8(payload, 0, payload.length)) {
    throw new ProtocolError(
      ReasonCode.payloadFormatInvalid,
      'will payload claims to be UTF-8 and is not',
      'v5 section 3.1.3.2.3',
    );
  }
  if (properties?.responseTopic !== undefined && !isValidTopicName(properties.responseTopic)) {
    throw new ProtocolError(
      ReasonCode.protocolError,
      'will response topic is empty or holds a wildcard',
      'v5 [MQTT-3.3.2-14]',
    );
  }
  return { topicName, payload, qos: ((flags >> 3) & 3) as QoS, retain: (flags & 0x20) !== 0, properties };
}

/**
 * Version of a CONNECT body, read before the rest is checked, so that an error can be answered in the client's own
 * version; null where the name or level is not one of ours.
 */
export function peekConnectVersion(bytes: Uint8Array, start: number, end: number): ProtocolVersion | null {
  try {
    return decodeVersion(new ByteReader(bytes, start, end)).version;
  } catch {
    return null; // the full decode of the same bytes reports the error
  }
}

/**
 * MQTT 3.1 (section 3.1) asks for less than its successors: the reserved flag, and Will QoS and Retain without a will,
 * are not looked at, and a packet may end where the user name or password that its flags announce would stand.
 *
 * @throws ProtocolError 0x81 malformed, 0x82 a property
 *   that repeats, 0x84 a protocol level we do not speak, 0x99 a will that is not the UTF-8 it claims to be
 */
export function decodeConnect(bytes: Uint8Array, start: number, end: number): ConnectPacket {
  const reader = new ByteReader(bytes, start, end);
  const { version, bridge } = decodeVersion(reader);
  const isV31 = version === ProtocolVersion.v31;
  const flags = reader.u8();
  if ((flags & 1) !== 0 && !isV31) throw malformed('reserved CONNECT flag is set', 'v5 [MQTT-3.1.2-3]');
  const hasWill = (flags & 4) !== 0;
  if (hasWill) {
    if ((flags & 0x18) === 0x18) throw malformed('will QoS is 3', 'v5 [MQTT-3.1.2-12]');
  } else if ((flags & 0x38) !== 0 && !isV31) {
    throw malformed('will QoS or retain set without a will', 'v5 [MQTT-3.1.2-11]');
  }
  const hasUsername = (flags & 0x80) !== 0;
  const hasPassword = (flags & 0x40) !== 0;
  if (hasPassword && !hasUsername && version !== ProtocolVersion.v5) {
    throw malformed('password without a user name', 'v3.1.1 [MQTT-3.1.2-22]');
  }
  const keepAlive = reader.u16();
  const properties = version === ProtocolVersion.v5 ? decodeProperties(reader, PacketType.connect) : null;
  const clientId = reader.string();
  const willProperties = hasWill && version === ProtocolVersion.v5 ? decodeProperties(reader, WILL_PROPERTIES) : null;
  const will = hasWill ? decodeWill(reader, flags, willProperties) : null;
  const username = hasUsername && !(isV31 && reader.remaining === 0) ? reader.string() : null;
  const password = hasPassword && !(isV31 && reader.remaining === 0) ? reader.binary() : null;
  reader.expectEnd();
  return {
    type: PacketType.connect,
    protocolVersion: version,
    bridge,
    cleanStart: (flags & 2) !== 0,
    keepAlive,
    clientId,
    will,
    username,
    password,
    properties,
  };
}

/**
 * The Will Properties that are sent on with the will, byte for byte in the client's order: all but Will Delay Interval
 * and Message Expiry Interval.
 *
 * @param bytes holds in `[start, end)` the body of a v5 CONNECT with a will that `decodeConnect` took
 */
export function forwardedWillProperties(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const reader = new ByteReader(bytes, start, end);
  decodeVersion(reader);
  reader.u8();
  reader.u16();
  const length = reader.varint();
  reader.offset += length;
  const idLength = reader.u16();
  reader.offset += idLength;
  const kept = new Uint8Array(reader.remaining);
  let used = 0;
  scanProperties(reader, WILL_PROPERTIES, {
    visitProperty(id, from, to) {
      if (id === PropertyId.willDelayInterval || id === PropertyId.messageExpiryInterval) return;
      kept.set(bytes.subarray(from, to), used);
      used += to - from;
    },
  });
  return kept.slice(0, used);
}

export function encodeConnect(writer: ByteWriter, packet: ConnectPacket): void {
  const { protocolVersion, will } = packet;
  writer.beginPacket(PacketType.connect << 4);
  writer.string(protocolVersion === ProtocolVersion.v31 ? 'MQIsdp' : 'MQTT');
  writer.u8(packet.bridge ? protocolVersion | BRIDGE_BIT : protocolVersion);
  let flags = packet.cleanStart ? 2 : 0;
  if (will !== null) flags |= 4 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  if (packet.username !== null) flags |= 0x80;
  if (packet.password !== null) flags |= 0x40;
  writer.u8(flags);
  writer.u16(packet.keepAlive);
  if (protocolVersion === ProtocolVersion.v5) encodeProperties(writer, packet.properties, PacketType.connect);
  writer.string(packet.clientId);
  if (will !== null) {
    if (protocolVersion === ProtocolVersion.v5) encodeProperties(writer, will.properties, WILL_PROPERTIES);
    writer.string(will.topicName);
    writer.binary(will.payload);
  }
  if (packet.username !== null) writer.string(packet.username);
  if (packet.password !== null) writer.binary(packet.password);
  writer.endPacket();
}
