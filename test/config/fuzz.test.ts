// Whatever stands in a file: it is a configuration, or it is refused with ConfigError. Nothing else comes out.

import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type ListenerConfig, securityOf } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { optionsByName } from '../../src/config/option-table.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { sized } from '../support/long-run.ts';

setDefaultTimeout(30_000);

function survives(source: Uint8Array | string, files: readonly string[] = []): void {
  try {
    const { config } = parseConfig(source, 'fuzz.conf');
    for (const { port, maxQos, security, mountPoint, acceptedVersions } of config.listeners) {
      expect(port).toBeWithin(0, 65_536);
      expect(maxQos).toBeWithin(0, 3);
      expect(mountPoint ?? '').not.toMatch(/[+#]/);
      expect(acceptedVersions?.length ?? 1).toBeWithin(1, 4);
      expect(Buffer.byteLength(securityOf(config, { security } as ListenerConfig).autoIdPrefix)).toBeWithin(0, 51);
    }
    // There are no bridges and no plugins yet, so whoever got here has none.
    expect(String(source).split('\n')).not.toContainEqual(expect.stringMatching(/^[ \t]*connection[ \t]+\S/));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    for (const { file } of error.problems) expect(['fuzz.conf', ...files]).toContain(file);
    // oxlint-disable-next-line no-control-regex -- what a terminal would obey
    expect(error.message).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    expect(error.message.length).toBeLessThan(20_000);
  }
}

const value = fc.oneof(
  fc.constantFrom('true', 'false', '0', '1', '-1', '65535', '65536', '1883', 'file', 'none', '14d', '#', '/', '::1'),
  fc.constantFrom('"', '""', '"a', 'b"', 'out', 'both', 'a/+', 'a:1', 'lazy', '3,5', 'ipv6', 'x.so'),
  fc.integer().map(String),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const blanks = fc.constantFrom(' ', '  ', '\t', '', ' \t ');
const optionLine = fc
  .tuple(blanks, fc.constantFrom(...optionsByName.keys()), blanks, fc.array(value, { maxLength: 4 }), blanks)
  .map(([before, name, between, values, after]) => `${before}${name}${between}${values.join(' ')}${after}`);
const line = fc.oneof(optionLine, optionLine, fc.string({ unit: 'binary', maxLength: 80 }));

test('random lines of known options and of anything', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 30 }), fc.constantFrom('\n', '\r\n', '\r'), (lines, end) => {
      survives(lines.join(end));
      survives(new TextEncoder().encode(lines.join(end)));
    }),
    { numRuns: sized(400, 5_000) },
  );
});

test('random files in a folder that is included', () => {
  const folder = mkdtempSync(join(tmpdir(), 'martlet-fuzz-'));
  const files = ['a.conf', 'B.conf'].map((name) => join(folder, name));
  const text = fc.array(line, { maxLength: 10 }).map((lines) => lines.join('\n'));
  try {
    fc.assert(
      fc.property(text, fc.oneof(text, fc.uint8Array({ maxLength: 200 })), text, text, (before, a, b, after) => {
        writeFileSync(files[0]!, a);
        writeFileSync(files[1]!, b);
        survives(`${before}\ninclude_dir ${folder}\n${after}`, files);
      }),
      { numRuns: 300 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => survives(bytes)),
    { numRuns: sized(400, 5_000) },
  );
});

test.each([
  ['a name', 'x'.repeat(1_000_000)],
  ['a value', `pid_file ${'x'.repeat(1_000_000)}`],
  ['many words', `listener ${'1 '.repeat(500_000)}`],
  ['blanks', `${' '.repeat(500_000)}max_qos${' '.repeat(500_000)}1`],
  ['blanks and a mark', `${' '.repeat(1_000_000)}x`],
  ['a number', `max_queued_bytes ${'9'.repeat(1_000_000)}`],
  ['a comment', `#${'x'.repeat(1_000_000)}`],
])('a line of a million characters, %s, takes no time to speak of', (_, text) => {
  const startedAt = performance.now();
  survives(text);
  survives(`${text}\n`.repeat(3));
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});
