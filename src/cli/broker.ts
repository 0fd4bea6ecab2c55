import { type Flag, type ParsedArguments, parseArguments, parsePort, UsageError } from './arguments.ts';
import { startInBackground } from './daemon.ts';
import { ExitStatus } from './exit-status.ts';
import { describeFailure } from './failure.ts';
import { openReadiness } from './readiness.ts';
import { DEFAULT_PORT, serveBroker } from './serve-broker.ts';
import { formatUsage } from './usage.ts';
import { VERSION } from './version.ts';

/** As with Mosquitto. */
const MOST_PORTS = 10;

const flags: readonly Flag[] = [
  {
    names: ['-c', '--config-file'],
    takes: 'FILE',
    help: 'Read the configuration from FILE; from several files, where it is given several times.',
  },
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
  { names: ['--tls-keylog'], takes: 'FILE', help: 'An option of mosquitto that is refused: there is no such log.' },
  { names: ['--version'], takes: null, help: 'Show the version.' },
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
 * @returns exit status, once the broker has ended; see `ExitStatus`
 */
export async function runBroker(args: readonly string[]): Promise<number> {
  const readiness = openReadiness(process.env);
  try {
    const given = parseArguments(args, flags);
    if (given.has('--help') || given.has('--version')) {
      process.stdout.write(`${given.has('--help') ? brokerUsage() : `martlet ${VERSION}`}\n`);
      return ExitStatus.unknown;
    }
    if (given.has('--tls-keylog')) {
      throw new UsageError(
        '--tls-keylog is not available: the TLS library here does not tell the keys of connections.',
      );
    }
    const ports = readPorts(given);
    const files = given.all('--config-file');
    if (given.has('--test-config')) {
      if (files.length === 0) throw new UsageError('--test-config needs a file to test: -c FILE.');
      const { testConfig } = await import('./test-config.ts');
      return testConfig(files);
    }
    if (given.has('--daemon')) {
      return await startInBackground(['broker', ...args.filter((one) => one !== '-d' && one !== '--daemon')]);
    }
    const command = { files, ports, isVerbose: given.has('--verbose'), isQuiet: given.has('--quiet') };
    return await serveBroker(command, readiness);
  } catch (error) {
    const failure = describeFailure(error);
    if (failure === null) throw error;
    readiness.failed(failure.status, failure.text);
    return failure.status;
  }
}

function readPorts(given: ParsedArguments): number[] {
  const values = given.all('--port');
  if (values.length > MOST_PORTS)
    throw new UsageError(`Only ${MOST_PORTS} ports can be specified on the command line.`);
  return values.map((value) => parsePort('-p', value, 1));
}
