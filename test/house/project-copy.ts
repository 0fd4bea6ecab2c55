// A copy of the project's house (package.json, lockfile, scripts, bin) in a temporary folder, with a program of its own.

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const copied = [
  'package.json',
  'package-lock.json',
  'bunfig.toml',
  'tsconfig.json',
  'tsconfig.browser.json',
  'scripts',
  'bin',
];
const projectRoot = join(import.meta.dir, '..', '..');

export type Finished = { exitCode: number | null; stdout: string; stderr: string };

export type ProjectCopy = AsyncDisposable & {
  readonly folder: string;
  path(...parts: string[]): string;
  write(path: string, text: string): Promise<void>;
  read(path: string): Promise<string>;
  /** Runs to its end, in the copy's folder unless `cwd` says otherwise. */
  run(command: string[], options?: { cwd?: string; env?: Record<string, string> }): Promise<Finished>;
};

/** Of the test run alone; with the last one, Bun's programs would take what they put into the background with them. */
const ofTheRun = /^npm_|^(INIT_CWD|NODE|NODE_ENV|BUN_TEST_WORKER_ID|JEST_WORKER_ID|BUN_FEATURE_FLAG_NO_ORPHANS)$/i;

/**
 * npm's variables of the run that we are part of are dropped: they name our own scripts and settings. Its cache and
 * registry come from the user's configuration as they always do.
 */
export function cleanEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || ofTheRun.test(name) ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(kept), ...extra };
}

export async function copyProject(program: string): Promise<ProjectCopy> {
  const folder = await mkdtemp(join(tmpdir(), 'martlet-house-'));
  const path = (...parts: string[]): string => join(folder, ...parts);
  for (const name of copied) {
    await cp(join(projectRoot, name), path(name), { recursive: true });
  }
  await mkdir(path('src', 'cli'), { recursive: true });
  await writeFile(path('src', 'cli', 'main.ts'), program);
  return {
    folder,
    path,
    write: async (name, text) => {
      await mkdir(join(path(name), '..'), { recursive: true });
      await writeFile(path(name), text);
    },
    read: (name) => readFile(path(name), 'utf8'),
    run: async (command, { cwd = folder, env = {} } = {}) => {
      const child = Bun.spawn(command, {
        cwd,
        env: cleanEnvironment(env),
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      return { exitCode, stdout, stderr };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
