import type { PacketType, ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import type { SimMessage } from './model.ts';

export interface ClientTraits {
  readonly clientId: string;
  readonly version: ProtocolVersion;
  /** Seconds the session outlives its connections; before MQTT 5 it is 0 or never. */
  readonly expiry: number;
  /** Receive Maximum; 0: none is sent. */
  readonly receiveMaximum: number;
  /** Maximum Packet Size; 0: none is sent. */
  readonly maximumPacketSize: number;
  /** Name of the share group it joins. */
  readonly group: string;
}

/** A message the client published and did not hear the last of. */
export interface Outgoing {
  readonly message: SimMessage;
  readonly packetId: number;
  isSent: boolean;
  isReleased: boolean;
}

/** What the client owes the broker. */
export type Answer =
  | { type: typeof PacketType.puback; packetId: number }
  | { type: typeof PacketType.pubrec; packetId: number }
  | { type: typeof PacketType.pubrel; packetId: number }
  | { type: typeof PacketType.pubcomp; packetId: number };

/** What is known of the client's session in the broker. */
export type SessionFate = 'none' | 'there' | 'unsure';
