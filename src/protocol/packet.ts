import { type AckPacket, decodeAck, encodeAck } from './ack.ts';
import { ByteWriter } from './byte-writer.ts';
import { type ConnackPacket, decodeConnack, encodeConnack } from './connack.ts';
import { type ConnectPacket, decodeConnect, encodeConnect, peekConnectVersion } from './connect.ts';
import {
  type AuthPacket,
  decodeAuth,
  decodeDisconnect,
  type DisconnectPacket,
  encodeAuth,
  encodeDisconnect,
  type Sender,
} from './disconnect.ts';
import { packetTypeName, PacketType, ProtocolVersion } from './packet-type.ts';
import { ProtocolError } from './protocol-error.ts';
import { decodePublish, encodePublish, type PublishPacket } from './publish.ts';
import { ReasonCode } from './reason-code.ts';
import {
  decodeSuback,
  decodeUnsuback,
  encodeSuback,
  encodeUnsuback,
  type SubackPacket,
  type UnsubackPacket,
} from './suback.ts';
import {
  decodeSubscribe,
  decodeUnsubscribe,
  encodeSubscribe,
  encodeUnsubscribe,
  type SubscribePacket,
  type UnsubscribePacket,
} from './subscribe.ts';

export interface PingreqPacket {
  type: typeof PacketType.pingreq;
}
export interface PingrespPacket {
  type: typeof PacketType.pingresp;
}

export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingreqPacket
  | PingrespPacket
  | DisconnectPacket
  | AuthPacket;

/**
 * Checks the flags of a fixed header (v5 [MQTT-2.1.3-1], v3.1.1 [MQTT-2.2.2-1]); those of PUBLISH are its own. MQTT 3.1
 * says of most flags that they are not used; like Mosquitto we look at none of them there.
 *
 * @param version of the connection; for CONNECT, of the packet
 * @throws ProtocolError 0x81
 */
export function checkFirstByte(firstByte: number, version: number): void {
  const type = firstByte >> 4;
  const flags = firstByte & 15;
  if (type === PacketType.publish) return;
  if (type === 0 || (type === PacketType.auth && version !== ProtocolVersion.v5)) {
    throw new ProtocolError(ReasonCode.malformedPacket, `packet type ${type} is reserved`, 'v5 section 2.1.2');
  }
  if (version === ProtocolVersion.v31) return;
  const expected =
    type === PacketType.pubrel || type === PacketType.subscribe || type === PacketType.unsubscribe ? 2 : 0;
  if (flags === expected) return;
  throw new ProtocolError(
    ReasonCode.malformedPacket,
    `flags ${flags} of ${packetTypeName(type)} are reserved`,
    'v5 [MQTT-2.1.3-1]',
  );
}

/** Bits of the packet types that only one side sends (v5 table 2-1). */
const sentByClient =
  (1 << PacketType.connect) | (1 << PacketType.subscribe) | (1 << PacketType.unsubscribe) | (1 << PacketType.pingreq);
const sentByServer =
  (1 << PacketType.connack) | (1 << PacketType.suback) | (1 << PacketType.unsuback) | (1 << PacketType.pingresp);

/**
 * Decodes one whole packet body into memory of its own.
 *
 * @param version 0 where only CONNECT can come
 * @param sender the side the bytes come from
 * @throws ProtocolError, 0x82 too for a packet that this side does not send
 */
export function decodePacket(
  firstByte: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  version: number,
  sender: Sender,
): Packet {
  const type = (firstByte >> 4) as PacketType;
  if (type === PacketType.connect && (firstByte & 15) !== 0) {
    checkFirstByte(firstByte, peekConnectVersion(bytes, start, end) ?? version);
  } else checkFirstByte(firstByte, version);
  if ((((sender === 'client' ? sentByServer : sentByClient) >> type) & 1) !== 0) {
    throw new ProtocolError(
      ReasonCode.protocolError,
      `${packetTypeName(type)} from the wrong side`,
      'v5 section 2.1.2',
    );
  }
  switch (type) {
    case PacketType.connect:
      return decodeConnect(bytes, start, end);
    case PacketType.connack:
      return decodeConnack(bytes, start, end, version);
    case PacketType.publish:
      return decodePublish(firstByte, bytes, start, end, version, sender);
    case PacketType.puback:
    case PacketType.pubrec:
    case PacketType.pubrel:
    case PacketType.pubcomp:
      return decodeAck(type, bytes, start, end, version);
    case PacketType.subscribe:
      return decodeSubscribe(bytes, start, end, version);
    case PacketType.suback:
      return decodeSuback(bytes, start, end, version);
    case PacketType.unsubscribe:
      return decodeUnsubscribe(bytes, start, end, version);
    case PacketType.unsuback:
      return decodeUnsuback(bytes, start, end, version);
    case PacketType.pingreq:
    case PacketType.pingresp:
      if (start !== end) {
        throw new ProtocolError(ReasonCode.malformedPacket, `${packetTypeName(type)} has a body`, 'v5 section 3.12');
      }
      return { type };
    case PacketType.disconnect:
      return decodeDisconnect(bytes, start, end, version, sender);
    case PacketType.auth:
      return decodeAuth(bytes, start, end, sender);
  }
}

/** Encodes one packet into `writer`: the frame is `writer.bytes[writer.packetStart, writer.offset)`. */
export function writePacket(writer: ByteWriter, packet: Packet, version: number): void {
  switch (packet.type) {
    case PacketType.connect:
      return encodeConnect(writer, packet);
    case PacketType.connack:
      return encodeConnack(writer, packet, version);
    case PacketType.publish:
      return encodePublish(writer, packet, version);
    case PacketType.puback:
    case PacketType.pubrec:
    case PacketType.pubrel:
    case PacketType.pubcomp:
      return encodeAck(writer, packet, version);
    case PacketType.subscribe:
      return encodeSubscribe(writer, packet, version);
    case PacketType.suback:
      return encodeSuback(writer, packet, version);
    case PacketType.unsubscribe:
      return encodeUnsubscribe(writer, packet, version);
    case PacketType.unsuback:
      return encodeUnsuback(writer, packet, version);
    case PacketType.pingreq:
    case PacketType.pingresp:
      writer.beginPacket(packet.type << 4);
      return writer.endPacket();
    case PacketType.disconnect:
      return encodeDisconnect(writer, packet, version);
    case PacketType.auth:
      return encodeAuth(writer, packet);
  }
}

/** One packet as bytes of its own. */
export function encodePacket(packet: Packet, version: number): Uint8Array {
  const writer = new ByteWriter();
  writePacket(writer, packet, version);
  return writer.packet();
}
