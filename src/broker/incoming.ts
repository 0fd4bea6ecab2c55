// Hot path: the PUBLISH at hand. One object is reused for all of them.
import { QoS } from '../protocol/packet-type.ts';
import type { PublishView } from '../protocol/publish.ts';
import type { Topic } from '../routing/topic-cache.ts';
import { Message, type MessageSource } from '../session/message.ts';
import type { Session } from '../session/session.ts';

const NO_BYTES = new Uint8Array(0);

/**
 * A message on its way through the router. It points into the publisher's chunk, or into a `Message` that was kept
 * (QoS 2 released, a will); `message()` makes the copy that outlives the tick, once, when somebody needs it.
 */
export class IncomingMessage {
  topic: Topic<Session> | null = null;
  publisherId = '';
  qos: QoS = 0;
  retain = false;
  payload: Uint8Array = NO_BYTES;
  payloadStart = 0;
  payloadEnd = 0;
  properties: Uint8Array = NO_BYTES;
  propertiesStart = 0;
  propertiesEnd = 0;
  /** Wall clock milliseconds; 0: never. */
  expiresAtMs = 0;
  /** Seconds left when it is sent on at once; -1: does not expire. */
  expiryInterval = -1;
  /** The frame as it came, for receivers of the same layout: `frame[frameStart, frameEnd)`; frameEnd 0: none. */
  frame: Uint8Array = NO_BYTES;
  frameStart = 0;
  frameEnd = 0;
  frameIsV5 = false;
  /** See `Message.source`; to be set after `fromView`. */
  source: MessageSource | null = null;
  private kept: Message | null = null;

  fromView(view: PublishView, bytes: Uint8Array, topic: Topic<Session>, publisherId: string, wallMs: number): void {
    this.topic = topic;
    this.publisherId = publisherId;
    this.qos = view.qos;
    this.retain = view.retain;
    this.payload = bytes;
    this.payloadStart = view.payloadStart;
    this.payloadEnd = view.payloadEnd;
    this.properties = view.forwarded;
    this.propertiesStart = view.forwardedStart;
    this.propertiesEnd = view.forwardedEnd;
    this.expiryInterval = view.messageExpiryInterval;
    this.expiresAtMs = view.messageExpiryInterval < 0 ? 0 : wallMs + view.messageExpiryInterval * 1_000;
    this.frameEnd = 0;
    this.kept = null;
  }

  fromMessage(message: Message, wallMs: number): void {
    this.topic = message.topic;
    this.publisherId = message.publisherId;
    this.qos = message.qos;
    this.retain = message.retain;
    this.payload = message.payload;
    this.payloadStart = 0;
    this.payloadEnd = message.payload.length;
    this.properties = message.properties;
    this.propertiesStart = 0;
    this.propertiesEnd = message.properties.length;
    this.expiresAtMs = message.expiresAtMs;
    this.expiryInterval = remainingSeconds(message.expiresAtMs, wallMs);
    this.frameEnd = 0;
    this.source = message.source;
    this.kept = message;
  }

  message(): Message {
    if (this.kept !== null) return this.kept;
    this.kept = new Message(
      this.topic!,
      this.payload.slice(this.payloadStart, this.payloadEnd),
      this.propertiesStart === this.propertiesEnd
        ? NO_BYTES
        : this.properties.slice(this.propertiesStart, this.propertiesEnd),
      this.qos,
      this.retain,
      this.expiresAtMs,
      this.publisherId,
    );
    this.kept.source = this.source;
    return this.kept;
  }

  /** Lets go of the chunk. */
  clear(): void {
    this.topic = null;
    this.payload = NO_BYTES;
    this.properties = NO_BYTES;
    this.frame = NO_BYTES;
    this.frameEnd = 0;
    this.source = null;
    this.kept = null;
  }
}

/** Message Expiry Interval to send on: what came minus the time it waited here (v5 [MQTT-3.3.2-6]); -1: none. */
export function remainingSeconds(expiresAtMs: number, wallMs: number): number {
  return expiresAtMs === 0 ? -1 : Math.max(0, Math.ceil((expiresAtMs - wallMs) / 1_000));
}
