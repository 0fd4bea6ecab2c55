// What systemd is told of a broker that it runs with Type=notify: sd_notify(3), without its library.

import type { UnixDatagramSocket } from '../log/unix-datagram.ts';
import { openLibc } from './libc.ts';

/** Nobody, where nobody wants to know. */
export interface ServiceManager {
  ready(): void;
  /** The configuration is being read anew; `ready` follows. */
  reloading(): Promise<void>;
  stopping(): void;
}

const nobody: ServiceManager = { ready() {}, reloading: () => Promise.resolve(), stopping() {} };

/**
 * Finds out who supervises this process. What they told us in the environment is taken out of it: processes that we start
 * are not theirs.
 *
 * @param onFailure told once where messages do not arrive
 */
export async function findServiceManager(
  env: NodeJS.ProcessEnv,
  onFailure: (text: string) => void,
): Promise<ServiceManager> {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  if (socket === undefined || socket === '') return nobody;
  let datagrams: UnixDatagramSocket;
  try {
    if (!/^[/@]./.test(socket)) throw new Error(`NOTIFY_SOCKET is '${socket}', which is no unix socket`);
    const { UnixDatagramSocket } = await import('../log/unix-datagram.ts');
    datagrams = new UnixDatagramSocket(socket.replace(/^@/, '\0'));
  } catch (error) {
    onFailure(`systemd cannot be told how the broker is: ${(error as Error).message}.`);
    return nobody;
  }
  let hasFailed = false;
  const notify = (text: string) => {
    const failure = datagrams.send(new TextEncoder().encode(text));
    if (failure === null || hasFailed) return;
    hasFailed = true;
    onFailure(`systemd cannot be told how the broker is: ${socket}: ${failure.message}.`);
  };
  const watchdogMs = watched === undefined || watched === String(process.pid) ? Number(watchdog) / 1_000 : 0;
  if (watchdogMs > 0) setInterval(() => notify('WATCHDOG=1'), watchdogMs / 2).unref();
  return {
    // The process that systemd started may have ended, as with `-d`.
    ready: () => notify(`READY=1\nMAINPID=${process.pid}`),
    async reloading() {
      notify(`RELOADING=1\nMONOTONIC_USEC=${await monotonicUs()}`);
    },
    stopping: () => notify('STOPPING=1'),
  };
}

const CLOCK_MONOTONIC = 1;

/** The clock that systemd looks at; that of the runtime begins with the process. */
async function monotonicUs(): Promise<bigint> {
  const { symbols } = await openLibc({ clock_gettime: { args: ['int', 'ptr'], returns: 'int' } });
  // timespec: seconds and nanoseconds.
  const time = new BigInt64Array(2);
  symbols.clock_gettime(CLOCK_MONOTONIC, time);
  return time[0]! * 1_000_000n + time[1]! / 1_000n;
}
