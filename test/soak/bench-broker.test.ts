// `bench/broker --short`: every flow against this broker, each message counted at its receiver.
import { expect, test } from 'bun:test';
import { flows, runShort } from '../../bench/side-by-side/run.ts';

test('every flow of bench/broker runs to its end, with every message counted', async () => {
  const records = await runShort(['martlet']);
  const incomplete = records.filter(({ complete }) => !complete);
  expect(incomplete).toEqual([]);
  expect(new Set(records.map(({ flow }) => flow))).toEqual(new Set(flows.map(({ name }) => name)));
}, 90_000);
