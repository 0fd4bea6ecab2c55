import { encodeUtf8 } from '../protocol/utf8.ts';
import { Message } from '../session/message.ts';
import type { Broker } from './broker.ts';

const NO_BYTES = new Uint8Array(0);
/** `$SYS` messages are published at this QoS, as Mosquitto does. */
const SYS_QOS = 2;
/** A load changes by less than this: not published again. */
const LOAD_STEP = 0.01;

/** Loads are means of a rate per minute over these many minutes, weighted so that the past fades exponentially. */
const WINDOWS = [1, 5, 15] as const;

/** A counter whose rate is told under `$SYS/broker/load/`. */
interface Rate {
  readonly topic: string;
  readonly read: () => number;
  last: number;
  readonly loads: number[];
}

/**
 * `$SYS/#` with the topics and units of Mosquitto 2.0 and 2.1: retained messages, published again at each interval
 * where their text changed.
 */
export class SysTopics {
  private readonly broker: Broker;
  private readonly startedMs: number;
  private readonly sent = new Map<string, string>();
  private readonly rates: Rate[];
  private updatedMs: number;
  private maximumClients = 0;
  private maximumHeap = 0;

  constructor(broker: Broker, version: string, nowMs: number) {
    this.broker = broker;
    this.startedMs = nowMs;
    this.updatedMs = nowMs;
    const { counters } = broker;
    const rate = (topic: string, read: () => number): Rate => ({ topic, read, last: read(), loads: [0, 0, 0] });
    this.rates = [
      rate('messages/received', () => counters.packetsReceived),
      rate('messages/sent', () => counters.publishSent + counters.controlSent),
      rate('publish/dropped', () => this.dropped()),
      rate('publish/received', () => counters.publishReceived),
      rate('publish/sent', () => counters.publishSent),
      rate('bytes/received', () => counters.bytesReceived),
      rate('bytes/sent', () => counters.bytesSent),
      rate('sockets', () => counters.connectionsAccepted),
      rate('connections', () => counters.connects),
    ];
    this.publish('version', `martlet version ${version}`);
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
    this.publishNumber('connections/socket/count', broker.connectionCount);

    this.publishNumber('messages/stored', broker.retained.count);
    this.publishNumber('store/messages/count', broker.retained.count);
    this.publishNumber('store/messages/bytes', broker.retainedBytes);
    this.publishNumber('subscriptions/count', broker.tree.subscriptionCount);
    this.publishNumber('shared_subscriptions/count', broker.tree.sharedSubscriptionCount);
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

  private dropped(): number {
    let sum = 0;
    for (const count of this.broker.counters.dropped.values()) sum += count;
    return sum;
  }

  private updateLoads(seconds: number): void {
    for (const rate of this.rates) {
      const now = rate.read();
      const perMinute = ((now - rate.last) * 60) / seconds;
      rate.last = now;
      WINDOWS.forEach((minutes, i) => {
        const before = rate.loads[i]!;
        const fade = Math.exp(-seconds / (minutes * 60));
        const load = perMinute + fade * (before - perMinute);
        if (Math.abs(load - before) < LOAD_STEP) return;
        rate.loads[i] = load;
        this.publish(`load/${rate.topic}/${minutes}min`, load.toFixed(2));
      });
    }
  }

  private publishNumber(topic: string, value: number): void {
    this.publish(topic, String(value));
  }

  private publish(name: string, text: string): void {
    if (this.sent.get(name) === text) return;
    this.sent.set(name, text);
    const topic = this.broker.topics.byName(`$SYS/broker/${name}`);
    this.broker.publish(new Message(topic, encodeUtf8(text), NO_BYTES, SYS_QOS, true, 0, ''));
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
