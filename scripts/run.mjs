// What `npm start` and `npm test` run: set-up, then the program under Bun, in the foreground, with its exit status.
// Plain Node.js without dependencies, since it runs before anything is installed.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { waitForChild } from './relay.mjs';
import { leaveWith, projectRoot, setUp } from './setup.mjs';

const commands = {
  start: { dev: false, script: ['src/cli/main.ts', 'start'] },
  test: { dev: true, script: ['scripts/test.ts'] },
};

/** As bin/martlet does: a bunfig.toml or .env of the folder we happen to be called from must not change what we run. */
function bunArguments([script, ...rest], args) {
  return [`--config=${join(projectRoot, 'bunfig.toml')}`, '--no-env-file', join(projectRoot, script), ...rest, ...args];
}

const [name, ...args] = process.argv.slice(2);
const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
if (command === undefined) {
  process.stderr.write(`usage: node scripts/run.mjs ${Object.keys(commands).join('|')} [ARGUMENT ...]\n`);
  process.exitCode = 2;
} else {
  try {
    const bun = await setUp({ dev: command.dev });
    process.exitCode = await waitForChild(spawn(bun, bunArguments(command.script, args), { stdio: 'inherit' }));
  } catch (error) {
    leaveWith(error);
  }
}
