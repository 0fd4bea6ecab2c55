import { MosquittoDbError } from '../storage/mosquitto-db-source.ts';
import { StoreError } from '../storage/session-store.ts';
import { formatCount } from '../http/format.ts';
import { ConfigError, describeProblems } from '../config/config-error.ts';
import { UsageError } from './arguments.ts';
import type { Failure } from './failure.ts';
import { ExitStatus } from './exit-status.ts';

/** Ends `martlet db` with one line for the operator. */
export class DbFailure extends Error {
  override readonly name = 'DbFailure';
}

/** A file that is damaged, named. */
export function damageOf(path: string, { message, offset }: MosquittoDbError): string {
  return `${path} is damaged or no mosquitto.db: at byte ${formatCount(offset)}, ${message}`;
}

/** What the operator reads, and the exit status; null for a defect of ours. */
export function describeDbFailure(error: unknown): Failure | null {
  if (error instanceof DbFailure || error instanceof StoreError) {
    return { status: ExitStatus.failure, text: `Error: ${error.message}.` };
  }
  if (error instanceof UsageError) return { status: ExitStatus.refused, text: `Error: ${error.message}` };
  if (error instanceof ConfigError) {
    const lines = describeProblems(error.problems).map((line) => `Error: ${line}`);
    return { status: ExitStatus.refused, text: lines.join('\n') };
  }
  return null;
}
