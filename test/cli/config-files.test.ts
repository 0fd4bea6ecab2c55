// Configuration files as people have them, given to the command.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writePems } from '../support/client/certificates.ts';
import { runTool } from '../support/mosquitto-tools.ts';
import { until } from '../support/server.ts';
import { run, Running } from './run-martlet.ts';

setDefaultTimeout(60_000);

let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-files-'));
  await writePems(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file; FOLDER in a line is where it is. */
function file(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `${lines.join('\n')}\n`.replaceAll('FOLDER', folder), { mode: 0o600 });
  return path;
}

/** Exit status of mosquitto_pub. */
const NOT_AUTHORISED = 5;

const tested = (path: string) => run(['broker', '--test-config', '-c', path]);
const lines = (text: string) => text.split('\n').filter((line) => line !== '');

describe('--test-config', () => {
  test('reads every file that the broker would read', async () => {
    file('users', 'ann:$7$101$c29tZXNhbHRzb21l$YWJj', 'nonsense');
    file('acl', 'user ann', 'topic read a/#');
    file('psk', 'dev:00ff');
    file('conf.d/tls.conf', 'listener 0 127.0.0.1', 'certfile FOLDER/serverCert.pem', 'keyfile FOLDER/serverKey.pem');
    const path = file(
      'whole.conf',
      'password_file FOLDER/users',
      'acl_file FOLDER/acl',
      'psk_file FOLDER/psk',
      'listener 0 127.0.0.1',
      'psk_hint x',
      'include_dir FOLDER/conf.d',
    );
    const { status, stdout, stderr } = await tested(path);
    expect([status, stdout]).toEqual([0, `Configuration file ${path} is OK.\n`]);
    expect(stderr).toContain(`Warning: ${join(folder, 'users')}:1: `);
  });

  test('and says with which status the start would end', async () => {
    const bad = { acl: file('bad-acl', 'topic sideways a'), psk: file('bad-psk', 'dev:xyz') };
    const cases: [number, string, ...string[]][] = [
      [3, `Error: ${bad.acl}:1: `, `acl_file ${bad.acl}`],
      [
        13,
        'Error: /nonexistent/users: password_file cannot be read: no such file or directory',
        'password_file /nonexistent/users',
      ],
      [3, `Error: ${bad.psk}:1: `, `psk_file ${bad.psk}`, 'listener 0 127.0.0.1', 'psk_hint x'],
      [1, 'Error: ', 'listener 0 127.0.0.1', 'certfile FOLDER/serverKey.pem', 'keyfile FOLDER/serverKey.pem'],
      [3, `Error: ${join(folder, 'broken.d', 'x.conf')}:1: unknown option 'nonsense'`, 'include_dir FOLDER/broken.d'],
    ];
    file('broken.d/x.conf', 'nonsense');
    for (const [index, [status, text, ...content]] of cases.entries()) {
      const path = file(`bad${index}.conf`, ...content);
      const done = await tested(path);
      expect([done.status, done.stdout]).toEqual([status, '']);
      expect(done.stderr).toStartWith(text);
      // The start itself: nothing runs for a moment and then ends.
      const started = await run(['broker', '-c', path]);
      expect(started.status).toBe(status);
      expect(started.stderr).not.toMatch(/version \S+ running/);
    }
  });

  test('tells of everything that is wrong at once', async () => {
    const path = file('several.conf', 'max_qos 7', 'acl_file FOLDER/none', 'connection a', 'remote_password hunter2');
    const { status, stderr } = await tested(path);
    expect(status).toBe(3);
    expect(lines(stderr)).toEqual([
      `Error: ${path}:1: max_qos: got '7', expected 0, 1 or 2`,
      `Error: ${path}:3: connection: bridges come in a later version of Martlet; ` +
        'take this connection and the options of it out for now',
      `Error: ${path}:3: connection: needs an address, of the other broker`,
      `Error: ${path}:3: connection: needs a topic, which goes over the bridge`,
    ]);
  });
});

test('a plugin of Mosquitto is one clear error, with the status of plugins that cannot be loaded', async () => {
  const path = file(
    'plugin.conf',
    'listener 0 127.0.0.1',
    'plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so',
    'plugin_opt_config_file /var/lib/mosquitto/dynamic-security.json',
  );
  expect(await run(['broker', '-c', path])).toEqual({
    status: 13,
    stdout: '',
    stderr:
      `Error: ${path}:2: plugin: native plugins of Mosquitto cannot be loaded; dynamic security comes in a later ` +
      "version; use 'password_file' and 'acl_file' for now\n",
  });
});

describe('a file from the wild', () => {
  /** Debian's, the one of the container image, and what tutorials make of them; ports and folders are ours. */
  const files: readonly (readonly [string, readonly string[]])[] = [
    [
      "Debian's own with a listener in conf.d",
      [
        '# Place your local configuration in /etc/mosquitto/conf.d/',
        '#',
        '',
        'pid_file FOLDER/mosquitto.pid',
        '',
        'persistence true',
        'persistence_location FOLDER/lib/',
        '',
        'log_dest file FOLDER/mosquitto.log',
        '',
        'include_dir FOLDER/debian.d',
      ],
    ],
    [
      'a container with a volume',
      [
        'persistence true',
        'persistence_location FOLDER/data/',
        'log_dest file FOLDER/mosquitto2.log',
        'log_dest stdout',
        'password_file FOLDER/passwd',
        'allow_anonymous false',
        'listener 0 127.0.0.1',
        'listener 0 127.0.0.1',
        'protocol websockets',
      ],
    ],
    [
      'one with a door for each kind of client',
      [
        'per_listener_settings true',
        'log_type all',
        'connection_messages true',
        'log_timestamp true',
        'log_timestamp_format %Y-%m-%dT%H:%M:%S',
        '',
        'listener 0 127.0.0.1 ',
        'allow_anonymous true',
        '',
        'listener 0 127.0.0.1',
        'protocol mqtt',
        'cafile FOLDER/ca.pem',
        'certfile FOLDER/serverCert.pem',
        'keyfile FOLDER/serverKey.pem',
        'require_certificate true',
        'use_identity_as_username true',
        'tls_version tlsv1.2',
        '',
        'listener 0 127.0.0.1',
        'protocol websockets',
        'password_file FOLDER/passwd',
        'acl_file FOLDER/rules',
      ],
    ],
    [
      'one with every limit',
      [
        'listener 0 127.0.0.1',
        'socket_domain ipv4',
        'max_connections -1',
        'allow_anonymous true\r',
        'max_inflight_messages 20\r',
        'max_queued_messages 1000',
        'max_queued_bytes 0',
        'max_packet_size 100000',
        'message_size_limit 0',
        'max_keepalive 3600',
        'persistent_client_expiration 2m',
        'queue_qos0_messages false',
        'set_tcp_nodelay true',
        'sys_interval 10',
        'retry_interval 20',
        'allow_zero_length_clientid true',
        'auto_id_prefix auto-',
        'allow_duplicate_messages false',
        'log_type error',
        'log_type warning',
        'log_type notice',
        'log_type information',
      ],
    ],
  ];

  test.each(files)('works: %s', async (name, content) => {
    for (const one of ['lib', 'data']) mkdirSync(join(folder, one), { recursive: true });
    file('passwd', '# nobody yet');
    file('rules', 'pattern readwrite devices/%u/#');
    file('debian.d/default.conf', 'listener 0 127.0.0.1', 'allow_anonymous true');
    file('debian.d/README', 'not a configuration');
    const path = file(`${name.replaceAll(/\W/g, '-')}.conf`, ...content);
    const check = await tested(path);
    expect([check.status, check.stdout]).toEqual([0, `Configuration file ${path} is OK.\n`]);
    await using broker = new Running(['broker', '-c', path]);
    const log = content.find((line) => line.startsWith('log_dest file'))?.replace('log_dest file FOLDER', folder);
    const text = () => (log === undefined ? broker.stderr : existsSync(log) ? readFileSync(log, 'utf8') : '');
    await until('the broker to run', () => /version \S+ running/.test(text()));
    const [, port] = /Opening \S+ listen socket on port (\d+)\./.exec(text())!;
    const done = await runTool('mosquitto_pub', ['-p', port!], ['-q', '1', '-t', 'a', '-m', 'x']);
    expect(done.status).toBe(content.includes('allow_anonymous false') ? NOT_AUTHORISED : 0);
  });
});
