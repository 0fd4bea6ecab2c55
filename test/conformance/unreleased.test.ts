import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { TestBroker } from '../support/test-broker.ts';

test('QoS 2 messages without PUBREL are bounded in bytes, but for one alone', () => {
  const t = new TestBroker();
  const client = t.connect({ version: 4, clientId: 'hoarder', cleanStart: false });
  const payload = new Uint8Array(1024 * 1024);
  for (let packetId = 1; packetId <= 65; packetId++) {
    client.publish('a', '', { qos: 2, packetId, payload });
  }
  expect(client.isClosed).toBe(true);
  expect(client.take().filter(({ type }) => type === PacketType.pubrec)).toHaveLength(64);
  expect(t.broker.counters.closed.get('quota exceeded')).toBe(1);
  expect(t.log.lines.at(-1)).toContain('quota exceeded');
  client.drop();
  const alone = t.connect({ version: 4, clientId: 'large' });
  alone.publish('a', '', { qos: 2, payload: new Uint8Array(70 * 1024 * 1024) });
  expect(alone.expect(PacketType.pubrec).packetId).toBe(10);
});

test('a connection beyond the limit of open files is refused, counted and logged', () => {
  const t = new TestBroker();
  t.broker.mostOpenSockets = 1;
  t.connect({ clientId: 'first' });
  expect(() => t.open()).toThrow('refused');
  expect(t.broker.counters.closed.get('open files')).toBe(1);
  expect(t.log.lines.at(-1)).toStartWith('Unable to accept new connection, system socket count has been exceeded.');
});
