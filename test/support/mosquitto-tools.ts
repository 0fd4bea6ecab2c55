/** Debian's mosquitto_pub, mosquitto_sub and mosquitto_rr as child processes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LIMIT_MS = 30_000;

export interface ToolResult {
  /** Exit status; 128 and more where a signal ended it. */
  status: number;
  stdout: string;
  stderr: string;
}

type ToolName = 'mosquitto_pub' | 'mosquitto_sub' | 'mosquitto_rr';

/** Runs a tool to its end. `target` says which broker, such as `-p 1883`; a tool that hangs is killed. */
export async function runTool(
  name: ToolName,
  target: readonly string[],
  args: readonly string[],
  input: string | Blob = '',
): Promise<ToolResult> {
  const child = Bun.spawn([name, ...target, ...args], {
    stdin: typeof input === 'string' ? new Blob([input]) : input,
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: LIMIT_MS,
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

/** Publishes and expects success. */
export async function publish(target: readonly string[], args: readonly string[], input: string | Blob = '') {
  const { status, stdout, stderr } = await runTool('mosquitto_pub', target, args, input);
  if (status !== 0) throw new Error(`mosquitto_pub left with ${status}: ${stdout}${stderr}`);
}

/** A mosquitto_sub that runs. */
export class Subscriber {
  private readonly child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
  private output = '';
  private wake = () => {};
  private readonly reading: Promise<void>;

  constructor(target: readonly string[], args: readonly string[]) {
    this.child = Bun.spawn(['mosquitto_sub', ...target, ...args], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: LIMIT_MS,
    });
    this.reading = this.read();
  }

  private async read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.child.stdout) {
      this.output += decoder.decode(chunk, { stream: true });
      this.wake();
    }
    this.wake();
  }

  get lines(): string[] {
    return this.output.split('\n').slice(0, -1);
  }

  /** Waits until it has printed `count` lines. */
  async received(count: number): Promise<string[]> {
    let hasEnded = false;
    void this.reading.then(() => {
      hasEnded = true;
      this.wake();
    });
    for (;;) {
      const { lines } = this;
      if (lines.length >= count) return lines;
      if (hasEnded) throw new Error(`mosquitto_sub ended after ${lines.length} of ${count} lines: ${lines.slice(-3)}`);
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Its end, as with `-C COUNT`: everything it printed. */
  async finished(): Promise<string[]> {
    const status = await this.child.exited;
    await this.reading;
    if (status !== 0) throw new Error(`mosquitto_sub left with ${status}: ${await this.child.stderr.text()}`);
    return this.lines;
  }

  /** Kills it, without DISCONNECT: its handler of SIGTERM may wait for a lock for ever. */
  async end(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.child.exited;
    await this.reading;
  }
}

export interface WrittenFile {
  readonly path: string;
  readonly sha256: string;
  remove(): Promise<void>;
}

/** A file of `bytes` bytes in which no two blocks are alike, so that a lost or swapped piece shows in the hash. */
export async function writeLargeFile(bytes: number): Promise<WrittenFile> {
  const folder = await mkdtemp(join(tmpdir(), 'martlet-file-'));
  const path = join(folder, 'payload');
  const hash = new Bun.CryptoHasher('sha256');
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  const words = new Uint32Array(block.buffer, 0, 1);
  const writer = Bun.file(path).writer();
  for (let at = 0; at < bytes; at += block.length) {
    words[0] = at;
    const piece = block.slice(0, Math.min(block.length, bytes - at));
    hash.update(piece);
    writer.write(piece);
    if (at % (8 * 1024 * 1024) === 0) await writer.flush();
  }
  await writer.end();
  return { path, sha256: hash.digest('hex'), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A mosquitto_sub with `-N`, whose output is payload and nothing else: only its length and hash are kept. */
export class PayloadSubscriber {
  /** Bytes so far. */
  bytes = 0;
  private readonly child: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  private readonly hash = new Bun.CryptoHasher('sha256');
  private readonly reading: Promise<void>;
  private wake = () => {};

  /** @param skip bytes at the beginning that are not hashed */
  constructor(target: readonly string[], args: readonly string[], skip = 0) {
    this.child = Bun.spawn(['mosquitto_sub', ...target, ...args, '-N'], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
      timeout: 2 * LIMIT_MS,
    });
    this.reading = this.read(skip);
  }

  private async read(skip: number): Promise<void> {
    for await (const chunk of this.child.stdout) {
      this.hash.update(chunk.subarray(Math.min(chunk.length, Math.max(0, skip - this.bytes))));
      this.bytes += chunk.length;
      this.wake();
    }
    this.wake();
  }

  async received(bytes: number): Promise<void> {
    while (this.bytes < bytes) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  /** Its end, as with `-C 1`. */
  async finished(): Promise<{ bytes: number; sha256: string }> {
    const status = await this.child.exited;
    await this.reading;
    if (status !== 0) throw new Error(`mosquitto_sub left with ${status}`);
    return { bytes: this.bytes, sha256: this.hash.digest('hex') };
  }
}
