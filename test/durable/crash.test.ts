import { expect, test } from 'bun:test';
import { runCrashes } from '../../bench/durable/crash-run.ts';
import { sized } from '../support/long-run.ts';

test('SIGKILL again and again under load: what was acknowledged arrives, at QoS 2 once, in order', async () => {
  const result = await runCrashes({
    kills: sized(8, 40),
    publishers: 4,
    subscribers: 3,
    life: [30, 300],
    payloadBytes: 100,
    sync: 'normal',
  });
  expect(result.violations).toEqual([]);
  expect(result.published).toBeGreaterThan(200);
  expect(result.received).toBeGreaterThanOrEqual(3 * result.published);
}, 180_000);
