// One client command in a process of its own: `run-command.ts pub|sub ARGUMENT ...`. With TELL_PEAK in the environment
// its last line on stderr is `peak N`, the most memory it had in KiB: what a parent reads of its child's memory counts
// the parent's own at the time of the fork.
import { readFileSync } from 'node:fs';
import { runPub } from '../../src/cli/pub.ts';
import { runSub } from '../../src/cli/sub.ts';

const [command, ...args] = process.argv.slice(2);
process.exitCode = await (command === 'pub' ? runPub(args) : runSub(args));
if (process.env['TELL_PEAK'] !== undefined) {
  process.stderr.write(`peak ${/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]}\n`);
}
