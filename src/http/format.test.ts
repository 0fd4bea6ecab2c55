import { expect, test } from 'bun:test';
import { formatBytes, formatCount, formatDuration, formatNumberOf, formatRate } from './format.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1 kB'],
  [1_250, '1.3 kB'],
  [9_940, '9.9 kB'],
  [9_960, '10 kB'],
  [999_499, '999 kB'],
  [999_500, '1 MB'],
  [2.5e9, '2.5 GB'],
  [1e18, '1,000 PB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [-1, '0 s'],
  [59.9, '59 s'],
  [60, '1 min 0 s'],
  [3_599, '59 min 59 s'],
  [3_600, '1 h 0 min'],
  [86_399, '23 h 59 min'],
  [86_400, '1 d 0 h'],
  [1_000 * 86_400 + 7_200, '1,000 d 2 h'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test('rates have a digit behind the point only below ten', () => {
  expect([0, 0.04, 0.25, 9.94, 12.5, 1_234.5].map(formatRate)).toEqual(['0', '0', '0.3', '9.9', '13', '1,235']);
});

test('counts have separators, and one thing is singular', () => {
  expect(formatCount(1_234_567)).toBe('1,234,567');
  expect([0, 1, 2].map((count) => formatNumberOf(count, 'client'))).toEqual(['0 clients', '1 client', '2 clients']);
});
