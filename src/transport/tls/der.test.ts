import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { DerError, DerReader, DerTag, parseDer } from './der.ts';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');

describe('DER', () => {
  test.each([
    ['06 03 55 04 03', '2.5.4.3'],
    ['06 09 2a 86 48 86 f7 0d 01 09 01', '1.2.840.113549.1.9.1'],
    ['06 0a 09 92 26 89 93 f2 2c 64 01 19', '0.9.2342.19200300.100.1.25'],
    ['06 03 88 37 03', '2.999.3'],
  ])('%s is the object identifier %s', (hex, id) => {
    expect(parseDer(bytes(hex)).objectIdentifier()).toBe(id);
  });

  test.each([
    ['17 0d 32 36 31 31 32 34 31 35 33 33 33 34 5a', '2026-11-24T15:33:34.000Z'],
    ['17 0d 35 30 30 31 30 31 30 30 30 30 30 30 5a', '1950-01-01T00:00:00.000Z'],
    ['18 0f 32 31 32 36 31 30 33 31 31 35 33 33 33 34 5a', '2126-10-31T15:33:34.000Z'],
  ])('%s is the time %s', (hex, time) => {
    expect(new Date(parseDer(bytes(hex)).timeMs()).toISOString()).toBe(time);
  });

  test('serial numbers are the same with and without leading zeros', () => {
    expect(parseDer(bytes('02 02 00 ff')).integerHex()).toBe('ff');
    expect(parseDer(bytes('02 02 0f a0')).integerHex()).toBe('fa0');
    expect(parseDer(bytes('02 01 00')).integerHex()).toBe('0');
  });

  test.each([
    ['no bytes', ''],
    ['a header that is cut short', '30'],
    ['content that is cut short', '30 03 02 01'],
    ['an indefinite length', '30 80 00 00'],
    ['a length of five bytes', '04 85 00 00 00 00 01 00'],
    ['a length in more bytes than needed', '04 81 01 00'],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`],
    ['a tag of several bytes', '1f 01 00'],
    ['something behind it', '05 00 05 00'],
  ])('with %s is refused', (_what, hex) => {
    expect(() => parseDer(bytes(hex))).toThrow(DerError);
  });

  test.each([
    ['a day that is none', '17 0d 32 36 30 32 33 30 31 35 33 33 33 34 5a'],
    ['an hour that is none', '17 0d 32 36 30 32 32 38 32 34 33 33 33 34 5a'],
    ['no seconds', '17 0b 32 36 30 32 32 38 32 33 33 33 5a'],
    ['a zone', '17 11 32 36 31 31 32 34 31 35 33 33 33 34 2b 30 31 30 30'],
  ])('a time with %s is refused', (_what, hex) => {
    expect(() => parseDer(bytes(hex)).timeMs()).toThrow(DerError);
  });

  test('any bytes are read or refused with DerError, in one step each', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (input) => {
        try {
          const reader = new DerReader(input);
          while (!reader.isAtEnd) {
            const element = reader.next();
            if (element.tag === DerTag.objectIdentifier) element.objectIdentifier();
            if (element.tag === DerTag.utcTime) element.timeMs();
            if (element.tag === DerTag.sequence) element.children();
          }
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
