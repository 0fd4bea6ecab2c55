import { DEFAULT_ITERATIONS, HashKind } from '../auth/password-hash.ts';
import { formatRows } from './arguments.ts';
import { leadingInteger } from './client-usage-error.ts';

export const PasswdAction = { create: 'create', set: 'set', remove: 'remove', hash: 'hash' } as const;
export type PasswdAction = (typeof PasswdAction)[keyof typeof PasswdAction];

export interface PasswdCommand {
  readonly action: PasswdAction;
  /** Null: standard output. */
  readonly path: string | null;
  /** Empty for `hash`. */
  readonly username: string;
  /** Null: to be asked for, where the action takes one. */
  readonly password: string | null;
  readonly kind: HashKind;
  readonly iterations: number;
}

/** A command line that `martlet passwd` does not take. */
export class PasswdUsageError extends Error {
  override readonly name = 'PasswdUsageError';
  /** Whether the usage is shown. */
  readonly showsUsage: boolean;

  constructor(message: string, showsUsage = false) {
    super(message);
    this.showsUsage = showsUsage;
  }
}

const kinds: Readonly<Record<string, HashKind>> = {
  argon2id: HashKind.argon2id,
  'sha512-pbkdf2': HashKind.pbkdf2,
  sha512: HashKind.sha512,
};
const MOST_ITERATIONS = 0x7fff_ffff;

interface Flags {
  readonly given: ReadonlySet<string>;
  readonly kind: HashKind;
  readonly iterations: number;
  readonly words: readonly string[];
}

/** Null where help is wanted. */
function parseFlags(args: readonly string[]): Flags | null {
  const given = new Set<string>();
  let kind: HashKind = HashKind.pbkdf2;
  let iterations = DEFAULT_ITERATIONS;
  let at = 0;
  const valueOf = (flag: string): string => {
    const value = args[++at];
    if (value === undefined) throw new PasswdUsageError(`${flag} argument given but not enough other arguments.`);
    return value;
  };
  for (; at < args.length; at++) {
    const argument = args[at]!;
    switch (argument) {
      case '-h':
      case '--help':
        return null;
      case '-b':
      case '-c':
      case '-D':
      case '-U':
        given.add(argument);
        continue;
      case '-H': {
        const name = valueOf(argument);
        if (!Object.hasOwn(kinds, name)) throw new PasswdUsageError(`Unknown hash type '${name}'`);
        kind = kinds[name]!;
        continue;
      }
      case '-I':
        iterations = leadingInteger(valueOf(argument));
        if (iterations < 1) throw new PasswdUsageError('Number of iterations must be > 0.');
        if (iterations > MOST_ITERATIONS) {
          throw new PasswdUsageError(`Number of iterations must be <= ${MOST_ITERATIONS}.`);
        }
        continue;
    }
    if (argument.startsWith('-') && argument !== '-') throw new PasswdUsageError(`Unknown option '${argument}'.`, true);
    break;
  }
  return { given, kind, iterations, words: args.slice(at) };
}

const conflicts = [
  ['-c', '-D'],
  ['-c', '-U'],
  ['-D', '-U'],
  ['-b', '-D'],
] as const;

/**
 * Takes the command line apart as mosquitto_passwd does: options stand in front, and `-c` and `-D` do not mind words
 * too many. The texts of errors are Mosquitto's.
 *
 * @returns null where help is wanted
 * @throws PasswdUsageError
 */
export function parsePasswdArguments(args: readonly string[]): PasswdCommand | null {
  const flags = parseFlags(args);
  if (flags === null) return null;
  const { given, kind, iterations, words } = flags;
  for (const [one, other] of conflicts) {
    if (given.has(one) && given.has(other)) throw new PasswdUsageError(`${one} and ${other} cannot be used together.`);
  }
  const [path = '', username = '', password = ''] = words;
  const isBatch = given.has('-b');
  const command = { path, username, password: isBatch ? password : null, kind, iterations };
  const needed = isBatch ? 3 : 2;
  if (given.has('-c')) {
    if (words.length < needed) {
      const missing = isBatch ? 'password file, username, or password missing' : 'password file or username missing';
      throw new PasswdUsageError(`-c argument given but ${missing}.`);
    }
    checkNewUser(command);
    return { ...command, action: PasswdAction.create, path: path === '-' ? null : path };
  }
  if (given.has('-D')) {
    if (words.length < 2) throw new PasswdUsageError('-D argument given but password file or username missing.');
    checkUsername(username);
    return { ...command, action: PasswdAction.remove };
  }
  if (given.has('-U')) {
    if (words.length !== 1) throw new PasswdUsageError('-U argument given but password file missing.');
    return { ...command, action: PasswdAction.hash };
  }
  if (words.length !== needed) {
    const expected = isBatch ? 'a password file, a username and a password' : 'a password file and a username';
    throw new PasswdUsageError(`Expected ${expected}.`, true);
  }
  checkNewUser(command);
  return { ...command, action: PasswdAction.set };
}

function checkUsername(username: string): void {
  if (Buffer.byteLength(username) > 65_535) {
    throw new PasswdUsageError('Username must be less than 65536 characters long.');
  }
  // oxlint-disable-next-line no-control-regex -- the very characters that a line cannot hold
  if (/[\u0000-\u001f\u007f]/.test(username)) {
    throw new PasswdUsageError('Username must not contain control characters.');
  }
  if (username.includes(':')) throw new PasswdUsageError("Username must not contain the ':' character.");
}

/** Refuses names that a password file would not give back: the broker would read another one, or none. */
function checkNewUser({ username, password }: Pick<PasswdCommand, 'username' | 'password'>): void {
  checkUsername(username);
  if (username === '') throw new PasswdUsageError('Username must not be empty.');
  if (username.startsWith('#')) throw new PasswdUsageError("Username must not begin with '#'.");
  if (username.startsWith(' ') || username.endsWith(' ')) {
    throw new PasswdUsageError('Username must not begin or end with a blank.');
  }
  // Brokers take an empty password for none, and let nobody in with it.
  if (password === '') throw new PasswdUsageError('Empty password.');
  if (password !== null && Buffer.byteLength(password) > 65_535) {
    throw new PasswdUsageError('Password must be less than 65536 characters long.');
  }
}

export function passwdUsage(): string {
  return [
    'martlet passwd keeps the users of a password file. It takes the options of mosquitto_passwd.',
    '',
    'Usage: martlet passwd [-H HASH] [-I ITERATIONS] [-c] FILE USERNAME',
    '       martlet passwd [-H HASH] [-I ITERATIONS] [-c] -b FILE USERNAME PASSWORD',
    '       martlet passwd -D FILE USERNAME',
    '       martlet passwd [-H HASH] [-I ITERATIONS] -U FILE',
    '',
    formatRows([
      ['-b', 'Batch mode: the password is on the command line, where others on this machine may see it.'],
      ['-c', "Create the file, in place of what it holds; the file '-' is standard output."],
      ['-D', 'Delete the user.'],
      ['-H HASH', 'argon2id (Mosquitto 2.1), sha512-pbkdf2 (2.0 and 2.1; the default here) or sha512 (1.6).'],
      [
        '-I ITERATIONS',
        `Rounds of sha512-pbkdf2 (default ${DEFAULT_ITERATIONS}): the more, the slower to guess and to log in.`,
      ],
      ['-U', 'Hash the passwords of a file that holds them in plain text; hashed ones stay as they are.'],
      ['-h, --help', 'Show this help.'],
    ]),
    '',
  ].join('\n');
}
