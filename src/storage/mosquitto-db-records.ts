import type { DbId } from './mosquitto-db-columns.ts';

/** Where a client message stands, as Mosquitto numbers it. */
export const MosquittoState = {
  invalid: 0,
  publishQos0: 1,
  publishQos1: 2,
  waitForPuback: 3,
  publishQos2: 4,
  waitForPubrec: 5,
  resendPubrel: 6,
  waitForPubrel: 7,
  resendPubcomp: 8,
  waitForPubcomp: 9,
  sendPubrec: 10,
  queued: 11,
} as const;
export type MosquittoState = (typeof MosquittoState)[keyof typeof MosquittoState];

/** A text: null where it is not one that MQTT allows. */
export type DbText = string | null;

/** Times are seconds since 1970. */
export interface MosquittoMessage {
  /** Where its chunk begins, here and below. */
  readonly offset: number;
  readonly id: DbId;
  /** 0: never. */
  readonly expiryTime: number;
  readonly sourceId: DbText;
  readonly topicName: DbText;
  /** Bytes in UTF-8. */
  readonly topicLength: number;
  readonly qos: number;
  readonly retain: boolean;
  readonly payloadLength: number;
  /** Null where the visitor did not want it. */
  readonly payload: Uint8Array | null;
  /** With their length in front; empty: none. */
  readonly properties: Uint8Array;
}

export interface MosquittoClient {
  readonly offset: number;
  readonly clientId: DbText;
  /** 0: not set. */
  readonly expiryTime: number;
  /** Seconds, 0xffffffff: never, which is what formats 2 to 4 mean. */
  readonly expiryInterval: number;
  /** 0: not known. */
  readonly disconnectTime: number;
  readonly lastPacketId: number;
  readonly username: DbText;
  /** 0: not known. */
  readonly listenerPort: number;
}

export interface MosquittoClientMessage {
  readonly offset: number;
  readonly clientId: DbText;
  readonly messageId: DbId;
  readonly packetId: number;
  readonly qos: number;
  /** One of `MosquittoState`, in an undamaged file. */
  readonly state: number;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly isOutgoing: boolean;
  /** With their length in front; empty: none. */
  readonly properties: Uint8Array;
}

export interface MosquittoSubscription {
  readonly offset: number;
  readonly clientId: DbText;
  readonly filterText: DbText;
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0: none. */
  readonly identifier: number;
}

/** Takes the records of a file, in its order: messages before the clients that have them. */
export interface MosquittoDbVisitor {
  /** Whether `message` is to get the payload of this one. */
  wantsPayload(id: DbId): boolean;
  message(message: MosquittoMessage): void;
  client(client: MosquittoClient): void;
  clientMessage(message: MosquittoClientMessage): void;
  subscription(subscription: MosquittoSubscription): void;
  retained(messageId: DbId, offset: number): void;
  /** A chunk of a type that is not known, which is skipped, as Mosquitto does. */
  unknown(type: number, length: number, offset: number): void;
}
