import { afterEach, expect, test } from 'bun:test';
import { Counters } from '../../src/broker/counters.ts';
import { type HttpServer, startHttp } from '../../src/http/server.ts';
import type { ListenerStatus } from '../../src/http/server-info.ts';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { TestBroker } from '../support/test-broker.ts';
import { type Family, parseExposition, valueOf } from './exposition-parser.ts';

let server: HttpServer | null = null;

afterEach(async () => {
  await server?.stop();
  server = null;
});

function start(test: TestBroker, listeners: ListenerStatus[] = []): string {
  const info = { version: '1.2.3', listeners, startedAtMs: Date.now() };
  server = startHttp({ port: 0, host: '127.0.0.1' }, test.broker, info);
  return server.url;
}

async function scrape(url: string): Promise<Map<string, Family>> {
  const response = await fetch(`${url}metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('Content-Type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parseExposition(await response.text());
}

test('a scrape tells what clients did', async () => {
  const t = new TestBroker();
  const url = start(t);
  const subscriber = t.connect({ clientId: 'subscriber' });
  subscriber.subscribe('news/#');
  subscriber.subscribe('$share/group/jobs');
  const publisher = t.connect({ clientId: 'publisher' });
  publisher.publish('news/today', 'four', { retain: true });
  t.connect({ clientId: 'away', cleanStart: false, properties: { sessionExpiryInterval: 60 } }).drop();

  const families = await scrape(url);
  const values = Object.fromEntries(
    [
      'martlet_connections',
      'martlet_clients_connected',
      'martlet_sessions',
      'martlet_subscriptions',
      'martlet_shared_subscriptions',
      'martlet_topic_filters',
      'martlet_retained_messages',
      'martlet_connections_accepted_total',
      'martlet_messages_received_total',
      'martlet_messages_sent_total',
      'martlet_payload_received_bytes_total',
      'martlet_payload_sent_bytes_total',
    ].map((name) => [name.replace('martlet_', ''), valueOf(families, name)]),
  );
  expect(values).toEqual({
    connections: 2,
    clients_connected: 2,
    sessions: 3,
    subscriptions: 2,
    shared_subscriptions: 1,
    topic_filters: 2,
    retained_messages: 1,
    connections_accepted_total: 3,
    messages_received_total: 1,
    messages_sent_total: 1,
    payload_received_bytes_total: 4,
    payload_sent_bytes_total: 4,
  });
  expect(valueOf(families, 'martlet_connections_closed_total', { reason: 'connection_lost' })).toBe(1);
});

test('every counter of the broker is in the scrape, with its own value', async () => {
  const t = new TestBroker();
  const url = start(t);
  const { counters } = t.broker;
  const names = Object.keys(new Counters()).filter(
    (name): name is 'bytesSent' => typeof counters[name as 'bytesSent'] === 'number',
  );
  expect(names.length).toBeGreaterThan(10);
  for (const [i, name] of names.entries()) counters[name] = 1_000_003 + i;
  for (const reason of Object.values(DropReason)) counters.drop(reason);
  counters.drop(DropReason.expired);
  counters.close('a "quoted" reason');

  const families = await scrape(url);
  const told = [...families.values()].flatMap(({ samples }) => samples.map(({ value }) => value));
  for (const [i, name] of names.entries())
    expect({ name, isTold: told.includes(1_000_003 + i) }).toEqual({ name, isTold: true });
  for (const reason of Object.values(DropReason)) {
    const expected = reason === DropReason.expired ? 2 : 1;
    expect(valueOf(families, 'martlet_messages_dropped_total', { reason })).toBe(expected);
  }
  expect(valueOf(families, 'martlet_connections_closed_total', { reason: 'a_"quoted"_reason' })).toBe(1);
});

test('connections are told by listener, whatever its name', async () => {
  const t = new TestBroker();
  const odd = 'a "name"\\\nof two lines';
  const url = start(t, [
    { name: 'MQTT', url: 'mqtt://127.0.0.1:1883', connections: () => 7 },
    { name: odd, url: 'unix:///run/m.sock', connections: () => 2 },
  ]);
  const families = await scrape(url);
  const name = 'martlet_listener_connections';
  expect(valueOf(families, name, { listener: 'MQTT', url: 'mqtt://127.0.0.1:1883' })).toBe(7);
  expect(valueOf(families, name, { listener: odd, url: 'unix:///run/m.sock' })).toBe(2);
  expect(valueOf(families, 'martlet_build_info', { version: '1.2.3', bun: Bun.version })).toBe(1);
});

test('a scrape tells of the process what Linux says', async () => {
  const t = new TestBroker();
  const families = await scrape(start(t));
  const status = await Bun.file('/proc/self/status').text();
  const residentBytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024;
  const told = valueOf(families, 'process_resident_memory_bytes');
  expect(told / residentBytes).toBeWithin(0.8, 1.25);
  const openFiles = [...new Bun.Glob('*').scanSync({ cwd: '/proc/self/fd', onlyFiles: false })].length;
  expect(Math.abs(valueOf(families, 'process_open_fds') - openFiles)).toBeLessThan(5);
  const limits = await Bun.file('/proc/self/limits').text();
  expect(String(valueOf(families, 'process_max_fds'))).toBe(/^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? '');
  expect(valueOf(families, 'process_cpu_seconds_total')).toBeWithin(
    0.01,
    process.uptime() * navigator.hardwareConcurrency + 1,
  );
  expect(
    Math.abs(valueOf(families, 'process_start_time_seconds') - (Date.now() / 1_000 - process.uptime())),
  ).toBeLessThan(2);
});

test('a scrape walks over no sessions, connections or retained messages', async () => {
  const t = new TestBroker();
  const url = start(t);
  const { broker } = t;
  t.connect({ clientId: 'one' }).subscribe('a');
  const refuse = (): never => {
    throw new Error('walked');
  };
  for (const name of ['values', 'keys', 'entries', 'forEach', Symbol.iterator]) {
    Object.defineProperty(broker.sessions, name, { value: refuse });
  }
  Object.assign(broker, { allConnections: refuse });
  Object.assign(broker.retained, { search: refuse });
  expect(valueOf(await scrape(url), 'martlet_sessions')).toBe(1);
  expect((await fetch(`${url}status.json`)).status).toBe(200);
});

test('docs/metrics.md lists every metric, and none that is not there', async () => {
  const families = await scrape(start(new TestBroker()));
  const text = await Bun.file(new URL('../../docs/metrics.md', import.meta.url)).text();
  const documented = [...text.matchAll(/^\| `((?:martlet|process)_\w+)`/gm)].map((match) => match[1] ?? '');
  expect(documented.sort()).toEqual([...families.keys()].sort());
});
