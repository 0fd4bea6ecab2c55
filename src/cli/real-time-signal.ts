/// <reference path="./c-modules.d.ts" />
// SIGRTMIN, with which Mosquitto 2.1 reopens its log file: left alone, it ends the process.
import source from './real-time-signal.c' with { type: 'file' };
import { openLibc } from './libc.ts';

const POLL_MS = 1_000;
/** SIG_IGN. */
const IGNORE = 1;

/**
 * Calls back within a second of each SIGRTMIN. The runtime cannot; a few lines of C count them. Where they cannot be
 * compiled the signal is ignored.
 *
 * @returns whether it will call back
 */
export async function onRealTimeSignal(callback: () => void): Promise<boolean> {
  const { cc } = await import('bun:ffi');
  try {
    const { symbols } = cc({
      source,
      symbols: { watch: { args: [], returns: 'int' }, take: { args: [], returns: 'int' } },
    });
    if (symbols.watch() === 0) {
      setInterval(() => {
        if (symbols.take() > 0) callback();
      }, POLL_MS).unref();
      return true;
    }
  } catch {
    // no compiler on this machine, or none that works
  }
  await ignoreRealTimeSignal();
  return false;
}

/** Nothing happens at SIGRTMIN. */
export async function ignoreRealTimeSignal(): Promise<void> {
  try {
    const { symbols } = await openLibc({
      signal: { args: ['int', 'usize'], returns: 'usize' },
      __libc_current_sigrtmin: { args: [], returns: 'int' },
    });
    symbols.signal(symbols.__libc_current_sigrtmin(), IGNORE);
  } catch {
    // it is then as the system has it
  }
}
