/** A command line that `martlet pub`, `sub` or `rr` does not take. The texts are those of Mosquitto's clients. */
export class ClientUsageError extends Error {
  override readonly name = 'ClientUsageError';
  /** Line ends between the message and the hint at `--help`, less one; 0 for no hint. Mosquitto's messages differ in it. */
  readonly gap: 0 | 1 | 2;

  constructor(message: string, gap: 0 | 1 | 2) {
    super(message);
    this.gap = gap;
  }
}

/** C's `atoi`, which Mosquitto reads numbers with: leading digits count, anything else is 0. */
export function leadingInteger(text: string): number {
  return Number(/^\s*([+-]?\d+)/.exec(text)?.[1] ?? 0);
}

/** C's `strtoll` with base 0, where nothing else may follow: decimal, `0x` or `0` in front. Null for anything else. */
export function wholeInteger(text: string): number | null {
  const [, sign = '', digits = ''] = /^\s*([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.exec(text) ?? [];
  if (digits === '') return null;
  const value = /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return sign === '-' ? -value : value;
}

/** C's `atof`. */
export function leadingNumber(text: string): number {
  return Number(/^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/i.exec(text)?.[1] ?? 0);
}
