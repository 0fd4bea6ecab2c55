/** What a flow is, what it may report, and how the broker's CPU is taken around a phase. */
import type { BrokerProcess } from './broker-process.ts';
import type { LoadProcess } from './load-process.ts';
import { cpuSecondsBetween, machineBusySeconds, readCpu } from './proc.ts';

/** Units are in the names where they are not: `rate` and `connectsPerCore` are a second; p50 and the like, ms. */
export const metricLabels = {
  rate: 'rate /s',
  cpuPerDeliveryUs: 'cpu us/dlv',
  cpuPerConnectUs: 'cpu us/conn',
  connectsPerCore: 'conn/s/core',
  p50: 'p50 ms',
  p99: 'p99 ms',
  p999: 'p99.9 ms',
  lagP99: 'lag p99 ms',
  rssPerConnectionBytes: 'rss B/conn',
  baseRssMiB: 'base MiB',
  rssFirstTenthMiB: '1st tenth MiB',
  rssPeakMiB: 'peak MiB',
  rssEndMiB: 'end MiB',
  growthPercent: 'growth %',
  brokerCpuSeconds: 'cpu s',
  generatorUsPerMessage: 'gen us/dlv',
  otherCores: 'other cores',
} as const;

export type Metric = keyof typeof metricLabels;

export interface Measurement {
  /** Empty where the flow measures one thing. */
  variant: string;
  metrics: Partial<Record<Metric, number>>;
  /** Messages that receivers counted (connections for the connection flows), and what they should have been. */
  deliveries: number;
  expected: number;
  complete: boolean;
  notes: string[];
}

/** A number to reach. `ratio` compares with the reference broker, the others stand alone. */
export interface Goal {
  variant: string;
  metric: Metric;
  kind: 'ratioAtMost' | 'atMost' | 'atLeast';
  limit: number;
}

export interface Stage {
  broker: BrokerProcess;
  load: LoadProcess;
  short: boolean;
}

export interface Flow {
  name: string;
  tls: boolean;
  /** One line: who sends what to whom, and for how long. */
  describe(short: boolean): string;
  /** Open files that the flow needs in the broker, and again in the generator. */
  connections(short: boolean): number;
  columns: readonly Metric[];
  goals: readonly Goal[];
  run(stage: Stage): Promise<Measurement[]>;
}

/** Seconds of broker CPU under which a figure per delivery is too noisy to be called measured. */
export const wantedCpuSeconds = 2;
/** CPU of other programs, in cores, above which a figure is suspect. */
export const tolerableOtherCores = 0.15;

export interface Accounted<Result> {
  result: Result;
  /** NaN where the broker ended meanwhile. */
  brokerCpuSeconds: number;
  /** CPU that neither broker, generator nor bench used meanwhile, in cores. */
  otherCores: number;
}

/** `work` resolves when queues are drained: the clock of the broker's CPU stops after it. */
export async function accountCpu<Result>(stage: Stage, work: () => Promise<Result>): Promise<Accounted<Result>> {
  const read = () => ({
    broker: readCpu(stage.broker.pid),
    load: readCpu(stage.load.pid),
    own: process.cpuUsage(),
    busy: machineBusySeconds(),
    atMs: performance.now(),
  });
  const before = read();
  const result = await work();
  const after = read();
  const brokerCpuSeconds = stage.broker.ended ? NaN : cpuSecondsBetween(before.broker, after.broker);
  const own = after.own.user + after.own.system - before.own.user - before.own.system;
  const known = brokerCpuSeconds + cpuSecondsBetween(before.load, after.load) + own / 1e6;
  const other = after.busy - before.busy - known;
  return {
    result,
    brokerCpuSeconds,
    otherCores: Math.max(0, (other * 1000) / (after.atMs - before.atMs)),
  };
}

/** Notes on what makes a result doubtful; the caller marks it incomplete where `problems` has any. */
export async function checkStage(stage: Stage): Promise<string[]> {
  const problems: string[] = [];
  if (stage.broker.ended) problems.push('the broker ended by itself');
  const faults = await stage.load.call('faults', null);
  if (faults.lostConnections > 0) problems.push(`${faults.lostConnections} connections were lost`);
  if (faults.unexpectedPackets > 0) problems.push(`${faults.unexpectedPackets} packets were not expected`);
  return problems;
}

export function qualityNotes(short: boolean, brokerCpuSeconds: number, otherCores: number): string[] {
  const notes: string[] = [];
  if (!short && brokerCpuSeconds < wantedCpuSeconds) {
    notes.push(`only ${brokerCpuSeconds.toFixed(2)} s of broker CPU: a short sample`);
  }
  if (otherCores > tolerableOtherCores) notes.push(`other programs used ${otherCores.toFixed(2)} cores`);
  return notes;
}
