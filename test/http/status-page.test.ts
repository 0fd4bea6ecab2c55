import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import { type HttpServer, startHttp } from '../../src/http/server.ts';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { TestBroker } from '../support/test-broker.ts';
import { Browser } from './browser.ts';

/** A browser on a busy machine takes its time. */
const LIMIT_MS = 60_000;

let browser: Browser;
let server: HttpServer | null = null;

beforeAll(async () => {
  browser = await Browser.start();
}, LIMIT_MS);

afterEach(async () => {
  await server?.stop();
  server = null;
});

afterAll(() => browser.close());

function start(t: TestBroker, port = 0): HttpServer {
  server = startHttp({ port, host: '127.0.0.1' }, t.broker, {
    version: '1.2.3',
    startedAtMs: Date.now() - 65_000 - port,
    listeners: [
      { name: 'MQTT', url: 'mqtt://127.0.0.1:1884', connections: () => t.listener.connections },
      { name: 'MQTT over <WebSocket>', url: 'ws://127.0.0.1:8083/mqtt', connections: () => 0 },
    ],
  });
  return server;
}

const shows = (name: string, text: string): string =>
  `document.querySelector('[data-show="${name}"]').textContent === ${JSON.stringify(text)}`;

test(
  'the page shows the broker, and follows it without a reload',
  async () => {
    const t = new TestBroker();
    const { url } = start(t);
    browser.requests.length = 0;
    browser.complaints.length = 0;
    await browser.open(url);
    expect(await browser.text('header h1')).toBe('Martlet');
    expect(await browser.text('.version')).toBe('1.2.3');
    expect(await browser.text('.state')).toMatch(/^Running\s+for 1 min \d+ s$/);
    expect(await browser.text('main')).toContain('mqtt://127.0.0.1:1884');
    expect(await browser.text('main')).toContain('MQTT over <WebSocket>');
    expect(await browser.text('[data-show="first"]')).toBe('Waiting for the first message.');
    expect(await browser.evaluate(`document.querySelector('[data-drop="slow_reader"]').hidden`)).toBe(true);
    await browser.evaluate('globalThis.isSamePage = true');

    const peer = t.connect({ clientId: 'one' });
    peer.subscribe('a');
    peer.publish('a', 'x', { retain: true });
    t.broker.counters.drop(DropReason.slowReader);
    await browser.waitFor(shows('connections', '1'));
    await browser.waitFor(shows('messagesIn', '1 message'));
    await browser.waitFor(shows('listener-0', '1 connection'));
    await browser.waitFor(shows('subscriptions', '1'));
    await browser.waitFor(shows('retained', '1'));
    await browser.waitFor(shows('first', 'Messages are coming in.'));
    await browser.waitFor(shows('dropTotal', '1 since the start.'));
    expect(await browser.evaluate(`document.querySelector('[data-drop="slow_reader"]').hidden`)).toBe(false);
    await browser.waitFor(`document.querySelector('[data-series="messagesIn"] .line').getAttribute('d').includes('L')`);

    expect(await browser.evaluate('globalThis.isSamePage')).toBe(true);
    expect(browser.complaints).toEqual([]);
    expect(browser.requests.filter((request) => !request.startsWith(url) && !request.startsWith('data:'))).toEqual([]);
    const since = () =>
      browser.requests
        .filter((request) => request.startsWith(`${url}status.json?`))
        .map((request) => Number(new URL(request).searchParams.get('since')));
    expect(since()[0]).toBe(0);
    while (since().every((sequence) => sequence === 0)) await browser.waitFor('true');
  },
  LIMIT_MS,
);

test(
  'commands fit the listener, and a choice shows those of Mosquitto',
  async () => {
    await browser.open(start(new TestBroker()).url);
    const visible = `[...document.querySelectorAll('.command')].filter((one) => one.checkVisibility())
      .map((one) => one.querySelector('code').textContent)`;
    expect(await browser.evaluate(visible)).toEqual([
      'bin/martlet sub -p 1884 -t hello',
      'bin/martlet pub -p 1884 -t hello -m world',
    ]);
    await browser.evaluate(`document.querySelector('[for="tool-mosquitto"]').click()`);
    expect(await browser.evaluate(visible)).toEqual([
      'mosquitto_sub -p 1884 -t hello',
      'mosquitto_pub -p 1884 -t hello -m world',
    ]);
  },
  LIMIT_MS,
);

test(
  'the page fits a phone, and takes the colours the user likes',
  async () => {
    await browser.send('Emulation.setDeviceMetricsOverride', {
      width: 390,
      height: 844,
      deviceScaleFactor: 2,
      mobile: true,
    });
    const { url } = start(new TestBroker());
    await browser.open(url);
    expect(await browser.evaluate('document.documentElement.scrollWidth')).toBe(390);
    expect(await browser.evaluate('innerWidth')).toBe(390);
    await browser.send('Emulation.clearDeviceMetricsOverride');
    const brightness: number[] = [];
    for (const value of ['light', 'dark']) {
      await browser.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
      const colour = String(await browser.evaluate('getComputedStyle(document.body).backgroundColor'));
      brightness.push(Number(/\d+/.exec(colour)?.[0]));
    }
    expect(brightness[0]).toBeGreaterThan(200);
    expect(brightness[1]).toBeLessThan(50);
    await browser.send('Emulation.setEmulatedMedia', { features: [] });
  },
  LIMIT_MS,
);

test(
  'a chart tells the value under the pointer',
  async () => {
    const t = new TestBroker();
    t.connect({ clientId: 'one' });
    await browser.open(start(t).url);
    await browser.waitFor(`document.querySelector('[data-series="connections"] .peak').textContent === 'peak 1'`);
    const box = (await browser.evaluate(
      `(({ right, top }) => ({ x: right - 1, y: top + 10 }))(document.querySelector('.plot').getBoundingClientRect())`,
    )) as { x: number; y: number };
    await browser.send('Input.dispatchMouseEvent', { type: 'mouseMoved', ...box });
    await browser.waitFor(`document.querySelector('[data-series="connections"] .peak').textContent === 'now: 1'`);
    await browser.send('Input.dispatchMouseEvent', { type: 'mouseMoved', x: 1, y: 1 });
    await browser.waitFor(`document.querySelector('[data-series="connections"] .peak').textContent === 'peak 1'`);
  },
  LIMIT_MS,
);

test(
  'the page says that the server is gone, and loads anew when another one answers',
  async () => {
    const { url, port } = start(new TestBroker());
    await browser.open(url);
    await browser.evaluate('globalThis.isOldPage = true');
    await server?.stop();
    await browser.waitFor(shows('state', 'No answer, trying again'));
    expect(await browser.evaluate('document.body.dataset.state')).toBe('lost');
    start(new TestBroker(), port);
    await browser.waitFor(`globalThis.isOldPage === undefined && ${shows('state', 'Running')}`);
  },
  LIMIT_MS,
);
