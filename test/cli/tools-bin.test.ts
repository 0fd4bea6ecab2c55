// The commands of bin/ that are named like Mosquitto's.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, type TestServer } from '../support/server.ts';

const bin = join(import.meta.dir, '..', '..', 'bin');
let folder: string;
let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  folder = await mkdtemp(join(tmpdir(), 'martlet-bin-'));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function run(command: readonly string[], env: Record<string, string> = {}) {
  const { HOME: _home, XDG_CONFIG_HOME: _folder, ...rest } = process.env;
  const child = Bun.spawn([...command], {
    cwd: folder,
    env: { ...rest, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

test.each([
  ['mosquitto_pub', 'martlet pub'],
  ['mosquitto_sub', 'martlet sub'],
  ['mosquitto_rr', 'martlet rr'],
  ['mosquitto_passwd', 'martlet passwd'],
  ['mosquitto_ctrl', 'martlet ctrl'],
  ['mosquitto', 'martlet broker'],
])('%s is %s', async (name, command) => {
  const { stdout } = await run([join(bin, name), '--help']);
  expect(stdout).toContain(`Usage: ${command} `);
});

test('in PATH, with the arguments as they are, blanks and bytes included', async () => {
  const PATH = `${bin}:${process.env['PATH']}`;
  const where = `-h 127.0.0.1 -p ${server.port}`;
  const script = `mosquitto_pub ${where} -t 'a b' -m "$(printf ' two  blanks \\377')" -r &&
    mosquitto_sub ${where} -t 'a b' -C 1 -F '%t|%x'`;
  expect(await run(['sh', '-c', script], { PATH })).toEqual({
    status: 0,
    stdout: 'a b|2074776f2020626c616e6b7320ff\n',
    stderr: '',
  });
  expect((await run(['sh', '-c', 'mosquitto_pub -p 1 -h 127.0.0.1 -t a -m x'], { PATH })).status).toBe(1);
});

test('through symbolic links, as package managers make them', async () => {
  await mkdir(join(folder, 'links'));
  await symlink(join(bin, 'mosquitto_sub'), join(folder, 'links', 'first'));
  await symlink('links/first', join(folder, 'second'));
  const { status, stderr } = await run([join(folder, 'second'), '-t', 'a', '-p', '1', '-h', '127.0.0.1']);
  expect({ status, stderr }).toEqual({ status: 1, stderr: 'Error: Connection refused\n' });
});

describe('mosquitto_passwd', () => {
  test('takes the status of what it is', async () => {
    expect((await run([join(bin, 'mosquitto_passwd'), '-c', '-b', 'users', 'alice', 'secret'])).status).toBe(0);
    expect((await run([join(bin, 'mosquitto_passwd'), '-D', 'users', 'nobody'])).status).not.toBe(0);
  });
});
