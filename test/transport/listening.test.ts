// Where listeners can be opened, what is said where they cannot, and which address a client has.
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { ListenerConfig } from '../../src/config/config.ts';
import { ListenError } from '../../src/transport/listener.ts';
import { freePort } from '../support/mosquitto.ts';
import { startBrokerProcess, startServer, type TestServer, tlsListener, until } from '../support/server.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(30_000);

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

const running: TestServer[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function start(listeners: Partial<ListenerConfig>[]): Promise<TestServer> {
  const server = await startServer(listeners);
  running.push(server);
  return server;
}

/** The message with which a listener is refused. */
async function refusal(listener: Partial<ListenerConfig>): Promise<string> {
  const error: unknown = await start([listener]).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ListenError);
  const { message } = error as Error;
  expect(message).not.toContain('\n');
  return message;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'martlet-listen-'));
  folders.push(folder);
  return folder;
}

describe('addresses', () => {
  async function linesOf(server: TestServer, hostname: string, port: number): Promise<string[]> {
    const before = server.lines.length;
    const client = await WireClient.connect(port, { hostname, clientId: 'a' });
    client.disconnect();
    await until('its end', () => server.lines.some((line, i) => i >= before && line.endsWith('disconnected.')));
    return server.lines.slice(before).map((line) => line.replace(/\d+(?= as|\]| on)/g, 'PORT'));
  }

  test.skipIf(!hasIpv6)('a listener without an address takes IPv4 and IPv6, each logged in its own form', async () => {
    const tls = await tlsListener();
    const server = await start([{ host: null }, { host: null, protocol: 'websockets' }, { host: null, ...tls }]);
    expect(server.lines.slice(0, 3)).toEqual([
      `Opening ipv4 listen socket on port ${server.port}.`,
      `Opening ipv6 listen socket on port ${server.port}.`,
      `Opening websockets listen socket on port ${server.ports[1]}.`,
    ]);
    expect(await linesOf(server, '127.0.0.1', server.port)).toEqual([
      `New connection from 127.0.0.1:PORT on port ${server.port}.`,
      'New client connected from 127.0.0.1:PORT as a (p5, c1, k0).',
      'Client a [127.0.0.1:PORT] disconnected.',
    ]);
    expect(await linesOf(server, '::1', server.port)).toEqual([
      `New connection from ::1:PORT on port ${server.port}.`,
      'New client connected from ::1:PORT as a (p5, c1, k0).',
      'Client a [::1:PORT] disconnected.',
    ]);
  });

  test.skipIf(!hasIpv6)('a listener at one address takes that family only', async () => {
    const server = await start([{ host: '127.0.0.1' }, { host: '::1' }]);
    expect(server.lines.slice(0, 2)).toEqual([
      `Opening ipv4 listen socket on port ${server.ports[0]}.`,
      `Opening ipv6 listen socket on port ${server.ports[1]}.`,
    ]);
    expect(await linesOf(server, '::1', server.ports[1]!)).toHaveLength(3);
    await expect(WireClient.open(server.ports[0]!, { hostname: '::1' })).rejects.toThrow();
    await expect(WireClient.open(server.ports[1]!, { hostname: '127.0.0.1' })).rejects.toThrow();
  });

  test('a client that max_connections refuses is named by its plain IPv4 address', async () => {
    const server = await start([{ host: hasIpv6 ? null : '0.0.0.0', maxConnections: 1 }]);
    await WireClient.connect(server.port, { clientId: 'only' });
    const second = await WireClient.open(server.port);
    await second.closed();
    expect(server.lines.at(-1)).toMatch(/^Client connection from 127\.0\.0\.1 denied: max_connections exceeded\.$/);
    expect(server.broker.counters.closed.get('max connections')).toBe(1);
  });
});

describe('a port in use', () => {
  const runtime = basename(process.execPath);
  const advice = "choose another port with -p PORT or 'listener PORT' in the configuration file.";

  test('is named, with the program that holds it and the option to change it', async () => {
    const holder = await start([{}]);
    const self = `${runtime} (process ${process.pid})`;
    const expected = `Cannot listen on port ${holder.port} on 127.0.0.1: it is in use by ${self}. Stop that program, or ${advice}`;
    expect(await refusal({ port: holder.port })).toBe(expected);
    const everywhere = `Cannot listen on port ${holder.port}: it is in use by ${self}. Stop that program, or ${advice}`;
    expect(await refusal({ port: holder.port, host: null })).toBe(everywhere);
  });

  test('is named by a TLS listener with several certificates, too', async () => {
    const holder = await start([{}]);
    const tls = await tlsListener();
    const sniCertificates = [{ serverName: 'other.example', ...tls }];
    expect(await refusal({ port: holder.port, ...tls, sniCertificates })).toContain(
      `port ${holder.port} on 127.0.0.1: it is in use by ${runtime} (process ${process.pid}).`,
    );
  });

  test('names a broker that was started before', async () => {
    const other = await startBrokerProcess(['listener 0 127.0.0.1']);
    try {
      expect(await refusal({ port: other.ports[0]! })).toContain(`in use by martlet (process ${other.pid}).`);
    } finally {
      await other.stop();
    }
  });

  test('leaves none of the other listeners open', async () => {
    const holder = await start([{}]);
    const first = freePort();
    await refusal({ port: holder.port });
    const error: unknown = await start([{ port: first }, { port: holder.port }]).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ListenError);
    expect((await start([{ port: first }])).port).toBe(first);
  });

  test('is free again right after stop, though clients were connected', async () => {
    const server = await startServer([{}]);
    const client = await WireClient.connect(server.port, { clientId: 'left' });
    await server.stop();
    await client.ended();
    expect((await start([{ port: server.port }])).port).toBe(server.port);
  });
});

describe('an address that cannot be listened on', () => {
  test.each([
    ['of another machine', '192.0.2.77'],
    ['that is none', '256.1.1.1'],
    ['of an unknown name', 'nowhere.invalid'],
  ])('%s is named', async (_what, host) => {
    expect(await refusal({ host, port: freePort() })).toMatch(
      new RegExp(`^Cannot listen on (port \\d+ on )?${host}: .+`),
    );
  });
});

describe('a unix socket', () => {
  test('takes clients and is removed at the end', async () => {
    const path = join(await temporaryFolder(), 'mqtt.sock');
    const server = await start([{ unixPath: path }]);
    expect(server.lines).toEqual([`Opening unix listen socket on path ${path}.`]);
    expect(server.server.listeners[0]!.url).toBe(`unix://${path}`);
    const client = await WireClient.connect(0, { unix: path, clientId: 'local' });
    await client.subscribe('a', 1);
    client.publish('a', 'over a path');
    expect(new TextDecoder().decode((await client.next(3)).payload)).toBe('over a path');
    expect(server.lines.slice(1)).toEqual([
      `New connection from ${path}:0 on port 0.`,
      `New client connected from ${path}:0 as local (p5, c1, k0).`,
    ]);
    await running.pop()!.stop();
    await client.ended();
    expect(existsSync(path)).toBe(false);
  });

  test('speaks WebSocket and PROXY protocol as ports do', async () => {
    const folder = await temporaryFolder();
    const paths = ['a', 'b'].map((name) => join(folder, name));
    await start([
      { unixPath: paths[0]!, protocol: 'websockets' },
      { unixPath: paths[1]!, proxyProtocol: 1 },
    ]);
    const webSocket = await WireClient.open(0, { unix: paths[0]! });
    webSocket.raw().send(new TextEncoder().encode('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    await webSocket.ended();
    expect(new TextDecoder().decode(webSocket.bytes)).toStartWith('HTTP/1.1 426 ');
    const proxied = await WireClient.open(0, { unix: paths[1]! });
    proxied.send(new TextEncoder().encode('PROXY TCP4 203.0.113.9 198.51.100.2 8080 1883\r\n'));
    await proxied.handshake({ clientId: 'proxied' });
    await running[0]!.waitForLog(/^New client connected from 203\.0\.113\.9:8080 as proxied /);
  });

  test('replaces a socket file that a killed broker left', async () => {
    const path = join(await temporaryFolder(), 'mqtt.sock');
    const code = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } }); console.log('ready');`;
    const child = Bun.spawn([process.execPath, '-e', code], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
    await child.stdout.getReader().read();
    child.kill('SIGKILL');
    await child.exited;
    expect(existsSync(path)).toBe(true);
    await start([{ unixPath: path }]);
    (await WireClient.connect(0, { unix: path, clientId: 'a' })).disconnect();
  });

  test('of a broker that runs is left to it', async () => {
    const path = join(await temporaryFolder(), 'mqtt.sock');
    await start([{ unixPath: path }]);
    expect(await refusal({ unixPath: path })).toBe(
      `Cannot listen on unix socket ${path}: there is a file or a socket in use under that name.`,
    );
    (await WireClient.connect(0, { unix: path, clientId: 'a' })).disconnect();
  });

  test('does not replace a file that is no socket', async () => {
    const path = join(await temporaryFolder(), 'notes.txt');
    await writeFile(path, 'precious');
    await chmod(path, 0o600);
    expect(await refusal({ unixPath: path })).toStartWith(`Cannot listen on unix socket ${path}: `);
    expect(await Bun.file(path).text()).toBe('precious');
  });

  test('in a folder that is not there is refused with the path', async () => {
    const path = join(await temporaryFolder(), 'no/such/mqtt.sock');
    expect(await refusal({ unixPath: path })).toStartWith(`Cannot listen on unix socket ${path}: `);
  });
});
