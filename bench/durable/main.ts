/** Durable sessions: throughput, latency, return, start. `bench/durable-sessions --help`. */
import { parseArgs } from 'node:util';
import { alignTable } from '../side-by-side/report.ts';
import { fullSizes, runs, shortSizes } from './run.ts';

const { values, positionals } = parseArgs({
  options: { short: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  allowPositionals: true,
});

if (values.help) {
  console.log('bench/durable-sessions [--short] [RUN ...]\n');
  for (const line of alignTable(runs.map(({ name, about }) => [`  ${name}`, about]))) console.log(line);
  process.exit(0);
}
const unknown = positionals.find((name) => !runs.some((one) => one.name === name));
if (unknown !== undefined) {
  console.error(`bench/durable-sessions: there is no run '${unknown}'; --help lists them`);
  process.exit(2);
}
let status = 0;
for (const one of runs) {
  if (positionals.length > 0 && !positionals.includes(one.name)) continue;
  process.stderr.write(`${one.name} ...\n`);
  const { title, head, rows, faults } = await one.run(values.short ? shortSizes : fullSizes);
  console.log(`\n### ${one.name}\n\n${title}\n`);
  for (const line of alignTable([head, ...rows])) console.log(line);
  for (const fault of faults) console.log(`INCOMPLETE: ${fault}`);
  if (faults.length > 0) status = 1;
}
process.exit(status);
