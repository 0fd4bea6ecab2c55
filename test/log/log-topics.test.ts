// `log_dest topic`: lines as messages on $SYS/broker/log/.

import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, LogType } from '../../src/broker/log.ts';
import { LogTopics, topicLogTypes } from '../../src/broker/log-topics.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { Running } from '../cli/run-martlet.ts';
import { publishes } from '../support/exchanges.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { publish, Subscriber } from '../support/mosquitto-tools.ts';
import { until } from '../support/server.ts';
import { LogLines, TestBroker, text } from '../support/test-broker.ts';

setDefaultTimeout(30_000);

const turn = () => new Promise((resolve) => setImmediate(resolve));
const everything = '$SYS/broker/log/#';

describe('lines on topics', () => {
  test('go to the topic of their type, at QoS 2, not retained, and expire after 20 seconds', async () => {
    const t = new TestBroker();
    const topics = new LogTopics(t.broker);
    const watcher = t.connect({ clientId: 'watcher' });
    watcher.subscribe(everything, 2);
    for (const type of Object.values(LogType)) topics.publish(type, `line ${type}`);
    await turn();
    const messages = publishes(watcher);
    expect(messages.map(({ topicName, payload }) => `${topicName} ${text(payload)}`)).toEqual([
      '$SYS/broker/log/E line 1',
      '$SYS/broker/log/W line 2',
      '$SYS/broker/log/N line 4',
      '$SYS/broker/log/I line 8',
      '$SYS/broker/log/M/subscribe line 32',
      '$SYS/broker/log/M/unsubscribe line 64',
      '$SYS/broker/log/WS line 128',
    ]);
    for (const { qos, retain, properties } of messages) {
      expect([qos, retain, properties]).toEqual([2, false, { messageExpiryInterval: 20 }]);
    }
    const late = t.connect({ clientId: 'late' });
    late.subscribe(everything);
    late.expectNothing();
  });

  test('are never those on packets: each would bring about the next', () => {
    expect(topicLogTypes & (LogType.debug | LogType.internal)).toBe(0);
  });

  test('cost nothing where nobody subscribes', async () => {
    const t = new TestBroker();
    const topics = new LogTopics(t.broker);
    topics.publish(LogType.error, 'unheard');
    await turn();
    expect(t.broker.counters.publishSent).toBe(0);
    expect(t.broker.retained.count).toBe(0);
  });

  test('are published when what they tell of is over, not in the middle of it', async () => {
    const t = new TestBroker();
    const topics = new LogTopics(t.broker);
    const log: Logger = { types: ~0, log: (type, line) => topics.publish(type, line) };
    Object.assign(t.broker, { log });
    const watcher = t.connect({ version: 4, clientId: 'watcher' });
    watcher.subscribe('#');
    watcher.subscribe(everything);
    // A message to several receivers, each of which is worth a line.
    const others = ['a', 'b', 'c'].map((clientId) => t.connect({ version: 4, clientId }));
    for (const one of others) one.subscribe('x');
    await turn();
    watcher.take();
    for (const one of others) one.take();
    watcher.publish('x', 'payload');
    expect(publishes(watcher).map(({ topicName }) => topicName)).toEqual(['x']);
    for (const one of others) expect(publishes(one).map(({ payload }) => text(payload))).toEqual(['payload']);
  });

  test('bring about no more of them', async () => {
    const t = new TestBroker({ maxQueuedMessages: 1, maxInflightMessages: 1 });
    const topics = new LogTopics(t.broker);
    const log: Logger = { types: ~0, log: (type, line) => topics.publish(type, line) };
    Object.assign(t.broker, { log });
    const watcher = t.connect({ clientId: 'watcher' });
    watcher.subscribe(everything, 1);
    await turn();
    // One is under way, one waits, the others are dropped: which is worth a line itself.
    for (let i = 0; i < 10; i++) topics.publish(LogType.notice, `line ${i}`);
    await turn();
    const before = t.broker.counters.dropped.get('queue_full')!;
    expect(before).toBeGreaterThan(0);
    for (let i = 0; i < 5; i++) await turn();
    expect(t.broker.counters.dropped.get('queue_full')).toBe(before);
  });

  test('can be published at once, for the last lines of a broker', () => {
    const t = new TestBroker();
    const topics = new LogTopics(t.broker);
    const watcher = t.connect({ version: 4, clientId: 'watcher' });
    watcher.subscribe(everything);
    topics.publish(LogType.information, 'terminating');
    topics.flush();
    expect(text(watcher.expect(PacketType.publish).payload)).toBe('terminating');
  });

  test('are for those that may read them', async () => {
    const t = new TestBroker();
    const topics = new LogTopics(t.broker);
    const watcher = t.connect({ version: 4, clientId: 'watcher' });
    watcher.subscribe(everything);
    const session = t.broker.sessions.get('watcher')!;
    session.access = { canPublish: () => true, canReceive: (name) => name.endsWith('/E'), coverage: () => 1 };
    for (const one of session.subscriptions()) one.needsCheck = true;
    topics.publish(LogType.notice, 'not this');
    topics.publish(LogType.error, 'but this');
    await turn();
    expect(publishes(watcher).map(({ payload }) => text(payload))).toEqual(['but this']);
  });
});

test('LogLines keeps what is logged by type', () => {
  const lines = new LogLines(LogType.error);
  lines.log(LogType.error, 'kept');
  lines.log(LogType.notice, 'not kept');
  expect(lines.lines).toEqual(['kept']);
});

/** What mosquitto_sub prints of the log from its own subscription on, while clients come and go; times and ports away. */
async function watch(port: number): Promise<string[]> {
  const target = ['-p', String(port)];
  const watcher = new Subscriber(target, ['-i', 'watcher', '-q', '1', '-t', everything, '-F', '%t %r %p']);
  const has = (pattern: RegExp) => until(`${pattern}`, () => watcher.lines.some((line) => pattern.test(line)));
  try {
    await has(/: watcher 1 /);
    await publish(target, ['-i', 'publisher', '-t', 'a', '-m', 'x']);
    await has(/Client publisher .*disconnected/);
    // Killed: with -E its DISCONNECT would be lost whenever it closes before it has read the UNSUBACK.
    const subscriber = new Subscriber(target, ['-i', 'subscriber', '-t', 'a/#', '-t', 'b', '-q', '1', '-U', 'c']);
    await has(/: subscriber c$/).finally(() => subscriber.end());
    await has(/Client subscriber .*(disconnected|closed)/);
    const { lines } = watcher;
    return lines.slice(lines.findIndex((line) => line.includes(': watcher 1 '))).map((line) =>
      line
        .replace(/(?<=^\S+ \S+ )\d{10}: /, 'TIME: ')
        .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDR')
        .replace(/port \d+/, 'port PORT'),
    );
  } finally {
    await watcher.end();
  }
}

test('mosquitto_sub sees the log of a broker as it sees that of Mosquitto', async () => {
  const mosquitto = await startMosquitto({ mqtt: [] }, ['allow_anonymous true', 'log_dest topic']);
  const theirs = await watch(mosquitto.ports['mqtt']!).finally(() => mosquitto.stop());

  const folder = await mkdtemp(join(tmpdir(), 'martlet-topics-'));
  const file = join(folder, 'm.conf');
  const lines = ['listener 0 127.0.0.1', 'allow_anonymous true', 'log_type all', 'log_dest topic', 'log_dest stderr'];
  await writeFile(file, `${lines.join('\n')}\n`);
  await using broker = new Running(['broker', '-c', file]);
  const ours = await watch(await broker.port()).finally(() => rm(folder, { recursive: true }));

  const shown = (line: string) =>
    line
      .replace(/\(p2, /, '(p4, ')
      .replace(/Client (\S+) disconnected\.$/, 'Client $1 [ADDR] disconnected.')
      .replace(/Client (\S+) closed its connection\.$/, 'Client $1 [ADDR] disconnected: connection closed by client.');
  expect(ours).toEqual(theirs.map(shown));
  expect(ours).toContain('$SYS/broker/log/M/subscribe 0 TIME: subscriber 1 a/#');
  expect(ours).toContain('$SYS/broker/log/M/unsubscribe 0 TIME: subscriber c');
});
