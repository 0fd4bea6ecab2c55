// What a broker on real sockets takes over of another configuration while it runs.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BrokerServer } from '../../src/broker/broker-server.ts';
import { compareConfigs } from '../../src/config/config-changes.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { runTool } from '../support/mosquitto-tools.ts';
import { LogLines, text } from '../support/test-broker.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(20_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-reconfigure-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  return path;
}

const parse = (lines: readonly string[]) => parseConfig(lines.join('\n'), 'test.conf').config;

/** A broker that may be given other lines. */
class Reconfigured {
  readonly log = new LogLines();
  readonly server: BrokerServer;
  private running;

  constructor(lines: readonly string[]) {
    this.running = parse(lines);
    this.server = new BrokerServer(this.running, this.log);
  }

  get port(): number {
    return this.server.listeners[0]!.port;
  }

  /** Answers the problems. */
  async change(...lines: string[]): Promise<string[]> {
    const { config, waiting } = compareConfigs(this.running, parse(lines));
    expect(waiting).toEqual([]);
    this.running = config;
    return this.server.reconfigure(config);
  }
}

let started: Reconfigured[] = [];
let clients: WireClient[] = [];
afterEach(async () => {
  for (const client of clients) client.reset();
  clients = [];
  await Promise.all(started.map(({ server }) => server.stop()));
  started = [];
});

async function start(...lines: string[]): Promise<Reconfigured> {
  const broker = new Reconfigured(lines);
  started.push(broker);
  await broker.server.start();
  return broker;
}

async function connect({ port }: Reconfigured, clientId: string, version?: ProtocolVersion): Promise<WireClient> {
  const client = await WireClient.connect(port, { clientId, ...(version === undefined ? {} : { version }) });
  clients.push(client);
  return client;
}

const open = ['listener 0 127.0.0.1', 'allow_anonymous true'];

/** PUBLISH at QoS 1; answers whether it is taken. */
async function publish(client: WireClient, topicName: string, payload = ''): Promise<boolean> {
  client.publish(topicName, payload, { qos: 1 });
  return (await client.next(PacketType.puback)).reasonCode < 0x80;
}

test('enable_control_api: requests are answered while it is true', async () => {
  const broker = await start(...open);
  const client = await connect(broker, 'c');
  const topicName = '$CONTROL/broker/v1';
  await client.subscribe(`${topicName}/#`, 0);
  const ask = async () => {
    await publish(client, topicName, '{"commands":[{"command":"listPlugins"}]}');
    return JSON.parse(text((await client.next(PacketType.publish)).payload));
  };
  const refusal = { error: 'endpoint not available' };
  expect(await ask()).toEqual(refusal);
  expect(await broker.change(...open, 'enable_control_api true')).toEqual([]);
  expect(await ask()).toEqual({ responses: [{ command: 'listPlugins', data: { plugins: [] } }] });
  expect(await broker.change(...open)).toEqual([]);
  expect(await ask()).toEqual(refusal);
});

test('sys_interval: $SYS begins, and knows how long the broker has been running', async () => {
  const broker = await start(...open, 'sys_interval 0');
  expect(broker.server.systree()).toEqual({});
  const client = await connect(broker, 'c');
  await client.subscribe('$SYS/broker/uptime', 0);
  await Bun.sleep(1_100);
  expect(await broker.change(...open, 'sys_interval 1')).toEqual([]);
  const { payload } = await client.next(PacketType.publish);
  expect(Number.parseInt(text(payload), 10)).toBeGreaterThanOrEqual(1);
});

test('accept_protocol_versions: is for those who come', async () => {
  const broker = await start(...open);
  const before = await connect(broker, 'before', ProtocolVersion.v311);
  expect(await broker.change(...open, 'accept_protocol_versions 5')).toEqual([]);
  const late = await WireClient.open(broker.port, { version: ProtocolVersion.v311 });
  clients.push(late);
  expect((await late.handshake()).reasonCode).toBe(1);
  expect(await publish(before, 't')).toBe(true);
  await connect(broker, 'c');
});

test('set_tcp_nodelay: is for those who come, on each address of a listener', async () => {
  const lines = ['listener 0 localhost', 'allow_anonymous true'];
  const broker = await start(...lines);
  const asOpened = () => broker.server.listeners[0]!.addresses.map(({ setTcpNodelay }) => setTcpNodelay);
  const count = asOpened().length;
  expect(count).toBeGreaterThan(0);
  expect(await broker.change('set_tcp_nodelay false', ...lines)).toEqual([]);
  expect(asOpened()).toEqual(Array.from({ length: count }, () => false));
});

describe('a wrong file of rules', () => {
  test('keeps everything about who may do what, allow_anonymous too, and nothing else', async () => {
    const rules = file('rules', 'topic write t');
    const before = [...open, `acl_file ${rules}`];
    const broker = await start(...before, 'message_size_limit 10');
    const client = await connect(broker, 'c');
    file('rules', 'tropic write t');
    const next = ['listener 0 127.0.0.1', 'allow_anonymous false', `acl_file ${rules}`, 'message_size_limit 20'];
    const problems = await broker.change(...next);
    expect(problems).toEqual([expect.stringContaining(`${rules}:1: `)]);
    expect(await publish(client, 't', 'more than ten')).toBe(true);
    expect(await publish(client, 'u')).toBe(false);
    expect(broker.server.listenerFacts()).toMatchObject([{ isAnonymousAllowed: true }]);
    // Once it is mended, all that was asked for comes.
    file('rules', 'topic write u');
    expect(await broker.change(...next)).toEqual([]);
    expect((await client.next(PacketType.disconnect)).reasonCode).toBe(0x98);
    expect(broker.server.listenerFacts()).toMatchObject([{ isAnonymousAllowed: false }]);
  });
});

test('psk_file: another file than before', async () => {
  const lines = (keys: string) => [`psk_file ${keys}`, 'allow_anonymous true', 'listener 0 127.0.0.1', 'psk_hint hint'];
  const [first, second] = [file('keys-1', 'device:c0ffee'), file('keys-2', 'device:beef')];
  const broker = await start(...lines(first));
  const enters = async (key: string) => {
    const psk = ['--psk-identity', 'device', '--psk', key, '-t', 'a', '-m', 'x', '-q', '1'];
    return (await runTool('mosquitto_pub', ['-p', String(broker.port)], psk)).status === 0;
  };
  expect(await broker.change(...lines(second))).toEqual([]);
  expect(await enters('c0ffee')).toBe(false);
  expect(await enters('beef')).toBe(true);
  // One with a mistake is told of, and the keys hold.
  const wrong = file('keys-3', 'device:xyz');
  expect(await broker.change(...lines(wrong))).toEqual([expect.stringContaining(`${wrong}:1: `)]);
  expect(await enters('beef')).toBe(true);
});

test('a client that is connected stays through all of it', async () => {
  const broker = await start(...open);
  const client = await connect(broker, 'stays');
  for (const line of ['max_inflight_messages 1', 'log_type all', 'max_keepalive 20', 'retain_available false']) {
    expect(await broker.change(...open, line)).toEqual([]);
  }
  expect(await publish(client, 't')).toBe(true);
});
