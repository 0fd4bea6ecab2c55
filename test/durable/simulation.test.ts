import { expect, test } from 'bun:test';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { auditMemoryStore } from '../support/simulation/audit.ts';
import { describeRun, Simulation } from '../support/simulation/simulation.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/** `SEED=n` runs one seed, `SEEDS=n` so many from `SEED` on. */
const first = Number(process.env['SEED'] ?? 1);
const count = Number(process.env['SEEDS'] ?? (process.env['SEED'] === undefined ? 20 : 1));

async function run(seed: number, steps: number): Promise<void> {
  const time = new VirtualTime();
  const store = new MemoryStore();
  const simulation = new Simulation({ seed, steps, store, time, audit: () => auditMemoryStore(store) });
  if (process.env['TRACE'] !== undefined) simulation.history.lines = [];
  time.install();
  try {
    await simulation.run();
  } finally {
    time.uninstall();
  }
  if (simulation.history.violations.length > 0) {
    console.log(`SEED=${seed}: ${describeRun(simulation)}`);
    for (const line of simulation.history.lines?.slice(-Number(process.env['TRACE'])) ?? []) console.log(line);
  }
  expect(simulation.history.violations).toEqual([]);
}

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}`, () => run(seed, 1_500), 30_000);
}
