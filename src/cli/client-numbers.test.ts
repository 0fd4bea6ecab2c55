import { expect, test } from 'bun:test';
import { parseMessageFormat } from './client-format.ts';
import { formatF, padWithZeros, separatedHex } from './client-numbers.ts';

test('floats are printed as by printf(1)', async () => {
  const values = [0, -0, 1, -1, 0.1, 0.5, 1.5, 2.5, 1e-7, 1e21, -1.7976931348623157e308, 5e-324, 3.141592653589793];
  const precisions = [0, 1, 6, 20];
  const lines: string[] = [];
  const args: string[] = [];
  for (const value of values) {
    for (const precision of precisions) {
      lines.push(formatF(value, precision));
      // printf(1) takes hexadecimal floats, so that no digit of the argument is lost.
      args.push(hexFloat(value));
    }
  }
  const format = values.map(() => precisions.map((precision) => `%.${precision}f\n`).join('')).join('');
  const expected = await Bun.$`LC_ALL=C /usr/bin/printf ${format} ${args}`.text();
  expect(lines).toEqual(expected.trimEnd().split('\n'));
});

function hexFloat(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  let exponent = Math.floor(Math.log2(Math.abs(value)));
  let scaled = value;
  // In steps, since 2 ** 1074 is no number.
  for (let left = exponent; left !== 0;) {
    const step = Math.max(-500, Math.min(500, left));
    scaled /= 2 ** step;
    left -= step;
  }
  let digits = 0n;
  for (let i = 0; i < 54; i++) {
    const whole = Math.trunc(scaled);
    digits = digits * 2n + BigInt(Math.abs(whole));
    scaled = (scaled - whole) * 2;
  }
  exponent -= 53;
  return `${value < 0 ? '-' : ''}0x${digits.toString(16)}p${exponent}`;
}

test('infinity and not a number, as in C', () => {
  expect([Infinity, -Infinity, NaN].map((value) => formatF(value, 2))).toEqual(['inf', '-inf', 'nan']);
});

test('zeros fill a width between sign and digits', () => {
  expect(padWithZeros('-1.5', 7)).toBe('-0001.5');
  expect(padWithZeros('1.5', 7)).toBe('00001.5');
  expect(padWithZeros('1.5', 2)).toBe('1.5');
});

test.each([
  ['%.2x', '18 83 0a'],
  ['%.2X', '18 83 0A'],
  ['%.2:x', '18:83:0a'],
  ['%.1-x', '1-8-8-3-0-a'],
  ['%.4x', '1883 0a'],
  ['%.99x', '18830a'],
  ['%8.2x', '   18 83 0a'],
  ['%08.2_x', '00_18_83_0a'],
  ['%-8.2x', '18 83 0a  '],
])('hexadecimal digits in groups: %s', (format, expected) => {
  const piece = parseMessageFormat(format)[0]!;
  if (piece.kind !== 'parameter') throw new Error('no parameter');
  expect(separatedHex(piece, Uint8Array.of(0x18, 0x83, 0x0a))).toBe(expected);
});
