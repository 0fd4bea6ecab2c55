import { describe, expect, test } from 'bun:test';
import { MemoryOutput } from '../../test/support/client/memory-io.ts';
import { formatNumber, JsonWriter, rewriteJson } from './client-json.ts';

function rewritten(text: string, pretty = false): string {
  const output = new MemoryOutput();
  rewriteJson(text, new JsonWriter(output, pretty));
  return output.text;
}

describe('rewrites', () => {
  test.each([
    ['{}', '{}'],
    ['[]', '[]'],
    [' [ 1 , 2 ] ', '[1,2]'],
    ['{"b":1,"a":{"2":[],"1":{}},"b":2}', '{"b":1,"a":{"2":[],"1":{}},"b":2}'],
    ['[true,false,null,"x"]', '[true,false,null,"x"]'],
    ['"\\u00e9\\/\\ud83d\\ude00\\u0001\\"\\\\"', '"é/😀\\u0001\\"\\\\"'],
    ['"a:b,c{d}[e]"', '"a:b,c{d}[e]"'],
    ['[[[{"a":[{}]}]]]', '[[[{"a":[{}]}]]]'],
    ['"\\b\\f\\n\\r\\t"', '"\\b\\f\\n\\r\\t"'],
    ['-0.50', '-0.5'],
  ])('%s', (text, expected) => {
    expect(rewritten(text)).toBe(expected);
  });

  test('on several lines', () => {
    expect(rewritten('{"a":{"b":[1,{"x":[]},[2]],"c":{}},"d":null}', true)).toBe(
      '{\n\t"a":\t{\n\t\t"b":\t[1, {\n\t\t\t\t"x":\t[]\n\t\t\t}, [2]],\n\t\t"c":\t{\n\t\t}\n\t},\n\t"d":\tnull\n}',
    );
  });
});

describe('strings of bytes', () => {
  test('are escaped where JSON asks for it, and otherwise go out as they are', () => {
    const output = new MemoryOutput();
    const bytes = Uint8Array.of(0x41, 0x22, 0x5c, 0x0a, 0x00, 0x1f, 0x7f, 0xff, 0xfe, 0x42, 0x43);
    new JsonWriter(output, false).stringOfBytes(bytes, 0, bytes.length - 1);
    expect(output.bytes.toString('latin1')).toBe('"A\\"\\\\\\n\\u0000\\u001f\x7f\xff\xfeB"');
  });
});

test.each([
  [0, '0'],
  [-0, '-0'],
  [42, '42'],
  [-2147483647, '-2147483647'],
  [2147483648, '2147483648'],
  [1.5, '1.5'],
  [0.1, '0.1'],
  [1e21, '1e+21'],
  [1e-5, '1e-05'],
  [0.0001, '0.0001'],
  [123456789012345, '123456789012345'],
  [1234567890123456, '1234567890123456'],
  [12345678901234567890, '1.2345678901234567e+19'],
  [0.1 + 0.2, '0.30000000000000004'],
  [1e300, '1e+300'],
])('%d prints as %s', (value, expected) => {
  expect(formatNumber(value)).toBe(expected);
  expect(Number(formatNumber(value))).toBe(value);
});
