// The helper of a PSK listener as a process: its start and what can go wrong there, its end, and what it shows to others.
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.ts';
import { CertificateError, ListenError } from '../../src/transport/listener.ts';
import { cleanEnvironment } from '../house/project-copy.ts';
import { dhParameters } from './dh-pem.ts';
import { freePort } from '../support/mosquitto.ts';
import { publish, runTool } from '../support/mosquitto-tools.ts';
import { until } from '../support/server.ts';
import {
  CLIENT,
  KEY,
  NodeClient,
  nodeResult,
  type PskServer,
  type PskServerOptions,
  startPskServer,
} from './psk-server.ts';

setDefaultTimeout(60_000);
const servers: PskServer[] = [];
async function start(options: PskServerOptions = {}): Promise<PskServer> {
  const server = await startPskServer(options);
  servers.push(server);
  return server;
}
afterEach(async () => {
  for (const one of servers.splice(0)) await one.stop();
});

const publishTo = (server: Pick<PskServer, 'target'>) => publish([...server.target, ...CLIENT], ['-t', 'x', '-m', 'x']);
/** A zombie, whose parent has not asked for its end yet, counts as ended. */
const isAlive = (pid: number) => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
/** The private folder of a helper, from its command line. */
const folderOf = (pid: number) => join(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1]!, '..');
const privateFolders = () => readdirSync(tmpdir()).filter((name) => /^martlet-psk-[^-]*$/.test(name));

function listenOn(port: number): { stop(): void } | null {
  try {
    const listener = Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } });
    return { stop: () => listener.stop(true) };
  } catch {
    return null;
  }
}

/** A program that stands in for Node.js. */
function fakeNode(folder: string, script: string): string {
  const path = join(folder, 'fake-node');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe('a helper that is killed', () => {
  test('is started again on the same port, with the same keys, and the log says so', async () => {
    const server = await start();
    const client = new NodeClient(server.port, 'many', '1');
    expect(await client.result()).toEqual({ connected: 1 });
    const { helperPid } = server.listener;
    process.kill(helperPid!, 'SIGKILL');
    await server.waitForEvent(/ runs again \(process \d+\)\.$/);
    expect(server.events).toEqual([
      `TLS-PSK helper of port ${server.port} was ended by SIGKILL: its clients are disconnected.`,
      `TLS-PSK helper of port ${server.port} runs again (process ${server.listener.helperPid}).`,
    ]);
    expect(server.listener.helperPid).not.toBe(helperPid);
    expect(server.listener.port).toBe(server.port);
    await server.waitForLog(/^Client many-0 \[127\.0\.0\.1:\d+\] disconnected: connection closed by client\.$/);
    await client.ended();
    await publishTo(server);
  });

  test('has the keys of the last reload, also of one while there was none', async () => {
    const server = await start();
    process.kill(server.listener.helperPid!, 'SIGKILL');
    await server.waitForEvent(/SIGKILL/);
    await server.writeKeys(['late:beef']);
    await server.listener.reload();
    await server.waitForEvent(/runs again/);
    await publish([...server.target, '--psk', 'beef', '--psk-identity', 'late'], ['-t', 'x', '-m', 'x']);
    expect((await runTool('mosquitto_pub', [...server.target, ...CLIENT], ['-t', 'x', '-m', 'x'])).status).not.toBe(0);
  });

  test('and whose port is taken meanwhile, is tried until the port is free', async () => {
    const server = await start();
    process.kill(server.listener.helperPid!, 'SIGKILL');
    const thief = await until('the port', () => listenOn(server.port));
    await server.waitForEvent(/^TLS-PSK helper: Cannot listen on port \d+ on 127\.0\.0\.1: it is in use\. Next try /);
    thief.stop();
    await server.waitForEvent(/runs again/);
    await publishTo(server);
  });

  test('leaves nothing behind', async () => {
    const server = await start();
    const folder = folderOf(server.listener.helperPid!);
    process.kill(server.listener.helperPid!, 'SIGKILL');
    await server.waitForEvent(/runs again/);
    expect(existsSync(folder)).toBe(false);
  });
});

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s, which goes to the whole group, does not end it',
  async (signal) => {
    const server = await start();
    const { helperPid } = server.listener;
    process.kill(helperPid!, signal);
    await publishTo(server);
    expect(server.listener.helperPid).toBe(helperPid);
    expect(server.events).toEqual([]);
  },
);

/** psk-broker.ts, which is killed in the end. */
async function startBrokerProcess() {
  const program = join(import.meta.dir, 'psk-broker.ts');
  // Bun's --no-orphans, where somebody runs the tests with it, would kill the helper together with the broker.
  const env = cleanEnvironment();
  const broker = Bun.spawn([process.execPath, program], { env, stdout: 'pipe', stderr: 'inherit', stdin: 'ignore' });
  const reader = broker.stdout.getReader();
  const { port, helperPid, testFolder } = JSON.parse(new TextDecoder().decode((await reader.read()).value));
  return { broker, port: port as number, helperPid: helperPid as number, testFolder: testFolder as string };
}

test('while the broker is busy, clients wait, also more than its queue takes', async () => {
  const COUNT = 700;
  const { broker, port, helperPid, testFolder } = await startBrokerProcess();
  broker.kill('SIGSTOP');
  const clients = new NodeClient(port, 'many', String(COUNT));
  // Each client has a descriptor, and each of those that wait in the broker's queue of 512 another one.
  await until('all handshakes', () => readdirSync(`/proc/${helperPid}/fd`).length > COUNT + 500);
  broker.kill('SIGCONT');
  expect(await clients.result()).toEqual({ connected: COUNT });
  await clients.ended();
  broker.kill('SIGKILL');
  await broker.exited;
  await until('the end of the helper', () => !isAlive(helperPid));
  rmSync(testFolder, { recursive: true });
});

describe('the end', () => {
  test('of the listener: the broker still says goodbye, then the helper, its folder and the port are gone', async () => {
    const server = await start();
    const pid = server.listener.helperPid!;
    const folder = folderOf(pid);
    const client = new NodeClient(server.port, 'many', '3');
    expect(await client.result()).toEqual({ connected: 3 });
    server.listener.stop();
    expect(server.listener.helperPid).toBeNull();
    expect(existsSync(folder)).toBe(false);
    const free = await until('the port to be free', () => listenOn(server.port));
    free.stop();
    expect(isAlive(pid)).toBe(true); // it has clients
    server.broker.stop();
    await until('the end of the helper', () => !isAlive(pid));
    client.release();
    expect(await client.result()).toEqual({ closed: 3, reasonCodes: [0x8b, 0x8b, 0x8b] });
    await client.ended();
    expect(server.events).toEqual([]);
  });

  test('of the listener does not wait for a client that takes nothing', async () => {
    const server = await start();
    const pid = server.listener.helperPid!;
    const deaf = new NodeClient(server.port, 'deaf', 'x');
    await deaf.result();
    server.listener.stop();
    await until('the end of the helper', () => !isAlive(pid));
    await deaf.ended();
  });

  test('of the broker by kill -9 is the end of the helper, its folder and its hold of the port', async () => {
    const { broker, port, helperPid, testFolder } = await startBrokerProcess();
    await publishTo({ target: ['-h', '127.0.0.1', '-p', String(port)] });
    const folder = folderOf(helperPid);
    broker.kill('SIGKILL');
    await broker.exited;
    await until('the end of the helper', () => !isAlive(helperPid));
    await until('the end of the folder', () => !existsSync(folder));
    listenOn(port)!.stop();
    rmSync(testFolder, { recursive: true });
  });
});

test('keys are in no command line and no environment, and nobody else may enter its folder', async () => {
  const server = await start();
  const proc = `/proc/${server.listener.helperPid}`;
  const shown = readFileSync(`${proc}/cmdline`, 'latin1') + readFileSync(`${proc}/environ`, 'latin1');
  expect(shown).toContain('psk-terminator.mjs');
  expect(shown).not.toContain(KEY);
  expect(shown).not.toContain('dev-1');
  expect(statSync(folderOf(server.listener.helperPid!)).mode & 0o777).toBe(0o700);
});

describe('a PSK listener that cannot be opened says why, and leaves nothing behind:', () => {
  /** What the operator reads. */
  async function refusal(options: PskServerOptions): Promise<Error> {
    const folders = privateFolders();
    const error = await start(options).then(
      () => null,
      (reason: Error) => reason,
    );
    expect(error).not.toBeNull();
    expect(privateFolders()).toEqual(folders);
    return error!;
  }

  test('the port is in use', async () => {
    const port = freePort();
    const other = listenOn(port)!;
    const error = await refusal({ listener: { port } });
    other.stop();
    expect(error).toBeInstanceOf(ListenError);
    expect(error.message).toStartWith(`Cannot listen on port ${port} on 127.0.0.1: it is in use by `);
    expect((error.cause as NodeJS.ErrnoException).code).toBe('EADDRINUSE');
  });

  test('an address that is not ours', async () => {
    const error = await refusal({ listener: { host: '192.0.2.1' } });
    expect(error).toBeInstanceOf(ListenError);
    expect(error.message).toMatch(/^Cannot listen on port 0 on 192\.0\.2\.1: .*EADDRNOTAVAIL/);
  });

  const help = 'TLS-PSK needs Node.js 20 or newer: install it, or take psk_hint out of the configuration.';

  test('there is no Node.js', async () => {
    const error = await refusal({ psk: { node: 'no-such-node' } });
    expect(error).toBeInstanceOf(ListenError);
    expect(error.message).toBe(
      `Cannot listen on port 0 on 127.0.0.1: there is no program 'no-such-node' in PATH. ${help}`,
    );
  });

  test('what is called node is Bun', async () => {
    const error = await refusal({ psk: { node: process.execPath } });
    expect(error.message).toEndWith(` is Bun, whose TLS has no PSK. ${help}`);
  });

  test.each([
    ['an old Node.js', 'echo 18.20.4', ` is Node.js 18.20.4. ${help}`],
    ['something else', 'exit 1', ` is no Node.js. ${help}`],
    [
      'a Node.js that breaks',
      'if [ "$1" = -p ]; then echo 20.1.0; else echo "TypeError: broken" >&2; echo more >&2; exit 7; fi',
      ': TLS-PSK helper ended with status 7 (TypeError: broken).',
    ],
    [
      'a program that says something else',
      'if [ "$1" = -p ]; then echo 20.1.0; else echo hello; exec sleep 30; fi',
      ': TLS-PSK helper was ended by SIGKILL (Error: it reports what nobody understands: SyntaxError: JSON Parse error: Unexpected identifier "hello").',
    ],
  ])('%s', async (_what, script, text) => {
    const server = await start();
    const error = await refusal({ psk: { node: fakeNode(server.folder, script) } });
    expect(error).toBeInstanceOf(ListenError);
    expect(error.message).toEndWith(text);
  });

  test('a psk_hint that is too long for TLS', async () => {
    const error = await refusal({ psk: { hint: 'h'.repeat(257) } });
    expect(error).toBeInstanceOf(ListenError);
    expect(error.message).toEndWith(': psk_hint is longer than 256 bytes.');
  });

  test('a psk_file with an error', async () => {
    const error = await refusal({ keys: ['fine:01', 'bad:xyz'] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/psk\.txt:2: psk for identity 'bad' contains non-hexadecimal characters$/);
  });

  test.each([
    [
      'ciphers that do not exist',
      { ciphers: 'NO-SUCH-CIPHER' },
      {},
      /^Unable to set TLS ciphers "NO-SUCH-CIPHER" .*\.$/,
    ],
    [
      'no cipher for TLS 1.3',
      { ciphersTls13: 'TLS_AES_256_GCM_SHA384' },
      {},
      /^ciphers_tls1\.3 ".*" has no cipher with SHA256/,
    ],
    ['a dhparamfile that is not there', { dhparamfile: '/no/file' }, {}, /^Unable to load dhparamfile "\/no\/file": /],
    [
      'a dhparamfile that is none',
      { dhparamfile: import.meta.path },
      {},
      /^Unable to load dhparamfile ".*helper\.test\.ts": /,
    ],
  ])('%s', async (_what, listener, psk, text) => {
    const error = await refusal({ listener, psk });
    expect(error).toBeInstanceOf(CertificateError);
    expect(error.message).toMatch(text);
  });
});

describe('options', () => {
  test('ciphers, for TLS 1.2', async () => {
    const server = await start({ listener: { ciphers: 'PSK-AES128-CBC-SHA256:PSK-AES128-GCM-SHA256' } });
    expect(await nodeResult(server.port, 'handshake', 'TLSv1.2')).toMatchObject({ cipher: 'PSK-AES128-CBC-SHA256' });
    expect(await nodeResult(server.port, 'handshake', 'TLSv1.3')).toMatchObject({ version: 'TLSv1.3' });
  });

  test('ciphers_tls1.3', async () => {
    const server = await start({ listener: { ciphersTls13: 'TLS_AES_128_GCM_SHA256' } });
    expect(await nodeResult(server.port, 'handshake', 'TLSv1.3')).toMatchObject({ cipher: 'TLS_AES_128_GCM_SHA256' });
    expect(await nodeResult(server.port, 'handshake', 'TLSv1.2')).toMatchObject({ version: 'TLSv1.2' });
  });

  test('dhparamfile, for ciphers with DHE', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'martlet-dh-'));
    const dhparamfile = join(folder, 'dh.pem');
    writeFileSync(dhparamfile, dhParameters('modp15'));
    const server = await start({
      listener: { ciphers: 'DHE-PSK-AES128-GCM-SHA256', dhparamfile },
    });
    rmSync(folder, { recursive: true });
    expect(await nodeResult(server.port, 'handshake', 'TLSv1.2')).toMatchObject({
      cipher: 'DHE-PSK-AES128-GCM-SHA256',
      exchange: { type: 'DH', size: 3_072 },
    });
  });

  test('without dhparamfile clients that have nothing but DHE get in too', async () => {
    const server = await start({ listener: { ciphers: 'DHE-PSK-AES128-GCM-SHA256' } });
    expect(await nodeResult(server.port, 'handshake', 'TLSv1.2')).toMatchObject({ exchange: { type: 'DH' } });
  });

  test('tls_version tlsv1.3 lets nobody in with TLS 1.2', async () => {
    const server = await start({ listener: { tlsVersion: 'tlsv1.3' } });
    expect(await nodeResult(server.port, 'handshake', 'TLSv1.2')).toEqual({
      error: expect.stringContaining('VERSION'),
    });
    expect(await nodeResult(server.port, 'handshake', 'TLSv1.3')).toMatchObject({ version: 'TLSv1.3' });
  });

  test('max_connections', async () => {
    const server = await start({ listener: { maxConnections: 2 } });
    const clients = new NodeClient(server.port, 'many', '5');
    expect(await clients.result()).toEqual({ connected: 2 });
    await clients.ended();
  });

  test('no address: every address, IPv4 and IPv6', async () => {
    const server = await start({ listener: { host: null } });
    await publishTo(server);
    await server.waitForLog(/^New client connected from 127\.0\.0\.1:\d+ as /);
    const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
    if (!hasIpv6) return;
    await publish(['-h', '::1', '-p', String(server.port), ...CLIENT], ['-t', 'x', '-m', 'x']);
    await server.waitForLog(/^New client connected from ::1:\d+ as /);
  });

  test('a warning about a line of the psk_file', async () => {
    const server = await start({ keys: [`dev-1:${KEY}`, 'empty:'] });
    expect(server.events).toEqual([`${server.pskFile}:2: empty psk for identity 'empty'; the line is ignored`]);
  });

  // Only root can become somebody else.
  test.skipIf(process.getuid!() !== 0)(
    'owner: the helper becomes that user, and still reaches the broker',
    async () => {
      const server = await start({ psk: { owner: { uid: 65_534, gid: 65_534 } } });
      const status = readFileSync(`/proc/${server.listener.helperPid}/status`, 'utf8');
      expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
      expect(status).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
      expect(status).toMatch(/^Groups:\t65534 ?$/m);
      await publishTo(server);
    },
  );
});
