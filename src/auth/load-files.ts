import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { ConfigError, type ConfigProblem } from '../config/config-error.ts';
import { systemErrorText } from '../config/parse-config.ts';
import { type AclFile, parseAclFile } from './acl-file.ts';
import { PasswordFile } from './password-file.ts';

export interface Loaded<T> {
  readonly file: T;
  /** For the log; none of them keeps the file from being used. */
  readonly warnings: readonly ConfigProblem[];
}

/** @throws ConfigError where it cannot be read */
export function loadPasswordFile(path: string): Loaded<PasswordFile> {
  const { bytes, warnings } = readPrivateFile(path, 'password_file');
  const file = PasswordFile.parse(bytes, path);
  return { file, warnings: [...warnings, ...file.problems] };
}

/** @throws ConfigError where it cannot be read, or something in it is wrong */
export function loadAclFile(path: string): Loaded<AclFile> {
  const { bytes, warnings } = readPrivateFile(path, 'acl_file');
  const file = parseAclFile(bytes, path);
  return { file, warnings: [...warnings, ...file.warnings] };
}

/** @param option which names the file */
function readPrivateFile(path: string, option: string): { bytes: Uint8Array; warnings: ConfigProblem[] } {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(path, 'r');
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new ConfigError([{ file: path, line: null, text: `${option} is not a file` }]);
    const text = `File ${path} has world readable permissions. To fix this, use \`chmod 0600 ${path}\`.`;
    const warnings = (stats.mode & 0o007) === 0 ? [] : [{ file: path, line: null, text }];
    return { bytes: readFileSync(descriptor), warnings };
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError([{ file: path, line: null, text: `${option} cannot be read: ${systemErrorText(error)}` }]);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}
