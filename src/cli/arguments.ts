import { nearestName } from '../config/nearest-name.ts';

/** A command line that cannot be understood; the message is one line for whoever typed it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** One option of a command. */
export interface Flag {
  /** `-c` and `--config-file`; the last one is the name in `values`. */
  readonly names: readonly string[];
  /** What must follow, such as `FILE`; null for a switch. */
  readonly takes: string | null;
  readonly help: string;
}

/** What was given: the values of each flag, in order; of a switch, one empty value each time. */
export class ParsedArguments {
  private readonly values = new Map<string, string[]>();

  add(name: string, value: string): void {
    const list = this.values.get(name);
    if (list === undefined) this.values.set(name, [value]);
    else list.push(value);
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  all(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }

  /**
   * The one value of a flag, or null.
   *
   * @throws UsageError where it was given more than once
   */
  one(name: string): string | null {
    const values = this.all(name);
    if (values.length > 1) throw new UsageError(`${name} is given more than once.`);
    return values[0] ?? null;
  }

  /** @throws UsageError where the value is no port */
  port(name: string, least: 0 | 1): number | null {
    const value = this.one(name);
    return value === null ? null : parsePort(name, value, least);
  }
}

/** @throws UsageError */
export function parsePort(name: string, value: string, least: 0 | 1): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (port >= least && port <= 65_535) return port;
  throw new UsageError(`Invalid port '${value}' for ${name}: expected a number from ${least} to 65535.`);
}

/**
 * Takes apart the arguments of a command that has only flags. `--name=VALUE` does as well as `--name VALUE`.
 *
 * @throws UsageError
 */
export function parseArguments(args: readonly string[], flags: readonly Flag[]): ParsedArguments {
  const byName = new Map(flags.flatMap((flag) => flag.names.map((name) => [name, flag] as const)));
  const parsed = new ParsedArguments();
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    const equals = argument.startsWith('--') ? argument.indexOf('=') : -1;
    const name = equals < 0 ? argument : argument.slice(0, equals);
    const flag = byName.get(name);
    if (flag === undefined) throw new UsageError(describeUnknown(argument, name, byName.keys()));
    const { takes } = flag;
    const key = flag.names.at(-1)!;
    if (takes === null) {
      if (equals >= 0) throw new UsageError(`${name} takes no value.`);
      parsed.add(key, '');
    } else if (equals >= 0) parsed.add(key, argument.slice(equals + 1));
    else {
      const value = args[++i];
      if (value === undefined) throw new UsageError(`${name} argument given, but no ${takes} specified.`);
      parsed.add(key, value);
    }
  }
  return parsed;
}

function describeUnknown(argument: string, name: string, names: Iterable<string>): string {
  if (!argument.startsWith('-')) return `Unexpected argument '${argument}'.`;
  const nearest = name.startsWith('--') ? nearestName(name, names) : null;
  return `Unknown option '${name}'.${nearest === null ? '' : ` Did you mean ${nearest}?`}`;
}

const WIDTH = 100;

/** Two columns, the second one wrapped and aligned. */
export function formatRows(rows: readonly (readonly [left: string, right: string])[], indent = 2): string {
  const left = Math.max(...rows.map(([text]) => text.length));
  const margin = ' '.repeat(indent + left + 2);
  return rows
    .map(([text, explanation]) => {
      const lines = wrap(explanation, Math.max(30, WIDTH - margin.length));
      return `${' '.repeat(indent)}${text.padEnd(left)}  ${lines.join(`\n${margin}`)}`;
    })
    .join('\n');
}

export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}

export function formatFlags(flags: readonly Flag[]): string {
  return formatRows(
    flags.map(({ names, takes, help }) => {
      const isLongOnly = names.every((name) => name.startsWith('--'));
      return [`${isLongOnly ? '    ' : ''}${names.join(', ')}${takes === null ? '' : ` ${takes}`}`, help] as const;
    }),
  );
}
