import { readdirSync } from 'node:fs';
import { quoted } from './config-error.ts';
import { systemErrorText } from './system-error.ts';
import { ValueError } from './value-kinds.ts';

const SUFFIX = '.conf';

/**
 * The files of an `include_dir` in the order they are read: those whose name ends in `.conf`, by name, an upper case
 * letter right before the lower case one.
 *
 * @throws ValueError where the folder cannot be read
 */
export function includedFiles(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw new ValueError(`Unable to open include_dir ${quoted(folder)}: ${systemErrorText(error)}`);
  }
  return names
    .filter((name) => name.endsWith(SUFFIX) && name.length > SUFFIX.length)
    .sort(compareNames)
    .map((name) => `${folder}${folder.endsWith('/') ? '' : '/'}${name}`);
}

/** Character by character: first by letter whatever its case, then by case. Mosquitto's order. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const byLetter = upper(a.charCodeAt(i)) - upper(b.charCodeAt(i));
    if (byLetter !== 0) return byLetter;
    const byCase = a.charCodeAt(i) - b.charCodeAt(i);
    if (byCase !== 0) return byCase;
  }
  return a.length - b.length;
}

/** As C's toupper does it in the C locale. */
function upper(code: number): number {
  return code >= 0x61 && code <= 0x7a ? code - 0x20 : code;
}
