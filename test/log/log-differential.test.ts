// The same clients in front of Mosquitto and of Martlet, both with `log_type all`: their logs say the same but where
// intended-differences.ts says otherwise.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BrokerServer } from '../../src/broker/broker-server.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { LogWriter } from '../../src/log/log-writer.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { WireClient } from '../support/wire-client.ts';
import { otherFaults, ownLines, reworded, unknownTo20 } from './intended-differences.ts';
import { cut, MARKER, type StepLines } from './log-transcript.ts';
import { type Ports, steps } from './scenario.ts';

setDefaultTimeout(60_000);

const allSteps = Object.keys(steps);
/** Whose lines `connection_messages false` hides, or does not. */
const connectionSteps = [
  'connect and disconnect',
  'user name, will and no clean start',
  'a takeover',
  'a wrong password',
  'a first packet that is no CONNECT',
  'a second CONNECT',
  'a connection without CONNECT',
  'more connections than max_connections',
];
const narrow = ['max_connections 2'];
/** What a socket that closes brings about comes a moment later than what the other sockets brought. */
const SETTLE_MS = 20;

async function drive(ports: Ports, names: readonly string[]): Promise<void> {
  const marker = await WireClient.connect(ports.mqtt, { version: 4, clientId: MARKER });
  const mark = async (number: number) => {
    await Bun.sleep(SETTLE_MS);
    marker.publish(`mark/${number}`, '', { qos: 1, packetId: number + 1 });
    await marker.next(PacketType.puback);
  };
  await mark(0);
  for (const [index, name] of names.entries()) {
    await steps[name]!(ports);
    await mark(index + 1);
  }
  marker.disconnect();
}

async function mosquittoLog(names: readonly string[], global: readonly string[]): Promise<string> {
  const mosquitto = await startMosquitto({ mqtt: [], narrow }, global);
  try {
    await drive(mosquitto.ports as unknown as Ports, names);
    return await mosquitto.log();
  } finally {
    await mosquitto.stop();
  }
}

async function martletLog(names: readonly string[], global: readonly string[], file: string): Promise<string> {
  const listeners = ['listener 0 127.0.0.1', 'listener 0 127.0.0.1', ...narrow];
  const { config } = parseConfig(
    ['log_type all', `log_dest file ${file}`, ...global, ...listeners].join('\n'),
    'm.conf',
  );
  const log = new LogWriter(config.log);
  const server = new BrokerServer(config, log);
  const [mqtt, second] = await server.start();
  try {
    await drive({ mqtt: mqtt!.port, narrow: second!.port }, names);
  } finally {
    await server.stop();
    await log.flush();
  }
  return readFile(file, 'utf8');
}

let folder: string;
const used = new Set<RegExp>();

/** Mosquitto's line as it is with us. */
function reword(line: string): string | null {
  for (const { mosquitto, martlet } of reworded) {
    if (!mosquitto.test(line)) continue;
    used.add(mosquitto);
    return martlet === null ? null : line.replace(mosquitto, martlet);
  }
  return line;
}

/** Our line, where Mosquitto has one, too. */
function comparable(line: string): string | null {
  for (const pattern of ownLines) {
    if (!pattern.test(line)) continue;
    used.add(pattern);
    return null;
  }
  return line.replaceAll(unknownTo20, 'HOST');
}

let access: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martlet-logs-'));
  const [passwords, rules] = [join(folder, 'passwords'), join(folder, 'rules')];
  await writeFile(passwords, '');
  Bun.spawnSync(['mosquitto_passwd', '-b', passwords, 'user', 'secret']);
  await writeFile(rules, 'topic readwrite ok/#\ntopic readwrite mark/#\nuser user\ntopic readwrite ok/#\n');
  for (const file of [passwords, rules]) await chmod(file, 0o600);
  access = ['allow_anonymous true', `password_file ${passwords}`, `acl_file ${rules}`];
});
afterAll(() => rm(folder, { recursive: true }));

const limits = ['message_size_limit 1000', 'max_packet_size 4000', 'max_queued_messages 5', 'max_inflight_messages 3'];

/** What each of both logs at each step. */
interface Logs {
  readonly theirs: readonly StepLines[];
  readonly ours: readonly StepLines[];
}

async function logsOf(names: readonly string[], more: readonly string[]): Promise<Logs> {
  const global = [...access, ...limits, ...more];
  const [mosquitto, martlet] = await Promise.all([
    mosquittoLog(names, global),
    martletLog(names, global, join(folder, `${names.length}.log`)),
  ]);
  return { theirs: cut(mosquitto, reword), ours: cut(martlet, comparable) };
}

function expectAlike({ theirs, ours }: Logs, name: string, index: number): void {
  const fault = otherFaults[name];
  const asOurs = (line: string) =>
    fault === undefined ? line : line.replace(/disconnected: protocol error\.$/, `disconnected: ${fault}.`);
  const expected = [...theirs[index]!].map(([client, lines]) => [client, lines.map(asOurs)]);
  expect(Object.fromEntries(ours[index]!)).toEqual(Object.fromEntries(expected));
}

describe('the log says what Mosquitto says at', () => {
  let logs: Logs = { theirs: [], ours: [] };
  beforeAll(async () => {
    logs = await logsOf(allSteps, []);
  });

  test.each(allSteps.map((name, index) => [name, index] as const))('%s', (name, index) => {
    expect(logs.theirs[index]!.size).toBeGreaterThan(0);
    expectAlike(logs, name, index);
  });

  test('differs wherever a difference is listed', () => {
    const all = [...reworded.map(({ mosquitto }) => mosquitto), ...ownLines];
    expect(all.filter((pattern) => !used.has(pattern))).toEqual([]);
    for (const [name, fault] of Object.entries(otherFaults)) {
      const index = allSteps.indexOf(name);
      const ending = `disconnected: ${fault}.`;
      expect([name, JSON.stringify([...logs.theirs[index]!.values()]).includes(ending)]).toEqual([name, false]);
      expect([name, JSON.stringify([...logs.ours[index]!.values()]).includes(ending)]).toEqual([name, true]);
    }
  });
});

describe('with connection_messages false the log says what Mosquitto says at', () => {
  let logs: Logs = { theirs: [], ours: [] };
  beforeAll(async () => {
    logs = await logsOf(connectionSteps, ['connection_messages false']);
  });

  test.each(connectionSteps.map((name, index) => [name, index] as const))('%s', (name, index) => {
    expectAlike(logs, name, index);
    const lines = [...logs.ours[index]!.values()].flat();
    expect(lines.filter((line) => /^(?:New |Client |Will )/.test(line))).toEqual([]);
  });
});
