import { expect, spyOn, test } from 'bun:test';
import { PacketType } from '../protocol/packet-type.ts';
import { TestBroker, text } from '../../test/support/test-broker.ts';
import { SysTopics } from './sys-topics.ts';

function start() {
  const t = new TestBroker();
  const sys = new SysTopics(t.broker, '1.2.3', t.clock.monotonicMs());
  /** What is retained under `$SYS/broker/`, as text. */
  const read = (name: string): string | null => {
    const message = t.broker.retained.get(`$SYS/broker/${name}`);
    return message === null ? null : text(message.payload);
  };
  const update = (seconds: number) => {
    t.advance(seconds * 1_000);
    sys.update(t.clock.monotonicMs());
  };
  return { t, read, update };
}

test('$SYS tells version, uptime and the numbers of clients as Mosquitto does', () => {
  const { t, read, update } = start();
  const away = t.connect({ version: 4, clientId: 'away', cleanStart: false });
  t.connect({ version: 4, clientId: 'here' }).subscribe('$share/g/a', 0);
  away.subscribe('b', 1);
  away.drop();
  update(10);
  expect(read('version')).toBe('martlet version 1.2.3');
  expect(read('uptime')).toBe('10 seconds');
  expect(
    ['total', 'maximum', 'connected', 'active', 'disconnected', 'inactive'].map((n) => read(`clients/${n}`)),
  ).toEqual(['2', '2', '1', '1', '1', '1']);
  // The shared one counts for itself, as in Mosquitto.
  expect(read('subscriptions/count')).toBe('1');
  expect(read('shared_subscriptions/count')).toBe('1');
});

test('$SYS counts messages, bytes and retained messages', () => {
  const { t, read, update } = start();
  const subscriber = t.connect({ version: 4, clientId: 's' });
  subscriber.subscribe('a', 0);
  const publisher = t.connect({ version: 4, clientId: 'p' });
  publisher.publish('a', 'four', { retain: true }).publish('a', 'five5');
  const retained = t.broker.retained.count;
  update(10);
  expect(read('publish/messages/received')).toBe('2');
  expect(read('publish/messages/sent')).toBe('2');
  expect(read('publish/bytes/received')).toBe('9');
  expect(Number(read('messages/received'))).toBe(5);
  expect(Number(read('messages/sent'))).toBe(5);
  expect(Number(read('bytes/received'))).toBeGreaterThan(20);
  expect(Number(read('retained messages/count'))).toBeGreaterThanOrEqual(retained);
  expect(Number(read('heap/current'))).toBeGreaterThan(1_000_000);
});

test('$SYS counts as stored what is retained, waits or is under way, each message once', () => {
  const { t, read, update } = start();
  update(1);
  const retained = t.broker.retained.count;
  const bytes = Number(read('store/messages/bytes'));
  for (const clientId of ['one', 'two']) {
    const peer = t.connect({ version: 4, clientId, cleanStart: false });
    peer.subscribe('a', 1);
    peer.drop();
  }
  const publisher = t.connect({ version: 4, clientId: 'p' });
  publisher.publish('a', 'x'.repeat(10_000), { qos: 1 }).publish('b', 'retained', { retain: true });
  publisher.publish('c', 'not released', { qos: 2, packetId: 11 });
  const told = () => ['messages/stored', 'store/messages/count'].map((name) => Number(read(name)));
  update(10);
  expect(told()).toEqual([retained + 3, retained + 3]);
  expect(Math.abs(Number(read('store/messages/bytes')) - bytes - 10_020)).toBeLessThan(200);
  publisher
    .send({ type: PacketType.pubrel, packetId: 11, reasonCode: 0, properties: null })
    .publish('b', '', { retain: true });
  for (const clientId of ['one', 'two']) {
    const peer = t.connect({ version: 4, clientId, cleanStart: false });
    peer.puback(peer.expect(PacketType.publish).packetId);
  }
  update(10);
  expect(told()).toEqual([retained, retained]);
});

test('$SYS counts sockets since the start, bytes that wait for them, and as dropped what found no room', () => {
  const { t, read, update } = start();
  const stuck = t.connect({ version: 4, clientId: 'stuck' });
  stuck.subscribe('a', 0);
  stuck.socket.room = 0;
  t.connect({ version: 4, clientId: 'gone' }).disconnect();
  const away = t.connect({ version: 4, clientId: 'away', cleanStart: false });
  away.subscribe('b', 1);
  away.drop();
  t.broker.options.maxQueuedMessages = 2;
  const publisher = t.connect({ version: 4, clientId: 'p' });
  publisher.publish('a', 'x'.repeat(5_000));
  for (let i = 0; i < 5; i++) publisher.publish('b', 'x', { qos: 1 });
  publisher.publish('b', 'nobody is there', { qos: 0 });
  update(10);
  expect(read('connections/socket/count')).toBe('4');
  expect(Number(read('packet/out/bytes'))).toBeGreaterThan(5_000);
  expect(read('publish/messages/dropped')).toBe('3');
  stuck.drop();
  update(10);
  expect(read('packet/out/bytes')).toBe('0');
});

test('$SYS loads are there from the start, as 0.00', () => {
  const { read } = start();
  expect(['1min', '5min', '15min'].map((window) => read(`load/bytes/received/${window}`))).toEqual([
    '0.00',
    '0.00',
    '0.00',
  ]);
});

test('$SYS is not retained where retain_available is false', () => {
  const t = new TestBroker({ retainAvailable: false });
  const sys = new SysTopics(t.broker, '1.2.3', t.clock.monotonicMs());
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('$SYS/broker/clients/total', 0);
  sys.update(t.clock.monotonicMs());
  expect(t.broker.retained.count).toBe(0);
  expect(subscriber.expect(PacketType.publish)).toMatchObject({ retain: false });
});

// At the limit of open files every update failed half-way, with an exception in a timer.
test('$SYS tells the rest where the memory of the process cannot be read', () => {
  const { read, update } = start();
  using rss = spyOn(process.memoryUsage, 'rss').mockImplementation(() => {
    throw new Error('too many open files');
  });
  update(10);
  expect(rss).toHaveBeenCalled();
  expect(read('heap/current')).toBeNull();
  expect(read('bytes/sent')).toBe('0');
});

test('$SYS loads are rates per minute that fade with their window', () => {
  const { t, read, update } = start();
  const publisher = t.connect({ version: 4, clientId: 'p' });
  update(10);
  for (let i = 0; i < 10; i++) publisher.publish('nobody', 'x');
  update(10);
  // 10 messages in 10 seconds are 60 a minute; a minute's mean takes 1 - e^(-10/60) of them.
  expect(Number(read('load/publish/received/1min'))).toBeCloseTo(60 * (1 - Math.exp(-1 / 6)), 1);
  expect(Number(read('load/publish/received/15min'))).toBeCloseTo(60 * (1 - Math.exp(-1 / 90)), 1);
  update(60);
  expect(Number(read('load/publish/received/1min'))).toBeLessThan(5);
});

test('$SYS topics are sent again only where they changed, and a subscriber gets what is retained', () => {
  const { t, update } = start();
  update(1);
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('$SYS/broker/version', 2);
  const first = subscriber.expect(PacketType.publish);
  expect([first.topicName, first.retain, first.qos]).toEqual(['$SYS/broker/version', true, 2]);
  update(1);
  subscriber.expectNothing();
});
