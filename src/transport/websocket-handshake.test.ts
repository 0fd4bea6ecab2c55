import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  defaultWebSocketHandshakeOptions,
  type HandshakeRefused,
  type HandshakeResult,
  type HandshakeUpgraded,
  WebSocketHandshake,
  type WebSocketHandshakeOptions,
} from './websocket-handshake.ts';
import { sized } from '../../test/support/long-run.ts';

/** The key and its answer are those of RFC 6455 section 1.3. */
const FIELDS = {
  Host: 'broker.example:8083',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Protocol': 'mqtt',
};
const ACCEPTED = [
  'HTTP/1.1 101 Switching Protocols',
  'Upgrade: WebSocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  'Sec-WebSocket-Protocol: mqtt',
  '',
  '',
].join('\r\n');

/** A request with `changes` to its fields (null removes one) and `lines` after them. */
function request(
  changes: Record<string, string | null> = {},
  requestLine = 'GET /mqtt HTTP/1.1',
  ...lines: string[]
): string {
  const fields = Object.entries({ ...FIELDS, ...changes }).filter(([, value]) => value !== null);
  return [requestLine, ...fields.map(([name, value]) => `${name}: ${value}`), ...lines, '', ''].join('\r\n');
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

interface Outcome {
  result: HandshakeResult;
  /** Index of the first byte that is not of the request, over all chunks. */
  consumed: number;
}

/** Pushes a request cut before each of `cuts`, up to the first result that is not `more`. */
function push(
  bytes: Uint8Array,
  options: Partial<WebSocketHandshakeOptions> = {},
  cuts: readonly number[] = [],
): Outcome {
  const handshake = new WebSocketHandshake({ ...defaultWebSocketHandshakeOptions, ...options });
  let start = 0;
  let result: HandshakeResult = { kind: 'more' };
  for (const cut of [...cuts, bytes.length]) {
    // The chunk sits inside a larger array, as a socket may hand it over.
    const around = new Uint8Array(cut - start + 7).fill(0x0a);
    around.set(bytes.subarray(start, cut), 3);
    result = handshake.push(around, 3, 3 + cut - start);
    if (result.kind === 'upgraded') return { result, consumed: start + result.consumed - 3 };
    if (result.kind === 'refused') break;
    start = cut;
  }
  return { result, consumed: start };
}

/** Whole and byte by byte must agree; returns the result, without its `consumed`. */
function open(text: string, options: Partial<WebSocketHandshakeOptions> = {}): HandshakeResult {
  const bytes = bytesOf(text);
  const whole = push(bytes, options);
  const bytewise = push(
    bytes,
    options,
    Array.from(bytes, (_, index) => index),
  );
  expect(comparable(bytewise)).toEqual(comparable(whole));
  return whole.result;
}

function comparable({ result, consumed }: Outcome): unknown {
  return result.kind === 'upgraded' ? { ...result, consumed } : result;
}

function upgraded(text: string, options: Partial<WebSocketHandshakeOptions> = {}): HandshakeUpgraded {
  const result = open(text, options);
  if (result.kind !== 'upgraded') throw new Error(JSON.stringify(result));
  return result;
}

function refused(text: string, options: Partial<WebSocketHandshakeOptions> = {}): HandshakeRefused {
  const result = open(text, options);
  if (result.kind !== 'refused') throw new Error(JSON.stringify(result));
  return result;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

describe('a request that opens a WebSocket (RFC 6455 section 4.2)', () => {
  test('is answered with the accept key of section 1.3, in the byte order of Mosquitto', () => {
    const result = upgraded(request());
    expect(textOf(result.response)).toBe(ACCEPTED);
    expect(result).toMatchObject({
      path: '/mqtt',
      query: '',
      host: 'broker.example:8083',
      protocol: 'mqtt',
      origin: null,
      forwardedFor: null,
    });
  });

  test('bytes after the request belong to the WebSocket', () => {
    const text = request();
    const { result, consumed } = push(bytesOf(`${text}\x82\x80\x00\x00\x00\x00`));
    expect(result.kind).toBe('upgraded');
    expect(consumed).toBe(text.length);
    const split = push(bytesOf(`${text}\x82\x80`), {}, [40, text.length - 1]);
    expect(split.consumed).toBe(text.length);
  });

  test('field names, tokens of Upgrade and Connection know no case, and lists may span lines', () => {
    const result = upgraded(
      request(
        { Host: null, Upgrade: 'h2c, WebSocket', Connection: null, 'Sec-WebSocket-Protocol': null },
        'GET /mqtt HTTP/1.1',
        'hOST:broker.example\t ',
        'connection:\tkeep-alive ,\t',
        'CONNECTION:  UPGRADE',
        'sec-websocket-protocol: chat',
        'Sec-WebSocket-Protocol: , mqtt,',
      ),
    );
    expect(result.host).toBe('broker.example');
    expect(result.protocol).toBe('mqtt');
  });

  test('path and query come apart, also in absolute form', () => {
    expect(upgraded(request({}, 'GET /a/b?token=1&x=%20? HTTP/1.1'))).toMatchObject({
      path: '/a/b',
      query: 'token=1&x=%20?',
    });
    expect(upgraded(request({}, 'GET http://broker.example/mqtt?a HTTP/1.1'))).toMatchObject({
      path: '/mqtt',
      query: 'a',
    });
    expect(upgraded(request({}, 'GET ws://broker.example HTTP/1.1'))).toMatchObject({ path: '/', query: '' });
    expect(upgraded(request({}, 'GET ws://broker.example?a HTTP/1.1'))).toMatchObject({ path: '/', query: 'a' });
  });

  test('the path must be the configured one, the query is free', () => {
    expect(upgraded(request({}, 'GET /mqtt?x HTTP/1.1'), { path: '/mqtt' }).path).toBe('/mqtt');
    for (const path of ['/', '/mqtt/', '/MQTT', '/mqt', '/mqtt2', '/%6dqtt']) {
      expect(refused(request({}, `GET ${path} HTTP/1.1`), { path: '/mqtt' })).toMatchObject({
        status: 404,
        cause: `path "${path}" is not served`,
      });
    }
  });

  test('v5 [MQTT-6.0.0-4] v3.1.1 [MQTT-6.0.0-4] mqtt is chosen, also where the client prefers another', () => {
    expect(upgraded(request({ 'Sec-WebSocket-Protocol': 'mqttv3.1, chat, mqtt' })).protocol).toBe('mqtt');
  });

  test('mqttv3.1 is chosen where it is all that fits', () => {
    const result = upgraded(request({ 'Sec-WebSocket-Protocol': 'mqttv3.1' }));
    expect(result.protocol).toBe('mqttv3.1');
    expect(textOf(result.response)).toContain('\r\nSec-WebSocket-Protocol: mqttv3.1\r\n\r\n');
  });

  test('a client that offers no subprotocol is let in and told none', () => {
    for (const value of [null, '', ' , ']) {
      const result = upgraded(request({ 'Sec-WebSocket-Protocol': value }));
      expect(result.protocol).toBeNull();
      expect(textOf(result.response)).toBe(ACCEPTED.replace('Sec-WebSocket-Protocol: mqtt\r\n', ''));
    }
  });

  test('extensions and unknown fields are passed over', () => {
    const extensions = 'permessage-deflate; client_max_window_bits';
    const result = upgraded(request({ 'Sec-WebSocket-Extensions': extensions, Cookie: 'a=b: c', 'X-Text': '\xe9' }));
    expect(textOf(result.response)).toBe(ACCEPTED);
  });

  test('X-Forwarded-For is told as it came', () => {
    const result = upgraded(
      request({ 'X-Forwarded-For': '203.0.113.7, 10.0.0.1' }, 'GET / HTTP/1.1', 'x-forwarded-for: 10.0.0.2'),
    );
    expect(result.forwardedFor).toBe('203.0.113.7, 10.0.0.1, 10.0.0.2');
  });

  test('the origin is compared to the letter, and its absence passes', () => {
    const allowedOrigins = ['https://app.example', 'http://localhost:3000'];
    expect(upgraded(request({ Origin: 'https://anything' })).origin).toBe('https://anything');
    expect(upgraded(request({ Origin: 'http://localhost:3000' }), { allowedOrigins }).origin).not.toBeNull();
    expect(upgraded(request(), { allowedOrigins }).origin).toBeNull();
    for (const origin of ['https://app.example.evil', 'https://app.exampl', 'HTTPS://app.example', 'null', '']) {
      expect(refused(request({ Origin: origin }), { allowedOrigins })).toMatchObject({
        status: 403,
        cause: `origin "${origin}" is not allowed`,
      });
    }
  });
});

describe('a request that does not', () => {
  const cases: [name: string, status: number, text: string][] = [
    ['POST', 405, request({}, 'POST /mqtt HTTP/1.1')],
    ['HEAD', 405, request({}, 'HEAD /mqtt HTTP/1.1')],
    ['HTTP/1.0', 505, request({}, 'GET /mqtt HTTP/1.0')],
    ['HTTP/2 preface', 505, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['request line without version', 400, request({}, 'GET /mqtt')],
    ['request line with two spaces', 400, request({}, 'GET  /mqtt HTTP/1.1')],
    ['request line with a word too many', 400, request({}, 'GET /mqtt x HTTP/1.1')],
    ['request line with a tab', 400, request({}, 'GET\t/mqtt HTTP/1.1')],
    ['malformed version', 400, request({}, 'GET /mqtt HTTP/11')],
    ['malformed method', 400, request({}, 'G(T /mqtt HTTP/1.1')],
    ['empty first line', 400, `\r\n${request()}`],
    ['target without slash', 400, request({}, 'GET mqtt HTTP/1.1')],
    ['target with fragment', 400, request({}, 'GET /mqtt#a HTTP/1.1')],
    ['target with a byte above ASCII', 400, request({}, 'GET /\xe9 HTTP/1.1')],
    ['no Host', 400, request({ Host: null })],
    ['empty Host', 400, request({ Host: '' })],
    ['Host with a path', 400, request({ Host: 'a/b' })],
    ['two Hosts', 400, request({}, 'GET /mqtt HTTP/1.1', 'Host: other.example')],
    ['no Connection', 400, request({ Connection: null })],
    ['Connection without upgrade', 400, request({ Connection: 'keep-alive, upgraded' })],
    ['no Upgrade', 426, request({ Upgrade: null })],
    ['Upgrade to something else', 426, request({ Upgrade: 'h2c, websockets' })],
    ['no key', 400, request({ 'Sec-WebSocket-Key': null })],
    ['key of 15 bytes', 400, request({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25j' })],
    ['key of 17 bytes', 400, request({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZTE=' })],
    ['key of 21 digits and padding', 400, request({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZ==' })],
    ['key that is not base64', 400, request({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25j-_==' })],
    ['two keys', 400, request({}, 'GET / HTTP/1.1', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')],
    ['no WebSocket version', 426, request({ 'Sec-WebSocket-Version': null })],
    ['WebSocket version 8', 426, request({ 'Sec-WebSocket-Version': '8' })],
    ['two WebSocket versions', 400, request({}, 'GET / HTTP/1.1', 'Sec-WebSocket-Version: 8')],
    ['unknown subprotocols', 400, request({ 'Sec-WebSocket-Protocol': 'chat, MQTT' })],
    ['malformed subprotocol', 400, request({ 'Sec-WebSocket-Protocol': 'mqtt, a b' })],
    ['two origins', 400, request({ Origin: 'http://a' }, 'GET / HTTP/1.1', 'Origin: http://b')],
    ['chunked body', 400, request({ 'Transfer-Encoding': 'chunked' })],
    ['counted body', 400, request({ 'Content-Length': '5' })],
    ['two lengths', 400, request({ 'Content-Length': '0' }, 'GET / HTTP/1.1', 'Content-Length: 0')],
    ['folded line', 400, request({}, 'GET / HTTP/1.1', 'X-A: b', ' c')],
    ['folded first field', 400, request({}, 'GET / HTTP/1.1\r\n Host: a')],
    ['line without colon', 400, request({}, 'GET / HTTP/1.1', 'nothing')],
    ['blank before the colon', 400, request({}, 'GET / HTTP/1.1', 'X-A : b')],
    ['empty field name', 400, request({}, 'GET / HTTP/1.1', ': b')],
    ['bare LF', 400, request({}, 'GET / HTTP/1.1', 'X-A: b\nX-B: c')],
    ['LF line ends only', 400, request().replaceAll('\r\n', '\n')],
    ['bare CR', 400, request({}, 'GET / HTTP/1.1', 'X-A: b\rX-B: c')],
    ['CR before the end', 400, `${request().slice(0, -1)}\r\n`],
    ['NUL', 400, request({}, 'GET / HTTP/1.1', 'X-A: b\0')],
    ['DEL', 400, request({}, 'GET / HTTP/1.1', 'X-A: b\x7f')],
  ];
  for (const [name, status, text] of cases) {
    test(`is refused with ${status}: ${name}`, () => {
      const result = refused(text);
      expect(result.status).toBe(status);
      expect(result.cause).toMatch(/^[\x20-\x7e]+$/);
      const [head, body, ...rest] = textOf(result.response).split('\r\n\r\n');
      expect(rest).toEqual([]);
      expect(head).toStartWith(`HTTP/1.1 ${status} `);
      expect(head).toContain(`\r\nContent-Length: ${body!.length}`);
      expect(head).toMatch(/\r\nConnection: (?:Upgrade, )?close\r\n/);
      expect(body).toContain(result.cause);
    });
  }

  test('the cause tells folded lines and lines without a colon from other faults', () => {
    for (const line of [' c', '\tX-B: c', ' ']) {
      expect(refused(request({}, 'GET / HTTP/1.1', 'X-A: b', line)).cause).toBe('folded header line');
    }
    const result = refused(request({}, 'GET / HTTP/1.1', 'nothing', 'X-A: b'));
    expect(result.cause).toBe('header line without a colon');
  });

  test('a 426 names the version, an ordinary browser is told what the port speaks', () => {
    const result = refused('GET / HTTP/1.1\r\nHost: broker.example\r\n\r\n');
    expect(result.status).toBe(426);
    expect(textOf(result.response)).toContain('\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n');
    expect(textOf(result.response)).toContain('MQTT over WebSocket');
  });

  test('a 405 names the method that works', () => {
    expect(textOf(refused(request({}, 'PUT / HTTP/1.1')).response)).toContain('\r\nAllow: GET\r\n');
  });

  test('other protocols are refused at their first byte, by name where it is known', () => {
    expect(push(Uint8Array.of(0x10)).result).toMatchObject({ status: 400, cause: expect.stringContaining('MQTT') });
    expect(push(Uint8Array.of(0x16)).result).toMatchObject({ status: 400, cause: expect.stringContaining('TLS') });
    expect(push(Uint8Array.of(0x00)).result).toMatchObject({ status: 400, cause: expect.stringContaining('0x00') });
  });

  test('foreign text is made harmless in cause and answer', () => {
    const result = refused(request({ 'Sec-WebSocket-Protocol': 'chat' }, `GET /${'a'.repeat(300)} HTTP/1.1`), {
      path: '/mqtt',
    });
    expect(result.cause).toHaveLength('path "" is not served'.length + 103);
    expect(refused(request({ Origin: '\xe9"<' }), { allowedOrigins: [] }).cause).toBe('origin "??<" is not allowed');
  });

  test('a header may take exactly the limit, one byte more is refused with 431', () => {
    const text = request();
    expect(open(text, { maxHeaderBytes: text.length }).kind).toBe('upgraded');
    expect(refused(text, { maxHeaderBytes: text.length - 1 })).toMatchObject({ status: 431 });
    expect(open(text.slice(0, -1), { maxHeaderBytes: text.length }).kind).toBe('more');
    const endless = `GET / HTTP/1.1\r\nX: ${'a'.repeat(8192)}`;
    expect(refused(endless).cause).toBe('header longer than 8192 bytes');
  });
});

describe('any split and any bytes', () => {
  test('a request split anywhere gives the same result', () => {
    const text = request({ Origin: 'https://app.example', Cookie: 'x'.repeat(700) });
    const bytes = bytesOf(`${text}\x82\x80\r\n\r\n`);
    const whole = comparable(push(bytes));
    fc.assert(
      fc.property(fc.array(fc.nat({ max: bytes.length }), { maxLength: 8 }), (positions) => {
        const cuts = positions.sort((a, b) => a - b);
        expect(comparable(push(bytes, {}, cuts))).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  test('mutated requests give documented results only, the same however they are split', () => {
    const seed = Number(Bun.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 0x7fffffff));
    console.log(`websocket-handshake mutations: FUZZ_SEED=${seed}`);
    const bases = [
      request({ Origin: 'https://app.example', 'X-Forwarded-For': '203.0.113.7' }),
      request({ 'Sec-WebSocket-Protocol': 'mqttv3.1' }, 'GET http://broker.example/mqtt?a=b HTTP/1.1'),
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    ].map(bytesOf);
    const options = { path: '/mqtt', maxHeaderBytes: 330, allowedOrigins: ['https://app.example'] };
    // Bytes that matter to the grammar come as often as all others together.
    const byte = fc.oneof(fc.constantFrom(...bytesOf('\r\n\t\0 :,/?=a1')), fc.nat({ max: 255 }));
    const mutation = fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 400 }), byte);
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(
        fc.nat({ max: bases.length - 1 }),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat({ max: 400 }), { maxLength: 4 }),
        (base, mutations, positions) => {
          const bytes = mutate(bases[base]!, mutations);
          const whole = push(bytes, options);
          const cuts = positions.filter((cut) => cut < bytes.length).sort((a, b) => a - b);
          expect(comparable(push(bytes, options, cuts))).toEqual(comparable(whole));
          const { result } = whole;
          if (result.kind === 'refused') {
            expect(textOf(result.response)).toStartWith(`HTTP/1.1 ${result.status} `);
            expect(result.cause).toMatch(/^[\x20-\x7e]+$/);
          } else if (result.kind === 'upgraded') {
            expect(result.path).toBe('/mqtt');
            expect(textOf(result.response)).toMatch(/^HTTP\/1\.1 101 [\x20-\x7e\r\n]+\r\n\r\n$/);
          }
          const outcome = result.kind === 'refused' ? String(result.status) : result.kind;
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
        },
      ),
      { numRuns: sized(5_000, 50_000), seed },
    );
    // The mutations reach each result (505 too seldom to count on), or they prove little.
    const outcomes = ['400', '403', '404', '405', '426', '431', 'more', 'upgraded'];
    expect([...seen.keys()]).toEqual(expect.arrayContaining(outcomes));
  });
});

/** Sets, inserts, removes one byte, repeats a stretch, or cuts the end off. */
function mutate(base: Uint8Array, mutations: readonly [number, number, number][]): Uint8Array {
  const bytes = [...base];
  for (const [kind, at, value] of mutations) {
    const position = at % (bytes.length + 1);
    if (kind === 0) bytes[position] = value;
    else if (kind === 1) bytes.splice(position, 0, value);
    else if (kind === 2) bytes.splice(position, 1);
    else if (kind === 3) bytes.splice(position, 0, ...bytes.slice(position, position + (value & 63)));
    else if (value < 32) bytes.length = position;
  }
  return Uint8Array.from(bytes);
}
