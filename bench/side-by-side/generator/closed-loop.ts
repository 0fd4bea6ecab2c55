/**
 * The pipelined load: each route keeps up to `window` messages under way and sends more only as its receivers count
 * them. So a broker is always busy and never has reason to drop QoS 0 or to queue without bound, and both brokers get
 * the same pressure whatever their speed. Phases end by time, then everything under way is awaited.
 */
import type { Route, RouteDriver } from './route.ts';

export interface PumpResult {
  /** Messages published. */
  sent: number;
  /** What receivers counted, and what they should have. */
  deliveries: number;
  expected: number;
  /** From the first write to the last delivery. */
  seconds: number;
  generatorCpuSeconds: number;
  balanced: boolean;
}

/** After the last delivery: time for a surplus copy to show up and for the last acknowledgements to be read. */
export const settleMs = 100;

export class ClosedLoop implements RouteDriver {
  private running = true;
  private expected = 0;
  private received = 0;
  private finish: (() => void) | null = null;
  private readonly routes: readonly Route[];
  private readonly stallMs: number;

  /** `stallMs`: without a single delivery for so long, the phase ends as it is. */
  constructor(routes: readonly Route[], stallMs = 5_000) {
    this.routes = routes;
    this.stallMs = stallMs;
  }

  async run(seconds: number): Promise<PumpResult> {
    for (const route of this.routes) {
      route.reset();
      route.driver = this;
    }
    const finished = new Promise<void>((resolve) => {
      this.finish = resolve;
    });
    const cpu = process.cpuUsage();
    const startedNs = Bun.nanoseconds();
    for (const route of this.routes) this.refill(route);
    const stop = setTimeout(() => {
      this.running = false;
      this.finishWhenDrained();
    }, seconds * 1000);
    let seen = -1;
    const watchdog = setInterval(() => {
      if (this.received === seen) this.finish?.();
      seen = this.received;
    }, this.stallMs);
    await finished;
    const wallSeconds = (Bun.nanoseconds() - startedNs) / 1e9;
    const used = process.cpuUsage(cpu);
    clearTimeout(stop);
    clearInterval(watchdog);
    await Bun.sleep(settleMs);
    let sent = 0;
    for (const route of this.routes) {
      sent += route.sent;
      route.driver = null;
    }
    return {
      sent,
      deliveries: this.received,
      expected: this.expected,
      seconds: wallSeconds,
      generatorCpuSeconds: (used.user + used.system) / 1e6,
      balanced: this.routes.every((route) => route.balanced),
    };
  }

  onProgress(route: Route, deliveries: number): void {
    this.received += deliveries;
    if (this.running) this.refill(route);
    else this.finishWhenDrained();
  }

  /** In batches of at least a quarter of the window, so that the load does not decay into single packets. */
  private refill(route: Route): void {
    const room = route.window - route.outstanding;
    if (room < 1 || room < route.window >> 2) return;
    this.expected += room * route.members.length;
    route.sendBatch(room);
  }

  private finishWhenDrained(): void {
    if (this.received < this.expected) return;
    for (const route of this.routes) if (route.outstanding > 0) return;
    this.finish?.();
  }
}
