// Hot path of the load tester: publish -> frame -> transport.
import { type ByteWriter, varintLength, writeVarint } from '../protocol/byte-writer.ts';
import { MAX_REMAINING_LENGTH, PacketType, ProtocolVersion, type QoS } from '../protocol/packet-type.ts';
import { encodeProperties, type Properties, PropertyId } from '../protocol/properties.ts';
import { publishFirstByte } from '../protocol/publish.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { isValidTopicName } from '../protocol/topic.ts';
import { encodeUtf8, isEncodableString } from '../protocol/utf8.ts';

/** Larger payloads go to the transport as they are, behind their header. */
const LARGE_PAYLOAD = 16 * 1024;

const NO_BYTES = new Uint8Array(0);

/**
 * A message to publish. At QoS 0 it is done with when `publish` returns and may be published again; at QoS 1 and 2
 * the client keeps it until `onPublished`, and neither it nor its payload may change. A subclass may carry what the
 * application wants to find again there.
 */
export class OutgoingMessage {
  /** Empty where `properties.topicAlias` stands for a topic that the connection has seen before. */
  readonly topicName: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: Properties | null;
  /** 0 while the message has not been sent, and at QoS 0. */
  packetId: number;
  /** It was sent on a connection that ended before its acknowledgement. */
  dup: boolean;
  /** UTF-8 of the topic name, once it was found valid. */
  topicBytes: Uint8Array | null;

  constructor(
    topicName: string,
    payload: Uint8Array,
    qos: QoS = 0,
    retain = false,
    properties: Properties | null = null,
  ) {
    this.topicName = topicName;
    this.payload = payload;
    this.qos = qos;
    this.retain = retain;
    this.properties = properties;
    this.packetId = 0;
    this.dup = false;
    this.topicBytes = null;
  }

  /** What it takes in a queue. */
  get bytes(): number {
    return (this.topicBytes?.length ?? 0) + this.payload.length;
  }

  /**
   * Checks what can be checked once.
   *
   * @returns 0, or 0x90 for a topic name that can't be published
   * @throws RangeError for properties that do not belong in a PUBLISH or with a version before 5
   */
  prepare(version: number, writer: ByteWriter): number {
    if (this.topicBytes !== null) return ReasonCode.success;
    if (this.properties !== null) {
      if (version !== ProtocolVersion.v5) throw new RangeError('properties need MQTT 5');
      writer.beginPacket(0);
      encodeProperties(writer, this.properties, PacketType.publish);
    }
    if (this.topicName === '' && this.properties?.topicAlias !== undefined) this.topicBytes = NO_BYTES;
    else if (isValidTopicName(this.topicName) && isEncodableString(this.topicName)) {
      this.topicBytes = encodeUtf8(this.topicName);
    } else return ReasonCode.topicNameInvalid;
    return ReasonCode.success;
  }
}

function writeAliasOnly(writer: ByteWriter, topicAlias: number): void {
  if (topicAlias === 0) {
    writer.u8(0);
    return;
  }
  writer.u8(3);
  writer.u8(PropertyId.topicAlias);
  writer.u16(topicAlias);
}

/** What of a frame is in `writer`; the payload follows by itself where it is large. */
export interface PublishFrame {
  /** Bytes of the whole packet. */
  length: number;
  payloadFollows: boolean;
}

/**
 * Encodes a prepared message: `writer.bytes[writer.packetStart, writer.offset)` is the packet, or its start where
 * `frame.payloadFollows`.
 *
 * @param topicBytes the topic, or nothing where `topicAlias` is known
 * @param topicAlias 0: the one in the message's properties, if any
 * @returns false where the packet is longer than MQTT allows
 */
export function encodeOutgoing(
  writer: ByteWriter,
  frame: PublishFrame,
  message: OutgoingMessage,
  version: number,
  topicBytes: Uint8Array,
  topicAlias: number,
): boolean {
  const { payload, qos } = message;
  writer.beginPacket(publishFirstByte(qos, message.retain, message.dup));
  writer.binary(topicBytes);
  if (qos !== 0) writer.u16(message.packetId);
  if (version === ProtocolVersion.v5) {
    if (message.properties === null) writeAliasOnly(writer, topicAlias);
    else if (topicAlias !== 0) encodeProperties(writer, { ...message.properties, topicAlias }, PacketType.publish);
    else encodeProperties(writer, message.properties, PacketType.publish);
  }
  frame.payloadFollows = payload.length > LARGE_PAYLOAD;
  if (!frame.payloadFollows) writer.raw(payload);
  const remaining = writer.offset - writer.bodyStart + (frame.payloadFollows ? payload.length : 0);
  if (remaining > MAX_REMAINING_LENGTH) return false;
  writer.packetStart = writer.bodyStart - 1 - varintLength(remaining);
  writer.bytes[writer.packetStart] = writer.firstByte;
  writeVarint(writer.bytes, writer.packetStart + 1, remaining);
  frame.length = 1 + varintLength(remaining) + remaining;
  return true;
}
