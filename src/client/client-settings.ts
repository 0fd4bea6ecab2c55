import type { WillMessage } from '../protocol/connect.ts';
import { MAX_REMAINING_LENGTH, ProtocolVersion } from '../protocol/packet-type.ts';
import type { Properties } from '../protocol/properties.ts';

/** What CONNECT says and how the client behaves; one object may serve many clients. */
export interface ClientSettings {
  readonly protocolVersion: ProtocolVersion;
  /** Sets the bit by which Mosquitto tells bridges (MQTT 3.1 and 3.1.1). */
  readonly bridge: boolean;
  /**
   * For the first connection. In MQTT 5 later ones resume the session where it outlives its connection; in MQTT 3
   * this is Clean Session, which holds for every connection.
   */
  readonly cleanStart: boolean;
  /** Seconds; 0 is off. The server may set another (v5 section 3.2.2.3.14). */
  readonly keepAlive: number;
  readonly username: string | null;
  readonly password: Uint8Array | null;
  readonly will: WillMessage | null;
  /**
   * Of CONNECT, MQTT 5 only. What it promises to the server is held to: `receiveMaximum`, `maximumPacketSize`,
   * `topicAliasMaximum`.
   */
  readonly properties: Properties | null;
  /**
   * Most QoS 1 and 2 publishes on their way; a smaller Receive Maximum of the server wins. Null: 65,535 in MQTT 5, and 20
   * before, where servers have a limit and cannot tell: Mosquitto ends connections that have more.
   */
  readonly maximumInFlight: number | null;
  /** Publishes waiting for the window or a connection; one more is refused with 0x97. */
  readonly maximumQueuedMessages: number;
  /** Topic and payload bytes of those. */
  readonly maximumQueuedBytes: number;
  /** Replace topics by aliases as far as the server takes them (v5 section 3.3.2.3.4). */
  readonly assignTopicAliases: boolean;
  /** From `open` to CONNACK; 0 waits forever. */
  readonly connectTimeoutMs: number;
  /** How long a PINGREQ may stay without any answer; 0 means as long as Keep Alive. */
  readonly pingTimeoutMs: number;
}

export const defaultClientSettings: ClientSettings = {
  protocolVersion: ProtocolVersion.v5,
  bridge: false,
  cleanStart: true,
  keepAlive: 60,
  username: null,
  password: null,
  will: null,
  properties: null,
  maximumInFlight: null,
  maximumQueuedMessages: 10_000,
  maximumQueuedBytes: 64 * 1024 * 1024,
  assignTopicAliases: false,
  connectTimeoutMs: 30_000,
  pingTimeoutMs: 0,
};

/** Bytes of the largest packet there is: header byte, four length bytes, body. */
export const LARGEST_PACKET = MAX_REMAINING_LENGTH + 5;

/** Most QoS 1 and 2 publishes on their way, whatever more the server takes. */
export function maximumInFlight(settings: ClientSettings): number {
  return settings.maximumInFlight ?? (settings.protocolVersion === ProtocolVersion.v5 ? 65_535 : 20);
}

/** Whether the session outlives its connection, from what we asked for and, in MQTT 5, what the server made of it. */
export function sessionOutlivesConnection(settings: ClientSettings, serverExpiry: number | undefined): boolean {
  if (settings.protocolVersion !== ProtocolVersion.v5) return !settings.cleanStart;
  return (serverExpiry ?? settings.properties?.sessionExpiryInterval ?? 0) > 0;
}
