import type { BrokerOptions } from '../../src/config/broker-options.ts';
import { openInto } from '../../src/broker/durable/restore.ts';
import type { SessionStore } from '../../src/storage/session-store.ts';
import { TestBroker } from './test-broker.ts';

/** A broker on memory that keeps its sessions in a store: `crash` is what SIGKILL does, as far as a store can tell. */
export class DurableBroker extends TestBroker {
  readonly store: SessionStore;

  private constructor(store: SessionStore, options: Partial<BrokerOptions>) {
    super(options);
    this.store = store;
  }

  static async open(store: SessionStore, options: Partial<BrokerOptions> = {}, elapsedMs = 0): Promise<DurableBroker> {
    const test = new DurableBroker(store, options);
    test.clock.add(elapsedMs);
    const { loaded } = await openInto(test.broker, store);
    await loaded;
    await test.settle();
    return test;
  }

  /** Waits until all that was said is committed, and what follows from it as well. */
  async settle(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      this.broker.output.flushAll();
      await new Promise<void>((resolve) => this.broker.durability!.batches.afterCommit(resolve));
      // Pages of queues are read in promises of their own.
      for (let j = 0; j < 10; j++) await Promise.resolve();
      await Bun.sleep(0);
    }
    this.broker.output.flushAll();
  }

  /** What was not committed is lost, as with SIGKILL. */
  crash(): void {
    this.broker.durability!.batches.abandon();
  }
}
