// Asks for a secret on a terminal without showing it, or takes a line of whatever standard input is.
import { ExitStatus } from './exit-status.ts';

/** What is typed, as bytes. */
export interface SecretInput {
  readonly isTerminal: boolean;
  /** Resolves with null at the end of input. */
  read(): Promise<Uint8Array | null>;
  /** Turns echo, line editing and signals of the terminal off and on again. */
  setRaw(isRaw: boolean): void;
  close(): void;
}

export function processInput(): SecretInput {
  const { stdin } = process;
  const isTerminal = stdin.isTTY === true;
  const reader = Bun.stdin.stream().getReader();
  const leave = () => {
    stdin.setRawMode(false);
    process.exit(ExitStatus.failure);
  };
  return {
    isTerminal,
    read: async () => (await reader.read()).value ?? null,
    setRaw: (isRaw) => {
      if (!isTerminal) return;
      stdin.setRawMode(isRaw);
      // Whoever ends us from outside gets the terminal back as it was.
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
        if (isRaw) process.on(signal, leave);
        else process.off(signal, leave);
      }
    },
    // What is left of the input is nobody's business any more, and must not keep the process alive.
    close: () => void reader.cancel().catch(() => {}),
  };
}

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const BACKSPACE = 0x08;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const CTRL_U = 0x15;
const DELETE = 0x7f;

/**
 * Reads one secret after the other; what was typed ahead is not lost. From the first prompt to `close`, the terminal
 * shows nothing of what is typed.
 */
export class SecretReader {
  private readonly input: SecretInput;
  private ahead: Uint8Array = new Uint8Array(0);
  private isEnded = false;

  /** Call it before the first prompt is shown: whoever types fast is not waiting for it. */
  constructor(input: SecretInput) {
    this.input = input;
    input.setRaw(true);
  }

  /** The next line without its end, which may be empty; null where Ctrl-C was typed. */
  readLine(): Promise<Uint8Array | null> {
    return this.input.isTerminal ? this.readTyped() : this.readPlain();
  }

  private async fill(): Promise<boolean> {
    if (this.isEnded) return false;
    const chunk = await this.input.read();
    if (chunk === null) {
      this.isEnded = true;
      return false;
    }
    this.ahead = this.ahead.length === 0 ? chunk.slice() : Buffer.concat([this.ahead, chunk]);
    return true;
  }

  private async readPlain(): Promise<Uint8Array> {
    for (;;) {
      const end = this.ahead.indexOf(LINE_FEED);
      if (end >= 0 || !(await this.fill())) {
        const line = end < 0 ? this.ahead : this.ahead.slice(0, end);
        this.ahead = end < 0 ? new Uint8Array(0) : this.ahead.slice(end + 1);
        let length = line.length;
        while (line[length - 1] === CARRIAGE_RETURN) length--;
        return line.slice(0, length);
      }
    }
  }

  private async readTyped(): Promise<Uint8Array | null> {
    const line: number[] = [];
    for (;;) {
      for (let i = 0; i < this.ahead.length; i++) {
        const byte = this.ahead[i]!;
        const isEnd = byte === CARRIAGE_RETURN || byte === LINE_FEED || (byte === CTRL_D && line.length === 0);
        if (isEnd || byte === CTRL_C) {
          this.ahead = this.ahead.slice(i + 1);
          return isEnd ? Uint8Array.from(line) : null;
        }
        if (byte === CTRL_U) line.length = 0;
        else if (byte === BACKSPACE || byte === DELETE) {
          // The bytes of a UTF-8 character behind its first are 10xxxxxx.
          while (((line.pop() ?? 0) & 0xc0) === 0x80);
        } else if (byte !== CTRL_D) line.push(byte);
      }
      this.ahead = new Uint8Array(0);
      if (!(await this.fill())) return Uint8Array.from(line);
    }
  }

  close(): void {
    this.input.setRaw(false);
    this.input.close();
  }
}
