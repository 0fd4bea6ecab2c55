import { afterAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { ConfigError } from '../../config/config-error.ts';
import { sized } from '../../../test/support/long-run.ts';
import { keyFromHex, MAX_KEY_BYTES, parsePskFile, readPskFile } from './psk-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'martlet-psk-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const keysOf = (source: string | Uint8Array) =>
  Object.fromEntries(
    Array.from(parsePskFile(source, 'psk.txt').keys, ([identity, key]) => [identity, Buffer.from(key).toString('hex')]),
  );
const warningsOf = (source: string) =>
  parsePskFile(source, 'psk.txt').warnings.map(({ line, text }) => `${line}: ${text}`);
const messageOf = (source: string | Uint8Array): string => {
  try {
    parsePskFile(source, 'psk.txt');
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('was not refused');
};

describe('a line of a psk_file', () => {
  test.each([
    ['identity and key', 'dev-1:0123abCD', { 'dev-1': '0123abcd' }],
    ['blanks around both', '\t dev 1 :\t 01 \r', { 'dev 1': '01' }],
    ['colons in a row', 'a:::02', { a: '02' }],
    ['colons in front', '::a:03', { a: '03' }],
    ['a third field', 'a:04:zz', { a: '04' }],
    ['an identity with a #', 'a#b:05', { 'a#b': '05' }],
    ['an identity that is not ASCII', 'gerät:06', { gerät: '06' }],
    ['a comment', '#a:07', {}],
    ['no colon', 'nonsense', {}],
    ['nothing', '', {}],
    ['a colon alone', ':', {}],
  ])('%s', (_what, line, keys) => {
    expect(keysOf(`x:ff\n${line}\ny:ee`)).toEqual({ x: 'ff', ...keys, y: 'ee' });
    expect(warningsOf(line)).toEqual([]);
  });

  test('of an identity that comes again is ignored with a warning, as are those without identity or key', () => {
    const source = 'a:01\n :02\na:03\nb:\nc:0\nd: \n';
    expect(keysOf(source)).toEqual({ a: '01' });
    expect(warningsOf(source)).toEqual([
      '2: the identity is empty; the line is ignored',
      "3: identity 'a' has a line above; the line is ignored",
      "4: empty psk for identity 'b'; the line is ignored",
      "5: empty psk for identity 'c'; the line is ignored",
      "6: empty psk for identity 'd'; the line is ignored",
    ]);
  });

  test('that is no text is ignored with a warning, as a comment in Latin-1 would be', () => {
    const { keys, warnings } = parsePskFile(Buffer.from('# \xe4\na:01\n\xe4:02\nb\0:03', 'latin1'), 'psk.txt');
    expect(Array.from(keys.keys())).toEqual(['a']);
    expect(warnings.map(({ line, text }) => `${line}: ${text}`)).toEqual([
      '1: the line is not UTF-8; the line is ignored',
      '3: the line is not UTF-8; the line is ignored',
      '4: the line holds a NUL byte; the line is ignored',
    ]);
  });

  test('with an identity that TLS cannot carry is ignored with a warning', () => {
    const [longest, longer] = ['ä'.repeat(128), 'ä'.repeat(129)];
    expect(keysOf(`${longer}:01\n${longest}:02`)).toEqual({ [longest]: '02' });
    expect(warningsOf(`${longer}:01`)[0]).toEndWith('is longer than 256 bytes; the line is ignored');
  });
});

describe('a psk_file is refused, with file and line and without the key,', () => {
  test.each([
    [
      'for a key that is not hexadecimal',
      'a:01\nb:12z4',
      "psk.txt:2: psk for identity 'b' contains non-hexadecimal characters",
    ],
    ['for a key with 0x', 'a:0x0123', "psk.txt:1: psk for identity 'a' contains non-hexadecimal characters"],
    ['for a key with a blank in it', 'a:01 23', "psk.txt:1: psk for identity 'a' contains non-hexadecimal characters"],
    [
      'for a key longer than 512 bytes',
      `a:${'f'.repeat(1025)}`,
      "psk.txt:1: psk for identity 'a' is longer than 512 bytes",
    ],
    ['for a control character', 'a\u001b[1m:01', "psk.txt:1: identity 'a?[1m' contains control characters"],
    [
      'and all that is wrong is told',
      'a:x\nb:y',
      "psk.txt:1: psk for identity 'a' contains non-hexadecimal characters\n" +
        "psk.txt:2: psk for identity 'b' contains non-hexadecimal characters",
    ],
  ])('%s', (_why, source, message) => {
    expect(messageOf(source)).toBe(message);
  });

  test('where it cannot be read', () => {
    const missing = join(folder, 'missing');
    expect(() => readPskFile(missing)).toThrow(`${missing}: psk_file cannot be read: `);
    expect(() => readPskFile(folder)).toThrow(`${folder}: psk_file is not a file`);
  });
});

test('a psk_file that everybody can read is used with a warning', () => {
  const path = join(folder, 'psk.txt');
  writeFileSync(path, 'a:01\n');
  chmodSync(path, 0o644);
  const { keys, warnings } = readPskFile(path);
  expect(keys.get('a')).toEqual(Uint8Array.of(1));
  expect(warnings.map(({ text }) => text)).toEqual([expect.stringContaining('world readable')]);
  chmodSync(path, 0o600);
  expect(readPskFile(path).warnings).toEqual([]);
});

// test/psk/psk.test.ts shows that Debian's clients read them the same way.
test.each([
  ['', ''],
  ['0', ''],
  ['00', '00'],
  ['000', '00'],
  ['a', '0a'],
  ['0ab', 'ab'],
  ['000ab', '00ab'],
  ['0001', '0001'],
  ['123', '0123'],
  ['0123', '0123'],
])('digits %p are the key %p', (hex, key) => {
  expect(Buffer.from(keyFromHex(hex)).toString('hex')).toBe(key);
});

describe('fuzz', () => {
  const survives = (source: Uint8Array | string) => {
    try {
      const { keys, warnings } = parsePskFile(source, 'fuzz.txt');
      for (const [identity, key] of keys) {
        expect(identity).toMatch(/^[^\p{Cc}:]+$/u);
        expect(key.length).toBeWithin(1, MAX_KEY_BYTES + 1);
      }
      for (const { line } of warnings) expect(line).toBeGreaterThan(0);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      expect(error.message).toMatch(/^fuzz\.txt:\d+: /);
      // oxlint-disable-next-line no-control-regex -- what a terminal would obey
      expect(error.message).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    }
  };

  test('any bytes and any lines are keys or a ConfigError', () => {
    const field = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom('', ':', '#', ' ', '\r', '00', 'ff'),
    );
    const line = fc.array(field, { maxLength: 5 }).map((fields) => fields.join(''));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => survives(lines.join('\n'))),
      { numRuns: sized(100, 1_000) },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), survives), { numRuns: sized(100, 1_000) });
  });

  test('keys that were written are read, whatever stands around them', () => {
    const identity = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((one) => {
      const isPlain = /^[^\p{Cc}:#\s\ufeff]+$/u.test(one) && one.isWellFormed();
      return isPlain && Buffer.byteLength(one) <= 256;
    });
    const key = fc.uint8Array({ minLength: 1, maxLength: MAX_KEY_BYTES });
    const noise = fc.constantFrom('', '# comment: 12', 'no colon', ' ');
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(identity, key, noise), { selector: ([name]) => name }), (entries) => {
        const lines = entries.flatMap(([name, bytes, more]) => [
          more,
          `${name}: ${Buffer.from(bytes).toString('hex')}`,
        ]);
        const { keys } = parsePskFile(lines.join('\n'), 'psk.txt');
        expect(Array.from(keys)).toEqual(entries.map(([name, bytes]) => [name, Buffer.from(bytes)]));
      }),
      { numRuns: sized(100, 1_000) },
    );
  });
});
