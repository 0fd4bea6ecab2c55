/** Levels of Mosquitto's `log_type`, from worst to least. */
export const LogLevel = { error: 0, warning: 1, notice: 2, information: 3, debug: 4 } as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

export interface Logger {
  /** Callers test it before they build an expensive line. */
  readonly level: LogLevel;
  log(level: LogLevel, line: string): void;
}

export const silentLogger: Logger = { level: LogLevel.error, log: () => {} };

/** What a client sent, made fit for one line of a log: control characters and quotes do not get through. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the very characters that must not reach a terminal
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return clean.length > 256 ? `${clean.slice(0, 253)}...` : clean;
}
