import type { Database } from 'bun:sqlite';
import { formatCount, formatNumberOf } from '../http/format.ts';
import { storeError } from '../storage/sqlite-faults.ts';
import type { Flag } from './arguments.ts';
import { configFlag, type DbCommandLine, dbUsage, helpFlag, parseDbArguments, storePathOf } from './db-arguments.ts';
import { type Finding, storeChecks } from './db-checks.ts';
import { openToRead } from './db-open.ts';
import { Progress } from './db-progress.ts';
import { printable } from './db-text.ts';
import type { DbIo } from './db.ts';
import { ExitStatus } from './exit-status.ts';

const flags: readonly Flag[] = [
  configFlag,
  { names: ['--json'], takes: null, help: 'Print the findings as one JSON object.' },
  helpFlag,
];

const commandLine: DbCommandLine = {
  line: 'check [OPTION ...] [FILE]',
  about:
    'Reads the whole file, as it is at one moment, and tells what is wrong with it: damaged pages, rows that belong to\n' +
    'nothing, wrong counts. Nothing is changed; a broker may go on using it. Exit status 0: sound, 1: not, or not read.',
  flags,
  examples: ['martlet db check data/martlet.db', 'martlet db check -c martlet.conf'],
};

export async function runCheck(args: readonly string[], io: DbIo): Promise<number> {
  const { given, words } = parseDbArguments(args, flags);
  if (given.has('--help')) {
    io.stdout.write(`${dbUsage(commandLine)}\n`);
    return ExitStatus.success;
  }
  const path = storePathOf(given, words);
  const db = openToRead(path);
  const progress = new Progress(io.stderr);
  try {
    const findings = await checkAll(db, io, progress);
    progress.end();
    if (given.has('--json')) io.stdout.write(`${JSON.stringify({ path, isSound: findings.length === 0, findings })}\n`);
    else io.stdout.write(describe(path, findings));
    return findings.length === 0 ? ExitStatus.success : ExitStatus.failure;
  } finally {
    progress.end();
    db.close(true);
  }
}

async function checkAll(db: Database, io: DbIo, progress: Progress): Promise<Finding[]> {
  const findings: Finding[] = [];
  // One moment for all: counts of one table are compared with rows of another.
  db.run('BEGIN');
  for (let i = 0; i < storeChecks.length; i++) {
    const { name, run } = storeChecks[i]!;
    progress.step(`Checking ${name}`, i + 1, storeChecks.length);
    await io.stderr.flush();
    try {
      findings.push(...run(db));
    } catch (error) {
      const { message } = storeError('cannot be read', error);
      findings.push({ what: `${name}: ${message}`, count: 1, examples: [] });
      // What stands on damaged pages would fail again, or tell nonsense.
      return findings;
    }
  }
  db.run('COMMIT');
  return findings;
}

function describe(path: string, findings: readonly Finding[]): string {
  if (findings.length === 0) return `${path} is sound.\n`;
  const lines = findings.map(({ what, count, examples }) => {
    const some = examples.map(printable).join(', ');
    return `  ${what}${count > 1 ? `: ${formatCount(count)} times` : ''}${some === '' ? '' : `: ${some}`}${count > examples.length && some !== '' ? ', ...' : ''}`;
  });
  return `${path} has ${formatNumberOf(findings.length, 'fault')}:\n${lines.join('\n')}\n`;
}
