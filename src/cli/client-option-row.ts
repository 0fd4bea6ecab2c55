// What the option tables of `martlet pub`, `sub` and `rr` are made of.
import { isEncodableString } from '../protocol/utf8.ts';
import type { ClientCommand, ClientOptions } from './client-options.ts';
import { ClientUsageError } from './client-usage-error.ts';

export interface ClientOptionRow {
  /** The first one is what messages call it. */
  readonly names: readonly string[];
  readonly commands: readonly ClientCommand[];
  /** What follows, for `--help`; empty for a switch. */
  readonly takes: string;
  /** Ends the message that says so where nothing follows; null for a switch. */
  readonly missing: string | null;
  readonly help: string;
  /** @throws ClientUsageError */
  readonly apply: (options: ClientOptions, value: string) => void;
  /** For options that take several words, of those behind it: returns how many. Null for all others. */
  readonly takeWords: ((options: ClientOptions, words: readonly string[]) => number) | null;
}

export const all: readonly ClientCommand[] = ['pub', 'sub', 'rr'];
export const pub: readonly ClientCommand[] = ['pub'];
export const sub: readonly ClientCommand[] = ['sub'];
export const rr: readonly ClientCommand[] = ['rr'];
/** Those that send a message. */
export const senders: readonly ClientCommand[] = ['pub', 'rr'];
/** Those that print messages. */
export const receivers: readonly ClientCommand[] = ['sub', 'rr'];

/** An option that takes a value: names, commands, value for `--help`, what is missing without, help, effect. */
export function valued(
  names: string,
  commands: readonly ClientCommand[],
  takes: string,
  missing: string,
  help: string,
  apply: (options: ClientOptions, value: string) => void,
): ClientOptionRow {
  return { names: names.split(' '), commands, takes, missing, help, apply, takeWords: null };
}

export function flag(
  names: string,
  commands: readonly ClientCommand[],
  help: string,
  apply: (options: ClientOptions) => void,
): ClientOptionRow {
  return { names: names.split(' '), commands, takes: '', missing: null, help, apply, takeWords: null };
}

export function usage(message: string): ClientUsageError {
  return new ClientUsageError(`Error: ${message}`, 2);
}

/**
 * An empty topic is let through, as Mosquitto does: it is refused when it is used.
 *
 * @param argument what the message calls the option
 * @throws ClientUsageError with `message` for a topic that `isValid` does not take
 */
export function checkTopic(
  argument: string,
  topic: string,
  isValid: (topic: string) => boolean,
  message: string,
): void {
  if (topic === '') return;
  if (!isEncodableString(topic)) throw usage(`Malformed UTF-8 in ${argument} argument.`);
  if (!isValid(topic)) throw new ClientUsageError(`Error: ${message}`, 1);
}
