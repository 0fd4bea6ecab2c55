// `martlet passwd`: the command line of mosquitto_passwd.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { formatPasswordHash, hashPassword, parsePasswordHash, PasswordHashError } from '../auth/password-hash.ts';
import { type CommandIo, processIo } from './client-io.ts';
import { ExitStatus } from './exit-status.ts';
import {
  parsePasswdArguments,
  PasswdAction,
  type PasswdCommand,
  passwdUsage,
  PasswdUsageError,
} from './passwd-arguments.ts';
import { CorruptPasswordFile, hashUsers, removeUser, setUser } from './passwd-edit.ts';
import { processInput, type SecretInput, SecretReader } from './passwd-prompt.ts';
import { writeWhole } from './passwd-write.ts';

export interface PasswdIo extends Pick<CommandIo, 'stdout' | 'stderr'> {
  readonly secrets: () => SecretInput;
}

/** Passwords that were typed differ. */
const MISMATCH = 2;

/** Ends the command with a line on standard error. */
class PasswdError extends Error {
  override readonly name = 'PasswdError';
  readonly status: number;

  constructor(message: string, status: number = ExitStatus.failure) {
    super(message);
    this.status = status;
  }
}

/** @returns the exit status */
export async function runPasswd(
  args: readonly string[],
  io: PasswdIo = { ...processIo(), secrets: processInput },
): Promise<number> {
  const status = await passwd(args, io);
  await Promise.all([io.stdout.flush(), io.stderr.flush()]);
  return status;
}

async function passwd(args: readonly string[], io: PasswdIo): Promise<number> {
  try {
    const command = args.length === 0 ? null : parsePasswdArguments(args);
    if (command === null) {
      io.stdout.write(passwdUsage());
      return ExitStatus.failure;
    }
    await execute(command, io);
    return ExitStatus.success;
  } catch (error) {
    if (error instanceof PasswdUsageError) {
      io.stderr.write(`Error: ${error.message}\n`);
      if (error.showsUsage) io.stdout.write(passwdUsage());
      return ExitStatus.failure;
    }
    if (!(error instanceof PasswdError)) throw error;
    io.stderr.write(`${error.message}\n`);
    return error.status;
  }
}

async function execute(command: PasswdCommand, io: PasswdIo): Promise<void> {
  const { action, path, username } = command;
  if (path === null) {
    io.stdout.write(`${username}:${await newHash(command, io)}\n`);
    return;
  }
  const target = resolvePath(path);
  switch (action) {
    case PasswdAction.create: {
      const hashText = await newHash(command, io);
      refuseFolder(target);
      write(target, Buffer.from(`${username}:${hashText}\n`), `Unable to open file ${target} for writing.`);
      io.stdout.write(`Adding password for user ${username}\n`);
      return;
    }
    case PasswdAction.set: {
      const source = read(target);
      const hashText = await newHash(command, io);
      const { bytes, isFound } = edit(() => setUser(source, username, hashText));
      update(target, bytes);
      io.stdout.write(`${isFound ? 'Updating' : 'Adding'} password for user ${username}\n`);
      return;
    }
    case PasswdAction.remove: {
      const source = read(target);
      const { bytes, isFound } = edit(() => removeUser(source, username));
      if (!isFound) throw new PasswdError(`Warning: User ${username} not found in password file.`);
      return update(target, bytes);
    }
    case PasswdAction.hash:
      return hashAll(command, target, io);
  }
}

async function hashAll({ kind, iterations }: PasswdCommand, target: string, io: PasswdIo): Promise<void> {
  const source = read(target);
  const hashOne = async (password: Uint8Array, line: number): Promise<string | null> => {
    if (isHashed(password)) {
      io.stderr.write(`Warning: The password at line ${line} is hashed already.\n`);
      return null;
    }
    return formatPasswordHash(await hashPassword(password, kind, iterations));
  };
  const { bytes, userCount } = await hashUsers(source, hashOne).catch(rethrowCorrupt);
  // mosquitto_passwd fails here too, without a word.
  if (userCount === 0) throw new PasswdError('Error: There is no user in the password file.');
  update(target, bytes);
}

function isHashed(password: Uint8Array): boolean {
  try {
    parsePasswordHash(Buffer.from(password).toString('latin1'));
    return true;
  } catch (error) {
    if (error instanceof PasswordHashError) return false;
    throw error;
  }
}

async function newHash(command: PasswdCommand, io: PasswdIo): Promise<string> {
  const { password, kind, iterations } = command;
  const bytes = password === null ? await askTwice(command, io) : new TextEncoder().encode(password);
  return formatPasswordHash(await hashPassword(bytes, kind, iterations));
}

async function askTwice({ path }: PasswdCommand, io: PasswdIo): Promise<Uint8Array> {
  // Standard output is the file where there is no other.
  const output = path === null ? io.stderr : io.stdout;
  const reader = new SecretReader(io.secrets());
  const ask = async (prompt: string): Promise<Uint8Array> => {
    output.write(prompt);
    await output.flush();
    const secret = await reader.readLine();
    if (secret === null) {
      output.write('\n');
      throw new PasswdError('Error: Interrupted, nothing is changed.');
    }
    if (secret.length === 0) throw new PasswdError('Error: Empty password.');
    output.write('\n');
    return secret;
  };
  try {
    const password = await ask('Password: ');
    const again = await ask('Reenter password: ');
    if (Buffer.compare(password, again) !== 0) throw new PasswdError('Error: Passwords do not match.', MISMATCH);
    if (password.length > 65_535) {
      throw new PasswdError('Error: Password must be less than 65536 characters long.');
    }
    return password;
  } finally {
    reader.close();
  }
}

/** Follows links, so that the file and not the link is replaced; a file that is not there yet keeps its name. */
function resolvePath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return path;
    throw new PasswdError(`Error reading password file: ${describe(error)}`);
  }
}

function refuseFolder(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined || stats.isFile()) return;
  const reason = stats.isDirectory() ? systemErrors['EISDIR']! : 'Not a regular file';
  throw new PasswdError(`Error: Unable to open file ${path} for writing. ${reason}.`);
}

function read(path: string): Uint8Array {
  const refuse = (reason: string) => new PasswdError(`Error: Unable to open password file ${path}. ${reason}.`);
  try {
    const stats = statSync(path);
    if (!stats.isFile()) throw refuse(stats.isDirectory() ? systemErrors['EISDIR']! : 'Not a regular file');
    return readFileSync(path);
  } catch (error) {
    if (error instanceof PasswdError) throw error;
    throw refuse(describe(error));
  }
}

function edit<T>(change: () => T): T {
  try {
    return change();
  } catch (error) {
    return rethrowCorrupt(error);
  }
}

function rethrowCorrupt(error: unknown): never {
  if (error instanceof CorruptPasswordFile) {
    throw new PasswdError(`Error: Corrupt password file at line ${error.line}.`);
  }
  throw error;
}

function update(path: string, bytes: Uint8Array): void {
  write(path, bytes, `Unable to write password file ${path}.`);
}

function write(path: string, bytes: Uint8Array, complaint: string): void {
  try {
    writeWhole(path, bytes);
  } catch (error) {
    throw new PasswdError(`Error: ${complaint} ${describe(error)}.`);
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

/** strerror(3) of what files meet. */
const systemErrors: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EBUSY: 'Device or resource busy',
  EDQUOT: 'Disk quota exceeded',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  EMFILE: 'Too many open files',
  ENAMETOOLONG: 'File name too long',
  ENOENT: 'No such file or directory',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
};

function describe(error: unknown): string {
  const code = codeOf(error);
  if (code === '') throw error;
  return systemErrors[code] ?? code;
}
