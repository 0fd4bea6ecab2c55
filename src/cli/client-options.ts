// The command line of `martlet pub`, `sub` and `rr`: what Mosquitto's clients take, in the same words.
import { nearestName } from '../config/nearest-name.ts';
import type { QoS } from '../protocol/packet-type.ts';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import type { RetainHandling } from '../protocol/subscribe.ts';
import type { SocksProxy } from '../transport/client-socks.ts';
import type { MessageFormat } from './client-format.ts';
import { type Environment, readOptionFile } from './client-option-file.ts';
import type { ClientOptionRow } from './client-option-row.ts';
import { rowsByName } from './client-option-rows.ts';
import { type CommandProperties, noProperties } from './client-properties.ts';
import { ClientUsageError } from './client-usage-error.ts';

export type ClientCommand = 'pub' | 'sub' | 'rr';
/** Commands that connect in the same way. */
export type ConnectingCommand = ClientCommand | 'ctrl';

/** Where the payload comes from. */
export type MessageSource =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdin' }
  | { readonly kind: 'lines' }
  | { readonly kind: 'none' };

/** What a command line says; rows of the option table fill it in. */
export interface ClientOptions {
  readonly command: ConnectingCommand;
  hostname: string;
  /** Null: the default of the scheme. 0: `hostname` is the path of a unix socket. */
  port: number | null;
  isWebSocket: boolean;
  /** Ask for SRV records of `hostname`. */
  usesSrv: boolean;
  /** Of this machine: a name or an address. */
  bindAddress: string | null;
  proxy: SocksProxy | null;
  wantsMultipath: boolean;
  cafile: string | null;
  capath: string | null;
  cert: string | null;
  key: string | null;
  useOsCertificates: boolean;
  insecure: boolean;
  alpn: string | null;
  ciphers: string | null;
  /** Hexadecimal digits, as they were given. */
  psk: string | null;
  pskIdentity: string | null;
  /** As it was given. */
  tlsVersion: string | null;
  keyLogFile: string | null;
  noTls: boolean;
  keyform: string | null;
  tlsEngine: string | null;
  tlsEngineKeyHash: string | null;
  noDelay: boolean;
  protocolVersion: ProtocolVersion;
  clientId: string | null;
  clientIdPrefix: string | null;
  username: string | null;
  password: string | null;
  cleanStart: boolean;
  keepAlive: number;
  /** -x, in seconds; null where it was not given. */
  sessionExpiryInterval: number | null;
  /** Null: as many as is usual. */
  maximumInFlight: number | null;
  topics: string[];
  qos: QoS;
  willTopic: string | null;
  willPayload: string | null;
  willQos: QoS;
  willRetain: boolean;
  properties: CommandProperties;
  debug: boolean;
  quiet: boolean;
  // pub and rr
  source: MessageSource | null;
  retain: boolean;
  repeat: number;
  repeatDelayMs: number;
  // rr
  responseTopic: string | null;
  measureLatency: boolean;
  // sub and rr
  verbose: boolean;
  format: MessageFormat | null;
  endOfLine: boolean;
  pretty: boolean;
  /** Messages to print before leaving; 0: no end. */
  messageCount: number;
  /** Seconds; 0: no end. */
  timeout: number;
  noRetained: boolean;
  retainedOnly: boolean;
  removeRetained: boolean;
  retainAsPublished: boolean;
  /** Null where it was not given. */
  retainHandling: RetainHandling | null;
  watch: boolean;
  messageRate: boolean;
  filterOut: string[];
  unsubscribeTopics: string[];
  exitAfterSubscribe: boolean;
  /** Percentage of messages to print. */
  randomFilter: number;
}

const INFINITE_EXPIRY = 0xffff_ffff;

export type ParsedCommand =
  | {
      readonly kind: 'run';
      readonly options: ClientOptions;
      /** For standard error. */
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' };

function defaultOptions(command: ConnectingCommand): ClientOptions {
  return {
    command,
    hostname: 'localhost',
    port: null,
    isWebSocket: false,
    usesSrv: false,
    bindAddress: null,
    proxy: null,
    wantsMultipath: false,
    cafile: null,
    capath: null,
    cert: null,
    key: null,
    useOsCertificates: false,
    insecure: false,
    alpn: null,
    ciphers: null,
    psk: null,
    pskIdentity: null,
    tlsVersion: null,
    keyLogFile: null,
    noTls: false,
    keyform: null,
    tlsEngine: null,
    tlsEngineKeyHash: null,
    noDelay: false,
    protocolVersion: command === 'rr' || command === 'ctrl' ? ProtocolVersion.v5 : ProtocolVersion.v311,
    clientId: null,
    clientIdPrefix: null,
    username: null,
    password: null,
    cleanStart: true,
    keepAlive: 60,
    sessionExpiryInterval: null,
    maximumInFlight: null,
    topics: [],
    qos: command === 'ctrl' ? 1 : 0,
    willTopic: null,
    willPayload: null,
    willQos: 0,
    willRetain: false,
    properties: noProperties(),
    debug: false,
    quiet: false,
    source: null,
    retain: false,
    repeat: 1,
    repeatDelayMs: 0,
    responseTopic: null,
    measureLatency: false,
    verbose: false,
    format: null,
    endOfLine: true,
    pretty: false,
    messageCount: 0,
    timeout: 0,
    noRetained: false,
    retainedOnly: false,
    removeRetained: false,
    retainAsPublished: false,
    retainHandling: null,
    watch: false,
    messageRate: false,
    filterOut: [],
    unsubscribeTopics: [],
    exitAfterSubscribe: false,
    randomFilter: 100,
  };
}

/**
 * Options of a file first, then those of the command line.
 *
 * @throws ClientUsageError
 */
export function parseClientCommand(
  command: ConnectingCommand,
  args: readonly string[],
  env: Environment,
): ParsedCommand {
  const rows = rowsByName(command);
  const options = defaultOptions(command);
  const { lines, warning } = readOptionFile(command, args, rows, env);
  for (const { words, file, line } of lines) {
    try {
      const ending = applyWords(options, words, rows);
      if (ending !== null) return { kind: ending };
    } catch (error) {
      if (!(error instanceof ClientUsageError)) throw error;
      throw new ClientUsageError(`${error.message}\n(${file}, line ${line})`, error.gap);
    }
  }
  const ending = applyWords(options, args, rows);
  if (ending !== null) return { kind: ending };
  checkTogether(options);
  const warnings = warning === null ? [] : [warning];
  if (options.wantsMultipath) {
    warnings.push(
      'Warning: --mptcp is not available here: the connection is plain TCP. `mptcpize run` can change that.',
    );
  }
  return { kind: 'run', options, warnings: options.quiet ? [] : warnings };
}

function applyWords(
  options: ClientOptions,
  words: readonly string[],
  rows: ReadonlyMap<string, ClientOptionRow>,
): 'help' | 'version' | null {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--help') return 'help';
    if (word === '--version') return 'version';
    const row = rows.get(word);
    if (row === undefined) throw new ClientUsageError(describeUnknown(word, rows.keys()), 1);
    if (row.takeWords !== null) {
      i += row.takeWords(options, words.slice(i + 1));
      continue;
    }
    if (row.missing === null) {
      row.apply(options, '');
      continue;
    }
    const value = words[++i];
    if (value === undefined) {
      throw new ClientUsageError(`Error: ${row.names[0]} argument given but ${row.missing}.`, 2);
    }
    row.apply(options, value);
  }
  return null;
}

function describeUnknown(word: string, names: Iterable<string>): string {
  const nearest = word.startsWith('--') ? nearestName(word, names) : null;
  return `Error: Unknown option '${word}'.${nearest === null ? '' : ` Did you mean '${nearest}'?`}`;
}

/** What single options can't tell. */
function checkTogether(options: ClientOptions): void {
  if (options.willPayload !== null && options.willTopic === null) {
    throw new ClientUsageError('Error: Will payload given, but no will topic given.', 1);
  }
  if (options.willRetain && options.willTopic === null) {
    throw new ClientUsageError('Error: Will retain given, but no will topic given.', 1);
  }
  if ((options.cert === null) !== (options.key === null)) {
    throw new ClientUsageError('Error: Both certfile and keyfile must be provided if one of them is set.', 1);
  }
  checkKeys(options);
  if (options.protocolVersion === ProtocolVersion.v5) checkExpiry(options);
  else if (!options.cleanStart && options.clientId === null) {
    throw new ClientUsageError('Error: You must provide a client id if you are using the -c option.', 1);
  }
  if (options.command === 'sub' && options.topics.length === 0 && options.unsubscribeTopics.length === 0) {
    const what = 'You must specify a topic to subscribe to (-t) or unsubscribe from (-U).';
    throw new ClientUsageError(`Error: ${what}`, 1);
  }
  const hasProperties = Object.values(options.properties).some((properties) => properties !== null);
  if (hasProperties && options.protocolVersion !== ProtocolVersion.v5) {
    throw new ClientUsageError('Error: Properties need protocol version mqttv5.', 1);
  }
}

function checkKeys(options: ClientOptions): void {
  const { cafile, capath, key, keyform, psk, pskIdentity, tlsEngine, tlsEngineKeyHash } = options;
  if (keyform !== null && key === null) {
    throw new ClientUsageError('Error: If keyform is set, keyfile must be also specified.', 1);
  }
  if (tlsEngineKeyHash !== null && (keyform === null || tlsEngine === null)) {
    const what = 'when using tls-engine-kpass-sha1, both tls-engine and keyform must also be provided.';
    throw new ClientUsageError(`Error: ${what}`, 1);
  }
  if (psk !== null && (cafile !== null || capath !== null)) {
    throw new ClientUsageError('Error: Only one of --psk or --cafile/--capath may be used at once.', 1);
  }
  if (psk !== null && pskIdentity === null) {
    throw new ClientUsageError('Error: --psk-identity required if --psk used.', 1);
  }
  // Mosquitto's clients go on without any TLS.
  if (pskIdentity !== null && psk === null) {
    throw new ClientUsageError('Error: --psk required if --psk-identity used.', 1);
  }
}

function checkExpiry(options: ClientOptions): void {
  if (options.sessionExpiryInterval === null && !options.cleanStart) options.sessionExpiryInterval = INFINITE_EXPIRY;
  if (options.sessionExpiryInterval === null) return;
  if (options.sessionExpiryInterval === INFINITE_EXPIRY && options.clientId === null) {
    throw new ClientUsageError(
      'Error: You must provide a client id if you are using an infinite session expiry interval.',
      1,
    );
  }
  options.properties.connect = {
    ...options.properties.connect,
    sessionExpiryInterval: options.sessionExpiryInterval,
  };
}

/** TLS is on where anything to trust is given, by URL, or by the port that stands for it. */
export function usesTls(options: ClientOptions): boolean {
  if (options.noTls) return false;
  const { cafile, capath, psk, useOsCertificates, port } = options;
  return cafile !== null || capath !== null || psk !== null || useOsCertificates || port === 8883;
}

/** The port to connect to; 0 for a unix socket. */
export function portOf(options: ClientOptions): number {
  return options.port ?? (usesTls(options) ? 8883 : 1883);
}
