import { expect, test } from 'bun:test';
import { FakeClock, TestBroker } from '../../test/support/test-broker.ts';
import { Sampler } from './sampler.ts';

test('a sample that comes late is lag, and its rates are over the time it took', () => {
  const { broker } = new TestBroker();
  const clock = new FakeClock();
  const sampler = new Sampler(broker, clock);
  clock.add(1_000);
  sampler.sample();
  broker.counters.publishReceived += 40;
  clock.add(4_000);
  sampler.sample();
  clock.add(1_002);
  sampler.sample();
  expect(sampler.history.since(0).series.messagesIn).toEqual([0, 10, 0]);
  expect(sampler.lag.count).toBe(3);
  expect(sampler.lag.sumSeconds).toBeCloseTo(3.002, 6);
  // Bounds are 1 ms, 2.5 ms, ... 2.5 s, 5 s.
  expect(sampler.lag.buckets).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
});

test('the timer samples once a second, and ends with stop', async () => {
  const sampler = new Sampler(new TestBroker().broker, { wallMs: Date.now, monotonicMs: () => performance.now() });
  const { promise, resolve } = Promise.withResolvers<void>();
  const { sample } = sampler;
  const times: number[] = [];
  sampler.sample = () => {
    sample.call(sampler);
    times.push(performance.now());
    if (times.length === 2) resolve();
  };
  sampler.start();
  const keepAlive = setInterval(() => {}, 1_000); // the sampler's own timer does not hold a process
  await promise;
  sampler.stop();
  clearInterval(keepAlive);
  expect(times[1]! - times[0]!).toBeGreaterThan(900);
  expect(sampler.lag.count).toBe(2);
});
