// Hot path of `martlet sub`: the `-F` format, taken apart once.
import { ClientUsageError } from './client-usage-error.ts';
import { encodeWord } from './client-words.ts';

/** A piece of a format: text as it is, a parameter of the message, or a piece of the time. */
export type FormatPiece =
  | { readonly kind: 'text'; readonly bytes: Uint8Array }
  | { readonly kind: 'time'; readonly code: string }
  | {
      readonly kind: 'parameter';
      /** The letter behind `%`. */
      readonly code: string;
      readonly leftAligned: boolean;
      readonly zeroPadded: boolean;
      /** Bytes; 0: as long as it is. */
      readonly width: number;
      /** Bytes of text at most, digits behind the point, or hexadecimal digits between separators; -1: not given. */
      readonly precision: number;
      /** Between groups of hexadecimal digits. */
      readonly separator: string;
    };

export type MessageFormat = readonly FormatPiece[];

const parameters = 'ACDEFIJPRSUXdfjlmpqrtx';
const escapes: Readonly<Record<string, string>> = {
  '\\': '\\',
  '0': '\0',
  a: '\x07',
  e: '\x1b',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** `%`, then `-`, `0`, a width, a precision, a separator, and the letter. */
const parameter = /%(-?)(0?)(\d*)(?:\.(\d*))?([-!"#$&'()*+,./:;<=>?@[\\\]^_`{|}~ ]?)(.?)/suy;
/** Wider fields are no use to anybody; Mosquitto's clients would print them for minutes. */
const MAX_WIDTH = 1_000_000;

/** @throws ClientUsageError */
export function parseMessageFormat(format: string): MessageFormat {
  const pieces: FormatPiece[] = [];
  let text = '';
  const endText = () => {
    if (text !== '') pieces.push({ kind: 'text', bytes: encodeWord(text) });
    text = '';
  };
  for (let i = 0; i < format.length;) {
    const character = format[i]!;
    if (character === '%') {
      parameter.lastIndex = i;
      const [whole, minus, zero, width, precision, separator, code] = parameter.exec(format)!;
      i += whole.length;
      if (code === undefined || code === '') throw usage('Incomplete format specifier.');
      if (code === '%') text += '%';
      else if (parameters.includes(code)) {
        endText();
        pieces.push({
          kind: 'parameter',
          code,
          leftAligned: minus === '-',
          zeroPadded: minus === '' && zero === '0',
          width: fieldWidth(width!),
          precision: precision === undefined ? -1 : fieldWidth(precision),
          separator: separator === '' ? ' ' : separator!,
        });
      } else throw usage(`Invalid format specifier '${code}'.`);
    } else if (character === '@') {
      const code = String.fromCodePoint(format.codePointAt(i + 1) ?? 0);
      if (i + 1 >= format.length) throw usage('Incomplete format specifier.');
      i += 1 + code.length;
      if (code === '@') text += '@';
      else {
        endText();
        pieces.push({ kind: 'time', code });
      }
    } else if (character === '\\') {
      const code = format[i + 1];
      if (code === undefined) throw usage('Incomplete escape specifier.');
      if (!Object.hasOwn(escapes, code)) throw usage(`Invalid escape specifier '${code}'.`);
      text += escapes[code];
      i += 2;
    } else {
      text += character;
      i++;
    }
  }
  endText();
  return pieces;
}

function fieldWidth(digits: string): number {
  const width = Number(digits);
  if (width > MAX_WIDTH) throw usage(`Field width ${digits} in format is larger than ${MAX_WIDTH}.`);
  return width;
}

function usage(message: string): ClientUsageError {
  return new ClientUsageError(`Error: ${message}`, 1);
}
