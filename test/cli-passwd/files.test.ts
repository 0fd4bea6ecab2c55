// What `martlet passwd` does to files and terminals, and whether brokers take its files.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, chown, link, lstat, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadAclFile, loadPasswordFile } from '../../src/auth/load-files.ts';
import { SecretReader } from '../../src/cli/passwd-prompt.ts';
import { ConnectReturnCode, ReasonCode } from '../../src/protocol/reason-code.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { WireClient } from '../support/wire-client.ts';
import { Folder, runOurs, runTheirs, typed } from './passwd-runs.ts';

let folder: Folder;
beforeAll(async () => {
  folder = await Folder.make();
});
afterAll(() => folder.remove());

const isRoot = process.getuid?.() === 0;

describe('the file', () => {
  test('is for its owner only when it is new, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await runOurs(['-c', '-b', folder.file('new'), 'u', 'p']);
    } finally {
      process.umask(before);
    }
    expect(await folder.mode('new')).toBe('600');
  });

  test('keeps its mode when it changes, and nothing is left beside it', async () => {
    const path = folder.file('kept');
    await writeFile(path, '');
    await chmod(path, 0o640);
    for (const args of [
      ['-b', path, 'u', 'p'],
      ['-c', '-b', path, 'u', 'p'],
      ['-D', path, 'u'],
    ]) {
      expect((await runOurs(args)).status).toBe(0);
      expect(await folder.mode('kept')).toBe('640');
    }
    expect((await readdir(folder.path)).filter((name) => name.startsWith('kept'))).toEqual(['kept']);
  });

  test.skipIf(!isRoot)('keeps its owner, so that a broker that runs as another user can read it', async () => {
    const path = folder.file('owned');
    await writeFile(path, '');
    await chown(path, 12_345, 23_456);
    await chmod(path, 0o600);
    await runOurs(['-b', path, 'u', 'p']);
    expect(await stat(path)).toMatchObject({ uid: 12_345, gid: 23_456 });
    expect(await folder.mode('owned')).toBe('600');
  });

  test('is replaced in one step: whoever has it open still reads the old one', async () => {
    const path = folder.file('atomic');
    await writeFile(path, 'x:y\n');
    const old = folder.file('old');
    await link(path, old);
    await runOurs(['-b', path, 'u', 'p']);
    expect(await folder.read('old')).toBe('x:y\n');
    expect(await folder.read('atomic')).toStartWith('x:y\nu:$7$');
  });

  test('behind a link is replaced, and not the link', async () => {
    await writeFile(folder.file('target'), 'x:y\n');
    await symlink('target', folder.file('link'));
    await runOurs(['-b', folder.file('link'), 'u', 'p']);
    expect((await lstat(folder.file('link'))).isSymbolicLink()).toBe(true);
    expect(await folder.read('target')).toStartWith('x:y\nu:$7$');
  });

  test('stays as it was when the command fails', async () => {
    const path = folder.file('same');
    await writeFile(path, 'x:y\nbad\n');
    const { ino } = await stat(path);
    for (const args of [
      ['-b', path, 'u', 'p'],
      ['-D', path, 'x'],
      ['-U', path],
    ]) {
      expect((await runOurs(args)).status).toBe(1);
    }
    expect(await folder.read('same')).toBe('x:y\nbad\n');
    expect((await stat(path)).ino).toBe(ino);
  });

  test('must be a regular one', async () => {
    expect(await runOurs(['-b', '/dev/null', 'u', 'p'])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'Error: Unable to open password file /dev/null. Not a regular file.\n',
    });
    expect((await runOurs(['-c', '-b', '/dev/null', 'u', 'p'])).status).toBe(1);
  });
});

describe('on a terminal', () => {
  const read = async (...chunks: (string | Uint8Array)[]) => {
    const input = typed(chunks, true);
    const reader = new SecretReader(input);
    expect(input.modes).toEqual([true]);
    const line = await reader.readLine();
    reader.close();
    expect(input.modes).toEqual([true, false]);
    return line === null ? null : Buffer.from(line).toString();
  };

  test.each([
    [['secret\r'], 'secret'],
    [['se', 'cr', 'et', '\n'], 'secret'],
    [['sex\x7fcret\r'], 'secret'],
    [['sex\bcret\r'], 'secret'],
    [['aä€\u{1f426}\x7f\x7f\x7fb\r'], 'ab'],
    [['\x7f\x7fa\r'], 'a'],
    [['wrong\x15right\r'], 'right'],
    [['\x04'], ''],
    [['a\x04b\r'], 'ab'],
    [['a'], 'a'],
    [['a\x03'], null],
  ])('%j is %j', async (chunks, expected) => {
    expect(await read(...chunks)).toBe(expected);
  });

  test('what is typed ahead is the next answer', async () => {
    const reader = new SecretReader(typed(['one\rtwo\rthr', 'ee\r'], true));
    const lines = [await reader.readLine(), await reader.readLine(), await reader.readLine()];
    expect(lines.map((line) => new TextDecoder().decode(line!))).toEqual(['one', 'two', 'three']);
  });

  test('Ctrl-C changes nothing', async () => {
    const path = folder.file('interrupted');
    await writeFile(path, 'x:y\n');
    const run = await runOurs([path, 'u'], typed(['secr\x03'], true));
    expect(run).toMatchObject({ status: 1, stderr: 'Error: Interrupted, nothing is changed.\n' });
    expect(await folder.read('interrupted')).toBe('x:y\n');
  });

  /** Types `answers` one at each prompt, into a process on a terminal. */
  async function onTerminal(args: readonly string[], answers: readonly string[]) {
    let output = '';
    const left = [...answers];
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'run-passwd.ts'), ...args], {
      timeout: 20_000,
      terminal: {
        data: (terminal, bytes) => {
          output += Buffer.from(bytes).toString();
          if (/assword: $/.test(output)) {
            output += '|';
            terminal.write(left.shift() ?? '\x03');
          }
        },
      },
    });
    const status = await child.exited;
    child.terminal?.close();
    return { status, output };
  }

  test('the password is not shown, and the process ends', async () => {
    const path = folder.file('typed');
    const { status, output } = await onTerminal(['-c', path, 'u'], ['hunter2\r', 'hunter2\r']);
    expect(output).toBe('Password: |\r\nReenter password: |\r\nAdding password for user u\r\n');
    expect(status).toBe(0);
    expect(await folder.users('typed', ['hunter2'])).toEqual(['u:hunter2']);
  }, 30_000);

  test('Ctrl-C ends the process', async () => {
    const { status, output } = await onTerminal(['-c', folder.file('stopped'), 'u'], ['hunter2\r', 'hun\x03']);
    expect(output).not.toContain('hun');
    expect(status).toBe(1);
    expect(await folder.users('stopped', [])).toBeNull();
  }, 30_000);
});

test('a process takes the password from a pipe', async () => {
  const path = folder.file('piped');
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'run-passwd.ts'), '-c', path, 'u'], {
    stdin: new Blob(['a b\na b\n']),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 20_000,
  });
  expect([await child.stdout.text(), await child.stderr.text(), await child.exited]).toEqual([
    'Password: \nReenter password: \nAdding password for user u\n',
    '',
    0,
  ]);
  expect(await folder.users('piped', ['a b'])).toEqual(['u:a b']);
}, 30_000);

describe('files of one for the other', () => {
  const users = [
    ['ann', 'p'],
    ['bob b', 'pä ß'],
    ['\u{1f426}', 'x'.repeat(200)],
    ['eve', ' '],
  ] as const;

  test('a running Mosquitto takes ours', async () => {
    const server = await startMosquitto(
      { mqtt: [] },
      ['allow_anonymous false', 'password_file FOLDER/pw'],
      async (path) => {
        const file = join(path, 'pw');
        const kinds = ['sha512-pbkdf2', 'sha512', 'sha512-pbkdf2', 'sha512'];
        for (const [i, [name, password]] of users.entries()) {
          const args = ['-H', kinds[i]!, ...(i === 0 ? ['-c'] : []), '-b', file, name, password];
          expect((await runOurs(args)).status).toBe(0);
        }
      },
    );
    try {
      const login = async (username: string, password: string) => {
        const client = await WireClient.open(server.ports['mqtt']!, { version: 4 });
        const { reasonCode } = await client.handshake({ username, password });
        client.end();
        return reasonCode;
      };
      for (const [name, password] of users) {
        expect([name, await login(name, password)]).toEqual([name, ReasonCode.success]);
        expect([name, await login(name, `${password}.`)]).toEqual([name, ConnectReturnCode.notAuthorized]);
      }
    } finally {
      await server.stop();
    }
  }, 30_000);

  test('we take those of mosquitto_passwd', async () => {
    const path = folder.file('theirs');
    for (const [i, [name, password]] of users.entries()) {
      const args = [
        '-H',
        i % 2 === 0 ? 'sha512' : 'sha512-pbkdf2',
        ...(i === 0 ? ['-c'] : []),
        '-b',
        path,
        name,
        password,
      ];
      expect((await runTheirs(args)).status).toBe(0);
    }
    const all = users.map(([, password]) => password);
    expect(await folder.users('theirs', all)).toEqual(users.map(([name, password]) => `${name}:${password}`));
    expect(loadPasswordFile(path).file.problems).toEqual([]);
  });

  test('each changes the files of the other', async () => {
    const path = folder.file('both');
    await runOurs(['-c', '-b', path, 'u', 'p']);
    await runTheirs(['-b', path, 'v', 'q']);
    await runOurs(['-b', path, 'v', 'r']);
    await runTheirs(['-D', path, 'u']);
    expect(await folder.users('both', ['p', 'q', 'r'])).toEqual(['v:r']);
  });
});

describe('files that a broker loads', () => {
  test('are warned of when anyone on the machine may read them', async () => {
    const path = folder.file('open');
    await writeFile(path, 'topic read a\n');
    await chmod(path, 0o644);
    const text = `File ${path} has world readable permissions. To fix this, use \`chmod 0600 ${path}\`.`;
    expect(loadAclFile(path).warnings).toEqual([{ file: path, line: null, text }]);
    expect(loadPasswordFile(path).warnings).toEqual([{ file: path, line: null, text }]);
    await chmod(path, 0o640);
    expect(loadAclFile(path).warnings).toEqual([]);
    expect(loadAclFile(path).file.anonymous).toHaveLength(1);
  });

  test('that cannot be read are refused by name', async () => {
    const missing = folder.file('missing');
    expect(() => loadAclFile(missing)).toThrow(
      new ConfigError([{ file: missing, line: null, text: 'acl_file cannot be read: no such file or directory' }]),
    );
    const inside = folder.file('folder');
    await mkdir(inside);
    expect(() => loadPasswordFile(inside)).toThrow(`${inside}: password_file is not a file`);
  });
});
