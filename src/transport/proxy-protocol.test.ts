import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  PROXY_V2_MAX_LENGTH,
  type ProxyHeader,
  ProxyHeaderReader,
  type ProxyResult,
  type ProxyVersions,
} from './proxy-protocol.ts';
import { sized } from '../../test/support/long-run.ts';

const BOTH: ProxyVersions = { v1: true, v2: true };
const SIGNATURE = '0d0a0d0a000d0a515549540a';
const V4_ADDRESSES = 'c000020a c6336414 9c40 22b3';
/** PROXY, TCP over IPv4, 192.0.2.10:40000 to 198.51.100.20:8883. */
const V4_HEADER = `${SIGNATURE} 21 11 000c ${V4_ADDRESSES}`;
/**
 * The same with ALPN, authority, unique id, padding, TLS and checksum. The checksum (b2ac207e) was computed by another
 * implementation.
 */
const FULL_HEADER = `${SIGNATURE} 21 11 0078 ${V4_ADDRESSES}
  01 0004 6d717474  02 000e 62726f6b65722e6578616d706c65  05 0003 00ff10  04 0002 0000
  20 003f 07 00000000  21 0007 544c5376312e33  22 0007 4ac3bc7267656e
    23 0016 544c535f4145535f3235365f47434d5f534841333834  24 000a 5253412d534841323536
  03 0004 b2ac207e`;

function fromHex(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(/\s/g, ''));
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Pushes bytes cut before each of `cuts`, up to the first final result; `consumed` counts over all chunks. */
function push(bytes: Uint8Array, cuts: readonly number[] = [], versions = BOTH): ProxyResult {
  const reader = new ProxyHeaderReader(versions);
  let start = 0;
  for (const cut of [...cuts, bytes.length]) {
    const around = new Uint8Array(cut - start + 7).fill(0x0a);
    around.set(bytes.subarray(start, cut), 3);
    const result = reader.push(around, 3, 3 + cut - start);
    if (result.kind === 'done') return { ...result, consumed: start + result.consumed - 3 };
    if (result.kind === 'error') return result;
    start = cut;
  }
  return { kind: 'more' };
}

/** Whole and byte by byte must agree. */
function read(bytes: Uint8Array, versions = BOTH): ProxyResult {
  const whole = push(bytes, [], versions);
  const cuts = Array.from(bytes, (_, index) => index);
  expect(push(bytes, cuts, versions)).toEqual(whole);
  return whole;
}

function header(bytes: Uint8Array): ProxyHeader {
  const result = read(bytes);
  if (result.kind !== 'done') throw new Error(JSON.stringify(result));
  return result;
}

function causeOf(bytes: Uint8Array, versions = BOTH): string {
  const result = read(bytes, versions);
  if (result.kind !== 'error') throw new Error(JSON.stringify(result));
  expect(result.cause).toMatch(/^[\x20-\x7e]+$/);
  return result.cause;
}

function tlv(type: number, value: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(type, value.length >> 8, value.length & 0xff), value);
}

/** A v2 header around `block`, with the length that it has. */
function v2(commandAndFamily: string, ...block: readonly Uint8Array[]): Uint8Array {
  const body = concat(...block);
  return concat(fromHex(SIGNATURE + commandAndFamily), Uint8Array.of(body.length >> 8, body.length & 0xff), body);
}

function v4With(...tlvs: readonly Uint8Array[]): Uint8Array {
  return v2('2111', fromHex(V4_ADDRESSES), ...tlvs);
}

describe('version 1', () => {
  test('the example of the specification', () => {
    const line = 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n';
    expect(header(bytesOf(`${line}GET / HTTP/1.1\r\n`))).toEqual({
      kind: 'done',
      consumed: line.length,
      version: 1,
      local: false,
      sourceAddress: '192.168.0.1',
      sourcePort: 56324,
      destinationAddress: '192.168.0.11',
      destinationPort: 443,
      tls: null,
      alpn: null,
      authority: null,
      uniqueId: null,
    });
  });

  test('the longest lines of each protocol', () => {
    expect(header(bytesOf('PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n')).sourcePort).toBe(65535);
    const all = Array.from({ length: 8 }, () => 'ffff').join(':');
    expect(header(bytesOf(`PROXY TCP6 ${all} ${all} 65535 65535\r\n`))).toMatchObject({
      consumed: 104,
      sourceAddress: all,
      destinationAddress: all,
    });
    expect(header(bytesOf(`PROXY UNKNOWN ${all} ${all} 65535 65535\r\n`))).toMatchObject({
      consumed: 107,
      local: false,
      sourceAddress: null,
      sourcePort: null,
      destinationAddress: null,
      destinationPort: null,
    });
  });

  test('UNKNOWN may be followed by nothing or by anything', () => {
    expect(header(bytesOf('PROXY UNKNOWN\r\n')).consumed).toBe(15);
    expect(header(bytesOf('PROXY UNKNOWN  \0\xff TCP4\r\n')).sourceAddress).toBeNull();
  });

  test('IPv6 addresses come out in the form of RFC 5952', () => {
    const addresses: [given: string, canonical: string][] = [
      ['::', '::'],
      ['::1', '::1'],
      ['1::', '1::'],
      ['2001:DB8:0:0:0:0:0:10', '2001:db8::10'],
      ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
      ['2001:0:0:1:0:0:1:1', '2001::1:0:0:1:1'],
      ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
      ['0001:002:03:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
      ['::ffff:192.0.2.10', '::ffff:192.0.2.10'],
      ['::ffff:c000:20a', '::ffff:192.0.2.10'],
      ['64:ff9b::192.0.2.10', '64:ff9b::c000:20a'],
    ];
    for (const [given, canonical] of addresses) {
      const result = header(bytesOf(`PROXY TCP6 ${given} ::1 1 0\r\n`));
      expect(result.sourceAddress).toBe(canonical);
      expect(header(bytesOf(`PROXY TCP6 ${canonical} ::1 1 0\r\n`)).sourceAddress).toBe(canonical);
    }
  });

  const malformed: [name: string, line: string, cause: string][] = [
    ['another protocol', 'PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n', 'unknown protocol'],
    ['lower case', 'PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n', 'unknown protocol'],
    ['UNKNOWN with a tail', 'PROXY UNKNOWNS\r\n', 'unknown protocol'],
    ['nothing after PROXY', 'PROXY \r\n', 'unknown protocol'],
    ['two spaces', 'PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n', 'malformed v1 line'],
    ['space at the end', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n', 'malformed v1 line'],
    ['no addresses', 'PROXY TCP4\r\n', 'malformed v1 line'],
    ['no ports', 'PROXY TCP4 1.2.3.4 1.2.3.4\r\n', 'malformed port'],
    ['one port', 'PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n', 'malformed port'],
    ['port above 65535', 'PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n', 'malformed port'],
    ['port with leading zero', 'PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n', 'malformed port'],
    ['port with sign', 'PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n', 'malformed port'],
    ['IPv6 as TCP4', 'PROXY TCP4 ::1 ::1 1 2\r\n', 'not TCP4'],
    ['IPv4 as TCP6', 'PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n', 'not TCP6'],
    ['three numbers', 'PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n', 'not TCP4'],
    ['number above 255', 'PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n', 'not TCP4'],
    ['number with leading zero', 'PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n', 'not TCP4'],
    ['two double colons', 'PROXY TCP6 1::2::3 ::1 1 2\r\n', 'not TCP6'],
    ['three colons', 'PROXY TCP6 ::: ::1 1 2\r\n', 'not TCP6'],
    ['nine groups', 'PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n', 'not TCP6'],
    ['double colon for nothing', 'PROXY TCP6 1:2:3:4::5:6:7:8 ::1 1 2\r\n', 'not TCP6'],
    ['seven groups', 'PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n', 'not TCP6'],
    ['five digits', 'PROXY TCP6 ::12345 ::1 1 2\r\n', 'not TCP6'],
    ['dotted part in front', 'PROXY TCP6 1.2.3.4:: ::1 1 2\r\n', 'not TCP6'],
    ['zone', 'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n', 'not TCP6'],
    ['single colon at the start', 'PROXY TCP6 :1:2:3:4:5:6:7 ::1 1 2\r\n', 'not TCP6'],
    ['LF alone', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n', 'CR or LF'],
    ['CR alone', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx', 'CR or LF'],
    ['CR alone in UNKNOWN', 'PROXY UNKNOWN \r \r\n', 'CR or LF'],
    ['tab after PROXY', 'PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n', 'no PROXY header'],
  ];
  for (const [name, line, cause] of malformed) {
    test(`refuses ${name}`, () => {
      expect(causeOf(bytesOf(line))).toContain(cause);
    });
  }

  test('a line without CRLF in its first 107 bytes is refused there', () => {
    const line = `PROXY UNKNOWN ${'x'.repeat(91)}`;
    expect(push(bytesOf(`${line}x`)).kind).toBe('more');
    expect(header(bytesOf(`${line}\r\n`)).consumed).toBe(107);
    expect(causeOf(bytesOf(`${line}x\r\n`))).toContain('longer than 107');
  });
});

describe('version 2', () => {
  test('TCP over IPv4', () => {
    expect(header(fromHex(`${V4_HEADER} 10`))).toEqual({
      kind: 'done',
      consumed: 28,
      version: 2,
      local: false,
      sourceAddress: '192.0.2.10',
      sourcePort: 40000,
      destinationAddress: '198.51.100.20',
      destinationPort: 8883,
      tls: null,
      alpn: null,
      authority: null,
      uniqueId: null,
    });
  });

  test('TCP over IPv6', () => {
    const addresses = '20010db8000000000000000000000010 20010db8000000010000000000000020 9c41 01bb';
    expect(header(fromHex(`${SIGNATURE} 21 21 0024 ${addresses}`))).toMatchObject({
      consumed: 52,
      sourceAddress: '2001:db8::10',
      sourcePort: 40001,
      destinationAddress: '2001:db8:0:1::20',
      destinationPort: 443,
    });
  });

  test('unix stream: a path, an abstract name, none', () => {
    const address = (text: string): Uint8Array => concat(bytesOf(text), new Uint8Array(108 - text.length));
    expect(header(v2('2131', address('/run/client.sock'), address('\0hidden')))).toMatchObject({
      consumed: 16 + 216,
      sourceAddress: '/run/client.sock',
      sourcePort: 0,
      destinationAddress: '@hidden',
      destinationPort: 0,
    });
    expect(header(v2('2131', address(''), address('/a\nb\xe9'.padEnd(108, 'x'))))).toMatchObject({
      sourceAddress: '',
      destinationAddress: `/a?b?${'x'.repeat(103)}`,
    });
  });

  test('all the TLVs that are read, with a valid checksum', () => {
    const bytes = fromHex(FULL_HEADER);
    expect(bytes).toHaveLength(16 + 0x78);
    expect(header(bytes)).toMatchObject({
      consumed: bytes.length,
      sourceAddress: '192.0.2.10',
      alpn: 'mqtt',
      authority: 'broker.example',
      uniqueId: Uint8Array.of(0, 0xff, 0x10),
      tls: {
        version: 'TLSv1.3',
        cipher: 'TLS_AES_256_GCM_SHA384',
        commonName: 'J\u00fcrgen',
        certificatePresented: true,
        verified: true,
      },
    });
  });

  test('a checksum that does not fit is refused, whichever bit it is', () => {
    const bytes = fromHex(FULL_HEADER);
    for (const index of [16, 27, 31, bytes.length - 4, bytes.length - 1]) {
      const broken = bytes.slice();
      broken[index]! ^= 1;
      expect(causeOf(broken)).toBe('v2 header with a wrong checksum');
    }
  });

  test('a certificate counts as verified only if presented and found valid', () => {
    const tls = (flags: number, verify: string): ProxyHeader['tls'] =>
      header(v4With(tlv(0x20, concat(Uint8Array.of(flags), fromHex(verify), tlv(0x22, bytesOf('device-7')))))).tls;
    const details = { version: null, cipher: null, commonName: 'device-7' };
    expect(tls(0x01, '00000000')).toEqual({ ...details, certificatePresented: false, verified: false });
    expect(tls(0x03, '00000000')).toEqual({ ...details, certificatePresented: true, verified: true });
    expect(tls(0x05, '00000000')).toEqual({ ...details, certificatePresented: true, verified: true });
    expect(tls(0x03, '00000001')).toEqual({ ...details, certificatePresented: true, verified: false });
    expect(tls(0x03, '80000000')).toEqual({ ...details, certificatePresented: true, verified: false });
    expect(tls(0x06, '00000000')).toBeNull();
  });

  test('LOCAL skips its block unread, whatever family it names', () => {
    expect(header(fromHex(`${SIGNATURE} 20 00 0000`))).toMatchObject({ consumed: 16, local: true });
    const block = Uint8Array.from({ length: 300 }, () => 0xff);
    expect(header(v2('20ff', block))).toMatchObject({ consumed: 316, local: true, sourceAddress: null, tls: null });
  });

  test('UNSPEC and datagrams leave the addresses to the socket', () => {
    const unknown = { local: false, sourceAddress: null, sourcePort: null, destinationAddress: null };
    expect(header(v2('2100'))).toMatchObject(unknown);
    expect(header(v2('2100', fromHex('ffffff')))).toMatchObject({ ...unknown, consumed: 19 });
    expect(header(v2('2110', fromHex(V4_ADDRESSES)))).toMatchObject(unknown);
    expect(header(v2('2120', fromHex('ffffff')))).toMatchObject({ ...unknown, consumed: 19 });
    expect(header(v2('2112', fromHex(V4_ADDRESSES), tlv(0x02, bytesOf('a.b'))))).toMatchObject({
      ...unknown,
      authority: 'a.b',
    });
  });

  test('unknown types and empty values are passed over', () => {
    const bytes = v4With(tlv(0x30, bytesOf('ns')), tlv(0xea, new Uint8Array(700)), tlv(0x01, new Uint8Array(0)));
    expect(header(bytes)).toMatchObject({ consumed: bytes.length, sourcePort: 40000, alpn: null });
  });

  test('the announced length may reach the limit and no further', () => {
    const padding = PROXY_V2_MAX_LENGTH - 12 - 3;
    expect(header(v4With(tlv(0x04, new Uint8Array(padding)))).consumed).toBe(16 + PROXY_V2_MAX_LENGTH);
    expect(causeOf(v4With(tlv(0x04, new Uint8Array(padding + 1))))).toContain('longer than the limit');
  });

  const empty = new Uint8Array(0);
  const tls = tlv(0x20, fromHex('0100000000'));
  const malformed: [name: string, bytes: Uint8Array, cause: string][] = [
    ['version 1 in binary', fromHex(`${SIGNATURE} 11`), 'version 1'],
    ['command 2', fromHex(`${SIGNATURE} 22`), 'command 2'],
    ['family 4', fromHex(`${SIGNATURE} 21 41`), 'family 4'],
    ['transport 3', fromHex(`${SIGNATURE} 21 13`), 'transport 3'],
    ['IPv4 cut short', v2('2111', fromHex('c000020ac63364149c4022')), 'too short'],
    ['IPv6 cut short', v2('2121', new Uint8Array(35)), 'too short'],
    ['unix cut short', v2('2131', new Uint8Array(215)), 'too short'],
    ['half a TLV header', v4With(fromHex('0400')), 'truncated TLV'],
    ['TLV longer than the block', v4With(fromHex('04000400')), 'truncated TLV'],
    ['short TLS value', v4With(tlv(0x20, new Uint8Array(4))), 'truncated TLS'],
    ['TLS detail beyond its value', v4With(tlv(0x20, fromHex('0100000000 210003 4c')), tls), 'truncated TLV'],
    ['two TLS values', v4With(tls, tls), 'two TLS'],
    ['two common names', v4With(tlv(0x20, fromHex('0300000000 220001 61 220001 62'))), 'repeated'],
    ['common name not UTF-8', v4With(tlv(0x20, fromHex('0300000000 220001 ff'))), 'malformed TLS detail'],
    ['common name with NUL', v4With(tlv(0x20, fromHex('0300000000 220003 610062'))), 'malformed TLS detail'],
    ['two ALPN values', v4With(tlv(1, bytesOf('mqtt')), tlv(1, bytesOf('http'))), 'two ALPN'],
    ['ALPN with LF', v4With(tlv(1, bytesOf('a\nb'))), 'malformed ALPN'],
    ['two authorities', v4With(tlv(2, bytesOf('a')), tlv(2, bytesOf('a'))), 'two authorities'],
    ['authority not UTF-8', v4With(tlv(2, bytesOf('\xc3'))), 'malformed authority'],
    ['long unique id', v4With(tlv(5, new Uint8Array(129))), 'longer than 128'],
    ['two unique ids', v4With(tlv(5, bytesOf('a')), tlv(5, bytesOf('b'))), 'two unique ids'],
    ['empty checksum', v4With(tlv(3, empty)), 'malformed checksum'],
    ['two checksums', v4With(tlv(3, new Uint8Array(4)), tlv(3, new Uint8Array(4))), 'malformed checksum'],
  ];
  for (const [name, bytes, cause] of malformed) {
    test(`refuses ${name}`, () => {
      expect(causeOf(bytes)).toContain(cause);
    });
  }
});

describe('what is no header', () => {
  test('is refused at its first wrong byte', () => {
    for (const bytes of [fromHex('10'), fromHex('16'), bytesOf('G'), bytesOf('PRO '), fromHex('0d0a0d0b')]) {
      expect(push(bytes.subarray(0, -1)).kind).toBe('more');
      expect(causeOf(bytes)).toBe('no PROXY header');
    }
  });

  test('a version that the listener does not take is refused at its first byte', () => {
    expect(causeOf(bytesOf('P'), { v1: false, v2: true })).toContain('v1');
    expect(causeOf(fromHex('0d'), { v1: true, v2: false })).toContain('v2');
    expect(read(fromHex(V4_HEADER), { v1: false, v2: true }).kind).toBe('done');
    expect(read(bytesOf('PROXY UNKNOWN\r\n'), { v1: true, v2: false }).kind).toBe('done');
  });
});

describe('any split and any bytes', () => {
  const bases = [
    fromHex(FULL_HEADER),
    fromHex(V4_HEADER),
    fromHex(`${SIGNATURE} 20 00 0003 010203`),
    v4With(tlv(0x20, fromHex('0300000000 210007 544c5376312e32 220002 6162')), tlv(0x02, bytesOf('a.example'))),
    bytesOf('PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n'),
    bytesOf('PROXY TCP6 2001:db8::10 ::ffff:192.0.2.1 1 65535\r\n'),
    bytesOf('PROXY UNKNOWN\r\n'),
  ];

  test('a header split anywhere gives the same result and leaves the rest', () => {
    const positions = fc.array(fc.nat({ max: 160 }), { maxLength: 8 });
    fc.assert(
      fc.property(fc.nat({ max: bases.length - 1 }), fc.uint8Array({ maxLength: 9 }), positions, (base, rest, list) => {
        const bytes = concat(bases[base]!, rest);
        const cuts = list.filter((cut) => cut < bytes.length).sort((a, b) => a - b);
        const whole = push(bytes);
        expect(whole).toMatchObject({ kind: 'done', consumed: bases[base]!.length });
        expect(push(bytes, cuts)).toEqual(whole);
      }),
      { numRuns: 1000 },
    );
  });

  test('addresses and ports come back from both versions', () => {
    const groups = fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 0xffff })), { minLength: 8, maxLength: 8 });
    const port = fc.nat({ max: 65535 });
    fc.assert(
      fc.property(groups, port, (words, sourcePort) => {
        const address = Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
        const ports = Uint8Array.of(sourcePort >> 8, sourcePort & 0xff, 0, 1);
        const binary = header(v2('2121', address, address, ports));
        const written = words.map((word) => word.toString(16)).join(':');
        const text = header(bytesOf(`PROXY TCP6 ${written} ${binary.sourceAddress} ${sourcePort} 1\r\n`));
        expect(text.sourceAddress).toBe(binary.sourceAddress);
        expect(text.destinationAddress).toBe(binary.destinationAddress);
        expect(text.sourcePort).toBe(binary.sourcePort);
        // The URL parser is an independent reading of the same text.
        const dotted = /^::ffff:\d/.test(binary.sourceAddress!);
        if (!dotted) expect(new URL(`http://[${written}]/`).hostname).toBe(`[${binary.sourceAddress}]`);
      }),
      { numRuns: 500 },
    );
  });

  test('mutated headers give documented results only, the same however they are split', () => {
    const seed = Number(Bun.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 0x7fffffff));
    console.log(`proxy-protocol mutations: FUZZ_SEED=${seed}`);
    const mutation = fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 160 }), fc.nat({ max: 255 }));
    const causes = new Set<string>();
    const kinds = new Set<string>();
    fc.assert(
      fc.property(
        fc.nat({ max: bases.length - 1 }),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat({ max: 160 }), { maxLength: 4 }),
        (base, mutations, positions) => {
          const bytes = mutate(bases[base]!, mutations);
          const result = push(bytes);
          const cuts = positions.filter((cut) => cut < bytes.length).sort((a, b) => a - b);
          expect(push(bytes, cuts)).toEqual(result);
          kinds.add(result.kind);
          if (result.kind === 'error') {
            expect(result.cause).toMatch(/^[\x20-\x7e]+$/);
            causes.add(result.cause.replaceAll(/\d+/g, 'N'));
          } else if (result.kind === 'done') {
            expect(result.consumed).toBeLessThanOrEqual(bytes.length);
            expect(result.sourceAddress === null).toBe(result.sourcePort === null);
            expect(result.local && result.sourceAddress !== null).toBe(false);
            expect(result.sourceAddress ?? '').toMatch(/^[\x21-\x7e]*$/);
            expect(`${result.alpn}${result.authority}${result.tls?.commonName}`).toMatch(/^[^\0-\x1f\x7f]*$/);
          }
        },
      ),
      { numRuns: sized(5_000, 50_000), seed },
    );
    // The mutations reach deep into the grammar, or they prove little.
    expect([...kinds].sort()).toEqual(['done', 'error', 'more']);
    expect(causes.size).toBeGreaterThan(12);
  });
});

/** Sets, inserts, removes one byte, changes one by a bit, or cuts the end off. */
function mutate(base: Uint8Array, mutations: readonly [number, number, number][]): Uint8Array {
  const bytes = [...base];
  for (const [kind, at, value] of mutations) {
    const position = at % (bytes.length + 1);
    if (kind === 0) bytes[position] = value;
    else if (kind === 1) bytes.splice(position, 0, value);
    else if (kind === 2) bytes.splice(position, 1);
    else if (kind === 3 && position < bytes.length) bytes[position]! ^= 1 << (value & 7);
    else if (value < 32) bytes.length = position;
  }
  return Uint8Array.from(bytes);
}
