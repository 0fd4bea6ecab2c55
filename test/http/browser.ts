// A headless Chromium, driven over the DevTools protocol. Tests that use it fail where it is missing.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--remote-debugging-port=0',
];

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

interface Waiter {
  resolve(result: Record<string, unknown>): void;
  reject(error: Error): void;
}

/** One browser with one page. */
export class Browser {
  /** What the page said on its console, threw, or was forbidden; empty where all is well. */
  readonly complaints: string[] = [];
  /** Addresses the page asked for, in order. */
  readonly requests: string[] = [];
  private readonly folder: string;
  private readonly child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>;
  private readonly socket: WebSocket;
  private readonly waiting = new Map<number, Waiter>();
  private lastId = 0;
  private sessionId: string | null = null;

  private constructor(folder: string, child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>, socket: WebSocket) {
    this.folder = folder;
    this.child = child;
    this.socket = socket;
    socket.addEventListener('message', ({ data }) => this.onMessage(JSON.parse(String(data)) as Message));
    socket.addEventListener('close', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the browser went away'));
    });
  }

  static async start(): Promise<Browser> {
    const program = Bun.which('chromium');
    if (program === null) throw new Error('chromium is missing: scripts/test-servers install chromium');
    const folder = await mkdtemp(join(tmpdir(), 'martlet-chromium-'));
    const child = Bun.spawn([program, ...FLAGS, `--user-data-dir=${folder}`, 'about:blank'], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
      // It makes a folder of its own there too, and leaves it when it is killed.
      env: { ...process.env, TMPDIR: folder },
    });
    const socket = new WebSocket(await debuggerUrl(child.stderr));
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error('no connection to the browser')));
    });
    const browser = new Browser(folder, child, socket);
    await browser.openPage();
    return browser;
  }

  private async openPage(): Promise<void> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    this.sessionId = String(sessionId);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.send(`${domain}.enable`);
  }

  /** Calls a method of the DevTools protocol for the page. */
  send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = ++this.lastId;
    const session = this.sessionId === null ? {} : { sessionId: this.sessionId };
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, method, params, ...session }));
    });
  }

  async open(url: string): Promise<void> {
    await this.send('Page.navigate', { url });
    await this.waitFor(`document.readyState === 'complete' && location.href === ${JSON.stringify(url)}`);
  }

  /** The value of an expression in the page; promises are awaited. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value?: unknown }).value;
  }

  /** Until an expression is true in the page, which may be replaced meanwhile; the test's own time limit ends it. */
  async waitFor(expression: string): Promise<void> {
    for (;;) {
      // A page that is going away takes the answer with it.
      const isTrue = await this.evaluate(expression).catch(() => false);
      if (isTrue === true) return;
      if (this.child.exitCode !== null) throw new Error('the browser ended');
      await Bun.sleep(20);
    }
  }

  text(selector: string): Promise<unknown> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent.trim()`);
  }

  async close(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.child.exited;
    // Its helper processes may still be writing for a moment.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  private onMessage(message: Message): void {
    if (message.id !== undefined) {
      const waiter = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.error !== undefined) waiter?.reject(new Error(message.error.message));
      else waiter?.resolve(message.result ?? {});
      return;
    }
    if (message.method === 'Network.requestWillBeSent') {
      this.requests.push((message.params as { request: { url: string } }).request.url);
    }
    if (['Runtime.exceptionThrown', 'Runtime.consoleAPICalled', 'Log.entryAdded'].includes(message.method ?? '')) {
      this.complaints.push(JSON.stringify(message.params));
    }
  }
}

/** Reads on after the address is known: a full pipe would stop the browser. */
function debuggerUrl(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  return new Promise((resolve, reject) => {
    let text = '';
    const read = async (): Promise<void> => {
      for await (const chunk of stderr) {
        if (text.length < 100_000) text += decoder.decode(chunk, { stream: true });
        const url = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
        if (url !== undefined) resolve(url);
      }
      reject(new Error(`chromium ended: ${text}`));
    };
    read().catch(reject);
  });
}
