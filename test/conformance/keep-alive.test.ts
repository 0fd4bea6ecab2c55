/** Keep Alive and PINGREQ: v5 sections 3.1.2.10, 3.2.2.3.14 and 3.12, v3.1.1 sections 3.1.2.10 and 3.12. */
import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { type ConnectOptions, type Peer, TestBroker, utf8 } from '../support/test-broker.ts';
import { publishes } from '../support/exchanges.ts';
import { answer, answerAfterConnect, connect, field, join } from './raw-packets.ts';

function start(options: ConnectOptions): { t: TestBroker; watcher: Peer; peer: Peer } {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('w');
  const will = { topicName: 'w', payload: utf8('silent'), qos: 0, retain: false, properties: null } as const;
  return { t, watcher, peer: t.connect({ clientId: 'c1', will, ...options }) };
}

test('v5 [MQTT-3.1.2-22] closes a connection silent for 1.5 x Keep Alive, with 0x8D and its will', () => {
  for (const [keepAlive, limitMs] of [
    [1, 1_500],
    [2, 3_000],
    [3, 4_500],
    [10, 15_000],
    [65_535, 98_302_500],
  ] as const) {
    const { t, watcher, peer } = start({ keepAlive });
    t.advance(limitMs);
    expect([keepAlive, peer.isClosed]).toEqual([keepAlive, false]);
    t.advance(1_500);
    expect(peer.expect(PacketType.disconnect)).toMatchObject({ reasonCode: 0x8d, properties: null });
    expect([keepAlive, peer.isClosed, publishes(watcher).length]).toEqual([keepAlive, true, 1]);
    expect(t.broker.counters.keepAliveTimeouts).toBe(1);
    expect(t.log.lines).toContain('Client c1 [192.0.2.1:50000] disconnected: exceeded timeout.');
  }
});

test('v3.1.1 [MQTT-3.1.2-24] closes a connection silent for 1.5 x Keep Alive, without a packet, and sends its will', () => {
  const { t, watcher, peer } = start({ version: 4, keepAlive: 10 });
  t.advance(15_000);
  expect(peer.isClosed).toBe(false);
  t.advance(1_000);
  peer.expectNothing();
  expect([peer.isClosed, publishes(watcher).length]).toEqual([true, 1]);
});

test('v5 [MQTT-3.1.2-22] nobody is closed early, whenever in a second the last packet came', () => {
  for (const keepAlive of [1, 2, 5]) {
    for (const offset of [0, 1, 333, 999]) {
      const { t, peer } = start({ keepAlive });
      t.advance(offset);
      peer.send('c0 00');
      peer.expect(PacketType.pingresp);
      // The broker's ticks come at other times than the packet.
      for (let passed = 0; passed < keepAlive * 1_500; passed += 250) {
        expect([keepAlive, offset, passed, peer.isClosed]).toEqual([keepAlive, offset, passed, false]);
        t.advance(250);
      }
      t.advance(2_000);
      expect(peer.isClosed).toBe(true);
    }
  }
});

test('any packet of the client counts as a sign of life', () => {
  const packets = ['c0 00', '30 05 000161 00 78', '82 07 0001 00 000161 00', 'a2 06 0001 00 000161', '40 02 0009'];
  for (const hex of packets) {
    const { t, peer } = start({ keepAlive: 2 });
    for (let i = 0; i < 10; i++) {
      t.advance(2_500);
      peer.send(hex);
    }
    expect([hex, peer.isClosed]).toEqual([hex, false]);
  }
});

test('what the broker sends does not count as a sign of life', () => {
  const { t, peer } = start({ keepAlive: 2 });
  peer.subscribe('a');
  const publisher = t.connect({ clientId: 'p' });
  for (let i = 0; i < 5; i++) {
    t.advance(1_000);
    publisher.publish('a', 'x');
  }
  expect(peer.isClosed).toBe(true);
});

test('Keep Alive 0 is never closed', () => {
  for (const version of [3, 4, 5] as const) {
    const { t, peer } = start({ version, keepAlive: 0 });
    t.advance(1_000_000);
    expect(peer.isClosed).toBe(false);
  }
});

test('bytes of a large packet on its way are a sign of life, a packet that stops is not', () => {
  const { t, peer } = start({ version: 4, keepAlive: 2 });
  const payload = new Uint8Array(50_000);
  peer.send(join('30 d3 86 03', field('a'), payload.subarray(0, 10)));
  for (let i = 0; i < 20; i++) {
    t.advance(2_000);
    peer.send(payload.subarray(0, 1_460));
    expect(peer.isClosed).toBe(false);
  }
  t.advance(6_000);
  expect(peer.isClosed).toBe(true);
  // A client can't stay for free by never ending a small packet.
  const { t: other, peer: dripping } = start({ keepAlive: 2 });
  for (const byte of [0x30, 0x7f, 0x00, 0x01, 0x61, 0x00]) {
    dripping.send(Uint8Array.of(byte));
    other.advance(1_000);
  }
  expect(dripping.isClosed).toBe(true);
});

test('v5 the session of a silent client lives on for its expiry, and it may come back', () => {
  const { t, peer } = start({ keepAlive: 10, properties: { sessionExpiryInterval: 300 } });
  t.advance(20_000);
  expect(peer.isClosed).toBe(true);
  expect(t.connect({ clientId: 'c1', cleanStart: false }).connack.sessionPresent).toBe(true);
});

test('v5 [MQTT-3.2.2-22] uses the Keep Alive of the client where it tells no other', () => {
  const { t, peer } = start({ keepAlive: 2 });
  t.advance(3_000);
  expect(peer.isClosed).toBe(false);
  t.advance(1_000);
  expect(peer.isClosed).toBe(true);
});

test('v5 a Keep Alive above max_keepalive is shortened to it, and the client is told', () => {
  const serverKeepAlive = (keepAlive: number, maxKeepalive: number): number | undefined => {
    const t = new TestBroker({ maxKeepalive });
    const peer = t.connect({ clientId: 'c1', keepAlive });
    const told = peer.connack.properties!.serverKeepAlive;
    expect(t.log.lines.at(-1)).toContain(`k${told ?? keepAlive})`);
    if (told === undefined) return undefined;
    t.advance(told * 1_500);
    expect(peer.isClosed).toBe(false);
    t.advance(2_000);
    expect(peer.isClosed).toBe(true);
    return told;
  };
  expect(serverKeepAlive(60, 5)).toBe(5);
  expect(serverKeepAlive(5, 5)).toBeUndefined();
  expect(serverKeepAlive(4, 5)).toBeUndefined();
  expect(serverKeepAlive(0, 5)).toBe(5);
  expect(serverKeepAlive(0, 65_535)).toBeUndefined();
  expect(serverKeepAlive(0, 0)).toBeUndefined();
  expect(serverKeepAlive(65_535, 0)).toBeUndefined();
});

test('v3.1.1 a Keep Alive above max_keepalive, and none at all, are refused with return code 2, as in Mosquitto 2.1', () => {
  const t = new TestBroker({ maxKeepalive: 100 });
  const connack = (keepAlive: number): string => answer(4, [connect({ level: 4, keepAlive })], t);
  expect([connack(100), connack(101), connack(0)]).toEqual(['20020000', '20020002 closed', '20020002 closed']);
  expect(answer(4, [connect({ level: 4, keepAlive: 0 })])).toBe('20020000');
});

test('v5 [MQTT-3.12.4-1] answers each PINGREQ with PINGRESP', () => {
  expect(answerAfterConnect(5, 'c0 00')).toBe('d000');
  expect(answerAfterConnect(5, 'c0 00 c0 00 c0 00')).toBe('d000d000d000');
});

test('v3.1.1 [MQTT-3.12.4-1] answers each PINGREQ with PINGRESP', () => {
  expect(answerAfterConnect(4, 'c0 00 c0 00')).toBe('d000d000');
});

test('a PINGREQ with a body ends the connection', () => {
  expect(answerAfterConnect(5, 'c0 01 00')).toBe('e00181 closed');
  expect(answerAfterConnect(4, 'c0 01 00')).toBe('closed');
});

test('ten thousand idle connections with different Keep Alives end each in its time', () => {
  const t = new TestBroker();
  const peers = Array.from({ length: 10_000 }, (_, i) =>
    t.connect({ version: 4, clientId: `c${i}`, keepAlive: 2 * (1 + (i % 100)) }),
  );
  t.advance(150_000);
  peers.forEach((peer, i) => expect([i, peer.isClosed]).toEqual([i, 3 * (1 + (i % 100)) < 150]));
  t.advance(151_000);
  expect(t.broker.counters.clientsConnected).toBe(0);
});

test('a broker that stood still reads what came meanwhile before it closes anybody', () => {
  const t = new TestBroker();
  const talking = t.connect({ clientId: 'talking', keepAlive: 10 });
  const silent = t.connect({ clientId: 'silent', keepAlive: 10 });
  t.clock.add(60_000);
  t.broker.tick();
  expect([talking.isClosed, silent.isClosed]).toEqual([false, false]);
  talking.send('c0 00');
  t.advance(1_000);
  expect([talking.isClosed, silent.isClosed]).toEqual([false, true]);
  // One that stands still again and again still closes the silent.
  for (let i = 0; i < 4; i++) {
    t.clock.add(10_000);
    t.broker.tick();
  }
  expect(talking.isClosed).toBe(true);
});
