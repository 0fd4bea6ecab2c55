// `martlet broker` under systemd with Type=notify: a socket of ours plays systemd.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatagramReceiver } from '../log/datagram-receiver.ts';
import { connectTo, isAlive, martlet, run, Running, until } from './run-martlet.ts';

setDefaultTimeout(30_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-notify-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

const free = ['listener 0 127.0.0.1', 'allow_anonymous true'];

/** The command line with these variables in its environment, in the same process. */
const withEnvironment = (...variables: string[]) => ['env', ...variables, ...martlet];

class Systemd implements Disposable {
  readonly texts: string[] = [];
  private readonly receiver: DatagramReceiver;

  constructor(path: string) {
    this.receiver = new DatagramReceiver(path);
  }

  /** Waits for so many messages and gives all that came. */
  async received(count: number): Promise<readonly string[]> {
    await until(() => {
      this.texts.push(...this.receiver.take());
      return this.texts.length >= count;
    });
    return this.texts;
  }

  [Symbol.dispose](): void {
    this.receiver[Symbol.dispose]();
  }
}

test.each([
  ['a path', () => join(folder, 'notify'), (path: string) => path],
  ['an abstract name', () => `\0martlet-test-${process.pid}`, (name: string) => name.replace('\0', '@')],
])('at %s it is told of readiness, of reloads and of the end, in order', async (_kind, address, written) => {
  const path = address();
  using systemd = new Systemd(path);
  const command = withEnvironment(`NOTIFY_SOCKET=${written(path)}`);
  await using broker = new Running(['broker', '-c', file('notify.conf', ...free)], { command });
  const { pid } = broker.child;
  expect(await systemd.received(1)).toEqual([`READY=1\nMAINPID=${pid}`]);
  expect((await connectTo(await broker.port())).connack).toBe('20020000');
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  broker.child.kill('SIGHUP');
  const [, reloading, ready] = await systemd.received(3);
  const [, time] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading!)!;
  // The clock stands still while the machine sleeps, which the uptime does not.
  expect(Number(time) / 1e6).toBeLessThan(uptime + 15);
  expect(Number(time)).toBeGreaterThan(0);
  expect(ready).toBe(`READY=1\nMAINPID=${pid}`);
  expect(await broker.end('SIGTERM')).toBe(0);
  expect((await systemd.received(4)).slice(3)).toEqual(['STOPPING=1']);
});

test('with WatchdogSec it is told twice in that time that the broker lives', async () => {
  const path = join(folder, 'watchdog');
  using systemd = new Systemd(path);
  const command = withEnvironment(`NOTIFY_SOCKET=${path}`, 'WATCHDOG_USEC=100000');
  await using _broker = new Running(['broker', '-c', file('watchdog.conf', ...free)], { command });
  const texts = await systemd.received(4);
  expect(texts.filter((text) => text === 'WATCHDOG=1').length).toBeGreaterThanOrEqual(3);
});

test('a watchdog of another process is not ours', async () => {
  const path = join(folder, 'other');
  using systemd = new Systemd(path);
  const command = withEnvironment(`NOTIFY_SOCKET=${path}`, 'WATCHDOG_USEC=1000', 'WATCHDOG_PID=1');
  await using broker = new Running(['broker', '-c', file('other.conf', ...free)], { command });
  await systemd.received(1);
  (await connectTo(await broker.port())).socket.destroy();
  expect(await broker.end('SIGTERM')).toBe(0);
  expect((await systemd.received(2)).slice(1)).toEqual(['STOPPING=1']);
});

test('with -d it is told which process goes on', async () => {
  const [path, pidFile] = [join(folder, 'daemon'), join(folder, 'daemon.pid')];
  using systemd = new Systemd(path);
  const config = file('daemon.conf', ...free, `pid_file ${pidFile}`);
  expect(await run(['broker', '-d', '-c', config], { command: withEnvironment(`NOTIFY_SOCKET=${path}`) })).toEqual({
    status: 0,
    stdout: '',
    stderr: '',
  });
  const pid = Number(readFileSync(pidFile, 'utf8'));
  try {
    expect(await systemd.received(1)).toEqual([`READY=1\nMAINPID=${pid}`]);
  } finally {
    process.kill(pid, 'SIGTERM');
  }
  await until(() => !isAlive(pid));
});

test('is not told that a broker is ready which cannot start', async () => {
  const path = join(folder, 'failed');
  using systemd = new Systemd(path);
  const config = file('failed.conf', ...free, 'certfile /nonexistent/a', 'keyfile /nonexistent/b');
  const { status } = await run(['broker', '-c', config], { command: withEnvironment(`NOTIFY_SOCKET=${path}`) });
  expect(status).toBe(1);
  expect(await systemd.received(0)).toEqual([]);
});

test.each([
  [
    '/nonexistent/notify',
    /systemd cannot be told how the broker is: \/nonexistent\/notify: .*no such file or directory/,
  ],
  ['vsock:2:1', /systemd cannot be told how the broker is: NOTIFY_SOCKET is 'vsock:2:1', which is no unix socket\./],
])('at %s it hears nothing, which the log tells, and the broker runs', async (socket, line) => {
  const command = withEnvironment(`NOTIFY_SOCKET=${socket}`);
  await using broker = new Running(['broker', '-c', file('deaf.conf', ...free)], { command });
  await broker.output('stderr', line);
  expect((await connectTo(await broker.port())).connack).toBe('20020000');
});
