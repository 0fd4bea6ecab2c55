import { expect, test } from 'bun:test';
import { TestBroker } from '../support/test-broker.ts';

// A socket that never told its close, paused or not, kept its connection counted for ever.
test('a connection that the broker ended is gone after the time to close, whatever its socket says', () => {
  const t = new TestBroker();
  const peer = t.connect({ clientId: 'lingers' });
  peer.connection.pauseReading();
  peer.connection.end();
  expect(t.broker.connectionCount).toBe(1);
  t.advance(4_000);
  expect([t.broker.connectionCount, t.listener.connections]).toEqual([0, 0]);
});
