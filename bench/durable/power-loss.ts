/**
 * The long run of what the suite does briefly: a store is cut off at every page of its log, within pages, and in the
 * midst of a checkpoint; each rest is opened and compared. Ends with status 1 where one holds anything but a prefix of
 * the batches with all that were acknowledged.
 *
 *   bun bench/durable/power-loss.ts [BATCHES]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPowerLoss } from '../../test/storage/power-loss.ts';

const batches = Number(process.argv[2] ?? 60);
const folder = mkdtempSync(join(tmpdir(), 'martlet-bench-'));
try {
  for (const sync of ['normal', 'full'] as const) {
    const start = performance.now();
    const { rests, wrong } = await checkPowerLoss(folder, sync, Math.ceil(batches / 2));
    const seconds = ((performance.now() - start) / 1_000).toFixed(0);
    console.log(`sync ${sync}: ${batches} batches, ${rests} rests opened in ${seconds} s, ${wrong.length} wrong`);
    for (const line of wrong) console.log(`  ${line}`);
    if (wrong.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
