import { expect, test } from 'bun:test';
import { History, HISTORY_SAMPLES, type HistoryReading } from './history.ts';

const reading = (total: number, connections = 0): HistoryReading => ({
  connections,
  messagesIn: total,
  messagesOut: total * 2,
  bytesIn: total * 10,
  bytesOut: total * 20,
});

test('totals become rates over the time that passed, levels stay', () => {
  const history = new History(1_000, reading(100));
  history.record(2_000, reading(150, 7));
  history.record(4_000, reading(250, 8));
  const { next, series } = history.since(0);
  expect(next).toBe(2);
  expect(series).toEqual({
    connections: [7, 8],
    messagesIn: [50, 50],
    messagesOut: [100, 100],
    bytesIn: [500, 500],
    bytesOut: [1_000, 1_000],
  });
  expect(history.latest('connections')).toBe(8);
});

test('there is nothing before the first sample', () => {
  const history = new History(0, reading(0));
  expect(history.latest('messagesIn')).toBe(0);
  expect(history.since(0)).toMatchObject({ next: 0, series: { connections: [] } });
});

test('a reader gets what is new, and all there is where its place is not known', () => {
  const history = new History(0, reading(0));
  for (let i = 1; i <= HISTORY_SAMPLES + 50; i++) history.record(i * 1_000, reading(0, i));
  const last = HISTORY_SAMPLES + 50;
  const got = (since: number): number[] => history.since(since).series.connections;
  expect(got(last - 2)).toEqual([last - 1, last]);
  expect(got(last)).toEqual([]);
  for (const since of [0, 49, last + 1, -1, Number.NaN, 1e300]) {
    expect(got(since)).toHaveLength(HISTORY_SAMPLES);
    expect(got(since)[0]).toBe(51);
  }
  expect(got(50)).toHaveLength(HISTORY_SAMPLES);
});
