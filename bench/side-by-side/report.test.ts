import { expect, test } from 'bun:test';
import type { Goal, Measurement } from './flow.ts';
import { formatRatio, jsonLines, judge, markdownReport, median, summarize, textReport } from './report.ts';
import { findFlows, type RunRecord } from './run.ts';

function record(target: string, round: number, cpuPerDeliveryUs: number, change: Partial<Measurement> = {}): RunRecord {
  return {
    flow: 'q0-pair',
    target,
    version: '1',
    round,
    variant: '',
    metrics: { rate: 1_000, cpuPerDeliveryUs },
    deliveries: 10,
    expected: 10,
    complete: true,
    notes: [],
    ...change,
  };
}

const rounds = [
  record('martlet', 1, 0.5),
  record('mosquitto', 1, 16),
  record('mosquitto', 2, 20),
  record('martlet', 2, 0.7),
  record('martlet', 3, 0.6),
  record('mosquitto', 3, 12),
];
const [flow] = findFlows(['q0-pair']);
if (flow === undefined) throw new Error('no q0-pair');

test('the median of an even count lies between the two in the middle', () => {
  expect(median([4, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test('a summary leaves incomplete rounds out of the median and says so', () => {
  const [mosquitto] = summarize([record('mosquitto', 1, 99, { complete: false }), record('mosquitto', 2, 16)]);
  expect(mosquitto?.metrics.cpuPerDeliveryUs).toBe(16);
  expect(mosquitto?.complete).toBe(false);
});

test('a ratio goal compares the medians', () => {
  const goal = { variant: '', metric: 'cpuPerDeliveryUs', kind: 'ratioAtMost', limit: 1 / 20 } as const;
  expect(judge(goal, summarize(rounds))).toEqual({
    text: 'cpu us/dlv: target <= 1/20 of mosquitto, got 1/26.7 ok',
    met: true,
  });
  expect(judge({ ...goal, limit: 1 / 30 }, summarize(rounds)).met).toBe(false);
  const alone = summarize(rounds.filter((one) => one.target === 'mosquitto'));
  expect(judge(goal, alone)).toEqual({ text: 'cpu us/dlv: target <= 1/20 of mosquitto, not measured', met: null });
});

test('a goal without a reference stands on our own figure and its own variant', () => {
  const summaries = summarize([
    record('martlet', 1, 0, { variant: 'bare', metrics: { rssPerConnectionBytes: 900, connectsPerCore: 9_000 } }),
    record('martlet', 1, 0, { variant: 'subscribed', metrics: { rssPerConnectionBytes: 2_000 } }),
  ]);
  const goal: Goal = { variant: 'bare', metric: 'rssPerConnectionBytes', kind: 'atMost', limit: 1_000 };
  expect(judge(goal, summaries).met).toBe(true);
  expect(judge({ ...goal, variant: 'subscribed' }, summaries).met).toBe(false);
  expect(judge({ ...goal, metric: 'connectsPerCore', kind: 'atLeast', limit: 10_000 }, summaries).met).toBe(false);
});

test('ratios well below one read as a fraction', () => {
  expect([1 / 24, 0.5, 0.9, 1, 3.14159].map(formatRatio)).toEqual(['1/24', '1/2', '0.9', '1', '3.14']);
});

test('the table shows every round, the median, the ratio and the verdict', () => {
  const text = textReport(flow, rounds, 3, false);
  expect(text.match(/^ {2}martlet +[123] /gm)?.length).toBe(3);
  expect(text).toMatch(/^ {2}mosquitto +median +1000 +16\.0 /m);
  expect(text).toMatch(/^ {2}ratio +1 +1\/26\.7/m);
  expect(text).toContain('got 1/26.7 ok');
});

test('an incomplete run shows what was counted, what was expected and why', () => {
  const broken = record('martlet', 1, 1, { complete: false, expected: 12, notes: ['2 connections were lost'] });
  const text = textReport(flow, [broken], 1, false);
  expect(text).toMatch(/ 10 +INCOMPLETE \(12\)$/m);
  expect(text).toContain('note: martlet round 1: 2 connections were lost');
});

test('the Markdown table has one shape in all its rows', () => {
  const lines = markdownReport(flow, rounds, 3, false)
    .split('\n')
    .filter((line) => line.startsWith('|'));
  expect(lines.length).toBe(2 + 6 + 2 + 1);
  expect(new Set(lines.map((line) => line.split('|').length)).size).toBe(1);
});

test('JSON lines carry the run and each figure, for every round and for the median', () => {
  const identity = { commit: 'abc', bun: '1', cpu: 'c', command: 'bench/broker', short: false };
  const lines = jsonLines(identity, rounds)
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  expect(lines.length).toBe(6 + 2);
  expect(lines[0]).toMatchObject({
    commit: 'abc',
    flow: 'q0-pair',
    target: 'martlet',
    round: 1,
    cpuPerDeliveryUs: 0.5,
    p99: null,
    deliveries: 10,
    complete: true,
  });
  expect(lines[6]).toMatchObject({ target: 'martlet', round: 'median', cpuPerDeliveryUs: 0.6 });
});
