import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { mqttString } from '../../test/support/codec/arbitraries.ts';
import { fromHex } from '../../test/support/codec/hex.ts';
import { decodeUtf8, encodeUtf8, isEncodableString, isValidUtf8 } from './utf8.ts';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What section 1.5.4 of MQTT 5 lists: U+0000, which no string may hold, and what a receiver may refuse. */
function isDisallowed(point: number): boolean {
  if (point <= 0x1f || (point >= 0x7f && point <= 0x9f)) return true;
  return (point >= 0xfdd0 && point <= 0xfdef) || point % 0x1_0000 >= 0xfffe;
}

/** The rules by way of the platform's decoder. */
function reference(bytes: Uint8Array): boolean {
  let text: string;
  try {
    text = strict.decode(bytes);
  } catch {
    return false;
  }
  return [...text].every((char) => !isDisallowed(char.codePointAt(0)!));
}

function accepts(hex: string): boolean {
  const bytes = fromHex(hex);
  return isValidUtf8(bytes, 0, bytes.length);
}

describe('isValidUtf8', () => {
  test('v5 [MQTT-1.5.4-1] v3.1.1 [MQTT-1.5.3-1] refuses ill-formed UTF-8: overlong, surrogates, beyond U+10FFFF, cut short', () => {
    const overlong = ['c080', 'c1bf', 'e08080', 'e09fbf', 'f0808080', 'f08fbfbf'];
    const surrogates = ['eda080', 'edbfbf', 'eda080edb080'];
    const beyond = ['f4908080', 'f5808080', 'f8888080', 'fc8480808080', 'fe', 'ff'];
    const cut = ['c3', 'e2', 'e282', 'f0', 'f0aa', 'f0aa9b', '80', 'bf', 'c341', 'e28241', 'f0aa9b41'];
    for (const hex of [...overlong, ...surrogates, ...beyond, ...cut]) {
      expect(accepts(hex), hex).toBe(false);
      expect(accepts(`61 ${hex}`), hex).toBe(false);
    }
  });

  test('v5 [MQTT-1.5.4-2] v3.1.1 [MQTT-1.5.3-2] refuses U+0000 anywhere in a string', () => {
    for (const hex of ['00', '6100', '0061', '610062']) expect(accepts(hex), hex).toBe(false);
  });

  test('refuses every code point that a receiver may refuse and accepts all others', () => {
    for (let point = 0; point <= 0x10_ffff; point++) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const bytes = encodeUtf8(String.fromCodePoint(point));
      if (isValidUtf8(bytes, 0, bytes.length) === isDisallowed(point)) {
        throw new Error(`U+${point.toString(16)}`);
      }
    }
  });

  test('agrees with the platform on every sequence of two bytes, and on three with every lead', () => {
    const bytes = new Uint8Array(3);
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) {
        bytes[0] = first;
        bytes[1] = second;
        const two = bytes.subarray(0, 2);
        if (isValidUtf8(two, 0, 2) !== reference(two)) throw new Error(two.toHex());
        if (first < 0x80) continue;
        for (const third of [0x7f, 0x80, 0xbf, 0xc0]) {
          bytes[2] = third;
          if (isValidUtf8(bytes, 0, 3) !== reference(bytes)) throw new Error(bytes.toHex());
        }
      }
    }
  });

  test('agrees with the platform on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        expect(isValidUtf8(bytes, 0, bytes.length)).toBe(reference(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  test('agrees with the platform on good strings with one byte changed', () => {
    fc.assert(
      fc.property(mqttString, fc.nat(200), fc.nat(255), (text, at, value) => {
        const bytes = encodeUtf8(text);
        expect(isValidUtf8(bytes, 0, bytes.length)).toBe(true);
        if (bytes.length > 0) bytes[at % bytes.length] = value;
        expect(isValidUtf8(bytes, 0, bytes.length)).toBe(reference(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  test('looks at the given range only', () => {
    const bytes = fromHex('ff "ab" 00 c3');
    expect(isValidUtf8(bytes, 1, 3)).toBe(true);
    expect(isValidUtf8(bytes, 1, 4)).toBe(false);
    expect(isValidUtf8(bytes, 0, 3)).toBe(false);
    expect(isValidUtf8(fromHex('c3 a9'), 0, 1)).toBe(false);
    expect(isValidUtf8(bytes, 2, 2)).toBe(true);
  });
});

test('v5 [MQTT-1.5.4-3] v3.1.1 [MQTT-1.5.3-3] keeps U+FEFF wherever it stands', () => {
  for (const text of ['\ufeff', '\ufeffa', 'a\ufeff', '\ufeff\ufeff']) {
    const bytes = encodeUtf8(text);
    expect(isValidUtf8(bytes, 0, bytes.length)).toBe(true);
    expect(decodeUtf8(bytes, 0, bytes.length)).toBe(text);
  }
});

test('decodeUtf8 undoes encodeUtf8', () => {
  fc.assert(
    fc.property(mqttString, (text) => {
      const bytes = encodeUtf8(text);
      expect(decodeUtf8(bytes, 0, bytes.length)).toBe(text);
    }),
  );
});

test('isEncodableString tells what a packet may hold', () => {
  for (const text of ['', 'a', '\ufeff', 'é', '\u{2a6d4}', 'a'.repeat(65_535)]) {
    expect(isEncodableString(text)).toBe(true);
  }
  const refused = ['\u0000', 'a\u0001', '\u007f', '\u0085', '\ud800', 'a\udc00b', '\ufffe', '\ufdd0', '\u{1ffff}'];
  for (const text of [...refused, 'a'.repeat(65_536), 'é'.repeat(32_768)]) {
    expect(isEncodableString(text), JSON.stringify(text.slice(0, 9))).toBe(false);
  }
});
