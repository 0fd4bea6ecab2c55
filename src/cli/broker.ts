import { accessSync, constants, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { LogLevel } from '../broker/log.ts';
import { type Config, defaultConfig, logTypes } from '../config/config.ts';
import { ConfigError, describeProblems } from '../config/config-error.ts';
import { loadConfig, type ParsedConfig, systemErrorText } from '../config/parse-config.ts';
import { type Flag, type ParsedArguments, parseArguments, parsePort, UsageError } from './arguments.ts';
import { startInBackground } from './daemon.ts';
import { LogFileError, LogWriter } from './log-writer.ts';
import { openReadiness, type Readiness } from './readiness.ts';
import { loopbackListeners, openBroker, type RunningBroker, StartError, waitForEnd } from './running-broker.ts';
import { ExitStatus } from './exit-status.ts';
import { formatUsage } from './usage.ts';
import { VERSION } from './version.ts';

const DEFAULT_PORT = 1883;
/** As with Mosquitto. */
const MOST_PORTS = 10;

const flags: readonly Flag[] = [
  { names: ['-c', '--config-file'], takes: 'FILE', help: 'Read the configuration from FILE.' },
  {
    names: ['-p', '--port'],
    takes: 'PORT',
    help:
      `Listen on PORT for programs on this machine (default ${DEFAULT_PORT}), up to ${MOST_PORTS} times. ` +
      'Without effect where FILE opens a listener.',
  },
  { names: ['-d', '--daemon'], takes: null, help: 'Go into the background once the broker listens.' },
  { names: ['-v', '--verbose'], takes: null, help: 'Log everything, whatever FILE says.' },
  { names: ['-q', '--quiet'], takes: null, help: 'Log nothing, whatever FILE and -v say.' },
  { names: ['--test-config'], takes: null, help: 'Check FILE and leave.' },
  { names: ['-h', '--help'], takes: null, help: 'Show this text.' },
];

/** The help of `martlet broker`. */
export function brokerUsage(): string {
  return formatUsage({
    line: 'broker [OPTION ...]',
    about:
      "Runs the MQTT broker. Options, configuration file, log and exit status are mosquitto's;\n" +
      "'martlet help config' lists the options of the configuration file.",
    flags,
    examples: ['martlet broker -v', 'martlet broker -p 1884', 'martlet broker -c /etc/mosquitto/mosquitto.conf -d'],
  });
}

/**
 * `martlet broker`, in place of `mosquitto`.
 *
 * @returns exit status, once the broker has ended: 0 after SIGINT or SIGTERM, 3 for a configuration or command line that
 * is refused, 1 for what is missing to run it
 */
export async function runBroker(args: readonly string[]): Promise<number> {
  const readiness = openReadiness(process.env);
  try {
    const given = parseArguments(args, flags);
    if (given.has('--help')) {
      process.stdout.write(`${brokerUsage()}\n`);
      return ExitStatus.success;
    }
    const ports = readPorts(given);
    if (given.has('--test-config')) return testConfig(given.one('--config-file'));
    if (given.has('--daemon')) {
      return await startInBackground(['broker', ...args.filter((one) => one !== '-d' && one !== '--daemon')]);
    }
    return await serve(given, ports, readiness);
  } catch (error) {
    const failure = describeFailure(error);
    if (failure === null) throw error;
    readiness.failed(failure.status, failure.text);
    return failure.status;
  }
}

/** What the operator reads where we cannot start, and the exit status; null for a defect of ours. */
export function describeFailure(error: unknown): { status: number; text: string } | null {
  if (error instanceof ConfigError) {
    const text = describeProblems(error.problems)
      .map((line) => `Error: ${line}`)
      .join('\n');
    return { status: ExitStatus.refused, text };
  }
  if (error instanceof UsageError) return { status: ExitStatus.refused, text: `Error: ${error.message}` };
  if (error instanceof LogFileError || error instanceof PidFileError || error instanceof StartError) {
    return { status: ExitStatus.failure, text: `Error: ${error.message}` };
  }
  return null;
}

function readPorts(given: ParsedArguments): number[] {
  const values = given.all('--port');
  if (values.length > MOST_PORTS)
    throw new UsageError(`Only ${MOST_PORTS} ports can be specified on the command line.`);
  return values.map((value) => parsePort('-p', value, 1));
}

/** `--test-config`: what can be told without opening a port. */
function testConfig(file: string | null): number {
  if (file === null) throw new UsageError('--test-config needs a file to test: -c FILE.');
  const { config, notices } = loadConfig(file);
  for (const line of notices) process.stderr.write(`${line}\n`);
  const files = config.listeners.flatMap(({ certfile, keyfile, cafile, sniCertificates }) => [
    certfile,
    keyfile,
    cafile,
    ...sniCertificates.flatMap((one) => [one.certfile, one.keyfile]),
  ]);
  let status: number = ExitStatus.success;
  for (const path of new Set(files.filter((one) => one !== null))) {
    try {
      accessSync(path, constants.R_OK);
    } catch (error) {
      process.stderr.write(`Error: ${file}: ${path} cannot be read: ${systemErrorText(error)}.\n`);
      status = ExitStatus.failure;
    }
  }
  if (status === ExitStatus.success) process.stdout.write(`Configuration file ${file} is OK.\n`);
  return status;
}

async function serve(given: ParsedArguments, ports: readonly number[], readiness: Readiness): Promise<number> {
  const file = given.one('--config-file');
  const parsed: ParsedConfig =
    file === null ? { config: defaultConfig(), notices: [], given: new Set() } : loadConfig(file);
  const { config } = parsed;
  if (given.has('--quiet')) config.log.types = new Set();
  else if (given.has('--verbose')) config.log.types = new Set(logTypes);

  const log = new LogWriter(config.log);
  log.log(LogLevel.information, `martlet version ${VERSION} starting`);
  log.log(LogLevel.information, file === null ? 'Using default config.' : `Config loaded from ${file}.`);
  for (const line of parsed.notices) log.log(LogLevel.notice, line);
  if (config.listeners.length === 0) listenLocally(config, ports, log);
  else if (ports.length > 0) log.log(LogLevel.warning, `-p is without effect: ${file} opens listeners of its own.`);
  warnOfClosedDoors(config, log);

  // From here on a signal means a clean end, even while ports are opened.
  let reload = () => {};
  const ended = waitForEnd(() => {
    reopenLog(log);
    reload();
  });
  let running: RunningBroker;
  try {
    running = await openBroker(config, log);
    reload = () => void reloadRules(config, running, log);
    try {
      if (config.pidFile !== null) writePidFile(config.pidFile);
    } catch (error) {
      await running.stop();
      throw error;
    }
  } catch (error) {
    return await failLogged(error, log, readiness);
  }
  if (running.httpUrl !== null) log.log(LogLevel.information, `HTTP on ${running.httpUrl}`);
  log.log(LogLevel.information, `martlet version ${VERSION} running`);
  // Whoever put us into the background finds the log complete up to here.
  await log.flush();
  readiness.ready();

  await ended;
  log.log(LogLevel.information, `martlet version ${VERSION} terminating`);
  await running.stop();
  if (config.pidFile !== null) removePidFile(config.pidFile);
  await log.flush();
  return ExitStatus.success;
}

/** The failure is for the log, too; on stderr it appears once. */
async function failLogged(error: unknown, log: LogWriter, readiness: Readiness): Promise<number> {
  const failure = describeFailure(error);
  if (failure === null) throw error;
  log.log(LogLevel.error, failure.text);
  await log.flush();
  if (!log.showsErrorsOnStderr || readiness.isRemote) readiness.failed(failure.status, failure.text);
  return failure.status;
}

/** Without a `listener`, only programs on this machine get in, and those without asking. */
function listenLocally(config: Config, ports: readonly number[], log: LogWriter): void {
  for (const line of [
    'Starting in local only mode. Connections will only be possible from clients running on this machine.',
    'Create a configuration file which defines a listener to allow remote access.',
    "See 'martlet help config' and docs/configuration.md.",
  ]) {
    log.log(LogLevel.warning, line);
  }
  config.listeners = (ports.length === 0 ? [DEFAULT_PORT] : ports).flatMap(loopbackListeners);
  config.allowAnonymous ??= true;
}

/** A broker that refuses everybody is seldom what somebody wants. */
function warnOfClosedDoors(config: Config, log: LogWriter): void {
  if (config.allowAnonymous === true || config.passwordFile !== null) return;
  log.log(
    LogLevel.warning,
    `Warning: allow_anonymous is false${config.allowAnonymous === null ? ' by default' : ''} and there is no ` +
      'password_file: every client will be refused. Set allow_anonymous true, or name a password_file.',
  );
}

async function reloadRules(
  { passwordFile, aclFile, pskFile }: Config,
  running: RunningBroker,
  log: LogWriter,
): Promise<void> {
  if (passwordFile === null && aclFile === null && pskFile === null) return;
  try {
    await running.reload();
    log.log(LogLevel.information, 'SIGHUP: users and access rules read anew.');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const line of describeProblems(error.problems)) log.log(LogLevel.error, `Error: ${line}`);
    log.log(LogLevel.error, 'SIGHUP: users and access rules stay as they were.');
  }
}

function reopenLog(log: LogWriter): void {
  try {
    const path = log.reopen();
    log.log(
      LogLevel.information,
      path === null ? 'SIGHUP: there is no log file to reopen.' : `SIGHUP: log file ${path} reopened.`,
    );
  } catch (error) {
    if (!(error instanceof LogFileError)) throw error;
    log.log(LogLevel.error, `Error: ${error.message}`);
  }
}

class PidFileError extends Error {
  override readonly name = 'PidFileError';
}

function writePidFile(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (error) {
    throw new PidFileError(`Unable to write pid file ${path}: ${systemErrorText(error)}.`, { cause: error });
  }
}

function removePidFile(path: string): void {
  try {
    if (readFileSync(path, 'utf8').trim() === String(process.pid)) unlinkSync(path);
  } catch {
    // somebody took it away; there is nothing left to tidy up
  }
}
