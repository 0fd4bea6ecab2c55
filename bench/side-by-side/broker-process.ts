/** One broker under test: a child process on a free loopback port, ready when it has answered a CONNECT. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Subprocess } from 'bun';
import type { CertificateFiles } from './certificate.ts';
import { Link } from './generator/link.ts';
import { processTree } from './proc.ts';
import { configText, type Target } from './targets.ts';

const startLimitMs = 10_000;

/** Below the range that outgoing connections take theirs from, where tens of thousands are about to be in use. */
async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error('found no free port between 20000 and 32000');
}

export class BrokerProcess {
  readonly target: Target;
  readonly port: number;
  readonly tls: boolean;
  private readonly child: Subprocess<'ignore', 'ignore', number | Bun.BunFile>;
  private readonly directory: string;

  private constructor(
    target: Target,
    port: number,
    tls: boolean,
    child: Subprocess<'ignore', 'ignore', number | Bun.BunFile>,
    directory: string,
  ) {
    this.target = target;
    this.port = port;
    this.tls = tls;
    this.child = child;
    this.directory = directory;
  }

  /** With a certificate its listener speaks TLS. Rejects with what the broker wrote to stderr where it does not come up. */
  static async start(target: Target, certificate: CertificateFiles | null): Promise<BrokerProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'martlet-bench-'));
    const port = await freePort();
    const configFile = join(directory, 'broker.conf');
    writeFileSync(configFile, configText(target, { port, certificate }));
    const child = Bun.spawn(target.command(configFile), {
      cwd: directory,
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: Bun.file(join(directory, 'stderr')),
    });
    const broker = new BrokerProcess(target, port, certificate !== null, child, directory);
    try {
      await broker.untilReady();
    } catch (cause) {
      await broker.stop();
      throw cause;
    }
    return broker;
  }

  get pid(): number {
    return this.child.pid;
  }

  get endpoint(): { port: number; tls: boolean } {
    return { port: this.port, tls: this.tls };
  }

  /** True where it has ended: by itself, since nobody has called stop(). */
  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** SIGKILL, now, to it and to what it started. */
  kill(): void {
    for (const pid of processTree(this.pid)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended between the listing and the signal.
      }
    }
  }

  /** For a signal handler: `kill()`, and its files are gone, without waiting. */
  abandon(): void {
    this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** SIGTERM, and `kill()` after three seconds. */
  async stop(): Promise<void> {
    if (!this.ended) this.child.kill('SIGTERM');
    const killer = setTimeout(() => this.kill(), 3_000);
    await this.child.exited;
    clearTimeout(killer);
    rmSync(this.directory, { recursive: true, force: true });
  }

  private stderrTail(): string {
    try {
      return readFileSync(join(this.directory, 'stderr'), 'utf8').trim().split('\n').slice(-5).join('\n');
    } catch {
      return '';
    }
  }

  private async untilReady(): Promise<void> {
    const deadline = Date.now() + startLimitMs;
    const faults = { unexpectedPackets: 0, lostConnections: 0 };
    for (;;) {
      if (this.ended) {
        throw new Error(`${this.target.name} ended at start (status ${this.child.exitCode}): ${this.stderrTail()}`);
      }
      const link = new Link('bench-probe', 60, faults);
      try {
        await Promise.race([
          link.open(this.endpoint),
          Bun.sleep(2_000).then(() => Promise.reject(new Error('no CONNACK within 2 s'))),
        ]);
        await link.leave();
        return;
      } catch (cause) {
        if (Date.now() > deadline) {
          throw new Error(`${this.target.name} does not answer on port ${this.port}: ${this.stderrTail()}`, { cause });
        }
        await Bun.sleep(30);
      }
    }
  }
}
