// Files of options: the one of `-o`, or the one that Mosquitto's clients read by themselves.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientOptionRow } from './client-option-row.ts';
import type { ConnectingCommand } from './client-options.ts';
import { ClientUsageError } from './client-usage-error.ts';
import { decodeWord } from './client-words.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface OptionLine {
  readonly words: readonly string[];
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

export interface OptionFile {
  readonly lines: readonly OptionLine[];
  /** For standard error, unless `--quiet`; null for nothing. */
  readonly warning: string | null;
}

/** What Mosquitto's clients ignore: there is no such file. */
const absent = new Set(['ENOENT', 'ENOTDIR']);

/**
 * The options that hold where the command line says nothing else. The file of `-o` must be there; of the usual one a
 * warning tells where it is there and cannot be read.
 *
 * @param args the command line
 * @throws ClientUsageError
 */
export function readOptionFile(
  command: ConnectingCommand,
  args: readonly string[],
  rows: ReadonlyMap<string, ClientOptionRow>,
  env: Environment,
): OptionFile {
  const given = findGivenFile(args, rows);
  const file = given ?? usualFile(command, env);
  if (file === null) return { lines: [], warning: null };
  try {
    return { lines: parseLines(decodeWord(readFileSync(file)), file, rows), warning: null };
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (given !== null)
      throw new ClientUsageError(`Error: Unable to read options file "${file}": ${reason(error)}.`, 1);
    if (code === '') throw error;
    return { lines: [], warning: absent.has(code) ? null : `Warning: ${message}. Options of this file are not used.` };
  }
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return 'No such file or directory';
    case 'EACCES':
      return 'Permission denied';
    case 'EISDIR':
      return 'Is a directory';
    default:
      return message;
  }
}

/** The value of `-o`, found without looking at what the others say. */
function findGivenFile(args: readonly string[], rows: ReadonlyMap<string, ClientOptionRow>): string | null {
  let file: string | null = null;
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    const row = rows.get(word);
    if (word === '-o') {
      if (file !== null) throw new ClientUsageError('Error: Duplicate -o argument given.', 2);
      file = args[i + 1] ?? null;
    }
    if (row === undefined) continue;
    if (row.takeWords !== null) i += args[i + 2] === 'user-property' ? 4 : 3;
    else if (row.missing !== null) i++;
  }
  return file;
}

function usualFile(command: ConnectingCommand, env: Environment): string | null {
  const { XDG_CONFIG_HOME: folder = '', HOME: home = '' } = env;
  if (folder !== '') return join(folder, `mosquitto_${command}`);
  return home === '' ? null : join(home, '.config', `mosquitto_${command}`);
}

/** One option a line, its value behind one blank up to the end of the line; `#` in the first column is a comment. */
function parseLines(text: string, file: string, rows: ReadonlyMap<string, ClientOptionRow>): OptionLine[] {
  const lines: OptionLine[] = [];
  for (const [index, whole] of text.split('\n').entries()) {
    const [, name, value] = /^ *([^ ]+)(?: (.*))?$/s.exec(whole.replace(/\r+$/, '')) ?? [];
    if (name === undefined || whole.startsWith('#')) continue;
    const words = [name];
    if (value !== undefined && value !== '') {
      if (rows.get(name)?.takeWords != null) words.push(...propertyWords(value));
      else words.push(value);
    }
    lines.push({ words, file, line: index + 1 });
  }
  return lines;
}

/** COMMAND NAME VALUE, or COMMAND user-property KEY VALUE; the last one may hold blanks. */
function propertyWords(text: string): string[] {
  const words = text.split(' ').filter((word) => word !== '');
  const count = words[1] === 'user-property' ? 4 : 3;
  return [...words.slice(0, count - 1), ...(words.length < count ? [] : [words.slice(count - 1).join(' ')])];
}
