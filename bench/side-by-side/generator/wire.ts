/**
 * The few MQTT 3.1.1 packets that the load generator sends, built by hand so that measuring one broker's codec never
 * runs that same codec on the other side. Nothing here validates: the generator only says what it was written to say.
 */

export const PacketType = { connack: 2, publish: 3, puback: 4, suback: 9 } as const;

export const disconnectPacket = new Uint8Array([0xe0, 0x00]);

/** Bytes in front of the payload of a PUBLISH: fixed header excluded. Two more for a packet id at QoS 1. */
export function variableHeaderBytes(topicName: string, qos: 0 | 1): number {
  return 2 + topicName.length + (qos === 0 ? 0 : 2);
}

function framed(firstByte: number, body: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push(rest >= 128 ? (rest & 127) | 128 : rest);
    rest >>>= 7;
  } while (rest > 0);
  const packet = new Uint8Array(1 + length.length + body.length);
  packet[0] = firstByte;
  packet.set(length, 1);
  packet.set(body, 1 + length.length);
  return packet;
}

/** ASCII only: every name the generator makes is ASCII. */
function writeText(target: Uint8Array, offset: number, text: string): number {
  target[offset] = text.length >> 8;
  target[offset + 1] = text.length & 255;
  for (let i = 0; i < text.length; i++) target[offset + 2 + i] = text.charCodeAt(i);
  return offset + 2 + text.length;
}

/** CONNECT, level 4, clean session, no will and no credentials. */
export function connectPacket(clientId: string, keepAliveSeconds: number): Uint8Array {
  const body = new Uint8Array(12 + clientId.length);
  let offset = writeText(body, 0, 'MQTT');
  body[offset++] = 4;
  body[offset++] = 0x02;
  body[offset++] = keepAliveSeconds >> 8;
  body[offset++] = keepAliveSeconds & 255;
  writeText(body, offset, clientId);
  return framed(0x10, body);
}

export function subscribePacket(packetId: number, topicFilter: string, qos: 0 | 1): Uint8Array {
  const body = new Uint8Array(5 + topicFilter.length);
  body[0] = packetId >> 8;
  body[1] = packetId & 255;
  const offset = writeText(body, 2, topicFilter);
  body[offset] = qos;
  return framed(0x82, body);
}

/** A PUBLISH with a payload of `payloadBytes` zeros; the packet id (QoS 1) is written by `setPacketId`. */
export function publishPacket(topicName: string, payloadBytes: number, qos: 0 | 1): Uint8Array {
  const body = new Uint8Array(variableHeaderBytes(topicName, qos) + payloadBytes);
  writeText(body, 0, topicName);
  return framed(qos === 0 ? 0x30 : 0x32, body);
}

/** `frameOffset`: where the frame starts in `bytes`; `bodyOffset`: its fixed header's length. */
export function setPacketId(
  bytes: Uint8Array,
  frameOffset: number,
  fixedHeaderBytes: number,
  topicName: string,
  packetId: number,
): void {
  const at = frameOffset + fixedHeaderBytes + 2 + topicName.length;
  bytes[at] = packetId >> 8;
  bytes[at + 1] = packetId & 255;
}

/** Length of the fixed header of the packet that starts `bytes`. */
export function fixedHeaderBytes(bytes: Uint8Array): number {
  let at = 1;
  while (((bytes[at] ?? 0) & 128) !== 0) at++;
  return at + 1;
}

/** Microseconds, 32 bits, big endian: 71 minutes before it wraps, far more than a phase. */
export function writeStamp(bytes: Uint8Array, offset: number, microseconds: number): void {
  bytes[offset] = (microseconds >>> 24) & 255;
  bytes[offset + 1] = (microseconds >>> 16) & 255;
  bytes[offset + 2] = (microseconds >>> 8) & 255;
  bytes[offset + 3] = microseconds & 255;
}

export function readStamp(bytes: Uint8Array, offset: number): number {
  return (
    (((bytes[offset] ?? 0) << 24) |
      ((bytes[offset + 1] ?? 0) << 16) |
      ((bytes[offset + 2] ?? 0) << 8) |
      (bytes[offset + 3] ?? 0)) >>>
    0
  );
}
