import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { systemErrorText } from '../config/parse-config.ts';
import { LogError } from './log-error.ts';
import { LogSink, type WriteFunction } from './log-sink.ts';

/** What a log tells of a broker's life belongs to the broker's user alone: client identifiers, addresses. */
const FILE_MODE = 0o600;

/**
 * `log_dest file`. A file that was deleted, with its folder or without, is made again as soon as that is possible; one
 * that was moved away is written to until `reopen`.
 */
export class LogFile {
  readonly path: string;
  readonly sink: LogSink;
  private fd: number;

  /**
   * @param onTrouble called with a line for the operator when the file can no longer be written
   * @throws LogError
   */
  constructor(
    path: string,
    lostLine: (count: number) => string,
    onTrouble: (line: string) => void,
    write?: WriteFunction,
  ) {
    this.path = path;
    this.fd = openLogFile(path);
    this.sink = new LogSink(this.fd, {
      lostLine,
      closeFd: closeSync,
      ...(write === undefined ? {} : { write }),
      check: () => this.check(),
      canRecover: true,
      onTrouble: (error) => onTrouble(describeTrouble(path, error)),
    });
  }

  /** @throws LogError; the log goes on where it was */
  reopen(): void {
    this.replace(openLogFile(this.path));
  }

  private replace(fd: number): void {
    this.fd = fd;
    this.sink.replace(fd);
  }

  /** A file without a name is read by nobody. */
  private check(): NodeJS.ErrnoException | null {
    try {
      const stat = fstatSync(this.fd);
      if (!stat.isFile() || stat.nlink > 0) return null;
      this.replace(open(this.path));
      return null;
    } catch (error) {
      return error as NodeJS.ErrnoException;
    }
  }
}

function describeTrouble(path: string, error: NodeJS.ErrnoException): string {
  const cause = systemErrorText(error);
  return `Warning: log file ${path} cannot be written: ${cause}. Lines are dropped and counted until it can.`;
}

/** Not blocking: the open of a named pipe would otherwise wait for a reader. */
function open(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants;
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, FILE_MODE);
}

function openLogFile(path: string): number {
  try {
    return open(path);
  } catch (error) {
    throw new LogError(`Unable to open log file ${path} for writing: ${systemErrorText(error)}.`, { cause: error });
  }
}
