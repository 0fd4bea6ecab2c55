/** Timers and `performance.now` that move only when a test says so: what runs on them runs the same way each time. */

interface Timer {
  readonly id: number;
  readonly run: () => void;
  readonly everyMs: number;
  dueMs: number;
}

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
  now: performance.now,
  sleep: Bun.sleep,
};

/** A handle as the real functions give it, as far as the broker uses it. */
class Handle {
  readonly id: number;

  constructor(id: number) {
    this.id = id;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

type Callback = (...args: unknown[]) => void;

/** Takes the place of the global timers from `install` to `uninstall`. */
export class VirtualTime {
  nowMs = 1_000;
  private lastId = 0;
  private readonly timers = new Map<number, Timer>();
  private readonly immediates = new Map<number, () => void>();

  install(): void {
    const start = (run: Callback, ms: number, everyMs: number): Handle => {
      const id = ++this.lastId;
      this.timers.set(id, { id, run, everyMs, dueMs: this.nowMs + Math.max(1, ms) });
      return new Handle(id);
    };
    const stop = (handle: unknown): void => {
      if (!(handle instanceof Handle)) return;
      this.timers.delete(handle.id);
      this.immediates.delete(handle.id);
    };
    Object.assign(globalThis, {
      setTimeout: (run: Callback, ms = 0) => start(run, ms, 0),
      setInterval: (run: Callback, ms = 0) => start(run, ms, Math.max(1, ms)),
      setImmediate: (run: Callback) => {
        const id = ++this.lastId;
        this.immediates.set(id, run);
        return new Handle(id);
      },
      clearTimeout: stop,
      clearInterval: stop,
      clearImmediate: stop,
    });
    performance.now = () => this.nowMs;
    Object.assign(Bun, { sleep: (ms: number) => new Promise<void>((resolve) => start(() => resolve(), ms, 0)) });
  }

  uninstall(): void {
    const { now, sleep, ...timers } = real;
    Object.assign(globalThis, timers);
    performance.now = now;
    Object.assign(Bun, { sleep });
  }

  /** Forgets all that was to run: the process is gone. */
  forgetAll(): void {
    this.timers.clear();
    this.immediates.clear();
  }

  /** One turn of the loop, `ms` after the last one: immediates, timers that are due, and the promises they settle. */
  async turn(ms: number): Promise<void> {
    this.nowMs += ms;
    const immediates = [...this.immediates];
    for (const [id, run] of immediates) {
      if (!this.immediates.delete(id)) continue;
      run();
      await settlePromises();
    }
    const due = [...this.timers.values()].filter(({ dueMs }) => dueMs <= this.nowMs).sort(byDueTime);
    for (const timer of due) {
      if (!this.timers.has(timer.id)) continue;
      if (timer.everyMs === 0) this.timers.delete(timer.id);
      else timer.dueMs = this.nowMs + timer.everyMs;
      timer.run();
      await settlePromises();
    }
    await settlePromises();
  }
}

function byDueTime(a: Timer, b: Timer): number {
  return a.dueMs - b.dueMs || a.id - b.id;
}

/** Promises that wait for nothing outside settle before the next turn of the real loop. */
export function settlePromises(): Promise<void> {
  return new Promise((resolve) => real.setImmediate(resolve));
}
