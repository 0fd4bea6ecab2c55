/** UTF-8 Encoded Strings (v5 section 1.5.4): what MQTT allows in them, and conversion from and to JavaScript. */

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * True when `bytes[start, end)` is well-formed UTF-8 without U+0000, surrogates (v5 [MQTT-1.5.4-1], [MQTT-1.5.4-2])
 * and, as Mosquitto does, without control characters U+0001..U+001F, U+007F..U+009F and Unicode non-characters,
 * which the standard lets a receiver treat as malformed.
 */
export function isValidUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start;
  while (i < end) {
    const first = bytes[i]!;
    if (first < 0x80) {
      if (first < 0x20 || first === 0x7f) return false;
      i++;
      continue;
    }
    let length: number;
    let code: number;
    let least: number;
    if (first >= 0xc2 && first <= 0xdf) {
      length = 2;
      code = first & 0x1f;
      least = 0x80;
    } else if ((first & 0xf0) === 0xe0) {
      length = 3;
      code = first & 0x0f;
      least = 0x800;
    } else if (first >= 0xf0 && first <= 0xf4) {
      length = 4;
      code = first & 0x07;
      least = 0x10000;
    } else return false;
    if (i + length > end) return false;
    for (let k = 1; k < length; k++) {
      const next = bytes[i + k]!;
      if ((next & 0xc0) !== 0x80) return false;
      code = (code << 6) | (next & 0x3f);
    }
    if (code < least || code > 0x10ffff) return false;
    if (code >= 0xd800 && code <= 0xdfff) return false;
    if (code <= 0x9f) return false;
    if (code >= 0xfdd0 && code <= 0xfdef) return false;
    if ((code & 0xfffe) === 0xfffe) return false;
    i += length;
  }
  return true;
}

/** Decodes bytes that `isValidUtf8` accepted. A leading U+FEFF is kept (v5 [MQTT-1.5.4-3]). */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}

export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** True when a JavaScript string may stand in a packet: no U+0000, control or non-character, no lone surrogate. */
export function isEncodableString(text: string): boolean {
  const bytes = encoder.encode(text);
  return text.isWellFormed() && bytes.length <= 65_535 && isValidUtf8(bytes, 0, bytes.length);
}
