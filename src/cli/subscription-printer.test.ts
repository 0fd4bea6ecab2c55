// The list of subscriptions, and readers that do not take it.
import { expect, test } from 'bun:test';
import { LogLines } from '../../test/support/test-broker.ts';
import type { CommandOutput } from './client-io.ts';
import type { RunningBroker } from './running-broker.ts';
import { SubscriptionPrinter } from './subscription-printer.ts';

/** An output whose reader takes what is written when it is told to. */
class Reader implements CommandOutput {
  onIdle: (() => void) | null = null;
  isBroken = false;
  bufferedBytes = 0;
  text = '';
  private waiting: (() => void)[] = [];

  write(text: string): void {
    this.text += text;
    this.bufferedBytes += text.length;
  }

  writeBytes(): never {
    throw new Error('text alone is written');
  }

  flush(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  take(): void {
    this.bufferedBytes = 0;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  breakOff(): void {
    this.isBroken = true;
    this.take();
  }
}

/** Writes these parts, each once the one before was taken, and counts one subscription for each. */
function listing(...parts: readonly string[]): Pick<RunningBroker, 'listSubscriptions'> {
  return {
    async listSubscriptions(write) {
      let count = 0;
      for (const part of parts) {
        count++;
        if (!(await write(part))) break;
      }
      return count;
    },
  };
}

function printer(patienceMs = 60_000) {
  const reader = new Reader();
  const log = new LogLines();
  const { lines } = log;
  return { reader, lines, printer: new SubscriptionPrinter(listing('a\n', 'b\n'), log, reader, patienceMs) };
}

/** Until all that is due now has happened. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('one part is written at a time, and the next one once it was taken', async () => {
  const { printer: one, reader, lines } = printer();
  const printed = one.print();
  await settle();
  expect(reader.text).toBe('a\n');
  reader.take();
  await settle();
  expect(reader.text).toBe('a\nb\n');
  reader.take();
  await printed;
  expect(lines).toEqual(['SIGUSR2: 2 subscriptions written to standard output.']);
});

test('a second request while the first one is being written is answered in the log', async () => {
  const { printer: one, reader, lines } = printer();
  const printed = one.print();
  await settle();
  await one.print();
  expect(lines).toEqual(['SIGUSR2: the list asked for before is not written yet.']);
  reader.take();
  await settle();
  reader.take();
  await printed;
  expect(reader.text).toBe('a\nb\n');
  const again = one.print();
  await settle();
  expect(reader.text).toBe('a\nb\na\n');
  reader.breakOff();
  await again;
});

const untaken = 'Warning: SIGUSR2: standard output does not take the list of subscriptions.';

test('a reader who takes nothing gets no more, also at the next request', async () => {
  const { printer: one, reader, lines } = printer(1);
  await one.print();
  expect(reader.text).toBe('a\n');
  expect(lines).toEqual([untaken]);
  await one.print();
  expect(reader.text).toBe('a\n');
  expect(lines.at(-1)).toBe('SIGUSR2: the list asked for before is not written yet.');
});

test('a reader who is gone ends the list', async () => {
  const { printer: one, reader, lines } = printer();
  const printed = one.print();
  await settle();
  reader.breakOff();
  await printed;
  expect(reader.text).toBe('a\n');
  expect(lines).toEqual([untaken]);
});
