import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { LogSink, type WriteFunction } from './log-sink.ts';

const descriptors = { stdout: 1, stderr: 2 } as const;

/** `log_dest stdout` and `stderr`. */
export function openStream(
  name: 'stdout' | 'stderr',
  lostLine: (count: number) => string,
  write?: WriteFunction,
): LogSink {
  const own = descriptors[name];
  const fd = openWithoutBlocking(own);
  return new LogSink(fd, {
    lostLine,
    closeFd: fd === own ? () => {} : closeSync,
    ...(write === undefined ? {} : { write }),
  });
}

/**
 * A descriptor for the same pipe or terminal that never blocks. `fs.write` runs in one of a few threads (as many as there
 * are cores), and one that blocks there is missing everywhere else: with stdout and stderr both stuck on a machine with
 * two cores, no file could be read any more. The flag is not set on our own descriptor, since we share that with others.
 *
 * @returns the descriptor itself where there is no such way: a socket, another system than Linux
 */
export function openWithoutBlocking(fd: number): number {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return fd;
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return fd;
  }
}
