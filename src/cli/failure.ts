import { ConfigError, describeProblems } from '../config/config-error.ts';
import { LogError } from '../log/log-error.ts';
import { UsageError } from './arguments.ts';
import { ExitStatus } from './exit-status.ts';
import { PidFileError } from './pid-file.ts';
import { PrivilegeError } from './privileges.ts';
import { StartError } from './running-broker.ts';

export interface Failure {
  readonly status: number;
  /** Lines for the operator, without the last line break. */
  readonly text: string;
}

const startErrors = [LogError, PidFileError, PrivilegeError, StartError];

/** What the operator reads where we cannot start, and the exit status; null for a defect of ours. */
export function describeFailure(error: unknown): Failure | null {
  if (error instanceof ConfigError) {
    const text = describeProblems(error.problems)
      .map((line) => `Error: ${line}`)
      .join('\n');
    return { status: error.isPlugin ? ExitStatus.unknown : ExitStatus.refused, text };
  }
  if (error instanceof UsageError) return { status: ExitStatus.refused, text: `Error: ${error.message}` };
  if (startErrors.some((one) => error instanceof one)) {
    return { status: ExitStatus.failure, text: `Error: ${(error as Error).message}` };
  }
  return null;
}

/** The same of what a configuration names: files of users and rules that cannot be read have a status of their own. */
export function describeStartFailure(error: unknown): Failure | null {
  const failure = describeFailure(error);
  if (failure === null || !(error instanceof ConfigError)) return failure;
  const isUnread = error.problems.every(({ line }) => line === null);
  return isUnread ? { ...failure, status: ExitStatus.unknown } : failure;
}
