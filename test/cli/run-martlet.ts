// Runs the command line as people do, in a process of its own.

import type { Subprocess } from 'bun';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { cleanEnvironment } from '../house/project-copy.ts';

const root = join(import.meta.dir, '..', '..');

export const martlet: readonly string[] = [
  process.execPath,
  `--config=${join(root, 'bunfig.toml')}`,
  '--no-env-file',
  join(root, 'src', 'cli', 'main.ts'),
];

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly cwd?: string;
  readonly command?: readonly string[];
}

/** Runs to the end. */
export async function run(
  args: readonly string[],
  { cwd = root, command = martlet }: RunOptions = {},
): Promise<Finished> {
  const child = Bun.spawn([...command, ...args], {
    cwd,
    env: cleanEnvironment(),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 30_000,
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

/** A broker in the foreground, both outputs collected as one text each. Dispose of it to be sure that it is gone. */
export class Running implements AsyncDisposable {
  readonly child: Subprocess<'ignore', 'pipe', 'pipe' | number>;
  stdout = '';
  stderr = '';
  private readonly waiting = new Set<() => void>();
  private readonly drained: Promise<unknown>;

  /** `stderr` may be a descriptor instead. */
  constructor(
    args: readonly string[],
    {
      cwd = root,
      stderr = 'pipe',
      command = martlet,
    }: { cwd?: string; stderr?: 'pipe' | number; command?: readonly string[] } = {},
  ) {
    this.child = Bun.spawn([...command, ...args], {
      cwd,
      env: cleanEnvironment(),
      stdin: 'ignore',
      stdout: 'pipe',
      stderr,
    });
    this.drained = Promise.all([this.collect('stdout'), this.collect('stderr')]);
  }

  private async collect(name: 'stdout' | 'stderr'): Promise<void> {
    const stream = this.child[name];
    if (!(stream instanceof ReadableStream)) return;
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this[name] += decoder.decode(chunk, { stream: true });
      for (const check of this.waiting) check();
    }
  }

  /** Resolves with the match as soon as an output has it. */
  async output(name: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
    const { promise, resolve } = Promise.withResolvers<RegExpExecArray>();
    const check = () => {
      const match = pattern.exec(this[name]);
      if (match !== null) resolve(match);
    };
    this.waiting.add(check);
    check();
    const ended = this.drained.then(() => {
      throw new Error(`ended without ${pattern} on ${name}:\n${this.stdout}\n${this.stderr}`);
    });
    return Promise.race([promise, ended]).finally(() => this.waiting.delete(check));
  }

  /** The port of the nth listener of a broker that logs what it opens. */
  async port(index = 0): Promise<number> {
    await this.output('stderr', /martlet version \S+ running/);
    const ports = [...this.stderr.matchAll(/Opening .* on port (\d+)\./g)];
    return Number(ports[index]![1]);
  }

  async end(signal: NodeJS.Signals): Promise<number> {
    this.child.kill(signal);
    const status = await this.child.exited;
    await this.drained;
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.child.exited;
  }
}

/** Waits until something holds; for what gives no sign of its own, such as files and processes that are not ours. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${holds}`);
    await Bun.sleep(10);
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = await new Promise<Server>((resolve) => {
    const one = createServer().listen(0, '127.0.0.1', () => resolve(one));
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves once something accepts connections on a port of loopback. */
export async function untilListening(port: number): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await accepts(port))) {
    if (performance.now() > deadline) throw new Error(`nobody listens on port ${port}`);
    await Bun.sleep(10);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** CONNECT of MQTT 3.1.1 with Clean Session, no Keep Alive, and this client identifier. */
export function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  return Buffer.concat([
    Buffer.from([0x10, 12 + id.length, 0, 4]),
    Buffer.from('MQTT'),
    Buffer.from([4, 2, 0, 0, 0, id.length]),
    id,
  ]);
}

/** Connects to a broker on loopback, and resolves with the socket and the CONNACK. */
export async function connectTo(port: number, clientId = 'test'): Promise<{ socket: Socket; connack: string }> {
  const socket = connect(port, '127.0.0.1');
  const answer = new Promise<Buffer>((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
  });
  socket.write(connectPacket(clientId));
  return { socket, connack: (await answer).toString('hex') };
}
