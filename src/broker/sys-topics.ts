import { encodeUtf8 } from '../protocol/utf8.ts';
import { Message } from '../session/message.ts';
import { DropReason } from '../session/outgoing-flow.ts';
import type { Broker } from './broker.ts';

const NO_BYTES = new Uint8Array(0);
/** `$SYS` messages are published at this QoS, as Mosquitto does. */
const SYS_QOS = 2;

const ROOM_REASONS = [DropReason.queueFull, DropReason.slowReader, DropReason.memoryLimit] as const;

/** Loads are means of a rate per minute over these many minutes, weighted so that the past fades exponentially. */
const WINDOWS = [1, 5, 15] as const;

/** A counter whose rate is told under `$SYS/broker/load/`. */
interface Rate {
  readonly topic: string;
  readonly read: () => number;
  last: number;
  readonly loads: number[];
}

/** What is told of a counter anew is the difference to the time before. */
function newRate(topic: string, read: () => number): Rate {
  return { topic, read, last: read(), loads: WINDOWS.map(() => 0) };
}

/**
 * `$SYS/#` with the topics and units of Mosquitto 2.0 and 2.1: retained messages, published again at each interval
 * where their text changed. `heap/...` is the resident memory of the process. What waits for sockets is known in bytes, so
 * of `packet/out/...` there is no `count`.
 */
export class SysTopics {
  private readonly broker: Broker;
  private readonly startedMs: number;
  private readonly sent = new Map<string, string>();
  private readonly rates: Rate[];
  private updatedMs: number;
  private maximumClients = 0;
  private maximumHeap = 0;

  /**
   * @param startedMs since when the broker runs, in monotonic milliseconds
   * @param nowMs now, where that is later
   */
  constructor(broker: Broker, version: string, startedMs: number, nowMs = startedMs) {
    this.broker = broker;
    this.startedMs = startedMs;
    this.updatedMs = nowMs;
    const { counters } = broker;
    this.rates = [
      newRate('messages/received', () => counters.packetsReceived),
      newRate('messages/sent', () => counters.publishSent + counters.controlSent),
      newRate('publish/dropped', () => this.dropped()),
      newRate('publish/received', () => counters.publishReceived),
      newRate('publish/sent', () => counters.publishSent),
      newRate('bytes/received', () => counters.bytesReceived),
      newRate('bytes/sent', () => counters.bytesSent),
      newRate('sockets', () => counters.connectionsAccepted),
      newRate('connections', () => counters.connects),
    ];
    this.publish('version', `martlet version ${version}`);
    for (const rate of this.rates) this.publishLoads(rate);
  }

  /** @param nowMs monotonic milliseconds */
  update(nowMs: number): void {
    const { broker } = this;
    const { counters } = broker;
    this.publish('uptime', `${Math.floor((nowMs - this.startedMs) / 1_000)} seconds`);
    const seconds = (nowMs - this.updatedMs) / 1_000;
    if (seconds > 0) this.updateLoads(seconds);
    this.updatedMs = nowMs;

    const connected = counters.clientsConnected;
    const total = broker.sessions.size;
    this.maximumClients = Math.max(this.maximumClients, total);
    this.publishNumber('clients/total', total);
    this.publishNumber('clients/maximum', this.maximumClients);
    this.publishNumber('clients/inactive', total - connected);
    this.publishNumber('clients/disconnected', total - connected);
    this.publishNumber('clients/active', connected);
    this.publishNumber('clients/connected', connected);
    this.publishNumber('clients/expired', counters.sessionsExpired);
    // Since the start, as in Mosquitto 2.1.
    this.publishNumber('connections/socket/count', counters.connectionsAccepted);

    const { subscriptionCount, sharedSubscriptionCount } = broker.tree;
    this.publishNumber('messages/stored', broker.stored.count);
    this.publishNumber('store/messages/count', broker.stored.count);
    this.publishNumber('store/messages/bytes', broker.stored.payloadBytes);
    this.publishNumber('packet/out/bytes', counters.unsentBytes);
    this.publishNumber('subscriptions/count', subscriptionCount - sharedSubscriptionCount);
    this.publishNumber('shared_subscriptions/count', sharedSubscriptionCount);
    this.publishNumber('retained messages/count', broker.retained.count);

    const heap = residentBytes();
    if (heap !== null) {
      this.maximumHeap = Math.max(this.maximumHeap, heap);
      this.publishNumber('heap/current', heap);
      this.publishNumber('heap/maximum', this.maximumHeap);
    }

    this.publishNumber('messages/received', counters.packetsReceived);
    this.publishNumber('messages/sent', counters.publishSent + counters.controlSent);
    this.publishNumber('publish/messages/dropped', this.dropped());
    this.publishNumber('publish/messages/received', counters.publishReceived);
    this.publishNumber('publish/messages/sent', counters.publishSent);
    this.publishNumber('publish/bytes/received', counters.publishBytesReceived);
    this.publishNumber('publish/bytes/sent', counters.publishBytesSent);
    this.publishNumber('bytes/received', counters.bytesReceived);
    this.publishNumber('bytes/sent', counters.bytesSent);
  }

  /** As in Mosquitto, what found no room; not what expired, was refused or came at QoS 0 while its client was away. */
  private dropped(): number {
    const { dropped } = this.broker.counters;
    return ROOM_REASONS.reduce((sum, reason) => sum + dropped.get(reason)!, 0);
  }

  private updateLoads(seconds: number): void {
    for (const rate of this.rates) {
      const now = rate.read();
      const perMinute = ((now - rate.last) * 60) / seconds;
      rate.last = now;
      WINDOWS.forEach((minutes, i) => {
        const fade = Math.exp(-seconds / (minutes * 60));
        rate.loads[i] = perMinute + fade * (rate.loads[i]! - perMinute);
      });
      this.publishLoads(rate);
    }
  }

  private publishLoads({ topic, loads }: Rate): void {
    WINDOWS.forEach((minutes, i) => this.publish(`load/${topic}/${minutes}min`, loads[i]!.toFixed(2)));
  }

  /** The topics whose values are whole numbers, as of the last update, and the uptime in seconds. */
  numbers(nowMs: number): Record<string, number> {
    const numbers: Record<string, number> = {};
    for (const [name, text] of this.sent) if (/^\d+$/.test(text)) numbers[`$SYS/broker/${name}`] = Number(text);
    numbers['$SYS/broker/uptime'] = Math.floor((nowMs - this.startedMs) / 1_000);
    return numbers;
  }

  private publishNumber(topic: string, value: number): void {
    this.publish(topic, String(value));
  }

  private publish(name: string, text: string): void {
    if (this.sent.get(name) === text) return;
    this.sent.set(name, text);
    const topic = this.broker.topics.byName(`$SYS/broker/${name}`);
    const { retainAvailable } = this.broker.options;
    this.broker.publish(new Message(topic, encodeUtf8(text), NO_BYTES, SYS_QOS, retainAvailable, 0, ''));
  }
}

/** Null where the system does not tell: it takes a file descriptor, and there may be none left. */
function residentBytes(): number | null {
  try {
    return process.memoryUsage.rss();
  } catch {
    return null;
  }
}
