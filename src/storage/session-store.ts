import type { QoS } from '../protocol/packet-type.ts';
import type { StoreBatch } from './store-batch.ts';

/** A message as it is stored: once, however many sessions wait for it. Times are wall clock milliseconds. */
export interface StoredMessage {
  readonly topicName: string;
  readonly payload: Uint8Array;
  /** Raw MQTT 5 properties that are handed on, without their length field. */
  readonly properties: Uint8Array;
  readonly qos: QoS;
  /** RETAIN as published. */
  readonly retain: boolean;
  /** 0: never. */
  readonly expiresAtMs: number;
  readonly publisherId: string;
}

export interface StoredSubscription {
  /** As the client wrote it, `$share/` and all. */
  readonly filterText: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** Subscription Identifier; 0: none. */
  readonly identifier: number;
}

export interface StoredWill {
  readonly message: StoredMessage;
  /** Seconds; null: does not expire. */
  readonly messageExpiryInterval: number | null;
  /** Seconds after the connection ends. */
  readonly delayInterval: number;
}

/** What the store keeps of a session, but for its subscriptions and messages. */
export interface SessionRecord {
  /** Given by the broker, from 1 up, never used again. */
  readonly id: number;
  readonly clientId: string;
  readonly protocolVersion: number;
  readonly username: string | null;
  /** Seconds; 0xffffffff: never. */
  readonly expiryInterval: number;
  /** When the connection ended, wall clock milliseconds; 0: it had not, when this was written. */
  readonly awaySinceMs: number;
  /** Deliveries up to this one were sent on an earlier connection, and are in flight; 0: none. */
  readonly sentSeq: number;
  readonly will: StoredWill | null;
}

/** A QoS 2 message that came in and was not released yet; null: it was refused, and only its flow goes on. */
export interface StoredIncoming {
  readonly packetId: number;
  readonly message: StoredMessage | null;
}

export interface StoredSession extends SessionRecord {
  readonly subscriptions: readonly StoredSubscription[];
  readonly incoming: readonly StoredIncoming[];
}

/** One message on its way to one session. */
export interface DeliveryRecord {
  /** Given by the broker, from 1 up over all sessions, never used again: the order of the deliveries of a session. */
  readonly seq: number;
  readonly sessionId: number;
  readonly messageId: number;
  readonly qos: QoS;
  /** RETAIN towards the client. */
  readonly retain: boolean;
  /** PUBREC came: PUBCOMP is what is waited for. */
  readonly isReleased: boolean;
  readonly packetId: number;
  /** Subscription Identifier; 0: none. */
  readonly identifier: number;
  /** Filter text of the shared subscription it came by; null: none. */
  readonly sharedFilter: string | null;
  /** What a queue accounts for it, in bytes. */
  readonly size: number;
  /** Of the message, wall clock milliseconds; 0: never. */
  readonly expiresAtMs: number;
}

export interface StoredDelivery extends DeliveryRecord {
  readonly message: StoredMessage;
}

/** Which deliveries there are, for many sessions: parallel arrays in the order of `seq`. */
export interface DeliveryIndex {
  readonly seqs: Float64Array;
  readonly sessionIds: Float64Array;
  readonly sizes: Uint32Array;
  /** 1 where the delivery came by a shared subscription. */
  readonly shared: Uint8Array;
  /** 0: none given. */
  readonly packetIds: Uint16Array;
}

export interface ExpiredDelivery {
  readonly seq: number;
  readonly clientId: string;
  readonly size: number;
}

export interface StoreSummary {
  /** The highest numbers given so far; 0: none. */
  readonly lastSessionId: number;
  readonly lastMessageId: number;
  readonly lastSeq: number;
  readonly sessions: number;
  readonly deliveries: number;
  readonly retained: number;
  /** Wall clock milliseconds when the broker last said that it was alive: see `StoreBatch.setAlive`; 0: never. */
  readonly aliveAtMs: number;
}

/** Why a store fails. */
export const StoreFault = {
  /** No room left, or a quota is used up. */
  full: 'full',
  readOnly: 'read_only',
  io: 'io',
  /** The file is not, or not any more, what we wrote. */
  corrupt: 'corrupt',
  /** Another process has the file. */
  locked: 'locked',
} as const;
export type StoreFault = (typeof StoreFault)[keyof typeof StoreFault];

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly fault: StoreFault;

  /** @param message one line for the operator, with the file's name */
  constructor(fault: StoreFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/**
 * Where sessions, their messages and what is retained outlive the process. Calls are served in the order they are made:
 * a read sees every batch committed by a call before it.
 */
export interface SessionStore {
  /**
   * Opens the store, or makes it.
   *
   * @throws StoreError
   */
  open(): Promise<StoreSummary>;
  /**
   * Applies a batch as a whole. The batch is the caller's again when the promise settles.
   *
   * @throws StoreError: nothing of it is stored, and the same batch may be handed in again
   */
  commit(batch: StoreBatch): Promise<void>;
  /** Sessions with an id above `afterId` in that order, at most `limit`; fewer, but not none, where they are large. */
  readSessions(afterId: number, limit: number): Promise<StoredSession[]>;
  findSession(clientId: string): Promise<StoredSession | null>;
  /** Deliveries with a seq above `afterSeq` in that order, at most `limit`. */
  readDeliveryIndex(afterSeq: number, limit: number): Promise<DeliveryIndex>;
  /**
   * The deliveries with these numbers, in the order given, up to `maxBytes` of messages, at least one. Those that are not
   * there are left out.
   *
   * @returns the deliveries, and how many of `seqs` were looked at
   */
  readDeliveries(seqs: readonly number[], maxBytes: number): Promise<{ deliveries: StoredDelivery[]; looked: number }>;
  /** Retained messages behind a topic name in the order of bytes, null for the first, at most `limit`, or fewer where they are large. */
  readRetained(afterTopic: string | null, limit: number): Promise<StoredMessage[]>;
  /** Deliveries whose message expired before `wallMs`. */
  readExpired(wallMs: number, limit: number): Promise<ExpiredDelivery[]>;
  /** Bytes of the files now. */
  usedBytes(): Promise<number>;
  /**
   * Writes one consistent copy while the store is in use.
   *
   * @throws StoreError
   */
  backup(path: string): Promise<void>;
  close(): Promise<void>;
}
