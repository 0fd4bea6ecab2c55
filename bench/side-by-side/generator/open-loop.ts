/**
 * The paced load: message i is due at i / rate, whatever the broker does, and its latency counts from when it was due
 * (so a stall is paid by every message that it delayed). Timers tick in milliseconds, coarser than a broker's latency:
 * the loop polls the clock between socket events instead and takes one core while a phase lasts. How late the
 * generator itself was is recorded apart.
 */
import { build, type Histogram } from 'hdr-histogram-js';
import { settleMs } from './closed-loop.ts';
import type { Route, RouteDriver } from './route.ts';
import type { StampSink } from './link.ts';

export interface PaceResult {
  sent: number;
  deliveries: number;
  expected: number;
  seconds: number;
  balanced: boolean;
  /** Milliseconds from when a message was due to when a receiver had it. */
  p50: number;
  p99: number;
  p999: number;
  max: number;
  /** Milliseconds from when a message was due to when the generator wrote it: part of the latencies above. */
  lagP50: number;
  lagP99: number;
}

const drainMs = 10_000;

/** Microseconds, three significant digits. */
export function latencyHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });
}

export function millisecondsAt(histogram: Histogram, percentile: number): number {
  return histogram.totalCount === 0 ? 0 : histogram.getValueAtPercentile(percentile) / 1000;
}

export class OpenLoop implements RouteDriver, StampSink {
  private readonly latencies = latencyHistogram();
  private readonly lags = latencyHistogram();
  private readonly routes: readonly Route[];
  private readonly epochNs = Bun.nanoseconds();
  private received = 0;

  constructor(routes: readonly Route[]) {
    this.routes = routes;
  }

  /** `rate`: messages a second over all routes, which take turns. */
  async run(rate: number, seconds: number): Promise<PaceResult> {
    let fanOut = 0;
    for (const route of this.routes) {
      route.reset();
      route.driver = this;
      fanOut = route.members.length;
      for (const member of route.members) member.link.stamps = this;
    }
    Bun.gc(true);
    const total = Math.max(1, Math.round(rate * seconds));
    const startUs = this.nowUs();
    await this.publish(total, 1e6 / rate, startUs);
    const elapsedSeconds = (this.nowUs() - startUs) / 1e6;
    const expected = total * fanOut;
    const deadlineUs = this.nowUs() + drainMs * 1000;
    while (!this.routes.every((route) => route.balanced) && this.nowUs() < deadlineUs) await Bun.sleep(5);
    await Bun.sleep(settleMs);
    for (const route of this.routes) {
      route.driver = null;
      for (const member of route.members) member.link.stamps = null;
    }
    return {
      sent: total,
      deliveries: this.received,
      expected,
      seconds: elapsedSeconds,
      balanced: this.routes.every((route) => route.balanced),
      p50: millisecondsAt(this.latencies, 50),
      p99: millisecondsAt(this.latencies, 99),
      p999: millisecondsAt(this.latencies, 99.9),
      max: millisecondsAt(this.latencies, 100),
      lagP50: millisecondsAt(this.lags, 50),
      lagP99: millisecondsAt(this.lags, 99),
    };
  }

  onProgress(_route: Route, deliveries: number): void {
    this.received += deliveries;
  }

  onStamp(dueMicroseconds: number): void {
    this.latencies.recordValue(Math.max(1, Math.round(this.nowUs() - dueMicroseconds)));
  }

  private nowUs(): number {
    return (Bun.nanoseconds() - this.epochNs) / 1000;
  }

  private publish(total: number, spacingUs: number, startUs: number): Promise<void> {
    let index = 0;
    return new Promise((resolve) => {
      const turn = (): void => {
        let nowUs = this.nowUs();
        for (;;) {
          const dueUs = Math.floor(startUs + index * spacingUs);
          if (dueUs > nowUs) break;
          const route = this.routes[index % this.routes.length];
          route?.sendStamped(dueUs);
          nowUs = this.nowUs();
          this.lags.recordValue(Math.max(1, Math.round(nowUs - dueUs)));
          index++;
          if (index === total) {
            resolve();
            return;
          }
        }
        setImmediate(turn);
      };
      turn();
    });
  }
}
