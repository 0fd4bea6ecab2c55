import { encodeUtf8 } from '../protocol/utf8.ts';
import { Message } from '../session/message.ts';
import type { Broker } from './broker.ts';
import { LogType } from './log.ts';

const NO_BYTES = new Uint8Array(0);
/** As Mosquitto: QoS and Message Expiry Interval of a line. */
const LOG_QOS = 2;
const EXPIRY_MS = 20_000;

/** Mosquitto's topics; what is missing is never published. */
const topics = new Map<LogType, string>([
  [LogType.error, 'E'],
  [LogType.warning, 'W'],
  [LogType.notice, 'N'],
  [LogType.information, 'I'],
  [LogType.subscribe, 'M/subscribe'],
  [LogType.unsubscribe, 'M/unsubscribe'],
  [LogType.websockets, 'WS'],
]);

/** The types of which there are topics. Lines on packets are not among them: one would bring about the next. */
export const topicLogTypes: number = [...topics.keys()].reduce((bits, type) => bits | type, 0);

interface Line {
  readonly type: LogType;
  readonly text: string;
}

/**
 * `log_dest topic`: publishes lines to `$SYS/broker/log/X`. A line is written in the middle of what it tells of, while
 * the router may be at work, so it goes out when that is over; what publishing brings about is not published again.
 */
export class LogTopics {
  private readonly broker: Broker;
  private waiting: Line[] = [];
  private isPublishing = false;

  constructor(broker: Broker) {
    this.broker = broker;
  }

  publish(type: LogType, text: string): void {
    if (this.isPublishing) return;
    if (this.waiting.push({ type, text }) === 1) setImmediate(() => this.flush());
  }

  /** Publishes what waits; not to be called while a packet is handled. */
  flush(): void {
    const lines = this.waiting;
    if (lines.length === 0) return;
    this.waiting = [];
    this.isPublishing = true;
    try {
      for (const { type, text } of lines) this.publishLine(type, text);
    } finally {
      this.isPublishing = false;
    }
  }

  private publishLine(type: LogType, text: string): void {
    const { broker } = this;
    const name = topics.get(type);
    if (name === undefined) return;
    const topic = broker.topics.byName(`$SYS/broker/log/${name}`);
    if (topic.match(broker.tree).length === 0) return;
    const expiresAtMs = broker.wallMs() + EXPIRY_MS;
    broker.publish(new Message(topic, encodeUtf8(text), NO_BYTES, LOG_QOS, false, expiresAtMs, ''));
  }
}
