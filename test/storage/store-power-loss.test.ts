import { afterEach, beforeEach, expect, test } from 'bun:test';
import { rm } from 'node:fs/promises';
import { makeDatabaseFolder } from '../support/database-folder.ts';
import { checkPowerLoss } from './power-loss.ts';

let folder: string;
beforeEach(() => {
  folder = makeDatabaseFolder('store-');
});
afterEach(() => rm(folder, { recursive: true }));

// `bench/durable/power-loss.ts` does the same for a long run.
test.each(['normal', 'full'] as const)(
  'a store cut off at any page of its log holds every batch that was in it, and no part of another (sync %s)',
  async (sync) => {
    const { rests, wrong } = await checkPowerLoss(folder, sync, 3);
    expect(wrong).toEqual([]);
    expect(rests).toBeGreaterThan(100);
  },
  60_000,
);
