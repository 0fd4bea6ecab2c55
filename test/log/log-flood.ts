// Logs to stderr on command, for log-writer.test.ts: `flood N` on stdin logs N lines, a few a turn of the event loop, and
// answers with one line of JSON on stdout; `line TEXT` logs one; the end of stdin flushes and ends.

import { LogType } from '../../src/broker/log.ts';
import { LogWriter } from '../../src/log/log-writer.ts';
import { defaultConfig } from '../../src/config/config.ts';

const log = new LogWriter(defaultConfig().log, { now: () => 1_700_000_000_000 });
const padding = 'x'.repeat(80);

/** Logs that many lines and answers the longest turn of the event loop meanwhile, in milliseconds. */
async function flood(count: number): Promise<number> {
  let longest = 0;
  let last = performance.now();
  for (let i = 0; i < count; i++) {
    log.log(LogType.notice, `line ${i} ${padding}`);
    if (i % 100 !== 0) continue;
    await new Promise((resolve) => setImmediate(resolve));
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest;
}

for await (const command of console) {
  const [name, ...rest] = command.split(' ');
  if (name === 'flood') process.stdout.write(`${JSON.stringify({ longest: await flood(Number(rest[0])) })}\n`);
  else log.log(LogType.notice, rest.join(' '));
}
const startedAt = performance.now();
await log.flush();
process.stdout.write(`${JSON.stringify({ flushed: performance.now() - startedAt })}\n`);
process.exit(0);
