import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { PacketType, ProtocolVersion, type QoS } from './packet-type.ts';
import { decodeProperties, encodeProperties, type Properties } from './properties.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';
import { isSharedFilter, isValidTopicFilter, parseSharedFilter } from './topic.ts';

/** Retain Handling (v5 section 3.8.3.1). */
export const RetainHandling = { send: 0, sendIfNew: 1, never: 2 } as const;
export type RetainHandling = (typeof RetainHandling)[keyof typeof RetainHandling];

export interface SubscriptionRequest {
  topicFilter: string;
  qos: QoS;
  noLocal: boolean;
  retainAsPublished: boolean;
  retainHandling: RetainHandling;
}

export interface SubscribePacket {
  type: typeof PacketType.subscribe;
  packetId: number;
  properties: Properties | null;
  subscriptions: SubscriptionRequest[];
}

export interface UnsubscribePacket {
  type: typeof PacketType.unsubscribe;
  packetId: number;
  properties: Properties | null;
  topicFilters: string[];
}

function malformed(message: string, clause: string): ProtocolError {
  return new ProtocolError(ReasonCode.malformedPacket, message, clause);
}

function protocolError(message: string, clause: string): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, message, clause);
}

function readPacketId(reader: ByteReader): number {
  const packetId = reader.u16();
  if (packetId === 0) throw protocolError('packet identifier is 0', 'v5 [MQTT-2.2.1-3]');
  return packetId;
}

/** A filter that is not well-formed ends the connection: SUBACK 0x8F is for well-formed ones that are not allowed. */
function readTopicFilter(reader: ByteReader): string {
  const topicFilter = reader.string();
  if (!isValidTopicFilter(topicFilter)) {
    throw malformed(
      topicFilter === '' ? 'topic filter is empty' : 'topic filter has a misplaced wildcard or too many levels',
      topicFilter === '' ? 'v5 [MQTT-4.7.3-1]' : 'v5 [MQTT-4.7.1-1]',
    );
  }
  return topicFilter;
}

/**
 * @throws ProtocolError 0x81 malformed, ill-formed topic filters included; 0x82 packet identifier 0, no topic filter at
 *   all, an ill-formed shared filter, No Local on a shared subscription, Retain Handling 3, and in MQTT 5 QoS 3
 */
export function decodeSubscribe(bytes: Uint8Array, start: number, end: number, version: number): SubscribePacket {
  const reader = new ByteReader(bytes, start, end);
  const packetId = readPacketId(reader);
  const properties = version === ProtocolVersion.v5 ? decodeProperties(reader, PacketType.subscribe) : null;
  const subscriptions: SubscriptionRequest[] = [];
  while (reader.remaining > 0) {
    const topicFilter = readTopicFilter(reader);
    const isShared = isSharedFilter(topicFilter);
    if (isShared && parseSharedFilter(topicFilter) === null) {
      throw protocolError('shared filter without a share name or a filter', 'v5 [MQTT-4.8.2-1]');
    }
    const options = reader.u8();
    if (version !== ProtocolVersion.v5) {
      if (options > 2) throw malformed('requested QoS is not 0, 1 or 2', 'v3.1.1 [MQTT-3.8.3-4]');
    } else if ((options & 0xc0) !== 0) {
      throw malformed('reserved subscription option bits are set', 'v5 [MQTT-3.8.3-5]');
    }
    const qos = options & 3;
    if (qos === 3) throw protocolError('subscription asks for QoS 3', 'v5 section 3.8.3.1');
    const retainHandling = (options >> 4) & 3;
    if (retainHandling === 3) throw protocolError('retain handling is 3', 'v5 section 3.8.3.1');
    const noLocal = (options & 4) !== 0;
    if (noLocal && isShared) throw protocolError('no local on a shared subscription', 'v5 [MQTT-3.8.3-4]');
    subscriptions.push({
      topicFilter,
      qos: qos as QoS,
      noLocal,
      retainAsPublished: (options & 8) !== 0,
      retainHandling: retainHandling as RetainHandling,
    });
  }
  if (subscriptions.length === 0) {
    throw protocolError('SUBSCRIBE without a topic filter', 'v5 [MQTT-3.8.3-2]');
  }
  return { type: PacketType.subscribe, packetId, properties, subscriptions };
}

export function encodeSubscribe(writer: ByteWriter, packet: SubscribePacket, version: number): void {
  writer.beginPacket((PacketType.subscribe << 4) | 2);
  writer.u16(packet.packetId);
  if (version === ProtocolVersion.v5) encodeProperties(writer, packet.properties, PacketType.subscribe);
  for (const one of packet.subscriptions) {
    writer.string(one.topicFilter);
    let options: number = one.qos;
    if (version === ProtocolVersion.v5) {
      options |= (one.noLocal ? 4 : 0) | (one.retainAsPublished ? 8 : 0) | (one.retainHandling << 4);
    }
    writer.u8(options);
  }
  writer.endPacket();
}

/** @throws ProtocolError 0x81 malformed, ill-formed topic filters included; 0x82 packet identifier 0, no filter */
export function decodeUnsubscribe(bytes: Uint8Array, start: number, end: number, version: number): UnsubscribePacket {
  const reader = new ByteReader(bytes, start, end);
  const packetId = readPacketId(reader);
  const properties = version === ProtocolVersion.v5 ? decodeProperties(reader, PacketType.unsubscribe) : null;
  const topicFilters: string[] = [];
  while (reader.remaining > 0) topicFilters.push(readTopicFilter(reader));
  if (topicFilters.length === 0) {
    throw protocolError('UNSUBSCRIBE without a topic filter', 'v5 [MQTT-3.10.3-2]');
  }
  return { type: PacketType.unsubscribe, packetId, properties, topicFilters };
}

export function encodeUnsubscribe(writer: ByteWriter, packet: UnsubscribePacket, version: number): void {
  writer.beginPacket((PacketType.unsubscribe << 4) | 2);
  writer.u16(packet.packetId);
  if (version === ProtocolVersion.v5) encodeProperties(writer, packet.properties, PacketType.unsubscribe);
  for (const topicFilter of packet.topicFilters) writer.string(topicFilter);
  writer.endPacket();
}
