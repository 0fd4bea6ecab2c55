// docs/configuration.md has the tables that the option table makes. After a change: UPDATE_DOCS=1 npm test -- test/config/docs

import { expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { optionTables } from '../../src/config/option-docs.ts';
import { optionGroups } from '../../src/config/option-table.ts';
import { parseConfig } from '../../src/config/parse-config.ts';

const path = join(import.meta.dir, '..', '..', 'docs', 'configuration.md');
const begin = '<!-- options: begin, made by test/config/docs.test.ts -->';
const end = '<!-- options: end -->';

test('docs/configuration.md is in step with the option table', () => {
  const document = readFileSync(path, 'utf8');
  const from = document.indexOf(begin) + begin.length;
  const to = document.indexOf(end);
  expect(from).toBeGreaterThan(begin.length);
  expect(to).toBeGreaterThan(from);
  const wanted = `\n\n${optionTables()}\n\n`;
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(path, document.slice(0, from) + wanted + document.slice(to));
  else expect(document.slice(from, to)).toBe(wanted);
});

test('the example in docs/configuration.md is a configuration', () => {
  const [, example] = /```\n([^]*?)```/.exec(readFileSync(path, 'utf8'))!;
  const { config, notices } = parseConfig(example!, 'example.conf');
  expect(notices).toEqual([]);
  expect(
    config.listeners.map(({ port, host, protocol, certfile }) => [port, host, protocol, certfile !== null]),
  ).toEqual([
    [8883, null, 'mqtt', true],
    [1883, '127.0.0.1', 'mqtt', false],
    [8083, null, 'websockets', false],
  ]);
});

test('options have one name each, and say what they take, what holds without them, and what they do', () => {
  const options = optionGroups.flatMap((group) => group.options);
  const names = options.flatMap(({ name, aliases }) => [name, ...aliases]);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, placeholder, expects, default: defaultText, summary } of options) {
    expect(name).toMatch(/^[a-z][a-z0-9_.]*\*?$/);
    for (const text of [placeholder, expects, defaultText]) expect(text).not.toBe('');
    expect(summary).toMatch(/^[A-Z`].*\.$/);
  }
});
