/** Mosquitto's `log_type`s, as bits of a set. */
export const LogType = {
  error: 1,
  warning: 2,
  notice: 4,
  information: 8,
  debug: 16,
  subscribe: 32,
  unsubscribe: 64,
  websockets: 128,
  internal: 256,
} as const;
export type LogType = (typeof LogType)[keyof typeof LogType];

/** What a line is about, for logs that keep it apart from the text. */
export interface LogFields {
  readonly client?: string;
  readonly username?: string;
  /** `ADDR:PORT`. */
  readonly address?: string;
  /** Why a connection ended. */
  readonly reason?: string;
  readonly topic?: string;
}

export interface Logger {
  /** Sum of the types that somebody reads; it may change. Callers test it before they build a line. */
  readonly types: number;
  log(type: LogType, line: string, fields?: LogFields): void;
}

export const silentLogger: Logger = { types: 0, log: () => {} };

/** What a client sent, made fit for one line of a log: control characters and quotes do not get through. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the very characters that must not reach a terminal
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return clean.length > 256 ? `${clean.slice(0, 253)}...` : clean;
}
