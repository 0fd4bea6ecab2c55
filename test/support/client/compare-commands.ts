import { runPub } from '../../../src/cli/pub.ts';
import { runRr } from '../../../src/cli/rr.ts';
import { runSub } from '../../../src/cli/sub.ts';
import { MemoryIo } from './memory-io.ts';

export type Command = 'pub' | 'sub' | 'rr';

export interface Result {
  status: number;
  stdout: string;
  stderr: string;
}

export interface Comparison {
  readonly args: readonly string[];
  readonly stdin?: string | Uint8Array;
  /** Of the environment what says where option files are; none by default. */
  readonly env?: Readonly<Record<string, string>>;
  /** Brings the server into the same state for each of the two. */
  readonly before?: () => Promise<void>;
  /** Runs beside the command, once for each of the two; `id` is what stands behind `-i`. */
  readonly during?: (id: string) => Promise<void>;
  /** The two may run at once, since neither changes what the other sees. */
  readonly together?: boolean;
}

/** A program in a process of its own, with no configuration of any user. */
export async function run(
  program: string,
  args: readonly string[],
  stdin: string | Uint8Array = '',
  env: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const { HOME: _home, XDG_CONFIG_HOME: _folder, ...rest } = process.env;
  const child = Bun.spawn([program, ...args], {
    stdin: new Blob([stdin]),
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...rest, ...env },
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

/** Our command, in this process. */
export async function runOurs(
  command: Command,
  args: readonly string[],
  stdin: string | Uint8Array = '',
  env: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const io = new MemoryIo(stdin);
  io.env = env;
  const status = await { pub: runPub, sub: runSub, rr: runRr }[command]([...args], io);
  return { status, stdout: io.stdout.text, stderr: io.stderr.text };
}

/** Words of a command line, with single quotes as in a shell, and `{NAME}` filled in. */
export function words(line: string, names: Readonly<Record<string, string | number>>): string[] {
  const filled = line.replaceAll(/\{(\w+)\}/g, (whole, name: string) => String(names[name] ?? whole));
  return [...filled.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}

/** Words of Debian's 2.0 for which 2.1 has others, which are ours. */
const newerWords: readonly (readonly [RegExp, string])[] = [
  [/a topic to subscribe to\.$/m, 'a topic to subscribe to (-t) or unsubscribe from (-U).'],
  [/unsupported URL scheme/, 'Unsupported URL scheme'],
];

/** What may differ: names of the programs, identifiers somebody makes up, the process id, the time of day. */
function comparable(command: Command, { status, stdout, stderr }: Result): Result {
  const same = (text: string) =>
    text
      .replaceAll(`mosquitto_${command}`, `martlet ${command}`)
      .replaceAll(/auto-[-0-9A-F]{36}/g, 'auto-X')
      .replaceAll(/mosq-[A-Za-z0-9]{18}/g, 'mosq-X')
      .replaceAll(/pre\d+/g, 'pre-PID')
      .replaceAll(/-(?:ours|theirs)/g, '')
      // The Z in front of the time zone is a mistake that 2.0.13 mended.
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6}Z?)?/g, 'TIME')
      .replaceAll(/Invalid (command|property name) \S+ given/g, 'Invalid $1 given');
  return { status, stdout: same(stdout), stderr: same(stderr) };
}

/** Ours may say more than theirs: a hint, where in a file it stands, or why it is so. */
function withoutMore(ours: Result, theirs: Result): Result {
  const stderr = ours.stderr.replaceAll(/ Did you mean '[^']*'\?|^\(.+\)\n/gm, '');
  const isMore = theirs.stderr !== '' && stderr.startsWith(theirs.stderr);
  return { ...ours, stderr: isMore ? theirs.stderr : stderr };
}

/** Runs Mosquitto's command, then ours. */
export async function runBoth(command: Command, one: Comparison): Promise<{ theirs: Result; ours: Result }> {
  const theirs = runWith((args) => run(`mosquitto_${command}`, args, one.stdin, one.env), 'theirs', one);
  if (one.together !== true) await theirs;
  const ours = runWith((args) => runOurs(command, args, one.stdin, one.env), 'ours', one);
  const expected = comparable(command, await theirs);
  for (const [old, now] of newerWords) expected.stderr = expected.stderr.replace(old, now);
  return { theirs: expected, ours: withoutMore(comparable(command, await ours), expected) };
}

async function runWith(
  runner: (args: readonly string[]) => Promise<Result>,
  suffix: string,
  { args, before, during }: Comparison,
): Promise<Result> {
  await before?.();
  if (during === undefined) return runner(args);
  const at = args.indexOf('-i') + 1;
  const id = `${args[at]}-${suffix}`;
  const [result] = await Promise.all([runner(at === 0 ? args : args.with(at, id)), during(id)]);
  return result;
}
