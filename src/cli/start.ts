import { existsSync, mkdirSync } from 'node:fs';
import {
  type Config,
  defaultConfig,
  defaultListenerConfig,
  type ListenerConfig,
  ListenerProtocol,
  logTypes,
} from '../config/config.ts';
import { loadConfig, type ParsedConfig } from '../config/parse-config.ts';
import { MAX_REMAINING_LENGTH } from '../protocol/packet-type.ts';
import { type Flag, type ParsedArguments, parseArguments } from './arguments.ts';
import { DEFAULT_FILE, formatBanner } from './banner.ts';
import { ExitStatus } from './exit-status.ts';
import { describeFailure } from './failure.ts';
import { LogWriter } from '../log/log-writer.ts';
import { dropPrivileges } from './privileges.ts';
import { loopbackListeners, openBroker, type RunningBroker, StartError } from './running-broker.ts';
import { waitForEnd } from './signals.ts';
import { formatUsage } from './usage.ts';

const DEFAULT_PORTS = { mqtt: 1883, websocket: 8083, http: 8080 };
const LOOPBACK = '127.0.0.1';
const DATA_FOLDER = './data';
/** Fixed header and the largest Remaining Length: the most that the standard allows. */
const LARGEST_PACKET = MAX_REMAINING_LENGTH + 5;

const flags: readonly Flag[] = [
  {
    names: ['-c', '--config-file'],
    takes: 'FILE',
    help: `Read the configuration from FILE (default ${DEFAULT_FILE}, if it exists).`,
  },
  {
    names: ['-p', '--port'],
    takes: 'PORT',
    help: `Port for MQTT (default ${DEFAULT_PORTS.mqtt}); 0 takes a free one, here and below.`,
  },
  { names: ['--ws-port'], takes: 'PORT', help: `Port for MQTT over WebSocket (default ${DEFAULT_PORTS.websocket}).` },
  { names: ['--http-port'], takes: 'PORT', help: `Port for HTTP (default ${DEFAULT_PORTS.http}).` },
  {
    names: ['--host'],
    takes: 'ADDRESS',
    help: 'Address to listen on (default: this machine only); 0.0.0.0 is every address.',
  },
  { names: ['-v', '--verbose'], takes: null, help: 'Log everything.' },
  { names: ['-h', '--help'], takes: null, help: 'Show this text.' },
];

/** The help of `martlet start`. */
export function startUsage(): string {
  return formatUsage({
    line: 'start [OPTION ...]',
    about:
      'Runs the broker with everything around it: MQTT, MQTT over WebSocket, and HTTP with status and metrics.\n' +
      'Without a configuration file only programs on this machine get in.',
    flags,
    examples: ['martlet start', 'martlet start --port 1884 --http-port 8081', 'martlet start -c martlet.conf'],
  });
}

const PORT_ADVICE =
  'Stop that program, or choose another port with --port (MQTT) or --ws-port (MQTT over WebSocket), ' +
  "as in 'npm start -- --port 1884', or with listener PORT in the configuration file.";

/**
 * `martlet start`, which is `npm start`.
 *
 * @returns exit status, once everything has ended
 */
export async function runStart(args: readonly string[]): Promise<number> {
  try {
    const given = parseArguments(args, flags);
    if (given.has('--help')) {
      process.stdout.write(`${startUsage()}\n`);
      return ExitStatus.success;
    }
    return await serve(given);
  } catch (error) {
    const failure = describeFailure(error);
    if (failure === null) throw error;
    const portInUse = error instanceof StartError ? error.portInUse : null;
    process.stderr.write(portInUse === null ? `${failure.text}\n` : `Error: ${portInUse} ${PORT_ADVICE}\n`);
    return failure.status;
  }
}

async function serve(given: ParsedArguments): Promise<number> {
  const file = given.one('--config-file') ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : null);
  const parsed: ParsedConfig =
    file === null ? { config: defaultConfig(), notices: [], given: new Set() } : loadConfig(file);
  for (const line of parsed.notices) process.stderr.write(`${file}: ${line}\n`);
  const config = completeConfig(parsed, given);
  if (config.user !== null) dropPrivileges(config.user);
  const log = new LogWriter(config.log);

  // A terminal that is closed takes us along.
  const ended = waitForEnd(null);
  const running: RunningBroker = await openBroker(config, log);
  process.stdout.write(
    formatBanner({
      running,
      file,
      isAnonymousAllowed: config.security.allowAnonymous === true || config.security.passwordFile !== null,
      isLocalOnly: config.listeners.every(isLocal),
    }),
  );
  const signal = await ended;
  await running.stop();
  await log.flush();
  // The terminal shows ^C at the beginning of this line.
  process.stdout.write(`${signal === 'SIGINT' && process.stdout.isTTY ? '\n' : ''}Martlet has stopped.\n`);
  return ExitStatus.success;
}

/**
 * What the file says, and for the rest what suits somebody who tries things out: two listeners and HTTP on loopback,
 * sessions and messages kept in ./data, packets as large as the standard allows, refusals in words, a log of what is
 * wrong.
 */
function completeConfig({ config, given: inFile }: ParsedConfig, given: ParsedArguments): Config {
  const host = given.one('--host');
  if (config.listeners.length === 0) {
    config.listeners = [
      ...localOrAt(host, given.port('--port', 0) ?? DEFAULT_PORTS.mqtt),
      ...localOrAt(host, given.port('--ws-port', 0) ?? DEFAULT_PORTS.websocket).map((listener): ListenerConfig => ({
        ...listener,
        protocol: ListenerProtocol.websockets,
        websocketsPath: '/mqtt',
      })),
    ];
    config.security.allowAnonymous ??= config.listeners.every(isLocal);
  } else if (['--port', '--ws-port', '--host'].some((name) => given.has(name))) {
    process.stderr.write(
      'The configuration file opens listeners of its own: --port, --ws-port and --host open none.\n',
    );
  }
  const httpPort = given.port('--http-port', 0);
  config.httpListener = {
    port: httpPort ?? config.httpListener?.port ?? DEFAULT_PORTS.http,
    host: host ?? config.httpListener?.host ?? LOOPBACK,
  };
  const { persistence } = config;
  if (!inFile.has('persistence')) persistence.isOn = true;
  if (!inFile.has('persistence_location')) {
    persistence.location = DATA_FOLDER;
    if (persistence.isOn) mkdirSync(DATA_FOLDER, { recursive: true });
  }
  if (!inFile.has('max_packet_size')) config.broker.maxPacketSize = LARGEST_PACKET;
  if (!inFile.has('reason_strings')) config.broker.reasonStrings = true;
  if (!inFile.has('response_topic_prefix')) config.broker.responseTopicPrefix = 'response/';
  if (given.has('--verbose')) config.log.types = new Set(logTypes);
  else if (!inFile.has('log_type')) config.log.types = new Set(['error', 'warning']);
  return config;
}

function localOrAt(host: string | null, port: number): ListenerConfig[] {
  if (host === null || host === 'localhost') return loopbackListeners(port);
  return [{ ...defaultListenerConfig(), port, host }];
}

/** Whether only programs on this machine can reach it. */
function isLocal({ host, unixPath }: ListenerConfig): boolean {
  return unixPath !== null || host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host ?? '');
}
