/**
 * Runs flows: a fresh broker and a fresh generator for each flow, target and round; the order of targets turns from
 * round to round, so that none always meets the warmer machine.
 */
import { BrokerProcess } from './broker-process.ts';
import { RunCertificate } from './certificate.ts';
import { connectionFlows } from './flow-connections.ts';
import { messageFlows } from './flow-messages.ts';
import type { Flow, Measurement } from './flow.ts';
import { LoadProcess } from './load-process.ts';
import { openFileLimit } from './proc.ts';
import { findTargets, type Target } from './targets.ts';

export const flows: readonly Flow[] = [...messageFlows, ...connectionFlows];

export interface RunRecord extends Measurement {
  flow: string;
  target: string;
  version: string;
  /** From 1. */
  round: number;
}

export interface BenchOptions {
  /** Empty: all. */
  flowNames: readonly string[];
  targetNames: readonly string[];
  rounds: number;
  short: boolean;
  /** Called as each flow, target and round is about to run. */
  onStep?: (flow: Flow, target: Target, round: number) => void;
  /** Called when a flow has run on all targets in all rounds. */
  onFlow?: (flow: Flow, records: readonly RunRecord[]) => void;
}

/** Throws one line that names the flows that exist. */
export function findFlows(names: readonly string[]): Flow[] {
  if (names.length === 0) return [...flows];
  return names.map((name) => {
    const flow = flows.find((candidate) => candidate.name === name);
    if (flow === undefined) {
      throw new Error(`no flow is named "${name}"; there are: ${flows.map((known) => known.name).join(', ')}`);
    }
    return flow;
  });
}

/** Files that a process opens beside its connections. */
const spareFiles = 200;

export class Bench {
  private readonly live = new Set<BrokerProcess>();
  private readonly certificate = new RunCertificate();

  /** Rejects for a wrong name or a limit of the machine; what fails while it runs becomes an incomplete record. */
  async run(options: BenchOptions): Promise<RunRecord[]> {
    const chosen = findFlows(options.flowNames);
    const targets = findTargets(options.targetNames);
    for (const flow of chosen) {
      const needed = flow.connections(options.short) + spareFiles;
      if (needed > openFileLimit()) {
        throw new Error(
          `${flow.name} needs ${needed} open files a process, the limit is ${openFileLimit()}: ulimit -n`,
        );
      }
    }
    const all: RunRecord[] = [];
    try {
      for (const flow of chosen) {
        const records = await this.runFlow(flow, targets, options);
        all.push(...records);
        options.onFlow?.(flow, records);
      }
    } finally {
      this.certificate.remove();
    }
    return all;
  }

  /** For a signal handler: leaves no broker behind. Generators end by themselves when the bench does. */
  abort(): void {
    for (const broker of this.live) broker.abandon();
    this.live.clear();
    this.certificate.remove();
  }

  private async runFlow(flow: Flow, targets: readonly Target[], options: BenchOptions): Promise<RunRecord[]> {
    const records: RunRecord[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      for (const target of round % 2 === 1 ? targets : targets.toReversed()) {
        options.onStep?.(flow, target, round);
        const version = target.version();
        for (const measurement of await this.runOnce(flow, target, options.short)) {
          records.push({ flow: flow.name, target: target.name, version, round, ...measurement });
        }
      }
    }
    return records;
  }

  private async runOnce(flow: Flow, target: Target, short: boolean): Promise<Measurement[]> {
    let broker: BrokerProcess | null = null;
    let load: LoadProcess | null = null;
    try {
      broker = await BrokerProcess.start(target, flow.tls ? this.certificate.get() : null);
      this.live.add(broker);
      load = new LoadProcess();
      return await flow.run({ broker, load, short });
    } catch (cause) {
      const note = cause instanceof Error ? cause.message : String(cause);
      return [{ variant: '', metrics: {}, deliveries: 0, expected: 0, complete: false, notes: [note] }];
    } finally {
      await load?.stop();
      if (broker !== null) {
        await broker.stop();
        this.live.delete(broker);
      }
    }
  }
}

/**
 * Every flow at its short size, one round: well under a minute a target. For the test suite, which wants each record
 * `complete` and looks at no figure.
 */
export function runShort(targetNames: readonly string[]): Promise<RunRecord[]> {
  return new Bench().run({ flowNames: [], targetNames, rounds: 1, short: true });
}
