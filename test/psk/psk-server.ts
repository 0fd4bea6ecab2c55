/** A broker in this process with one PSK listener, and Debian's tools pointed at it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientConnection } from '../../src/broker/client-connection.ts';
import type { Broker } from '../../src/broker/broker.ts';
import { defaultListenerInfo, type ListenerInfo } from '../../src/broker/listener-info.ts';
import type { BrokerOptions } from '../../src/config/broker-options.ts';
import { defaultListenerConfig, type ListenerConfig } from '../../src/config/config.ts';
import { ProxyLayer } from '../../src/transport/inbound-layers.ts';
import type { SocketHandler } from '../../src/transport/listener.ts';
import { openPskListener, type PskListener, type PskOptions } from '../../src/transport/psk/psk-listener.ts';
import { startServer, type TestServer, until } from '../support/server.ts';

/** Identity `dev-1` and its key. */
export const KEY = '0123456789abcdef0123456789abcdef';
export const CLIENT = ['--psk', KEY, '--psk-identity', 'dev-1'];

export interface PskServer extends Pick<TestServer, 'broker' | 'waitForLog'> {
  readonly listener: PskListener;
  readonly port: number;
  /** Arguments of Debian's tools that lead to the listener, without identity and key. */
  readonly target: readonly string[];
  readonly folder: string;
  readonly pskFile: string;
  /** What its owner was told, in order: failures as `ADDRESS:PORT CAUSE`. */
  readonly events: readonly string[];
  waitForEvent(pattern: RegExp): Promise<string>;
  writeKeys(lines: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export interface PskServerOptions {
  readonly keys?: readonly string[];
  readonly listener?: Partial<ListenerConfig>;
  readonly psk?: Partial<PskOptions>;
  readonly broker?: Partial<BrokerOptions>;
}

export async function startPskServer(options: PskServerOptions = {}): Promise<PskServer> {
  const folder = await mkdtemp(join(tmpdir(), 'martlet-psk-test-'));
  const pskFile = join(folder, 'psk.txt');
  const writeKeys = (lines: readonly string[]) => writeFile(pskFile, `${lines.join('\n')}\n`, { mode: 0o600 });
  await writeKeys(options.keys ?? [`dev-1:${KEY}`]);
  const server = await startServer([{ unixPath: join(folder, 'other.sock') }], options.broker);
  const config = { ...defaultListenerConfig(), port: 0, host: '127.0.0.1', ...options.listener };
  const events: string[] = [];
  const stopBroker = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const listener = await openPskListener(
    config,
    { hint: 'test-hint', file: pskFile, ...options.psk },
    makeHandler(server.broker, config),
    {
      onFailure: (address, port, cause) => void events.push(`${address}:${port} ${cause}`),
      onTrouble: (line) => void events.push(line),
      onRecovery: (line) => void events.push(line),
      onWarning: (line) => void events.push(line),
    },
  ).catch(async (error: unknown) => {
    await stopBroker();
    throw error;
  });
  return {
    broker: server.broker,
    waitForLog: server.waitForLog,
    listener,
    port: listener.port,
    target: ['-h', '127.0.0.1', '-p', String(listener.port)],
    folder,
    pskFile,
    events,
    waitForEvent: (pattern) =>
      until(`an event like ${pattern} in\n${events.join('\n')}`, () => events.find((one) => pattern.test(one))),
    writeKeys,
    async stop() {
      listener.stop();
      await stopBroker();
    },
  };
}

/** As the broker's own handler: a PROXY header, then MQTT. */
function makeHandler(broker: Broker, config: ListenerConfig): SocketHandler<ClientConnection> {
  const info: ListenerInfo = {
    ...defaultListenerInfo(),
    name: `port ${config.port}`,
    port: config.port,
    maxQos: config.maxQos,
    maxTopicAlias: config.maxTopicAlias,
    maxConnections: config.maxConnections,
    useIdentityAsUsername: config.useIdentityAsUsername,
  };
  return {
    onOpen(socket) {
      const connection = broker.accept(info, socket);
      if (connection !== null) connection.layer = new ProxyLayer(connection, { v1: false, v2: true }, null);
      return connection;
    },
    onSecure() {},
    onTlsError() {},
    onData: (connection, chunk) => broker.receive(connection, chunk),
    onDrain: (connection) => connection.drain(),
    onClose: (connection) => connection.onClosed(),
    onCrash: (connection, error) => broker.onInternalError(connection, error),
  };
}

/** psk-client.mjs with identity `dev-1`, unless the task needs another. */
export class NodeClient {
  private readonly child: Bun.Subprocess<'pipe', 'pipe', 'inherit'>;
  private readonly lines: AsyncIterator<string>;

  constructor(port: number, task: string, argument = '', { identity = 'dev-1', key = KEY } = {}) {
    const program = join(import.meta.dir, 'psk-client.mjs');
    this.child = Bun.spawn(['node', program, String(port), identity, key, task, argument], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
      timeout: 60_000,
    });
    this.lines = readLines(this.child.stdout);
  }

  /** Its next result. */
  async result(): Promise<unknown> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error('psk-client.mjs ended without a result');
    return JSON.parse(value);
  }

  /** Lets it end, where it keeps connections. */
  release(): void {
    void this.child.stdin.end();
  }

  async ended(): Promise<void> {
    this.release();
    await this.child.exited;
  }
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let unread = '';
  for await (const chunk of stream) {
    const lines = (unread + decoder.decode(chunk, { stream: true })).split('\n');
    unread = lines.pop()!;
    yield* lines;
  }
}

export async function nodeResult(...args: ConstructorParameters<typeof NodeClient>): Promise<unknown> {
  const client = new NodeClient(...args);
  const result = await client.result();
  await client.ended();
  return result;
}
