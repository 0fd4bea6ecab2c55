import { placeOfStore, type StorePlace } from '../broker/durable/open-store.ts';
import { loadConfig } from '../config/parse-config.ts';
import { type Flag, type ParsedArguments, parseArguments, UsageError } from './arguments.ts';
import { formatUsage, type Usage } from './usage.ts';

export const configFlag: Flag = {
  names: ['-c', '--config-file'],
  takes: 'CONF',
  help: 'Take the file that a broker with this configuration uses.',
};

export const helpFlag: Flag = { names: ['-h', '--help'], takes: null, help: 'Show this text.' };

export interface DbArguments {
  readonly given: ParsedArguments;
  /** What is no option, in order. */
  readonly words: readonly string[];
}

/** What `martlet db NAME` takes, and its help. */
export interface DbCommandLine extends Omit<Usage, 'line'> {
  /** `inspect [OPTION ...] [FILE]`. */
  readonly line: string;
}

export function dbUsage({ line, ...usage }: DbCommandLine): string {
  return formatUsage({ line: `db ${line}`, ...usage });
}

/**
 * Tells options from words; behind `--` all are words.
 *
 * @throws UsageError
 */
export function parseDbArguments(args: readonly string[], flags: readonly Flag[]): DbArguments {
  const options: string[] = [];
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === '--') {
      words.push(...args.slice(i + 1));
      break;
    }
    if (!argument.startsWith('-') || argument === '-') {
      words.push(argument);
      continue;
    }
    options.push(argument);
    const takes = flags.some((flag) => flag.names.includes(argument) && flag.takes !== null);
    if (takes && i + 1 < args.length) options.push(args[++i]!);
  }
  return { given: parseArguments(options, flags), words };
}

/** Where the broker of a configuration keeps its state; null without `-c`. @throws ConfigError, UsageError */
export function placeOf(given: ParsedArguments): StorePlace | null {
  const file = given.one('--config-file');
  return file === null ? null : placeOfStore(loadConfig(file).config.persistence);
}

/**
 * The file to work on: named, or that of `-c`.
 *
 * @param words those that may name it
 * @throws UsageError, ConfigError
 */
export function storePathOf(given: ParsedArguments, words: readonly string[]): string {
  const place = placeOf(given);
  demandFewer(words, place === null ? 1 : 0);
  const path = place?.path ?? words[0];
  if (path === undefined) throw new UsageError('Which file? Name it, or give -c and the configuration of the broker.');
  return path;
}

/** @throws UsageError where there are more words than that */
export function demandFewer(words: readonly string[], most: number): void {
  if (words.length > most) throw new UsageError(`Unexpected argument '${words[most]}'.`);
}

/** @throws UsageError where the value is no number from 1 up */
export function countOf(given: ParsedArguments, name: string, standard: number): number {
  const value = given.one(name);
  if (value === null) return standard;
  if (!/^\d{1,9}$/.test(value) || Number(value) === 0) {
    throw new UsageError(`Invalid number '${value}' for ${name}: expected a number from 1 to 999999999.`);
  }
  return Number(value);
}
