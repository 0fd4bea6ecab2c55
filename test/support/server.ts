/** Brokers on real sockets: in the test's own process, and in a child whose memory can be measured. */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Broker } from '../../src/broker/broker.ts';
import { BrokerServer } from '../../src/broker/broker-server.ts';
import type { BrokerOptions } from '../../src/config/broker-options.ts';
import {
  type Config,
  defaultConfig,
  defaultListenerConfig,
  defaultSecurityConfig,
  type ListenerConfig,
} from '../../src/config/config.ts';
import { pem, type PemName, writePems } from './client/certificates.ts';
import { LogLines } from './test-broker.ts';

const WAIT_LIMIT_MS = 20_000;
const POLL_MS = 2;

/** Waits until `condition` returns something else than false, null or undefined, and returns it. */
export async function until<T>(
  what: string,
  condition: () => T | false | null | undefined,
  limitMs = WAIT_LIMIT_MS,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = condition();
    if (value !== false && value !== null && value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await Bun.sleep(POLL_MS);
  }
}

let certificates: Promise<Record<PemName, string>> | null = null;

/**
 * The certificates of tests as files, in a folder of the machine that all test processes share: its name follows from
 * what is in it, and it appears at once with all of them.
 */
export function certificateFiles(): Promise<Record<PemName, string>> {
  certificates ??= (async () => {
    const folder = join(tmpdir(), `martlet-certificates-${Bun.hash(JSON.stringify(pem)).toString(36)}`);
    if (!existsSync(folder)) {
      const made = await mkdtemp(`${folder}.`);
      await writePems(made);
      await chmod(made, 0o755);
      // Another process may have been quicker; its files are the same.
      await rename(made, folder).catch(() => rm(made, { recursive: true, force: true }));
    }
    const names = Object.keys(pem) as PemName[];
    return Object.fromEntries(names.map((name) => [name, join(folder, `${name}.pem`)])) as Record<PemName, string>;
  })();
  return certificates;
}

/** The part of a listener's configuration that makes it speak TLS as `localhost`. */
export async function tlsListener(): Promise<{ certfile: string; keyfile: string }> {
  const files = await certificateFiles();
  return { certfile: files.serverCert, keyfile: files.serverKey };
}

export interface TestServer {
  readonly server: BrokerServer;
  readonly broker: Broker;
  /** Of the listeners, in the order given; 0 for a unix socket. */
  readonly ports: readonly number[];
  /** Of the first listener. */
  readonly port: number;
  readonly lines: readonly string[];
  /** Waits until a line of the log matches. */
  waitForLog(pattern: RegExp): Promise<RegExpExecArray>;
  stop(): Promise<void>;
}

/** Starts a broker in this process. Listeners are on free ports of 127.0.0.1 unless they say otherwise. */
export async function startServer(
  listeners: readonly Partial<ListenerConfig>[] = [{}],
  options: Partial<BrokerOptions> = {},
  more: Partial<Config> = {},
): Promise<TestServer> {
  const config: Config = {
    ...defaultConfig(),
    security: { ...defaultSecurityConfig(), allowAnonymous: true },
    listeners: listeners.map((one) => ({ ...defaultListenerConfig(), host: '127.0.0.1', port: 0, ...one })),
    ...more,
  };
  config.broker = { ...config.broker, ...options };
  const log = new LogLines();
  const server = new BrokerServer(config, log);
  const bound = await server.start();
  const ports = bound.map(({ port }) => port);
  return {
    server,
    broker: server.broker,
    ports,
    port: ports[0]!,
    lines: log.lines,
    waitForLog: (pattern) =>
      until(`a log line like ${pattern} in\n${log.lines.slice(-20).join('\n')}`, () => {
        for (const line of log.lines) {
          const match = pattern.exec(line);
          if (match !== null) return match;
        }
        return null;
      }),
    stop: () => server.stop(),
  };
}

/** The sum of a map of counters. */
export function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}

export interface BrokerProcess {
  readonly pid: number;
  /** In the order of the `listener` lines, which ask for port 0. */
  readonly ports: readonly number[];
  rssBytes(): number;
  /** The most it has had since its start. */
  peakRssBytes(): number;
  isAlive(): boolean;
  /** All that it logged. */
  log(): string;
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/**
 * Starts `martlet broker` with the lines of a configuration; `FOLDER` in a line becomes a folder with the certificates
 * of tests as `NAME.pem`.
 *
 * @param wrapper a command that runs the broker in its own place, such as `prlimit --fsize=1000000`
 */
export async function startBrokerProcess(
  lines: readonly string[],
  wrapper: readonly string[] = [],
): Promise<BrokerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'martlet-broker-'));
  await writePems(folder);
  const file = join(folder, 'martlet.conf');
  await writeFile(file, `${['log_dest stderr', ...lines].join('\n').replaceAll('FOLDER', folder)}\n`);
  const main = join(import.meta.dir, '../../src/cli/main.ts');
  const child = Bun.spawn([...wrapper, process.execPath, main, 'broker', '-c', file], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  let output = '';
  const reading = (async () => {
    for await (const chunk of child.stderr) output += new TextDecoder().decode(chunk);
  })();
  const stop = async () => {
    child.kill('SIGTERM');
    await child.exited;
    await reading;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until(`a broker that runs:\n${output}`, () => {
      if (child.exitCode !== null) throw new Error(`the broker left with status ${child.exitCode}:\n${output}`);
      return / running$/m.test(output);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const status = (field: string) => {
    const text = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)![1]) * 1024;
  };
  return {
    pid: child.pid,
    ports: [...output.matchAll(/listen socket on port (\d+)/g)].map(([, port]) => Number(port)),
    rssBytes: () => status('VmRSS'),
    peakRssBytes: () => status('VmHWM'),
    isAlive: () => child.exitCode === null && child.signalCode === null,
    log: () => output,
    stop,
    async kill() {
      child.kill('SIGKILL');
      await stop();
    },
  };
}

export { pem };
