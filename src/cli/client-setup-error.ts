/** What a command can't begin with; the message is for standard error, the exit status 1. */
export class ClientSetupError extends Error {
  override readonly name = 'ClientSetupError';
}
