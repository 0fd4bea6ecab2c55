import {
  type DeliveryIndex,
  type ExpiredDelivery,
  type SessionStore,
  type StoredDelivery,
  type StoredMessage,
  type StoredSession,
  StoreError,
  StoreFault,
  type StoreSummary,
} from '../../../src/storage/session-store.ts';
import type { StoreBatch } from '../../../src/storage/store-batch.ts';
import type { Random } from './random.ts';

/**
 * A store that takes its time and fails, in front of one that does neither. Calls are served in the order they are made.
 * `cut` is the end of the process: what was not applied by then never is, and nobody is told.
 */
export class ShakyStore implements SessionStore {
  /** Commits fail with this, until it is null. */
  fault: StoreFault | null = null;
  /** Probability that a queue, or a part of it, cannot be read. */
  unreadable = 0;
  /** Longest time a call takes, in milliseconds of the timers. */
  slownessMs = 0;
  /** When the last batch was committed, by `performance.now`. */
  committedMs = performance.now();
  private isCut = false;
  private readonly inner: SessionStore;
  private readonly random: Random;
  private tail: Promise<unknown> = Promise.resolve();
  private readonly waiting: { kind: string; run: () => void }[] = [];

  constructor(inner: SessionStore, random: Random) {
    this.inner = inner;
    this.random = random;
  }

  /** @param isApplied the batch under way, where there is one, reaches the store all the same */
  async cut(isApplied: boolean): Promise<void> {
    this.isCut = true;
    const [first] = this.waiting;
    if (isApplied && first?.kind === 'commit' && this.fault === null) await this.inner.commit(this.underWay!);
    this.waiting.length = 0;
  }

  private underWay: StoreBatch | null = null;

  private serve<T>(kind: string, run: () => Promise<T>): Promise<T> {
    const { isCut } = this;
    if (isCut) return new Promise(() => {});
    const turn = this.tail.then(() => this.pause(kind)).then(run);
    this.tail = turn.catch(() => {});
    return turn;
  }

  private pause(kind: string): Promise<void> {
    const ms = this.slownessMs === 0 ? 0 : this.random.below(this.slownessMs);
    return new Promise((resolve) => {
      const entry = {
        kind,
        run: () => {
          const at = this.waiting.indexOf(entry);
          if (at < 0 || this.isCut) return;
          this.waiting.splice(at, 1);
          resolve();
        },
      };
      this.waiting.push(entry);
      if (ms === 0) entry.run();
      else setTimeout(entry.run, ms);
    });
  }

  open(): Promise<StoreSummary> {
    return this.serve('open', () => this.inner.open());
  }

  commit(batch: StoreBatch): Promise<void> {
    this.underWay = batch;
    return this.serve('commit', async () => {
      if (this.fault !== null) throw new StoreError(this.fault, `the simulated disk fails: ${this.fault}`);
      this.committedMs = performance.now();
      await this.inner.commit(batch);
    });
  }

  readSessions(afterId: number, limit: number): Promise<StoredSession[]> {
    return this.serve('read', () => this.inner.readSessions(afterId, Math.min(limit, 2)));
  }

  findSession(clientId: string): Promise<StoredSession | null> {
    return this.serve('read', () => this.inner.findSession(clientId));
  }

  readDeliveryIndex(afterSeq: number, limit: number): Promise<DeliveryIndex> {
    return this.serve('read', () => this.inner.readDeliveryIndex(afterSeq, Math.min(limit, 7)));
  }

  readDeliveries(seqs: readonly number[], maxBytes: number): Promise<{ deliveries: StoredDelivery[]; looked: number }> {
    return this.serve('read', () => {
      if (this.random.chance(this.unreadable)) throw new StoreError(StoreFault.io, 'the simulated disk cannot be read');
      return this.inner.readDeliveries(seqs, maxBytes);
    });
  }

  readRetained(afterTopic: string | null, limit: number): Promise<StoredMessage[]> {
    return this.serve('read', () => this.inner.readRetained(afterTopic, Math.min(limit, 2)));
  }

  readExpired(wallMs: number, limit: number): Promise<ExpiredDelivery[]> {
    return this.serve('read', () => this.inner.readExpired(wallMs, limit));
  }

  usedBytes(): Promise<number> {
    return this.serve('read', () => this.inner.usedBytes());
  }

  backup(path: string): Promise<void> {
    return this.serve('backup', () => this.inner.backup(path));
  }

  close(): Promise<void> {
    return this.serve('close', () => this.inner.close());
  }
}
