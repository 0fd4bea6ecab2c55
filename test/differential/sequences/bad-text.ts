/** Strings that MQTT forbids, or lets a receiver refuse (v5 section 1.5.4): name and UTF-8. */
export const badText: readonly (readonly [name: string, text: Uint8Array])[] = [
  ['U+0000', Uint8Array.of(0x74, 0x00)],
  ['U+0001', Uint8Array.of(0x74, 0x01)],
  ['U+001F', Uint8Array.of(0x74, 0x1f)],
  ['U+007F', Uint8Array.of(0x74, 0x7f)],
  ['U+009F', Uint8Array.of(0x74, 0xc2, 0x9f)],
  ['surrogate U+D800', Uint8Array.of(0x74, 0xed, 0xa0, 0x80)],
  ['surrogate U+DFFF', Uint8Array.of(0x74, 0xed, 0xbf, 0xbf)],
  ['non-character U+FFFF', Uint8Array.of(0x74, 0xef, 0xbf, 0xbf)],
  ['an overlong slash', Uint8Array.of(0x74, 0xc0, 0xaf)],
  ['a lone continuation byte', Uint8Array.of(0x74, 0x80)],
  ['a cut sequence', Uint8Array.of(0x74, 0xe2, 0x82)],
  ['a code above U+10FFFF', Uint8Array.of(0x74, 0xf4, 0x90, 0x80, 0x80)],
];
