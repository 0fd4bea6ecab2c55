import type { QoS } from '../protocol/packet-type.ts';
import type { Topic } from '../routing/topic-cache.ts';
import type { Session } from './session.ts';

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

  /** What a queue accounts for it, in bytes. */
  get size(): number {
    return this.payload.length + this.properties.length + this.topic.bytes.length;
  }

  isExpired(wallMs: number): boolean {
    return this.expiresAtMs !== 0 && this.expiresAtMs <= wallMs;
  }
}
