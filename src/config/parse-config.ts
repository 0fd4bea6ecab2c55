import { readFileSync, statSync } from 'node:fs';
import { checkConfig } from './check-config.ts';
import { type Config, defaultListenerConfig } from './config.ts';
import { ConfigDraft } from './config-draft.ts';
import { ConfigError, type ConfigProblem, quoted } from './config-error.ts';
import { includedFiles } from './include-dir.ts';
import { nearestName } from './nearest-name.ts';
import { type Option, OptionScope } from './option.ts';
import { optionsByName } from './option-table.ts';
import { findPluginOption } from './plugin-options.ts';
import { systemErrorText } from './system-error.ts';
import { ValueError, wordsOf } from './value-kinds.ts';

export { systemErrorText } from './system-error.ts';

export interface ParsedConfig {
  readonly config: Config;
  /** Lines for the log: what works, yet deserves a word. */
  readonly notices: readonly string[];
  /** Names of the options that the file gives. */
  readonly given: ReadonlySet<string>;
}

const MOST_FILE_BYTES = 16 * 1024 * 1024;

/**
 * Reads a file, or several as if they were one, but for sections: each file has its own.
 *
 * @throws ConfigError where a file cannot be read, or is refused
 */
export function loadConfig(...files: readonly string[]): ParsedConfig {
  const sources = files.map((file): Source => {
    const bytes = readConfigFile(file);
    if (typeof bytes === 'string') throw new ConfigError([{ file, line: null, text: bytes }]);
    return { file, bytes };
  });
  return new ConfigReader().read(sources);
}

interface Source {
  /** Name for messages. */
  readonly file: string;
  readonly bytes: Uint8Array | string;
}

/** The bytes of a file, or why there are none. */
function readConfigFile(file: string): Uint8Array | string {
  try {
    if (statSync(file).size > MOST_FILE_BYTES) throw new Error('larger than 16 MiB');
    return readFileSync(file);
  } catch (error) {
    return `Unable to open config file: ${systemErrorText(error)}`;
  }
}

/**
 * Reads the configuration language of mosquitto.conf: one option a line, its name first, then a blank and its value. A
 * line that begins with `#` in its first column is a comment. Options of a listener belong to the `listener` above them,
 * those of a bridge to the `connection` above them.
 *
 * @param file name for messages
 * @throws ConfigError with everything that is wrong with the file and those it includes
 */
export function parseConfig(source: Uint8Array | string, file: string): ParsedConfig {
  return new ConfigReader().read([{ file, bytes: source }]);
}

class ConfigReader {
  private readonly draft = new ConfigDraft();
  private readonly problems: ConfigProblem[] = [];
  /** Those that no other file includes. */
  private mainFiles: readonly string[] = [];
  /** In the order in which they were begun. */
  private readonly files: string[] = [];

  read(sources: readonly Source[]): ParsedConfig {
    const { draft, problems } = this;
    this.mainFiles = sources.map(({ file }) => file);
    draft.include = (folder) => this.include(folder);
    for (const { file, bytes } of sources) {
      draft.enterFile();
      this.readLines(bytes, file);
      draft.leaveFile();
    }
    problems.push(...draft.finish(), ...checkConfig(draft));
    if (problems.length > 0) throw new ConfigError(this.inOrder(problems));
    // Only where nothing else is wrong: the exit status tells of plugins.
    if (draft.plugins.length > 0) throw new ConfigError(draft.plugins, true);
    return { config: draft.config, notices: draft.notices, given: draft.given };
  }

  private inOrder(problems: ConfigProblem[]): ConfigProblem[] {
    const rank = ({ file }: ConfigProblem) => this.files.indexOf(file);
    return problems.sort((a, b) => rank(a) - rank(b) || (a.line ?? 0) - (b.line ?? 0));
  }

  private readLines(source: Uint8Array | string, file: string): void {
    this.files.push(file);
    const lines = splitLines(source, file, this.problems);
    for (let i = 0; i < lines.length; i++) {
      this.draft.place = { file, line: i + 1 };
      const text = this.readLine(lines[i]!);
      if (text !== null) this.problems.push({ file, line: i + 1, text });
    }
  }

  /** Reads the files of `include_dir` as if their lines stood here, but for sections: each file has its own. */
  private include(folder: string): void {
    const { draft } = this;
    const { place } = draft;
    if (!this.mainFiles.includes(place.file)) {
      throw new ValueError('only the main configuration file may include others');
    }
    for (const file of includedFiles(folder)) {
      const bytes = readConfigFile(file);
      if (typeof bytes === 'string') {
        this.problems.push({ file, line: null, text: bytes });
        continue;
      }
      draft.enterFile();
      this.readLines(bytes, file);
      draft.leaveFile();
    }
    draft.place = place;
  }

  /** Applies one line. Answers what is wrong with it, or null. */
  private readLine(line: string): string | null {
    if (line.startsWith('#')) return null;
    // Not a pattern such as /[ \t]+$/: that one takes minutes over a line of a million blanks.
    const trimmed = line.trim();
    if (trimmed === '') return null;
    const end = trimmed.search(/[ \t]/);
    const name = end < 0 ? trimmed : trimmed.slice(0, end);
    const option = optionsByName.get(name) ?? findPluginOption(name);
    if (option === null || option === undefined) return describeUnknown(name);
    const value = end < 0 ? '' : trimmed.slice(end).trimStart();
    if (value === '' && !option.isValueless) return `${name} needs a value: expected ${option.expects}`;
    return this.set(option, name, value);
  }

  private set(option: Option, name: string, value: string): string | null {
    const { draft } = this;
    const { place } = draft;
    const [read, rest] = option.mostWords === null ? [value, ''] : splitWords(value, option.mostWords);
    try {
      option.set(draft, read, name);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      // The options below a section that failed are still for it, and not for the one before.
      if (option.name === 'listener') draft.addListener(defaultListenerConfig());
      // What is wrong is not missing.
      if (option.scope === OptionScope.bridge) draft.record(ownerOf(option, draft), option.name, place);
      if (error.message !== '') return `${name}: ${error.message}`;
      return `${name}: ${option.isSecret ? '' : `got ${quoted(value)}, `}expected ${option.expects}`;
    }
    if (rest !== '') {
      const what = option.isSecret ? 'what stands behind its value' : quoted(rest);
      draft.notices.push(`Warning: ${place.file}:${place.line}: ${name} takes no notice of ${what}.`);
    }
    const owner = ownerOf(option, draft);
    const earlier = draft.placeOf(owner, option.name);
    draft.record(owner, option.name, place);
    if (!option.isOnce || earlier === null) return null;
    const where = earlier.file === place.file ? `line ${earlier.line}` : `${earlier.file}:${earlier.line}`;
    return `${name} is given a second time, first in ${where}`;
  }
}

/** Whose option it is: a second one there is one too many. */
function ownerOf({ scope }: Option, draft: ConfigDraft): object | null {
  switch (scope) {
    case OptionScope.global:
    case OptionScope.plugin:
      return null;
    case OptionScope.listener:
      return draft.listener;
    case OptionScope.security:
      return draft.securityOwner;
    case OptionScope.bridge:
      return draft.bridge;
  }
}

/** The first words of a value, and the rest that is no remark. */
function splitWords(value: string, count: number): [string, string] {
  const words = wordsOf(value);
  return words.length <= count ? [value, ''] : [words.slice(0, count).join(' '), words.slice(count).join(' ')];
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

function describeUnknown(name: string): string {
  if (name.startsWith('#')) return 'a comment needs its # in the first column';
  const nearest = /^[\w.-]+$/.test(name) ? nearestName(name, optionsByName.keys()) : null;
  // Behind a sign that should have been a blank stands a value, which may be a password.
  const shown = name.replace(/^([^=:]+[=:]).+$/s, '$1...');
  return `unknown option ${quoted(shown)}${nearest === null ? '' : `; did you mean '${nearest}'?`}`;
}
