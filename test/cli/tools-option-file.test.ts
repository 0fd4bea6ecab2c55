// Files of options: the usual ones beside Mosquitto's clients, `-o`, and what is wrong in them.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type ClientCommand, parseClientCommand } from '../../src/cli/client-options.ts';
import { clientOptionRows } from '../../src/cli/client-option-rows.ts';
import { ClientUsageError } from '../../src/cli/client-usage-error.ts';
import { type Command, runBoth, runOurs, words } from '../support/client/compare-commands.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';

let server: Mosquitto;
let folder: string;

beforeAll(async () => {
  server = await startMosquitto();
  folder = await mkdtemp(join(tmpdir(), 'martlet-options-'));
  await mkdir(join(folder, '.config'));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function write(name: string, text: string | Uint8Array): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, typeof text === 'string' ? text.replaceAll('{port}', String(server.ports['mqtt'])) : text);
  return file;
}

/** Runs both with the file where `env` leads to, and expects the same of them. */
async function compare(command: Command, line: string, env: Record<string, string> = { XDG_CONFIG_HOME: folder }) {
  const { theirs, ours } = await runBoth(command, { args: words(line, { ...server.ports }), env });
  expect(ours).toEqual(theirs);
  return ours;
}

describe('the usual file', () => {
  test('$XDG_CONFIG_HOME/mosquitto_pub, and without it ~/.config/mosquitto_pub', async () => {
    await write('mosquitto_pub', '-h 127.0.0.1\n-p {port}\n-t from/xdg\n-d\n');
    await write('.config/mosquitto_pub', '-h 127.0.0.1\n-p {port}\n-t from/home\n-d\n');
    expect((await compare('pub', '-m x')).stdout).toContain("'from/xdg'");
    expect((await compare('pub', '-m x', { HOME: folder })).stdout).toContain("'from/home'");
    expect((await compare('pub', '-m x', { HOME: '/nonexistent', XDG_CONFIG_HOME: folder })).stdout).toContain('xdg');
    const both = { HOME: folder, XDG_CONFIG_HOME: '/nonexistent' };
    expect((await compare('pub', '-h 127.0.0.1 -p {mqtt} -t a -m x', both)).stdout).toBe('');
  });

  test('each command has its own', async () => {
    await write('mosquitto_sub', '-h 127.0.0.1\n-p {port}\n-t one\n-t two\n-E\n-d\n');
    await write('mosquitto_rr', '-h 127.0.0.1\n-p {port}\n-e response\n-W 1\n-d\n');
    expect((await compare('sub', '-t three')).stdout).toContain('Topic: three');
    expect((await compare('rr', '-t request -m x')).status).toBe(27);
  });

  test.each([
    ['comments, empty lines, blanks in front, Windows line ends', '# -h bad\n\n   -h 127.0.0.1\r\n-p {port}\r\n\r\n-d'],
    ['values with blanks', '-h 127.0.0.1\n-p {port}\n-d\n--will-topic a b c\n--will-payload  two  blanks \n'],
    ['the command line comes after it', '-h nowhere.invalid\n-p {port}\n-q 2\n-h 127.0.0.1\n-t other\n-d'],
    ['a value that begins with #', '-h 127.0.0.1\n-p {port}\n-u #name\n-d'],
    ['an option without its value', '-h 127.0.0.1\n-p\n'],
    ['an option without its value behind a blank', '-h 127.0.0.1\n-p \n'],
    ['an unknown option', '-h 127.0.0.1\n--bogus x\n'],
    ['a word that is no option', 'bogus\n'],
    ['a switch with a value', '-d x\n'],
    ['a value that is refused', '-h 127.0.0.1\n-q 7\n'],
    ['an option of another command', '-C 1\n'],
    ['help', '--help\n'],
    ['-o, which means nothing here', '-h 127.0.0.1\n-p {port}\n'],
  ])('%s', async (_name, text) => {
    await write('mosquitto_pub', text);
    const line = '-t a -m x -q 1';
    if (text === '--help\n') {
      const { status, stdout } = await runOurs('pub', words(line, {}), '', { XDG_CONFIG_HOME: folder });
      expect({ status, isHelp: stdout.includes('Usage: ') }).toEqual({ status: 1, isHelp: true });
    } else await compare('pub', line);
  });

  test('an error names file and line', async () => {
    const file = await write('mosquitto_sub', '# mine\n-h 127.0.0.1\n--retian-as-published\n');
    const { status, stderr } = await runOurs('sub', ['-t', 'a'], '', { XDG_CONFIG_HOME: folder });
    expect(status).toBe(1);
    expect(stderr).toBe(
      `Error: Unknown option '--retian-as-published'. Did you mean '--retain-as-published'?\n(${file}, line 3)\n\n` +
        "Use 'martlet sub --help' to see usage.\n",
    );
  });

  // Mosquitto's clients have no way to write one.
  test('properties have their words in one line', async () => {
    await write(
      'mosquitto_pub',
      '-h 127.0.0.1\n-p {port}\n-D publish content-type  text/plain; x\n-D publish user-property a b c\n',
    );
    const reading = runOurs(
      'sub',
      words("-h 127.0.0.1 -p {mqtt} -t props -i props -C 1 -V 5 -F '%C|%P'", server.ports),
    );
    await server.waitForLog(/Sending SUBACK to props/);
    expect((await runOurs('pub', ['-t', 'props', '-m', 'x'], '', { XDG_CONFIG_HOME: folder })).status).toBe(0);
    expect((await reading).stdout).toBe('text/plain; x|a:b c\n');
    await write('mosquitto_pub', '-D publish content-type\n');
    const { stderr } = await runOurs('pub', ['-t', 'props', '-m', 'x'], '', { XDG_CONFIG_HOME: folder });
    expect(stderr).toContain('--property argument given but not enough arguments specified.\n');
  });

  test('a password need not be UTF-8', async () => {
    await write(
      'mosquitto_pub',
      Buffer.concat([Buffer.from('-u name\n-P '), Uint8Array.of(0xff, 0xfe), Buffer.from('\n')]),
    );
    const parsed = parseClientCommand('pub', [], { XDG_CONFIG_HOME: folder });
    expect(parsed.kind === 'run' ? parsed.options.password : null).toBe('\udcff\udcfe');
  });

  test('one that is there and cannot be read brings a warning, and the command goes on', async () => {
    await rm(join(folder, 'mosquitto_pub'));
    await mkdir(join(folder, 'mosquitto_pub'));
    const line = words('-h 127.0.0.1 -p {mqtt} -t a -m x', server.ports);
    const { status, stderr } = await runOurs('pub', line, '', { XDG_CONFIG_HOME: folder });
    expect(status).toBe(0);
    expect(stderr).toMatch(/^Warning: EISDIR: .* Options of this file are not used\.\n$/);
    expect((await runOurs('pub', [...line, '--quiet'], '', { XDG_CONFIG_HOME: folder })).stderr).toBe('');
    await rm(join(folder, 'mosquitto_pub'), { recursive: true });
  });
});

describe('-o', () => {
  test('names a file that is read instead of the usual one, wherever it stands', async () => {
    await write('mosquitto_pub', '--bogus\n');
    const file = await write('mine', '-h 127.0.0.1\n-p {port}\n-t mine\n-d\n');
    for (const args of [
      ['-o', file, '-m', 'x'],
      ['-m', 'x', '-o', file],
    ]) {
      const { status, stdout } = await runOurs('pub', args, '', { XDG_CONFIG_HOME: folder });
      expect(status).toBe(0);
      expect(stdout).toContain("'mine'");
    }
    await rm(join(folder, 'mosquitto_pub'));
  });

  test('is not taken for one where it is a value', async () => {
    const { stdout } = await runOurs('pub', words("-h 127.0.0.1 -p {mqtt} -t a -m '-o' -d", server.ports));
    expect(stdout).toContain('(2 bytes)');
  });

  test.each<[string, string[], string]>([
    [
      'a file that is not there',
      ['-o', '/nonexistent/file'],
      'Unable to read options file "/nonexistent/file": No such file',
    ],
    ['a folder', ['-o', '/'], 'Unable to read options file "/": Is a directory'],
    ['nothing behind it', ['-o'], '-o argument given but no options file specified.'],
    ['twice', ['-o', 'a', '-o', 'b'], 'Duplicate -o argument given.'],
  ])('%s', async (_name, args, message) => {
    for (const command of ['pub', 'sub', 'rr'] as const) {
      const { status, stderr } = await runOurs(command, args);
      expect(status).toBe(1);
      expect(stderr).toContain(`Error: ${message}`);
      expect(stderr).toEndWith(`\nUse 'martlet ${command} --help' to see usage.\n`);
    }
  });
});

describe('whatever stands in a file or on a command line', () => {
  const names = clientOptionRows.flatMap((row) => row.names);
  const word = fc.oneof(
    fc.constantFrom(...names, 'publish', 'user-property', 'content-type', '-o', '', '5', 'mqtt://h/t', '%j', 'a/#'),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const commands: readonly ClientCommand[] = ['pub', 'sub', 'rr'];

  test('it is taken or refused with a reason', async () => {
    const file = await write('mosquitto_any', '');
    await Promise.all(commands.map((command) => rm(join(folder, `mosquitto_${command}`), { force: true })));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(word, { maxLength: 5 })),
        fc.array(word),
        fc.boolean(),
        async (lines, args, isBinary) => {
          const text = lines.map((line) => line.join(' ')).join('\n');
          await writeFile(file, isBinary ? Buffer.from(text, 'latin1') : text);
          for (const command of commands) {
            try {
              parseClientCommand(command, args.includes('-o') ? args : ['-o', file, ...args], {});
            } catch (error) {
              expect(error).toBeInstanceOf(ClientUsageError);
              expect((error as Error).message).toStartWith('Error');
            }
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  test('a file of nothing but zeros or noise is an error with its line', async () => {
    const file = await write('noise', new Uint8Array(100_000));
    const { status, stderr } = await runOurs('sub', ['-o', file, '-t', 'a']);
    expect(status).toBe(1);
    expect(stderr).toContain(`(${file}, line 1)`);
    await chmod(file, 0o600);
  });
});
