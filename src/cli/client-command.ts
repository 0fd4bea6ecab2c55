// The frame of `martlet pub`, `sub` and `rr`: command line in, exit status out.
import type { CommandIo } from './client-io.ts';
import { type ClientCommand, type ClientOptions, parseClientCommand } from './client-options.ts';
import { ExitStatus } from './client-outcome.ts';
import { ClientSetupError } from './client-setup-error.ts';
import { clientUsage, clientVersion, usageComplaint } from './client-usage.ts';
import { ClientUsageError } from './client-usage-error.ts';
import { originalWords } from './client-words.ts';

/**
 * Runs a command whose options are right, and reports what keeps it from running.
 *
 * @returns the exit status
 */
export async function runClientCommand(
  command: ClientCommand,
  args: readonly string[],
  io: CommandIo,
  run: (options: ClientOptions) => Promise<number>,
): Promise<number> {
  let isQuiet = false;
  try {
    const parsed = parseClientCommand(command, originalWords(args, io.rawWords), io.env);
    if (parsed.kind !== 'run') {
      io.stdout.write(parsed.kind === 'help' ? clientUsage(command) : clientVersion(command));
      return ExitStatus.failure;
    }
    isQuiet = parsed.options.quiet;
    for (const warning of parsed.warnings) io.stderr.write(`${warning}\n`);
    return await run(parsed.options);
  } catch (error) {
    if (error instanceof ClientUsageError) io.stderr.write(usageComplaint(command, error));
    else if (!(error instanceof ClientSetupError)) throw error;
    else if (!isQuiet) io.stderr.write(`${error.message}\n`);
    return ExitStatus.failure;
  }
}
