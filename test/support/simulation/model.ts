import type { QoS } from '../../../src/protocol/packet-type.ts';

/** A message of the simulation. Times are numbers of events, which only rise. */
export interface SimMessage {
  readonly id: number;
  readonly publisher: string;
  readonly topic: string;
  readonly qos: QoS;
  /** Rises with each message of the publisher to the topic. */
  readonly number: number;
  readonly retain: boolean;
  readonly isEmpty: boolean;
  /** It expires, so that nobody need get it. */
  readonly isMortal: boolean;
  readonly size: number;
  readonly begunAt: number;
  /** When its last acknowledgement came; 0: it did not. */
  acknowledgedAt: number;
  /** It was sent while the store failed, and perhaps refused at first. */
  isDoubtful: boolean;
  /** A will whose client left in order. */
  isWithdrawn: boolean;
}

/** The time from the acknowledgement of a subscription to its end. */
export interface SubscriptionPeriod {
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly identifier: number;
  /** When its SUBACK came; 0: it did not. */
  acknowledgedAt: number;
  /** When its end began; Infinity: it lasts. */
  endedAt: number;
  /** The session ended with it, or may have: what waited went with it. */
  isForgotten: boolean;
}

/** What one client got of one message by one subscription. */
export interface Receipt {
  readonly message: SimMessage;
  /** Text of the filter; empty where the client can't tell. */
  readonly filter: string;
  atQos2: number;
  count: number;
}

/** Everything the clients of a simulation did and saw, and what was wrong with it. */
export class History {
  readonly messages = new Map<number, SimMessage>();
  readonly violations: string[] = [];
  /** Queues are small: messages are dropped. */
  hasDrops = false;
  private time = 0;
  private readonly numbers = new Map<string, number>();

  tick(): number {
    return ++this.time;
  }

  /** What happened, for whoever looks for the cause of a failure; null: nobody does. */
  lines: string[] | null = null;

  fail(what: string): void {
    this.lines?.push(`FAIL ${what}`);
    if (this.violations.length < 20) this.violations.push(what);
  }

  begin(
    init: Omit<SimMessage, 'id' | 'number' | 'begunAt' | 'acknowledgedAt' | 'isDoubtful' | 'isWithdrawn'>,
  ): SimMessage {
    const number = (this.numbers.get(init.topic) ?? 0) + 1;
    this.numbers.set(init.topic, number);
    const message = {
      ...init,
      id: this.messages.size + 1,
      number,
      begunAt: this.tick(),
      acknowledgedAt: 0,
      isDoubtful: false,
      isWithdrawn: false,
    };
    this.messages.set(message.id, message);
    return message;
  }
}

/** Text of a shared filter behind `$share/NAME/`; other filters as they are. */
export function plainFilter(filter: string): string {
  return filter.startsWith('$share/') ? filter.split('/').slice(2).join('/') : filter;
}

export function matches(filter: string, topic: string): boolean {
  const levels = plainFilter(filter).split('/');
  const names = topic.split('/');
  for (const [at, level] of levels.entries()) {
    if (level === '#') return true;
    if (at >= names.length || (level !== '+' && level !== names[at])) return false;
  }
  return levels.length === names.length;
}
