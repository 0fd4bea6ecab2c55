/** The flows about connections themselves: what an idle one weighs, what a connect costs, what churn leaves behind. */
import { accountCpu, checkStage, qualityNotes, type Flow, type Measurement } from './flow.ts';
import { rssBytes, settledRssBytes } from './proc.ts';

const mebibyte = 1024 * 1024;

/** Lower than the listen backlog of 100 that Mosquitto asks for; TLS handshakes cost both sides more. */
function connectConcurrency(tls: boolean): number {
  return tls ? 32 : 64;
}

interface IdleSizes {
  connections: number;
  /** Connected and closed again before the first reading, so that code and pools are warm. */
  warmConnections: number;
  settleSeconds: number;
}

function idle(name: string, tls: boolean, limitBytes: number, full: IdleSizes, short: IdleSizes): Flow {
  return {
    name,
    tls,
    describe: (isShort) =>
      `${(isShort ? short : full).connections} idle ${tls ? 'TLS' : 'plain'} connections: RSS of the broker for each, ` +
      'bare, then with one subscription of its own each',
    connections: (isShort) => (isShort ? short : full).connections,
    columns: ['rssPerConnectionBytes', 'baseRssMiB', 'rssEndMiB'],
    goals: [{ variant: 'bare', metric: 'rssPerConnectionBytes', kind: 'atMost', limit: limitBytes }],
    run: async (stage) => {
      const s = stage.short ? short : full;
      const { broker, load } = stage;
      const concurrency = connectConcurrency(tls);
      await load.call('hold', { endpoint: broker.endpoint, count: s.warmConnections, concurrency });
      await load.call('subscribeHeld', { concurrency });
      await load.call('release', { concurrency });
      const base = await settledRssBytes(broker.pid, s.settleSeconds);
      const measure = async (variant: string): Promise<Measurement> => {
        const rss = await settledRssBytes(broker.pid, s.settleSeconds);
        const problems = await checkStage(stage);
        return {
          variant,
          metrics: {
            rssPerConnectionBytes: (rss - base) / s.connections,
            baseRssMiB: base / mebibyte,
            rssEndMiB: rss / mebibyte,
          },
          deliveries: s.connections,
          expected: s.connections,
          complete: problems.length === 0,
          notes: problems,
        };
      };
      await load.call('hold', { endpoint: broker.endpoint, count: s.connections, concurrency });
      const bare = await measure('bare');
      await load.call('subscribeHeld', { concurrency });
      return [bare, await measure('subscribed')];
    },
  };
}

interface ConnectSizes {
  warmConnects: number;
  connects: number;
}

function connectRate(name: string, full: ConnectSizes, short: ConnectSizes): Flow {
  const concurrency = connectConcurrency(false);
  return {
    name,
    tls: false,
    describe: (isShort) =>
      `${(isShort ? short : full).connects} times CONNECT, CONNACK, DISCONNECT, close; ${concurrency} at a time; ` +
      'latency from connect() to CONNACK',
    connections: () => concurrency,
    columns: [
      'rate',
      'cpuPerConnectUs',
      'connectsPerCore',
      'p50',
      'p99',
      'p999',
      'brokerCpuSeconds',
      'generatorUsPerMessage',
      'otherCores',
    ],
    goals: [{ variant: '', metric: 'connectsPerCore', kind: 'atLeast', limit: 10_000 }],
    run: async (stage) => {
      const s = stage.short ? short : full;
      const { broker, load } = stage;
      await load.call('churn', { endpoint: broker.endpoint, count: s.warmConnects, concurrency });
      const { result, brokerCpuSeconds, otherCores } = await accountCpu(stage, () =>
        load.call('churn', { endpoint: broker.endpoint, count: s.connects, concurrency }),
      );
      const problems = await checkStage(stage);
      const cpuPerConnectUs = (brokerCpuSeconds * 1e6) / result.connects;
      const measurement: Measurement = {
        variant: '',
        metrics: {
          rate: result.connects / result.seconds,
          cpuPerConnectUs,
          connectsPerCore: 1e6 / cpuPerConnectUs,
          p50: result.p50,
          p99: result.p99,
          p999: result.p999,
          brokerCpuSeconds,
          generatorUsPerMessage: (result.generatorCpuSeconds * 1e6) / result.connects,
          otherCores,
        },
        deliveries: result.connects,
        expected: s.connects,
        complete: problems.length === 0 && result.connects === s.connects,
        notes: [...problems, ...qualityNotes(stage.short, brokerCpuSeconds, otherCores)],
      };
      return [measurement];
    },
  };
}

interface ChurnSizes {
  connects: number;
  settleSeconds: number;
}

function churn(name: string, tls: boolean, full: ChurnSizes, short: ChurnSizes): Flow {
  const concurrency = connectConcurrency(tls);
  return {
    name,
    tls,
    describe: (isShort) =>
      `${(isShort ? short : full).connects} ${tls ? 'TLS' : 'plain'} connects and disconnects, ${concurrency} at a ` +
      'time: RSS after the first tenth and at the end, settled',
    connections: () => concurrency,
    columns: ['rate', 'rssFirstTenthMiB', 'rssPeakMiB', 'rssEndMiB', 'growthPercent', 'generatorUsPerMessage'],
    goals: [{ variant: '', metric: 'growthPercent', kind: 'atMost', limit: 20 }],
    run: async (stage) => {
      const s = stage.short ? short : full;
      const { broker, load } = stage;
      const tenth = Math.ceil(s.connects / 10);
      let connects = 0;
      let seconds = 0;
      let generatorCpuSeconds = 0;
      let firstTenth = 0;
      let peak = 0;
      for (let step = 0; step < 10; step++) {
        const part = await load.call('churn', { endpoint: broker.endpoint, count: tenth, concurrency });
        connects += part.connects;
        seconds += part.seconds;
        generatorCpuSeconds += part.generatorCpuSeconds;
        peak = Math.max(peak, rssBytes(broker.pid));
        if (step === 0) firstTenth = await settledRssBytes(broker.pid, s.settleSeconds);
      }
      const end = await settledRssBytes(broker.pid, s.settleSeconds);
      const problems = await checkStage(stage);
      const measurement: Measurement = {
        variant: '',
        metrics: {
          rate: connects / seconds,
          rssFirstTenthMiB: firstTenth / mebibyte,
          rssPeakMiB: peak / mebibyte,
          rssEndMiB: end / mebibyte,
          growthPercent: (end / firstTenth - 1) * 100,
          generatorUsPerMessage: (generatorCpuSeconds * 1e6) / connects,
        },
        deliveries: connects,
        expected: tenth * 10,
        complete: problems.length === 0 && connects === tenth * 10,
        notes: problems,
      };
      return [measurement];
    },
  };
}

const kibibyte = 1024;

export const connectionFlows: readonly Flow[] = [
  idle(
    'idle-plain',
    false,
    1.2 * kibibyte,
    { connections: 15_000, warmConnections: 1_000, settleSeconds: 10 },
    { connections: 500, warmConnections: 50, settleSeconds: 0.2 },
  ),
  idle(
    'idle-tls',
    true,
    8 * kibibyte,
    { connections: 5_000, warmConnections: 500, settleSeconds: 10 },
    { connections: 100, warmConnections: 20, settleSeconds: 0.2 },
  ),
  connectRate('connect-rate', { warmConnects: 2_000, connects: 60_000 }, { warmConnects: 100, connects: 1_000 }),
  churn('churn-plain', false, { connects: 200_000, settleSeconds: 10 }, { connects: 1_000, settleSeconds: 0.2 }),
  churn('churn-tls', true, { connects: 20_000, settleSeconds: 10 }, { connects: 200, settleSeconds: 0.2 }),
];
