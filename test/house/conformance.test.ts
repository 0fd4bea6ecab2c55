/** The tables of docs/conformance/ agree with the tests, and the checker that says so can tell when they do not. */
import { afterEach, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  checkConformance,
  claimsOf,
  collectTests,
  literalsOf,
  type Standard,
  standards,
  statementsOf,
} from '../../scripts/check-conformance.ts';

const repository = join(import.meta.dir, '../..');

const small: Standard = {
  version: 'v5',
  title: 'MQTT 5.0',
  file: 'docs/conformance/mqtt-5.0.md',
  sections: { '3.12.4': 1, '4.9.0': [2, 3] },
};

const trees: string[] = [];

afterEach(async () => {
  for (const tree of trees.splice(0)) await rm(tree, { recursive: true });
});

/** A repository in miniature: three statements, one of them for clients only. */
async function makeTree(cells: readonly [string, string], files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'conformance-'));
  trees.push(root);
  const table = [
    '| statement | binds | what it asks of a server | test |',
    '|---|---|---|---|',
    `| MQTT-3.12.4-1 | server | Answers PINGREQ. | ${cells[0]} |`,
    `| MQTT-4.9.0-2 | both | Stops at quota 0. | ${cells[1]} |`,
    '',
    'Client only: MQTT-4.9.0-3.',
    '',
  ].join('\n');
  const all = {
    [small.file]: table,
    'docs/conformance.md': '| [MQTT 5.0](conformance/mqtt-5.0.md) | 3 | 2 | 1 |\n',
    ...files,
  };
  for (const [path, content] of Object.entries(all)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await Bun.write(join(root, path), content);
  }
  return root;
}

async function problemsOf(root: string): Promise<readonly string[]> {
  return (await checkConformance(root, { standards: [small] })).problems;
}

const pingTest = "test('v5 [MQTT-3.12.4-1] answers PINGREQ', () => {});\n";
const quotaTest = "test('v5 [MQTT-4.9.0-2] stops at | quota 0', () => {});\n";
const pingCell = '`v5 [MQTT-3.12.4-1] answers PINGREQ`';
const quotaCell = '`v5 [MQTT-4.9.0-2] stops at \\| quota 0`';

test('every statement that binds a server has a test, or a reason for none', async () => {
  const { problems } = await checkConformance(repository);
  expect(problems).toEqual([]);
});

test('the standards number 141 and 251 statements', () => {
  expect(standards.map((standard) => new Set(statementsOf(standard)).size)).toEqual([141, 251]);
});

describe('the names of tests', () => {
  test('claim each label for the version before it', () => {
    expect(claimsOf('v3.1.1 [MQTT-6.0.0-1] v5 [MQTT-6.0.0-1] [MQTT-6.0.0-2] reads frames')).toEqual([
      'v3.1.1 MQTT-6.0.0-1',
      'v5 MQTT-6.0.0-1',
      'v5 MQTT-6.0.0-2',
    ]);
  });

  test('are more than a cited clause', () => {
    expect(claimsOf('v5 [MQTT-3.1.2-3]')).toEqual([]);
    expect(claimsOf('v3.1.1 [MQTT-3.1.2-3] v5 [MQTT-3.1.2-3]')).toEqual([]);
    expect(claimsOf('closes, see v5 [MQTT-3.1.2-3]')).toEqual([]);
  });

  test('are found in every kind of string, and not in comments or regular expressions', () => {
    const source = [
      `// test('v5 [MQTT-1.0.0-1] in a line comment')`,
      `/* test('v5 [MQTT-1.0.0-1] in a block comment') */`,
      `const quote = /['"\`/]/g; const half = 1 / 2; const url = 'http://x//y';`,
      `test('it\\'s \\u0041 single', f); test("double", f);`,
      `const element = <p>don't</p>;`,
      'test(`template ${row.map((c) => { return "inner"; })} end`, f);',
    ].join('\n');
    expect(literalsOf(source).map((literal) => literal.text)).toEqual([
      'http://x//y',
      "it's A single",
      'double',
      'inner',
      'template ${row.map((c) => { return "inner"; })} end',
    ]);
  });

  test('count in tests and test data, and not where a test is switched off', async () => {
    const root = await makeTree(['pending', 'pending'], {
      'src/a.test.ts': [
        `describe('v5 [MQTT-3.12.4-1] group', () => {});`,
        `test.skip('v5 [MQTT-3.12.4-1] skipped', f); it.todo('v5 [MQTT-3.12.4-1] todo');`,
        `test.skipIf(isMac)('v5 [MQTT-3.12.4-1] conditional', f);`,
        `test.each([1, 2])('v5 [MQTT-3.12.4-1] each %d', f);`,
        `const rows = [{ name: 'v5 [MQTT-3.12.4-1] row', hex: 'c000' }];`,
      ].join('\n'),
      'src/a.ts': `throw new Error('v5 [MQTT-3.12.4-1] product code');`,
      'test/data.json': '[{ "name": "v5 [MQTT-4.9.0-2] data" }]',
    });
    expect((await collectTests(root)).map(({ name }) => name.slice('v5 [MQTT-3.12.4-1] '.length - 1).trim())).toEqual([
      'conditional',
      'each %d',
      'row',
      'data',
    ]);
  });
});

describe('the check', () => {
  test('passes where each statement has its test or a reason', async () => {
    expect(await problemsOf(await makeTree([pingCell, quotaCell], { 'test/a.test.ts': pingTest + quotaTest }))).toEqual(
      [],
    );
    expect(
      await problemsOf(await makeTree([pingCell, 'none: no bytes show it'], { 'test/a.test.ts': pingTest })),
    ).toEqual([]);
  });

  test.each([
    ['a pending statement', 'pending', pingTest, 'without a test: 4.9.0-2'],
    ['an empty cell', '', pingTest, 'the test is `a name`'],
    ['a reason that is missing', 'none:', pingTest, 'the test is `a name`'],
    ['a name without a test', quotaCell, pingTest, 'no such test: v5 [MQTT-4.9.0-2] stops at | quota 0'],
    ['a commented-out test', quotaCell, `${pingTest}// ${quotaTest}`, 'no such test'],
    ['a test of another statement', pingCell, pingTest, 'does not claim it'],
    ['a reason that a test disproves', 'none: hard', pingTest + quotaTest, '"none", yet there is a test'],
    ['an unknown statement', quotaCell, `${pingTest}${quotaTest}it("v5 [MQTT-9.9.9-9] x", f)`, 'v5 MQTT-9.9.9-9'],
    [
      'a label of the other version',
      quotaCell,
      `${pingTest}${quotaTest}it("v3.1.1 [MQTT-4.9.0-2] x", f)`,
      'no such statement',
    ],
    [
      'a misspelt label',
      quotaCell,
      `${pingTest}${quotaTest}it("v5 [MQTT-4.9.0-2] [MQTT 3.1] x", f)`,
      'no such statement',
    ],
    [
      'a label without version',
      quotaCell,
      `${pingTest}${quotaTest}it("stops [MQTT-4.9.0-2]", f)`,
      'begins with version',
    ],
  ])('fails on %s', async (_, cell, source, problem) => {
    const problems = await problemsOf(await makeTree([pingCell, cell], { 'test/a.test.ts': source }));
    expect(problems.join('\n')).toContain(problem);
  });

  test.each([
    ['left out', (table: string) => table.replace('Client only: MQTT-4.9.0-3.', ''), 'left out: MQTT-4.9.0-3'],
    ['listed twice', (table: string) => table.replace('4.9.0-2', '3.12.4-1'), 'MQTT-3.12.4-1 is listed twice'],
    [
      'in table and client line',
      (table: string) => table.replace('4.9.0-3.', '4.9.0-3, MQTT-4.9.0-2.'),
      'both in the table and',
    ],
    ['unknown', (table: string) => table.replace('4.9.0-2 ', '4.9.0-1 '), 'has no statement MQTT-4.9.0-1'],
    ['bound to nobody', (table: string) => table.replace('| both |', '| |'), 'binds is'],
  ])('fails on a statement %s', async (_, edit, problem) => {
    const root = await makeTree([pingCell, quotaCell], { 'test/a.test.ts': pingTest + quotaTest });
    const path = join(root, small.file);
    await Bun.write(path, edit(await Bun.file(path).text()));
    expect((await problemsOf(root)).join('\n')).toContain(problem);
  });

  test('fails on wrong totals in the index', async () => {
    const root = await makeTree([pingCell, quotaCell], {
      'test/a.test.ts': pingTest + quotaTest,
      'docs/conformance.md': '| [MQTT 5.0](conformance/mqtt-5.0.md) | 3 | 1 | 2 |\n',
    });
    expect(await problemsOf(root)).toEqual(['docs/conformance.md: the row of MQTT 5.0 should end in | 3 | 2 | 1 |']);
  });
});

describe('--write', () => {
  const write = async (root: string): Promise<string> => {
    await checkConformance(root, { standards: [small], write: true });
    return Bun.file(join(root, small.file)).text();
  };

  test('fills the column with the first test, and changes nothing the second time', async () => {
    const later = "test('v5 [MQTT-3.12.4-1] later', f);\n";
    const root = await makeTree(['pending', 'none: hard'], {
      'src/z.test.ts': later,
      'src/b.test.ts': pingTest + quotaTest,
    });
    const written = await write(root);
    expect(written).toContain(`| Answers PINGREQ. | ${pingCell} |`);
    expect(written).toContain(`| Stops at quota 0. | ${quotaCell} |`);
    expect(await write(root)).toBe(written);
    expect(await problemsOf(root)).toEqual([]);
  });

  test('keeps a test that still stands though another comes first', async () => {
    const earlier = "test('v5 [MQTT-3.12.4-1] earlier', f);\n";
    const root = await makeTree([pingCell, 'none: hard'], { 'src/a.test.ts': earlier, 'src/b.test.ts': pingTest });
    expect(await write(root)).toContain(pingCell);
  });

  test('turns a name without a test into pending, and keeps reasons', async () => {
    const root = await makeTree([pingCell, 'none: no bytes show it'], {});
    const written = await write(root);
    expect(written).toContain('| Answers PINGREQ. | pending |');
    expect(written).toContain('| none: no bytes show it |');
  });
});
