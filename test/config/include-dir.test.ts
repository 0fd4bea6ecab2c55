// include_dir: which files, in which order, and what their lines are about.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { ConfigError } from '../../src/config/config-error.ts';
import { compareNames, includedFiles } from '../../src/config/include-dir.ts';
import { loadConfig, parseConfig } from '../../src/config/parse-config.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'martlet-include-'));
});
afterAll(() => rm(root, { recursive: true }));

let made = 0;

/** A folder with these files. */
async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(root, String(made++));
  await mkdir(folder);
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

function complaintsOf(source: string): string[] {
  try {
    parseConfig(source, 'm.conf');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

test('files that end in .conf are read by name, an upper case letter right before the lower case one', async () => {
  const names = ['b.conf', 'A.conf', '01.conf', 'a.conf', 'B.conf', '00.conf', 'x.cnf', '.conf', 'x.conf~', 'Ab.conf'];
  const folder = await folderOf(Object.fromEntries(names.map((name) => [name, ''])));
  const order = ['00', '01', 'A', 'Ab', 'a', 'B', 'b'];
  expect(includedFiles(folder)).toEqual(order.map((name) => `${folder}/${name}.conf`));
  expect(includedFiles(`${folder}/`)).toEqual(order.map((name) => `${folder}/${name}.conf`));
});

test('the order is one: of two names, and through three', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'A', 'b', 'B', '_', '0', 'ä'), maxLength: 4 });
  fc.assert(
    fc.property(name, name, name, (a, b, c) => {
      expect(Math.sign(compareNames(a, b))).toBe(-Math.sign(compareNames(b, a)) || 0);
      expect(compareNames(a, b) === 0).toBe(a === b);
      if (compareNames(a, b) < 0 && compareNames(b, c) < 0) expect(compareNames(a, c)).toBeLessThan(0);
    }),
  );
});

describe('their lines', () => {
  test('stand where include_dir stands', async () => {
    const folder = await folderOf({ 'a.conf': 'max_keepalive 2\n', 'b.conf': 'max_keepalive 3\nsys_interval 3\n' });
    const { config } = parseConfig(`max_keepalive 1\ninclude_dir ${folder}\nsys_interval 4\n`, 'm.conf');
    expect([config.broker.maxKeepalive, config.sysInterval]).toEqual([3, 4]);
  });

  test('are about no listener of another file, and the main file goes on with its own', async () => {
    const folder = await folderOf({
      'a.conf': 'listener 2\nmax_connections 2\n',
      'b.conf': 'max_connections 3\nlistener 4\n',
    });
    const { config } = parseConfig(`listener 1\ninclude_dir ${folder}\nmax_connections 1\n`, 'm.conf');
    expect(config.listeners.map(({ port, maxConnections }) => [port, maxConnections])).toEqual([
      [1, 1],
      [2, 2],
      [1883, 3],
      [4, -1],
    ]);
  });

  test('with per_listener_settings are about a listener of theirs', async () => {
    const folder = await folderOf({ 'a.conf': 'listener 2\nacl_file a\n', 'b.conf': 'acl_file b\n' });
    expect(complaintsOf(`per_listener_settings true\nlistener 1\ninclude_dir ${folder}\n`)).toEqual([
      `${folder}/b.conf:1: acl_file: with per_listener_settings true it is for the listener above it, and there is none`,
    ]);
  });

  test('may come from several folders, one after the other', async () => {
    const [a, b] = [await folderOf({ 'z.conf': 'max_keepalive 1' }), await folderOf({ 'a.conf': 'max_keepalive 2' })];
    expect(parseConfig(`include_dir ${a}\ninclude_dir ${b}`, 'm.conf').config.broker.maxKeepalive).toBe(2);
    expect(parseConfig(`include_dir ${b}\ninclude_dir ${a}`, 'm.conf').config.broker.maxKeepalive).toBe(1);
  });

  test('may be none', async () => {
    expect(complaintsOf(`include_dir ${await folderOf({})}`)).toEqual([]);
  });
});

describe('what is wrong', () => {
  test('is told with the file it is in, main file first, then by name and line', async () => {
    const folder = await folderOf({ 'a.conf': 'max_qos 1\nmax_qos 7\n', 'B.conf': 'nonsense\n' });
    expect(complaintsOf(`sys_interval x\ninclude_dir ${folder}\nmax_qos 9\n`)).toEqual([
      "m.conf:1: sys_interval: got 'x', expected a number of seconds from 0 to 65535",
      "m.conf:3: max_qos: got '9', expected 0, 1 or 2",
      `${folder}/a.conf:2: max_qos: got '7', expected 0, 1 or 2`,
      `${folder}/B.conf:1: unknown option 'nonsense'`,
    ]);
  });

  test('is a second one of an option that may stand once, wherever the first is', async () => {
    const folder = await folderOf({ 'a.conf': 'pid_file b\n' });
    expect(complaintsOf(`pid_file a\ninclude_dir ${folder}\n`)).toEqual([
      `${folder}/a.conf:1: pid_file is given a second time, first in m.conf:1`,
    ]);
  });

  test('is an include in an included file', async () => {
    const folder = await folderOf({ 'a.conf': 'include_dir /etc\n' });
    expect(complaintsOf(`include_dir ${folder}`)).toEqual([
      `${folder}/a.conf:1: include_dir: only the main configuration file may include others`,
    ]);
  });

  test('is a folder that is not there, and one that is a file', async () => {
    const folder = await folderOf({ 'a.conf': '' });
    expect(complaintsOf('include_dir /nonexistent\nmax_qos 7')).toEqual([
      "m.conf:1: include_dir: Unable to open include_dir '/nonexistent': no such file or directory",
      "m.conf:2: max_qos: got '7', expected 0, 1 or 2",
    ]);
    expect(complaintsOf(`include_dir ${folder}/a.conf`)).toEqual([
      expect.stringContaining(': include_dir: Unable to open include_dir'),
    ]);
  });

  test('is a file that is none', async () => {
    const folder = await folderOf({});
    await mkdir(join(folder, 'x.conf'));
    expect(complaintsOf(`include_dir ${folder}`)).toEqual([
      `${folder}/x.conf: Unable to open config file: illegal operation on a directory`,
    ]);
  });
});

test('a file beside the configuration is named from where the broker was started, as with Mosquitto', async () => {
  const folder = await folderOf({ 'main.conf': 'include_dir conf.d\n' });
  await mkdir(join(folder, 'conf.d'));
  await writeFile(join(folder, 'conf.d', 'a.conf'), 'max_keepalive 5\n');
  chmodSync(folder, 0o755);
  expect(() => loadConfig(join(folder, 'main.conf'))).toThrow("Unable to open include_dir 'conf.d'");
  const here = process.cwd();
  process.chdir(folder);
  try {
    expect(loadConfig('main.conf').config.broker.maxKeepalive).toBe(5);
  } finally {
    process.chdir(here);
  }
});
