/** Upper bounds of the histogram's buckets, in seconds. */
export const LAG_BOUNDS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

const RECENT = 5;

/**
 * How late timers run: the time that everything else in the process has to wait for its turn. Filled by a timer that
 * runs once a second; each run that is late by `lagMs` says that the loop was busy for that long.
 */
export class LoopLag {
  /** Probes by bucket, not cumulative; the last one holds what is above the highest bound. */
  readonly buckets: number[] = new Array<number>(LAG_BOUNDS_SECONDS.length + 1).fill(0);
  count = 0;
  sumSeconds = 0;
  private readonly recentMs: number[] = [];

  record(lagMs: number): void {
    const seconds = Math.max(0, lagMs) / 1_000;
    let bucket = LAG_BOUNDS_SECONDS.findIndex((bound) => seconds <= bound);
    if (bucket < 0) bucket = LAG_BOUNDS_SECONDS.length;
    this.buckets[bucket]!++;
    this.count++;
    this.sumSeconds += seconds;
    this.recentMs.push(Math.max(0, lagMs));
    if (this.recentMs.length > RECENT) this.recentMs.shift();
  }

  /** Seconds, of the last five probes; 0 before the first. A single pause counts for little, a loop that is always late for all. */
  get meanSeconds(): number {
    if (this.recentMs.length === 0) return 0;
    return this.recentMs.reduce((sum, lag) => sum + lag, 0) / this.recentMs.length / 1_000;
  }
}
