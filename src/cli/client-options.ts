// The command line of `martlet pub` and `sub`: what Mosquitto's clients take, in the same words.
import type { QoS } from '../protocol/packet-type.ts';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import { clientOptionRows, type ClientOptionRow } from './client-option-rows.ts';
import { type CommandProperties, noProperties } from './client-properties.ts';
import { ClientUsageError } from './client-usage-error.ts';
import type { MessageFormat } from './client-format.ts';

export type ClientCommand = 'pub' | 'sub';

/** Where the payload comes from. */
export type MessageSource =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdin' }
  | { readonly kind: 'lines' }
  | { readonly kind: 'none' };

/** What a command line says; rows of the option table fill it in. */
export interface ClientOptions {
  readonly command: ClientCommand;
  hostname: string;
  /** Null: the default of the scheme. 0: `hostname` is the path of a unix socket. */
  port: number | null;
  isWebSocket: boolean;
  cafile: string | null;
  capath: string | null;
  cert: string | null;
  key: string | null;
  useOsCertificates: boolean;
  insecure: boolean;
  alpn: string | null;
  ciphers: string | null;
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
  // pub
  source: MessageSource | null;
  retain: boolean;
  repeat: number;
  repeatDelayMs: number;
  // sub
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
  filterOut: string[];
  unsubscribeTopics: string[];
  exitAfterSubscribe: boolean;
  /** Percentage of messages to print. */
  randomFilter: number;
}

const INFINITE_EXPIRY = 0xffff_ffff;

export type ParsedCommand =
  { readonly kind: 'run'; readonly options: ClientOptions } | { readonly kind: 'help' } | { readonly kind: 'version' };

function defaultOptions(command: ClientCommand): ClientOptions {
  return {
    command,
    hostname: 'localhost',
    port: null,
    isWebSocket: false,
    cafile: null,
    capath: null,
    cert: null,
    key: null,
    useOsCertificates: false,
    insecure: false,
    alpn: null,
    ciphers: null,
    noDelay: false,
    protocolVersion: ProtocolVersion.v311,
    clientId: null,
    clientIdPrefix: null,
    username: null,
    password: null,
    cleanStart: true,
    keepAlive: 60,
    sessionExpiryInterval: null,
    maximumInFlight: null,
    topics: [],
    qos: 0,
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
    filterOut: [],
    unsubscribeTopics: [],
    exitAfterSubscribe: false,
    randomFilter: 100,
  };
}

/** @throws ClientUsageError */
export function parseClientCommand(command: ClientCommand, args: readonly string[]): ParsedCommand {
  const byName = new Map<string, ClientOptionRow>();
  for (const row of clientOptionRows) {
    if (row.commands.includes(command)) for (const name of row.names) byName.set(name, row);
  }
  const options = defaultOptions(command);
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (word === '--help') return { kind: 'help' };
    if (word === '--version') return { kind: 'version' };
    const row = byName.get(word);
    if (row === undefined) throw new ClientUsageError(`Error: Unknown option '${word}'.`, 1);
    if (row.takeWords !== null) {
      i += row.takeWords(options, args.slice(i + 1));
      continue;
    }
    if (row.missing === null) {
      row.apply(options, '');
      continue;
    }
    const value = args[++i];
    if (value === undefined) {
      throw new ClientUsageError(`Error: ${row.names[0]} argument given but ${row.missing}.`, 2);
    }
    row.apply(options, value);
  }
  checkTogether(options);
  return { kind: 'run', options };
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
  if (options.protocolVersion === ProtocolVersion.v5) checkExpiry(options);
  else if (!options.cleanStart && options.clientId === null) {
    throw new ClientUsageError('Error: You must provide a client id if you are using the -c option.', 1);
  }
  if (options.command === 'sub' && options.topics.length === 0) {
    throw new ClientUsageError('Error: You must specify a topic to subscribe to.', 1);
  }
  if (options.retainedOnly && options.noRetained) {
    throw new ClientUsageError("\nError: Combining '-R' and '--retained-only' makes no sense.", 0);
  }
  const hasProperties = Object.values(options.properties).some((properties) => properties !== null);
  if (hasProperties && options.protocolVersion !== ProtocolVersion.v5) {
    throw new ClientUsageError('Error: Properties need protocol version mqttv5.', 1);
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
  return options.cafile !== null || options.capath !== null || options.useOsCertificates || options.port === 8883;
}

/** The port to connect to; 0 for a unix socket. */
export function portOf(options: ClientOptions): number {
  if (options.port !== null) return options.port;
  if (options.isWebSocket) return usesTls(options) ? 443 : 80;
  return usesTls(options) ? 8883 : 1883;
}
