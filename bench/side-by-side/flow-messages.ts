/** The flows that move messages: pipelined pairs, fan-out, and many slow pairs. */
import type { PumpResult } from './generator/closed-loop.ts';
import type { PaceResult } from './generator/open-loop.ts';
import { accountCpu, checkStage, qualityNotes, type Flow, type Goal, type Measurement, type Metric } from './flow.ts';

const payloadBytes = 64;

interface Routes {
  routes: number;
  fanOut: number;
  /** Messages under way for each publisher. */
  window: number;
}

interface Phases {
  warmSeconds: number;
  pumpSeconds: number;
  /** Messages a second over all publishers. */
  paceRate: number;
  paceSeconds: number;
}

interface PipelinedOptions {
  name: string;
  qos: 0 | 1;
  full: Routes & Phases;
  short: Routes & Phases;
  goals: readonly Goal[];
}

function cpuGoal(limit: number): Goal {
  return { variant: '', metric: 'cpuPerDeliveryUs', kind: 'ratioAtMost', limit };
}

function countNotes(phase: string, result: PumpResult | PaceResult): string[] {
  if (result.balanced && result.deliveries === result.expected) return [];
  return [`${phase}: ${result.deliveries} of ${result.expected} deliveries arrived, or not each where it should`];
}

const messageColumns: readonly Metric[] = [
  'rate',
  'cpuPerDeliveryUs',
  'p50',
  'p99',
  'p999',
  'lagP99',
  'brokerCpuSeconds',
  'generatorUsPerMessage',
  'otherCores',
];

/** A closed loop for the CPU, then an open loop for latency, on the same connections. */
function pipelined(options: PipelinedOptions): Flow {
  return {
    name: options.name,
    tls: false,
    describe: (short) => {
      const s = short ? options.short : options.full;
      const who = s.fanOut === 1 ? `${s.routes} pair${s.routes === 1 ? '' : 's'}` : `1 -> ${s.fanOut} connections`;
      return (
        `QoS ${options.qos}, ${payloadBytes} B, ${who}, closed loop with ${s.window} under way a publisher for ` +
        `${s.pumpSeconds} s; latency at ${s.paceRate} msg/s for ${s.paceSeconds} s`
      );
    },
    connections: (short) => {
      const s = short ? options.short : options.full;
      return s.routes * (s.fanOut + 1);
    },
    columns: messageColumns,
    goals: options.goals,
    run: async (stage) => {
      const s = stage.short ? options.short : options.full;
      const { broker, load } = stage;
      await load.call('openRoutes', { endpoint: broker.endpoint, ...s, qos: options.qos, payloadBytes });
      const warm = await load.call('pump', { seconds: s.warmSeconds });
      const pump = await accountCpu(stage, () => load.call('pump', { seconds: s.pumpSeconds }));
      const pace = await load.call('pace', { rate: s.paceRate, seconds: s.paceSeconds });
      const problems = [
        ...countNotes('warm-up', warm),
        ...countNotes('closed loop', pump.result),
        ...countNotes('open loop', pace),
        ...(await checkStage(stage)),
      ];
      const { deliveries, expected, seconds, generatorCpuSeconds } = pump.result;
      const measurement: Measurement = {
        variant: '',
        metrics: {
          rate: deliveries / seconds,
          cpuPerDeliveryUs: (pump.brokerCpuSeconds * 1e6) / deliveries,
          p50: pace.p50,
          p99: pace.p99,
          p999: pace.p999,
          lagP99: pace.lagP99,
          brokerCpuSeconds: pump.brokerCpuSeconds,
          generatorUsPerMessage: (generatorCpuSeconds * 1e6) / deliveries,
          otherCores: pump.otherCores,
        },
        deliveries,
        expected,
        complete: problems.length === 0,
        notes: [...problems, ...qualityNotes(stage.short, pump.brokerCpuSeconds, pump.otherCores)],
      };
      return [measurement];
    },
  };
}

interface PacedSizes {
  pairs: number;
  rate: number;
  warmSeconds: number;
  seconds: number;
}

/** The open loop only: CPU and latency of the same messages. */
function paced(name: string, full: PacedSizes, short: PacedSizes): Flow {
  return {
    name,
    tls: false,
    describe: (isShort) => {
      const s = isShort ? short : full;
      return (
        `QoS 0, ${payloadBytes} B, ${s.pairs} pairs over ${s.pairs * 2} connections, open loop at ${s.rate} msg/s ` +
        `for ${s.seconds} s`
      );
    },
    connections: (isShort) => (isShort ? short : full).pairs * 2,
    columns: ['rate', 'cpuPerDeliveryUs', 'p50', 'p99', 'p999', 'lagP99', 'brokerCpuSeconds', 'otherCores'],
    goals: [cpuGoal(1), { variant: '', metric: 'p99', kind: 'ratioAtMost', limit: 1 }],
    run: async (stage) => {
      const s = stage.short ? short : full;
      const { broker, load } = stage;
      const routes = { routes: s.pairs, fanOut: 1, qos: 0, payloadBytes, window: 1 } as const;
      await load.call('openRoutes', { endpoint: broker.endpoint, ...routes });
      const warm = await load.call('pace', { rate: s.rate, seconds: s.warmSeconds });
      const { result, brokerCpuSeconds, otherCores } = await accountCpu(stage, () =>
        load.call('pace', { rate: s.rate, seconds: s.seconds }),
      );
      const problems = [
        ...countNotes('warm-up', warm),
        ...countNotes('open loop', result),
        ...(await checkStage(stage)),
      ];
      const measurement: Measurement = {
        variant: '',
        metrics: {
          rate: result.deliveries / result.seconds,
          cpuPerDeliveryUs: (brokerCpuSeconds * 1e6) / result.deliveries,
          p50: result.p50,
          p99: result.p99,
          p999: result.p999,
          lagP99: result.lagP99,
          brokerCpuSeconds,
          otherCores,
        },
        deliveries: result.deliveries,
        expected: result.expected,
        complete: problems.length === 0,
        notes: [...problems, ...qualityNotes(stage.short, brokerCpuSeconds, otherCores)],
      };
      return [measurement];
    },
  };
}

const shortPhases: Phases = { warmSeconds: 0.1, pumpSeconds: 0.3, paceRate: 1_000, paceSeconds: 0.3 };

export const messageFlows: readonly Flow[] = [
  pipelined({
    name: 'q0-pair',
    qos: 0,
    full: { routes: 1, fanOut: 1, window: 2_000, warmSeconds: 2, pumpSeconds: 5, paceRate: 1_000, paceSeconds: 10 },
    short: { routes: 1, fanOut: 1, window: 2_000, ...shortPhases },
    goals: [cpuGoal(1 / 20)],
  }),
  pipelined({
    name: 'q0-100pairs',
    qos: 0,
    full: { routes: 100, fanOut: 1, window: 200, warmSeconds: 2, pumpSeconds: 5, paceRate: 10_000, paceSeconds: 5 },
    short: { routes: 100, fanOut: 1, window: 200, ...shortPhases },
    goals: [cpuGoal(1 / 20)],
  }),
  pipelined({
    name: 'q1-100pairs',
    qos: 1,
    full: { routes: 100, fanOut: 1, window: 50, warmSeconds: 2, pumpSeconds: 5, paceRate: 5_000, paceSeconds: 5 },
    short: { routes: 100, fanOut: 1, window: 50, ...shortPhases },
    goals: [cpuGoal(1 / 12)],
  }),
  pipelined({
    name: 'fanout-1000',
    qos: 0,
    full: { routes: 1, fanOut: 1_000, window: 1, warmSeconds: 2, pumpSeconds: 5, paceRate: 10, paceSeconds: 10 },
    short: { routes: 1, fanOut: 200, window: 1, ...shortPhases, paceRate: 10 },
    goals: [],
  }),
  pipelined({
    name: 'fanout-5000',
    qos: 0,
    full: { routes: 1, fanOut: 5_000, window: 1, warmSeconds: 2, pumpSeconds: 5, paceRate: 2, paceSeconds: 10 },
    short: { routes: 1, fanOut: 500, window: 1, ...shortPhases, paceRate: 4 },
    goals: [cpuGoal(1 / 2)],
  }),
  paced(
    'paced-6000',
    { pairs: 3_000, rate: 15_000, warmSeconds: 2, seconds: 15 },
    { pairs: 200, rate: 2_000, warmSeconds: 0.2, seconds: 0.5 },
  ),
];
