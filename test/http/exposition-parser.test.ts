import { expect, test } from 'bun:test';
import { parseExposition, valueOf } from './exposition-parser.ts';

const GOOD = '# HELP a_total Says \\\\ and \\n.\n# TYPE a_total counter\na_total{b="c\\"\\\\\\n"} 1e3\na_total 2\n';

test('the checker reads names, help, escapes and numbers', () => {
  const families = parseExposition(GOOD);
  expect(families.get('a_total')?.help).toBe('Says \\ and \n.');
  expect(valueOf(families, 'a_total', { b: 'c"\\\n' })).toBe(1_000);
  expect(valueOf(families, 'a_total')).toBe(2);
});

const histogram = (lines: string) => `# HELP h Help.\n# TYPE h histogram\n${lines}\n`;

test.each([
  ['no line feed at the end', GOOD.slice(0, -1)],
  ['a sample before its family', 'a_total 1\n'],
  ['TYPE without HELP', '# TYPE a_total counter\na_total 1\n'],
  ['HELP without TYPE', '# HELP a_total Help.\na_total 1\n'],
  ['a family twice', GOOD + GOOD],
  ['the same sample twice', `${GOOD}a_total 3\n`],
  ['a sample of another family', `${GOOD}b 3\n`],
  ['an empty line', `${GOOD}\n`],
  ['a bad escape', GOOD.replace('\\"', '\\x')],
  ['a quote in a label', GOOD.replace('\\"', '"')],
  ['a bad metric name', GOOD.replaceAll('a_total', 'a-total')],
  ['a bad number', GOOD.replace('1e3', '1,000')],
  ['a blank at the end of a line', GOOD.replace('1e3', '1e3 ')],
  ['an unknown type', GOOD.replace(' counter', ' number')],
  ['a counter that is not called _total', GOOD.replaceAll('a_total', 'a_sum')],
  ['a gauge that is', GOOD.replace(' counter', ' gauge')],
  ['milliseconds', GOOD.replaceAll('a_total', 'a_ms_total')],
  ['a counter below zero', GOOD.replace('1e3', '-1')],
  ['a histogram without +Inf', histogram('h_bucket{le="1"} 1\nh_sum 1\nh_count 1')],
  ['buckets that are not cumulative', histogram('h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1')],
  ['another count than the last bucket', histogram('h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2')],
])('the checker refuses %s', (_, text) => {
  expect(() => parseExposition(text)).toThrow();
});
