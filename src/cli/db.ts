// `martlet db`: looks into the file in which the broker keeps sessions and messages, checks and copies it, and takes over
// what Mosquitto saved.
import { nearestName } from '../config/nearest-name.ts';
import { formatRows, UsageError } from './arguments.ts';
import { type CommandIo, processIo } from './client-io.ts';
import { describeDbFailure } from './db-failure.ts';
import { ExitStatus } from './exit-status.ts';

export type DbIo = Pick<CommandIo, 'stdout' | 'stderr' | 'onStopSignal'>;

interface DbCommand {
  readonly summary: string;
  run(args: readonly string[], io: DbIo): Promise<number>;
}

const commands: Readonly<Record<string, DbCommand>> = {
  inspect: {
    summary: 'Show what the file holds: sessions, subscriptions, queues, retained messages.',
    run: async (args, io) => (await import('./db-inspect.ts')).runInspect(args, io),
  },
  check: {
    summary: 'Look for damage in the file.',
    run: async (args, io) => (await import('./db-check.ts')).runCheck(args, io),
  },
  backup: {
    summary: 'Copy the file while a broker uses it.',
    run: async (args, io) => (await import('./db-backup.ts')).runBackup(args, io),
  },
  import: {
    summary: 'Take over the mosquitto.db of a Mosquitto.',
    run: async (args, io) => (await import('./db-import.ts')).runImport(args, io),
  },
};

/**
 * @returns the exit status: 0, 1 where something fails or a check finds damage, 3 for a command line or configuration that
 * is refused
 */
export async function runDb(args: readonly string[], io: DbIo = processIo()): Promise<number> {
  const status = await db(args, io);
  await Promise.all([io.stdout.flush(), io.stderr.flush()]);
  return status;
}

async function db(args: readonly string[], io: DbIo): Promise<number> {
  const [name = null, ...rest] = args;
  try {
    if (name === '-h' || name === '--help' || name === 'help') {
      io.stdout.write(`${usage()}\n`);
      return ExitStatus.success;
    }
    if (name === null) {
      io.stderr.write(`${usage()}\n`);
      return ExitStatus.refused;
    }
    return await commandOf(name).run(rest, io);
  } catch (error) {
    const failure = describeDbFailure(error);
    if (failure === null) throw error;
    io.stderr.write(`${failure.text}\n`);
    return failure.status;
  }
}

function commandOf(name: string): DbCommand {
  if (Object.hasOwn(commands, name)) return commands[name]!;
  const nearest = nearestName(name, Object.keys(commands));
  const hint = nearest === null ? "'martlet db --help' lists the commands" : `did you mean '${nearest}'?`;
  throw new UsageError(`Unknown command 'db ${name}'; ${hint}`);
}

function usage(): string {
  return [
    'Usage: martlet db COMMAND [OPTION ...] [FILE ...]',
    'Works on the file in which a broker with `persistence true` keeps sessions and messages.'.replaceAll('`', "'"),
    formatRows(Object.entries(commands).map(([name, { summary }]) => [name, summary] as const)),
    [
      'Examples:',
      '  martlet db inspect -c /etc/martlet/martlet.conf',
      '  martlet db check data/martlet.db',
      '  martlet db backup data/martlet.db backup/monday.db',
      '  martlet db import /var/lib/mosquitto/mosquitto.db --into data/martlet.db',
    ].join('\n'),
    "'martlet db COMMAND --help' tells more of one of them.",
  ].join('\n\n');
}
