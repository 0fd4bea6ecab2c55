/** Samples kept: five minutes at one a second. */
export const HISTORY_SAMPLES = 300;

/** What is kept of each second: connections, and what went through per second. */
export const HISTORY_SERIES = ['connections', 'messagesIn', 'messagesOut', 'bytesIn', 'bytesOut'] as const;
export type HistorySeries = (typeof HISTORY_SERIES)[number];

/** Levels and running totals at one moment. */
export type HistoryReading = Record<HistorySeries, number>;

export interface HistorySlice {
  /** Sequence number of the sample that will follow the last one here. */
  readonly next: number;
  /** Oldest first. */
  readonly series: Record<HistorySeries, number[]>;
}

/** The last five minutes in fixed memory, so that somebody who opens the status page sees what was before. */
export class History {
  private readonly rings: Record<HistorySeries, Float64Array> = {
    connections: new Float64Array(HISTORY_SAMPLES),
    messagesIn: new Float64Array(HISTORY_SAMPLES),
    messagesOut: new Float64Array(HISTORY_SAMPLES),
    bytesIn: new Float64Array(HISTORY_SAMPLES),
    bytesOut: new Float64Array(HISTORY_SAMPLES),
  };
  private next = 0;
  private previous: HistoryReading;
  private previousMs: number;

  /** @param nowMs monotonic milliseconds, as for `record` */
  constructor(nowMs: number, reading: HistoryReading) {
    this.previous = reading;
    this.previousMs = nowMs;
  }

  record(nowMs: number, reading: HistoryReading): void {
    const seconds = Math.max(0.001, (nowMs - this.previousMs) / 1_000);
    const place = this.next % HISTORY_SAMPLES;
    for (const name of HISTORY_SERIES) {
      this.rings[name][place] =
        name === 'connections' ? reading[name] : Math.max(0, reading[name] - this.previous[name]) / seconds;
    }
    this.next++;
    this.previous = reading;
    this.previousMs = nowMs;
  }

  /** The value of the last sample; 0 before the first. */
  latest(name: HistorySeries): number {
    return this.next === 0 ? 0 : this.rings[name][(this.next - 1) % HISTORY_SAMPLES]!;
  }

  /** Samples from sequence number `since` on, as far as they are kept. A number from another time gives all of them. */
  since(since: number): HistorySlice {
    const oldest = Math.max(0, this.next - HISTORY_SAMPLES);
    const first = since >= oldest && since <= this.next ? since : oldest;
    const series = Object.fromEntries(
      HISTORY_SERIES.map((name) => [name, this.range(this.rings[name], first)]),
    ) as Record<HistorySeries, number[]>;
    return { next: this.next, series };
  }

  private range(ring: Float64Array, first: number): number[] {
    const values: number[] = [];
    for (let i = first; i < this.next; i++) values.push(Math.round(ring[i % HISTORY_SAMPLES]! * 10) / 10);
    return values;
  }
}
