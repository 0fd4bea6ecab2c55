/** A value that is none of its kind. A message replaces the usual "got X, expected Y". */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

/** How the text behind an option's name becomes a value. */
export interface ValueKind<T> {
  /** For usage lines: `N`, `true|false`. */
  readonly placeholder: string;
  /** Continues "expected ...". */
  readonly expects: string;
  /** How many words are read, where a line may have more, which change nothing; absent: the whole line is the value. */
  readonly mostWords?: number;
  /**
   * @param text what stands behind the name, without blanks around it, never empty
   * @throws ValueError
   */
  read(text: string): T;
}

/**
 * The words of a value. Mosquitto takes what it needs and reads no further, which is why a remark behind a value works
 * there; so it does here, if it begins with `#`.
 */
export function wordsOf(text: string): string[] {
  const words = text.split(/[ \t]+/);
  const remark = words.findIndex((word) => word.startsWith('#'));
  return remark < 0 ? words : words.slice(0, remark);
}

function oneWord(text: string): string {
  const words = wordsOf(text);
  if (words.length !== 1) throw new ValueError();
  return words[0]!;
}

/** A whole number in decimal digits, as it stands in a file; null where the word is none or is too large. */
export function wholeNumber(word: string): number | null {
  return /^[+-]?\d{1,15}$/.test(word) ? Number(word) : null;
}

export const flag: ValueKind<boolean> = {
  placeholder: 'true|false',
  expects: 'true or false',
  mostWords: 1,
  read(text) {
    const word = oneWord(text);
    if (word === 'true' || word === '1') return true;
    if (word === 'false' || word === '0') return false;
    throw new ValueError();
  },
};

/**
 * @param what what is counted, for messages: `seconds`
 * @param negative what any negative number means, where it is allowed
 */
export function integer(least: number, most: number, what = 'a whole number', negative?: number): ValueKind<number> {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return {
    placeholder: 'N',
    expects: `${what} ${range}`,
    mostWords: 1,
    read(text) {
      const value = wholeNumber(oneWord(text));
      if (value === null) throw new ValueError();
      if (value < 0 && negative !== undefined) return negative;
      if (value < least || value > most) throw new ValueError();
      return value;
    },
  };
}

/** A count of which 0 means no limit; so does any negative number. */
export function limit(what = 'a whole number'): ValueKind<number> {
  const kind = integer(0, Number.MAX_SAFE_INTEGER, what, 0);
  return { ...kind, expects: `${what}, 0 for no limit` };
}

/** A count of which any negative number means no limit. */
export function limitOrMinusOne(what: string): ValueKind<number> {
  const kind = integer(0, Number.MAX_SAFE_INTEGER, what, -1);
  return { ...kind, expects: `${what}, -1 for no limit` };
}

/** One of a few words. */
export function choice<const T extends string>(...words: readonly T[]): ValueKind<T> {
  return {
    placeholder: words.join('|'),
    expects: wordList(words),
    mostWords: 1,
    read(text) {
      const word = oneWord(text);
      const found = words.find((one) => one === word);
      if (found === undefined) throw new ValueError();
      return found;
    },
  };
}

/** Everything up to the end of the line, blanks and `#` included. */
export function text(placeholder: string, expects: string, mostBytes = 65_535): ValueKind<string> {
  return {
    placeholder,
    expects,
    read(value) {
      if (new TextEncoder().encode(value).length > mostBytes) throw new ValueError(`longer than ${mostBytes} bytes`);
      return value;
    },
  };
}

export const filePath = text('FILE', 'the path of a file', 4_095);

const secondsPerUnit = { s: 1, h: 3_600, d: 86_400, w: 604_800, m: 2_592_000, y: 31_536_000 };

/** A number and a unit, in seconds. A month has 30 days, a year 365. */
export const duration: ValueKind<number> = {
  placeholder: 'N(s|h|d|w|m|y)',
  expects: 'a number above 0 and a unit without a blank between: s, h, d, w, m (30 days) or y, such as 14d',
  mostWords: 1,
  read(value) {
    const match = /^(\d{1,9})([shdwmy])$/.exec(oneWord(value));
    if (match === null) throw new ValueError();
    const seconds = Number(match[1]) * secondsPerUnit[match[2] as keyof typeof secondsPerUnit];
    if (seconds === 0) throw new ValueError();
    return seconds;
  },
};

/**
 * A kind of several words. `take` answers null where they are not what is expected.
 *
 * @param mostWords see `ValueKind.mostWords`
 */
export function words<T>(
  placeholder: string,
  expects: string,
  take: (words: readonly string[]) => T | null,
  mostWords?: number,
): ValueKind<T> {
  return {
    placeholder,
    expects,
    ...(mostWords === undefined ? {} : { mostWords }),
    read(value) {
      const taken = take(wordsOf(value));
      if (taken === null) throw new ValueError();
      return taken;
    },
  };
}

/** `a, b or c`. */
export function wordList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
