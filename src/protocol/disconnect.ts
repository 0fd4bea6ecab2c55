import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { PacketType, ProtocolVersion } from './packet-type.ts';
import { decodeProperties, encodeProperties, type Properties } from './properties.ts';
import { ProtocolError } from './protocol-error.ts';
import { ReasonCode } from './reason-code.ts';

export interface DisconnectPacket {
  type: typeof PacketType.disconnect;
  reasonCode: number;
  properties: Properties | null;
}

export interface AuthPacket {
  type: typeof PacketType.auth;
  reasonCode: number;
  properties: Properties | null;
}

/** Which side sent a packet: some reason codes belong to one side only. */
export type Sender = 'client' | 'server';

/** v5 table 3-10: what a client may send; a server may send the rest too, but not 0x04. */
const clientDisconnectCodes = new Set([
  0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
]);
const serverDisconnectCodes = new Set([
  0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
  0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
]);
/** v5 table 3-11: only a server succeeds, only a client starts again. */
const clientAuthCodes = new Set<number>([ReasonCode.continueAuthentication, ReasonCode.reAuthenticate]);
const serverAuthCodes = new Set<number>([ReasonCode.success, ReasonCode.continueAuthentication]);

function reservedCode(reasonCode: number, clause: string): ProtocolError {
  return new ProtocolError(
    ReasonCode.protocolError,
    `reason code 0x${reasonCode.toString(16)} does not belong in this packet`,
    clause,
  );
}

/** @throws ProtocolError 0x81 malformed; 0x82 for a reason code or a property that is not this side's to send */
export function decodeDisconnect(
  bytes: Uint8Array,
  start: number,
  end: number,
  version: number,
  sender: Sender,
): DisconnectPacket {
  const reader = new ByteReader(bytes, start, end);
  if (version !== ProtocolVersion.v5) reader.expectEnd();
  let reasonCode: number = ReasonCode.normalDisconnection;
  let properties: Properties | null = null;
  if (reader.remaining > 0) {
    reasonCode = reader.u8();
    if (!(sender === 'client' ? clientDisconnectCodes : serverDisconnectCodes).has(reasonCode)) {
      throw reservedCode(reasonCode, 'v5 [MQTT-3.14.2-1]');
    }
    if (reader.remaining > 0) properties = decodeProperties(reader, PacketType.disconnect);
  }
  reader.expectEnd();
  if (sender === 'server' && properties?.sessionExpiryInterval !== undefined) {
    throw new ProtocolError(ReasonCode.protocolError, 'server sent a session expiry interval', 'v5 [MQTT-3.14.2-2]');
  }
  return { type: PacketType.disconnect, reasonCode, properties };
}

export function encodeDisconnect(writer: ByteWriter, packet: DisconnectPacket, version: number): void {
  writer.beginPacket(PacketType.disconnect << 4);
  if (version === ProtocolVersion.v5 && (packet.reasonCode !== 0 || packet.properties !== null)) {
    writer.u8(packet.reasonCode);
    if (packet.properties !== null) encodeProperties(writer, packet.properties, PacketType.disconnect);
  }
  writer.endPacket();
}

/**
 * An AUTH without a body is a success without properties, which only a server may send.
 *
 * @throws ProtocolError 0x81 malformed; 0x82 for a reason code that is not this side's to send or a missing
 *   Authentication Method
 */
export function decodeAuth(bytes: Uint8Array, start: number, end: number, sender: Sender): AuthPacket {
  const reader = new ByteReader(bytes, start, end);
  const isEmpty = start === end;
  const reasonCode = isEmpty ? ReasonCode.success : reader.u8();
  if (!(sender === 'client' ? clientAuthCodes : serverAuthCodes).has(reasonCode)) {
    throw reservedCode(reasonCode, 'v5 [MQTT-3.15.2-1]');
  }
  const properties = isEmpty ? null : decodeProperties(reader, PacketType.auth);
  reader.expectEnd();
  if (!isEmpty && properties?.authenticationMethod === undefined) {
    throw new ProtocolError(ReasonCode.protocolError, 'AUTH without a method', 'v5 section 3.15.2.2.2');
  }
  return { type: PacketType.auth, reasonCode, properties };
}

export function encodeAuth(writer: ByteWriter, packet: AuthPacket): void {
  writer.beginPacket(PacketType.auth << 4);
  if (packet.reasonCode !== 0 || packet.properties !== null) {
    writer.u8(packet.reasonCode);
    encodeProperties(writer, packet.properties, PacketType.auth);
  }
  writer.endPacket();
}
