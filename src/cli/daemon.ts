import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { READY_FD_VARIABLE } from './readiness.ts';

/**
 * Starts this program again in the background, with those arguments: in a session of its own, without a terminal, its
 * stdin, stdout and stderr on /dev/null. Waits until it is ready, or has failed and said why.
 *
 * @returns exit status: 0 once it is ready
 */
export async function startInBackground(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, Bun.main, ...args], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env: { ...process.env, [READY_FD_VARIABLE]: '3' },
  });
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => resolve(status ?? 1));
  });
  const report = await readAll(child.stdio[3] as Readable);
  const end = report.indexOf('\n');
  if (end < 0) {
    const status = await exited;
    process.stderr.write(`Error: The broker ended before it was ready, with status ${status}.\n`);
    return status === 0 ? 1 : status;
  }
  const status = Number(report.slice(0, end));
  if (status === 0) child.unref();
  else process.stderr.write(`${report.slice(end + 1)}\n`);
  return status;
}

async function readAll(stream: Readable): Promise<string> {
  let text = '';
  stream.setEncoding('utf8');
  for await (const part of stream) text += part as string;
  return text;
}
