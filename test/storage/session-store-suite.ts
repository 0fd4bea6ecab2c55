/** What every SessionStore does, whatever it is made of. */
import { afterEach, beforeEach, describe, expect } from 'bun:test';
import type { SessionStore, StoredSession, StoreSummary } from '../../src/storage/session-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { describeMessages } from './suite-messages.ts';
import { describeSessions } from './suite-sessions.ts';

/** A place where a store keeps what it has from one opening to the next. */
export interface StorePlace {
  /** A store on what the last one left. */
  makeStore(): SessionStore;
  remove(): Promise<void>;
}

/** Of a store with nothing in it. */
export const NOBODY: StoreSummary = {
  lastSessionId: 0,
  lastMessageId: 0,
  lastSeq: 0,
  sessions: 0,
  deliveries: 0,
  retained: 0,
  aliveAtMs: 0,
};

export function runSessionStoreSuite(name: string, makePlace: () => Promise<StorePlace>): void {
  describe(name, () => {
    const suite = new Suite();
    beforeEach(async () => {
      suite.place = await makePlace();
      suite.store = suite.place.makeStore();
      expect(await suite.store.open()).toEqual(NOBODY);
    });
    afterEach(async () => {
      await suite.store.close();
      await suite.place.remove();
    });
    describeSessions(suite);
    describeMessages(suite);
  });
}

/** The open store of a test, and what tests do with it. */
export class Suite {
  place!: StorePlace;
  store!: SessionStore;

  async commit(write: (batch: StoreBatch) => void): Promise<void> {
    const batch = new StoreBatch();
    write(batch);
    await this.store.commit(batch);
  }

  async reopen(): Promise<StoreSummary> {
    await this.store.close();
    this.store = this.place.makeStore();
    return this.store.open();
  }

  everySession(): Promise<StoredSession[]> {
    return this.store.readSessions(0, 1_000);
  }

  /** Which of these deliveries are there. */
  async seqsOf(...seqs: number[]): Promise<number[]> {
    return (await this.store.readDeliveries(seqs, 1_000_000)).deliveries.map(({ seq }) => seq);
  }
}
