// A listener with `protocol http_api`, from its lines in the configuration to its answers.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { openBroker, type RunningBroker, StartError } from '../../src/cli/running-broker.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { LogWriter } from '../../src/log/log-writer.ts';
import { run } from '../cli/run-martlet.ts';
import { certificateFiles } from '../support/server.ts';

let folder = '';
let root = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martlet-api-'));
  root = join(folder, 'www');
  mkdirSync(join(root, 'sub'), { recursive: true });
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  writeFileSync(join(root, 'index.html'), '<h1>index</h1>');
  writeFileSync(join(root, 'sub', 'index.html'), '<h1>sub</h1>');
  writeFileSync(join(root, 'app.js'), 'let a;');
  writeFileSync(join(root, 'data'), 'x');
  writeFileSync(join(root, 'a b.txt'), 'blank');
  writeFileSync(join(root, 'empty.css'), '');
  writeFileSync(join(root, 'large.bin'), Buffer.alloc(3_000_000, 'martlet'));
  symlinkSync(join(root, 'app.js'), join(root, 'inside.js'));
  symlinkSync(join(folder, 'secret.txt'), join(root, 'outside.txt'));
  symlinkSync(folder, join(root, 'up'));
  // Beside the folder, with a name that begins like it.
  mkdirSync(`${root}-other`);
  writeFileSync(join(`${root}-other`, 'secret.txt'), 'secret');
  Bun.spawnSync(['mkfifo', join(root, 'pipe')]);
});
afterAll(() => rmSync(folder, { recursive: true }));

const running: RunningBroker[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

interface Api {
  readonly broker: RunningBroker;
  readonly log: LogWriter;
  /** Of the listener with `protocol http_api`, without the slash at its end. */
  readonly url: string;
  readonly port: number;
}

const api = ['listener 0 127.0.0.1', 'protocol http_api'];

async function open(...lines: string[]): Promise<Api> {
  const { config } = parseConfig(lines.join('\n'), 'test.conf');
  const log = new LogWriter({ ...config.log, destinations: [{ kind: 'file', path: join(folder, 'log') }] });
  const broker = await openBroker(config, log);
  running.push(broker);
  const { port, url } = broker.listeners.find((one) => one.config.protocol === 'http_api')!;
  return { broker, log, port, url };
}

const anonymous = (...lines: string[]) => open('allow_anonymous true', 'listener 0 127.0.0.1', ...api, ...lines);

async function answer(url: string, init: RequestInit = {}): Promise<[number, string]> {
  const response = await fetch(url, init);
  return [response.status, await response.text()];
}

/** The answer to a path that no client would send as it is. */
async function rawAnswer(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  });
}

describe('/api/v1/', () => {
  test('version is the bare version', async () => {
    const { url } = await anonymous();
    const response = await fetch(`${url}/api/v1/version`);
    expect(response.headers.get('Content-Type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('Access-Control-Allow-Origin')).toBe('*');
    expect(await response.text()).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test('listeners has every listener as Mosquitto 2.1 tells of it', async () => {
    const { serverCert, serverKey } = await certificateFiles();
    const { broker, url } = await anonymous(
      ...['listener 0 127.0.0.1', 'protocol websockets', 'listener_allow_anonymous false'],
      ...['listener 0 127.0.0.1', `certfile ${serverCert}`, `keyfile ${serverKey}`],
      `listener 0 ${folder}/mqtt.sock`,
    );
    const ports = broker.listeners.map(({ port }) => port);
    const response = await fetch(`${url}/api/v1/listeners`);
    expect(response.headers.get('Content-Type')).toBe('application/json');
    const plain = { protocol: 'mqtt', tls: false, mtls: false, allow_anonymous: true };
    expect(await response.json()).toEqual({
      listeners: [
        { port: ports[0], ...plain },
        { port: ports[1], ...plain, protocol: 'httpapi' },
        { port: ports[2], ...plain, protocol: 'websockets', allow_anonymous: false },
        { port: ports[3], ...plain, tls: true },
        { path: `${folder}/mqtt.sock`, ...plain },
      ],
    });
  });

  test('systree has the whole numbers of $SYS', async () => {
    const { url } = await anonymous();
    const tree = (await (await fetch(`${url}/api/v1/systree`)).json()) as Record<string, number>;
    for (const name of ['clients/total', 'messages/received', 'bytes/sent', 'retained messages/count', 'uptime']) {
      expect(tree[`$SYS/broker/${name}`]).toBeNumber();
    }
    expect(tree['$SYS/broker/version']).toBeUndefined();
    expect(Object.keys(tree).filter((name) => name.includes('/load/'))).toEqual([]);
    expect(Object.values(tree).every((value) => Number.isInteger(value))).toBe(true);
  });

  test.each(['/api/v1/other', '/api/', '/API/v1/nothing', '/api/v1/version/'])('%s is not found', async (path) => {
    const { url } = await anonymous(`http_dir ${root}`);
    expect(await answer(url + path)).toEqual([404, 'Not found.\n']);
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is refused', async (method) => {
    const { url } = await anonymous();
    const response = await fetch(`${url}/api/v1/version`, { method });
    expect([response.status, response.headers.get('Allow')]).toEqual([405, 'GET, HEAD']);
    expect(await response.text()).toBe('Invalid HTTP Method\n');
  });

  test('HEAD has no body', async () => {
    const { url } = await anonymous();
    expect(await answer(`${url}/api/v1/version`, { method: 'HEAD' })).toEqual([200, '']);
  });
});

describe('http_dir', () => {
  test.each([
    ['/', '<h1>index</h1>', 'text/html; charset=utf-8'],
    ['/index.html', '<h1>index</h1>', 'text/html; charset=utf-8'],
    ['/sub/', '<h1>sub</h1>', 'text/html; charset=utf-8'],
    ['/app.js?v=1', 'let a;', 'text/javascript; charset=utf-8'],
    ['/inside.js', 'let a;', 'text/javascript; charset=utf-8'],
    ['/data', 'x', 'application/octet-stream'],
    ['/a%20b.txt', 'blank', 'text/plain; charset=utf-8'],
    ['/empty.css', '', 'text/css; charset=utf-8'],
    ['/sub/../app.js', 'let a;', 'text/javascript; charset=utf-8'],
  ])('%s is a file', async (path, content, type) => {
    const { url } = await anonymous(`http_dir ${root}`);
    const response = await fetch(url + path);
    expect([response.status, response.headers.get('Content-Type')]).toEqual([200, type]);
    expect(await response.text()).toBe(content);
    const head = await fetch(url + path, { method: 'HEAD' });
    expect([head.status, head.headers.get('Content-Type'), await head.text()]).toEqual([200, type, '']);
    expect(head.headers.get('Content-Length')).toBe(String(content.length));
  });

  test('a large file comes whole', async () => {
    const { url } = await anonymous(`http_dir ${root}`);
    const bytes = Buffer.from(await (await fetch(`${url}/large.bin`)).arrayBuffer());
    expect(bytes.equals(readFileSync(join(root, 'large.bin')))).toBe(true);
  });

  test.each([
    '/sub',
    '/nothing',
    '/outside.txt',
    '/up/secret.txt',
    '/pipe',
    '/../secret.txt',
    '/../www-other/secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/sub/..%2f..%2fsecret.txt',
    '//etc/passwd',
    '/%2fetc/passwd',
    '/index.html%00.txt',
    '/%ff',
    '/..\\secret.txt',
  ])('%s is none', async (path) => {
    const { port } = await anonymous(`http_dir ${root}`);
    const text = await rawAnswer(port, path);
    expect(text).toMatch(/^HTTP\/1\.1 404 .*Not found\.\n$/s);
    expect(text).not.toContain('secret');
  });

  test('without it there are no files', async () => {
    const { url } = await anonymous();
    expect(await answer(`${url}/index.html`)).toEqual([404, 'Not found.\n']);
  });

  test('that is not there keeps the broker from starting, and no port stays open', async () => {
    const opening = anonymous('http_dir /nonexistent/www');
    await expect(opening).rejects.toThrow(StartError);
    await expect(opening).rejects.toThrow(/^http_dir "\/nonexistent\/www" cannot be served: /);
  });
});

describe('who may ask', () => {
  const basic = (user: string, password: string) => ({
    headers: { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
  });

  test('is decided by password_file and acl_file, by HTTP Basic, and anew at a reload', async () => {
    const [users, rules] = [join(folder, 'users'), join(folder, 'rules')];
    writeFileSync(users, '', { mode: 0o600 });
    const made = await run(['passwd', '-b', users, 'alice', 'secret:word']);
    expect([made.status, made.stderr]).toEqual([0, '']);
    writeFileSync(rules, 'user alice\ntopic read /api/v1/version\ntopic read /data\n', { mode: 0o600 });
    const lines = [`password_file ${users}`, `acl_file ${rules}`, ...api, `http_dir ${root}`];
    const { broker, url } = await open(...lines);
    const version = `${url}/api/v1/version`;
    const nobody = await fetch(version);
    expect([nobody.status, await nobody.text()]).toEqual([401, 'Not authorised\n']);
    expect(nobody.headers.get('WWW-Authenticate')).toBe('Basic realm="Mosquitto API", charset="UTF-8"');
    expect((await answer(version, basic('alice', 'wrong')))[0]).toBe(401);
    expect((await answer(version, { headers: { Authorization: 'Basic !' } }))[0]).toBe(401);
    expect((await answer(version, { headers: { Authorization: 'Bearer x' } }))[0]).toBe(401);
    expect((await answer(version, basic('alice', 'secret:word')))[0]).toBe(200);
    expect((await answer(`${url}/data`, basic('alice', 'secret:word')))[0]).toBe(200);
    expect((await answer(`${url}/api/v1/systree`, basic('alice', 'secret:word')))[0]).toBe(401);
    expect((await answer(`${url}/app.js`, basic('alice', 'secret:word')))[0]).toBe(401);

    writeFileSync(rules, 'topic read /api/v1/version\n', { mode: 0o600 });
    const next = parseConfig(['allow_anonymous true', ...lines].join('\n'), 'test.conf').config;
    expect(await broker.reconfigure({ ...next, listeners: broker.listeners.map(({ config }) => config) })).toEqual([]);
    expect((await answer(version))[0]).toBe(200);
    expect((await answer(version, basic('alice', 'secret:word')))[0]).toBe(401);
  });

  test('is nobody where allow_anonymous is not true and there are no users', async () => {
    const { url } = await open(...api);
    expect((await answer(`${url}/api/v1/version`))[0]).toBe(401);
    expect((await answer(`${url}/nothing`))[0]).toBe(401);
  });
});

describe('with certfile and keyfile', () => {
  /** Common Name of the certificate that is shown. */
  function shown(port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }

  test('it speaks TLS, and a reload takes up a renewed certificate, or keeps the old one where the new is no good', async () => {
    const [certfile, keyfile] = [join(folder, 'a.crt'), join(folder, 'a.key')];
    const make = (name: string) =>
      Bun.spawnSync([
        ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-keyout', keyfile, '-out', certfile, '-subj', `/CN=${name}`],
      ]);
    make('first');
    const { broker, port, url } = await anonymous(`certfile ${certfile}`, `keyfile ${keyfile}`);
    expect(url).toStartWith('https://');
    const version = await fetch(`${url}/api/v1/version`, { tls: { rejectUnauthorized: false } } as RequestInit);
    expect(version.status).toBe(200);
    expect(await shown(port)).toBe('first');
    const config = parseConfig('allow_anonymous true', 'test.conf').config;
    const reload = () => broker.reconfigure({ ...config, listeners: broker.listeners.map((one) => one.config) });
    make('second');
    expect(await reload()).toEqual([]);
    expect(await shown(port)).toBe('second');
    writeFileSync(certfile, 'no certificate');
    expect(await reload()).toEqual([
      expect.stringContaining(`certfile "${certfile}" and its keyfile cannot be used: `),
    ]);
    expect(await shown(port)).toBe('second');
    rmSync(certfile);
    expect(await reload()).toEqual([expect.stringContaining(`Unable to load certfile "${certfile}": `)]);
    expect(await shown(port)).toBe('second');
  });

  test('that cannot be loaded keeps the broker from starting', async () => {
    const opening = anonymous('certfile /nonexistent/a', 'keyfile /nonexistent/b');
    await expect(opening).rejects.toThrow(/^Unable to load certfile "\/nonexistent\/a": /);
  });
});

test('a port in use is told with who has it', async () => {
  const { port } = await anonymous();
  const opening = open('allow_anonymous true', `listener ${port} 127.0.0.1`, 'protocol http_api');
  await expect(opening).rejects.toThrow(`Cannot open the HTTP API on port ${port} on 127.0.0.1: it is in use by `);
});

test('opening is told in the words of Mosquitto', async () => {
  const { log, port } = await anonymous(`http_dir ${root}`);
  await log.flush();
  const lines = readFileSync(join(folder, 'log'), 'utf8');
  expect(lines).toContain(`: Opening http api listen socket on port ${port}.\n`);
  expect(lines).toContain(`: Using http_dir ${root}\n`);
});

test.each([
  [['listener 1', 'http_dir /www'], '2: http_dir: needs protocol http_api'],
  [['listener 1', 'protocol websockets', 'http_dir /www'], '3: http_dir: needs protocol http_api'],
  [
    ['listener 0 /run/a.sock', 'protocol http_api'],
    '2: protocol: http_api needs a port, and this listener is a unix socket',
  ],
  [['listener 1', 'protocol http_api', 'tls_version tlsv1.3'], '3: tls_version: cannot be used with protocol http_api'],
  [
    ['listener 1', 'protocol http_api', 'certfile /c', 'keyfile /k', 'cafile /a', 'require_certificate true'],
    '5: cafile: cannot be used with protocol http_api',
  ],
  [
    ['listener 1', 'enable_proxy_protocol 2', 'protocol http_api'],
    '2: enable_proxy_protocol: cannot be used with protocol http_api',
  ],
])('%j is refused', (lines, text) => {
  expect(() => parseConfig(lines.join('\n'), 'test.conf')).toThrow(ConfigError);
  expect(() => parseConfig(lines.join('\n'), 'test.conf')).toThrow(`test.conf:${text}`);
});
