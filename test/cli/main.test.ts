import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import packageJson from '../../package.json';
import { run } from './run-martlet.ts';

setDefaultTimeout(30_000);

const bin = [join(import.meta.dir, '..', '..', 'bin', 'martlet')];
const commands = ['start', 'broker', 'pub', 'sub', 'help'];

describe('help', () => {
  test.each(['help', '--help', '-h', 'help help'])('martlet %s lists the commands', async (args) => {
    const { status, stdout, stderr } = await run(args.split(' '));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toStartWith(`Martlet ${packageJson.version}: `);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} +[A-Z].*\\.$`, 'm'));
    expect(stdout).toContain('Examples:\n  martlet ');
  });

  test('no command at all is an error that lists the commands', async () => {
    const { status, stdout, stderr } = await run([]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('Usage: martlet COMMAND');
  });

  test.each([
    ['broker', 'help'],
    ['broker', '--help'],
    ['start', 'help'],
    ['start', '-h'],
  ])('of %s by %s', async (command, way) => {
    const { status, stdout, stderr } = await run(way === 'help' ? ['help', command] : [command, way]);
    // Mosquitto 2.1 leaves with 13 where it is asked for its help, `martlet help` does not.
    expect({ status, stderr }).toEqual({ status: command === 'broker' && way !== 'help' ? 13 : 0, stderr: '' });
    expect(stdout).toStartWith(`Usage: martlet ${command} [OPTION ...]\n\nRuns the `);
    expect(stdout).toContain('\n  -c, --config-file FILE  ');
    expect(stdout).toContain('\nExamples:\n  martlet ');
  });

  test('config lists the options of the configuration file with their defaults', async () => {
    const { status, stdout, stderr } = await run(['help', 'config']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('\nListeners\n\n  listener PORT [ADDRESS]  ');
    expect(stdout).toMatch(/\n  max_queued_messages N +Most messages that wait [^[]*\[1000\]\n/);
    expect(stdout).not.toContain('`');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  test('of two things at once is refused', async () => {
    expect(await run(['help', 'pub', 'sub'])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'martlet: help explains one thing at a time.\n',
    });
  });
});

test.each([['--version'], ['-V']])('%s', async (option) => {
  expect(await run([option], { command: bin })).toEqual({
    status: 0,
    stdout: `martlet ${packageJson.version}\n`,
    stderr: '',
  });
});

describe('an unknown command', () => {
  test.each([
    [
      ['brokr'],
      "martlet: unknown command 'brokr'; did you mean 'broker'?\nmartlet: 'martlet help' lists the commands.\n",
    ],
    [['frobnicate'], "martlet: unknown command 'frobnicate'\nmartlet: 'martlet help' lists the commands.\n"],
    [['constructor'], "martlet: unknown command 'constructor'\nmartlet: 'martlet help' lists the commands.\n"],
    [['help', 'confg'], "martlet: unknown command 'confg'; did you mean 'config'?\n"],
  ])('%p', async (args, stderr) => {
    expect(await run(args)).toEqual({ status: 1, stdout: '', stderr });
  });
});

test('bin/martlet can be called from anywhere', async () => {
  const { status, stderr } = await run(['brokr'], { command: bin, cwd: '/' });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: "martlet: unknown command 'brokr'; did you mean 'broker'?\nmartlet: 'martlet help' lists the commands.\n",
  });
});
