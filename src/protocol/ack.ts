// PUBACK, PUBREC, PUBREL and PUBCOMP share one layout (v5 sections 3.4 to 3.7). `writeShortAck` is on the hot path;
// benchmark: bench/broker (q1-100pairs).
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { PacketType, ProtocolVersion } from './packet-type.ts';
import { decodeProperties, encodeProperties, type Properties } from './properties.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';

export type AckType =
  typeof PacketType.puback | typeof PacketType.pubrec | typeof PacketType.pubrel | typeof PacketType.pubcomp;

export interface AckPacket {
  type: AckType;
  packetId: number;
  reasonCode: number;
  properties: Properties | null;
}

/** First byte of an acknowledgement: PUBREL alone has flags 0010 (v5 [MQTT-3.6.1-1]). */
export function ackFirstByte(type: AckType): number {
  return (type << 4) | (type === PacketType.pubrel ? 2 : 0);
}

const codes: Record<AckType, ReadonlySet<number>> = {
  [PacketType.puback]: new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  [PacketType.pubrec]: new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  [PacketType.pubrel]: new Set([0, 0x92]),
  [PacketType.pubcomp]: new Set([0, 0x92]),
};

/** @throws ProtocolError 0x81 for a bad length; 0x82 for packet id 0 or a reason code not listed (v5 [MQTT-3.4.2-1]) */
export function decodeAck(type: AckType, bytes: Uint8Array, start: number, end: number, version: number): AckPacket {
  const reader = new ByteReader(bytes, start, end);
  const packetId = reader.u16();
  if (packetId === 0) {
    throw new ProtocolError(ReasonCode.protocolError, 'acknowledgement of packet identifier 0', 'v5 [MQTT-2.2.1-5]');
  }
  let reasonCode = 0;
  let properties: Properties | null = null;
  if (version === ProtocolVersion.v5 && reader.remaining > 0) {
    reasonCode = reader.u8();
    if (!codes[type].has(reasonCode)) {
      throw new ProtocolError(
        ReasonCode.protocolError,
        `reason code 0x${reasonCode.toString(16)} does not belong in this acknowledgement`,
        'v5 section 3.4.2.1',
      );
    }
    if (reader.remaining > 0) properties = decodeProperties(reader, type);
  }
  reader.expectEnd();
  return { type, packetId, reasonCode, properties };
}

/** Reason Code 0 without properties is left out (v5 section 3.4.2.1). */
export function encodeAck(writer: ByteWriter, packet: AckPacket, version: number): void {
  writer.beginPacket(ackFirstByte(packet.type));
  writer.u16(packet.packetId);
  if (version === ProtocolVersion.v5 && (packet.reasonCode !== 0 || packet.properties !== null)) {
    writer.u8(packet.reasonCode);
    if (packet.properties !== null) encodeProperties(writer, packet.properties, packet.type);
  }
  writer.endPacket();
}

/** Writes the four bytes of an acknowledgement without reason code; returns the offset behind them. */
export function writeShortAck(out: Uint8Array, offset: number, firstByte: number, packetId: number): number {
  out[offset] = firstByte;
  out[offset + 1] = 2;
  out[offset + 2] = packetId >>> 8;
  out[offset + 3] = packetId;
  return offset + 4;
}
