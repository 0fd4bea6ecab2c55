import { isatty } from 'node:tty';
import { formatBytes } from '../http/format.ts';
import type { CommandOutput } from './client-io.ts';

/** Work that is over before says nothing. */
const SILENT_MS = 1_000;
const REDRAW_MS = 100;
/** Between lines where the output is no terminal. */
const LINE_MS = 10_000;

/** How far a long work is, on standard error: one line that changes on a terminal, else a line now and then. */
export class Progress {
  private readonly output: CommandOutput;
  private readonly isTerminal: boolean;
  private readonly startedMs = performance.now();
  private nextMs = SILENT_MS;
  private isShown = false;

  constructor(output: CommandOutput, isTerminal = isatty(2)) {
    this.output = output;
    this.isTerminal = isTerminal;
  }

  /** @param bytes of what is worked on */
  share(what: string, bytes: number, done: number, total: number): void {
    const percent = total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 100));
    this.show(() => `${what} (${formatBytes(bytes)}): ${percent} %`);
  }

  step(what: string, done: number, total: number): void {
    this.show(() => `${what} (step ${done} of ${total})`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.isShown && this.isTerminal) this.output.write('\r\x1b[K');
    this.isShown = false;
  }

  private show(text: () => string): void {
    const nowMs = performance.now() - this.startedMs;
    if (nowMs < this.nextMs) return;
    this.nextMs = nowMs + (this.isTerminal ? REDRAW_MS : LINE_MS);
    this.isShown = true;
    this.output.write(this.isTerminal ? `\r${text()}\x1b[K` : `${text()}\n`);
  }
}
