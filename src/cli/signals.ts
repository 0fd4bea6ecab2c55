// What the signals mean that operators and service managers send.

/**
 * A signal this long after the first one that ends is a second wish, in milliseconds. Those that come sooner are copies of
 * the first one: npm hands on what a terminal or a service manager has sent to the whole group.
 */
const AGAIN_MS = 200;

/**
 * Resolves with the first signal that ends the broker. A second one ends the process at once with status 1, for people who
 * do not want to wait.
 *
 * @param onHangup called for each SIGHUP; where it is null, SIGHUP ends the broker, too
 */
export function waitForEnd(onHangup: (() => void) | null): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let endedAtMs: number | null = null;
    const end = (signal: NodeJS.Signals) => {
      const nowMs = performance.now();
      if (endedAtMs !== null && nowMs - endedAtMs >= AGAIN_MS) process.exit(1);
      endedAtMs ??= nowMs;
      resolve(signal);
    };
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
    process.on('SIGHUP', onHangup ?? end);
  });
}

/** What an operator may ask of a broker that runs. */
export interface OperatorWishes {
  /** SIGUSR1. */
  save(): void;
  /** SIGUSR2. */
  list(): void;
}

/** Without them these signals would end the process. */
export function onOperatorSignals({ save, list }: OperatorWishes): void {
  process.on('SIGUSR1', save);
  process.on('SIGUSR2', list);
}
