import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemErrorText } from '../config/system-error.ts';
import { formatBytes, formatCount, formatNumberOf } from '../http/format.ts';
import { type ImportReport, previewMosquittoDb, StoreNotEmptyError } from '../storage/mosquitto-db-import.ts';
import { DbFile, MosquittoDbError } from '../storage/mosquitto-db-source.ts';
import { importIntoFile } from '../storage/mosquitto-db-takeover.ts';
import { type Flag, type ParsedArguments, UsageError } from './arguments.ts';
import {
  configFlag,
  type DbCommandLine,
  dbUsage,
  demandFewer,
  helpFlag,
  parseDbArguments,
  placeOf,
} from './db-arguments.ts';
import { DbFailure, damageOf } from './db-failure.ts';
import { Progress } from './db-progress.ts';
import { formatElapsed, formatTime } from './db-text.ts';
import type { DbIo } from './db.ts';
import { ExitStatus } from './exit-status.ts';

const DEFAULT_NAME = 'martlet.db';

const flags: readonly Flag[] = [
  {
    names: ['--into'],
    takes: 'FILE',
    help: `Where to: a new file, or an empty one (default: ${DEFAULT_NAME} beside MOSQUITTO_DB).`,
  },
  {
    ...configFlag,
    help: 'Take both files from the configuration of the broker: what Mosquitto left in persistence_location goes to where the broker will look for its own.',
  },
  { names: ['-n', '--dry-run'], takes: null, help: 'Read it, say what would be taken over, and write nothing.' },
  { names: ['--salvage'], takes: null, help: 'Of a damaged file, take over what stands before the damage.' },
  helpFlag,
];

const commandLine: DbCommandLine = {
  line: 'import [OPTION ...] [MOSQUITTO_DB]',
  about:
    'Takes over sessions, subscriptions, messages in flight and queued, and retained messages that Mosquitto (up to\n' +
    '2.1) saved. End Mosquitto first: what it has not saved yet is not in its file. The file is only read.',
  flags,
  examples: [
    'martlet db import /var/lib/mosquitto/mosquitto.db --into data/martlet.db',
    'martlet db import -c /etc/mosquitto/mosquitto.conf',
    'martlet db import --dry-run mosquitto.db',
  ],
};

interface Files {
  readonly source: string;
  readonly target: string;
}

export async function runImport(args: readonly string[], io: DbIo): Promise<number> {
  const { given, words } = parseDbArguments(args, flags);
  if (given.has('--help')) {
    io.stdout.write(`${dbUsage(commandLine)}\n`);
    return ExitStatus.success;
  }
  demandFewer(words, 1);
  const files = filesOf(given, words[0] ?? null);
  const source = openSource(files.source);
  const progress = new Progress(io.stderr);
  const abort = new AbortController();
  const ignoreStop = io.onStopSignal(() => abort.abort(new DbFailure('stopped: nothing was imported')));
  try {
    const options = {
      nowMs: Date.now(),
      savedAtMs: source.savedAtMs,
      salvage: given.has('--salvage'),
      signal: abort.signal,
      onProgress: (done: number, total: number) => progress.share(`Reading ${files.source}`, source.size, done, total),
    };
    const startedMs = performance.now();
    const isDry = given.has('--dry-run');
    const report = isDry
      ? await previewMosquittoDb(source, options)
      : await importIntoFile(source, files.target, options);
    progress.end();
    const end = isDry
      ? 'Nothing was written.'
      : `Written to ${files.target} in ${formatElapsed(performance.now() - startedMs)}.`;
    io.stdout.write(`${describe(files.source, source, report)}\n${end}\n`);
    if (report.damage !== null) {
      io.stderr.write(`Warning: ${damageOf(files.source, report.damage)}; what stands behind that is lost.\n`);
    }
    return ExitStatus.success;
  } catch (error) {
    progress.end();
    throw explained(error, files);
  } finally {
    ignoreStop();
    source.close();
  }
}

/** @throws UsageError, ConfigError, DbFailure */
function filesOf(given: ParsedArguments, named: string | null): Files {
  const place = placeOf(given);
  const source = named ?? place?.mosquittoPath ?? null;
  if (source === null) {
    if (place === null) throw new UsageError('Which file? Name the mosquitto.db to import, or give -c CONF.');
    throw new DbFailure(`there is no mosquitto.db in ${dirname(place.path)}, where the configuration says`);
  }
  const target = given.one('--into') ?? place?.path ?? join(dirname(source), DEFAULT_NAME);
  return { source, target };
}

function openSource(path: string): DbFile {
  try {
    return new DbFile(path);
  } catch (error) {
    throw new DbFailure(`cannot read ${path}: ${systemErrorText(error)}`);
  }
}

function explained(error: unknown, { source, target }: Files): unknown {
  if (error instanceof MosquittoDbError) {
    const hint = error.offset > 0 ? '. Nothing was imported; --salvage takes over what stands before the damage' : '';
    return new DbFailure(damageOf(source, error) + hint);
  }
  if (error instanceof StoreNotEmptyError) {
    const { sessions, retained } = error.summary;
    return new DbFailure(
      `${target} is not empty: it has ${formatNumberOf(sessions, 'session')} and ` +
        `${formatNumberOf(retained, 'retained message')}. Nothing was imported; name another file with --into`,
    );
  }
  if (!existsSync(dirname(target))) return new DbFailure(`the folder of ${target} does not exist`);
  return error;
}

function describe(path: string, source: DbFile, { format, totals, leftOut }: ImportReport): string {
  const rows: (readonly [value: number, what: string])[] = [
    [totals.sessions, 'sessions'],
    [totals.subscriptions, 'subscriptions'],
    [totals.inflight, 'messages in flight to clients'],
    [totals.queued, 'messages queued for clients'],
    [totals.incoming, 'QoS 2 messages from clients, not released yet'],
    [totals.retained, 'retained messages'],
  ];
  const lost = leftOut.list();
  const digits = Math.max(
    ...[...rows.map(([value]) => value), ...lost.map(({ count }) => count)].map((one) => formatCount(one).length),
  );
  const line = (value: number, what: string) => `  ${formatCount(value).padStart(digits)}  ${what}`;
  const lines = [
    `${path}: ${formatBytes(source.size)}, format ${format}, saved ${formatTime(source.savedAtMs)}`,
    ...rows.map(([value, what]) => line(value, what)),
  ];
  if (totals.messages > 0) {
    lines.push(`Messages are ${formatCount(totals.messages)} with ${formatBytes(totals.payloadBytes)} of payload.`);
  }
  if (lost.length > 0) {
    lines.push('Left out:');
    for (const { reason, count, offset } of lost) {
      lines.push(line(count, offset > 0 ? `${reason} (first at byte ${formatCount(offset)})` : reason));
    }
  }
  return lines.join('\n');
}
