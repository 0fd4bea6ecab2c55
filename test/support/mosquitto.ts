import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Debian keeps servers out of the PATH of ordinary users. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
const START_LIMIT_MS = 10_000;

export interface Mosquitto {
  /** Of the listeners, by the names given. */
  readonly ports: Readonly<Record<string, number>>;
  /** Empty at the start, removed at the end. */
  readonly folder: string;
  /** All that it logged. */
  log(): Promise<string>;
  /** Waits until it has logged something that matches, and returns the match. */
  waitForLog(pattern: RegExp): Promise<RegExpExecArray>;
  /** Has it save its state now, as far as it got. */
  save(): void;
  /** Ends it as a service manager does: it saves its state. `restart` uses the same ports and files. */
  end(): Promise<void>;
  /** Ends it at once, without saving anything; `restart` uses the same ports and files. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A port that nobody listens on right now. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/**
 * Starts Debian's Mosquitto on free loopback ports and waits until it takes connections.
 *
 * @param listeners configuration lines of each listener, by name; `{}` of lines means plain MQTT
 * @param global configuration lines before the listeners; `FOLDER` in any line becomes the temporary folder
 */
export async function startMosquitto(
  listeners: Readonly<Record<string, readonly string[]>> = { mqtt: [] },
  global: readonly string[] = ['allow_anonymous true'],
  prepare: (folder: string) => Promise<void> = async () => {},
): Promise<Mosquitto> {
  const folder = await mkdtemp(join(tmpdir(), 'martlet-mosquitto-'));
  await prepare(folder);
  const configuration = join(folder, 'mosquitto.conf');
  const logFile = join(folder, 'mosquitto.log');
  const log = () => readFile(logFile, 'utf8').catch(() => '');
  const stderr = () => readFile(join(folder, 'stderr.log'), 'utf8').catch(() => '');

  const waitForLog = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const deadline = performance.now() + START_LIMIT_MS;
    for (;;) {
      const text = await log();
      const match = pattern.exec(text);
      if (match !== null) return match;
      if (performance.now() > deadline) throw new Error(`mosquitto logged nothing like ${pattern}:\n${text}`);
      await Bun.sleep(10);
    }
  };

  const ports: Record<string, number> = {};
  const choosePorts = async () => {
    const lines = ['user root', 'log_type all', `log_dest file ${logFile}`, ...global];
    for (const [name, more] of Object.entries(listeners)) {
      ports[name] = freePort();
      lines.push(`listener ${ports[name]} 127.0.0.1`, ...more);
    }
    await writeFile(configuration, `${lines.join('\n').replaceAll('FOLDER', folder)}\n`);
  };

  let child: Bun.Subprocess | null = null;
  /** False where it ended instead, as when somebody else took a port. */
  const start = async (): Promise<boolean> => {
    await rm(logFile, { force: true });
    child = Bun.spawn(['mosquitto', '-c', configuration], {
      env: { ...process.env, PATH },
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: Bun.file(join(folder, 'stderr.log')),
    });
    return Promise.race([waitForLog(/mosquitto version \S+ running/).then(() => true), child.exited.then(() => false)]);
  };
  const end = async (signal: NodeJS.Signals) => {
    child?.kill(signal);
    await child?.exited;
    child = null;
  };
  for (let tries = 0; ; tries++) {
    await choosePorts();
    if (await start()) break;
    if (tries < 2) continue;
    const said = `${await log()}${await stderr()}`;
    await rm(folder, { recursive: true, force: true });
    throw new Error(`mosquitto does not start:\n${said}`);
  }
  return {
    ports,
    folder,
    log,
    waitForLog,
    save: () => child?.kill('SIGUSR1'),
    end: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    restart: async () => {
      if (!(await start())) throw new Error(`mosquitto does not start again:\n${await log()}${await stderr()}`);
    },
    stop: async () => {
      await end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
