import { afterEach, expect, test } from 'bun:test';
import { Broker } from '../../src/broker/broker.ts';
import { type Logger, LogType } from '../../src/broker/log.ts';
import { AnonymousAccess } from '../../src/auth/access-control.ts';
import { defaultBrokerOptions } from '../../src/config/broker-options.ts';
import { ErrorCode } from '../../src/http/api-error.ts';
import { createApp } from '../../src/http/app.ts';
import { Sampler } from '../../src/http/sampler.ts';
import { HttpListenError, type HttpServer, startHttp } from '../../src/http/server.ts';
import { FakeClock, TestBroker } from '../support/test-broker.ts';

const servers: HttpServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

function start(broker = new TestBroker().broker, host = '127.0.0.1', port = 0, startedAtMs = Date.now()): HttpServer {
  const server = startHttp({ port, host }, broker, { version: '1.2.3', listeners: [], startedAtMs });
  servers.push(server);
  return server;
}

/** Everything the server answers to these bytes, up to the close it makes or `until`. */
async function exchange(port: number, request: string, until: RegExp): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data(_, chunk) {
        text += chunk.toString('latin1');
        if (until.test(text)) resolve(text);
      },
      close: () => resolve(text),
      error: (_, error) => reject(error),
    },
  });
  socket.write(request);
  const answer = await promise;
  socket.terminate();
  return answer;
}

const HEAD_END = /\r\n\r\n/;

test('/healthz says ok, and what there is', async () => {
  const t = new TestBroker();
  t.connect({ clientId: 'one' });
  t.open();
  const { url } = start(t.broker, '127.0.0.1', 0, Date.now() - 90_000);
  const response = await fetch(`${url}healthz`);
  expect(response.status).toBe(200);
  expect(response.headers.get('Content-Type')).toStartWith('application/json');
  const body = (await response.json()) as Record<string, unknown>;
  expect(body).toMatchObject({ status: 'ok', version: '1.2.3', connections: 2, clients: 1, sessions: 1 });
  expect(body['uptimeSeconds']).toBeWithin(90, 100);
  expect(body['reason']).toBeUndefined();
});

test('/healthz is 503 with the reason once the broker is stopping', async () => {
  const { broker } = new TestBroker();
  const { url } = start(broker);
  expect((await fetch(`${url}healthz`)).status).toBe(200);
  broker.stop();
  const response = await fetch(`${url}healthz`);
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ status: 'unavailable', reason: 'the broker is stopping' });
});

test('/healthz is 503 while the event loop runs late again and again, not after a single pause', async () => {
  const { broker } = new TestBroker();
  const clock = new FakeClock();
  const sampler = new Sampler(broker, clock);
  const info = { version: '1.2.3', listeners: [], startedAtMs: 0 };
  const app = createApp({ broker, info, sampler, uptimeSeconds: () => 0 }, () => {});
  const probe = async (lateMs: number): Promise<number> => {
    clock.add(1_000 + lateMs);
    sampler.sample();
    return (await app.request('/healthz')).status;
  };
  for (let i = 0; i < 5; i++) expect(await probe(2)).toBe(200);
  expect(await probe(2_000)).toBe(200);
  for (let i = 0; i < 5; i++) await probe(2);
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push(await probe(700));
  expect(statuses).toEqual([200, 200, 200, 503, 503, 503]);
  expect(await (await app.request('/healthz')).json()).toMatchObject({
    reason: 'overloaded: the event loop ran 0.7 s late on average over the last 5 s',
    eventLoopLagSeconds: 0.7,
  });
  for (let i = 0; i < 2; i++) await probe(2);
  expect(await probe(2)).toBe(200);
});

test('every answer carries the headers that keep browsers careful', async () => {
  const { url } = start();
  for (const path of ['', 'healthz', 'metrics', 'status.json', 'nothing', 'v1/nothing']) {
    const { headers } = await fetch(url + path);
    expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
    expect(headers.get('Referrer-Policy')).toBe('no-referrer');
    expect(headers.get('X-Frame-Options')).toBe('DENY');
    expect(headers.get('Cross-Origin-Resource-Policy')).toBe('same-origin');
    expect(headers.get('Cache-Control')).toBe('no-store');
    expect(headers.get('Access-Control-Allow-Origin')).toBeNull();
    const policy = headers.get('Content-Security-Policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
  }
});

test('the page may run the script and the style that are in it, and nothing else', async () => {
  const response = await fetch(start().url);
  const html = await response.text();
  const policy = response.headers.get('Content-Security-Policy') ?? '';
  for (const [element, directive] of [
    ['style', 'style-src'],
    ['script', 'script-src'],
  ] as const) {
    const inline = [...html.matchAll(new RegExp(`<${element}[^>]*>([\\s\\S]*?)</${element}>`, 'g'))];
    expect(inline.length).toBe(1);
    const hash = new Bun.CryptoHasher('sha256').update(inline[0]?.[1] ?? '').digest('base64');
    expect(policy.split('; ')).toContain(`${directive} 'sha256-${hash}'`);
  }
  expect(html).not.toMatch(/ style=| on[a-z]+=|<link rel="stylesheet"|src="http|href="http/);
});

test('what is not ours is escaped', async () => {
  const { broker } = new TestBroker();
  const listeners = [{ name: '<img src=x>', url: 'mqtt://"><script>', connections: () => 0 }];
  const server = startHttp({ port: 0, host: '127.0.0.1' }, broker, { version: '<b>', listeners, startedAtMs: 0 });
  servers.push(server);
  const page = await (await fetch(server.url)).text();
  expect(page).toContain('&lt;img src=x&gt;');
  expect(page).not.toMatch(/<img|<b>|"><script>/);
  const missing = await (await fetch(`${server.url}%3Cimg%20src=x%3E?<b>`)).text();
  expect(missing).not.toMatch(/<img|<b>/);
});

test('HEAD answers as GET does, without the body', async () => {
  const { port, url } = start();
  for (const path of ['/', '/healthz', '/nothing']) {
    const get = await fetch(new URL(path, url));
    const body = await get.arrayBuffer();
    const head = await exchange(port, `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, HEAD_END);
    expect(head).toStartWith(`HTTP/1.1 ${get.status} `);
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1]);
    expect(Math.abs(length - body.byteLength)).toBeLessThanOrEqual(8);
    expect(head).toEndWith('\r\n\r\n');
    expect(head).toContain(get.headers.get('Content-Type') ?? 'no type');
  }
});

test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
  '%s is refused with 405 and the methods there are',
  async (method) => {
    const { url } = start();
    for (const path of ['', 'healthz', 'metrics', 'status.json']) {
      const response = await fetch(url + path, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('Allow')).toBe('GET, HEAD');
      expect(await response.text()).toContain(`GET or HEAD, not ${method}`);
    }
  },
);

test('what is not there is 404: JSON for programs, a page for people', async () => {
  const { url } = start();
  const json = await fetch(`${url}v1/devices`, { headers: { Accept: 'text/html' } });
  expect(json.status).toBe(404);
  expect(await json.json()).toEqual({ code: 'not_found', message: 'Martlet serves nothing at /v1/devices.' });
  const asked = await fetch(`${url}anything`, { headers: { Accept: 'application/json' } });
  expect(await asked.json()).toMatchObject({ code: 'not_found' });
  const page = await fetch(`${url}anything`, { headers: { Accept: 'text/html,*/*;q=0.8' } });
  expect(page.status).toBe(404);
  expect(page.headers.get('Content-Type')).toBe('text/html; charset=utf-8');
  expect(await page.text()).toContain('Martlet serves nothing at /anything.');
});

test.each(['localhost', 'LOCALHOST:8080', 'localhost.', '127.0.0.1:9000', '[::1]', '[::1]:8080'])(
  'on loopback, Host: %s is served',
  async (host) => {
    const answer = await exchange(start().port, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`, /\}$/);
    expect(answer).toStartWith('HTTP/1.1 200 ');
  },
);

test.each([
  'rebound.example',
  'rebound.example:8080',
  'localhost.rebound.example',
  '127.0.0.1.rebound.example',
  '192.168.1.5',
  '[fe80::1]',
])('on loopback, Host: %s is refused, so that a rebound name reads nothing', async (host) => {
  const { port } = start();
  for (const path of ['/', '/metrics', '/status.json']) {
    const answer = await exchange(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, HEAD_END);
    expect(answer).toStartWith('HTTP/1.1 403 ');
  }
  const { code, message } = (await (
    await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { Host: host } })
  ).json()) as { code: string; message: string };
  expect(code).toBe('host_not_allowed');
  expect(message).toContain('http_listener PORT ADDRESS');
});

test.each(['a b', 'a@b', 'a/b', 'a,b', '[::1', ':80'])('Host: %s is no host name: 400', async (host) => {
  for (const bound of ['127.0.0.1', '0.0.0.0']) {
    const { port } = start(undefined, bound);
    const answer = await exchange(port, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, HEAD_END);
    expect(answer).toStartWith('HTTP/1.1 400 ');
  }
});

test('a health check of HTTP/1.0 without Host is served', async () => {
  const answer = await exchange(start().port, 'GET /healthz HTTP/1.0\r\n\r\n', /\}$/);
  expect(answer).toStartWith('HTTP/1.1 200 ');
  expect(answer).toContain('"status":"ok"');
});

test('bound to every address, any name is served', async () => {
  const { port, url } = start(undefined, '0.0.0.0');
  expect(url).toBe(`http://localhost:${port}/`);
  const answer = await exchange(port, `GET /healthz HTTP/1.1\r\nHost: push.example.net\r\n\r\n`, /\}$/);
  expect(answer).toStartWith('HTTP/1.1 200 ');
});

test('requests that are too large are refused', async () => {
  const { port, url } = start();
  const body = await fetch(url, { method: 'POST', body: new Uint8Array(65 * 1_024) }).then(
    ({ status }) => status,
    () => 413, // closed while we were still sending
  );
  expect(body).toBe(413);
  const path = 'a'.repeat(64 * 1_024);
  const answer = await exchange(port, `GET /${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, HEAD_END);
  expect(answer).toStartWith('HTTP/1.1 431 ');
  expect((await fetch(`${url}healthz`)).status).toBe(200);
});

test('a fault of ours is a 500 that tells nothing, and a line in the log that tells all', async () => {
  const lines: string[] = [];
  const log: Logger = { types: LogType.error, log: (_, line) => lines.push(line) };
  const clock = new FakeClock();
  const broker = new Broker(defaultBrokerOptions, new AnonymousAccess(true), log, clock);
  const { url } = start(broker);
  Object.defineProperty(broker, 'sessions', {
    get: () => {
      throw new Error('secret detail');
    },
  });
  const response = await fetch(`${url}metrics`);
  expect(response.status).toBe(500);
  expect(response.headers.get('X-Content-Type-Options')).toBe('nosniff');
  const text = await response.text();
  expect(text).toContain('internal_error');
  expect(text).not.toContain('secret');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^HTTP: .*secret detail.*metrics\.ts/);
  expect(lines[0]).not.toContain('\n');
});

test('a port in use is one line that names port, program and option', () => {
  const holder = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  try {
    expect(() => start(undefined, '127.0.0.1', holder.port)).toThrow(HttpListenError);
    expect(() => start(undefined, '127.0.0.1', holder.port)).toThrow(
      new RegExp(
        `^Cannot open HTTP port ${holder.port} on 127\\.0\\.0\\.1: it is in use by .+process ${process.pid}\\)?\\. .*--http-port PORT.*http_listener PORT[^\\n]*$`,
      ),
    );
  } finally {
    holder.stop(true);
  }
});

test('two servers never share a port', () => {
  const { port } = start();
  expect(() => start(undefined, '127.0.0.1', port)).toThrow(HttpListenError);
});

test('an address that is not of this machine is one line, too', () => {
  expect(() => start(undefined, '192.0.2.1')).toThrow(
    /^Cannot open HTTP port 0 on 192\.0\.2\.1: this machine has no such address\.[^\n]*$/,
  );
});

test('stop ends waiting connections and frees the port', async () => {
  const server = start();
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port: server.port,
    socket: { data() {}, close: () => resolve() },
  });
  socket.write('GET /healthz HTTP/1.1\r\nHo');
  await fetch(`${server.url}healthz`);
  await server.stop();
  await closed;
  const again = Bun.listen({ hostname: '127.0.0.1', port: server.port, socket: { data() {} } });
  again.stop(true);
  expect(again.port).toBe(server.port);
});

test('docs/metrics.md lists every error code', async () => {
  const text = await Bun.file(new URL('../../docs/metrics.md', import.meta.url)).text();
  const documented = [...text.matchAll(/^\| `(\w+)` +\| \d{3} /gm)].map((match) => match[1] ?? '');
  expect(documented.sort()).toEqual(Object.values<string>(ErrorCode).sort());
});
