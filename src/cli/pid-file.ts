import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { systemErrorText } from '../config/system-error.ts';

/** The message is one line for the operator. */
export class PidFileError extends Error {
  override readonly name = 'PidFileError';
}

/** @throws PidFileError */
export function writePidFile(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (error) {
    throw new PidFileError(`Unable to write pid file ${path}: ${systemErrorText(error)}.`, { cause: error });
  }
}

/** Removes the file if it is still ours. */
export function removePidFile(path: string): void {
  try {
    if (readFileSync(path, 'utf8').trim() === String(process.pid)) unlinkSync(path);
  } catch {
    // somebody took it away; there is nothing left to tidy up
  }
}
