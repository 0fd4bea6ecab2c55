import type { ConnackPacket } from '../protocol/connack.ts';
import type { AuthPacket } from '../protocol/disconnect.ts';
import type { Packet } from '../protocol/packet.ts';
import type { Properties } from '../protocol/properties.ts';
import type { SubackPacket, UnsubackPacket } from '../protocol/suback.ts';
import type { IncomingMessage } from './incoming-message.ts';
import type { MqttClient } from './mqtt-client.ts';
import type { OutgoingMessage } from './outgoing-message.ts';

/** Why a connection, or the attempt at one, ended. */
export const CloseKind = {
  /** `disconnect` was called. */
  requested: 'requested',
  /** CONNACK with a reason code other than 0; it closes an attempt. */
  refused: 'refused',
  /** DISCONNECT from an MQTT 5 server. */
  serverDisconnect: 'server-disconnect',
  /** The server broke the protocol. */
  protocolError: 'protocol-error',
  /** A PINGREQ stayed without answer. */
  keepAliveTimeout: 'keep-alive-timeout',
  /** No CONNACK in time. */
  connectTimeout: 'connect-timeout',
  /** The byte stream could not be opened, broke, or was closed by the server without a word. */
  transport: 'transport',
} as const;
export type CloseKind = (typeof CloseKind)[keyof typeof CloseKind];

export interface CloseCause {
  readonly kind: CloseKind;
  /** From the server's CONNACK or DISCONNECT, or what we sent; in MQTT 3 CONNACK a `ConnectReturnCode`. */
  readonly reasonCode: number;
  readonly properties: Properties | null;
  /** A `ProtocolError` or `TransportError`; null where the other side closed in good order. */
  readonly error: Error | null;
  /** CONNACK with reason code 0 had come. */
  readonly wasConnected: boolean;
}

/** What `onMessage` returns to acknowledge a QoS 1 or 2 message; so does any reason code of PUBACK and PUBREC. */
export const ACKNOWLEDGE = 0;
/** What `onMessage` returns to acknowledge later, by `acknowledge`. */
export const ACKNOWLEDGE_LATER = -1;

/**
 * What happens to clients. One object serves many, so each call names its client. A handler may call any method of
 * the client. `{ ...ignoreAll, onMessage }` handles only some.
 */
export interface ClientHandlers {
  /** CONNACK with reason code 0; messages of a resumed session have been sent again before. */
  onConnected(client: MqttClient, connack: ConnackPacket): void;
  /** Once for every `open`. The session stays in the client for the next `open`. */
  onClosed(client: MqttClient, cause: CloseCause): void;
  /**
   * A message to us, before it is acknowledged; a QoS 2 message comes once.
   *
   * @returns `ACKNOWLEDGE`, `ACKNOWLEDGE_LATER` or, in MQTT 5, a reason code to refuse it with
   */
  onMessage(client: MqttClient, message: IncomingMessage): number;
  /**
   * A QoS 1 or 2 message of ours is finished.
   *
   * @param reasonCode below 0x80 it was delivered; 0x10: to nobody. Else the server's refusal, or ours of a message
   *   that turned out to be beyond the server's limits when its turn came
   */
  onPublished(client: MqttClient, message: OutgoingMessage, reasonCode: number, properties: Properties | null): void;
  /** `suback` is null where the connection ended before it. */
  onSubscribed(client: MqttClient, packetId: number, suback: SubackPacket | null): void;
  /** `unsuback` is null where the connection ended before it. */
  onUnsubscribed(client: MqttClient, packetId: number, unsuback: UnsubackPacket | null): void;
  /** The next step of enhanced authentication: answer with `authenticate` (v5 section 4.12). */
  onAuth(client: MqttClient, packet: AuthPacket): void;
  /** What was written has left, after the network had been slow. */
  onDrain(client: MqttClient): void;
}

const ignore = () => {};

export const ignoreAll: ClientHandlers = {
  onConnected: ignore,
  onClosed: ignore,
  onMessage: () => ACKNOWLEDGE,
  onPublished: ignore,
  onSubscribed: ignore,
  onUnsubscribed: ignore,
  onAuth: ignore,
  onDrain: ignore,
};

/** Sees every packet, for debug output. */
export interface ClientTrace {
  sent(client: MqttClient, packet: Packet): void;
  sentPublish(client: MqttClient, message: OutgoingMessage): void;
  received(client: MqttClient, packet: Packet): void;
  receivedPublish(client: MqttClient, message: IncomingMessage): void;
}
