import type { Sender } from '../../../src/protocol/disconnect.ts';
import { ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import type { Packet } from '../../../src/protocol/packet.ts';

/** One packet as bytes and as an object. */
export interface Fixture {
  readonly name: string;
  readonly version: ProtocolVersion;
  readonly sender: Sender;
  /** As `fromHex` reads it. */
  readonly hex: string;
  readonly packet: Packet;
  /** What the encoder writes for `packet` where it is not `hex`. */
  readonly canonical?: string;
}

/** Bytes that break one rule. */
export interface MalformedCase {
  /** Version, clause, what is refused: `v5 [MQTT-3.1.2-3] refuses ...`. */
  readonly name: string;
  /** 0 for CONNECT, which tells its own. */
  readonly version: ProtocolVersion | 0;
  readonly sender: Sender;
  readonly hex: string;
  /** What the decoder must answer. */
  readonly reasonCode: number;
}

export const allVersions = [ProtocolVersion.v31, ProtocolVersion.v311, ProtocolVersion.v5] as const;
export const oldVersions = [ProtocolVersion.v31, ProtocolVersion.v311] as const;
export const versionNames = { 3: 'v3.1', 4: 'v3.1.1', 5: 'v5' } as const;

/** A byte as two hex digits. */
export function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0');
}

const encoder = new TextEncoder();

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}
