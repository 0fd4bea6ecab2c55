import type { MessageSource } from './client-options.ts';
import { ClientSetupError } from './client-setup-error.ts';
import { processInput, SecretReader } from './passwd-prompt.ts';

/**
 * Asks on the terminal for the pass phrase of an encrypted key.
 *
 * @param source of the message: standard input may not serve both
 * @throws ClientSetupError where there is nobody to ask
 */
export async function askPassPhrase(keyFile: string, source: MessageSource | null): Promise<string> {
  const isTaken = source?.kind === 'lines' || source?.kind === 'stdin';
  const input = isTaken ? null : processInput();
  if (input === null || !input.isTerminal) {
    input?.close();
    const why = `'${keyFile}' is encrypted, and standard input is no terminal on which to ask for its pass phrase.`;
    throw new ClientSetupError(`Error: Problem setting TLS options.\n${why}`);
  }
  const reader = new SecretReader(input);
  try {
    process.stderr.write('Enter PEM pass phrase:');
    const phrase = await reader.readLine();
    process.stderr.write('\n');
    if (phrase === null) throw new ClientSetupError('Error: Problem setting TLS options.\nNo pass phrase was given.');
    return new TextDecoder().decode(phrase);
  } finally {
    reader.close();
  }
}
