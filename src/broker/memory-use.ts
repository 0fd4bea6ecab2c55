import type { Broker } from './broker.ts';

/**
 * What each thing takes of memory beside the bytes of messages, in bytes: means, measured by making 100,000 to 400,000
 * of them in a broker and looking at what its process grew by.
 */
const Cost = {
  message: 350,
  /** A message that waits for a session or is in flight to it. */
  delivery: 130,
  retainedTopic: 500,
  session: 800,
  subscription: 450,
  connection: 1_200,
} as const;

/**
 * What clients make the broker keep, for `memory_limit`. The memory of the process tells less: it shrinks late, or not at
 * all, after messages have gone, so that a limit on it would once reached stay reached.
 */
export class MemoryUse {
  private readonly broker: Broker;

  constructor(broker: Broker) {
    this.broker = broker;
  }

  /** An estimate; it takes a dozen additions. */
  get bytes(): number {
    const { stored, retained, sessions, tree, connectionCount, counters } = this.broker;
    return (
      stored.bytes +
      stored.count * Cost.message +
      stored.references * Cost.delivery +
      retained.count * Cost.retainedTopic +
      sessions.size * Cost.session +
      tree.subscriptionCount * Cost.subscription +
      connectionCount * Cost.connection +
      counters.unsentBytes
    );
  }

  /** Nothing more may be kept. */
  get isFull(): boolean {
    const { memoryLimit } = this.broker.options;
    return memoryLimit > 0 && this.bytes >= memoryLimit;
  }
}
