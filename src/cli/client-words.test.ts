import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { decodeWord, encodeWord, originalWords } from './client-words.ts';

test('any bytes come out as they went in, and UTF-8 as text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(encodeWord(decodeWord(bytes))).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(decodeWord(new TextEncoder().encode(text))).toBe(text);
      expect(decodeWord(encodeWord(text))).toBe(text);
    }),
  );
});

test('what is no UTF-8 becomes text that is not well-formed', () => {
  for (const bytes of [[0xff], [0xc3], [0xe2, 0x82], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0x61, 0x80, 0x62]]) {
    expect(decodeWord(Uint8Array.from(bytes)).isWellFormed()).toBe(false);
  }
  expect(decodeWord(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9))).toBe('a\udcffé');
});

test('words are taken from the system only where the runtime lost something of them', () => {
  const raw = () => [Uint8Array.of(0x62), Uint8Array.of(0x2d, 0x6d), Uint8Array.of(0xff)];
  const unused = () => {
    throw new Error('asked for nothing');
  };
  expect(originalWords(['-m', 'é'], unused)).toEqual(['-m', 'é']);
  expect(originalWords(['-m', '\ufffd'], raw)).toEqual(['-m', '\udcff']);
  expect(originalWords(['-m', '\ufffd'], () => null)).toEqual(['-m', '\ufffd']);
  expect(originalWords(['-m', 'x', 'y', '\ufffd'], raw)).toEqual(['-m', 'x', 'y', '\ufffd']);
});
