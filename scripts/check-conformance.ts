/**
 * Holds the tables of docs/conformance/ against the names of the tests.
 *
 *   bun scripts/check-conformance.ts           verify; exit 1 on any problem
 *   bun scripts/check-conformance.ts --write   first fill the test column from the names found
 *
 * A test claims a statement by its name: `v5 [MQTT-3.1.2-22] closes ...`, with as many labels as it shows, and both
 * versions in one name where it shows both: `v3.1.1 [MQTT-6.0.0-1] v5 [MQTT-6.0.0-1] closes ...`. A label means the
 * version written before it. Rows of data-driven tests are found too: any string that begins so and goes on in words is
 * a name. Comments, `describe`, `.skip`, `.todo` and `.failing` claim nothing.
 *
 * It knows which statements each standard numbers, so that none can be left out of a table unseen. It does not run tests.
 */
import { join } from 'node:path';

export type Version = 'v3.1.1' | 'v5';

export interface Standard {
  readonly version: Version;
  readonly title: string;
  /** The table, relative to the root. */
  readonly file: string;
  /** Section -> last number, or [first, last] where the standard leaves out the first ones. */
  readonly sections: Readonly<Record<string, number | readonly [number, number]>>;
}

/** Both as numbered in appendix B: 141 statements in 3.1.1 and 251 in 5.0, whose body writes 4.2.0-1 as 4.2-1. */
export const standards: readonly Standard[] = [
  {
    version: 'v3.1.1',
    title: 'MQTT 3.1.1',
    file: 'docs/conformance/mqtt-3.1.1.md',
    // prettier-ignore
    sections: {
      '1.5.3': 3, '2.2.2': 2, '2.3.1': 7, '3.1.0': 2, '3.1.2': 24, '3.1.3': 11, '3.1.4': 5, '3.2.0': 1, '3.2.2': 6,
      '3.3.1': 12, '3.3.2': 3, '3.3.4': 1, '3.3.5': 2, '3.6.1': 1, '3.8.1': 1, '3.8.3': 4, '3.8.4': 6, '3.9.3': 2,
      '3.10.1': 1, '3.10.3': 2, '3.10.4': 6, '3.12.4': 1, '3.14.1': 1, '3.14.4': 3, '4.1.0': 2, '4.3.1': 1, '4.3.2': 2,
      '4.3.3': 2, '4.4.0': 1, '4.5.0': 2, '4.6.0': 6, '4.7.1': 3, '4.7.2': 1, '4.7.3': 4, '4.8.0': 2, '6.0.0': 4,
      '7.0.0': 2, '7.1.1': 1, '7.1.2': 1,
    },
  },
  {
    version: 'v5',
    title: 'MQTT 5.0',
    file: 'docs/conformance/mqtt-5.0.md',
    // prettier-ignore
    sections: {
      '1.5.4': 3, '1.5.5': 1, '1.5.7': 1, '2.1.3': 1, '2.2.1': [2, 6], '2.2.2': 1, '3.1.0': 2, '3.1.2': 30, '3.1.3': 12,
      '3.1.4': 6, '3.2.0': 2, '3.2.2': 22, '3.3.1': 13, '3.3.2': 20, '3.3.4': 10, '3.4.2': 3, '3.5.2': 3, '3.6.1': 1,
      '3.6.2': 3, '3.7.2': 3, '3.8.1': 1, '3.8.3': 5, '3.8.4': 8, '3.9.2': 2, '3.9.3': 2, '3.10.1': 1, '3.10.3': 2,
      '3.10.4': 6, '3.11.2': 2, '3.11.3': 2, '3.12.4': 1, '3.14.0': 1, '3.14.1': 1, '3.14.2': 4, '3.14.4': 3, '3.15.1': 1,
      '3.15.2': 3, '4.1.0': 2, '4.2.0': 1, '4.3.1': 1, '4.3.2': 5, '4.3.3': 13, '4.4.0': 2, '4.5.0': 2, '4.6.0': 6,
      '4.7.0': 1, '4.7.1': 2, '4.7.2': 1, '4.7.3': 4, '4.8.2': 6, '4.9.0': 3, '4.12.0': 7, '4.12.1': 2, '4.13.1': 1,
      '4.13.2': 1, '6.0.0': 4,
    },
  },
];

export interface NamedTest {
  readonly name: string;
  /** Relative to the root. */
  readonly file: string;
  /** `v5 MQTT-3.1.2-22` and so on, in the order of the name. */
  readonly claims: readonly string[];
}

export interface Summary {
  readonly title: string;
  /** Statements that bind a server, alone or with the client. */
  readonly statements: number;
  readonly tested: number;
  readonly none: number;
  readonly pending: number;
  readonly clientOnly: number;
}

export interface Report {
  readonly summaries: readonly Summary[];
  readonly problems: readonly string[];
}

interface Literal {
  readonly text: string;
  /** `test`, `it.skip`, `describe` ... where the literal is the first argument of such a call. */
  readonly callee: string | null;
}

const indexFile = 'docs/conformance.md';
/** The checker's own test is full of made-up names. */
const ownTest = 'test/house/conformance.test.ts';
const nameGlobs = [
  'src/**/*.test.{ts,tsx}',
  'src/**/*.fixtures.ts',
  'src/**/fixtures/**/*.{ts,json}',
  'test/**/*.{ts,tsx,json}',
];
const beginsWithClaim = /^v(?:5|3\.1\.1) \[MQTT-/;
const claimToken = /\b(v5|v3\.1\.1)(?= )|\[(MQTT[^\]]*)\]/g;
const inactiveCall = /^describe\b|\.(?:skip|todo|failing)\b/;

export function statementsOf(standard: Standard): string[] {
  const labels: string[] = [];
  for (const [section, range] of Object.entries(standard.sections)) {
    const [first, last] = typeof range === 'number' ? [1, range] : range;
    for (let number = first; number <= last; number++) labels.push(`MQTT-${section}-${number}`);
  }
  return labels;
}

/** Empty where the text is no test's name: no leading claim, or nothing but version and labels (a clause cited in code). */
export function claimsOf(text: string): string[] {
  if (!beginsWithClaim.test(text) || !/\p{L}/u.test(text.replace(claimToken, ''))) return [];
  const claims: string[] = [];
  let version = '';
  for (const [, versionToken, label] of text.matchAll(claimToken)) {
    if (versionToken !== undefined) version = versionToken;
    else claims.push(`${version} ${label}`);
  }
  return claims;
}

/** The string literals of TypeScript or JSON, comments and regular expressions passed over. */
export function literalsOf(source: string): Literal[] {
  const literals: Literal[] = [];
  const push = (start: number, end: number): void => {
    literals.push({ text: unescape(source.slice(start + 1, end)), callee: calleeBefore(source, start) });
  };
  const readCode = (start: number, inTemplate: boolean): number => {
    let depth = 0;
    let at = start;
    while (at < source.length) {
      const char = source.charAt(at);
      if (char === '/' && source.charAt(at + 1) === '/') at = endOf(source.indexOf('\n', at), source);
      else if (char === '/' && source.charAt(at + 1) === '*') at = endOf(source.indexOf('*/', at + 2), source) + 2;
      else if (char === '/' && regexMayStart(source, at)) at = endOfRegex(source, at);
      else if (char === '"' || char === "'") {
        const end = endOfQuoted(source, at);
        if (end !== -1) push(at, end);
        at = (end === -1 ? at : end) + 1;
      } else if (char === '`') {
        let end = at + 1;
        while (end < source.length && source.charAt(end) !== '`') {
          if (source.charAt(end) === '\\') end += 2;
          else if (source.startsWith('${', end)) end = readCode(end + 2, true);
          else end++;
        }
        push(at, end);
        at = end + 1;
      } else {
        if (inTemplate && char === '{') depth++;
        if (inTemplate && char === '}' && depth-- === 0) return at + 1;
        at++;
      }
    }
    return at;
  };
  readCode(0, false);
  return literals;
}

/** The closing quote, or -1 where the line ends first: an apostrophe in the text of a JSX element. */
function endOfQuoted(source: string, at: number): number {
  const quote = source.charAt(at);
  for (let i = at + 1; i < source.length && source.charAt(i) !== '\n'; i++) {
    if (source.charAt(i) === '\\') i++;
    else if (source.charAt(i) === quote) return i;
  }
  return -1;
}

function endOf(index: number, source: string): number {
  return index === -1 ? source.length : index;
}

function calleeBefore(source: string, at: number): string | null {
  const before = source.slice(Math.max(0, at - 120), at);
  return /(?:^|[^\w.$])((?:test|it|describe)(?:\.\w+(?:\([^()]*\))?)*)\(\s*$/.exec(before)?.[1] ?? null;
}

function regexMayStart(source: string, at: number): boolean {
  const before = source.slice(Math.max(0, at - 40), at).trimEnd();
  return (
    before === '' || /[(,=:[!&|?{;+*%~^-]$|=>$|\b(?:return|typeof|case|in|of|void|throw|else|await|yield)$/.test(before)
  );
}

function endOfRegex(source: string, at: number): number {
  let inClass = false;
  for (let i = at + 1; i < source.length && source.charAt(i) !== '\n'; i++) {
    const char = source.charAt(i);
    if (char === '\\') i++;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) return i + 1;
  }
  return at + 1;
}

function unescape(text: string): string {
  return text.replace(
    /\\(?:u\{([0-9a-fA-F]+)\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([^]))/g,
    (_, point?: string, unit?: string, byte?: string, char?: string) => {
      const hex = point ?? unit ?? byte;
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      return char === 'n' ? '\n' : char === 't' ? '\t' : char === 'r' ? '\r' : (char ?? '');
    },
  );
}

/** In the order of file path and place in the file. A test called with a label but no version is a problem. */
export async function collectTests(root: string, problems: string[] = []): Promise<NamedTest[]> {
  const files = new Set<string>();
  for (const pattern of nameGlobs) {
    for await (const file of new Bun.Glob(pattern).scan({ cwd: root })) files.add(file);
  }
  files.delete(ownTest);
  const tests: NamedTest[] = [];
  for (const file of [...files].sort()) {
    for (const { text, callee } of literalsOf(await Bun.file(join(root, file)).text())) {
      if (callee !== null && inactiveCall.test(callee)) continue;
      const claims = claimsOf(text);
      if (claims.length > 0) tests.push({ name: text, file, claims });
      else if (callee !== null && text.includes('[MQTT-')) {
        problems.push(`${file}: a test's name begins with version and label, then says what is shown: ${text}`);
      }
    }
  }
  return tests;
}

interface Row {
  readonly lineNumber: number;
  readonly label: string;
  readonly cells: readonly string[];
  readonly test: string;
}

interface Table {
  readonly lines: string[];
  readonly rows: readonly Row[];
  readonly clientOnly: readonly string[];
}

function parseTable(markdown: string): Table {
  const lines = markdown.split('\n');
  const rows: Row[] = [];
  let clientOnly: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('Client only:')) clientOnly = line.match(/MQTT-[\d.]+-\d+/g) ?? [];
    if (!line.startsWith('| MQTT-')) continue;
    const cells = line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim());
    rows.push({ lineNumber: index + 1, label: cells[0] ?? '', cells, test: cells[3] ?? '' });
  }
  return { lines, rows, clientOnly };
}

/** The name in backticks, `|` escaped as Markdown tables need it. */
function cellOf(name: string): string {
  return `\`${name.replaceAll('|', '\\|')}\``;
}

function nameIn(cell: string): string | null {
  return /^`(.+)`$/.exec(cell)?.[1]?.replaceAll('\\|', '|') ?? null;
}

function checkCompleteness(standard: Standard, table: Table, problems: string[]): void {
  const numbered = new Set(statementsOf(standard));
  const seen = new Set<string>();
  for (const { label, lineNumber, cells } of table.rows) {
    const where = `${standard.file}:${lineNumber}`;
    if (cells.length !== 4) problems.push(`${where}: a row has 4 cells, this one ${cells.length}`);
    if (!numbered.has(label)) problems.push(`${where}: ${standard.title} has no statement ${label}`);
    if (seen.has(label)) problems.push(`${where}: ${label} is listed twice`);
    if (cells[1] !== 'server' && cells[1] !== 'both') problems.push(`${where}: binds is "server" or "both"`);
    seen.add(label);
  }
  for (const label of table.clientOnly) {
    if (!numbered.has(label)) problems.push(`${standard.file}: ${standard.title} has no statement ${label}`);
    if (seen.has(label)) problems.push(`${standard.file}: ${label} is both in the table and listed as client only`);
    seen.add(label);
  }
  const missing = [...numbered].filter((label) => !seen.has(label));
  if (missing.length > 0) problems.push(`${standard.file}: left out: ${missing.join(', ')}`);
}

/** With `write`, fills the test column first: a cell whose test still exists and claims the statement stays. */
export async function checkConformance(
  root: string,
  options: { readonly write?: boolean; readonly standards?: readonly Standard[] } = {},
): Promise<Report> {
  const problems: string[] = [];
  const summaries: Summary[] = [];
  const tests = await collectTests(root, problems);
  const checked = options.standards ?? standards;
  const known = new Set(checked.flatMap((standard) => statementsOf(standard).map((s) => `${standard.version} ${s}`)));
  const byClaim = new Map<string, NamedTest[]>();
  for (const test of tests) {
    for (const claim of test.claims) {
      if (!known.has(claim))
        problems.push(`${test.file}: no such statement: ${claim}, in the test's name: ${test.name}`);
      byClaim.set(claim, [...(byClaim.get(claim) ?? []), test]);
    }
  }

  for (const standard of checked) {
    const path = join(root, standard.file);
    const table = parseTable(await Bun.file(path).text());
    checkCompleteness(standard, table, problems);
    const pending: string[] = [];
    let tested = 0;
    let none = 0;
    for (const row of table.rows) {
      const where = `${standard.file}:${row.lineNumber}: ${row.label}`;
      const claimants = byClaim.get(`${standard.version} ${row.label}`) ?? [];
      let { test } = row;
      if (options.write === true) {
        const stays = claimants.some(({ name }) => name === nameIn(test));
        if (claimants[0] !== undefined && !stays) test = cellOf(claimants[0].name);
        else if (claimants.length === 0 && nameIn(test) !== null) test = 'pending';
        table.lines[row.lineNumber - 1] = `| ${[...row.cells.slice(0, 3), test].join(' | ')} |`;
      }
      const name = nameIn(test);
      if (name !== null) {
        tested++;
        if (!tests.some((candidate) => candidate.name === name)) problems.push(`${where}: no such test: ${name}`);
        else if (!claimants.some((claimant) => claimant.name === name)) {
          problems.push(`${where}: the test does not claim it: ${name}`);
        }
      } else if (/^none: \S/.test(test)) {
        none++;
        if (claimants[0] !== undefined) problems.push(`${where}: "none", yet there is a test: ${claimants[0].name}`);
      } else {
        pending.push(row.label);
        if (test !== 'pending') problems.push(`${where}: the test is \`a name\`, none: a reason, or pending: ${test}`);
        else if (claimants[0] !== undefined)
          problems.push(`${where}: pending, yet there is a test: ${claimants[0].name}`);
      }
    }
    if (options.write === true) await Bun.write(path, table.lines.join('\n'));
    if (pending.length > 0)
      problems.push(
        `${standard.title}: ${pending.length} without a test: ${pending.map((label) => label.slice(5)).join(', ')}`,
      );
    summaries.push({
      title: standard.title,
      statements: table.rows.length,
      tested,
      none,
      pending: pending.length,
      clientOnly: table.clientOnly.length,
    });
  }
  await checkIndex(root, summaries, problems);
  return { summaries, problems };
}

/** The index names the totals of each version: `| [MQTT 5.0](...) | all | bind a server | client only |`. */
async function checkIndex(root: string, summaries: readonly Summary[], problems: string[]): Promise<void> {
  const index = await Bun.file(join(root, indexFile)).text();
  for (const { title, statements, clientOnly } of summaries) {
    const totals = `| ${statements + clientOnly} | ${statements} | ${clientOnly} |`;
    const line = index.split('\n').find((candidate) => candidate.startsWith(`| [${title}]`));
    if (line?.replace(/ +/g, ' ').endsWith(totals) !== true) {
      problems.push(`${indexFile}: the row of ${title} should end in ${totals}`);
    }
  }
}

export function summaryLine({ title, statements, tested, none, pending, clientOnly }: Summary): string {
  return `${title}: ${statements} statements, ${tested} tested, ${none} none, ${pending} pending (${clientOnly} client only)`;
}

if (import.meta.main) {
  const report = await checkConformance(join(import.meta.dir, '..'), { write: process.argv.includes('--write') });
  for (const summary of report.summaries) console.log(summaryLine(summary));
  for (const problem of report.problems) console.error(problem);
  process.exitCode = report.problems.length > 0 ? 1 : 0;
}
