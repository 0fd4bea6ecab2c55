/** `no such file or directory` rather than the whole of a system error's message. */
export function systemErrorText(error: unknown): string {
  const { message } = error as Error;
  const match = /^E[A-Z0-9]+: (.*?)(?:,|$)/.exec(message);
  return match?.[1] ?? message;
}
