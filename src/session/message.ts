import type { QoS } from '../protocol/packet-type.ts';
import type { Topic } from '../routing/topic-cache.ts';
import type { Session } from './session.ts';

/** What it takes to ask later whether a publisher may still write to a topic. */
export interface MessageSource {
  readonly username: string | null;
  /** The listener it came by; the broker knows what that is. */
  readonly listener: object;
}

/**
 * An Application Message that outlives the tick it came in. Its bytes are copies, shared read-only by every session
 * that has it queued or in flight, and by the retained tree.
 */
export class Message {
  readonly topic: Topic<Session>;
  readonly payload: Uint8Array;
  /** Raw MQTT 5 properties that are handed on as they came, without their length field. */
  readonly properties: Uint8Array;
  readonly qos: QoS;
  /** RETAIN as published. */
  readonly retain: boolean;
  /** Wall clock milliseconds; 0: never. */
  readonly expiresAtMs: number;
  /** Client id of the publisher, for No Local on what is queued, and for logs. */
  readonly publisherId: string;
  /** Of a message that may be retained, who published it; null: the broker itself, or nobody knows any more. */
  source: MessageSource | null = null;
  /** How many keep it, as `StoredMessages` counts them. */
  holders = 0;
  /** Its number in the store, while the batch that has it is not past; see `Durability`. */
  storeId = 0;
  storeBatch = 0;

  constructor(
    topic: Topic<Session>,
    payload: Uint8Array,
    properties: Uint8Array,
    qos: QoS,
    retain: boolean,
    expiresAtMs: number,
    publisherId: string,
  ) {
    this.topic = topic;
    this.payload = payload;
    this.properties = properties;
    this.qos = qos;
    this.retain = retain;
    this.expiresAtMs = expiresAtMs;
    this.publisherId = publisherId;
  }

  /** What limits in bytes count for it: the payload, as Mosquitto does, and what comes with it. */
  get size(): number {
    return this.payload.length + this.properties.length;
  }

  isExpired(wallMs: number): boolean {
    return this.expiresAtMs !== 0 && this.expiresAtMs <= wallMs;
  }
}
