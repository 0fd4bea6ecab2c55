/** When a will goes out: Will Delay Interval, session expiry, reconnection, takeover (v5 sections 3.1.2.5 and 3.1.3.2.2). */
import { expect, test } from 'bun:test';
import type { ConnectOptions, Peer } from '../support/test-broker.ts';
import { TestBroker, utf8 } from '../support/test-broker.ts';
import { expectQuiet, publishes } from '../support/exchanges.ts';

const NEVER = 0xffff_ffff;

function client(delay: number | null, expiry: number | null): ConnectOptions {
  return {
    clientId: 'c1',
    ...(expiry !== null && { properties: { sessionExpiryInterval: expiry } }),
    will: {
      topicName: 'w',
      payload: utf8('gone'),
      qos: 0,
      retain: false,
      properties: delay === null ? null : { willDelayInterval: delay },
    },
  };
}

function start(delay: number | null, expiry: number | null): { t: TestBroker; watcher: Peer; peer: Peer } {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('w');
  return { t, watcher, peer: t.connect(client(delay, expiry)) };
}

const delays = [null, 0, 1, 60, 600, NEVER];
const expiries = [null, 0, 1, 60, 600, NEVER];

/** Seconds from the end of the connection to the will: the delay, or the end of the session where that is earlier. */
function dueAfter(delay: number | null, expiry: number | null): number {
  const sessionEnd = expiry === null ? 0 : expiry === NEVER ? Number.POSITIVE_INFINITY : expiry;
  return Math.min(delay ?? 0, sessionEnd);
}

test('v5 [MQTT-3.1.2-8] publishes a will when its delay has passed or the session ends, whichever is first', () => {
  for (const delay of delays) {
    for (const expiry of expiries) {
      const { t, watcher, peer } = start(delay, expiry);
      // Connections end between two ticks of the broker.
      t.advance(350);
      peer.drop();
      const due = dueAfter(delay, expiry);
      if (due > 0 && due < NEVER) {
        t.advance((due - 1) * 1_000 + 950);
        expect([delay, expiry, 'before', publishes(watcher).length]).toEqual([delay, expiry, 'before', 0]);
        t.advance(1_000);
      }
      if (due === NEVER) t.advance(1_000_000);
      const count = due === NEVER ? 0 : 1;
      expect([delay, expiry, 'after', publishes(watcher).length]).toEqual([delay, expiry, 'after', count]);
      t.advance(1_000_000);
      expectQuiet(watcher);
    }
  }
});

test('v5 [MQTT-3.1.3-9] sends no will whose client is back with its session before the delay has passed', () => {
  const { t, watcher, peer } = start(60, 300);
  peer.drop();
  t.advance(59_000);
  const again = t.connect({ clientId: 'c1', cleanStart: false, properties: { sessionExpiryInterval: 300 } });
  expect(again.connack.sessionPresent).toBe(true);
  t.advance(600_000);
  again.disconnect();
  t.advance(600_000);
  expectQuiet(watcher);
});

test('v5 [MQTT-3.1.2-8] the delay runs anew after each connection', () => {
  const { t, watcher, peer } = start(60, 300);
  peer.drop();
  for (let i = 0; i < 5; i++) {
    t.advance(50_000);
    t.connect({ ...client(60, 300), cleanStart: false }).drop();
  }
  t.advance(59_000);
  expectQuiet(watcher);
  t.advance(1_000);
  expect(publishes(watcher).length).toBe(1);
});

/** How the client comes back, and how many wills that sends at once. */
function comeBack(
  delay: number | null,
  expiry: number | null,
  cleanStart: boolean,
  isTakeover: boolean,
): { atOnce: number; later: number } {
  const { t, watcher, peer } = start(delay, expiry);
  if (!isTakeover) {
    peer.drop();
    t.advance(500);
  }
  const before = publishes(watcher).length;
  const again = t.connect({ clientId: 'c1', cleanStart, properties: { sessionExpiryInterval: 10_000 } });
  const atOnce = before + publishes(watcher).length;
  t.advance(1_000_000);
  expect(again.isClosed).toBe(false);
  return { atOnce, later: publishes(watcher).length };
}

test('v5 [MQTT-3.1.2-8] [MQTT-3.1.3-9] a client that comes back sends the will at once or never, by the session it left', () => {
  for (const delay of delays) {
    for (const expiry of expiries) {
      for (const cleanStart of [false, true]) {
        for (const isTakeover of [false, true]) {
          const isEnded = expiry === null || expiry === 0 || cleanStart;
          const isSent = isEnded || (delay ?? 0) === 0;
          expect([delay, expiry, cleanStart, isTakeover, comeBack(delay, expiry, cleanStart, isTakeover)]).toEqual([
            delay,
            expiry,
            cleanStart,
            isTakeover,
            { atOnce: isSent ? 1 : 0, later: 0 },
          ]);
        }
      }
    }
  }
});

test('v5 [MQTT-3.14.4-3] DISCONNECT 0x00 drops the will whatever its delay and the expiry it sets', () => {
  for (const delay of delays) {
    for (const expiry of expiries) {
      for (const override of [undefined, 0, 30]) {
        if (override === 30 && (expiry ?? 0) === 0) continue; // a Protocol Error, which keeps the will
        const { t, watcher, peer } = start(delay, expiry);
        peer.disconnect(0, override === undefined ? null : { sessionExpiryInterval: override });
        t.advance(1_000_000);
        expectQuiet(watcher);
      }
    }
  }
});

test('v5 DISCONNECT 0x04 sends the will as a lost connection does, with the expiry that it sets', () => {
  const rows: readonly [delay: number | null, expiry: number, override: number | undefined, due: number][] = [
    [null, 300, undefined, 0],
    [60, 300, undefined, 60],
    [60, 300, 0, 0],
    [60, 300, 30, 30],
    [60, 300, NEVER, 60],
    [60, 0, 0, 0],
  ];
  for (const [delay, expiry, override, due] of rows) {
    const { t, watcher, peer } = start(delay, expiry);
    peer.disconnect(0x04, override === undefined ? null : { sessionExpiryInterval: override });
    if (due > 0) {
      t.advance((due - 1) * 1_000);
      expectQuiet(watcher);
      t.advance(1_000);
    }
    expect([delay, expiry, override, publishes(watcher).length]).toEqual([delay, expiry, override, 1]);
    t.advance(1_000_000);
    expectQuiet(watcher);
  }
});

test('a thousand wills with different delays go out each in its second', () => {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('w');
  for (let i = 1; i <= 1_000; i++) {
    t.connect({ ...client(i, NEVER), clientId: `c${i}` }).drop();
  }
  let sent = 0;
  for (const second of [1, 2, 100, 999, 1_000]) {
    t.advance((second - sent) * 1_000);
    sent += publishes(watcher).length;
    expect(sent).toBe(second);
  }
});
