// PSK listeners as the broker opens them: the options of the file, and what a failed handshake counts for.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultConfig, defaultSecurityConfig, type ListenerConfig } from '../../src/config/config.ts';
import { runTool } from '../support/mosquitto-tools.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { WireClient } from '../support/wire-client.ts';
import { dhParameters } from './dh-pem.ts';
import { nodeResult, CLIENT, KEY } from './psk-server.ts';

setDefaultTimeout(60_000);

let folder: string;
let server: TestServer | null = null;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'martlet-psk-broker-'))));
afterEach(async () => {
  await server?.stop();
  server = null;
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
}

async function start(listener: Partial<ListenerConfig>, passwordFile: string | null = null): Promise<TestServer> {
  const pskFile = file('psk', `dev-1:${KEY}\n`);
  const security = { ...defaultSecurityConfig(), allowAnonymous: passwordFile === null, pskFile, passwordFile };
  server = await startServer([{ pskHint: 'hint', ...listener }, {}], {}, { security });
  return server;
}

const handshake = (version: string) => nodeResult(server!.ports[0]!, 'handshake', version);

describe('options of the file', () => {
  test('ciphers, ciphers_tls1.3 and dhparamfile hold, and the parameters are read again with the other files', async () => {
    const dhparamfile = file('dh.pem', dhParameters('modp15'));
    await start({ ciphers: 'DHE-PSK-AES128-GCM-SHA256', ciphersTls13: 'TLS_AES_128_GCM_SHA256', dhparamfile });
    expect(await handshake('TLSv1.3')).toMatchObject({ cipher: 'TLS_AES_128_GCM_SHA256' });
    expect(await handshake('TLSv1.2')).toMatchObject({
      cipher: 'DHE-PSK-AES128-GCM-SHA256',
      exchange: { type: 'DH', size: 3_072 },
    });
    file('dh.pem', dhParameters('modp14'));
    const listeners = server!.server.listeners.map(({ config }) => config);
    const security = { ...defaultSecurityConfig(), pskFile: join(folder, 'psk') };
    const reload = () => server!.server.reconfigure({ ...defaultConfig(), security, listeners });
    expect(await reload()).toEqual([]);
    expect(await handshake('TLSv1.2')).toMatchObject({ exchange: { type: 'DH', size: 2_048 } });
    file('dh.pem', 'nothing');
    expect(await reload()).toEqual([`Unable to load dhparamfile "${dhparamfile}": it holds no DH parameters in PEM.`]);
    expect(await handshake('TLSv1.2')).toMatchObject({ exchange: { type: 'DH', size: 2_048 } });
    expect(await handshake('TLSv1.3')).toMatchObject({ cipher: 'TLS_AES_128_GCM_SHA256' });
  });

  test('the log tells what was negotiated', async () => {
    const { ports, waitForLog } = await start({});
    const target = ['-h', '127.0.0.1', '-p', String(ports[0]), ...CLIENT];
    expect(await runTool('mosquitto_pub', target, ['-t', 'x', '-m', 'x'])).toMatchObject({ status: 0 });
    await waitForLog(/^Connection from 127\.0\.0\.1:\d+ negotiated TLSv1\.3 cipher TLS_[A-Z0-9_]+$/);
  });
});

test('failed handshakes count as failed logins of that name from that address', async () => {
  const users = join(folder, 'users');
  file('users', '');
  for (const name of ['alice', 'bob']) Bun.spawnSync(['mosquitto_passwd', '-b', users, name, 'secret']);
  const { ports, waitForLog } = await start({}, users);
  const login = async (username: string) => {
    const client = await WireClient.open(ports[1]!);
    const { reasonCode } = await client.handshake({ clientId: `login-${username}`, username, password: 'secret' });
    client.reset();
    return reasonCode;
  };
  expect(await login('alice')).toBe(0);
  const guess = ['-h', '127.0.0.1', '-p', String(ports[0]), '--psk', 'abcd', '--psk-identity', 'alice'];
  for (let i = 0; i < 10; i++)
    expect((await runTool('mosquitto_pub', guess, ['-t', 'x', '-m', 'x'])).status).not.toBe(0);
  await waitForLog(/ failed: unknown PSK identity 'alice'\.$/);
  expect(await login('alice')).toBe(0x9f);
  expect(await login('bob')).toBe(0);
});
