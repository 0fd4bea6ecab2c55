/** A broker that is killed again and again under load, and the proof that nothing acknowledged was lost. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { CarefulPublisher, CarefulSubscriber } from './crash-clients.ts';

export interface CrashOptions {
  kills: number;
  publishers: number;
  subscribers: number;
  /** Milliseconds a broker lives, from the first CONNACK; each life is drawn from here. */
  life: readonly [number, number];
  payloadBytes: number;
  sync: 'normal' | 'full';
  onKill?: (done: number) => void;
}

export interface CrashResult {
  published: number;
  received: number;
  kills: number;
  /** Milliseconds from the start of a process to the first CONNACK, longest. */
  slowestStartMs: number;
  /** Empty where all went well. */
  violations: string[];
  logTail: string;
}

const PATIENCE_MS = 60_000;
const main = join(import.meta.dir, '../../src/cli/main.ts');

async function freePort(): Promise<number> {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
}

export async function runCrashes(options: CrashOptions): Promise<CrashResult> {
  const folder = mkdtempSync(join(tmpdir(), 'martlet-crash-'));
  const port = await freePort();
  const config = join(folder, 'martlet.conf');
  const log = join(folder, 'broker.log');
  writeFileSync(
    config,
    `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location ${folder}/\n` +
      `persistence_sync ${options.sync}\nmax_queued_messages 0\nlog_type error\nlog_type warning\nlog_dest file ${log}\n`,
  );
  const start = () =>
    Bun.spawn([process.execPath, main, 'broker', '-c', config], { stdout: 'ignore', stderr: 'inherit' });
  const versions = [ProtocolVersion.v5, ProtocolVersion.v311];
  const publishers = Array.from(
    { length: options.publishers },
    (_, i) => new CarefulPublisher(`pub${i}`, versions[i % 2]!, port, options.payloadBytes),
  );
  const subscribers = Array.from(
    { length: options.subscribers },
    (_, i) => new CarefulSubscriber(`sub${i}`, versions[i % 2]!, port),
  );
  const clients = [...publishers, ...subscribers];
  let broker = start();
  let slowestStartMs = 0;
  let isPublishing = false;
  const publishing = setInterval(() => {
    if (isPublishing) for (const one of publishers) for (let i = 0; i < 4 && one.publish(); i++);
  }, 2);
  const wandering = setInterval(() => {
    const one = subscribers[Math.floor(Math.random() * subscribers.length)]!;
    if (isPublishing && one.isConnected) one.dropFor(Math.random() * 400);
  }, 150);
  try {
    for (const one of clients) one.start();
    await waitFor('the first connections', () => clients.every((one) => one.isConnected));
    await waitFor('the subscriptions', () => subscribers.every((one) => one.isSubscribed));
    isPublishing = true;
    for (let kill = 1; kill <= options.kills; kill++) {
      const [least, most] = options.life;
      await Bun.sleep(least + Math.random() * (most - least));
      broker.kill('SIGKILL');
      await broker.exited;
      const startedAt = performance.now();
      broker = start();
      const before = clients.reduce((sum, one) => sum + one.connects, 0);
      await waitFor('a CONNACK after a restart', () => clients.reduce((sum, one) => sum + one.connects, 0) > before);
      slowestStartMs = Math.max(slowestStartMs, performance.now() - startedAt);
      options.onKill?.(kill);
    }
    isPublishing = false;
    await waitFor('the last acknowledgements', () => publishers.every((one) => one.isIdle)).catch(() => {});
    const received = () => subscribers.reduce((sum, one) => sum + one.receivedCount, 0);
    const check = () =>
      subscribers.flatMap((one) =>
        publishers.flatMap(({ clientId, begun }) => [
          ...one.check(`crash/${clientId}/q1`, 1, begun[1]),
          ...one.check(`crash/${clientId}/q2`, 2, begun[2]),
        ]),
      );
    await whileProgressing(received, () => check().every((one) => !one.includes('missing')));
    // What would come twice has a moment to come.
    await Bun.sleep(300);
    const idle = publishers.filter((one) => !one.isIdle).map((one) => `${one.clientId}: messages without an end`);
    return {
      published: publishers.reduce((sum, one) => sum + one.acknowledged, 0),
      received: received(),
      kills: options.kills,
      slowestStartMs,
      violations: [...idle, ...check(), ...clients.flatMap((one) => one.violations)],
      logTail: await Bun.file(log)
        .text()
        .then((text) => text.slice(-2_000))
        .catch(() => ''),
    };
  } catch (error) {
    const lines = await Bun.file(log)
      .text()
      .catch(() => '');
    throw new Error(`${(error as Error).message}\n${lines.slice(-2_000)}`, { cause: error });
  } finally {
    clearInterval(publishing);
    clearInterval(wandering);
    for (const one of clients) one.stop();
    broker.kill('SIGKILL');
    await broker.exited;
    if (process.env['KEEP'] === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits until all is there, as long as something comes. */
async function whileProgressing(count: () => number, isComplete: () => boolean): Promise<void> {
  let last = count();
  for (let idleMs = 0; idleMs < 10_000 && !isComplete(); idleMs += 250) {
    await Bun.sleep(250);
    if (count() > last) idleMs = 0;
    last = count();
  }
}

async function waitFor(what: string, condition: () => boolean, patienceMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await Bun.sleep(5);
  }
}
