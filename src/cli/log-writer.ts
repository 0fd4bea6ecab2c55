import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { type Logger, LogLevel } from '../broker/log.ts';
import type { LogConfig } from '../config/config.ts';
import { systemErrorText } from '../config/parse-config.ts';
import { LogSink, type WriteFunction } from './log-sink.ts';

/** A log file cannot be opened; the message is one line for the operator. */
export class LogFileError extends Error {
  override readonly name = 'LogFileError';
}

const typeOfLevel: Readonly<Record<LogLevel, string>> = {
  [LogLevel.error]: 'error',
  [LogLevel.warning]: 'warning',
  [LogLevel.notice]: 'notice',
  [LogLevel.information]: 'information',
  [LogLevel.debug]: 'debug',
};

/** What readers of a log get to see of a broker's life belongs to the broker's user alone: client identifiers, addresses. */
const FILE_MODE = 0o600;

/**
 * The log of a broker as Mosquitto writes it, `1700000000: text`, to any of stderr, stdout and a file. Logging never
 * blocks and never fails; see LogSink for what happens to a reader that does not read.
 */
export class LogWriter implements Logger {
  readonly level: LogLevel;
  /** Whether errors that are logged can be read on stderr. */
  readonly showsErrorsOnStderr: boolean;
  private readonly isLogged: readonly boolean[];
  private readonly hasTimestamp: boolean;
  private readonly now: () => number;
  private readonly sinks: LogSink[] = [];
  private readonly path: string | null = null;
  private readonly fileSink: LogSink | null = null;
  private stampSecond = -1;
  private stamp = '';

  /** @throws LogFileError */
  constructor(config: LogConfig, now: () => number = Date.now, writeFunction?: WriteFunction) {
    this.isLogged = Object.values(LogLevel).map((level) => config.types.has(typeOfLevel[level]));
    this.hasTimestamp = config.timestamp;
    this.now = now;
    const lost = (count: number) =>
      this.format(`Warning: ${count} ${count === 1 ? 'line' : 'lines'} of this log lost: they could not be written.`);
    let showsErrorsOnStderr = false;
    for (const destination of config.destinations) {
      if (destination.kind === 'none') continue;
      if (destination.kind !== 'file') {
        const fd = openWithoutBlocking(destination.kind === 'stdout' ? 1 : 2);
        this.sinks.push(new LogSink(fd, lost, undefined, writeFunction));
        showsErrorsOnStderr ||= destination.kind === 'stderr' && this.isLogged[LogLevel.error] === true;
        continue;
      }
      this.path = destination.path;
      this.fileSink = new LogSink(openLogFile(destination.path), lost, closeSync, writeFunction);
      this.sinks.push(this.fileSink);
    }
    // Nobody reads it: then no line need be built, and no address kept for one.
    const mostTold = this.sinks.length === 0 ? LogLevel.error : this.isLogged.lastIndexOf(true);
    this.level = Math.max(LogLevel.error, mostTold) as LogLevel;
    this.showsErrorsOnStderr = showsErrorsOnStderr;
  }

  log(level: LogLevel, line: string): void {
    if (this.isLogged[level] !== true || this.sinks.length === 0) return;
    const text = this.format(line);
    for (const sink of this.sinks) sink.add(text);
  }

  private format(line: string): string {
    if (!this.hasTimestamp) return `${line}\n`;
    const second = Math.floor(this.now() / 1_000);
    if (second !== this.stampSecond) {
      this.stampSecond = second;
      this.stamp = `${second}: `;
    }
    return `${this.stamp}${line}\n`;
  }

  /**
   * Opens the log file anew, for whoever moves log files away. Answers its path; null where there is no file.
   *
   * @throws LogFileError; the log goes on where it was
   */
  reopen(): string | null {
    if (this.fileSink === null || this.path === null) return null;
    this.fileSink.replace(openLogFile(this.path));
    return this.path;
  }

  /** Resolves once all lines are written, or after that time. */
  async flush(timeoutMs = 200): Promise<void> {
    await Promise.all(this.sinks.map((sink) => sink.flush(timeoutMs)));
  }
}

/**
 * A descriptor for the same pipe or terminal that never blocks. `fs.write` runs in one of a few threads (as many as there
 * are cores), and one that blocks there is missing everywhere else: with stdout and stderr both stuck on a machine with
 * two cores, no file could be read any more. The flag is not set on our own descriptor, since we share that with others.
 *
 * @returns the descriptor itself where there is no such way: a socket, another system than Linux
 */
function openWithoutBlocking(fd: number): number {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return fd;
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return fd;
  }
}

/** Not blocking: the open of a named pipe would otherwise wait for a reader. */
function openLogFile(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  try {
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, FILE_MODE);
  } catch (error) {
    throw new LogFileError(`Unable to open log file ${path} for writing: ${systemErrorText(error)}.`, { cause: error });
  }
}
