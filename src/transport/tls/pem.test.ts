import { expect, test } from 'bun:test';
import { pemBlocks } from './pem.ts';

const block = (label: string, middle: string) => `-----BEGIN ${label}-----\n${middle}\n-----END ${label}-----\n`;

test('blocks are found among other text, whatever ends the lines', () => {
  const source = `a remark\r\n${block('CERTIFICATE', 'AQID\r\nBAUG').replaceAll('\n', '\r\n')}more\n${block('X', 'AA==')}`;
  const blocks = pemBlocks(source);
  expect(blocks.map(({ label, der }) => [label, Buffer.from(der!).toString('hex')])).toEqual([
    ['CERTIFICATE', '010203040506'],
    ['X', '00'],
  ]);
  expect(blocks[1]!.text).toBe(block('X', 'AA=='));
});

test.each([
  ['does not end', '-----BEGIN A-----\nAAAA\n'],
  ['ends as another', '-----BEGIN A-----\nAAAA\n-----END B-----\n'],
  ['is empty', block('A', '')],
  ['is no base64', block('A', 'AA*A')],
  ['is base64 that is cut short', block('A', 'AAA')],
  ['has headers', block('A', 'Proc-Type: 4,ENCRYPTED\n\nAAAA')],
])('a block that %s has no bytes', (_what, source) => {
  expect(pemBlocks(source).map(({ label, der }) => [label, der])).toEqual([['A', null]]);
});

test('a block that begins inside of another ends that', () => {
  const blocks = pemBlocks(`-----BEGIN A-----\nAAAA\n${block('B', 'AAAA')}`);
  expect(blocks.map(({ label, der }) => [label, der !== null])).toEqual([
    ['A', false],
    ['B', true],
  ]);
});
