// Hot path: chunk -> decode in place. Benchmark: bench/micro/codec.ts and bench/broker (q0-pair).
import { ByteReader } from './byte-reader.ts';
import { type ByteWriter, varintLength, writeVarint } from './byte-writer.ts';
import type { Sender } from './disconnect.ts';
import { PacketType, ProtocolVersion, QoS } from './packet-type.ts';
import {
  decodeProperties,
  encodeProperties,
  type Properties,
  PropertyId,
  type PropertyVisitor,
  scanProperties,
} from './properties.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';
import { isValidTopicName } from './topic.ts';

/** A PUBLISH in memory of its own. `packetId` is 0 at QoS 0. */
export interface PublishPacket {
  type: typeof PacketType.publish;
  dup: boolean;
  qos: QoS;
  retain: boolean;
  /** Empty where an MQTT 5 Topic Alias stands for it. */
  topicName: string;
  packetId: number;
  properties: Properties | null;
  payload: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/**
 * A PUBLISH as offsets into the chunk it came in; one object is reused for all packets. The topic's bytes are not
 * checked here: the topic cache checks a topic once. Properties are checked, and those a server hands on unchanged
 * (all but Topic Alias and Message Expiry Interval) are kept as raw bytes in their order (v5 [MQTT-3.3.2-4],
 * [MQTT-3.3.2-17], [MQTT-3.3.2-18], [MQTT-3.3.2-20]).
 */
export class PublishView implements PropertyVisitor {
  dup = false;
  qos: QoS = 0;
  retain = false;
  packetId = 0;
  topicStart = 0;
  topicEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;
  /** -1: the packet carries no Topic Alias. */
  topicAlias = -1;
  /** Seconds; -1: the message does not expire. */
  messageExpiryInterval = -1;
  /** The raw bytes of the properties that are handed on are `forwarded[forwardedStart, forwardedEnd)`. */
  forwarded: Uint8Array = NO_BYTES;
  forwardedStart = 0;
  forwardedEnd = 0;
  /** The packet carries a Subscription Identifier, which only a server may send. */
  hasSubscriptionIdentifier = false;
  /** 1: the payload claims to be UTF-8. */
  payloadFormatIndicator = 0;
  private readonly reader = new ByteReader(NO_BYTES, 0, 0);
  private cut = false;

  /**
   * Decodes the body `bytes[start, end)` of a PUBLISH whose first byte is `firstByte`.
   *
   * @throws ProtocolError 0x81 for QoS 3, DUP at QoS 0 or a truncated body; 0x82 for packet id 0 or a response topic
   *   that is no topic name; 0x94 for Topic Alias 0; and what `scanProperties` says
   */
  decode(firstByte: number, bytes: Uint8Array, start: number, end: number, version: number): void {
    const qos = (firstByte >> 1) & 3;
    if (qos === 3) throw new ProtocolError(ReasonCode.malformedPacket, 'PUBLISH with QoS 3', 'v5 [MQTT-3.3.1-4]');
    this.dup = (firstByte & 8) !== 0;
    if (this.dup && qos === 0) {
      throw new ProtocolError(ReasonCode.malformedPacket, 'PUBLISH at QoS 0 has DUP set', 'v5 [MQTT-3.3.1-2]');
    }
    this.qos = qos as QoS;
    this.retain = (firstByte & 1) !== 0;
    if (start + 2 > end) throw truncated();
    let at = start + 2 + ((bytes[start]! << 8) | bytes[start + 1]!);
    if (at > end) throw truncated();
    this.topicStart = start + 2;
    this.topicEnd = at;
    this.packetId = 0;
    if (qos !== 0) {
      if (at + 2 > end) throw truncated();
      const packetId = (bytes[at]! << 8) | bytes[at + 1]!;
      if (packetId === 0) {
        throw new ProtocolError(
          ReasonCode.protocolError,
          'PUBLISH at QoS 1 or 2 with packet identifier 0',
          'v5 [MQTT-2.2.1-3]',
        );
      }
      this.packetId = packetId;
      at += 2;
    }
    this.topicAlias = -1;
    this.messageExpiryInterval = -1;
    this.hasSubscriptionIdentifier = false;
    this.payloadFormatIndicator = 0;
    this.forwarded = bytes;
    this.forwardedStart = at;
    this.forwardedEnd = at;
    if (version === ProtocolVersion.v5) {
      if (at >= end) throw truncated();
      if (bytes[at] === 0) at++;
      else at = this.scan(bytes, at, end);
    }
    this.payloadStart = at;
    this.payloadEnd = end;
  }

  private scan(bytes: Uint8Array, start: number, end: number): number {
    const { reader } = this;
    reader.bytes = bytes;
    reader.offset = start;
    reader.end = end;
    this.cut = false;
    const length = reader.varint();
    this.forwardedStart = reader.offset;
    this.forwardedEnd = reader.offset + length;
    reader.offset = start;
    scanProperties(reader, PacketType.publish, this);
    if (this.cut) this.cutOut(bytes, this.forwardedStart, reader.offset);
    reader.bytes = NO_BYTES;
    return reader.offset;
  }

  visitProperty(id: number, start: number, end: number, value: number): void {
    switch (id) {
      case PropertyId.topicAlias:
        if (value === 0) {
          throw new ProtocolError(ReasonCode.topicAliasInvalid, 'topic alias is 0', 'v5 [MQTT-3.3.2-8]');
        }
        this.topicAlias = value;
        this.cut = true;
        return;
      case PropertyId.messageExpiryInterval:
        this.messageExpiryInterval = value;
        this.cut = true;
        return;
      case PropertyId.subscriptionIdentifier:
        this.hasSubscriptionIdentifier = true;
        this.cut = true;
        return;
      case PropertyId.payloadFormatIndicator:
        this.payloadFormatIndicator = value;
        return;
      case PropertyId.responseTopic:
        checkResponseTopic(this.reader, start, end);
    }
  }

  /** Second walk, over checked bytes: copies all but what is not handed on. */
  private cutOut(bytes: Uint8Array, start: number, end: number): void {
    const kept = new Uint8Array(end - start);
    const { reader } = this;
    let length = 0;
    let at = start;
    while (at < end) {
      const next = propertyEnd(reader, bytes, at, end);
      const id = bytes[at]!;
      if (
        id !== PropertyId.topicAlias &&
        id !== PropertyId.messageExpiryInterval &&
        id !== PropertyId.subscriptionIdentifier
      ) {
        kept.set(bytes.subarray(at, next), length);
        length += next - at;
      }
      at = next;
    }
    reader.offset = end;
    this.forwarded = kept;
    this.forwardedStart = 0;
    this.forwardedEnd = length;
  }
}

function checkResponseTopic(reader: ByteReader, start: number, end: number): void {
  if (start + 3 === end) {
    throw new ProtocolError(ReasonCode.protocolError, 'response topic is empty', 'v5 [MQTT-4.7.3-1]');
  }
  for (let i = start + 3; i < end; i++) {
    const code = reader.bytes[i];
    if (code === 0x2b || code === 0x23) {
      throw new ProtocolError(ReasonCode.protocolError, 'response topic holds a wildcard', 'v5 [MQTT-3.3.2-14]');
    }
  }
}

/** Where the two-byte length at `at` and what it announces end. */
function prefixedEnd(bytes: Uint8Array, at: number): number {
  return at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
}

/** Where the PUBLISH property at `at` ends; the section was checked before. */
function propertyEnd(reader: ByteReader, bytes: Uint8Array, at: number, end: number): number {
  switch (bytes[at]) {
    case PropertyId.payloadFormatIndicator:
      return at + 2;
    case PropertyId.messageExpiryInterval:
      return at + 5;
    case PropertyId.topicAlias:
      return at + 3;
    case PropertyId.subscriptionIdentifier:
      reader.offset = at + 1;
      reader.end = end;
      reader.varint();
      return reader.offset;
    case PropertyId.userProperties:
      return prefixedEnd(bytes, prefixedEnd(bytes, at + 1));
    default:
      return prefixedEnd(bytes, at + 1);
  }
}

function truncated(): ProtocolError {
  return new ProtocolError(ReasonCode.malformedPacket, 'PUBLISH ends inside its variable header', 'v5 section 3.3.2');
}

/** First byte of a PUBLISH (v5 section 3.3.1). */
export function publishFirstByte(qos: number, retain: boolean, dup: boolean): number {
  return (PacketType.publish << 4) | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
}

/**
 * Bytes of a whole PUBLISH frame.
 *
 * @param propertiesLength bytes of properties without their length field; -1 for MQTT 3, which has no such section
 */
export function publishFrameLength(
  topicLength: number,
  qos: number,
  propertiesLength: number,
  payloadLength: number,
): number {
  let body = 2 + topicLength + payloadLength + (qos === 0 ? 0 : 2);
  if (propertiesLength >= 0) body += varintLength(propertiesLength) + propertiesLength;
  return 1 + varintLength(body) + body;
}

/**
 * Writes fixed header, topic and packet id of a PUBLISH at `offset`; the caller appends the property section and the
 * payload. `rest` is how many bytes the caller will append.
 *
 * @returns the offset behind what was written
 */
export function writePublishStart(
  out: Uint8Array,
  offset: number,
  firstByte: number,
  topic: Uint8Array,
  packetId: number,
  rest: number,
): number {
  const qos = (firstByte >> 1) & 3;
  const length = 2 + topic.length + (qos === 0 ? 0 : 2) + rest;
  out[offset] = firstByte;
  let at = writeVarint(out, offset + 1, length);
  out[at++] = topic.length >>> 8;
  out[at++] = topic.length;
  if (topic.length < 64) for (let i = 0; i < topic.length; i++) out[at + i] = topic[i]!;
  else out.set(topic, at);
  at += topic.length;
  if (qos !== 0) {
    out[at++] = packetId >>> 8;
    out[at++] = packetId;
  }
  return at;
}

/**
 * Decodes a PUBLISH into memory of its own: for clients and tests; the broker uses `PublishView`.
 *
 * @throws ProtocolError as `PublishView.decode`; 0x81 for a topic name that is not valid; 0x82 for none without an
 *   alias, or a Subscription Identifier from a client
 */
export function decodePublish(
  firstByte: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  version: number,
  sender: Sender = 'server',
): PublishPacket {
  const view = new PublishView();
  view.decode(firstByte, bytes, start, end, version);
  const reader = new ByteReader(bytes, start, end);
  const topicName = reader.string();
  if (view.qos !== 0) reader.u16();
  const properties = version === ProtocolVersion.v5 ? decodeProperties(reader, PacketType.publish) : null;
  checkTopic(topicName, properties?.topicAlias !== undefined);
  if (sender === 'client' && view.hasSubscriptionIdentifier) {
    throw new ProtocolError(ReasonCode.protocolError, 'client sent a subscription identifier', 'v5 [MQTT-3.3.4-6]');
  }
  return {
    type: PacketType.publish,
    dup: view.dup,
    qos: view.qos,
    retain: view.retain,
    topicName,
    packetId: view.packetId,
    properties,
    payload: bytes.slice(view.payloadStart, end),
  };
}

function checkTopic(topicName: string, hasAlias: boolean): void {
  if (topicName === '') {
    if (hasAlias) return;
    throw new ProtocolError(ReasonCode.protocolError, 'no topic name and no topic alias', 'v5 section 3.3.2.1');
  }
  if (!isValidTopicName(topicName)) {
    throw new ProtocolError(
      ReasonCode.malformedPacket,
      'topic name holds a wildcard or has too many levels',
      'v5 [MQTT-3.3.2-2]',
    );
  }
}

export function encodePublish(writer: ByteWriter, packet: PublishPacket, version: number): void {
  writer.beginPacket(publishFirstByte(packet.qos, packet.retain, packet.dup));
  writer.string(packet.topicName);
  if (packet.qos !== QoS.atMostOnce) writer.u16(packet.packetId);
  if (version === ProtocolVersion.v5) encodeProperties(writer, packet.properties, PacketType.publish);
  writer.raw(packet.payload);
  writer.endPacket();
}
