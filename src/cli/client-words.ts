// Words of a command line, which on Unix are bytes and need not be UTF-8: a payload behind `-m` may be anything.
import { encodeUtf8 } from '../protocol/utf8.ts';

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** A byte that is not part of UTF-8 becomes the lone surrogate this plus the byte, which no valid text holds. */
const ESCAPE = 0xdc00;

/** Text of which `encodeWord` makes the same bytes again. It is well-formed where the bytes are UTF-8. */
export function decodeWord(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    let text = '';
    for (let i = 0; i < bytes.length;) {
      const length = sequenceLength(bytes, i);
      text +=
        length === 0 ? String.fromCharCode(ESCAPE + bytes[i]!) : strictDecoder.decode(bytes.subarray(i, i + length));
      i += length || 1;
    }
    return text;
  }
}

/** Of the UTF-8 sequence that begins at `i`; 0 for none. */
function sequenceLength(bytes: Uint8Array, i: number): number {
  const first = bytes[i]!;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  try {
    strictDecoder.decode(bytes.subarray(i, i + length));
    return i + length <= bytes.length ? length : 0;
  } catch {
    return 0;
  }
}

export function encodeWord(text: string): Uint8Array {
  if (text.isWellFormed()) return encodeUtf8(text);
  const parts: Uint8Array[] = [];
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const isEscape = code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff;
    parts.push(isEscape ? Uint8Array.of(code - ESCAPE) : encodeUtf8(character));
  }
  return Buffer.concat(parts);
}

/**
 * The words as they were given. The runtime hands out text, in which U+FFFD stands for bytes that are not UTF-8; the
 * bytes are with the system, where it keeps them.
 *
 * @param raw all words of the process, the last ones being `args`; null where they can't be had
 */
export function originalWords(args: readonly string[], raw: () => Uint8Array[] | null): readonly string[] {
  if (!args.some((word) => word.includes('\ufffd'))) return args;
  const words = raw();
  return words === null || words.length < args.length ? args : words.slice(-args.length).map(decodeWord);
}
