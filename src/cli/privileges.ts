import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';

/** The message is one line for the operator. */
export class PrivilegeError extends Error {
  override readonly name = 'PrivilegeError';
}

/** The types of Node.js lack it. */
type WithGroups = NodeJS.Process & { initgroups(user: string, group: number): void };

/**
 * `user`: a process of root becomes that user, with its groups, for good. Without effect where it is not root's.
 *
 * @throws PrivilegeError
 */
export function dropPrivileges(user: string): void {
  if (process.geteuid?.() !== 0 || user === 'root') return;
  // The primary group is in a database that only the C library's tools can read wherever it is.
  const { status, stdout, error } = spawnSync('id', ['-g', '--', user], { encoding: 'utf8' });
  if (error !== undefined) throw failure(user, error.message);
  if (status !== 0) throw failure(user, 'this user does not exist');
  const group = Number(stdout.trim());
  try {
    (process as WithGroups).initgroups(user, group);
    process.setgid!(group);
    process.setuid!(user);
  } catch (cause) {
    throw failure(user, (cause as Error).message);
  }
  try {
    accessSync(import.meta.path, constants.R_OK);
  } catch {
    throw failure(user, `this user cannot read the files of Martlet in ${import.meta.dir}`);
  }
}

function failure(user: string, cause: string): PrivilegeError {
  return new PrivilegeError(`Unable to drop privileges to '${user}': ${cause}.`);
}
