// Hot path: message -> frames. Encodes once per layout and shares the frame. Benchmark: bench/broker (fanout-5000).
import { varintLength, writeVarint } from '../protocol/byte-writer.ts';
import { PropertyId } from '../protocol/properties.ts';
import { publishFirstByte, publishFrameLength, writePublishStart } from '../protocol/publish.ts';
import type { OutputLoop } from '../transport/output-loop.ts';

const EXPIRY_BYTES = 5;
const ALIAS_BYTES = 3;

/** What a PUBLISH frame is made of; one object is reused. */
export class PublishFrame {
  private readonly loop: OutputLoop;
  /** The frame just made is `bytes[start, end)`, and where the payload is large, `payload` follows it. */
  bytes: Uint8Array;
  start = 0;
  end = 0;
  /** The payload is not copied into the frame: the caller queues it as a second range. */
  isSplit = false;
  length = 0;

  constructor(loop: OutputLoop) {
    this.loop = loop;
    this.bytes = loop.arena;
  }

  /**
   * Encodes a PUBLISH into the loop's arena.
   *
   * @param propertiesStart -1: MQTT 3, no properties
   * @param expiryInterval seconds, -1: none
   * @param identifier Subscription Identifier, 0: none
   * @param alias Topic Alias, 0: none; `topic` may then be empty
   */
  encode(
    qos: number,
    retain: boolean,
    dup: boolean,
    topic: Uint8Array,
    packetId: number,
    isV5: boolean,
    properties: Uint8Array,
    propertiesStart: number,
    propertiesEnd: number,
    expiryInterval: number,
    identifier: number,
    alias: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
    maximumLength: number,
  ): boolean {
    const forwarded = propertiesEnd - propertiesStart;
    const payloadLength = payloadEnd - payloadStart;
    let propertiesLength = -1;
    if (isV5) {
      propertiesLength = forwarded;
      if (expiryInterval >= 0) propertiesLength += EXPIRY_BYTES;
      if (identifier !== 0) propertiesLength += 1 + varintLength(identifier);
      if (alias !== 0) propertiesLength += ALIAS_BYTES;
    }
    const length = publishFrameLength(topic.length, qos, propertiesLength, payloadLength);
    this.length = length;
    if (length > maximumLength) return false;
    this.isSplit = payloadLength > SPLIT_BYTES;
    const own = this.isSplit ? length - payloadLength : length;
    const { loop } = this;
    loop.reserve(own);
    const out = loop.arena;
    const start = loop.offset;
    const rest = payloadLength + (isV5 ? varintLength(propertiesLength) + propertiesLength : 0);
    let at = writePublishStart(out, start, publishFirstByte(qos, retain, dup), topic, packetId, rest);
    if (isV5) {
      at = writeVarint(out, at, propertiesLength);
      if (identifier !== 0) {
        out[at++] = PropertyId.subscriptionIdentifier;
        at = writeVarint(out, at, identifier);
      }
      at = copy(properties, propertiesStart, propertiesEnd, out, at);
      if (expiryInterval >= 0) {
        out[at++] = PropertyId.messageExpiryInterval;
        out[at++] = expiryInterval >>> 24;
        out[at++] = expiryInterval >>> 16;
        out[at++] = expiryInterval >>> 8;
        out[at++] = expiryInterval;
      }
      if (alias !== 0) {
        out[at++] = PropertyId.topicAlias;
        out[at++] = alias >>> 8;
        out[at++] = alias;
      }
    }
    if (!this.isSplit) at = copy(payload, payloadStart, payloadEnd, out, at);
    this.bytes = out;
    this.start = start;
    this.end = at;
    loop.offset = at;
    return true;
  }
}

/** Above this many bytes a payload is not copied into each frame. */
const SPLIT_BYTES = 2_048;

function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, offset: number): number {
  const length = end - start;
  if (length <= 96) for (let i = 0; i < length; i++) to[offset + i] = from[start + i]!;
  else to.set(from.subarray(start, end), offset);
  return offset + length;
}
