// One run of the program that ends TLS-PSK (psk-terminator.mjs): starts it, and speaks with it over its stdin and stdout.
// Keys go that way and no other: a command line and an environment can be read by other programs.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeEnvironment } from '../node-environment.ts';
import program from './psk-terminator.mjs' with { type: 'text' };

/** Oldest Node.js that has all the program needs. */
const MIN_NODE_MAJOR = 20;
const START_LIMIT_MS = 30_000;
/** From `close` on, for clients to take their last bytes; the program gives up on them a little earlier. */
const CLOSE_LIMIT_MS = 4_000;
/** For what it wrote before its end. */
const READ_LIMIT_MS = 500;
const MAX_ERROR_TEXT = 2_000;

/** A user and a group in numbers. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What the program is told at its start. */
export interface TerminatorSettings {
  /** Null: every address. */
  readonly host: string | null;
  readonly port: number;
  /** Holds the program and the unix socket; the program removes it when the broker is gone. */
  readonly folder: string;
  readonly socketPath: string;
  readonly hint: string;
  readonly ciphers: string;
  /** PEM, or `auto` for parameters that fit the cipher. */
  readonly dhparam: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly noDelay: boolean;
  /** Whom it becomes once its port is bound, where it runs as root. */
  readonly owner: Owner | null;
}

export type PskKeys = ReadonlyMap<string, Uint8Array>;

/** A client that did not get in. */
export interface PskFailure {
  /** Null where the connection broke before it was asked for. */
  readonly address: string | null;
  readonly port: number;
  /** What the client showed; null: none. */
  readonly identity: string | null;
  /** The identity has a key, so the client's was another. */
  readonly isKnown: boolean;
  /** The TLS library's words. */
  readonly reason: string;
  readonly code: string;
}

export interface TerminatorEvents {
  onFailure(failure: PskFailure): void;
  /** It ended; `cause` follows its name in a sentence. Comes once, also after `close`. */
  onEnd(cause: string): void;
}

/** It does not start. */
export class TerminatorError extends Error {
  override readonly name = 'TerminatorError';
  /** Of the configuration; null: the program itself. */
  readonly option: string | null;
  /** Such as EADDRINUSE; empty where there is none. */
  readonly code: string;

  constructor(message: string, option: string | null = null, code = '') {
    super(message);
    this.option = option;
    this.code = code;
  }
}

type Report =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'refused'; readonly option: string; readonly message: string; readonly code?: string }
  | { readonly type: 'renewed' }
  | ({ readonly type: 'failure' } & PskFailure);

export class TerminatorProcess {
  /** The port that it holds; 0 until it does. */
  port = 0;
  private readonly child: Bun.Subprocess<'pipe', 'pipe', 'pipe'>;
  private readonly events: TerminatorEvents;
  private readonly listening = Promise.withResolvers<number>();
  private readonly renewals: (() => void)[] = [];
  private errorText = '';
  private hasEnded = false;

  /**
   * @param node path of the Node.js program
   * @throws TerminatorError where it cannot even be run
   */
  constructor(node: string, settings: TerminatorSettings, keys: PskKeys, events: TerminatorEvents) {
    this.events = events;
    const file = join(settings.folder, 'psk-terminator.mjs');
    writeFileSync(file, program);
    try {
      this.child = Bun.spawn([node, file], {
        cwd: settings.folder,
        env: nodeEnvironment(),
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: 'pipe',
      });
    } catch (error) {
      throw new TerminatorError(`${node} cannot be run: ${(error as Error).message}`);
    }
    this.child.unref();
    this.listening.promise.catch(() => {}); // who starts it asks for it later
    void this.watch();
    this.tell({ type: 'start', ...settings, keys: pairs(keys) });
  }

  get pid(): number {
    return this.child.pid;
  }

  /**
   * Waits until it holds its port, which it returns.
   *
   * @throws TerminatorError; it has ended then
   */
  async started(): Promise<number> {
    const timer = setTimeout(() => {
      this.listening.reject(new TerminatorError(`does not answer within ${START_LIMIT_MS / 1_000} s`));
    }, START_LIMIT_MS);
    try {
      this.port = await this.listening.promise;
      return this.port;
    } catch (error) {
      this.child.kill('SIGKILL');
      await this.child.exited;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Resolves once no handshake sees the old keys and parameters any more, or it has ended. Connections stay.
   *
   * @param dhparam see `TerminatorSettings`
   */
  renew(keys: PskKeys, dhparam: string): Promise<void> {
    if (this.hasEnded) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.renewals.push(resolve);
    this.tell({ type: 'renew', keys: pairs(keys), dhparam });
    return promise;
  }

  /** Takes no more clients, and ends when those it has are gone, or after a moment. */
  close(): void {
    if (this.hasEnded) return;
    this.tell({ type: 'close' });
    const timer = setTimeout(() => this.child.kill('SIGKILL'), CLOSE_LIMIT_MS);
    timer.unref();
    void this.child.exited.then(() => clearTimeout(timer));
  }

  private tell(message: object): void {
    try {
      void this.child.stdin.write(`${JSON.stringify(message)}\n`);
      // A write to a program that has ended fails; that it ended is told by its exit.
      void Promise.resolve(this.child.stdin.flush()).catch(() => {});
    } catch {
      // as above
    }
  }

  private async watch(): Promise<void> {
    const { child } = this;
    const reading = this.readReports().catch((error: unknown) => {
      this.errorText = `Error: it reports what nobody understands: ${String(error)}`;
      child.kill('SIGKILL');
    });
    const everything = Promise.all([reading, this.readErrors()]);
    await child.exited;
    // Something that it started may hold its output open.
    await Promise.race([everything, Bun.sleep(READ_LIMIT_MS)]);
    this.hasEnded = true;
    const cause = this.endCause();
    this.listening.reject(new TerminatorError(cause));
    for (const resolve of this.renewals.splice(0)) resolve();
    this.events.onEnd(cause);
  }

  private endCause(): string {
    const { signalCode, exitCode } = this.child;
    const how = signalCode === null ? `ended with status ${exitCode}` : `was ended by ${signalCode}`;
    const lines = this.errorText.split('\n').map((line) => line.trim());
    // Of a trace of Node.js, the line that names the error; of anything else, the last one.
    const line = lines.findLast((one) => /^\w*Error\b/.test(one)) ?? lines.findLast((one) => one !== '');
    return line === undefined ? how : `${how} (${line})`;
  }

  private async readReports(): Promise<void> {
    const decoder = new TextDecoder();
    let unread = '';
    for await (const chunk of this.child.stdout) {
      const lines = (unread + decoder.decode(chunk, { stream: true })).split('\n');
      unread = lines.pop()!;
      for (const line of lines) this.handle(line);
    }
  }

  /** Only the program writes here, so anything that is no report is a defect, and its end. */
  private handle(line: string): void {
    const report = JSON.parse(line) as Report;
    switch (report.type) {
      case 'listening':
        return this.listening.resolve(report.port);
      case 'refused':
        return this.listening.reject(new TerminatorError(report.message, report.option, report.code));
      case 'renewed':
        return this.renewals.shift()?.();
      case 'failure':
        return this.events.onFailure(report);
    }
  }

  private async readErrors(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.child.stderr) {
      this.errorText = (this.errorText + decoder.decode(chunk, { stream: true })).slice(-MAX_ERROR_TEXT);
    }
  }
}

function pairs(keys: PskKeys): [identity: string, hex: string][] {
  return Array.from(keys, ([identity, key]) => [identity, Buffer.from(key).toString('hex')]);
}

/**
 * The Node.js that the program runs on.
 *
 * @param name a program in PATH, or a path
 * @throws TerminatorError with what is wrong and what to do
 */
export function findNode(name: string): string {
  const path = Bun.which(name);
  const help = `TLS-PSK needs Node.js ${MIN_NODE_MAJOR} or newer: install it, or take psk_hint out of the configuration`;
  if (path === null) throw new TerminatorError(`there is no program '${name}' in PATH. ${help}`);
  const version = Bun.spawnSync([path, '-p', 'process.versions.bun ? "bun" : process.versions.node'], {
    env: nodeEnvironment(),
    stdin: 'ignore',
    stderr: 'ignore',
    timeout: START_LIMIT_MS,
  });
  const text = version.stdout.toString().trim();
  if (Number.parseInt(text, 10) >= MIN_NODE_MAJOR) return path;
  const what = /^\d/.test(text) ? `Node.js ${text}` : text === 'bun' ? 'Bun, whose TLS has no PSK' : 'no Node.js';
  throw new TerminatorError(`${path} is ${what}. ${help}`);
}
