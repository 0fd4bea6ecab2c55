/** Control packet types, the high nibble of the first byte (v5 section 2.1.2, v3.1.1 section 2.2.1). */
export const PacketType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

const names = [
  'reserved',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'PINGREQ',
  'PINGRESP',
  'DISCONNECT',
  'AUTH',
] as const;

/** The standard's name of a packet type nibble, for logs. */
export function packetTypeName(type: number): string {
  return names[type & 15] ?? 'reserved';
}

/** Protocol Level byte of CONNECT; also how the rest of the code names a protocol version. */
export const ProtocolVersion = { v31: 3, v311: 4, v5: 5 } as const;
export type ProtocolVersion = (typeof ProtocolVersion)[keyof typeof ProtocolVersion];

export const QoS = { atMostOnce: 0, atLeastOnce: 1, exactlyOnce: 2 } as const;
export type QoS = (typeof QoS)[keyof typeof QoS];

/** The largest Remaining Length four bytes can hold (v5 section 1.5.5). */
export const MAX_REMAINING_LENGTH = 268_435_455;
