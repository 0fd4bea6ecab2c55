/** Kills a broker under load, by default a hundred times, and says whether anything acknowledged was lost or came twice. */
import { parseArgs } from 'node:util';
import { runCrashes } from './crash-run.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    publishers: { type: 'string', default: '8' },
    subscribers: { type: 'string', default: '6' },
    payload: { type: 'string', default: '200' },
    sync: { type: 'string', default: 'normal' },
  },
});

const result = await runCrashes({
  kills: Number(values.kills),
  publishers: Number(values.publishers),
  subscribers: Number(values.subscribers),
  life: [50, 900],
  payloadBytes: Number(values.payload),
  sync: values.sync === 'full' ? 'full' : 'normal',
  onKill: (done) => process.stderr.write(`\rkilled ${done} of ${values.kills} times `),
});
process.stderr.write('\n');
console.log(`persistence_sync ${values.sync}: killed ${result.kills} times`);
console.log(`published and acknowledged  ${result.published.toLocaleString('en')}`);
console.log(`received                    ${result.received.toLocaleString('en')}`);
console.log(`slowest start to CONNACK    ${Math.round(result.slowestStartMs)} ms`);
console.log(result.violations.length === 0 ? 'nothing lost, nothing twice at QoS 2, all in order' : 'VIOLATIONS:');
for (const one of result.violations.slice(0, 50)) console.log(`  ${one}`);
if (result.violations.length > 0) console.log(result.logTail);
process.exit(result.violations.length === 0 ? 0 : 1);
