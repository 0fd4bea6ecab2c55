// `martlet broker` once its command line is understood: the process from its first log line to its last.
import { LogType } from '../broker/log.ts';
import { closedDoors } from '../config/closed-doors.ts';
import { type Config, defaultConfig, logTypes } from '../config/config.ts';
import { loadConfig, type ParsedConfig } from '../config/parse-config.ts';
import { LogWriter } from '../log/log-writer.ts';
import { ExitStatus } from './exit-status.ts';
import { describeFailure, describeStartFailure } from './failure.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { dropPrivileges } from './privileges.ts';
import type { Readiness } from './readiness.ts';
import { ConfigReloader } from './reload-config.ts';
import { loopbackListeners, openBroker, type RunningBroker } from './running-broker.ts';
import { findServiceManager, type ServiceManager } from './service-manager.ts';
import { onOperatorSignals, waitForEnd } from './signals.ts';
import { SubscriptionPrinter } from './subscription-printer.ts';
import { VERSION } from './version.ts';

export const DEFAULT_PORT = 1883;

/** What the command line says. */
export interface BrokerCommand {
  readonly files: readonly string[];
  readonly ports: readonly number[];
  readonly isVerbose: boolean;
  readonly isQuiet: boolean;
}

/** @returns exit status, once the broker has ended */
export async function serveBroker(command: BrokerCommand, readiness: Readiness): Promise<number> {
  const { files, ports } = command;
  const parsed = readConfig(command);
  const { config } = parsed;
  const isLocal = config.listeners.length === 0;
  listenSomewhere(config, ports);
  if (config.user !== null) dropPrivileges(config.user);

  const log = new LogWriter(config.log);
  const tell = (type: LogType) => (line: string) => log.log(type, line);
  tell(LogType.information)(`martlet version ${VERSION} starting`);
  // Mosquitto names the last one, too.
  const file = files.at(-1);
  tell(LogType.information)(file === undefined ? 'Using default config.' : `Config loaded from ${file}.`);
  parsed.notices.forEach(tell(LogType.notice));
  if (isLocal) localOnlyLines.forEach(tell(LogType.warning));
  else if (ports.length > 0) tell(LogType.warning)(`-p is without effect: ${file} opens listeners of its own.`);
  closedDoors(config).forEach(tell(LogType.warning));
  const manager = await findServiceManager(process.env, tell(LogType.warning));

  // From here on a signal means a clean end, even while ports are opened.
  let reload = () => {};
  const ended = waitForEnd(() => reload());
  let running: RunningBroker;
  try {
    running = await openBroker(config, log);
    try {
      if (config.pidFile !== null) writePidFile(config.pidFile);
    } catch (error) {
      await running.stop();
      throw error;
    }
  } catch (error) {
    return await failLogged(error, log, readiness);
  }
  if (running.httpUrl !== null) tell(LogType.information)(`HTTP on ${running.httpUrl}`);
  tell(LogType.information)(`martlet version ${VERSION} running`);
  reload = obey({ command, config, running, log, manager });
  // Whoever put us into the background finds the log complete up to here.
  await log.flush();
  readiness.ready();
  manager.ready();
  void watchRealTimeSignal(log);

  await ended;
  manager.stopping();
  tell(LogType.information)(`martlet version ${VERSION} terminating`);
  await running.stop();
  if (config.pidFile !== null) removePidFile(config.pidFile);
  await log.flush();
  return ExitStatus.success;
}

interface Served {
  readonly command: BrokerCommand;
  readonly config: Config;
  readonly running: RunningBroker;
  readonly log: LogWriter;
  readonly manager: ServiceManager;
}

/** Does what signals ask for. Answers what to do at SIGHUP. */
function obey({ command, config, running, log, manager }: Served): () => void {
  const reloader = new ConfigReloader(config, running, log, () => {
    if (command.files.length === 0) return null;
    const parsed = readConfig(command);
    listenSomewhere(parsed.config, command.ports);
    return parsed;
  });
  const printer = new SubscriptionPrinter(running, log);
  onOperatorSignals({
    save: () => void running.save().then((line) => log.log(LogType.information, line)),
    list: () => void printer.print(),
  });
  return () =>
    void (async () => {
      await manager.reloading();
      try {
        await reloader.reload();
      } finally {
        manager.ready();
      }
    })();
}

/** SIGRTMIN opens the log file anew and nothing else, as with Mosquitto 2.1. */
async function watchRealTimeSignal(log: LogWriter): Promise<void> {
  const { onRealTimeSignal } = await import('./real-time-signal.ts');
  await onRealTimeSignal(() => {
    try {
      const path = log.reopen();
      if (path !== null) log.log(LogType.information, `SIGRTMIN: log file ${path} reopened.`);
    } catch (error) {
      const failure = describeFailure(error);
      if (failure === null) throw error;
      log.log(LogType.error, failure.text);
    }
  });
}

/** @throws ConfigError */
function readConfig({ files, isQuiet, isVerbose }: BrokerCommand): ParsedConfig {
  const parsed =
    files.length === 0 ? { config: defaultConfig(), notices: [], given: new Set<string>() } : loadConfig(...files);
  const { log } = parsed.config;
  if (isQuiet) log.types = new Set();
  else if (isVerbose) log.types = new Set(logTypes);
  return parsed;
}

const localOnlyLines = [
  'Starting in local only mode. Connections will only be possible from clients running on this machine.',
  'Create a configuration file which defines a listener to allow remote access.',
  "See 'martlet help config' and docs/configuration.md.",
];

/** Without a `listener`, only programs on this machine get in, and those without asking. */
function listenSomewhere(config: Config, ports: readonly number[]): void {
  if (config.listeners.length > 0) return;
  config.listeners = (ports.length === 0 ? [DEFAULT_PORT] : ports).flatMap(loopbackListeners);
  config.security.allowAnonymous ??= true;
}

/** The failure is for the log, too; on stderr it appears once. */
async function failLogged(error: unknown, log: LogWriter, readiness: Readiness): Promise<number> {
  const failure = describeStartFailure(error);
  if (failure === null) throw error;
  log.log(LogType.error, failure.text);
  await log.flush();
  if (!log.showsErrorsOnStderr || readiness.isRemote) readiness.failed(failure.status, failure.text);
  return failure.status;
}
