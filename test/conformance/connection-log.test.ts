/** What an operator reads of connections: log lines in the form of Mosquitto 2.1, and counters. */
import { expect, test } from 'bun:test';
import type { AccessControl, Identity } from '../../src/auth/access-control.ts';
import { LogType } from '../../src/broker/log.ts';
import { encodePacket } from '../../src/protocol/packet.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { connectPacket, TestBroker, utf8 } from '../support/test-broker.ts';
import { answer, answerAfterConnect, connect, field, join } from './raw-packets.ts';

test('a client that connects is named with protocol, clean start, keep alive and user', () => {
  const t = new TestBroker();
  t.connect({ version: 5, clientId: 'five', keepAlive: 60 });
  t.connect({ version: 4, clientId: 'four', cleanStart: false, keepAlive: 0 });
  t.connect({ version: 3, clientId: 'three', username: 'user', password: 'secret' });
  expect(t.log.lines).toEqual([
    'New client connected from 192.0.2.1:50000 as five (p5, c1, k60).',
    'New client connected from 192.0.2.1:50000 as four (p4, c0, k0).',
    "New client connected from 192.0.2.1:50000 as three (p3, c1, k0, u'user').",
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
  const unknown = 'Client 192.0.2.1 [192.0.2.1:50000] disconnected';
  const known = 'Client c1 [192.0.2.1:50000] disconnected';
  expect(t.log.lines).toEqual([
    `${known}: not authorised.`,
    'Protocol error from 192.0.2.1:50000: protocol level 6 of MQTT is not supported.',
    `${unknown}: protocol error.`,
    `${known}: not authorised.`,
    `${known}: not authorised.`,
    'Protocol error from c1: unknown authentication method foo.',
    `${known}: using not allowed feature (QoS too high, retain not supported, or bad AUTH method).`,
    'Protocol error from 192.0.2.1:50000: empty client identifier.',
    `${unknown}: protocol error.`,
    'Protocol error from 192.0.2.1:50000: reserved CONNECT flag is set (v5 [MQTT-3.1.2-3]).',
    `${unknown}: malformed packet.`,
    `${known}: will on a $CONTROL topic.`,
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
  t.connect({ clientId: 'lost' }).drop();
  t.connect({ clientId: 'twice' });
  t.connect({ clientId: 'twice' });
  t.open().send('00 00');
  // What was wrong with a packet is told all the same, as by Mosquitto.
  expect(t.log.lines).toEqual(['Protocol error from 192.0.2.1:50000: First packet not CONNECT (00).']);
});

test('a second CONNECT, and TLS where there is none, are told in words of their own', () => {
  const t = new TestBroker();
  const twice = t.connect({ clientId: 'twice' });
  twice.send(connect());
  t.open().send('16 03 01 02 00 01 00 01 fc 03 03');
  expect(t.log.lines.slice(1)).toEqual([
    'Bad client 192.0.2.1:50000 sending multiple CONNECT messages.',
    'Protocol error from twice: second CONNECT (v5 [MQTT-3.1.0-2]).',
    'Client twice [192.0.2.1:50000] disconnected: protocol error.',
    'Client from 192.0.2.1:50000 appears to be using TLS to connect to a non-TLS listener.',
    expect.stringMatching(/^Protocol error from 192\.0\.2\.1:50000: /),
    'Client 192.0.2.1 [192.0.2.1:50000] disconnected: malformed packet.',
  ]);
});

test('lines have the types that Mosquitto gives them', () => {
  const t = new TestBroker({}, { maxConnections: 2 });
  t.connect({ clientId: 'c1' });
  t.connect({ clientId: 'c1' });
  expect(() => t.connect({ clientId: 'c2' })).toThrow('refused');
  expect(t.log.details.map(({ type }, i) => [type, t.log.lines[i]!.slice(0, 24)])).toEqual([
    [LogType.notice, 'New client connected fro'],
    [LogType.error, 'Client c1 already connec'],
    [LogType.notice, 'Client c1 [192.0.2.1:500'],
    [LogType.notice, 'New client connected fro'],
    [LogType.notice, 'Client connection from 1'],
  ]);
});

test('who and why stand beside the text, for logs that keep them apart', () => {
  const t = new TestBroker();
  t.connect({ clientId: 'c1', username: 'u' }).drop();
  t.open().send('c0 00');
  const address = '192.0.2.1:50000';
  expect(t.log.details.map(({ fields }) => fields)).toEqual([
    { client: 'c1', address, username: 'u' },
    { client: 'c1', address, reason: 'connection closed by client' },
    { address },
    { address, reason: 'protocol error' },
  ]);
});

test('no password reaches the log, whatever is logged and however it is refused', () => {
  const secret = 'p4ssw0rd-in-clear';
  const refusing: AccessControl = { authenticate: () => ReasonCode.badUserNameOrPassword, topics: null };
  for (const access of [undefined, refusing]) {
    for (const version of [3, 4, 5] as const) {
      const t = new TestBroker({ reasonStrings: true }, {}, access);
      t.log.types = ~0;
      const peer = t.open(version);
      peer.send(connectPacket({ version, clientId: 'c1', username: 'u', password: secret }));
      // A second one, and one that breaks off in the password.
      peer.send(connectPacket({ version, clientId: 'c1', username: 'u', password: secret }));
      const broken = encodePacket(connectPacket({ version, clientId: 'c2', username: 'u', password: secret }), version);
      broken[1]! -= 3;
      t.open(version).send(broken.subarray(0, broken.length - 3));
      expect(t.log.lines.length).toBeGreaterThan(2);
      expect(JSON.stringify([t.log.lines, t.log.details])).not.toContain('p4ssw');
    }
  }
});
