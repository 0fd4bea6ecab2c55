/** DISCONNECT in both directions: v5 section 3.14, v3.1.1 section 3.14. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import type { Properties } from '../../src/protocol/properties.ts';
import { type ConnectOptions, type Peer, TestBroker, toHex, utf8 } from '../support/test-broker.ts';
import { expectQuiet, publishes } from '../support/exchanges.ts';
import { answer, answerAfterConnect, connect, field, join, packet, properties } from './raw-packets.ts';

const will: NonNullable<ConnectOptions['will']> = {
  topicName: 'w',
  payload: utf8('gone'),
  qos: 0,
  retain: false,
  properties: null,
};

function start(options: ConnectOptions = {}): { t: TestBroker; watcher: Peer; peer: Peer } {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('#');
  return { t, watcher, peer: t.connect({ clientId: 'c1', will, ...options }) };
}

test('v5 [MQTT-3.14.0-1] sends no DISCONNECT before a CONNACK below 0x80', () => {
  const firstPackets = [
    'c0 00',
    'e0 00',
    'f0 00',
    '00 00',
    '20 02 00 00',
    '30 ff ff ff ff 01',
    '10 ff ff ff 7f',
    connect({ flags: 3 }),
    connect({ level: 6 }),
    connect({ properties: '21 0000' }),
    connect({ properties: '15 0001 78' }),
    connect({ firstByte: 0x12 }),
  ];
  for (const bytes of firstPackets) {
    const t = new TestBroker();
    const peer = t.open(4);
    peer.send(bytes);
    expect([0, 0x20]).toContain(peer.raw[0] ?? 0);
    expect(peer.isClosed).toBe(true);
  }
  const t = new TestBroker({ connectTimeout: 5 });
  const peer = t.open(5);
  t.advance(10_000);
  expect([peer.isClosed, peer.raw]).toEqual([true, []]);
});

test('v5 [MQTT-3.14.1-1] refuses a DISCONNECT with reserved bits set: 0x81, and the will goes out', () => {
  for (const hex of ['e1 00', 'e2 00', 'e8 00', 'ef 01 00']) {
    const { peer, watcher } = start();
    peer.send(hex);
    expect(peer.expect(PacketType.disconnect).reasonCode).toBe(0x81);
    expect([hex, peer.isClosed, publishes(watcher).length]).toEqual([hex, true, 1]);
  }
});

test('v3.1.1 [MQTT-3.14.1-1] closes on a DISCONNECT with reserved bits set, and the will goes out', () => {
  for (const hex of ['e1 00', 'e8 00']) {
    const { peer, watcher } = start({ version: 4 });
    peer.send(hex);
    peer.expectNothing();
    expect([hex, peer.isClosed, publishes(watcher).length]).toEqual([hex, true, 1]);
  }
});

/** v5 table 3-10. */
const fromClient = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
const fromServer = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
  0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];

test('v5 [MQTT-3.14.2-1] takes the reason codes that a client may send, and answers the others with 0x82', () => {
  for (let code = 0; code < 256; code++) {
    const sent = answerAfterConnect(5, Uint8Array.of(0xe0, 0x01, code));
    expect([code, sent]).toEqual([code, fromClient.includes(code) ? 'closed' : 'e00182 closed']);
  }
});

/** Each way in which this broker ends a connection that stands, for a reason of its own or of the client. */
const serverEnds: readonly { readonly code: number; readonly end: (t: TestBroker, peer: Peer) => void }[] = [
  { code: 0x81, end: (_, peer) => void peer.send('c1 00') },
  { code: 0x82, end: (_, peer) => void peer.send('f0 00') },
  { code: 0x8b, end: (t) => t.broker.stop() },
  { code: 0x8d, end: (t) => t.advance(100_000) },
  { code: 0x8e, end: (t) => void t.connect({ clientId: 'c1' }) },
  { code: 0x93, end: (_, peer) => void [1, 2].map((packetId) => peer.publish('a', 'x', { qos: 2, packetId })) },
  { code: 0x94, end: (_, peer) => void peer.send('30 08 000161 03 23 000b 78') },
  { code: 0x95, end: (_, peer) => void peer.send('30 ff ff 7f') },
  { code: 0x9a, end: (_, peer) => void peer.send('31 05 000161 00 78') },
  { code: 0x9b, end: (_, peer) => void peer.send(`34 07 000161 0001 00 78`) },
];

function connectFor(code: number, properties: Properties | null = null): { t: TestBroker; peer: Peer } {
  const t = new TestBroker(
    { maxPacketSize: 1_000, maxInflightMessages: 1, retainAvailable: false, reasonStrings: properties !== null },
    { maxQos: code === 0x9b ? 1 : 2 },
  );
  const expiring = { sessionExpiryInterval: 300, ...properties };
  return { t, peer: t.connect({ clientId: 'c1', keepAlive: 60, properties: expiring }) };
}

test('v5 [MQTT-3.14.2-1] [MQTT-3.14.2-2] sends reason codes of a server only, and no Session Expiry Interval', () => {
  for (const { code, end } of serverEnds) {
    const { t, peer } = connectFor(code);
    end(t, peer);
    const disconnect = peer.take().filter((packet) => packet.type === PacketType.disconnect);
    expect(disconnect).toEqual([{ type: PacketType.disconnect, reasonCode: code, properties: null }]);
    expect(fromServer).toContain(code);
  }
});

test('v5 [MQTT-3.14.4-1] [MQTT-3.14.4-2] sends nothing after its DISCONNECT, and closes', () => {
  for (const { code, end } of serverEnds) {
    const { t, peer } = connectFor(code);
    peer.subscribe('#');
    end(t, peer);
    expect(toHex(Uint8Array.from(peer.raw.slice(-3)))).toBe(`e001${code.toString(16)}`);
    expect(peer.isClosed).toBe(true);
    peer.take();
    // Whatever comes now is for nobody: from other clients, and from this one.
    peer.send('c0 00').send('e0 00').publish('a', 'late');
    if (code !== 0x8b) t.connect({ clientId: 'p' }).publish('a', 'x');
    t.advance(1_000);
    expect(peer.take()).toEqual([]);
  }
});

test('v5 a Reason String tells the cause where the option asks for it', () => {
  const { t, peer } = connectFor(0x82, {});
  peer.send('f0 00');
  expect(peer.expect(PacketType.disconnect).properties).toEqual({
    reasonString: 'a client may not send AUTH (v5 section 2.1.2)',
  });
  const refused = t.open(5);
  refused.send(connect({ flags: 0x03 }));
  expect(refused.expect(PacketType.connack).properties).toEqual({
    reasonString: 'reserved CONNECT flag is set (v5 [MQTT-3.1.2-3])',
  });
});

test('v5 [MQTT-3.14.2-3] [MQTT-3.14.2-4] leaves Reason String and User Property out of a DISCONNECT too large for the client', () => {
  for (const { code, end } of serverEnds) {
    const { t, peer } = connectFor(code, { maximumPacketSize: 20 });
    peer.take();
    end(t, peer);
    expect(toHex(Uint8Array.from(peer.raw.slice(-3)))).toBe(`e001${code.toString(16)}`);
    expect(peer.isClosed).toBe(true);
  }
});

test('v5 [MQTT-3.14.4-2] closes after the DISCONNECT of the client', () => {
  for (const hex of ['e0 00', 'e0 01 00', 'e0 02 00 00', 'e0 01 04', 'e0 01 80']) {
    expect(answerAfterConnect(5, hex)).toBe('closed');
  }
});

test('v5 what a client sends after its DISCONNECT is not handled', () => {
  const { peer, watcher } = start();
  peer.send(join('e0 00', packet(0x30, field('a'), '00', '78'), 'c0 00'));
  peer.expectNothing();
  expectQuiet(watcher);
});

test('v3.1.1 closes after the DISCONNECT of the client and handles nothing behind it', () => {
  const { peer, watcher } = start({ version: 4 });
  peer.send(join('e0 00', packet(0x30, field('a'), '78'), 'c0 00'));
  expect(peer.isClosed).toBe(true);
  peer.expectNothing();
  expectQuiet(watcher);
});

test('v5 [MQTT-3.14.4-3] drops the will on DISCONNECT 0x00, whether the code is written or not', () => {
  for (const hex of ['e0 00', 'e0 01 00', 'e0 02 00 00', 'e0 07 00 05 11 00000000']) {
    const { peer, watcher } = start();
    peer.send(hex);
    expectQuiet(watcher);
  }
  const { peer, watcher } = start();
  peer.send('e0 01 04');
  expect(publishes(watcher).length).toBe(1);
});

test('v3.1.1 [MQTT-3.14.4-3] drops the will on DISCONNECT', () => {
  const { peer, watcher } = start({ version: 4 });
  peer.send('e0 00');
  expect(peer.isClosed).toBe(true);
  expectQuiet(watcher);
});

test('v3.1.1 a DISCONNECT with a body is none: the connection closes and the will goes out', () => {
  const { peer, watcher } = start({ version: 4 });
  peer.send('e0 01 00');
  peer.expectNothing();
  expect([peer.isClosed, publishes(watcher).length]).toEqual([true, 1]);
});

test('v5 DISCONNECT may change the expiry of the session, but not from 0 to more', () => {
  const rows: readonly [atConnect: number, atDisconnect: number, seconds: number][] = [
    [300, 0, 0],
    [300, 10, 10],
    [10, 300, 300],
    [1, 0xffff_ffff, 1_000_000],
    [0, 0, 0],
  ];
  for (const [atConnect, atDisconnect, seconds] of rows) {
    const t = new TestBroker();
    t.connect({ clientId: 'c1', properties: { sessionExpiryInterval: atConnect } }).disconnect(0, {
      sessionExpiryInterval: atDisconnect,
    });
    if (seconds > 0) {
      t.advance(seconds * 1_000 - 1_000);
      expect(t.broker.sessions.has('c1')).toBe(true);
      t.advance(1_000);
    }
    expect([atConnect, atDisconnect, t.broker.sessions.has('c1')]).toEqual([atConnect, atDisconnect, seconds > 300]);
  }
  const { peer, watcher, t } = start();
  peer.disconnect(0, { sessionExpiryInterval: 5 });
  expect(peer.expect(PacketType.disconnect).reasonCode).toBe(0x82);
  expect(publishes(watcher).length).toBe(1);
  expect(t.broker.sessions.has('c1')).toBe(false);
});

test('v5 persistent_client_expiration bounds the expiry that a DISCONNECT asks for', () => {
  const t = new TestBroker({ persistentClientExpiration: 60 });
  t.connect({ clientId: 'c1', properties: { sessionExpiryInterval: 10 } }).disconnect(0, {
    sessionExpiryInterval: 600,
  });
  t.advance(60_000);
  expect(t.broker.sessions.size).toBe(0);
});

test('v5 a DISCONNECT that is not well-formed is answered with its reason code', () => {
  const rows: readonly [Uint8Array, string][] = [
    [packet(0xe0, '00', properties('11 0000')), 'e00181 closed'],
    [packet(0xe0, '00', properties('11 00000000 11 00000000')), 'e00182 closed'],
    [packet(0xe0, '00', properties('21 0001')), 'e00181 closed'],
    [packet(0xe0, '00 00 00'), 'e00181 closed'],
    [packet(0xe0, '00 05'), 'e00181 closed'],
  ];
  for (const [bytes, expected] of rows) expect(answerAfterConnect(5, bytes)).toBe(expected);
});

test('the log tells a DISCONNECT from a connection that was lost, as Mosquitto does', () => {
  const t = new TestBroker();
  t.connect({ clientId: 'c1' }).disconnect();
  expect(t.log.lines.at(-1)).toBe('Client c1 [192.0.2.1:50000] disconnected.');
  t.connect({ clientId: 'c1' }).drop();
  expect(t.log.lines.at(-1)).toBe('Client c1 [192.0.2.1:50000] disconnected: connection closed by client.');
  expect(answer(5, [connect({ flags: 3 })], t)).toContain('closed');
});

test('a client that does not close its side is cut off two seconds after the end', () => {
  for (const hex of ['e0 00', 'c1 00']) {
    const t = new TestBroker();
    const peer = t.connect({ clientId: 'c1' });
    let isCut = false;
    peer.socket.terminate = () => void (isCut = true);
    peer.send(hex);
    t.advance(1_000);
    expect([hex, isCut]).toEqual([hex, false]);
    t.advance(2_000);
    expect([hex, isCut]).toEqual([hex, true]);
  }
});
