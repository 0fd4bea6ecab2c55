/** What may stand in strings, wherever a client sends one: v5 section 1.5.4, v3.1.1 section 1.5.3. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { fromHex, TestBroker, text, toHex } from '../support/test-broker.ts';
import { answer, answerAfterConnect, connect, field, join, packet, properties } from './raw-packets.ts';

const illFormed: Record<string, string> = {
  'surrogate U+D800': 'ed a0 80',
  'surrogate U+DFFF': 'ed bf bf',
  'surrogate pair': 'ed a0 81 ed b0 80',
  'overlong U+0000': 'c0 80',
  'overlong U+007F': 'c1 bf',
  'overlong in three bytes': 'e0 80 af',
  'overlong in four bytes': 'f0 80 80 af',
  'above U+10FFFF': 'f4 90 80 80',
  'start byte F5': 'f5 80 80 80',
  'byte FE': 'fe',
  'byte FF': 'ff',
  'cut short': 'e2 82',
  'cut by a letter': 'e2 28 a1',
  'lone continuation': '80',
};
const withNull: Record<string, string> = { 'U+0000 alone': '00', 'U+0000 inside': '61 00 62', 'U+0000 last': '61 00' };
/** The highest and lowest characters around what is excluded. */
const wellFormed = ['f4 8f bf bd', 'ed 9f bf', 'ee 80 80', 'ef bf bd', 'c2 a0', 'f0 90 80 80', '7e', '20'];

type Make = (content: Uint8Array) => Uint8Array;
const good = field('x');

/** Strings of CONNECT that both versions have. */
function connectFields(level: 4 | 5): Record<string, Make> {
  const noProperties = level === 5 ? '00' : '';
  return {
    'client identifier': (content) => connect({ level, clientId: content }),
    'will topic': (content) => connect({ level, flags: 0x06, rest: join(noProperties, field(content), good) }),
    'user name': (content) => connect({ level, flags: 0x82, rest: field(content) }),
  };
}

const willWith = (property: Uint8Array): Uint8Array =>
  connect({ flags: 0x06, rest: join(properties(property), field('w'), good) });

const v5ConnectFields: Record<string, Make> = {
  ...connectFields(5),
  'authentication method': (content) => connect({ properties: join('15', field(content)) }),
  'user property name': (content) => connect({ properties: join('26', field(content), good) }),
  'user property value': (content) => connect({ properties: join('26', good, field(content)) }),
  'will content type': (content) => willWith(join('03', field(content))),
  'will response topic': (content) => willWith(join('08', field(content))),
  'will user property name': (content) => willWith(join('26', field(content), good)),
  'will user property value': (content) => willWith(join('26', good, field(content))),
};

function laterFields(level: 4 | 5): Record<string, Make> {
  const noProperties = level === 5 ? '00' : '';
  return {
    'topic name': (content) => packet(0x30, field(content), noProperties, '78'),
    'topic filter of SUBSCRIBE': (content) => packet(0x82, '0001', noProperties, field(content), '00'),
    'second topic filter': (content) => packet(0x82, '0001', noProperties, good, '00', field(content), '00'),
    'topic filter of UNSUBSCRIBE': (content) => packet(0xa2, '0001', noProperties, field(content)),
  };
}

const publishWith = (property: Uint8Array): Uint8Array => packet(0x30, field('a'), properties(property), '78');

const v5LaterFields: Record<string, Make> = {
  ...laterFields(5),
  'response topic': (content) => publishWith(join('08', field(content))),
  'content type': (content) => publishWith(join('03', field(content))),
  'user property name of PUBLISH': (content) => publishWith(join('26', field(content), good)),
  'user property value of PUBLISH': (content) => publishWith(join('26', good, field(content))),
  'user property of SUBSCRIBE': (content) =>
    packet(0x82, '0001', properties('26', good, field(content)), field('a'), '00'),
  'user property of UNSUBSCRIBE': (content) => packet(0xa2, '0001', properties('26', field(content), good), field('a')),
  'reason string of PUBACK': (content) => packet(0x40, '0001 00', properties('1f', field(content))),
  'reason string of PUBREC': (content) => packet(0x50, '0001 00', properties('1f', field(content))),
  'user property of PUBREL': (content) => packet(0x62, '0001 00', properties('26', field(content), good)),
  'user property of PUBCOMP': (content) => packet(0x70, '0001 00', properties('26', good, field(content))),
  'reason string of DISCONNECT': (content) => packet(0xe0, '00', properties('1f', field(content))),
};

function expectAnswers(
  level: 4 | 5,
  contents: Record<string, string>,
  fields: Record<string, Make>,
  expected: string,
  send: (level: 4 | 5, bytes: Uint8Array) => string,
): void {
  for (const [where, make] of Object.entries(fields)) {
    for (const [what, hex] of Object.entries(contents)) {
      expect([where, what, send(level, make(fromHex(hex)))]).toEqual([where, what, expected]);
    }
  }
}

const first = (level: 4 | 5, bytes: Uint8Array | string): string => answer(level, [bytes]);

test('v5 [MQTT-1.5.4-1] refuses ill-formed UTF-8 in every string with 0x81', () => {
  expectAnswers(5, illFormed, v5ConnectFields, '2003008100 closed', first);
  expectAnswers(5, illFormed, v5LaterFields, 'e00181 closed', answerAfterConnect);
});

test('v5 [MQTT-1.5.4-2] refuses U+0000 in every string with 0x81', () => {
  expectAnswers(5, withNull, v5ConnectFields, '2003008100 closed', first);
  expectAnswers(5, withNull, v5LaterFields, 'e00181 closed', answerAfterConnect);
});

test('v5 [MQTT-1.5.7-1] refuses a name-value pair with a bad half, in a name and in a value', () => {
  const halves = Object.entries({ ...v5ConnectFields, ...v5LaterFields }).filter(([name]) =>
    name.includes('user property'),
  );
  expect(halves.length).toBe(10);
  for (const [where, make] of halves) {
    const send = where in v5ConnectFields ? first : answerAfterConnect;
    for (const hex of ['c0 80', '61 00', 'ff'])
      expect([where, send(5, make(fromHex(hex)))]).toEqual([where, expect.stringMatching(/81(00)? closed$/)]);
  }
  // A value that is missing, and a pair that ends inside its value.
  expect(answerAfterConnect(5, '30 08 000161 04 26 0001 61')).toBe('e00181 closed');
  expect(answerAfterConnect(5, '30 0b 000161 07 26 0001 61 0002 62')).toBe('e00181 closed');
});

test('v3.1.1 [MQTT-1.5.3-1] closes on ill-formed UTF-8 in every string', () => {
  expectAnswers(4, illFormed, connectFields(4), 'closed', first);
  expectAnswers(4, illFormed, laterFields(4), 'closed', answerAfterConnect);
});

test('v3.1.1 [MQTT-1.5.3-2] closes on U+0000 in every string and delivers nothing', () => {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('#');
  expectAnswers(4, withNull, connectFields(4), 'closed', first);
  expectAnswers(4, withNull, laterFields(4), 'closed', (level, bytes) => answerAfterConnect(level, bytes, t));
  watcher.expectNothing();
});

test('v5 [MQTT-1.5.4-1] accepts the characters next to the excluded ones and hands them on byte for byte', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 'subscriber' });
  subscriber.subscribe('#');
  const publisher = t.connect({ clientId: 'publisher' });
  for (const hex of wellFormed) {
    const content = fromHex(hex);
    const frame = packet(0x30, field(content), properties('26', field(content), field(content)), '78');
    subscriber.take();
    publisher.send(frame);
    expect(toHex(Uint8Array.from(subscriber.raw))).toBe(toHex(frame));
    expect(answer(5, [connect({ clientId: content })], t)).not.toContain('closed');
  }
});

test('v5 refuses control characters and non-characters with 0x81, as the standard allows and Mosquitto does', () => {
  for (const hex of ['01', '1f', '7f', 'c2 80', 'c2 9f', 'ef b7 90', 'ef bf bf', 'f4 8f bf bf']) {
    expect([hex, first(5, connect({ clientId: fromHex(hex) }))]).toEqual([hex, '2003008100 closed']);
    expect([hex, first(4, connect({ level: 4, clientId: fromHex(hex) }))]).toEqual([hex, 'closed']);
    const subscribe = packet(0x82, '0001 00', field(fromHex(hex)), '00');
    expect([hex, answerAfterConnect(5, subscribe)]).toEqual([hex, 'e00181 closed']);
  }
});

for (const version of [4, 5] as const) {
  const name =
    version === 5
      ? 'v5 [MQTT-1.5.4-3] keeps a leading U+FEFF as a character of the topic'
      : 'v3.1.1 [MQTT-1.5.3-3] keeps a leading U+FEFF as a character of the topic';
  test(name, () => {
    const t = new TestBroker();
    const marked = t.connect({ version, clientId: 'marked' });
    marked.subscribe('\u{feff}a');
    const plain = t.connect({ version, clientId: 'plain' });
    plain.subscribe('a');
    const publisher = t.connect({ version, clientId: '\u{feff}' });
    publisher.publish('\u{feff}a', 'with');
    publisher.publish('a', 'without');
    const [atMarked, atPlain] = [marked.expect(PacketType.publish), plain.expect(PacketType.publish)];
    expect([atMarked.topicName, text(atMarked.payload)]).toEqual(['\u{feff}a', 'with']);
    expect(toHex(Uint8Array.from(marked.raw))).toContain('0004efbbbf61');
    expect([atPlain.topicName, text(atPlain.payload)]).toEqual(['a', 'without']);
    marked.expectNothing();
    plain.expectNothing();
    expect(t.broker.sessions.has('\u{feff}')).toBe(true);
  });
}
