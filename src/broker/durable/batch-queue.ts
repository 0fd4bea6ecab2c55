// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable.
import { ReasonCode } from '../../protocol/reason-code.ts';
import { type SessionStore, StoreError, StoreFault } from '../../storage/session-store.ts';
import { StoreBatch } from '../../storage/store-batch.ts';
import type { Broker } from '../broker.ts';
import { LogType } from '../log.ts';

/** How long a batch stays open where nobody waits for it. */
const WINDOW_MS = 5;
/** A batch of so many bytes is not kept open. */
const LARGE_BATCH = 256 * 1024;
/** Pause between two attempts at a store that fails. */
const RETRY_MS = 500;

interface BatchOwner {
  /** The batch is about to be committed: the last chance to write into it. */
  close(batch: StoreBatch): void;
  committed(): void;
  /** The store begins to fail. */
  failing(): void;
}

/** Commits one batch at a time; what comes meanwhile is the next one. One that fails is tried again until it is stored. */
export class BatchQueue {
  /** Takes changes. */
  open = new StoreBatch();
  private spare = new StoreBatch();
  /** Called when the open batch is committed. */
  private waiters: (() => void)[] = [];
  private readonly store: SessionStore;
  private readonly broker: Broker;
  private readonly owner: BatchOwner;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private immediate: ReturnType<typeof setImmediate> | null = null;
  private isWanted = false;
  private committing: Promise<void> | null = null;
  private fault: StoreFault | null = null;
  private isStopping = false;
  /** Nothing is committed any more. */
  isClosed = false;

  constructor(store: SessionStore, broker: Broker, owner: BatchOwner) {
    this.store = store;
    this.broker = broker;
    this.owner = owner;
  }

  /** The store does not take what it is given. */
  get isFailing(): boolean {
    return this.fault !== null;
  }

  /** What MQTT 5 clients are told whose message can't be stored; null while the store works. */
  get refusal(): ReasonCode | null {
    if (this.fault === null) return null;
    return this.fault === StoreFault.full ? ReasonCode.quotaExceeded : ReasonCode.unspecifiedError;
  }

  /** There is something to commit. @param isUrgent nobody can make it unnecessary within the window */
  schedule(isUrgent: boolean): void {
    this.isWanted = true;
    if (this.committing !== null || this.immediate !== null || this.isClosed) return;
    if (isUrgent || this.open.length > LARGE_BATCH) {
      if (this.timer !== null) clearTimeout(this.timer);
      this.timer = null;
      this.immediate = setImmediate(() => this.commit());
    } else this.timer ??= setTimeout(() => this.commit(), WINDOW_MS);
  }

  /** Calls back once all that was said until now is committed. */
  afterCommit(then: () => void): void {
    this.waiters.push(then);
    this.schedule(true);
  }

  private commit(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.immediate !== null) clearImmediate(this.immediate);
    this.timer = null;
    this.immediate = null;
    if (this.committing !== null) return;
    this.isWanted = false;
    this.owner.close(this.open);
    const batch = this.open;
    const { waiters } = this;
    if (batch.isEmpty) {
      this.waiters = [];
      this.owner.committed();
      for (const one of waiters) one();
      return;
    }
    this.open = this.spare;
    this.waiters = [];
    this.committing = this.store
      .commit(batch)
      .catch((error: unknown) => this.retry(batch, error))
      .then(() => {
        this.committing = null;
        this.broker.counters.storeBatches++;
        this.broker.counters.storeChanges += batch.count;
        batch.clear();
        this.spare = batch;
        this.runSafely(() => this.owner.committed());
        for (const one of waiters) this.runSafely(one);
        // What these have sent leaves at the end of this turn; what came meanwhile has waited long enough.
        if (this.isWanted) this.schedule(true);
      });
  }

  private runSafely(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.broker.reportFault('what was committed', error);
    }
  }

  /** Resolves when the batch is stored after all; at the end of the process it gives up. */
  private async retry(batch: StoreBatch, first: unknown): Promise<void> {
    for (let error = first; ;) {
      this.onFailure(error);
      if (this.isStopping) throw error;
      await Bun.sleep(RETRY_MS);
      try {
        await this.store.commit(batch);
        break;
      } catch (next) {
        error = next;
      }
    }
    this.fault = null;
    this.broker.counters.storeFailing = 0;
    this.broker.log.log(LogType.notice, 'Persistence works again: all that waited is stored.');
  }

  private onFailure(error: unknown): void {
    const fault = error instanceof StoreError ? error.fault : StoreFault.io;
    this.broker.counters.storeFailures++;
    this.broker.counters.storeFailing = 1;
    if (this.fault === fault) return;
    this.fault = fault;
    const cause = error instanceof Error ? error.message : String(error);
    this.broker.log.log(
      LogType.error,
      `Error: persistence fails: ${cause}. QoS 1 and 2 messages for durable sessions are not acknowledged until it works.`,
    );
    this.owner.failing();
  }

  /** Commits nothing any more. */
  abandon(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.immediate !== null) clearImmediate(this.immediate);
    this.isClosed = true;
  }

  /** Commits all there is, and nothing after it. @throws StoreError where the store fails */
  async drain(): Promise<void> {
    this.isStopping = true;
    while (this.committing !== null || this.isWanted || !this.open.isEmpty || this.waiters.length > 0) {
      if (this.committing === null) this.commit();
      await this.committing;
    }
    this.abandon();
  }
}
