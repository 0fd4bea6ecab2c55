/** The log cannot be written to where it should be; the message is one line for the operator. */
export class LogError extends Error {
  override readonly name = 'LogError';
}
