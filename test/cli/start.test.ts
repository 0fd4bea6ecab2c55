// `martlet start`, which is `npm start`: everything at once, with nothing configured.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import packageJson from '../../package.json';
import { connectPacket, connectTo, run, Running } from './run-martlet.ts';

setDefaultTimeout(30_000);

const freePorts = ['--port', '0', '--ws-port', '0', '--http-port', '0'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-start-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A folder of its own to start in, with that configuration in ./data. */
function folderWith(name: string, config: string | null): string {
  const path = join(folder, name);
  mkdirSync(join(path, 'data'), { recursive: true });
  if (config !== null) writeFileSync(join(path, 'data', 'martlet.conf'), config);
  return path;
}

async function portOf(broker: Running, pattern: RegExp): Promise<number> {
  return Number((await broker.output('stdout', pattern))[1]);
}

const mqttUrl = /^ {2}MQTT +mqtt:\/\/127\.0\.0\.1:(\d+)$/m;
const webSocketUrl = /^ {2}MQTT over WebSocket +ws:\/\/127\.0\.0\.1:(\d+)\/mqtt$/m;
const httpUrl = /^ {2}Status page +http:\/\/127\.0\.0\.1:(\d+)\/$/m;

describe('without a configuration file', () => {
  test('serves MQTT, MQTT over WebSocket and HTTP on this machine, and tells where and how', async () => {
    await using broker = new Running(['start', ...freePorts], { cwd: folderWith('empty', null) });
    const port = await portOf(broker, mqttUrl);
    const webSocketPort = await portOf(broker, webSocketUrl);
    const httpPort = await portOf(broker, httpUrl);
    await broker.output('stdout', /Ctrl-C\.\n$/);
    expect(broker.stdout).toBe(
      [
        `Martlet ${packageJson.version} is running.`,
        '',
        `  MQTT                   mqtt://127.0.0.1:${port}`,
        `  MQTT over WebSocket    ws://127.0.0.1:${webSocketPort}/mqtt`,
        '  Sessions and messages  data/martlet.db',
        `  Status page            http://127.0.0.1:${httpPort}/`,
        `  Metrics                http://127.0.0.1:${httpPort}/metrics`,
        `  Health                 http://127.0.0.1:${httpPort}/healthz`,
        '',
        'Send the first message, each command in a terminal of its own:',
        '',
        `  bin/martlet sub -p ${port} -t hello`,
        `  bin/martlet pub -p ${port} -t hello -m world`,
        '',
        'Only programs on this machine can connect. Stop with Ctrl-C.',
        '',
      ].join('\n'),
    );
    expect((await connectTo(port)).connack).toBe('20020000');
    expect(await webSocketConnack(webSocketPort)).toBe('20020000');
    const pages = ['', 'metrics', 'healthz'].map((path) => fetch(`http://127.0.0.1:${httpPort}/${path}`));
    expect((await Promise.all(pages)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(broker.stderr).toBe('');
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends it cleanly with one line', async (signal) => {
    await using broker = new Running(['start', ...freePorts], { cwd: folderWith('empty', null) });
    await broker.output('stdout', /Ctrl-C\.\n$/);
    const before = broker.stdout;
    expect(await broker.end(signal)).toBe(0);
    expect(broker.stdout.slice(before.length)).toBe('Martlet has stopped.\n');
    expect(broker.stderr).toBe('');
  });

  test('takes packets of any size the standard has, and says in words why it refuses something', async () => {
    await using broker = new Running(['start', ...freePorts], { cwd: folderWith('empty', null) });
    const port = await portOf(broker, mqttUrl);
    const { socket } = await connectTo(port);
    socket.destroy();
    // CONNECT of MQTT 5 with an empty client identifier: CONNACK has no Maximum Packet Size (0x27).
    const connect5 = Buffer.from('100d00044d51545405020000000000', 'hex');
    const connack = await exchange(port, connect5);
    expect(connack.slice(0, 2)).toBe('20');
    expect(propertyIdsOf(connack)).not.toContain(0x27);
    // And a SUBSCRIBE to `a#`: DISCONNECT with a Reason String (0x1f).
    const subscribe = Buffer.from('82080001000002612300', 'hex');
    await exchange(port, Buffer.concat([connect5, subscribe]), /e0..8[0-9a-f]..1f/);
  });

  test('to the network lets nobody in before the file says so, and tells that', async () => {
    await using broker = new Running(['start', '--host', '0.0.0.0', ...freePorts], { cwd: folderWith('empty', null) });
    await broker.output('stdout', /Stop with Ctrl-C\.\n$/);
    expect(broker.stdout).toContain(
      '\nEvery client is refused: allow_anonymous is false, and there is no password_file.\n' +
        "To let clients in, write 'allow_anonymous true' or a password_file into ./data/martlet.conf.\n",
    );
    expect(broker.stdout).not.toContain('Only programs on this machine');
    const [, port] = await broker.output('stdout', /^ {2}MQTT +mqtt:\/\/[^:]+:(\d+)$/m);
    expect((await connectTo(Number(port))).connack).toBe('20020005');
  });
});

describe('with a configuration file', () => {
  test('./data/martlet.conf is read where it is there; its listeners replace ours', async () => {
    const cwd = folderWith('file', 'listener 0 127.0.0.1\nallow_anonymous true\nmax_packet_size 5000\n');
    await using broker = new Running(['start', '--http-port', '0', '--ws-port', '0'], { cwd });
    const port = await portOf(broker, mqttUrl);
    await broker.output('stdout', /Settings are those of \.\/data\/martlet\.conf\. Only .* Ctrl-C\.\n$/);
    expect(broker.stdout).not.toContain('WebSocket');
    expect(broker.stderr).toBe(
      'The configuration file opens listeners of its own: --port, --ws-port and --host open none.\n',
    );
    const connack = await exchange(port, Buffer.from('100d00044d51545405020000000000', 'hex'));
    expect(propertyIdsOf(connack)).toContain(0x27);
  });

  test('settings of the file hold with our listeners, too', async () => {
    const cwd = folderWith('settings', 'allow_anonymous false\nlog_type none\nhttp_listener 0 localhost\n');
    await using broker = new Running(['start', '--port', '0', '--ws-port', '0'], { cwd });
    const port = await portOf(broker, mqttUrl);
    await broker.output('stdout', /^ {2}Status page +http:\/\/localhost:\d+\/$/m);
    expect((await connectTo(port)).connack).toBe('20020005');
  });

  test('one that is refused is told, with status 3', async () => {
    const { status, stdout, stderr } = await run(['start'], { cwd: folderWith('bad', 'max_qos 7\n') });
    expect({ status, stdout, stderr }).toEqual({
      status: 3,
      stdout: '',
      stderr: "Error: ./data/martlet.conf:1: max_qos: got '7', expected 0, 1 or 2\n",
    });
  });

  test('one that is named must be there', async () => {
    expect(await run(['start', '-c', 'other.conf'], { cwd: folderWith('empty', null) })).toEqual({
      status: 3,
      stdout: '',
      stderr: 'Error: other.conf: Unable to open config file: no such file or directory\n',
    });
  });
});

test('-v logs everything', async () => {
  await using broker = new Running(['start', '-v', ...freePorts], { cwd: folderWith('empty', null) });
  const port = await portOf(broker, mqttUrl);
  const { socket } = await connectTo(port);
  socket.destroy();
  await broker.output('stderr', /New client connected from 127\.0\.0\.1:\d+ as test /);
});

describe('a port in use', () => {
  test.each([
    ['--port', /^Error: Cannot listen on port PORT .*, or choose another port with --port .*\n$/],
    ['--ws-port', /^Error: Cannot listen on port PORT .*, or choose another port with .*--ws-port .*\n$/],
    ['--http-port', /^Error: Cannot open HTTP port PORT .*--http-port.*\n$/],
  ])('of %s names the port, who holds it, and the option', async (option, expected) => {
    const server = await new Promise<Server>((resolve) => {
      const one = createServer().listen(0, '127.0.0.1', () => resolve(one));
    });
    const { port } = server.address() as { port: number };
    const args = freePorts.map((value, i) => (freePorts[i - 1] === option ? String(port) : value));
    const { status, stdout, stderr } = await run(['start', ...args], { cwd: folderWith('empty', null) });
    server.close();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr.replace(String(port), 'PORT')).toMatch(expected);
    expect(stderr).toContain(`(process ${process.pid})`);
  });
});

test.each([
  [['--prt', '1'], "Error: Unknown option '--prt'. Did you mean --port?\n"],
  [['--port', 'x'], "Error: Invalid port 'x' for --port: expected a number from 0 to 65535.\n"],
  [['--http-port', '65536'], "Error: Invalid port '65536' for --http-port: expected a number from 0 to 65535.\n"],
  [['--host'], 'Error: --host argument given, but no ADDRESS specified.\n'],
])('%p is refused', async (args, stderr) => {
  expect(await run(['start', ...args], { cwd: folderWith('empty', null) })).toEqual({ status: 3, stdout: '', stderr });
});

async function webSocketConnack(port: number): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt']);
  socket.binaryType = 'arraybuffer';
  const answer = new Promise<string>((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(Buffer.from(data as ArrayBuffer).toString('hex'));
    socket.onerror = () => reject(new Error('no WebSocket'));
    socket.onopen = () => socket.send(connectPacket('web'));
  });
  try {
    return await answer;
  } finally {
    socket.close();
  }
}

/** Sends bytes and answers, in hexadecimal, what came back once it matches. */
async function exchange(port: number, bytes: Uint8Array, until = /^20/): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let received = '';
  await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open: (socket) => void socket.write(bytes),
      data(socket, chunk) {
        received += Buffer.from(chunk).toString('hex');
        if (!until.test(received)) return;
        resolve(received);
        socket.end();
      },
      close: () => reject(new Error(`closed after ${received}`)),
    },
  });
  return promise;
}

/** Of a CONNACK of MQTT 5 whose lengths take one byte each. */
function propertyIdsOf(connack: string): number[] {
  const bytes = Buffer.from(connack, 'hex');
  const end = 5 + bytes[4]!;
  const ids: number[] = [];
  for (let at = 5; at < end;) {
    const id = bytes[at]!;
    ids.push(id);
    at += 1 + sizeOf(id, bytes, at + 1);
  }
  return ids;
}

/** Bytes of a property's value: strings, four bytes, two bytes, one byte (v5 section 2.2.2.2). */
function sizeOf(id: number, bytes: Buffer, at: number): number {
  if ([0x12, 0x1a, 0x1c, 0x1f].includes(id)) return 2 + bytes.readUInt16BE(at);
  if ([0x11, 0x27].includes(id)) return 4;
  return [0x13, 0x21, 0x22].includes(id) ? 2 : 1;
}
