/** Our broker or Mosquitto with its state in a folder of its own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectBytes, RawClient } from './raw-client.ts';

export const variants = ['memory', 'normal', 'full', 'mosquitto'] as const;
/** Ours with `persistence false`, or with a `persistence_sync`; or Mosquitto, which saves at each change. */
export type Variant = (typeof variants)[number];

const main = join(import.meta.dir, '../../src/cli/main.ts');

function freePort(): number {
  const probe = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

/** A folder for a store, on the disk where temporary files are. */
export function storeFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'martlet-durable-'));
  mkdirSync(join(path, 'data'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export class BrokerUnderTest {
  readonly port: number;
  /** Milliseconds from the start of the process to the first CONNACK. */
  firstConnackMs = 0;
  private readonly child: Bun.Subprocess;

  private constructor(port: number, child: Bun.Subprocess) {
    this.port = port;
    this.child = child;
  }

  static async start(variant: Variant, folder: string): Promise<BrokerUnderTest> {
    const port = freePort();
    const file = join(folder, 'broker.conf');
    const lines = [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'max_queued_messages 0',
      'max_inflight_messages 0',
      'log_type error',
      'log_type information',
      `log_dest file ${join(folder, 'broker.log')}`,
      ...(variant === 'memory' ? ['persistence false'] : ['persistence true', `persistence_location ${folder}/data/`]),
      ...(variant === 'mosquitto'
        ? ['autosave_on_changes true', 'autosave_interval 1', 'set_tcp_nodelay true', 'user root']
        : variant === 'memory'
          ? []
          : [`persistence_sync ${variant}`]),
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const command =
      variant === 'mosquitto' ? ['mosquitto', '-c', file] : [process.execPath, main, 'broker', '-c', file];
    const startedAt = performance.now();
    const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' });
    const broker = new BrokerUnderTest(port, child);
    try {
      while (!(await broker.answers())) {
        if (child.exitCode !== null) throw new Error(`the broker left with status ${child.exitCode}`);
        await Bun.sleep(10);
      }
    } catch (error) {
      await broker.stop();
      throw error;
    }
    broker.firstConnackMs = performance.now() - startedAt;
    return broker;
  }

  get pid(): number {
    return this.child.pid;
  }

  private async answers(): Promise<boolean> {
    const answered = Promise.withResolvers<boolean>();
    const client = await RawClient.open(this.port, { onConnack: () => answered.resolve(true) }).catch(() => null);
    if (client === null) return false;
    void client.closed.then(() => answered.resolve(false));
    client.send(connectBytes('first', true));
    const isAnswered = await answered.promise;
    client.close();
    return isAnswered;
  }

  /** A store is taken up while clients are served: waits for the end of that. */
  async untilRestored(folder: string): Promise<void> {
    for (;;) {
      const log = await Bun.file(join(folder, 'broker.log')).text();
      if (/ restored in /.test(log)) return;
      await Bun.sleep(50);
    }
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.child.kill(signal);
    await this.child.exited;
  }
}
