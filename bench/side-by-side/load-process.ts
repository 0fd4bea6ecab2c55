/** A load-generator child process, seen from the bench: typed calls, a deadline for each, and its own end. */
import { fileURLToPath } from 'node:url';
import type { Subprocess } from 'bun';
import type { LoadCalls, ReplyMessage } from './generator/calls.ts';

type Options<Name extends keyof LoadCalls> = Parameters<LoadCalls[Name]>[0];
type Result<Name extends keyof LoadCalls> = Awaited<ReturnType<LoadCalls[Name]>>;

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (cause: Error) => void;
}

function isReplyMessage(value: unknown): value is ReplyMessage {
  return typeof value === 'object' && value !== null && 'id' in value && ('result' in value || 'error' in value);
}

export class LoadProcess {
  private readonly child: Subprocess<'ignore', 'inherit', 'inherit'>;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 1;

  constructor() {
    this.child = Bun.spawn([process.execPath, fileURLToPath(new URL('./generator/main.ts', import.meta.url))], {
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'inherit',
      ipc: (message: unknown) => this.onReply(message),
      onExit: () => {
        for (const { reject } of this.waiting.values()) reject(new Error('the load generator ended by itself'));
        this.waiting.clear();
      },
    });
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Rejects with what failed in the generator, or after `deadlineSeconds`. */
  call<Name extends keyof LoadCalls>(name: Name, options: Options<Name>, deadlineSeconds = 300): Promise<Result<Name>> {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`the load generator did not finish ${name} within ${deadlineSeconds} s`));
      }, deadlineSeconds * 1000);
      this.waiting.set(id, {
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result as Result<Name>);
        },
        reject: (cause) => {
          clearTimeout(timer);
          reject(cause);
        },
      });
      this.child.send({ id, call: name, options });
    });
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.child.exited;
  }

  private onReply(message: unknown): void {
    if (!isReplyMessage(message)) return;
    const waiting = this.waiting.get(message.id);
    if (waiting === undefined) return;
    this.waiting.delete(message.id);
    if ('error' in message) waiting.reject(new Error(message.error));
    else waiting.resolve(message.result);
  }
}
