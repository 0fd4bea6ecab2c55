// What `npm test` does after set-up: servers, types, format, tests. Every step runs even if one before it failed; a step
// that fails prints its output. The last line is `N passed, N failed`, counting each step and each test.
//
// Arguments go to `bun test` (`npm test -- src/protocol -t CONNECT`), whose output is then shown as it comes.

import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { countTests, slowFiles } from './test-counts.ts';

const root = join(import.meta.dir, '..');
const bun = process.execPath;

/** A run this long hangs. The whole suite is meant to stay under six minutes. */
const stepLimitMs = 15 * 60_000;
const slowSeconds = 20;
/** Of one test: what takes a second on a quiet machine may take ten on a busy one. Slow tests have limits of their own. */
const testLimitMs = 30_000;
/** After the end of a step, how long to wait for output that a process it left behind may still hold open. */
const drainMs = 2_000;

/** Tests that measure memory or time live here and run alone, after the others: a busy neighbour changes their numbers. */
const soakFolder = './test/soak';
/** Its processes hand each other sockets against the clock; beside other tests they come too late. */
const pskFolder = './test/psk';
const testFolders = ['./src', './test', './bench'];

/**
 * Files run side by side in processes of their own, so one that dies fails alone. One more than there are cores: most of
 * the time a test waits, for another process or for a clock (31 files on 2 cores: 48 s with two, 33 s with three).
 */
const testProcesses = Math.min(availableParallelism() + 1, 4);

type Run = { exitCode: number; output: string };
type Outcome = { passed: number; failed: number; detail: string; output: string };

const totals = { passed: 0, failed: 0 };
/** Of the run alone, also as what tests take for /tmp: whatever a test that dies leaves behind goes with it. */
const outputFolder = await mkdtemp(join(tmpdir(), 'martlet-test-'));
// Some tests give up root.
await chmod(outputFolder, 0o755);
try {
  await step('servers', () => commandStep(['scripts/test-servers', 'install']));
  await step('types', () => commandStep([bun, 'check', '--no-script']));
  await step('browser types', () => commandStep([bun, 'check', '--no-script', '-p', 'tsconfig.browser.json']));
  await step('format', () => commandStep([bun, 'fmt', '--no-script', '--check']));

  const chosen = process.argv.slice(2);
  if (chosen.length > 0) {
    await step('tests', () => testStep('chosen', ['--isolate', ...chosen], { live: true }));
  } else {
    const aside = [soakFolder, pskFolder].map((folder) => `--path-ignore-patterns=${folder.slice(2)}/**`);
    await step('tests', () => testStep('tests', [`--parallel=${testProcesses}`, ...aside, ...testFolders]));
    if (await hasTests(soakFolder))
      await step('soak tests', () => testStep('soak', ['--isolate', soakFolder, pskFolder]));
  }
} finally {
  await rm(outputFolder, { recursive: true, force: true });
  await removeDatabases();
}
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
process.exitCode = totals.failed === 0 ? 0 : 1;

async function step(name: string, perform: () => Promise<Outcome>): Promise<void> {
  process.stdout.write(`${name.padEnd(14)} `);
  const startedAt = performance.now();
  const outcome = await perform();
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const verdict = outcome.failed === 0 ? 'ok' : 'FAILED';
  process.stdout.write(`${verdict.padEnd(6)} ${seconds.padStart(6)} s  ${outcome.detail}`.trimEnd() + '\n');
  if (outcome.failed > 0 && outcome.output !== '') process.stdout.write(`${outcome.output.trimEnd()}\n\n`);
  totals.passed += outcome.passed;
  totals.failed += outcome.failed;
}

async function commandStep(command: string[]): Promise<Outcome> {
  const { exitCode, output } = await run(command);
  return exitCode === 0
    ? { passed: 1, failed: 0, detail: '', output }
    : { passed: 0, failed: 1, detail: `status ${exitCode}`, output };
}

async function testStep(name: string, args: string[], { live = false } = {}): Promise<Outcome> {
  if (live) process.stdout.write('\n');
  const reportFile = join(outputFolder, `${name}.xml`);
  const quiet = live ? [] : ['--only-failures'];
  const reporter = ['--reporter=junit', `--reporter-outfile=${reportFile}`];
  const limit = `--timeout=${testLimitMs}`;
  const { exitCode, output } = await run([bun, 'test', limit, ...quiet, ...reporter, ...args], { live });
  const report = await Bun.file(reportFile)
    .text()
    .catch(() => null);
  const counts = countTests({ output, report, exitCode });
  const detail = [`${counts.passed} passed`, `${counts.failed} failed`];
  if (counts.skipped > 0) detail.push(`${counts.skipped} skipped`);
  for (const { file, seconds } of slowFiles(report ?? '', slowSeconds)) detail.push(`${file} ${seconds.toFixed(0)} s`);
  return { passed: counts.passed, failed: counts.failed, detail: detail.join(', '), output: live ? '' : output };
}

/** stdout and stderr together, in the order they came. */
async function run(command: string[], { live = false } = {}): Promise<Run> {
  let child;
  try {
    const env = { ...process.env, TMPDIR: outputFolder };
    child = Bun.spawn(command, {
      cwd: root,
      env,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: stepLimitMs,
    });
  } catch (error) {
    return { exitCode: 127, output: String(error) };
  }
  const chunks: Uint8Array[] = [];
  const readers = [child.stdout.getReader(), child.stderr.getReader()];
  const collected = Promise.all(
    readers.map(async (reader) => {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        chunks.push(read.value);
        if (live) process.stdout.write(read.value);
      }
    }),
  );
  await child.exited;
  const patience = setTimeout(() => readers.forEach((reader) => void reader.cancel()), drainMs);
  await collected;
  clearTimeout(patience);
  const output = Buffer.concat(chunks).toString('utf8');
  if (child.signalCode === null) return { exitCode: child.exitCode ?? 1, output };
  return { exitCode: child.exitCode ?? 1, output: `${output}\nended by ${child.signalCode}` };
}

/** Those in memory, of tests that died: test/support/database-folder.ts. */
async function removeDatabases(): Promise<void> {
  const folder = '/dev/shm';
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (name.startsWith(`${basename(outputFolder)}-`)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function hasTests(folder: string): Promise<boolean> {
  const glob = new Bun.Glob(`${folder.slice(2)}/**/*.test.ts`);
  for await (const _ of glob.scan({ cwd: root })) return true;
  return false;
}
