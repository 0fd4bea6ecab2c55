import type { RetainedSearch } from '../routing/retained-tree.ts';
import type { Message } from '../session/message.ts';
import type { Broker } from './broker.ts';

/** Retained messages looked at in one tick. */
const SLICE = 10_000;

/**
 * Forgets retained messages that expired and that no search meets, every `retain_expiry_interval`. All of them are walked,
 * a slice each second; where none has an expiry, nothing is.
 */
export class RetainedSweeper {
  private readonly broker: Broker;
  /** Retained messages that expire some time. */
  private expiring = 0;
  private search: RetainedSearch<Message> | null = null;
  private startedAtSecond: number;
  private readonly found: Message[] = [];

  constructor(broker: Broker, second: number) {
    this.broker = broker;
    this.startedAtSecond = second;
  }

  onRetained(message: Message): void {
    if (message.expiresAtMs !== 0) this.expiring++;
  }

  onForgotten(message: Message): void {
    if (message.expiresAtMs !== 0) this.expiring--;
  }

  /** Called about once a second. */
  tick(second: number): void {
    const { broker } = this;
    if (this.search === null) {
      const { retainExpiryInterval } = broker.options;
      if (retainExpiryInterval === 0 || second - this.startedAtSecond < retainExpiryInterval) return;
      this.startedAtSecond = second;
      if (this.expiring === 0) return;
      this.search = broker.retained.all();
    }
    const { found } = this;
    found.length = 0;
    if (this.search.next(SLICE, found)) this.search = null;
    const nowMs = broker.wallMs();
    for (const message of found) if (message.isExpired(nowMs)) broker.unretain(message.topic.name);
    found.length = 0;
  }
}
