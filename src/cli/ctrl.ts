// `martlet ctrl`: the command line of mosquitto_ctrl.
import type { MqttClient } from '../client/mqtt-client.ts';
import { ACKNOWLEDGE } from '../client/client-handlers.ts';
import { OutgoingMessage } from '../client/outgoing-message.ts';
import { RetainHandling } from '../protocol/subscribe.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import { formatRows } from './arguments.ts';
import { type CommandIo, processIo } from './client-io.ts';
import { rowsByName, rowsOf } from './client-option-rows.ts';
import { type ClientOptions, parseClientCommand, usesTls } from './client-options.ts';
import { reasonText } from './client-outcome.ts';
import { ClientRun } from './client-run.ts';
import { ClientSetupError } from './client-setup-error.ts';
import { ClientUsageError } from './client-usage-error.ts';
import { BROKER_TOPIC, brokerHelp, brokerRequest, showBrokerAnswer } from './ctrl-broker.ts';
import { ctrlOutcome, CtrlStatus } from './ctrl-outcome.ts';
import { VERSION } from './version.ts';

/** How long an answer may take, as with mosquitto_ctrl. */
const PATIENCE_MS = 10_000;

/** @returns the exit status */
export async function runCtrl(args: string[], io: CommandIo = processIo(), patienceMs = PATIENCE_MS): Promise<number> {
  const status = await ctrl(args, io, patienceMs);
  await Promise.all([io.stdout.flush(), io.stderr.flush()]);
  return status;
}

async function ctrl(args: string[], io: CommandIo, patienceMs: number): Promise<number> {
  try {
    const moduleAt = findModule(args);
    const parsed = parseClientCommand('ctrl', args.slice(0, moduleAt), io.env);
    if (parsed.kind === 'version') {
      io.stdout.write(`martlet ctrl version ${VERSION}\n`);
      return CtrlStatus.failure;
    }
    const [module = null, command = null] = args.slice(moduleAt);
    if (parsed.kind === 'help' || module === null || command === null) {
      io.stdout.write(ctrlUsage());
      return CtrlStatus.failure;
    }
    for (const warning of parsed.warnings) io.stderr.write(`${warning}\n`);
    return await askModule(module, command, parsed.options, io, patienceMs);
  } catch (error) {
    if (error instanceof ClientUsageError) {
      io.stderr.write(`${error.message}\n\nUse 'martlet ctrl --help' to see usage.\n`);
    } else if (error instanceof ClientSetupError) io.stderr.write(`${error.message}\n`);
    else throw error;
    return CtrlStatus.failure;
  }
}

/** Where the options end. */
function findModule(args: readonly string[]): number {
  const rows = rowsByName('ctrl');
  let at = 0;
  while (at < args.length && args[at]!.startsWith('-')) {
    const row = rows.get(args[at]!);
    at += row !== undefined && row.missing !== null ? 2 : 1;
  }
  return at;
}

async function askModule(
  module: string,
  command: string,
  options: ClientOptions,
  io: CommandIo,
  patienceMs: number,
): Promise<number> {
  switch (module.toLowerCase()) {
    case 'broker': {
      if (command.toLowerCase() === 'help') {
        io.stdout.write(brokerHelp);
        return CtrlStatus.success;
      }
      const request = brokerRequest(command);
      if (request === null) {
        io.stderr.write(`Command '${command}' not recognised.\n`);
        return CtrlStatus.unknown;
      }
      return askBroker(options, request, io, patienceMs);
    }
    case 'dynsec':
      io.stderr.write(
        "Error: Module 'dynsec' not supported: Martlet has no dynamic security. Users are in a password_file " +
          '(martlet passwd), their rights in an acl_file.\n',
      );
      return CtrlStatus.notSupported;
    default:
      io.stderr.write(`Error: Module '${module}' not supported.\n`);
      return CtrlStatus.notSupported;
  }
}

async function askBroker(options: ClientOptions, request: string, io: CommandIo, patienceMs: number): Promise<number> {
  // Word for word: scripts leave these lines out of what they report.
  if (!usesTls(options) && !options.quiet) {
    io.stderr.write(
      'Warning: You are running mosquitto_ctrl without encryption.\nThis means all of the configuration changes you ' +
        'are making are visible on the network, including passwords.\n\n',
    );
  }
  if (options.username !== null && options.password === null) {
    await io.stderr.flush();
    options.password = await askPassword(options.username);
    if (options.password === null) {
      io.stderr.write('Error: Empty password.\nError getting password.\n');
      return CtrlStatus.failure;
    }
  }
  const run: ClientRun = new ClientRun(options, io, {
    reconnects: false,
    outcome: ctrlOutcome,
    onConnected: (client) => subscribe(client, run),
    onSubscribed: (client, _packetId, suback) => {
      if (suback !== null) publish(client, run, suback.reasonCodes[0] ?? 0x80, request);
    },
    onPublished: (_client, _message, reasonCode) => {
      if (reasonCode < 0x80) return;
      run.reportError(`Publish error: ${reasonText(reasonCode)}`);
      run.leave(CtrlStatus.success);
    },
    onMessage: (_client, message) => {
      if (run.isLeaving) return ACKNOWLEDGE;
      const { stdout, stderr } = showBrokerAnswer(message.copyPayload());
      io.stdout.write(stdout);
      if (!options.quiet) io.stderr.write(stderr);
      run.leave(CtrlStatus.success);
      return ACKNOWLEDGE;
    },
  });
  const timer = setTimeout(() => {
    run.reportError(`Error: The broker has not answered within ${patienceMs / 1_000} seconds.`);
    run.stop(CtrlStatus.timeout);
  }, patienceMs);
  const stopListening = io.onStopSignal(() => run.stop(CtrlStatus.failure));
  try {
    return await run.run();
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

function subscribe(client: MqttClient, run: ClientRun): void {
  const topicFilter = `${BROKER_TOPIC}/response`;
  const { qos } = run.options;
  const options = { topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: RetainHandling.send };
  const result = client.subscribe([options]);
  if (result > 0) return;
  run.reportError(`Subscribe error: ${reasonText(-result)}`);
  run.leave(CtrlStatus.success);
}

function publish(client: MqttClient, run: ClientRun, granted: number, request: string): void {
  if (granted >= 0x80) {
    const reason = run.options.protocolVersion === 5 ? reasonText(granted) : 'Subscription refused.';
    run.reportError(`Subscribe error: ${reason}`);
    run.leave(CtrlStatus.success);
    return;
  }
  const refusal = client.publish(new OutgoingMessage(BROKER_TOPIC, encodeUtf8(request), run.options.qos, false));
  if (refusal === 0) return;
  run.reportError(`Publish error: ${reasonText(refusal)}`);
  run.leave(CtrlStatus.success);
}

/** Null where none is given. */
async function askPassword(username: string): Promise<string | null> {
  const { processInput, SecretReader } = await import('./passwd-prompt.ts');
  const reader = new SecretReader(processInput());
  try {
    process.stderr.write(`Password for ${username}: `);
    const password = await reader.readLine();
    process.stderr.write('\n');
    return password === null || password.length === 0 ? null : new TextDecoder().decode(password);
  } finally {
    reader.close();
  }
}

/** Where it differs from that of `martlet pub`. */
const ownHelp: Readonly<Record<string, string>> = {
  '--protocol-version': 'mqttv31, mqttv311 or mqttv5, in short 31, 311, 5; mqttv5 by default',
  '-q': 'quality of service: 0, 1 (default) or 2',
  '-o': 'read more options from FILE, one a line, instead of from ~/.config/mosquitto_ctrl',
};

function ctrlUsage(): string {
  const rows = rowsOf('ctrl').map(({ names, takes, help }) => {
    const option = `${names.join(', ')}${takes === '' ? '' : ` ${takes}`}`;
    return [option, ownHelp[names[0]!] ?? help] as const;
  });
  return [
    'martlet ctrl administers a broker that runs. It takes the options of mosquitto_ctrl.',
    '',
    'Usage: martlet ctrl [OPTION ...] MODULE COMMAND [ARGUMENT ...]',
    '       martlet ctrl MODULE help',
    '',
    'Modules:',
    '',
    formatRows([['broker', 'listListeners, listPlugins: what the broker has. It needs enable_control_api true.']]),
    '',
    'Options, which stand before the module:',
    '',
    formatRows(rows),
    '',
    'More options are read from ~/.config/mosquitto_ctrl, one a line, where it exists; those of the command line win.',
    'The exit status tells whether the broker could be asked, not what it answered.',
    '',
  ].join('\n');
}
