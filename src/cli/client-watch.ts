import type { CommandOutput } from './client-io.ts';

/** Below the line that names the broker. */
const FIRST_LINE = 2;
/** Topics that have a line; what comes beyond any terminal goes to the last one. */
const MAX_TOPICS = 10_000;

/** `-w`: a terminal on which each topic keeps the line that it got with its first message. */
export class WatchScreen {
  private readonly output: CommandOutput;
  private readonly lines = new Map<string, number>();

  constructor(output: CommandOutput) {
    this.output = output;
  }

  begin(broker: string): void {
    this.output.write(`\x1b[2J\x1b[1;1HBroker: ${broker}\n`);
  }

  /** To the beginning of the topic's line, which is empty then. */
  moveTo(topicName: string): void {
    let line = this.lines.get(topicName);
    if (line === undefined) {
      line = FIRST_LINE + Math.min(this.lines.size, MAX_TOPICS - 1);
      if (this.lines.size < MAX_TOPICS) this.lines.set(topicName, line);
    }
    this.output.write(`\x1b[${line};1H\x1b[K`);
  }

  /** Below the last line, so that the prompt of a shell does not hide one. */
  moveToEnd(): void {
    this.output.write(`\x1b[${FIRST_LINE + this.lines.size - 1};1H\n`);
  }
}
