import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeChecks } from '../../src/cli/db-checks.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { auditMemoryStore } from '../support/simulation/audit.ts';
import { describeRun, Simulation, type SimulationOptions } from '../support/simulation/simulation.ts';
import { settlePromises, VirtualTime } from '../support/virtual-time.ts';

// `SEED=n` runs one seed, `SEEDS=n` so many from `SEED` on, `TRACE=n` shows what led to a failure.
const first = Number(process.env['SEED'] ?? 1);
const count = Number(process.env['SEEDS'] ?? (process.env['SEED'] === undefined ? 0 : 1));
const seeds = (usual: number) => Array.from({ length: count || usual }, (_, i) => first + i);

const time = new VirtualTime();

async function run(options: Omit<SimulationOptions, 'time'>): Promise<void> {
  const simulation = new Simulation({ ...options, time });
  const { history } = simulation;
  if (process.env['TRACE'] !== undefined) history.lines = [];
  time.forgetAll();
  time.install();
  try {
    await simulation.run();
  } finally {
    time.uninstall();
  }
  if (history.violations.length > 0) {
    console.log(`SEED=${options.seed}: ${describeRun(simulation)}`);
    for (const line of history.lines?.slice(-Number(process.env['TRACE'])) ?? []) console.log(line);
  }
  expect(history.violations).toEqual([]);
}

test.each(seeds(40))(
  'a store in memory, seed %d',
  async (seed) => {
    const store = new MemoryStore();
    await run({ seed, steps: 1_500, store, audit: () => auditMemoryStore(store) });
  },
  30_000,
);

test.each(seeds(3))(
  'a store in a file, seed %d',
  async (seed) => {
    const folder = mkdtempSync(join(tmpdir(), 'martlet-simulation-'));
    const path = join(folder, 'martlet.db');
    const store = new SqliteStore({ path, sync: 'normal' });
    // Its thread is outside of virtual time: each turn waits until it has answered.
    const { pending } = store as unknown as { pending: ReadonlyMap<number, unknown> };
    try {
      await run({
        seed,
        steps: 1_000,
        store,
        afterKill: () => store.close(),
        idle: async () => {
          while (pending.size > 0) await settlePromises();
        },
      });
      await store.close();
      const db = new Database(path, { readonly: true });
      expect(storeChecks.flatMap((one) => one.run(db))).toEqual([]);
      db.close();
    } finally {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
  60_000,
);
