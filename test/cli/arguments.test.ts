import { describe, expect, test } from 'bun:test';
import { type Flag, formatFlags, formatRows, parseArguments, UsageError, wrap } from '../../src/cli/arguments.ts';

const flags: readonly Flag[] = [
  { names: ['-c', '--config-file'], takes: 'FILE', help: 'A file.' },
  { names: ['--port'], takes: 'PORT', help: 'A port.' },
  { names: ['-v', '--verbose'], takes: null, help: 'More.' },
];

describe('arguments', () => {
  test('are values of flags, in order, under the last of their names', () => {
    const given = parseArguments(['--port', '1', '-v', '-c', 'a b', '--port=2'], flags);
    expect(given.all('--port')).toEqual(['1', '2']);
    expect(given.one('--config-file')).toBe('a b');
    expect(given.has('--verbose')).toBe(true);
    expect([given.has('-v'), given.one('--none')]).toEqual([false, null]);
  });

  test('may begin with a dash where they are values, and be empty behind an equals sign', () => {
    const given = parseArguments(['-c', '-v', '--port='], flags);
    expect(given.one('--config-file')).toBe('-v');
    expect(given.one('--port')).toBe('');
    expect(given.has('--verbose')).toBe(false);
  });

  test.each([
    [['-x'], "Unknown option '-x'."],
    [['--prot', '1'], "Unknown option '--prot'. Did you mean --port?"],
    [['--prot=1'], "Unknown option '--prot'. Did you mean --port?"],
    [['-c=a'], "Unknown option '-c=a'."],
    [['file'], "Unexpected argument 'file'."],
    [[''], "Unexpected argument ''."],
    [['-c'], '-c argument given, but no FILE specified.'],
    [['--verbose=yes'], '--verbose takes no value.'],
  ])('%p are refused', (args, message) => {
    expect(() => parseArguments(args, flags)).toThrow(new UsageError(message));
  });

  test('are refused where one value is wanted and two are given', () => {
    const given = parseArguments(['-c', 'a', '--config-file', 'b'], flags);
    expect(() => given.one('--config-file')).toThrow(new UsageError('--config-file is given more than once.'));
  });

  test.each([
    ['0', 0, 0],
    ['65535', 0, 65_535],
    ['0', 1, null],
    ['65536', 0, null],
    ['-1', 0, null],
    ['1e3', 0, null],
    ['', 0, null],
  ] as const)('port %p, at least %p, is %p', (value, least, port) => {
    const given = parseArguments([`--port=${value}`], flags);
    if (port === null) expect(() => given.port('--port', least)).toThrow(UsageError);
    else expect(given.port('--port', least)).toBe(port);
  });
});

describe('help text', () => {
  test('aligns flags, long names under long names', () => {
    expect(formatFlags(flags)).toBe(
      [
        '  -c, --config-file FILE  A file.',
        '      --port PORT         A port.',
        '  -v, --verbose           More.',
      ].join('\n'),
    );
  });

  test('wraps the right column under itself', () => {
    const rows = formatRows([['name', 'word '.repeat(40).trim()]]);
    const lines = rows.split('\n');
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    expect(lines[1]).toStartWith('        word');
  });

  test('leaves a word that is too long whole', () => {
    expect(wrap('a bbbbbb c', 3)).toEqual(['a', 'bbbbbb', 'c']);
  });
});
