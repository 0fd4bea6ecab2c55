/** What an operator reads of connections: log lines in the form of Mosquitto 2.1, and counters. */
import { expect, test } from 'bun:test';
import type { AccessControl, Identity } from '../../src/auth/access-control.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { TestBroker, utf8 } from '../support/test-broker.ts';
import { answer, answerAfterConnect, connect, field, join } from './raw-packets.ts';

test('a client that connects is named with protocol, clean start, keep alive and user', () => {
  const t = new TestBroker();
  t.connect({ version: 5, clientId: 'five', keepAlive: 60 });
  t.connect({ version: 4, clientId: 'four', cleanStart: false, keepAlive: 0 });
  t.connect({ version: 3, clientId: 'three', username: 'user', password: 'secret' });
  expect(t.log.lines).toEqual([
    'New client connected from 192.0.2.1:50000 as five (p5, c1, k60).',
    'New client connected from 192.0.2.1:50000 as four (p2, c0, k0).',
    "New client connected from 192.0.2.1:50000 as three (p1, c1, k0, u'user').",
  ]);
});

test('a refused client is named, with the cause', () => {
  const refusing: AccessControl = {
    authenticate: ({ username }: Identity) =>
      username === null ? ReasonCode.notAuthorized : ReasonCode.badUserNameOrPassword,
    topics: null,
  };
  const t = new TestBroker({ allowZeroLengthClientid: false }, {}, refusing);
  answer(4, [connect({ level: 4, flags: 0xc2, rest: join(field('u'), field('p')) })], t);
  answer(4, [connect({ level: 6 })], t);
  for (const bytes of [
    connect(),
    connect({ flags: 0xc2, rest: join(field('u'), field('p')) }),
    connect({ properties: '15 0003 666f6f' }),
    connect({ clientId: '' }),
    connect({ flags: 0x03 }),
    connect({ flags: 0x06, rest: join('00', field('$CONTROL/x'), field('x')) }),
  ]) {
    answer(5, [bytes], t);
  }
  expect(t.log.lines).toEqual([
    'Client c1 [192.0.2.1:50000] disconnected: not authorised.',
    'Client 192.0.2.1:50000 disconnected: protocol level 6 of MQTT is not supported.',
    'Client c1 [192.0.2.1:50000] disconnected: not authorised.',
    'Client c1 [192.0.2.1:50000] disconnected: not authorised.',
    'Client c1 [192.0.2.1:50000] disconnected: unknown authentication method foo.',
    'Client 192.0.2.1:50000 disconnected: empty client identifier.',
    'Client 192.0.2.1:50000 disconnected: reserved CONNECT flag is set (v5 [MQTT-3.1.2-3]).',
    'Client c1 [192.0.2.1:50000] disconnected: will on a $CONTROL topic.',
  ]);
  expect(t.broker.counters.connectionsRefused).toBe(8);
});

test('a takeover and a timeout are told', () => {
  const t = new TestBroker();
  t.connect({ clientId: 'c1' });
  t.connect({ clientId: 'c1', keepAlive: 10 });
  t.advance(20_000);
  expect(t.log.lines).toEqual([
    'New client connected from 192.0.2.1:50000 as c1 (p5, c1, k0).',
    'Client c1 already connected, closing old connection.',
    'Client c1 [192.0.2.1:50000] disconnected: session taken over.',
    'New client connected from 192.0.2.1:50000 as c1 (p5, c1, k10).',
    'Client c1 [192.0.2.1:50000] disconnected: exceeded timeout.',
  ]);
});

test('what a client sends does not break out of its line', () => {
  const t = new TestBroker();
  // Control characters do not get past the decoder; quotes and line separators do.
  t.connect({ clientId: "x'\u2028y", username: "'admin'" });
  t.connect({ clientId: 'l'.repeat(60_000) });
  answer(5, [connect({ properties: join('15', field('m'.repeat(60_000))) })], t);
  answer(5, [connect({ flags: 0x06, rest: join('00', field('w'), field('x')), clientId: Uint8Array.of(0x0a) })], t);
  for (const line of t.log.lines) {
    expect(line.length).toBeLessThan(700);
    // oxlint-disable-next-line no-control-regex -- the very characters that must not reach a terminal
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  }
});

test('each connection that ends is counted by its reason', () => {
  const t = new TestBroker({ connectTimeout: 5 });
  const { counters } = t.broker;
  answer(5, ['c0 00'], t);
  answer(5, [connect({ flags: 3 })], t);
  answerAfterConnect(5, 'c1 00', t);
  answerAfterConnect(4, 'c1 00', t);
  answerAfterConnect(5, 'f0 00', t);
  t.connect({ clientId: 'lost' }).drop();
  t.connect({ clientId: 'twice' });
  t.connect({ clientId: 'twice' }).disconnect();
  t.connect({ clientId: 'silent', keepAlive: 1 });
  t.advance(4_000);
  expect(Object.fromEntries(counters.closed)).toEqual({
    'protocol error': 2,
    'malformed packet': 3,
    'session taken over': 1,
    'connection lost': 1,
    'keep alive timeout': 1,
  });
  expect(counters).toMatchObject({
    connectionsRefused: 1,
    clientsConnected: 0,
    sessionsTakenOver: 1,
    keepAliveTimeouts: 1,
    internalErrors: 0,
  });
});

test('wills and sessions are counted', () => {
  const t = new TestBroker();
  const will = { topicName: 'w', payload: utf8('x'), qos: 0, retain: false, properties: null } as const;
  t.connect({ clientId: 'c1', will }).drop();
  t.connect({ clientId: 'c2', will }).disconnect();
  t.connect({ clientId: 'c3', properties: { sessionExpiryInterval: 1 } }).drop();
  t.advance(2_000);
  expect(t.broker.counters).toMatchObject({ willsPublished: 1, willsDenied: 0, sessionsExpired: 1 });
});

test('connection_messages false leaves lines on clients that come and go out of the log', () => {
  const t = new TestBroker({ connectionMessages: false });
  const client = t.connect({ clientId: 'quiet' });
  client.disconnect();
  t.open().send('00 00');
  expect(t.log.lines).toEqual([]);
});
