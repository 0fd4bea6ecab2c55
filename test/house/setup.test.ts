// A fresh clone on a machine with only Node.js and npm, where npm skips install scripts: set-up, start, and signals.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { chmod, stat, symlink, utimes } from 'node:fs/promises';
import packageJson from '../../package.json';
import { cleanEnvironment, copyProject, type Finished, type ProjectCopy } from './project-copy.ts';

setDefaultTimeout(60_000); // npm and Node.js start slowly on a busy machine

const version = packageJson.dependencies.bun;

/** Prints what it was started with. Told to wait, it stays until a signal and prints each one it gets. */
const program = `
process.exitCode = process.argv.includes('fail') ? 3 : 0;
if (process.argv.includes('wait')) {
  for (const name of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(name, () => console.log(name));
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => { console.log(name); process.exit(name === 'SIGTERM' ? 7 : 0); });
  }
  setInterval(() => {}, 60_000);
}
console.log(JSON.stringify({ bun: Bun.version, pid: process.pid, args: process.argv.slice(2), cwd: process.cwd() }));
`;

type Report = { bun: string; pid: number; args: string[]; cwd: string };

describe('a fresh clone where npm skips install scripts', () => {
  const env = { npm_config_ignore_scripts: 'true', npm_config_prefer_offline: 'true' };
  let copy: ProjectCopy;
  let first: Finished;

  beforeAll(async () => {
    copy = await copyProject(program);
    first = await copy.run(['npm', 'start', '--', 'one', 'two words'], { env });
  }, 120_000);
  afterAll(async () => {
    await copy[Symbol.asyncDispose]();
  });

  test('npm start installs and reaches the pinned Bun', () => {
    expect(first).toMatchObject({ exitCode: 0 });
    expect(reportOf(first)).toMatchObject({ bun: version, args: ['start', 'one', 'two words'], cwd: copy.folder });
    expect(first.stderr).toMatch(/installing packages .* \d+\.\d s\n/);
  });

  test('the placeholder is still what the bun package holds', async () => {
    expect((await stat(copy.path('node_modules/bun/bin/bun.exe'))).size).toBeLessThan(10_000);
  });

  test('a second start neither installs nor stamps again', async () => {
    const stampedAt = (await stat(copy.path('node_modules/.martlet/bun'))).mtimeMs;
    const installedAt = (await stat(copy.path('node_modules/.package-lock.json'))).mtimeMs;
    const second = await copy.run(['npm', 'start', 'again'], { env });
    const third = await copy.run(['bin/martlet', 'again']);
    expect(reportOf(second).args).toEqual(['start', 'again']);
    expect(reportOf(third).args).toEqual(['again']);
    expect(second.stderr + third.stderr).toBe('');
    expect((await stat(copy.path('node_modules/.martlet/bun'))).mtimeMs).toBe(stampedAt);
    expect((await stat(copy.path('node_modules/.package-lock.json'))).mtimeMs).toBe(installedAt);
  });

  test('the exit status is that of the program', async () => {
    expect(await copy.run(['bin/martlet', 'fail'])).toMatchObject({ exitCode: 3 });
    expect(await copy.run(['node', 'scripts/run.mjs', 'start', 'fail'])).toMatchObject({ exitCode: 3, stderr: '' });
  });

  test('bin/martlet works through links, from any folder, and takes no settings from there', async () => {
    await copy.write('elsewhere/bunfig.toml', 'preload = ["./intruder.ts"]\n');
    await copy.write('elsewhere/intruder.ts', 'console.log("loaded from the folder we were called in");\n');
    await symlink('../bin/martlet', copy.path('elsewhere/one'));
    await symlink('one', copy.path('elsewhere/two'));
    const run = await copy.run(['./two', 'x'], { cwd: copy.path('elsewhere') });
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(reportOf(run)).toMatchObject({ args: ['x'], cwd: copy.path('elsewhere') });
  });

  test('a lockfile that was only touched is not installed again, nor are packages npm put there without us', async () => {
    const installedAt = (await stat(copy.path('node_modules/.package-lock.json'))).mtimeMs;
    await utimes(copy.path('package-lock.json'), new Date(), new Date());
    expect(await copy.run(['bin/martlet'])).toMatchObject({ exitCode: 0, stderr: '' });
    await copy.run(['rm', '-r', 'node_modules/.martlet']);
    expect(await copy.run(['bin/martlet'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await stat(copy.path('node_modules/.package-lock.json'))).mtimeMs).toBe(installedAt);
    expect(await copy.read('node_modules/.martlet/package-lock.json')).toBe(await copy.read('package-lock.json'));
  });

  test('the process that the shell started becomes the program, so its id and signals are the same', async () => {
    const { child, report, rest } = await startWaiting(copy, ['bin/martlet', 'wait']);
    expect(report.pid).toBe(child.pid);
    child.kill('SIGTERM');
    expect(await child.exited).toBe(7);
    expect(await rest()).toBe('SIGTERM\n');
  });

  test.each([[['node', 'scripts/run.mjs', 'start', 'wait']], [['npm', 'start', '--silent', 'wait']]])(
    '%p hands on SIGTERM and leaves with the status of the program',
    async (command) => {
      const { child, report, rest } = await startWaiting(copy, command);
      expect(report.pid).not.toBe(child.pid);
      child.kill('SIGTERM');
      expect(await child.exited).toBe(7);
      expect(await rest()).toBe('SIGTERM\n');
      expect(isAlive(report.pid)).toBe(false);
    },
  );

  test('SIGHUP, SIGUSR1 and SIGUSR2 reach the program and end nothing', async () => {
    const { child, nextLine } = await startWaiting(copy, ['node', 'scripts/run.mjs', 'start', 'wait']);
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
      child.kill(signal);
      expect(await nextLine()).toBe(signal);
    }
    child.kill('SIGTERM');
    expect(await child.exited).toBe(7);
  });

  test('npm that is killed outright takes the program with it', async () => {
    const { child, rest } = await startWaiting(copy, ['npm', 'start', '--silent', 'wait']);
    child.kill('SIGKILL');
    expect(await rest()).toBe('SIGTERM\n'); // ends when the program has closed its stdout
  });

  test('Ctrl-C in a terminal reaches the program once and ends all with status 0', async () => {
    const outcome = await pressCtrlC(['npm', 'start', '--silent', 'wait'], copy.folder);
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(outcome.screen.match(/SIGINT/g)).toHaveLength(1);
    expect(outcome.screen).not.toMatch(/Error|npm error|\bat \S+:\d+/);
  });
});

describe('set-up that cannot go on says why in one line', () => {
  const emptyLock = (packages: object): string => JSON.stringify({ lockfileVersion: 3, packages });

  /** A tree whose lockfile asks for nothing, so that npm is not needed to come as far as Bun. */
  async function copyWithBun(script: string): Promise<ProjectCopy> {
    const copy = await copyProject(program);
    await copy.write('package-lock.json', emptyLock({}));
    await copy.write('node_modules/.package-lock.json', emptyLock({}));
    await copy.write('node_modules/@oven/bun-stand-in/bin/bun', script);
    await chmod(copy.path('node_modules/@oven/bun-stand-in/bin/bun'), 0o755);
    return copy;
  }

  test('a Bun of another version', async () => {
    await using copy = await copyWithBun('#!/bin/sh\necho 0.0.1\n');
    const run = await copy.run(['bin/martlet', 'broker']);
    expect(run).toMatchObject({ exitCode: 1, stdout: '' });
    expect(run.stderr).toStartWith(`martlet: no Bun ${version} that runs on `);
    expect(run.stderr).toContain('node_modules/@oven/bun-stand-in/bin/bun: is version 0.0.1\n');
    expect(run.stderr).not.toMatch(/\n {4}at /);
  });

  test('a Bun that does not run here', async () => {
    await using copy = await copyWithBun('#!/bin/sh\necho cannot load it >&2\nexit 127\n');
    const run = await copy.run(['node', 'scripts/run.mjs', 'start']);
    expect(run).toMatchObject({ exitCode: 1, stdout: '' });
    expect(run.stderr).toContain('node_modules/@oven/bun-stand-in/bin/bun: cannot load it\n');
  });

  test('the install script is the last resort', async () => {
    await using copy = await copyWithBun('#!/bin/sh\nexit 1\n');
    const placeholder = `#!/bin/sh\n# the placeholder\nexit 1\n`;
    await copy.write('node_modules/bun/bin/bun.exe', placeholder);
    await chmod(copy.path('node_modules/bun/bin/bun.exe'), 0o755);
    await copy.write(
      'node_modules/bun/install.js',
      `require('fs').writeFileSync('bin/bun.exe', '#!/bin/sh\\necho ${version}\\n');`,
    );
    const run = await copy.run(['node', 'scripts/setup.mjs']);
    expect(run).toEqual({ exitCode: 0, stdout: `${copy.path('node_modules/bun/bin/bun.exe')}\n`, stderr: '' });
  });

  test('a registry that cannot be reached', async () => {
    await using copy = await copyProject(program);
    const env = {
      npm_config_registry: 'http://127.0.0.1:9/', // the discard port: nothing listens
      npm_config_cache: copy.path('empty-cache'),
      npm_config_fetch_retries: '0',
    };
    const run = await copy.run(['node', 'scripts/run.mjs', 'start'], { env });
    expect(run).toMatchObject({ exitCode: 1, stdout: '' });
    expect(run.stderr).toEndWith('martlet: npm ci failed with status 1: the npm registry cannot be reached\n');
    expect(run.stderr).not.toMatch(/\n {4}at /);
  });

  test('no npm, or no Node.js', async () => {
    await using copy = await copyProject(program);
    await copy.write('only-node/.keep', '');
    const node = Bun.which('node');
    expect(node).not.toBeNull();
    await symlink(node ?? '', copy.path('only-node/node'));
    const withoutNpm = await copy.run([copy.path('only-node/node'), 'scripts/run.mjs', 'start'], {
      env: { PATH: copy.path('only-node') },
    });
    expect(withoutNpm).toMatchObject({ exitCode: 1, stdout: '' });
    expect(withoutNpm.stderr).toEndWith('martlet: npm is not in PATH; it comes with Node.js\n');

    const tools = copy.path('only-tools');
    await copy.write('only-tools/.keep', '');
    for (const tool of ['readlink', 'cmp']) await symlink(Bun.which(tool) ?? '', `${tools}/${tool}`);
    expect(await copy.run(['/bin/sh', 'bin/martlet', 'pub'], { env: { PATH: tools } })).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'martlet: Node.js 20 or newer is needed to set up, and node is not in PATH\n',
    });
  });

  test('an unknown command of run.mjs', async () => {
    await using copy = await copyProject(program);
    expect(await copy.run(['node', 'scripts/run.mjs', 'constructor'])).toMatchObject({ exitCode: 2, stdout: '' });
  });
});

function reportOf(run: Finished): Report {
  const line = run.stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`the program printed no report: ${run.stdout}${run.stderr}`);
  return JSON.parse(line) as Report;
}

/** Resolves when the program has said that it runs. */
async function startWaiting(copy: ProjectCopy, command: string[]) {
  const child = Bun.spawn(command, { cwd: copy.folder, env: cleanEnvironment(), stdin: 'ignore', stdout: 'pipe' });
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  const nextLine = async (): Promise<string> => {
    while (!pending.includes('\n')) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`ended after: ${pending}`);
      pending += value;
    }
    const line = pending.slice(0, pending.indexOf('\n'));
    pending = pending.slice(line.length + 1);
    return line;
  };
  const rest = async (): Promise<string> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return pending;
      pending += value;
    }
  };
  const report = JSON.parse(await nextLine()) as Report;
  return { child, report, nextLine, rest };
}

/** Runs the command in a terminal of its own, and types Ctrl-C when the program has said that it runs. */
async function pressCtrlC(command: string[], cwd: string): Promise<{ exitCode: number | null; screen: string }> {
  let screen = '';
  let pressed = false;
  const decoder = new TextDecoder();
  const child = Bun.spawn(command, {
    cwd,
    env: cleanEnvironment(),
    terminal: {
      data(terminal, bytes) {
        screen += decoder.decode(bytes, { stream: true });
        if (pressed || !screen.includes('"pid"')) return;
        pressed = true;
        terminal.write('\x03');
      },
    },
  });
  await child.exited;
  child.terminal?.close();
  return { exitCode: child.exitCode, screen };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
