// Lines of the files of users and rules, as C's fgets and isspace see them.

/** What C calls white space; JavaScript's `trim` would take more, such as the no-break space. */
const SPACE = ' \\t\\v\\f\\r\\n';
const LEADING = new RegExp(`^[${SPACE}]+`);

export function trimStart(text: string): string {
  return text.replace(LEADING, '');
}

/** Walks back by hand: a pattern for it takes quadratic time on long rows of blanks. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && ' \t\v\f\r\n'.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

export function trimBlanks(text: string): string {
  return trimEnd(trimStart(text));
}

export interface FileLine {
  /** Counts from 1. */
  readonly number: number;
  /** Without its line feed. */
  readonly text: string;
  /** Why it cannot be read, or null. */
  readonly problem: string | null;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const LINE_FEED = 0x0a;
const BOM = '\ufeff';

/** A line that is no UTF-8, or holds NUL, is no name or topic that MQTT could carry. */
export function* fileLines(source: Uint8Array | string): Generator<FileLine> {
  const bytes = typeof source === 'string' ? new TextEncoder().encode(source) : source;
  let start = 0;
  for (let number = 1; start < bytes.length; number++) {
    const lineFeed = bytes.indexOf(LINE_FEED, start);
    const end = lineFeed < 0 ? bytes.length : lineFeed;
    let text = '';
    let problem: string | null = null;
    try {
      text = decoder.decode(bytes.subarray(start, end));
      if (text.includes('\0')) problem = 'the line holds a NUL byte';
    } catch {
      problem = 'the line is not UTF-8';
    }
    if (number === 1 && text.startsWith(BOM)) text = text.slice(1);
    yield { number, text, problem };
    start = end + 1;
  }
}
