import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../session/clock.ts';
import { History, type HistoryReading } from './history.ts';
import { LoopLag } from './loop-lag.ts';

const INTERVAL_MS = 1_000;

function read(broker: Broker): HistoryReading {
  const { counters } = broker;
  return {
    connections: broker.connectionCount,
    messagesIn: counters.publishReceived,
    messagesOut: counters.publishSent,
    bytesIn: counters.bytesReceived,
    bytesOut: counters.bytesSent,
  };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** The only timer of the HTTP side: once a second it notes how late it runs, and a sample for the charts. */
export class Sampler {
  readonly lag = new LoopLag();
  readonly history: History;
  /** Share of one core that the process used in the last second, 0 to the number of cores. */
  cpuShare = 0;
  private readonly broker: Broker;
  private readonly clock: Clock;
  private dueMs: number;
  private lastMs: number;
  private lastCpuMs = cpuMs();
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(broker: Broker, clock: Clock) {
    this.broker = broker;
    this.clock = clock;
    const now = clock.monotonicMs();
    this.history = new History(now, read(broker));
    this.dueMs = now + INTERVAL_MS;
    this.lastMs = now;
  }

  start(): void {
    this.schedule();
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** What the timer does: due one second after it ran last. */
  sample(): void {
    const now = this.clock.monotonicMs();
    this.lag.record(now - this.dueMs);
    this.history.record(now, read(this.broker));
    const cpu = cpuMs();
    this.cpuShare = (cpu - this.lastCpuMs) / Math.max(1, now - this.lastMs);
    this.lastCpuMs = cpu;
    this.lastMs = now;
    this.dueMs = now + INTERVAL_MS;
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      this.sample();
      this.schedule();
    }, INTERVAL_MS);
    // The server keeps the process alive as long as it should live; this does not.
    this.timer.unref();
  }
}
