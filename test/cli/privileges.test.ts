// `user`: a broker that root starts becomes somebody else.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectTo, run, Running } from './run-martlet.ts';

setDefaultTimeout(30_000);

const USER = 'nobody';
const isRoot = process.getuid?.() === 0;
const id = (...args: string[]) =>
  Bun.spawnSync(['id', ...args, USER])
    .stdout.toString()
    .trim();

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-user-'));
  chmodSync(folder, 0o777);
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

const free = ['listener 0 127.0.0.1', 'allow_anonymous true'];

describe.skipIf(!isRoot)('as root', () => {
  test('user is who the broker runs as, with its groups, and who its files belong to', async () => {
    const [log, pidFile] = [join(folder, 'log'), join(folder, 'pid')];
    const lines = [...free, `user ${USER}`, `log_dest file ${log}`, 'log_dest stderr', `pid_file ${pidFile}`];
    await using broker = new Running(['broker', '-c', file('user.conf', ...lines)]);
    const port = await broker.port();
    const status = readFileSync(`/proc/${broker.child.pid}/status`, 'utf8');
    const [uid, gid] = [id('-u'), id('-g')];
    expect(status).toMatch(new RegExp(`^Uid:\t${uid}\t${uid}\t${uid}\t${uid}$`, 'm'));
    expect(status).toMatch(new RegExp(`^Gid:\t${gid}\t${gid}\t${gid}\t${gid}$`, 'm'));
    const groups = /^Groups:(.*)$/m.exec(status)![1]!.trim().split(' ').sort();
    expect(groups).toEqual(id('-G').split(' ').sort());
    for (const path of [log, pidFile]) expect(statSync(path).uid).toBe(Number(uid));
    expect((await connectTo(port)).connack).toBe('20020000');
    expect(await broker.end('SIGTERM')).toBe(0);
  });

  test('user root changes nothing', async () => {
    await using broker = new Running(['broker', '-c', file('root.conf', ...free, 'user root')]);
    await broker.port();
    expect(readFileSync(`/proc/${broker.child.pid}/status`, 'utf8')).toMatch(/^Uid:\t0\t0\t0\t0$/m);
  });

  test('a user that does not exist is an error, status 1', async () => {
    const path = file('no-user.conf', ...free, 'user no-such-user-anywhere');
    expect(await run(['broker', '-c', path])).toEqual({
      status: 1,
      stdout: '',
      stderr: "Error: Unable to drop privileges to 'no-such-user-anywhere': this user does not exist.\n",
    });
  });
});
