/** The command line of `bench/broker`. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Flow } from './flow.ts';
import { tolerableOtherCores } from './flow.ts';
import { cpuModel, sampleMachineLoad } from './proc.ts';
import { jsonLines, markdownReport, textReport, type RunIdentity } from './report.ts';
import { Bench, flows } from './run.ts';

const usage = `bench/broker [flow...] [options]: our broker and others, the same flows in the same run

  --targets A,B    brokers, in the order of the first round (default martlet,mosquitto)
  --rounds N       rounds; the order of brokers turns each time (default 3, with --short 1)
  --short          small sizes, seconds in all: shows that it works, measures nothing
  --json FILE      write one JSON line for each result and each median
  --markdown       print tables in Markdown
  --list           name the flows and what they do
  --help

Status 0: all runs complete, whatever the goals say; 1: an incomplete run; 2: wrong usage.
`;

const options = {
  targets: { type: 'string', default: 'martlet,mosquitto' },
  rounds: { type: 'string' },
  short: { type: 'boolean', default: false },
  json: { type: 'string' },
  markdown: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Abbreviated, with "+" where files differ from it; "none" outside a repository or before its first commit. */
function commitName(): string {
  const directory = fileURLToPath(new URL('.', import.meta.url));
  const git = (...args: string[]) =>
    Bun.spawnSync(['git', '--no-optional-locks', ...args], { cwd: directory, stderr: 'ignore' });
  const head = git('rev-parse', '--short', 'HEAD');
  if (head.exitCode !== 0) return 'none';
  const changed = git('status', '--porcelain').stdout.length > 0;
  return head.stdout.toString().trim() + (changed ? '+' : '');
}

async function warnOfLoad(): Promise<void> {
  const load = await sampleMachineLoad(1_000);
  if (load.busyCores > tolerableOtherCores) {
    console.error(
      `warning: the machine is not idle: ${load.busyCores.toFixed(2)} of ${load.cores} cores busy, ` +
        `load average ${load.loadAverage}; figures will be noisy`,
    );
  }
  if (load.cores < 2) console.error('warning: one core: broker and generator will share it');
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (values.list) {
    for (const flow of flows) console.log(`${flow.name.padEnd(13)} ${flow.describe(values.short)}`);
    return 0;
  }
  const rounds = Number(values.rounds ?? (values.short ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds: not a positive number: ${values.rounds}`);
  const identity: RunIdentity = {
    commit: commitName(),
    bun: Bun.version,
    cpu: cpuModel(),
    command: ['bench/broker', ...args].join(' '),
    short: values.short,
  };
  const bench = new Bench();
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => {
      bench.abort();
      process.exit(status);
    });
  }
  const report = values.markdown ? markdownReport : textReport;
  await warnOfLoad();
  const records = await bench.run({
    flowNames: positionals,
    targetNames: values.targets.split(',').filter((name) => name !== ''),
    rounds,
    short: values.short,
    onStep: (flow, target, round) => console.error(`- ${flow.name}, ${target.name}, round ${round} of ${rounds}`),
    onFlow: (flow: Flow, done) => console.log(report(flow, done, rounds, values.short)),
  });
  console.log(
    `${identity.commit}, Bun ${identity.bun}, ${identity.cpu}` +
      [...new Set(records.map((record) => `, ${record.target} ${record.version}`))].join(''),
  );
  if (values.json !== undefined) writeFileSync(values.json, jsonLines(identity, records));
  return records.every((record) => record.complete) ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (cause) {
  console.error(`bench/broker: ${cause instanceof Error ? cause.message : String(cause)}`);
  process.exitCode = 2;
}
