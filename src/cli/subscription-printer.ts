// SIGUSR2: who subscribes to what, on standard output.
import { type Logger, LogType } from '../broker/log.ts';
import { openWithoutBlocking } from '../log/log-stream.ts';
import { type CommandOutput, FileOutput } from './client-io.ts';
import type { RunningBroker } from './running-broker.ts';

/** A reader who takes nothing for so long gets no more. */
const PATIENCE_MS = 10_000;

/** The broker goes on while it prints, and waits for no reader. */
export class SubscriptionPrinter {
  private readonly broker: Pick<RunningBroker, 'listSubscriptions'>;
  private readonly log: Logger;
  private readonly patienceMs: number;
  private output: CommandOutput | null;
  private isPrinting = false;

  /** @param output null: standard output */
  constructor(
    broker: Pick<RunningBroker, 'listSubscriptions'>,
    log: Logger,
    output: CommandOutput | null = null,
    patienceMs = PATIENCE_MS,
  ) {
    this.broker = broker;
    this.log = log;
    this.output = output;
    this.patienceMs = patienceMs;
  }

  async print(): Promise<void> {
    this.output ??= new FileOutput(openWithoutBlocking(1));
    const { output } = this;
    if (this.isPrinting || output.bufferedBytes > 0) {
      this.tell(LogType.notice, 'SIGUSR2: the list asked for before is not written yet.');
      return;
    }
    this.isPrinting = true;
    let isTaken = true;
    try {
      const count = await this.broker.listSubscriptions(async (text) => {
        output.write(text);
        isTaken = await this.isWritten(output);
        return isTaken;
      });
      if (isTaken) this.tell(LogType.information, `SIGUSR2: ${count} subscriptions written to standard output.`);
      else this.tell(LogType.warning, 'Warning: SIGUSR2: standard output does not take the list of subscriptions.');
    } finally {
      this.isPrinting = false;
    }
  }

  private async isWritten(output: CommandOutput): Promise<boolean> {
    const timeout = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => timeout.resolve(false), this.patienceMs);
    const isWritten = await Promise.race([output.flush().then(() => !output.isBroken), timeout.promise]);
    clearTimeout(timer);
    return isWritten;
  }

  private tell(type: LogType, line: string): void {
    if ((this.log.types & type) !== 0) this.log.log(type, line);
  }
}
