import { readFileSync, statSync } from 'node:fs';
import { checkListeners } from './check-config.ts';
import { type Config, defaultListenerConfig } from './config.ts';
import { ConfigDraft } from './config-draft.ts';
import { ConfigError, type ConfigProblem, type Place, quoted } from './config-error.ts';
import { isLaterOption } from './later-options.ts';
import { nearestName } from './nearest-name.ts';
import { OptionScope } from './option.ts';
import { optionsByName } from './option-table.ts';
import { ValueError } from './value-kinds.ts';

export interface ParsedConfig {
  readonly config: Config;
  /** Lines for the log: what works, yet deserves a word. */
  readonly notices: readonly string[];
  /** Names of the options that the file gives. */
  readonly given: ReadonlySet<string>;
}

const MOST_FILE_BYTES = 16 * 1024 * 1024;

/** @throws ConfigError where the file cannot be read, or is refused */
export function loadConfig(file: string): ParsedConfig {
  let bytes: Uint8Array;
  try {
    if (statSync(file).size > MOST_FILE_BYTES) throw new Error('larger than 16 MiB');
    bytes = readFileSync(file);
  } catch (error) {
    const text = `Unable to open config file: ${systemErrorText(error)}`;
    throw new ConfigError([{ file, line: null, text }]);
  }
  return parseConfig(bytes, file);
}

/** `no such file or directory` rather than the whole of a system error's message. */
export function systemErrorText(error: unknown): string {
  const { message } = error as Error;
  const match = /^E[A-Z0-9]+: (.*?)(?:,|$)/.exec(message);
  return match?.[1] ?? message;
}

/**
 * Reads the configuration language of mosquitto.conf: one option a line, its name first, then a blank and its value. A
 * line that begins with `#` in its first column is a comment. Options of a listener belong to the `listener` above them.
 *
 * @param file name for messages
 * @throws ConfigError with everything that is wrong with the file
 */
export function parseConfig(source: Uint8Array | string, file: string): ParsedConfig {
  const draft = new ConfigDraft();
  const problems: ConfigProblem[] = [];
  const lines = splitLines(source, file, problems);
  for (let i = 0; i < lines.length; i++) {
    const place = { file, line: i + 1 };
    const text = parseLine(draft, lines[i]!, place);
    if (text !== null) problems.push({ ...place, text });
  }
  problems.push(...checkListeners(draft));
  if (problems.length > 0) throw new ConfigError(problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)));
  return { config: finish(draft), notices: draft.notices, given: draft.given };
}

/** The lines as text. One that is none becomes empty, so that no half of it is taken for something. */
function splitLines(source: Uint8Array | string, file: string, problems: ConfigProblem[]): string[] {
  const text = typeof source === 'string' ? source : new TextDecoder('utf-8').decode(source);
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const isBroken = typeof source !== 'string' && line.includes('\ufffd');
    if (!isBroken && !line.includes('\0')) {
      lines[i] = line;
      continue;
    }
    lines[i] = '';
    if (line.startsWith('#')) continue;
    problems.push({ file, line: i + 1, text: isBroken ? 'not valid UTF-8' : 'contains a NUL character' });
  }
  return lines;
}

/** Applies one line. Answers what is wrong with it, or null. */
function parseLine(draft: ConfigDraft, line: string, place: Place): string | null {
  if (line.startsWith('#')) return null;
  // Not a pattern such as /[ \t]+$/: that one takes minutes over a line of a million blanks.
  const trimmed = line.trim();
  if (trimmed === '') return null;
  const end = trimmed.search(/[ \t]/);
  const name = end < 0 ? trimmed : trimmed.slice(0, end);
  const option = optionsByName.get(name);
  if (option === undefined) return describeUnknown(name);
  const value = end < 0 ? '' : trimmed.slice(end).trimStart();
  if (value === '') return `${name} needs a value: expected ${option.expects}`;
  try {
    option.set(draft, value);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    // The options below a listener that failed are still for it, and not for the one before.
    if (option.name === 'listener') draft.addListener(defaultListenerConfig());
    return error.message === ''
      ? `${name}: got ${quoted(value)}, expected ${option.expects}`
      : `${name}: ${error.message}`;
  }
  const section = option.scope === OptionScope.listener ? draft.section : null;
  const earlier = draft.placeOf(section, option.name);
  draft.record(section, option.name, place);
  if (option.isOnce && earlier !== null) return `${name} is given a second time, first in line ${earlier.line}`;
  return null;
}

function describeUnknown(name: string): string {
  if (name.startsWith('#')) return 'a comment needs its # in the first column';
  if (isLaterOption(name)) return `the option ${quoted(name)} of mosquitto.conf is not available in this version`;
  const nearest = /^[\w.-]+$/.test(name) ? nearestName(name, optionsByName.keys()) : null;
  return `unknown option ${quoted(name)}${nearest === null ? '' : `; did you mean '${nearest}'?`}`;
}

function finish(draft: ConfigDraft): Config {
  for (const listener of draft.config.listeners) {
    if (draft.setTcpNodelay !== null) listener.setTcpNodelay = draft.setTcpNodelay;
    if (draft.websocketsHeadersSize !== null) listener.websocketsHeadersSize = draft.websocketsHeadersSize;
  }
  return draft.config;
}
