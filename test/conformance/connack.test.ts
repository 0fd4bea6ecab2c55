/** CONNACK: v5 section 3.2, v3.1.1 section 3.2. */
import { expect, test } from 'bun:test';
import type { AccessControl, Identity } from '../../src/auth/access-control.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { TestBroker, text, toHex } from '../support/test-broker.ts';
import { answer, connect, field, join } from './raw-packets.ts';

/** Knows one user. */
const passwords: AccessControl = {
  authenticate: ({ username }: Identity, password) => {
    if (username === null) return ReasonCode.notAuthorized;
    const isRight = username === 'u' && password !== null && text(password) === 'p';
    return isRight ? ReasonCode.success : ReasonCode.badUserNameOrPassword;
  },
  topics: null,
};
const withPassword = (level: 4 | 5, password: string, flags = 0): Uint8Array =>
  connect({ level, flags: 0xc0 | flags, rest: join(field('u'), field(password)) });

const hex = (spaced: string): string => spaced.replaceAll(' ', '');
/** Topic Alias Maximum 10, Maximum Packet Size 2,000,000, Receive Maximum 20: what every MQTT 5 client is told. */
const defaults = { alias: '22 000a', rest: '27 001e8480 21 0014' };

test('v5 the CONNACK of a plain CONNECT is byte for byte that of Mosquitto 2.1', () => {
  expect(answer(5, [connect()])).toBe(hex(`20 0e 00 00 0b ${defaults.alias} ${defaults.rest}`));
});

test('v5 CONNACK properties stand in Mosquitto order', () => {
  const everything = new TestBroker(
    {
      maxKeepalive: 30,
      persistentClientExpiration: 60,
      retainAvailable: false,
      maxPacketSize: 1_000,
      autoIdPrefix: 'a-',
      responseTopicPrefix: 'response/',
    },
    { maxQos: 1, maxTopicAlias: 3 },
  );
  const sent = answer(5, [connect({ clientId: '', properties: '11 0000ffff 19 01' })], everything);
  const id = [...everything.broker.sessions.keys()][0]!;
  expect(id).toMatch(/^a-[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}$/);
  const properties = join(
    '13 001e 22 0003 12',
    field(id),
    '11 0000003c 1a',
    field(`response/${id}`),
    '25 00 27 000003e8 21 0014 24 01',
  );
  expect(sent).toBe(toHex(join(Uint8Array.of(0x20, properties.length + 3, 0, 0, properties.length), properties)));
});

test('v5 leaves out what does not limit the client', () => {
  const open = new TestBroker({ maxInflightMessages: 0, maxPacketSize: 268_435_460 }, { maxTopicAlias: 0 });
  expect(answer(5, [connect()], open)).toBe('2003000000');
});

test('v5 [MQTT-3.2.0-1] sends CONNACK first, before what waited in the session and what is answered', () => {
  const t = new TestBroker();
  const first = t.connect({ clientId: 's', cleanStart: false, properties: { sessionExpiryInterval: 300 } });
  first.subscribe('#', 2);
  first.drop();
  const publisher = t.connect({ clientId: 'p' });
  publisher.publish('a', '1', { qos: 1 }).publish('a', '2', { qos: 2 });
  publisher.send({ type: PacketType.pubrel, packetId: 10, reasonCode: 0, properties: null });
  const again = t.open(5);
  const resume = connect({ clientId: 's', flags: 0, properties: '11 0000012c' });
  again.send(join(resume, '82 07 0001 00 000162 00 c0 00'));
  expect(again.take().map((packet) => packet.type)).toEqual([2, 3, 3, 9, 13]);
});

test('v3.1.1 [MQTT-3.2.0-1] sends CONNACK first, before what waited in the session and what is answered', () => {
  const t = new TestBroker();
  const first = t.connect({ version: 4, clientId: 's', cleanStart: false });
  first.subscribe('#', 2);
  first.drop();
  t.connect({ clientId: 'p' }).publish('a', '1', { qos: 1 });
  const again = t.open(4);
  again.send(join(connect({ level: 4, clientId: 's', flags: 0 }), '82 06 0001 000162 00 c0 00'));
  expect(again.take().map((packet) => packet.type)).toEqual([2, 3, 9, 13]);
});

test('v5 [MQTT-3.2.2-1] leaves bits 7 to 1 of the acknowledge flags 0 whatever it answers', () => {
  const t = new TestBroker({}, {}, passwords);
  const flags = (bytes: Uint8Array): string => answer(5, [bytes], t).slice(4, 6);
  const fresh = join(connect({ flags: 0xc0, properties: '11 0000012c', rest: join(field('u'), field('p')) }));
  expect(flags(fresh)).toBe('00');
  expect(flags(fresh)).toBe('01');
  expect(flags(withPassword(5, 'wrong'))).toBe('00');
  expect(flags(connect({ flags: 0x03 }))).toBe('00');
});

test('v5 [MQTT-3.2.2-2] [MQTT-3.2.2-3] tells with Session Present whether it goes on with a session', () => {
  const t = new TestBroker();
  const present = (clientId: string, flags: number, expiry: number): string =>
    answer(
      5,
      [connect({ clientId, flags, properties: join('11', Uint8Array.of(0, 0, expiry >> 8, expiry)) })],
      t,
    ).slice(4, 8);
  expect(present('c', 0, 300)).toBe('0000');
  expect(present('c', 0, 300)).toBe('0100');
  expect(present('c', 2, 300)).toBe('0000');
  expect(present('c', 0, 2)).toBe('0100');
  t.advance(3_000);
  expect(present('c', 0, 0)).toBe('0000');
  expect(present('c', 0, 0)).toBe('0000');
});

test('v3.1.1 [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3] tells with Session Present whether it goes on with a session', () => {
  const t = new TestBroker();
  const connack = (flags: number): string => answer(4, [connect({ level: 4, flags })], t);
  expect(connack(0)).toBe('20020000');
  expect(connack(0)).toBe('20020100');
  expect(connack(2)).toBe('20020000');
  expect(connack(0)).toBe('20020000');
});

test('v5 [MQTT-3.2.2-6] sends Session Present 0 with a failure though there is a session', () => {
  const t = new TestBroker({}, { maxQos: 1 }, passwords);
  t.connect({ clientId: 'c1', username: 'u', password: 'p', properties: { sessionExpiryInterval: 300 } }).drop();
  expect(answer(5, [withPassword(5, 'wrong')], t)).toBe('2003008600 closed');
  const willAboveMaximum = connect({ flags: 0xd4, rest: join('00', field('w'), field('x'), field('u'), field('p')) });
  expect(answer(5, [willAboveMaximum], t)).toBe('2003009b00 closed');
  expect(t.broker.sessions.has('c1')).toBe(true);
});

test('v3.1.1 [MQTT-3.2.2-4] [MQTT-3.2.2-5] sends Session Present 0 with a return code other than 0, and closes', () => {
  const t = new TestBroker({ allowZeroLengthClientid: false }, {}, passwords);
  t.connect({ version: 4, clientId: 'c1', cleanStart: false, username: 'u', password: 'p' }).drop();
  expect(answer(4, [withPassword(4, 'wrong')], t)).toBe('20020004 closed');
  expect(answer(4, [connect({ level: 4, flags: 0 })], t)).toBe('20020005 closed');
  expect(answer(4, [connect({ level: 2, flags: 0 })], t)).toBe('20020001 closed');
  expect(answer(4, [connect({ level: 4, clientId: '' })], t)).toBe('20020002 closed');
  expect(answer(4, [withPassword(4, 'p')], t)).toBe('20020100');
});

test('v3.1.1 [MQTT-3.2.2-6] closes without CONNACK where no return code fits', () => {
  const qos0 = new TestBroker({ retainAvailable: false, messageSizeLimit: 10 }, { maxQos: 0 });
  const willWith = (flags: number, payload = 'x') =>
    connect({ level: 4, flags, rest: join(field('w'), field(payload)) });
  expect(answer(4, [willWith(0x0e)], qos0)).toBe('closed');
  expect(answer(4, [willWith(0x26)], qos0)).toBe('closed');
  // As Mosquitto: not authorised.
  expect(answer(4, [willWith(0x06, '12345678901')], qos0)).toBe('20020005 closed');
  expect(answer(4, [willWith(0x06, '1234567890')], qos0)).toBe('20020000');
});

/** Every way in which this broker refuses a CONNECT, and its reason code. */
const refusals: readonly { readonly bytes: Uint8Array; readonly code: number; readonly test: () => TestBroker }[] = [
  { bytes: connect({ flags: 3 }), code: 0x81, test: () => new TestBroker() },
  { bytes: connect({ properties: '21 0000' }), code: 0x82, test: () => new TestBroker() },
  { bytes: connect({ clientId: '' }), code: 0x85, test: () => new TestBroker({ allowZeroLengthClientid: false }) },
  { bytes: withPassword(5, 'wrong'), code: 0x86, test: () => new TestBroker({}, {}, passwords) },
  { bytes: connect(), code: 0x87, test: () => new TestBroker({}, {}, passwords) },
  {
    bytes: connect(),
    code: 0x8a,
    test: () => new TestBroker({}, {}, { authenticate: () => ReasonCode.banned, topics: null }),
  },
  { bytes: connect({ properties: '15 0001 78' }), code: 0x8c, test: () => new TestBroker() },
  { bytes: connect({ properties: '27 00000006' }), code: 0x95, test: () => new TestBroker() },
  {
    bytes: connect({ flags: 0x06, rest: join('00', field('w'), field('12345')) }),
    code: 0x95,
    test: () => new TestBroker({ messageSizeLimit: 4 }),
  },
  {
    bytes: connect({ flags: 0x06, rest: join('02 01 01', field('w'), '0001 ff') }),
    code: 0x99,
    test: () => new TestBroker(),
  },
  {
    bytes: connect({ flags: 0x26, rest: join('00', field('w'), field('x')) }),
    code: 0x9a,
    test: () => new TestBroker({ retainAvailable: false }),
  },
  {
    bytes: connect({ flags: 0x0e, rest: join('00', field('w'), field('x')) }),
    code: 0x9b,
    test: () => new TestBroker({}, { maxQos: 0 }),
  },
];
/** v5 table 3-1. */
const listed = [
  0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c,
  0x9d, 0x9f,
];

test('v5 [MQTT-3.2.2-7] [MQTT-3.2.2-8] refuses with a listed reason code, and closes with nothing after it', () => {
  for (const { bytes, code, test: make } of refusals) {
    expect(answer(5, [join(bytes, 'c0 00')], make())).toBe(`200300${code.toString(16)}00 closed`);
    expect(listed).toContain(code);
  }
});

test('each refused CONNECT is counted once, by its reason, and leaves no session', () => {
  for (const { bytes, test: make } of refusals) {
    const t = make();
    answer(5, [bytes], t);
    const { connectionsRefused, closed, clientsConnected } = t.broker.counters;
    expect([connectionsRefused, [...closed.values()], clientsConnected, t.broker.sessions.size]).toEqual([
      1,
      [1],
      0,
      0,
    ]);
  }
});

test('v5 [MQTT-3.1.4-2] closes a connection that fails authentication', () => {
  const t = new TestBroker({}, {}, passwords);
  expect(answer(5, [connect()], t)).toBe('2003008700 closed');
  expect(answer(5, [withPassword(5, 'wrong')], t)).toBe('2003008600 closed');
  expect(answer(5, [withPassword(5, 'p', 2)], t)).not.toContain('closed');
});

test('v5 [MQTT-3.2.2-22] [MQTT-3.1.2-28] sends neither Server Keep Alive nor Response Information unasked', () => {
  const t = new TestBroker();
  for (const properties of ['', '19 00']) {
    const peer = t.open(5);
    peer.send(connect({ properties }));
    const { properties: told } = peer.expect(PacketType.connack);
    expect(Object.keys(told!)).toEqual(['topicAliasMaximum', 'maximumPacketSize', 'receiveMaximum']);
  }
  const none = new TestBroker({ responseTopicPrefix: null });
  expect(answer(5, [connect({ properties: '19 01' })], none)).toBe(answer(5, [connect()], none).replace(' closed', ''));
});

test('v5 Response Information is a topic of the client alone, whatever its identifier holds', () => {
  const t = new TestBroker({ responseTopicPrefix: 'answers/' });
  const informationFor = (clientId: string): string | undefined =>
    t.connect({ clientId, properties: { requestResponseInformation: 1 } }).connack.properties!.responseInformation;
  expect(informationFor('device-1')).toBe('answers/device-1');
  expect(informationFor('größe')).toBe('answers/größe');
  expect(informationFor('a/+/#')).toBe('answers/a%2F%2B%2F%23');
  expect(informationFor('a%2F')).toBe('answers/a%252F');
  expect(informationFor('i'.repeat(65_535))).toBeUndefined();
  expect(informationFor('i'.repeat(65_527))).toBe(`answers/${'i'.repeat(65_527)}`);
});
