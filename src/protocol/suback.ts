import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { PacketType, ProtocolVersion } from './packet-type.ts';
import { decodeProperties, encodeProperties, type Properties } from './properties.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';

export interface SubackPacket {
  type: typeof PacketType.suback;
  packetId: number;
  properties: Properties | null;
  /** One for each topic filter, in the order of the SUBSCRIBE (v5 [MQTT-3.9.3-1]). */
  reasonCodes: number[];
}

export interface UnsubackPacket {
  type: typeof PacketType.unsuback;
  packetId: number;
  properties: Properties | null;
  /** One for each topic filter (v5 [MQTT-3.11.3-1]); empty before MQTT 5, whose UNSUBACK has no payload. */
  reasonCodes: number[];
}

const oldSubackCodes = new Set([0, 1, 2, 0x80]);
const subackCodes = new Set([0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]);
const unsubackCodes = new Set([0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]);

function readPacketId(reader: ByteReader): number {
  const packetId = reader.u16();
  if (packetId === 0) {
    throw new ProtocolError(ReasonCode.protocolError, 'acknowledgement of packet identifier 0', 'v5 [MQTT-2.2.1-6]');
  }
  return packetId;
}

function readCodes(reader: ByteReader, allowed: ReadonlySet<number>): number[] {
  const reasonCodes: number[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    if (!allowed.has(code)) {
      throw new ProtocolError(
        ReasonCode.protocolError,
        `reason code 0x${code.toString(16)} does not belong in this packet`,
        'v5 [MQTT-3.9.3-2]',
      );
    }
    reasonCodes.push(code);
  }
  if (reasonCodes.length === 0) {
    throw new ProtocolError(ReasonCode.protocolError, 'acknowledgement without a reason code', 'v5 [MQTT-3.8.4-6]');
  }
  return reasonCodes;
}

/** @throws ProtocolError 0x81 malformed; 0x82 for packet identifier 0, a reason code not listed, or none */
export function decodeSuback(bytes: Uint8Array, start: number, end: number, version: number): SubackPacket {
  const reader = new ByteReader(bytes, start, end);
  const packetId = readPacketId(reader);
  const isV5 = version === ProtocolVersion.v5;
  const properties = isV5 ? decodeProperties(reader, PacketType.suback) : null;
  const reasonCodes = readCodes(reader, isV5 ? subackCodes : oldSubackCodes);
  return { type: PacketType.suback, packetId, properties, reasonCodes };
}

export function encodeSuback(writer: ByteWriter, packet: SubackPacket, version: number): void {
  writer.beginPacket(PacketType.suback << 4);
  writer.u16(packet.packetId);
  if (version === ProtocolVersion.v5) encodeProperties(writer, packet.properties, PacketType.suback);
  for (const code of packet.reasonCodes) writer.u8(code);
  writer.endPacket();
}

/** @throws ProtocolError as `decodeSuback` */
export function decodeUnsuback(bytes: Uint8Array, start: number, end: number, version: number): UnsubackPacket {
  const reader = new ByteReader(bytes, start, end);
  const packetId = readPacketId(reader);
  if (version !== ProtocolVersion.v5) {
    reader.expectEnd();
    return { type: PacketType.unsuback, packetId, properties: null, reasonCodes: [] };
  }
  const properties = decodeProperties(reader, PacketType.unsuback);
  return { type: PacketType.unsuback, packetId, properties, reasonCodes: readCodes(reader, unsubackCodes) };
}

export function encodeUnsuback(writer: ByteWriter, packet: UnsubackPacket, version: number): void {
  writer.beginPacket(PacketType.unsuback << 4);
  writer.u16(packet.packetId);
  if (version === ProtocolVersion.v5) {
    encodeProperties(writer, packet.properties, PacketType.unsuback);
    for (const code of packet.reasonCodes) writer.u8(code);
  }
  writer.endPacket();
}
