/** Where something stands in a configuration file; lines count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export interface ConfigProblem {
  readonly file: string;
  /** Null where the problem is the file itself. */
  readonly line: number | null;
  readonly text: string;
}

const MOST_SHOWN = 20;

/** A configuration that is refused, with everything that is wrong with it. The message has one line a problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];
  /** Nothing is wrong but that plugins cannot be loaded, for which Mosquitto has an exit status of its own. */
  readonly isPlugin: boolean;

  constructor(problems: readonly ConfigProblem[], isPlugin = false) {
    super(describeProblems(problems).join('\n'));
    this.problems = problems;
    this.isPlugin = isPlugin;
  }
}

/** One line each, `FILE:LINE: TEXT`; of a file that is no configuration at all, the first twenty and a count. */
export function describeProblems(problems: readonly ConfigProblem[]): string[] {
  const lines = problems
    .slice(0, MOST_SHOWN)
    .map(({ file, line, text }) => (line === null ? `${file}: ${text}` : `${file}:${line}: ${text}`));
  const rest = problems.length - lines.length;
  if (rest > 0) lines.push(`${problems[0]!.file}: and ${rest} more`);
  return lines;
}

/** What a file says, made fit for one line of a terminal. */
export function quoted(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the very characters that must not reach a terminal
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
  return clean.length > 60 ? `'${clean.slice(0, 57)}...'` : `'${clean}'`;
}
