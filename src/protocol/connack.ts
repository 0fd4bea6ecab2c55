import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { PacketType, ProtocolVersion } from './packet-type.ts';
import { decodeProperties, encodeProperties, type Properties } from './properties.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';

export interface ConnackPacket {
  type: typeof PacketType.connack;
  sessionPresent: boolean;
  /** A `ReasonCode` in MQTT 5, a `ConnectReturnCode` before. */
  reasonCode: number;
  properties: Properties | null;
}

export function decodeConnack(bytes: Uint8Array, start: number, end: number, version: number): ConnackPacket {
  const reader = new ByteReader(bytes, start, end);
  const flags = reader.u8();
  if ((flags & 0xfe) !== 0) {
    throw new ProtocolError(ReasonCode.malformedPacket, 'reserved CONNACK flags are set', 'v5 [MQTT-3.2.2-1]');
  }
  const reasonCode = reader.u8();
  const properties = version === ProtocolVersion.v5 ? decodeProperties(reader, PacketType.connack) : null;
  reader.expectEnd();
  return { type: PacketType.connack, sessionPresent: flags === 1, reasonCode, properties };
}

export function encodeConnack(writer: ByteWriter, packet: ConnackPacket, version: number): void {
  writer.beginPacket(PacketType.connack << 4);
  writer.u8(packet.sessionPresent ? 1 : 0);
  writer.u8(packet.reasonCode);
  if (version === ProtocolVersion.v5) encodeProperties(writer, packet.properties, PacketType.connack);
  writer.endPacket();
}
