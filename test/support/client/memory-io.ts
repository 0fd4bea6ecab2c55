import type { SrvRecord } from 'node:dns';
import type { CommandIo, CommandOutput } from '../../../src/cli/client-io.ts';

/** Keeps what a command writes. A test may make its reader slow (`isBlocked`) or go away (`breakOff`). */
export class MemoryOutput implements CommandOutput {
  onIdle: (() => void) | null = null;
  isBroken = false;
  isBlocked = false;
  private readonly parts: Uint8Array[] = [];
  private blocked = 0;

  get bufferedBytes(): number {
    return this.blocked;
  }

  write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.writeBytes(bytes, 0, bytes.length);
  }

  writeBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.isBroken) return;
    this.parts.push(bytes.slice(start, end));
    if (this.isBlocked) this.blocked += end - start;
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  unblock(): void {
    this.isBlocked = false;
    this.blocked = 0;
    this.onIdle?.();
  }

  breakOff(): void {
    this.isBroken = true;
    this.onIdle?.();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }

  get text(): string {
    return this.bytes.toString();
  }
}

/** Surroundings of a command in memory. */
export class MemoryIo implements CommandIo {
  readonly stdout = new MemoryOutput();
  readonly stderr = new MemoryOutput();
  readonly pid = 4711;
  env: Readonly<Record<string, string>> = {};
  rawWords: () => Uint8Array[] | null = () => null;
  resolveSrv: (name: string) => Promise<SrvRecord[]> = () => Promise.reject(new Error('no DNS'));
  readonly stdin: () => ReadableStream<Uint8Array>;
  private readonly stopCallbacks = new Set<() => void>();

  constructor(input: string | Uint8Array | ReadableStream<Uint8Array> = '') {
    this.stdin = () => (input instanceof ReadableStream ? input : new Blob([input]).stream());
  }

  readonly onStopSignal = (callback: () => void): (() => void) => {
    this.stopCallbacks.add(callback);
    return () => this.stopCallbacks.delete(callback);
  };

  /** As SIGTERM does. */
  stop(): void {
    for (const callback of this.stopCallbacks) callback();
  }
}
