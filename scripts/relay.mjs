// Stands between a terminal or a service manager and a child process: what stops or pokes us stops or pokes the child,
// and its end becomes ours. Node.js cannot replace its own process, so somebody has to carry the signals.

import { constants } from 'node:os';
import { isatty } from 'node:tty';

const relayedSignals =
  process.platform === 'win32' ? ['SIGINT', 'SIGTERM'] : ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'];
const parentCheckMs = 1_000;

/**
 * Resolves when the child has ended and its pipes are drained, with the exit status a shell would report (128 + number
 * for a signal). Rejects when the child could not be started. While it waits, signals go on to the child and do not end
 * this process; `onSignal` hears of each.
 *
 * A terminal's Ctrl-C reaches every process of the foreground group, the child included; relaying it as well would make
 * one key press look like two, which many programs take as "do not wait for a clean end". So SIGINT is left to the
 * terminal when there is one.
 *
 * npm that is killed outright cannot pass a signal on. Started by npm, we end the child when npm has gone, so that no
 * broker is left holding its ports.
 */
export async function waitForChild(child, onSignal = () => {}) {
  const hasTerminal = isatty(0) || isatty(1) || isatty(2);
  const listeners = relayedSignals.map((signal) => {
    const listener = () => {
      onSignal(signal);
      if (signal !== 'SIGINT' || !hasTerminal) child.kill(signal);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  const parent = process.ppid;
  const watch =
    process.env['npm_lifecycle_event'] === undefined
      ? undefined
      : setInterval(() => {
          if (process.ppid === parent) return;
          clearInterval(watch);
          child.kill('SIGTERM');
        }, parentCheckMs).unref();
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status, signal) => resolve(status ?? 128 + (constants.signals[signal] ?? 0)));
    });
  } finally {
    clearInterval(watch);
    for (const { signal, listener } of listeners) process.off(signal, listener);
  }
}
