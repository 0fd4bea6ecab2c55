// Signals to `martlet broker`: SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN, and those that end it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectTo, freePort, Running, until } from './run-martlet.ts';

setDefaultTimeout(30_000);

/** The first real-time signal of the C library. */
const SIGRTMIN = 34;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-signals-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

const free = ['listener 0 127.0.0.1', 'allow_anonymous true'];

/** The log without its timestamps. */
function lines(log: string): string[] {
  return log
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(12));
}

/** CONNECT of MQTT 5 with Clean Start and this client identifier. */
function connect5(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const head = Buffer.from('00044d5154540502000000', 'hex');
  return Buffer.concat([Buffer.from([0x10, head.length + 2 + id.length]), head, Buffer.from([0, id.length]), id]);
}

/** A connected MQTT 5 client, with all that it was sent as hex. */
class Client {
  received = '';
  isClosed = false;
  readonly socket: Socket;

  constructor(port: number, clientId: string) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk: Buffer) => (this.received += chunk.toString('hex')));
    this.socket.on('close', () => (this.isClosed = true));
    this.socket.on('error', () => {});
    this.socket.write(connect5(clientId));
  }

  /** Sends bytes, then waits for what it has received to match. */
  async exchange(hex: string, answer: RegExp): Promise<void> {
    if (hex !== '') this.socket.write(Buffer.from(hex, 'hex'));
    await until(() => answer.test(this.received) || this.isClosed);
    expect(this.received).toMatch(answer);
  }
}

async function clientOf(port: number, clientId: string): Promise<Client> {
  const client = new Client(port, clientId);
  await client.exchange('', /^20..0000/);
  return client;
}

const CONNACK = '20020000';
/** PUBLISH with QoS 1, packet 1, to `t`: ten bytes of payload. */
const TEN_BYTES = '3210000174000100' + '78'.repeat(10);
const reloaded = /SIGHUP: Configuration, users, access rules and certificates read anew\./;

describe('SIGHUP', () => {
  test('takes over limits and log, names what needs a restart, and ends no connection', async () => {
    const path = file('reload.conf', ...free);
    await using broker = new Running(['broker', '-c', path]);
    const port = await broker.port();
    const client = await clientOf(port, 'stays');
    await client.exchange(TEN_BYTES, /4003000110$/);
    const changed = ['message_size_limit 5', 'log_timestamp_format TIME', 'pid_file /x', 'allow_anonymous true'];
    file('reload.conf', ...changed, 'listener 0 127.0.0.1', 'max_qos 1');
    broker.child.kill('SIGHUP');
    await broker.output('stderr', reloaded);
    expect(broker.stderr).toContain(': Reloading config.\n');
    for (const name of ['max_qos of listener 0 127.0.0.1', 'pid_file']) {
      const warning = `Warning: ${name} changed in the configuration, which takes effect at the next start.`;
      expect(broker.stderr).toContain(`\nTIME: ${warning}\n`);
    }
    // PUBACK 0x83, on the very connection of before.
    await client.exchange(TEN_BYTES, /4003000183$/);
  });

  test('without allow_anonymous ends those who are in by it, as with Mosquitto, and tells them', async () => {
    const path = file('anonymous.conf', ...free);
    await using broker = new Running(['broker', '-c', path]);
    const port = await broker.port();
    const client = await clientOf(port, 'goes');
    file('anonymous.conf', 'listener 0 127.0.0.1');
    broker.child.kill('SIGHUP');
    await client.exchange('', /e00198$/);
    expect((await connectTo(port)).connack).toBe('20020005');
  });

  test('-v and -q hold against the file of the reload, too', async () => {
    const path = file('quiet.conf', ...free);
    await using broker = new Running(['broker', '-v', '-c', path]);
    const port = await broker.port();
    file('quiet.conf', ...free, 'log_type error');
    broker.child.kill('SIGHUP');
    await broker.output('stderr', reloaded);
    (await connectTo(port, 'loud')).socket.destroy();
    await broker.output('stderr', /New client connected from .* as loud/);
  });

  test('with a mistake in the file tells file and line, and goes on as before; other files are read anew', async () => {
    const users = file('users');
    const path = file('mistake.conf', ...free, `password_file ${users}`);
    await using broker = new Running(['broker', '-c', path]);
    const port = await broker.port();
    const client = await clientOf(port, 'stays');
    file('mistake.conf', 'listener 0 127.0.0.1', 'max_packet_size 1', 'listner 1883');
    broker.child.kill('SIGHUP');
    await broker.output('stderr', /SIGHUP: Users, access rules and certificates read anew/);
    const log = lines(broker.stderr);
    expect(log).toContain(
      `Error: ${path}:2: max_packet_size: got '1', expected a number of bytes from 20 to 2147483647`,
    );
    expect(log).toContain(`Error: ${path}:3: unknown option 'listner'; did you mean 'listener'?`);
    expect(log).toContain('Error: SIGHUP: the configuration stays as it was.');
    await client.exchange('c000', /d000$/);
    rmSync(path);
    broker.child.kill('SIGHUP');
    await broker.output('stderr', /mistake\.conf: Unable to open config file: no such file or directory/);
    await client.exchange('c000', /d000d000$/);
    // And where a file that it names cannot be read, the rules stay as they were, and the rest is taken over.
    file('mistake.conf', ...free, 'message_size_limit 5', `password_file ${users}`, `acl_file ${folder}/nowhere`);
    broker.child.kill('SIGHUP');
    await broker.output('stderr', /Error: SIGHUP: what these lines tell of stays as it was\./);
    expect(broker.stderr).toContain(`: Error: ${folder}/nowhere: `);
    await client.exchange(TEN_BYTES, /4003000183$/);
    expect(await broker.end('SIGTERM')).toBe(0);
  });

  test('opens the log file anew, and another one where its name changed', async () => {
    const names = ['hup.log', 'hup.log.1', 'other.log'].map((name) => join(folder, name));
    const [log, moved, other] = names as [string, string, string];
    const path = file('hup.conf', ...free, `log_dest file ${log}`);
    await using broker = new Running(['broker', '-c', path]);
    await until(() => existsSync(log) && readFileSync(log, 'utf8').endsWith('running\n'));
    renameSync(log, moved);
    broker.child.kill('SIGHUP');
    await until(() => existsSync(log) && reloaded.test(readFileSync(log, 'utf8')));
    expect(readFileSync(moved, 'utf8')).toContain('running\n');
    file('hup.conf', ...free, `log_dest file ${other}`);
    broker.child.kill('SIGHUP');
    await until(() => existsSync(other) && reloaded.test(readFileSync(other, 'utf8')));
    // Where a log cannot be opened, it goes on where it was.
    const blocked = join(folder, 'blocked.log');
    mkdirSync(blocked);
    file('hup.conf', ...free, `log_dest file ${blocked}`);
    broker.child.kill('SIGHUP');
    await until(() => readFileSync(other, 'utf8').includes(`Error: Unable to open log file ${blocked} for writing: `));
    expect(await broker.end('SIGTERM')).toBe(0);
    expect(readFileSync(other, 'utf8')).toEndWith('terminating\n');
  });

  test('without a file reads nothing and goes on', async () => {
    const port = await freePort();
    await using broker = new Running(['broker', '-p', String(port)]);
    await broker.port();
    for (let i = 0; i < 3; i++) broker.child.kill('SIGHUP');
    await broker.output('stderr', /SIGHUP: Users, access rules and certificates read anew/);
    expect((await connectTo(port)).connack).toBe(CONNACK);
  });

  test('with a file without a listener stays local, on the ports of -p', async () => {
    const port = await freePort();
    const path = file('local.conf', 'max_queued_messages 5');
    await using broker = new Running(['broker', '-c', path, '-p', String(port)]);
    await broker.port();
    file('local.conf', 'max_queued_messages 6');
    broker.child.kill('SIGHUP');
    await broker.output('stderr', reloaded);
    expect(broker.stderr).not.toContain('next start');
    expect((await connectTo(port)).connack).toBe(CONNACK);
  });
});

describe('SIGUSR1', () => {
  test('says that nothing is kept where persistence is off', async () => {
    await using broker = new Running(['broker', '-c', file('usr1.conf', ...free)]);
    const client = await clientOf(await broker.port(), 'c');
    broker.child.kill('SIGUSR1');
    const expected = 'SIGUSR1: nothing is saved, persistence is off \\(sessions: 1, retained messages: \\d+\\)\\.';
    await broker.output('stderr', new RegExp(expected));
    await client.exchange('c000', /d000$/);
  });
});

describe('SIGUSR2', () => {
  test('prints who subscribes to what on standard output', async () => {
    await using broker = new Running(['broker', '-c', file('usr2.conf', ...free)]);
    const client = await clientOf(await broker.port(), 'c1');
    // SUBSCRIBE, packet 1, to `a/b` with QoS 1 and `$share/g/#` with QoS 0.
    const filters = `0003612f6201000a${Buffer.from('$share/g/#').toString('hex')}00`;
    await client.exchange(`8216000100${filters}`, /90050001000100$/);
    broker.child.kill('SIGUSR2');
    await broker.output('stderr', /SIGUSR2: 2 subscriptions written to standard output\./);
    expect(broker.stdout.split('\n').sort()).toEqual(['', '$share/g/# (c1, 0)', 'a/b (c1, 1)']);
  });
});

describe('SIGRTMIN', () => {
  test('opens the log file anew and reads nothing else', async () => {
    const [log, moved] = [join(folder, 'rt.log'), join(folder, 'rt.log.1')];
    await using broker = new Running(['broker', '-c', file('rt.conf', ...free, `log_dest file ${log}`)]);
    await until(() => existsSync(log) && readFileSync(log, 'utf8').endsWith('running\n'));
    // Until its handler is there, the signal would end the process.
    await until(() => hasHandler(broker.child.pid));
    renameSync(log, moved);
    process.kill(broker.child.pid, SIGRTMIN as unknown as NodeJS.Signals);
    await until(() => existsSync(log) && readFileSync(log, 'utf8') !== '');
    expect(lines(readFileSync(log, 'utf8'))).toEqual([`SIGRTMIN: log file ${log} reopened.`]);
    expect(await broker.end('SIGTERM')).toBe(0);
  });
});

/** Whether a process catches SIGRTMIN: the mask has a bit for each signal, from the lowest up. */
function hasHandler(pid: number): boolean {
  const mask = /^SigCgt:\s+([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  return ((BigInt(`0x${mask}`) >> BigInt(SIGRTMIN - 1)) & 1n) === 1n;
}

describe('the end', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s is told to MQTT 5 clients with 0x8B', async (signal) => {
    await using broker = new Running(['broker', '-c', file('end.conf', ...free)]);
    const client = await clientOf(await broker.port(), 'c');
    expect(await broker.end(signal)).toBe(0);
    await until(() => client.isClosed);
    expect(client.received).toEndWith('e0018b');
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'is at once and a failure with a second signal after %s',
    async (signal) => {
      // A broker whose clients hold it up has an end of its own; this one has none.
      const source = [
        `import { waitForEnd } from ${JSON.stringify(join(import.meta.dir, '..', '..', 'src', 'cli', 'signals.ts'))};`,
        'setInterval(() => {}, 1_000);',
        'const ended = waitForEnd(null);',
        "console.log('waiting');",
        'console.log(await ended);',
      ];
      await using waiting = new Running([], { command: [process.execPath, file('wait.ts', ...source)] });
      await waiting.output('stdout', /waiting\n/);
      // A copy of the first one, as npm hands on, is no second wish.
      for (let i = 0; i < 2; i++) waiting.child.kill(signal);
      await waiting.output('stdout', new RegExp(`${signal}\\n`));
      await Bun.sleep(300);
      expect(waiting.child.exitCode).toBeNull();
      expect(await waiting.end('SIGTERM')).toBe(1);
    },
  );
});
