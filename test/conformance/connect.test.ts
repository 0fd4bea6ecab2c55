/** CONNECT, its format and what is wrong with it: v5 section 3.1, v3.1.1 section 3.1. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { type ConnectOptions, TestBroker, text, utf8 } from '../support/test-broker.ts';
import { answer, connect, field, join, packet } from './raw-packets.ts';

const malformed = '2003008100 closed';
const w = field('w');
const x = field('x');
const will = (...parts: (Uint8Array | string)[]): Uint8Array => join('00', ...parts);

/** A CONNECT with every field, and the body's length. */
function fullConnect(level: 4 | 5): { head: Uint8Array; body: Uint8Array } {
  const properties = level === 5 ? '05 11 0000012c' : '';
  const willProperties = level === 5 ? '05 18 00000001' : '';
  const body = join(
    field('MQTT'),
    Uint8Array.of(level, 0xee, 0, 60),
    properties,
    field('c1'),
    willProperties,
    w,
    x,
    field('u'),
    field('p'),
  );
  return { head: Uint8Array.of(0x10), body };
}

test('v5 [MQTT-3.1.4-1] refuses a CONNECT that ends too early, at each byte, and one that ends too late', () => {
  const { body } = fullConnect(5);
  for (let length = 0; length < body.length; length++) {
    // Without name and version nobody knows which CONNACK to send.
    expect([length, answer(5, [packet(0x10, body.subarray(0, length))])]).toEqual([
      length,
      length < 7 ? 'closed' : malformed,
    ]);
  }
  expect(answer(5, [packet(0x10, body)])).not.toContain('closed');
  expect(answer(5, [packet(0x10, body, '00')])).toBe(malformed);
});

test('v3.1.1 [MQTT-3.1.4-1] closes on a CONNECT that ends too early, at each byte, and on one that ends too late', () => {
  const { body } = fullConnect(4);
  for (let length = 0; length < body.length; length++) {
    expect([length, answer(4, [packet(0x10, body.subarray(0, length))])]).toEqual([length, 'closed']);
  }
  expect(answer(4, [packet(0x10, body)])).toBe('20020000');
  expect(answer(4, [packet(0x10, body, '00')])).toBe('closed');
});

test('v5 [MQTT-3.1.2-19] takes a password without a user name', () => {
  const seen: unknown[] = [];
  const t = new TestBroker(
    {},
    {},
    {
      authenticate: ({ username }, password) => {
        seen.push([username, password && text(password)]);
        return ReasonCode.success;
      },
      topics: null,
    },
  );
  expect(answer(5, [connect({ flags: 0x42, rest: field('token') })], t)).not.toContain('closed');
  expect(seen).toEqual([[null, 'token']]);
});

test('v5 [MQTT-3.1.4-5] answers an accepted CONNECT with CONNACK 0x00', () => {
  const t = new TestBroker();
  const { connack } = t.connect({ clientId: 'c1' });
  expect(connack).toMatchObject({ reasonCode: 0, sessionPresent: false });
});

test('v3.1.1 [MQTT-3.1.4-4] answers an accepted CONNECT with return code 0', () => {
  expect(answer(4, [connect({ level: 4 })])).toBe('20020000');
});

/** Everything distinct, so that a field read in the place of another shows. */
const everything = {
  clientId: 'id',
  cleanStart: false,
  username: 'user',
  password: 'pass',
  will: { topicName: 'will/topic', payload: utf8('will payload'), qos: 2, retain: true, properties: null },
} as const satisfies ConnectOptions;

function recordingBroker(): { t: TestBroker; seen: unknown[] } {
  const seen: unknown[] = [];
  const t = new TestBroker(
    {},
    {},
    {
      authenticate: ({ clientId, username }, password) => {
        seen.push([clientId, username, password && text(password)]);
        return ReasonCode.success;
      },
      topics: null,
    },
  );
  return { t, seen };
}

test('v5 [MQTT-3.1.3-1] reads identifier, will properties, topic and payload, user name, password in this order', () => {
  const { t, seen } = recordingBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('#', 2, { retainAsPublished: true });
  const properties = { contentType: 'content', responseTopic: 'response', correlationData: utf8('data') };
  const peer = t.connect({ ...everything, will: { ...everything.will, properties } });
  expect(seen.at(-1)).toEqual(['id', 'user', 'pass']);
  peer.drop();
  const got = watcher.expect(PacketType.publish);
  expect([got.topicName, text(got.payload), got.qos, got.retain]).toEqual(['will/topic', 'will payload', 2, true]);
  expect(got.properties).toMatchObject(properties);
});

test('v3.1.1 [MQTT-3.1.3-1] reads identifier, will topic and message, user name, password in this order', () => {
  const { t, seen } = recordingBroker();
  const watcher = t.connect({ version: 4, clientId: 'watcher' });
  watcher.subscribe('#', 2);
  const peer = t.connect({ ...everything, version: 4 });
  expect(seen.at(-1)).toEqual(['id', 'user', 'pass']);
  peer.drop();
  const got = watcher.expect(PacketType.publish);
  expect([got.topicName, text(got.payload), got.qos]).toEqual(['will/topic', 'will payload', 2]);
  expect(t.broker.sessions.has('id')).toBe(true);
});

test('v5 [MQTT-3.1.0-2] [MQTT-3.2.0-2] answers a second CONNECT with DISCONNECT 0x82, not CONNACK, and sends the will', () => {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('w');
  const connectWithWill = connect({ flags: 0x06, rest: will(w, x) });
  const [connack, disconnect] = answer(5, [connectWithWill, connectWithWill], t).split('|');
  expect(connack!.startsWith('20')).toBe(true);
  expect(disconnect).toBe('e00182 closed');
  expect(text(watcher.expect(PacketType.publish).payload)).toBe('x');
});

test('v3.1.1 [MQTT-3.1.0-2] closes on a second CONNECT and sends the will', () => {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('w');
  const connectWithWill = connect({ level: 4, flags: 0x06, rest: join(w, x) });
  expect(answer(4, [connectWithWill, connectWithWill], t)).toBe('20020000| closed');
  expect(text(watcher.expect(PacketType.publish).payload)).toBe('x');
});

test('v5 a second CONNECT ends the connection whatever version it names', () => {
  for (const level of [3, 4, 5, 6]) {
    expect(answer(5, [connect(), connect({ level })]).split('|')[1]).toBe('e00182 closed');
  }
});

test('v5 [MQTT-3.1.4-6] handles nothing that follows a refused CONNECT in the same bytes', () => {
  const refusedAs = [
    [4, connect({ level: 6 }), '20020001 closed'],
    [5, connect({ flags: 0x03 }), '2003008100 closed'],
    [5, connect({ properties: '15 0001 78' }), '2003008c00 closed'],
  ] as const;
  for (const [version, refused, expected] of refusedAs) {
    const t = new TestBroker();
    const watcher = t.connect({ clientId: 'watcher' });
    watcher.subscribe('#', 2);
    const rest = '33 07 000161 0001 00 78 82 07 0001 00 000161 00 c0 00';
    expect(answer(version, [join(refused, rest)], t)).toBe(expected);
    watcher.expectNothing();
    expect([t.broker.retained.count, t.broker.tree.subscriptionCount]).toEqual([0, 1]);
  }
});

test('v3.1.1 [MQTT-3.1.4-5] handles nothing that follows a refused CONNECT in the same bytes', () => {
  const t = new TestBroker({ allowZeroLengthClientid: false });
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('#', 2);
  const refused = connect({ level: 4, clientId: '' });
  expect(answer(4, [join(refused, '33 06 000161 0001 78 82 06 0001 000161 00')], t)).toBe('20020002 closed');
  watcher.expectNothing();
  expect([t.broker.retained.count, t.broker.tree.subscriptionCount]).toEqual([0, 1]);
});

test('v5 bytes after CONNECT in the same chunk are handled, as is a CONNECT in pieces of one byte', () => {
  const t = new TestBroker();
  const all = join(connect(), '82 07 0001 00 000161 00 c0 00');
  expect(answer(5, [all], t)).toMatch(/^20.*900400010000d000$/);
  const pieces = [...all].map((byte) => Uint8Array.of(byte));
  expect(answer(5, pieces, t).replaceAll('|', '')).toMatch(/^20.*900400010000d000$/);
});

test('a first packet larger than any CONNECT ends the connection before its bytes are kept', () => {
  const t = new TestBroker();
  const peer = t.open(5);
  peer.send('10 ff ff ff 7f');
  expect(peer.isClosed).toBe(true);
  expect(t.broker.counters.closed.get('packet too large')).toBe(1);
  // The largest fields that fit are welcome.
  const large = connect({
    flags: 0xc6,
    clientId: 'i'.repeat(65_535),
    rest: join(
      '00',
      field('w'.repeat(65_535)),
      field('p'.repeat(65_535)),
      field('u'.repeat(65_535)),
      field('q'.repeat(65_535)),
    ),
  });
  expect(answer(5, [large], t)).not.toContain('closed');
});

test('a connection without CONNECT is closed after the time for it, and one with CONNECT is not', () => {
  for (const version of [4, 5] as const) {
    const t = new TestBroker({ connectTimeout: 10 });
    t.advance(400);
    const silent = t.open(version);
    const slow = t.open(version);
    slow.send('10 0f');
    const quick = t.connect({ version, clientId: 'quick' });
    t.advance(9_900);
    expect([silent.isClosed, slow.isClosed]).toEqual([false, false]);
    t.advance(1_000);
    expect([silent.isClosed, slow.isClosed, quick.isClosed]).toEqual([true, true, false]);
    expect([silent.raw, slow.raw]).toEqual([[], []]);
    expect(t.log.lines).toContain('Client 192.0.2.1 [192.0.2.1:50000] disconnected: exceeded timeout.');
  }
});
