/**
 * Bytes as readable text. Tokens between blanks: pairs of hex digits (`10 0c`, `000102`), ASCII in quotes (`"MQTT"`),
 * and a run in braces (`{61*65535}`: 65,535 times the byte 0x61).
 */

const token = /"([^"]*)"|\{([0-9a-f]{2})\*(\d+)\}|((?:[0-9a-f]{2})+)|\s+/giy;

/** @throws SyntaxError where the text is not of that form */
export function fromHex(text: string): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw new SyntaxError(`not hex at ${at}: ${text.slice(at, at + 20)}`);
    const [, ascii, byte, count, digits] = match;
    let part: Uint8Array | null = null;
    if (ascii !== undefined) part = Uint8Array.from(ascii, (char) => char.charCodeAt(0));
    else if (byte !== undefined) part = new Uint8Array(Number(count)).fill(Number.parseInt(byte, 16));
    else if (digits !== undefined) part = Uint8Array.fromHex(digits);
    if (part === null) continue;
    parts.push(part);
    length += part.length;
  }
  return concatBytes(parts, length);
}

/** Hex digits for a message, cut where it grows long. */
export function toHex(bytes: Uint8Array, most = 400): string {
  return bytes.length <= most ? bytes.toHex() : `${bytes.subarray(0, most).toHex()}... (${bytes.length} bytes)`;
}

export function concatBytes(parts: readonly Uint8Array[], length = parts.reduce((sum, p) => sum + p.length, 0)) {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A Variable Byte Integer, written independently of the codec under test. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? digit + 128 : digit);
  } while (rest > 0);
  return Uint8Array.from(bytes);
}

/** First byte, Remaining Length and body. */
export function frame(firstByte: number, ...body: readonly Uint8Array[]): Uint8Array {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return concatBytes([Uint8Array.of(firstByte), varint(length), ...body]);
}

/** Big-endian. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(Math.floor(value / 256), value % 256);
}

/** Bytes behind their two-byte length, as strings and Binary Data are. */
export function prefixed(bytes: Uint8Array): Uint8Array {
  return concatBytes([u16(bytes.length), bytes]);
}

const encoder = new TextEncoder();

export function text(value: string): Uint8Array {
  return prefixed(encoder.encode(value));
}
