import { expect, test } from 'bun:test';
import { runShort } from '../../bench/durable/run.ts';

test('the benchmark of durable sessions runs, and every message arrives', async () => {
  expect(await runShort()).toEqual([]);
}, 120_000);
