import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPowerLoss } from './power-loss.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
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
