import type { ByteReader } from './byte-reader.ts';
import { type ByteWriter, varintLength, writeVarint } from './byte-writer.ts';
import { PacketType } from './packet-type.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';

/** Property identifiers (v5 section 2.2.2.2). */
export const PropertyId = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQoS: 0x24,
  retainAvailable: 0x25,
  userProperties: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifierAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const;
export type PropertyName = keyof typeof PropertyId;

export type UserProperty = readonly [name: string, value: string];

/** Decoded properties; an absent field was not in the packet. Intervals are in seconds, sizes in bytes. */
export interface Properties {
  payloadFormatIndicator?: number;
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  /** PUBLISH may carry several (v5 section 3.3.2.3.8), SUBSCRIBE one. */
  subscriptionIdentifiers?: number[];
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  requestProblemInformation?: number;
  willDelayInterval?: number;
  requestResponseInformation?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQoS?: number;
  retainAvailable?: number;
  /** In the order of the packet, names may repeat (v5 [MQTT-3.3.2-18]). */
  userProperties?: UserProperty[];
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: number;
  subscriptionIdentifierAvailable?: number;
  sharedSubscriptionAvailable?: number;
}

/** Where properties may stand: a packet type nibble, or `WILL` for the Will Properties of CONNECT. */
export const WILL_PROPERTIES = 0;
export type PropertyHolder = PacketType | typeof WILL_PROPERTIES;

const Kind = { byte: 0, boolean: 1, u16: 2, u32: 3, varint: 4, string: 5, binary: 6, pair: 7 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

/** What is not an error by itself but by value: 0 where the standard says the value MUST NOT be 0. */
interface PropertyRule {
  readonly id: number;
  readonly field: keyof Properties;
  readonly kind: Kind;
  readonly holders: number;
  readonly notZero: boolean;
}

const bit = (...holders: PropertyHolder[]) => holders.reduce<number>((mask, holder) => mask | (1 << holder), 0);
const P = PacketType;
const acks = [P.puback, P.pubrec, P.pubrel, P.pubcomp, P.suback, P.unsuback] as const;

function rule(field: keyof Properties, id: number, kind: Kind, holders: number, notZero = false): PropertyRule {
  return { id, field, kind, holders, notZero };
}

/** v5 table 2-4. */
const rules: readonly PropertyRule[] = [
  rule('payloadFormatIndicator', PropertyId.payloadFormatIndicator, Kind.boolean, bit(P.publish, WILL_PROPERTIES)),
  rule('messageExpiryInterval', PropertyId.messageExpiryInterval, Kind.u32, bit(P.publish, WILL_PROPERTIES)),
  rule('contentType', PropertyId.contentType, Kind.string, bit(P.publish, WILL_PROPERTIES)),
  rule('responseTopic', PropertyId.responseTopic, Kind.string, bit(P.publish, WILL_PROPERTIES)),
  rule('correlationData', PropertyId.correlationData, Kind.binary, bit(P.publish, WILL_PROPERTIES)),
  rule('subscriptionIdentifiers', PropertyId.subscriptionIdentifier, Kind.varint, bit(P.publish, P.subscribe), true),
  rule('sessionExpiryInterval', PropertyId.sessionExpiryInterval, Kind.u32, bit(P.connect, P.connack, P.disconnect)),
  rule('assignedClientIdentifier', PropertyId.assignedClientIdentifier, Kind.string, bit(P.connack)),
  rule('serverKeepAlive', PropertyId.serverKeepAlive, Kind.u16, bit(P.connack)),
  rule('authenticationMethod', PropertyId.authenticationMethod, Kind.string, bit(P.connect, P.connack, P.auth)),
  rule('authenticationData', PropertyId.authenticationData, Kind.binary, bit(P.connect, P.connack, P.auth)),
  rule('requestProblemInformation', PropertyId.requestProblemInformation, Kind.boolean, bit(P.connect)),
  rule('willDelayInterval', PropertyId.willDelayInterval, Kind.u32, bit(WILL_PROPERTIES)),
  rule('requestResponseInformation', PropertyId.requestResponseInformation, Kind.boolean, bit(P.connect)),
  rule('responseInformation', PropertyId.responseInformation, Kind.string, bit(P.connack)),
  rule('serverReference', PropertyId.serverReference, Kind.string, bit(P.connack, P.disconnect)),
  rule('reasonString', PropertyId.reasonString, Kind.string, bit(P.connack, ...acks, P.disconnect, P.auth)),
  rule('receiveMaximum', PropertyId.receiveMaximum, Kind.u16, bit(P.connect, P.connack), true),
  rule('topicAliasMaximum', PropertyId.topicAliasMaximum, Kind.u16, bit(P.connect, P.connack)),
  rule('topicAlias', PropertyId.topicAlias, Kind.u16, bit(P.publish)),
  rule('maximumQoS', PropertyId.maximumQoS, Kind.boolean, bit(P.connack)),
  rule('retainAvailable', PropertyId.retainAvailable, Kind.boolean, bit(P.connack)),
  rule(
    'userProperties',
    PropertyId.userProperties,
    Kind.pair,
    bit(P.connect, P.connack, P.publish, WILL_PROPERTIES, ...acks, P.subscribe, P.unsubscribe, P.disconnect, P.auth),
  ),
  rule('maximumPacketSize', PropertyId.maximumPacketSize, Kind.u32, bit(P.connect, P.connack), true),
  rule('wildcardSubscriptionAvailable', PropertyId.wildcardSubscriptionAvailable, Kind.boolean, bit(P.connack)),
  rule('subscriptionIdentifierAvailable', PropertyId.subscriptionIdentifierAvailable, Kind.boolean, bit(P.connack)),
  rule('sharedSubscriptionAvailable', PropertyId.sharedSubscriptionAvailable, Kind.boolean, bit(P.connack)),
];

const ruleById: (PropertyRule | null)[] = new Array<PropertyRule | null>(64).fill(null);
const ruleByField = new Map<keyof Properties, PropertyRule>();
for (const one of rules) {
  ruleById[one.id] = one;
  ruleByField.set(one.field, one);
}

function readValue(reader: ByteReader, kind: Kind): number | string | Uint8Array {
  switch (kind) {
    case Kind.byte:
    case Kind.boolean:
      return reader.u8();
    case Kind.u16:
      return reader.u16();
    case Kind.u32:
      return reader.u32();
    case Kind.varint:
      return reader.varint();
    case Kind.string:
      return reader.string();
    case Kind.binary:
      return reader.binary();
    case Kind.pair:
      throw new TypeError('a string pair has two values');
  }
}

function checkValue(one: PropertyRule, value: number | string | Uint8Array): void {
  if (one.notZero && value === 0) {
    throw new ProtocolError(ReasonCode.protocolError, `${one.field} is 0`, 'v5 section 2.2.2.2');
  }
  if (one.kind === Kind.boolean && (value as number) > 1) {
    throw new ProtocolError(ReasonCode.protocolError, `${one.field} is neither 0 nor 1`, 'v5 section 2.2.2.2');
  }
}

/** The rule of the next property in the reader; throws 0x81 where the identifier may not stand in this packet. */
function readRule(reader: ByteReader, holder: PropertyHolder): PropertyRule {
  const id = reader.varint();
  const one = id < ruleById.length ? ruleById[id]! : null;
  if (one === null || (one.holders & (1 << holder)) === 0) {
    throw new ProtocolError(
      ReasonCode.malformedPacket,
      `property 0x${id.toString(16).padStart(2, '0')} does not belong in this packet`,
      'v5 section 2.2.2.2',
    );
  }
  return one;
}

function readLength(reader: ByteReader): number {
  const length = reader.varint();
  if (length > reader.remaining) {
    throw new ProtocolError(
      ReasonCode.malformedPacket,
      'property length reaches past the end of the packet',
      'v5 section 2.2.2.1',
    );
  }
  return length;
}

function repeated(one: PropertyRule): ProtocolError {
  return new ProtocolError(ReasonCode.protocolError, `${one.field} stands twice`, 'v5 section 2.2.2.2');
}

function unpaired(): ProtocolError {
  return new ProtocolError(
    ReasonCode.protocolError,
    'authentication data without an authentication method',
    'v5 section 3.1.2.11.10',
  );
}

/**
 * Reads a property section (length and properties) and moves the reader behind it.
 *
 * @returns the properties, or null for an empty section
 * @throws ProtocolError 0x81 for an identifier that does not belong here or a value that does not parse; 0x82 for a
 *   property that repeats or a value the standard forbids
 */
export function decodeProperties(reader: ByteReader, holder: PropertyHolder): Properties | null {
  const length = readLength(reader);
  if (length === 0) return null;
  const packetEnd = reader.end;
  reader.end = reader.offset + length;
  const properties: Properties = {};
  const slots = properties as Record<keyof Properties, unknown>;
  while (reader.offset < reader.end) {
    const one = readRule(reader, holder);
    if (one.kind === Kind.pair) {
      (properties.userProperties ??= []).push([reader.string(), reader.string()]);
      continue;
    }
    const value = readValue(reader, one.kind);
    checkValue(one, value);
    if (one.field === 'subscriptionIdentifiers') {
      const list = (properties.subscriptionIdentifiers ??= []);
      if (holder === PacketType.subscribe && list.length > 0) throw repeated(one);
      list.push(value as number);
      continue;
    }
    if (slots[one.field] !== undefined) throw repeated(one);
    slots[one.field] = value;
  }
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) throw unpaired();
  reader.end = packetEnd;
  return properties;
}

/**
 * Checks a property section as `decodeProperties` does, without decoding: for what a server only hands on. `visit` is
 * called with each property's identifier, its bytes `[start, end)` and its number (0 where it is not a number).
 */
export function scanProperties(reader: ByteReader, holder: PropertyHolder, visitor: PropertyVisitor): void {
  const length = readLength(reader);
  if (length === 0) return;
  const packetEnd = reader.end;
  reader.end = reader.offset + length;
  let seenLow = 0;
  let seenHigh = 0;
  while (reader.offset < reader.end) {
    const start = reader.offset;
    const one = readRule(reader, holder);
    let value = 0;
    switch (one.kind) {
      case Kind.pair:
        skipString(reader);
        skipString(reader);
        break;
      case Kind.string:
        skipString(reader);
        break;
      case Kind.binary:
        skipBytes(reader, reader.u16());
        break;
      default:
        value = readValue(reader, one.kind) as number;
        checkValue(one, value);
    }
    if (one.kind !== Kind.pair && (one.kind !== Kind.varint || holder === PacketType.subscribe)) {
      const mask = 1 << (one.id & 31);
      if (one.id < 32) {
        if ((seenLow & mask) !== 0) throw repeated(one);
        seenLow |= mask;
      } else {
        if ((seenHigh & mask) !== 0) throw repeated(one);
        seenHigh |= mask;
      }
    }
    visitor.visitProperty(one.id, start, reader.offset, value);
  }
  if (((seenLow >>> PropertyId.authenticationData) & 1) > ((seenLow >>> PropertyId.authenticationMethod) & 1)) {
    throw unpaired();
  }
  reader.end = packetEnd;
}

export interface PropertyVisitor {
  visitProperty(id: number, start: number, end: number, value: number): void;
}

function skipBytes(reader: ByteReader, length: number): void {
  if (length > reader.remaining) {
    throw new ProtocolError(ReasonCode.malformedPacket, 'packet ends inside a property', 'v5 section 2.2.2');
  }
  reader.offset += length;
}

function skipString(reader: ByteReader): void {
  const start = reader.offset + 2;
  skipBytes(reader, reader.u16());
  reader.checkUtf8(start, reader.offset);
}

/**
 * Writes a property section in the order of the object's fields.
 *
 * @throws RangeError for a field that may not stand in this packet: that is the caller's mistake
 */
export function encodeProperties(writer: ByteWriter, properties: Properties | null, holder: PropertyHolder): void {
  if (properties === null) {
    writer.u8(0);
    return;
  }
  const start = writer.offset;
  writer.u8(0);
  encodePropertyList(writer, properties, holder);
  const length = writer.offset - start - 1;
  const extra = varintLength(length) - 1;
  if (extra > 0) {
    writer.reserve(extra);
    writer.bytes.copyWithin(start + 1 + extra, start + 1, writer.offset);
    writer.offset += extra;
  }
  writeVarint(writer.bytes, start, length);
}

/** The properties alone, without the length that `encodeProperties` puts in front. */
function encodePropertyList(writer: ByteWriter, properties: Properties, holder: PropertyHolder): void {
  for (const field of Object.keys(properties) as (keyof Properties)[]) {
    const value = properties[field];
    if (value === undefined) continue;
    const one = ruleByField.get(field);
    if (one === undefined || (one.holders & (1 << holder)) === 0) {
      throw new RangeError(`property ${field} does not belong in this packet`);
    }
    writeProperty(writer, one, value);
  }
}

function writeProperty(writer: ByteWriter, one: PropertyRule, value: NonNullable<Properties[keyof Properties]>): void {
  switch (one.kind) {
    case Kind.pair:
      for (const [name, text] of value as UserProperty[]) {
        writer.u8(one.id);
        writer.string(name);
        writer.string(text);
      }
      return;
    case Kind.varint:
      for (const identifier of value as number[]) {
        writer.u8(one.id);
        writer.varint(identifier);
      }
      return;
    case Kind.byte:
    case Kind.boolean:
      writer.u8(one.id);
      writer.u8(value as number);
      return;
    case Kind.u16:
      writer.u8(one.id);
      writer.u16(value as number);
      return;
    case Kind.u32:
      writer.u8(one.id);
      writer.u32(value as number);
      return;
    case Kind.string:
      writer.u8(one.id);
      writer.string(value as string);
      return;
    case Kind.binary:
      writer.u8(one.id);
      writer.binary(value as Uint8Array);
      return;
  }
}
