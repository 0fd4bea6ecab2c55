// Hot path of `martlet sub`: the `-F` format, taken apart once.
import { encodeUtf8 } from '../protocol/utf8.ts';
import { ClientUsageError } from './client-usage-error.ts';

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
      /** Bytes of text at most; -1: no limit. */
      readonly precision: number;
    };

export type MessageFormat = readonly FormatPiece[];

const parameters = 'ACDEFIJPRSUXjlmpqrtx';
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

/** `%`, then `-`, `0`, a width, a precision, and the letter. */
const parameter = /%(-?)(0?)(\d*)(?:\.(\d*))?(.?)/suy;

/** @throws ClientUsageError */
export function parseMessageFormat(format: string): MessageFormat {
  const pieces: FormatPiece[] = [];
  let text = '';
  const endText = () => {
    if (text !== '') pieces.push({ kind: 'text', bytes: encodeUtf8(text) });
    text = '';
  };
  for (let i = 0; i < format.length;) {
    const character = format[i]!;
    if (character === '%') {
      parameter.lastIndex = i;
      const [whole, minus, zero, width, precision, code] = parameter.exec(format)!;
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
          width: Number(width),
          precision: precision === undefined ? -1 : Number(precision),
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

function usage(message: string): ClientUsageError {
  return new ClientUsageError(`Error: ${message}`, 1);
}
