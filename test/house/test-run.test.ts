// What `npm test` prints and how it leaves, on a small project of its own.

import { expect, setDefaultTimeout, test } from 'bun:test';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { copyProject, type ProjectCopy } from './project-copy.ts';

setDefaultTimeout(60_000);

const passing = `import { expect, test } from 'bun:test';

test('adds', () => {
  expect(1 + 1).toBe(2);
});
`;
const failing = passing.replace('toBe(2)', 'toBe(3)');
const dying = `import { test } from 'bun:test';

test('dies', () => {
  process.kill(process.pid, 'SIGKILL');
});
`;

async function smallProject(files: Record<string, string>): Promise<ProjectCopy> {
  const copy = await copyProject('export const started = true;\n');
  await symlink(join(import.meta.dir, '..', '..', 'node_modules'), copy.path('node_modules'));
  await copy.write('src/protocol/empty.ts', 'export const nothing = null;\n');
  for (const [path, text] of Object.entries(files)) await copy.write(path, text);
  return copy;
}

test('all is well: each step in a line, the sum in the last, status 0', async () => {
  await using copy = await smallProject({ 'src/a.test.ts': passing, 'test/soak/b.test.ts': passing });
  const run = await copy.run([process.execPath, 'scripts/test.ts']);
  expect(run.stdout).toMatch(
    /^servers +ok .*\ntypes +ok .*\nbrowser types +ok .*\nformat +ok .*\ntests +ok .* s {2}1 passed, 0 failed\nsoak tests +ok .* s {2}1 passed, 0 failed\n6 passed, 0 failed\n$/,
  );
  expect(run).toMatchObject({ exitCode: 0, stderr: '' });
});

test('a step that fails shows its output, and the steps after it still run', async () => {
  await using copy = await smallProject({
    'src/a.test.ts': passing,
    'src/b.test.ts': failing,
    'src/c.test.ts': dying,
    'src/d.ts': `export const seven: string =  7;\n`,
  });
  const run = await copy.run([process.execPath, 'scripts/test.ts']);
  expect(run.stdout).toMatch(/^types +FAILED .*\n.*src\/d\.ts.*TS2322/m);
  expect(run.stdout).toMatch(/^format +FAILED .*\nsrc\/d\.ts\n/m);
  expect(run.stdout).toMatch(/^tests +FAILED .* s {2}1 passed, 2 failed\n/m);
  expect(run.stdout).toContain('Expected: 3');
  expect(run.stdout.split('\n').slice(-2)).toEqual(['3 passed, 4 failed', '']);
  expect(run.exitCode).toBe(1);
});

test('arguments choose tests, and choosing none is a failure', async () => {
  await using copy = await smallProject({ 'src/a.test.ts': passing, 'src/b.test.ts': failing });
  const chosen = await copy.run([process.execPath, 'scripts/test.ts', 'src/a', '-t', 'adds']);
  expect(chosen.stdout).toContain('adds');
  expect(chosen.stdout).toEndWith('\n5 passed, 0 failed\n');
  expect(chosen.exitCode).toBe(0);
  const none = await copy.run([process.execPath, 'scripts/test.ts', 'src/nowhere']);
  expect(none.stdout).toEndWith('\n4 passed, 1 failed\n');
  expect(none.exitCode).toBe(1);
});
