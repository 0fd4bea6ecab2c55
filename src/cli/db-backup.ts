import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { formatBytes } from '../http/format.ts';
import { copyDatabase, partOf } from '../storage/sqlite-backup.ts';
import { removeDatabase } from '../storage/sqlite-file.ts';
import { readNumber } from '../storage/sqlite-schema.ts';
import { type Flag, UsageError } from './arguments.ts';
import {
  configFlag,
  type DbCommandLine,
  dbUsage,
  demandFewer,
  helpFlag,
  parseDbArguments,
  storePathOf,
} from './db-arguments.ts';
import { DbFailure } from './db-failure.ts';
import { openToRead } from './db-open.ts';
import { Progress } from './db-progress.ts';
import { formatElapsed } from './db-text.ts';
import type { DbIo } from './db.ts';
import { ExitStatus } from './exit-status.ts';

const POLL_MS = 100;

const flags: readonly Flag[] = [configFlag, helpFlag];

const commandLine: DbCommandLine = {
  line: 'backup [OPTION ...] [FILE] TO',
  about:
    'Copies the file to TO as it is at one moment, while a broker may go on using it. TO must not exist; it gets its\n' +
    'name once it is whole and on the disk. A broker starts with the copy as with the file itself.',
  flags,
  examples: [
    'martlet db backup data/martlet.db backup/monday.db',
    'martlet db backup -c martlet.conf backup/monday.db',
  ],
};

export async function runBackup(args: readonly string[], io: DbIo): Promise<number> {
  const { given, words } = parseDbArguments(args, flags);
  if (given.has('--help')) {
    io.stdout.write(`${dbUsage(commandLine)}\n`);
    return ExitStatus.success;
  }
  const hasConfig = given.has('--config-file');
  demandFewer(words, hasConfig ? 1 : 2);
  if (words.length < (hasConfig ? 1 : 2)) throw new UsageError('Name the file to copy, and the one to make: FILE TO.');
  const path = storePathOf(given, words.slice(0, -1));
  const target = words.at(-1)!;
  if (existsSync(target)) throw new DbFailure(`${target} exists already, and is not overwritten`);
  if (!existsSync(dirname(target))) throw new DbFailure(`the folder of ${target} does not exist`);
  const total = sizeOfCopy(path);
  const part = partOf(target);
  const progress = new Progress(io.stderr);
  const timer = setInterval(() => {
    progress.share(`Copying ${path}`, total, statSync(part, { throwIfNoEntry: false })?.size ?? 0, total);
  }, POLL_MS);
  const ignoreStop = io.onStopSignal(() => {
    // The thread that copies cannot be asked to stop.
    removeDatabase(part);
    process.exit(ExitStatus.failure);
  });
  const startedMs = performance.now();
  try {
    await copyDatabase(path, target);
  } finally {
    clearInterval(timer);
    ignoreStop();
    progress.end();
  }
  const took = formatElapsed(performance.now() - startedMs);
  io.stdout.write(`Copied ${path} to ${target}: ${formatBytes(statSync(target).size)} in ${took}.\n`);
  return ExitStatus.success;
}

/** Bytes of the copy, which has no free pages. */
function sizeOfCopy(path: string): number {
  const db = openToRead(path);
  try {
    const pages = readNumber(db, 'PRAGMA page_count') - readNumber(db, 'PRAGMA freelist_count');
    return pages * readNumber(db, 'PRAGMA page_size');
  } finally {
    db.close(true);
  }
}
