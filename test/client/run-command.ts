// One client command in a process of its own: `run-command.ts pub|sub ARGUMENT ...`.
import { runPub } from '../../src/cli/pub.ts';
import { runSub } from '../../src/cli/sub.ts';

const [command, ...args] = process.argv.slice(2);
process.exitCode = await (command === 'pub' ? runPub(args) : runSub(args));
