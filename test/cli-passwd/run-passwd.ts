/** `martlet passwd` as its own process, without the rest of the command line. */
import { runPasswd } from '../../src/cli/passwd.ts';

process.exitCode = await runPasswd(process.argv.slice(2));
