// Keeps the layers: a folder of src/ imports only from the folders above it. See docs/architecture.md.

import { describe, expect, test } from 'bun:test';
import { basename, dirname, join, normalize } from 'node:path';
import packageJson from '../../package.json';
import { importsOf } from './imports.ts';

const root = join(import.meta.dir, '..', '..');

/** From the one that knows nothing to the one that knows everything. */
const layers = [
  'protocol',
  'routing',
  'session',
  'config',
  'auth',
  'storage',
  'transport',
  'client',
  'bus',
  'broker',
  'log',
  'push',
  'navigator',
  'http',
  'sdk',
  'bench',
  'cli',
];

/** The web UI stands apart: it runs in a browser, so it may use what is browser-safe, and only these bundle it. */
const consoleFolder = 'console';
const browserSafe = ['protocol', 'client', 'sdk'];
const consoleUsers = ['http', 'cli'];

const lineLimit = 500;
const reasonWithinLines = 10;
const reason = 'over 500 lines because';

type SourceFile = { path: string; source: string };

const sourceFiles = await readAll('{src,test,bench,scripts,examples}/**/*.{ts,tsx,mjs}');
const runtimePackages = Object.keys(packageJson.dependencies);
const testPackages = [...runtimePackages, ...Object.keys(packageJson.devDependencies)];

describe('layers of src/', () => {
  test('every source file lives in a known layer', () => {
    const strays = sourceFiles.filter(({ path }) => path.startsWith('src/') && !isKnownFolder(folderOf(path)));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  test('a folder imports only from the folders above it, and packages only when package.json lists them', () => {
    expect(sourceFiles.flatMap(complaints)).toEqual([]);
  });

  test('every layer with code has tests, beside it or in a folder of its name under test/', () => {
    const paths = sourceFiles.map(({ path }) => path);
    const folders = new Set(paths.filter((path) => path.startsWith('src/')).map(folderOf));
    const untested = [...folders].filter(
      (folder) => !paths.some((path) => isTest(path) && /^(src|test)\//.test(path) && path.split('/')[1] === folder),
    );
    expect(untested).toEqual([]);
  });

  test('every source file is reached from a test, a benchmark or the command line', () => {
    const files = new Map(sourceFiles.map((file) => [file.path, file]));
    const reached = new Set<string>();
    const next = [...files.keys()].filter(
      (path) => !path.startsWith('src/') || isTest(path) || path === 'src/cli/main.ts',
    );
    for (let path = next.pop(); path !== undefined; path = next.pop()) {
      const file = files.get(path);
      if (file === undefined || reached.has(path)) continue;
      reached.add(path);
      for (const { specifier } of importsOf(file.source)) next.push(resolve(path, specifier));
      next.push(...programsNamedIn(file.source, files));
    }
    const dead = [...files.keys()].filter((path) => path.startsWith('src/') && !reached.has(path));
    expect(dead).toEqual([]);
  });
});

test(`a file over ${lineLimit} lines says why within its first ${reasonWithinLines}`, () => {
  expect(sourceFiles.flatMap(tooLong)).toEqual([]);
});

describe('the check itself', () => {
  test('sees every form of import, with its line', () => {
    const source = [
      "import { a } from './a.ts';",
      "import type { B } from '../b/b.ts';",
      'import {',
      '  c,',
      "} from './c.ts';",
      "export * from './d.ts';",
      "export { e } from './e.ts';",
      "import './f.ts';",
      "type G = import('./g.ts').G;",
      "const h = await import('./h.ts');",
      "const url = 'http://i.example/' + '//';",
      "import j, { type K } from 'j';",
      'const l = await import(`./l.ts`);',
    ].join('\n');
    expect(importsOf(source)).toEqual([
      { specifier: './a.ts', line: 1 },
      { specifier: '../b/b.ts', line: 2 },
      { specifier: './c.ts', line: 5 },
      { specifier: './d.ts', line: 6 },
      { specifier: './e.ts', line: 7 },
      { specifier: './f.ts', line: 8 },
      { specifier: './g.ts', line: 9 },
      { specifier: './h.ts', line: 10 },
      { specifier: 'j', line: 12 },
      { specifier: './l.ts', line: 13 },
    ]);
  });

  test('takes no comment, string or method call for an import', () => {
    const source = [
      "// import { a } from './a.ts';",
      "/* import './b.ts';",
      "   await import('./c.ts') */",
      'const text = `',
      "import './d.ts';",
      '`;',
      "array.from('./e.ts'); loader.import('./f.ts');",
      "export const from = 'x'; const y = Array.from('./g.ts');",
      `const code = "; import './h.ts'; const i = await import('./i.ts')";`,
    ].join('\n');
    expect(importsOf(source)).toEqual([]);
  });

  test.each([
    ['src/session/a.ts', "import { b } from '../routing/b.ts';", 0],
    [
      'src/session/a.ts',
      "import { b } from './b.ts'; import { join } from 'node:path'; import { sleep } from 'bun';",
      0,
    ],
    ['src/session/a.ts', "import type { B } from '../storage/b.ts';", 1],
    ['src/routing/a.ts', "const b = await import('../cli/b.ts');", 1],
    ['src/broker/a.ts', "import { b } from '../../test/b.ts';", 1],
    ['src/broker/a.ts', "import packageJson from '../../package.json';", 1],
    ['src/broker/a.ts', "import fc from 'fast-check';", 1],
    ['src/broker/a.ts', "import { x } from 'hdr-histogram-js/dist/x';", 0],
    ['src/broker/a.ts', "import { x } from '/absolute.ts';", 1],
    ['src/broker/a.ts', 'await import(`../${name}.ts`);', 1],
    ['src/broker/a.ts', "import { x } from '../console/x.ts';", 1],
    ['src/http/a.ts', "import page from '../console/index.html';", 0],
    ['src/console/a.ts', "import { x } from '../sdk/x.ts';", 0],
    ['src/console/a.ts', "import { x } from '../broker/x.ts';", 1],
    ['src/protocol/a.ts', "import { x } from 'node:util';", 1],
    ['src/sdk/a.ts', "import { x } from 'bun';", 1],
    [
      'src/routing/a.test.ts',
      "import { b } from '../cli/b.ts'; import fc from 'fast-check'; import '../../test/c.ts';",
      0,
    ],
    ['src/routing/a.test.ts', "import '../../bench/c.ts'; import 'unlisted';", 2],
    ['test/client/a.ts', "import '../../src/cli/b.ts'; import 'node:fs'; import fc from 'fast-check';", 0],
    ['bench/a.ts', "import { x } from 'unlisted';", 1],
  ])('judges %s with %s', (path, source, expected) => {
    expect(complaints({ path, source })).toHaveLength(expected);
  });

  test('asks for a reason for length, near the top and in a comment', () => {
    const long = 'x;\n'.repeat(lineLimit + 1);
    expect(tooLong({ path: 'a.ts', source: 'x;\n'.repeat(lineLimit) })).toEqual([]);
    expect(tooLong({ path: 'a.ts', source: long })).toEqual(['a.ts has 501 lines and no reason']);
    expect(tooLong({ path: 'a.ts', source: `// ${reason} it is one table.\n${long}` })).toEqual([]);
    expect(tooLong({ path: 'a.ts', source: `const text = '${reason}';\n${long}` })).toHaveLength(1);
    expect(tooLong({ path: 'a.ts', source: `${long}// ${reason} it is one table.\n` })).toHaveLength(1);
  });
});

/** A worker process is started by its file name, not imported. */
function programsNamedIn(source: string, files: Map<string, SourceFile>): string[] {
  const names = new Set([...source.matchAll(/['"`/]([\w.-]+\.tsx?)['"`]/g)].map((match) => match[1]));
  return [...files.keys()].filter((path) => names.has(basename(path)));
}

function complaints({ path, source }: SourceFile): string[] {
  return importsOf(source).flatMap(({ specifier, line }) => {
    const complaint = whyNot(path, specifier);
    return complaint === null ? [] : [`${path}:${line} imports ${specifier}: ${complaint}`];
  });
}

function whyNot(path: string, specifier: string): string | null {
  const folder = path.startsWith('src/') ? folderOf(path) : '';
  if (specifier.includes('${'))
    return isTest(path) || !path.startsWith('src/') ? null : 'a path that is only known when it runs';
  if (specifier.startsWith('/')) return 'an absolute path';
  if (!specifier.startsWith('.')) return whyNotPackage(path, folder, specifier);
  if (!path.startsWith('src/')) return null; // test/, bench/ and scripts/ use whatever they need of the project
  const target = resolve(path, specifier);
  if (isTest(path)) return /^(src|test)\//.test(target) ? null : 'a test imports from src/ and test/ only';
  if (!target.startsWith('src/')) return 'leaves src/';
  const targetFolder = folderOf(target);
  if (targetFolder === folder) return null;
  if (folder === consoleFolder) return browserSafe.includes(targetFolder) ? null : 'not safe in a browser';
  if (targetFolder === consoleFolder) return consoleUsers.includes(folder) ? null : 'the console stands apart';
  return layers.indexOf(targetFolder) < layers.indexOf(folder) ? null : `${targetFolder} is below ${folder}`;
}

function whyNotPackage(path: string, folder: string, specifier: string): string | null {
  if (/^(node:|bun:|bun$)/.test(specifier)) {
    const runsInBrowser = browserSafe.includes(folder) || folder === consoleFolder;
    return runsInBrowser && !isTest(path) ? 'browsers do not have it' : null;
  }
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const allowed = isTest(path) || !path.startsWith('src/') ? testPackages : runtimePackages;
  return allowed.includes(name) ? null : 'not among the dependencies of package.json';
}

function tooLong({ path, source }: SourceFile): string[] {
  const lines = source.replace(/\n$/, '').split('\n');
  if (lines.length <= lineLimit) return [];
  const excused = lines
    .slice(0, reasonWithinLines)
    .some((line) => /^\s*(\/\/|\/?\*)/.test(line) && line.includes(reason));
  return excused ? [] : [`${path} has ${lines.length} lines and no reason`];
}

function isKnownFolder(folder: string): boolean {
  return layers.includes(folder) || folder === consoleFolder;
}

function isTest(path: string): boolean {
  return /\.test\.tsx?$/.test(path);
}

/** `protocol` of `src/protocol/connect.ts`; empty for a file of src/ itself. */
function folderOf(path: string): string {
  const parts = path.split('/');
  return parts.length > 2 ? (parts[1] ?? '') : '';
}

/** A relative specifier as a path from the root of the project; leaves other specifiers alone. */
function resolve(from: string, specifier: string): string {
  return specifier.startsWith('.') ? normalize(join(dirname(from), specifier)) : specifier;
}

async function readAll(pattern: string): Promise<SourceFile[]> {
  const paths = await Array.fromAsync(new Bun.Glob(pattern).scan({ cwd: root }));
  paths.sort();
  return Promise.all(paths.map(async (path) => ({ path, source: await Bun.file(join(root, path)).text() })));
}
