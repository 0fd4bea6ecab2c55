// Where nobody reads a type of line, none is made.

import { expect, test } from 'bun:test';
import { type Logger, LogType } from '../../src/broker/log.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { publishWhole } from '../support/exchanges.ts';
import { TestBroker, utf8 } from '../support/test-broker.ts';

/** Whatever is worth a line, with a log of which only those types are read; answers the types of what was logged. */
function live(types: number): Set<LogType> {
  const logged = new Set<LogType>();
  const log: Logger = { types, log: (type) => void logged.add(type) };
  const t = new TestBroker({ maxQueuedMessages: 1, maxInflightMessages: 1, messageSizeLimit: 100 });
  Object.assign(t.broker, { log });
  for (const version of [4, 5] as const) {
    const will = { topicName: '$SYS/no', payload: utf8('x'), qos: 0, retain: false, properties: null } as const;
    const client = t.connect({ version, clientId: 'c', username: 'u', keepAlive: 1, will });
    t.connect({ version, clientId: 'c' }).disconnect();
    expect(client.isClosed).toBe(true);
    const other = t.connect({ version, clientId: 'o' });
    other.subscribe('a', 2);
    other.send({ type: PacketType.unsubscribe, packetId: 2, properties: null, topicFilters: ['a', 'b'] });
    other.expect(PacketType.unsuback);
    other.subscribe('a', 2);
    for (const qos of [0, 1, 2] as const) publishWhole(other, 'z', 'x', qos);
    other.publish('a', 'x', { qos: 1, packetId: 5 });
    for (let i = 0; i < 4; i++) other.publish('a', 'x', { qos: 1, packetId: 6 + i });
    other.publish('a', 'x'.repeat(200), { qos: 1, packetId: 11 });
    other.publish('$SYS/no', 'x');
    other.send({ type: PacketType.pingreq });
    other.drop();
    t.connect({ version, clientId: 'silent', keepAlive: 1 });
    t.advance(4_000);
    t.open(version).send('c0 00');
    t.open(version).send('16 03 01 02 00 01 00 01 fc 03 03');
  }
  return logged;
}

const seldom: readonly LogType[] = [LogType.warning, LogType.websockets, LogType.internal];

test('nothing is logged where nothing is read', () => {
  expect(live(0)).toEqual(new Set());
});

test.each(Object.entries(LogType))('where only %s is read, nothing else is logged', (_name, type) => {
  expect([...live(type)]).toEqual(seldom.includes(type) ? [] : [type]);
});
