// Hot path of `martlet sub` and the load tester: chunk -> message handler.
import { ByteReader } from '../protocol/byte-reader.ts';
import { PacketType, ProtocolVersion, type QoS } from '../protocol/packet-type.ts';
import { decodeProperties, type Properties } from '../protocol/properties.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { PublishView } from '../protocol/publish.ts';
import { ReasonCode } from '../protocol/reason-code.ts';
import { isValidTopicNameBytes } from '../protocol/topic.ts';
import { decodeUtf8, isValidUtf8 } from '../protocol/utf8.ts';
import type { IncomingAliases } from './topic-aliases.ts';

const NO_BYTES = new Uint8Array(0);

/**
 * A received PUBLISH. One object serves all messages: it holds for the handler's call only, and what shall outlive it
 * must be copied (`topicName`, `copyPayload`, `properties` give memory of its own).
 */
export class IncomingMessage {
  dup = false;
  qos: QoS = 0;
  retain = false;
  packetId = 0;
  /** Hand it to `acknowledge` where the handler returned `ACKNOWLEDGE_LATER`. */
  acknowledgement = 0;
  /** The payload is `bytes[payloadStart, payloadEnd)`. */
  bytes: Uint8Array = NO_BYTES;
  payloadStart = 0;
  payloadEnd = 0;
  /** The topic name is `topicBytes[topicStart, topicEnd)`, valid UTF-8. */
  topicBytes: Uint8Array = NO_BYTES;
  topicStart = 0;
  topicEnd = 0;
  private propertiesStart = -1;
  private readonly view = new PublishView();
  private readonly reader = new ByteReader(NO_BYTES, 0, 0);

  get topicName(): string {
    return decodeUtf8(this.topicBytes, this.topicStart, this.topicEnd);
  }

  get payloadLength(): number {
    return this.payloadEnd - this.payloadStart;
  }

  copyPayload(): Uint8Array {
    return this.bytes.slice(this.payloadStart, this.payloadEnd);
  }

  /** Decoded at each access; null for none and before MQTT 5. */
  get properties(): Properties | null {
    if (this.propertiesStart < 0 || this.bytes[this.propertiesStart] === 0) return null;
    const { reader } = this;
    reader.bytes = this.bytes;
    reader.offset = this.propertiesStart;
    reader.end = this.payloadEnd;
    return decodeProperties(reader, PacketType.publish);
  }

  /**
   * Points at the body `bytes[start, end)` of a PUBLISH from a server.
   *
   * @param aliases of this connection; null where we allow none
   * @throws ProtocolError 0x81 malformed, 0x82 a property or alias that breaks the rules, 0x94 an alias out of range
   */
  decode(
    firstByte: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    version: number,
    aliases: IncomingAliases | null,
  ): void {
    const { view } = this;
    view.decode(firstByte, bytes, start, end, version);
    this.dup = view.dup;
    this.qos = view.qos;
    this.retain = view.retain;
    this.packetId = view.packetId;
    this.bytes = bytes;
    this.payloadStart = view.payloadStart;
    this.payloadEnd = view.payloadEnd;
    this.topicBytes = bytes;
    this.topicStart = view.topicStart;
    this.topicEnd = view.topicEnd;
    this.propertiesStart = version === ProtocolVersion.v5 ? view.topicEnd + (view.qos === 0 ? 0 : 2) : -1;
    if (view.topicStart !== view.topicEnd) {
      if (
        !isValidTopicNameBytes(bytes, view.topicStart, view.topicEnd) ||
        !isValidUtf8(bytes, view.topicStart, view.topicEnd)
      ) {
        throw new ProtocolError(
          ReasonCode.malformedPacket,
          'topic name is not valid UTF-8, holds a wildcard or has too many levels',
          'v5 [MQTT-3.3.2-2]',
        );
      }
      if (view.topicAlias >= 0)
        this.requireAliases(aliases).set(view.topicAlias, bytes, view.topicStart, view.topicEnd);
      return;
    }
    if (view.topicAlias < 0) {
      throw new ProtocolError(ReasonCode.protocolError, 'no topic name and no topic alias', 'v5 section 3.3.2.1');
    }
    this.topicBytes = this.requireAliases(aliases).get(view.topicAlias);
    this.topicStart = 0;
    this.topicEnd = this.topicBytes.length;
  }

  private requireAliases(aliases: IncomingAliases | null): IncomingAliases {
    if (aliases !== null) return aliases;
    throw new ProtocolError(ReasonCode.topicAliasInvalid, 'topic alias, and we allow none', 'v5 [MQTT-3.1.2-26]');
  }
}
