// TLS-PSK from the configuration file to real clients; test/psk has the listener itself.
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '../support/mosquitto-tools.ts';
import { run, Running } from './run-martlet.ts';

test('psk_hint and psk_file let clients in by key, with the identity as user name, and SIGHUP takes new keys', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'martlet-psk-'));
  const keys = join(folder, 'keys');
  const conf = join(folder, 'martlet.conf');
  writeFileSync(keys, 'device:c0ffee\n', { mode: 0o600 });
  writeFileSync(conf, `psk_file ${keys}\nlistener 0 127.0.0.1\npsk_hint martlet\nuse_identity_as_username true\n`);
  try {
    await using broker = new Running(['broker', '-c', conf]);
    const port = String(await broker.port());
    const publish = async (key: string) => {
      const psk = ['--psk-identity', 'device', '--psk', key, '-i', 'd1', '-t', 'a', '-m', 'x', '-q', '1'];
      return (await runTool('mosquitto_pub', ['-p', port], psk)).status;
    };
    expect(await publish('c0ffee')).toBe(0);
    await broker.output('stderr', /New client connected from 127\.0\.0\.1:\d+ as d1 \(.*u'device'\)\./);
    expect(await publish('bad0')).not.toBe(0);
    writeFileSync(keys, 'device:bad0\n');
    broker.child.kill('SIGHUP');
    await broker.output('stderr', /SIGHUP: Configuration, users, access rules and certificates read anew/);
    expect(await publish('bad0')).toBe(0);
    expect(await publish('c0ffee')).not.toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 20_000);

test('psk_hint without psk_file, or beside certfile, is refused with file and line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'martlet-psk-'));
  const conf = join(folder, 'martlet.conf');
  try {
    writeFileSync(conf, 'listener 0 127.0.0.1\npsk_hint martlet\n');
    const { status, stderr } = await run(['broker', '-c', conf]);
    expect([status, stderr]).toEqual([3, `Error: ${conf}:2: psk_hint: needs a psk_file, which holds the keys\n`]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
