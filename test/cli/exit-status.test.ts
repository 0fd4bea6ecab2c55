// The same command lines with Debian's mosquitto and ours: both leave with the same status, or both run.
import type { Subprocess } from 'bun';
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectTo, martlet } from './run-martlet.ts';

setDefaultTimeout(30_000);

const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
const LIMIT_MS = 15_000;

let folder = '';
let blocker: Server;
let usedPort = '';

const files: Readonly<Record<string, string>> = {
  'good.conf': 'listener PORT 127.0.0.1\nallow_anonymous true\n',
  'more.conf': 'max_queued_messages 5\n',
  'unknown.conf': 'no_such_option 1\n',
  'value.conf': 'listener PORT\nmax_qos 7\n',
  'no-value.conf': 'listener\n',
  'used.conf': 'listener USED 127.0.0.1\n',
  'address.conf': 'listener PORT 192.0.2.1\n',
  'certificate.conf': 'listener PORT 127.0.0.1\ncertfile /nonexistent/a\nkeyfile /nonexistent/b\n',
  'plugin.conf': 'plugin /nonexistent/plugin.so\n',
  'auth-plugin.conf': 'listener PORT 127.0.0.1\nauth_plugin /nonexistent/plugin.so\n',
  'passwords.conf': 'listener PORT 127.0.0.1\npassword_file /nonexistent/users\n',
  'acl.conf': 'listener PORT 127.0.0.1\nacl_file /nonexistent/rules\n',
  'bad-acl.conf': 'listener PORT 127.0.0.1\nacl_file rules\n',
  rules: 'topic sideways a\n',
  'pid.conf': 'listener PORT 127.0.0.1\npid_file /nonexistent/pid\n',
  'user.conf': 'listener PORT 127.0.0.1\nuser no-such-user-anywhere\n',
  'include.conf': 'include_dir /nonexistent\n',
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-status-'));
  // Mosquitto gives up root before it reads them.
  chmodSync(folder, 0o755);
  blocker = await new Promise<Server>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
  });
  usedPort = String((blocker.address() as { port: number }).port);
});
afterAll(() => {
  blocker.close();
  rmSync(folder, { recursive: true });
});

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Mosquitto listens before it heeds signals; a CONNACK comes after that. */
async function untilServing(port: number, child: Subprocess): Promise<'runs'> {
  while (child.exitCode === null) {
    try {
      const { socket } = await connectTo(port);
      socket.destroy();
      return 'runs';
    } catch {
      await Bun.sleep(20);
    }
  }
  return new Promise(() => {});
}

/** The status, or `runs` where something listens on the port; then it is ended. */
async function outcome(command: readonly string[], args: readonly string[]): Promise<number | 'runs'> {
  const port = freePort();
  const fill = (text: string) => text.replaceAll('PORT', String(port)).replaceAll('USED', usedPort);
  const cwd = mkdtempSync(join(folder, 'run-'));
  chmodSync(cwd, 0o755);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), fill(text));
  const child = Bun.spawn([...command, ...args.map(fill)], {
    cwd,
    env: { ...process.env, PATH },
    stdio: ['ignore', 'ignore', 'ignore'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const running = untilServing(port, child);
  const first = await Promise.race([child.exited, running]);
  if (first === 'runs') {
    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
  }
  return first;
}

test.each([
  [['-p', 'PORT']],
  [['-c', 'good.conf']],
  [['--config-file', 'good.conf', '-v']],
  [['-c', 'good.conf', '-c', 'more.conf']],
  [['-c', 'more.conf', '-c', 'good.conf']],
  [['-c', 'good.conf', '-p', '1']],
  [['-c']],
  [['-c', 'missing.conf']],
  [['-c', 'missing.conf', '-c', 'good.conf']],
  [['-c', 'unknown.conf']],
  [['-c', 'value.conf']],
  [['-c', 'no-value.conf']],
  [['-c', 'used.conf']],
  [['-c', 'address.conf']],
  [['-c', 'certificate.conf']],
  [['-c', 'plugin.conf']],
  [['-c', 'auth-plugin.conf']],
  [['-c', 'passwords.conf']],
  [['-c', 'acl.conf']],
  [['-c', 'bad-acl.conf']],
  [['-c', 'pid.conf']],
  [['-c', 'user.conf']],
  [['-c', 'include.conf']],
  [['-p']],
  [['-p', 'x']],
  [['-p', '0']],
  [['-p', '65536']],
  [['-p', '-1']],
  [Array.from({ length: 11 }, () => ['-p', '1']).flat()],
  [['-x']],
  [['--no-such-option']],
  [['good.conf']],
  [['']],
])('%p', async (args) => {
  const [theirs, ours] = await Promise.all([outcome(['mosquitto'], args), outcome([...martlet, 'broker'], args)]);
  expect(ours).toBe(theirs);
});

test.each(['-h', '--help', '--version'])('%s has the status of Mosquitto 2.1; 2.0 takes 3', async (option) => {
  expect(await outcome([...martlet, 'broker'], [option])).toBe(13);
});
