// The option table of `martlet pub` and `sub`. `--help` is made from it.
import { ProtocolVersion, type QoS } from '../protocol/packet-type.ts';
import { isValidTopicFilter, isValidTopicName } from '../protocol/topic.ts';
import { isEncodableString } from '../protocol/utf8.ts';
import { parseMessageFormat } from './client-format.ts';
import type { ClientCommand, ClientOptions, MessageSource } from './client-options.ts';
import { takeProperty } from './client-properties.ts';
import { parseClientUrl } from './client-url.ts';
import { ClientUsageError, leadingInteger, leadingNumber } from './client-usage-error.ts';

export interface ClientOptionRow {
  /** The first one is what messages call it. */
  readonly names: readonly string[];
  readonly commands: readonly ClientCommand[];
  /** What follows, for `--help`; empty for a switch. */
  readonly takes: string;
  /** Ends the message that says so where nothing follows; null for a switch. */
  readonly missing: string | null;
  readonly help: string;
  /** @throws ClientUsageError */
  readonly apply: (options: ClientOptions, value: string) => void;
  /** For options that take several words, of those behind it: returns how many. Null for all others. */
  readonly takeWords: ((options: ClientOptions, words: readonly string[]) => number) | null;
}

const both: readonly ClientCommand[] = ['pub', 'sub'];
const pub: readonly ClientCommand[] = ['pub'];
const sub: readonly ClientCommand[] = ['sub'];

/** Options that take a value: names, commands, value for `--help`, what is missing without, help, effect. */
function valued(
  names: string,
  commands: readonly ClientCommand[],
  takes: string,
  missing: string,
  help: string,
  apply: (options: ClientOptions, value: string) => void,
): ClientOptionRow {
  return { names: names.split(' '), commands, takes, missing, help, apply, takeWords: null };
}

function flag(
  names: string,
  commands: readonly ClientCommand[],
  help: string,
  apply: (options: ClientOptions) => void,
): ClientOptionRow {
  return { names: names.split(' '), commands, takes: '', missing: null, help, apply, takeWords: null };
}

/** In the order of `--help`. */
export const clientOptionRows: readonly ClientOptionRow[] = [
  // where to
  valued('-h --host', both, 'HOST', 'no host specified', 'host to connect to; localhost by default', (o, value) => {
    o.hostname = value;
  }),
  valued('-p --port', both, 'PORT', 'no port specified', 'port; 1883 by default, with TLS 8883', applyPort),
  valued(
    '-L --url',
    both,
    'URL',
    'no URL specified',
    'all at once: mqtt(s)://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC, or ws(s)://... for MQTT over WebSocket at /mqtt',
    applyUrl,
  ),
  valued(
    '--unix',
    both,
    'PATH',
    'no socket path specified',
    'unix socket to connect to instead of a host',
    (o, value) => {
      o.hostname = value;
      o.port = 0;
    },
  ),
  // who
  valued('-i --id', both, 'ID', 'no id specified', 'client identifier', (o, value) => {
    if (o.clientIdPrefix !== null) throw bothIds();
    o.clientId = value;
  }),
  valued(
    '-I --id-prefix',
    both,
    'PREFIX',
    'no id prefix specified',
    'client identifier made of this and the process id',
    (o, value) => {
      if (o.clientId !== null) throw bothIds();
      o.clientIdPrefix = value;
    },
  ),
  valued('-u --username', both, 'NAME', 'no username specified', 'user name', (o, value) => {
    o.username = value;
  }),
  valued('-P --pw', both, 'PASSWORD', 'no password specified', 'password', (o, value) => {
    o.password = value;
  }),
  valued(
    '--protocol-version -V',
    both,
    'VERSION',
    'no version specified',
    'mqttv31, mqttv311 or mqttv5, in short 31, 311, 5; mqttv311 by default',
    applyVersion,
  ),
  flag('-c --disable-clean-session', both, 'keep the session when the connection ends; needs -i', (o) => {
    o.cleanStart = false;
  }),
  valued(
    '-x',
    both,
    'SECONDS',
    'no session expiry interval specified',
    'MQTT 5: how long the session outlives the connection; -1 for ever; 0 by default, with -c -1',
    applyExpiry,
  ),
  valued(
    '-k --keepalive',
    both,
    'SECONDS',
    'no keepalive specified',
    'longest silence before a ping; 60 by default',
    (o, value) => {
      const seconds = leadingInteger(value);
      if (seconds < 5 || seconds > 65_535) {
        throw usage('Invalid keepalive given, it must be between 5 and 65535 inclusive.');
      }
      o.keepAlive = seconds;
    },
  ),
  {
    names: ['-D', '--property'],
    commands: both,
    takes: 'COMMAND NAME VALUE',
    missing: null,
    help: 'MQTT 5: a property of a packet, such as `-D publish content-type text/plain`',
    apply: () => {},
    takeWords: (o, words) => {
      o.protocolVersion = ProtocolVersion.v5;
      return takeProperty(words, o.properties);
    },
  },
  // what
  valued('-t --topic', pub, 'TOPIC', 'no topic specified', 'topic to publish to', (o, value) => {
    checkTopic(value, isValidTopicName, `Invalid publish topic '${value}', does it contain '+' or '#'?`);
    o.topics = [value];
  }),
  valued(
    '-t --topic',
    sub,
    'FILTER',
    'no topic specified',
    'topic filter to subscribe to; may be repeated',
    (o, value) => {
      checkTopic(value, isValidTopicFilter, `Invalid subscription topic '${value}', ${wildcards}`);
      o.topics.push(value);
    },
  ),
  valued('-q --qos', both, 'QOS', 'no QoS specified', 'quality of service: 0 (default), 1 or 2', (o, value) => {
    const qos = leadingInteger(value);
    if (qos < 0 || qos > 2) throw new ClientUsageError(`Error: Invalid QoS given: ${qos}`, 1);
    o.qos = qos as QoS;
  }),
  valued('-m --message', pub, 'TEXT', 'no message specified', 'message to send', (o, text) => {
    setSource(o, { kind: 'text', text });
  }),
  valued('-f --file', pub, 'FILE', 'no file specified', 'send the content of a file as the message', (o, path) => {
    setSource(o, { kind: 'file', path });
  }),
  flag('-s --stdin-file', pub, 'send all of standard input as one message', (o) => setSource(o, { kind: 'stdin' })),
  flag('-l --stdin-line', pub, 'send each line of standard input as a message', (o) => setSource(o, { kind: 'lines' })),
  flag('-n --null-message', pub, 'send an empty message', (o) => setSource(o, { kind: 'none' })),
  flag('-r --retain', pub, 'ask the broker to retain the message', (o) => {
    o.retain = true;
  }),
  valued('--repeat', pub, 'COUNT', 'no count specified', 'with -m, -n, -f, -s: send it COUNT times', (o, value) => {
    const count = leadingInteger(value);
    if (count < 1) throw usage('--repeat argument must be >0.');
    o.repeat = count;
  }),
  valued(
    '--repeat-delay',
    pub,
    'SECONDS',
    'no time specified',
    'pause between these; may be a fraction',
    (o, value) => {
      const seconds = leadingNumber(value);
      if (seconds < 0) throw usage('--repeat-delay argument must be >=0.0.');
      o.repeatDelayMs = seconds * 1_000;
    },
  ),
  valued(
    '-M --max-inflight',
    both,
    'COUNT',
    'max_inflight not specified',
    'most QoS 1 and 2 messages on their way; 20 by default',
    (o, value) => {
      const count = leadingInteger(value);
      if (count < 1) throw usage('Maximum inflight messages must be greater than 0.');
      o.maximumInFlight = Math.min(count, 65_535);
    },
  ),
  // what to print
  flag('-v --verbose', sub, 'print topic and message', (o) => {
    o.verbose = true;
  }),
  valued(
    '-F',
    sub,
    'FORMAT',
    'no format specified',
    'print by a format: %t topic, %p payload, %j JSON, ...',
    (o, value) => {
      o.format = parseMessageFormat(value);
    },
  ),
  flag('-N', sub, 'print no end of line', (o) => {
    o.endOfLine = false;
  }),
  flag('--pretty', sub, 'print JSON (%j, %J) on several lines', (o) => {
    o.pretty = true;
  }),
  flag('-R', sub, 'print no retained messages', (o) => {
    o.noRetained = true;
  }),
  flag('--retained-only', sub, 'print retained messages only, and leave at the first other', (o) => {
    o.retainedOnly = true;
  }),
  flag('--remove-retained', sub, 'have the broker forget each retained message that comes', (o) => {
    o.removeRetained = true;
  }),
  flag('--retain-as-published', sub, 'MQTT 5: the retain flag as the publisher set it', (o) => {
    o.retainAsPublished = true;
  }),
  valued(
    '-T --filter-out',
    sub,
    'FILTER',
    'no topic filter specified',
    'print no messages of these topics',
    (o, value) => {
      checkTopic(value, isValidTopicFilter, `Invalid filter topic '${value}', ${wildcards}`);
      o.filterOut.push(value);
    },
  ),
  valued(
    '--random-filter',
    sub,
    'PERCENT',
    'no chance specified',
    'print only this percentage of messages, 0.1 to 100',
    (o, value) => {
      const percent = leadingNumber(value);
      if (percent < 0.1 || percent > 100) throw usage('--random-filter chance must be between 0.1-100.0');
      o.randomFilter = percent;
    },
  ),
  valued(
    '-U --unsubscribe',
    sub,
    'FILTER',
    'no unsubscribe topic specified',
    'topic filter to unsubscribe from; may be repeated',
    (o, value) => {
      checkTopic(value, isValidTopicFilter, `Invalid unsubscribe topic '${value}', ${wildcards}`);
      o.unsubscribeTopics.push(value);
    },
  ),
  // when to leave
  valued('-C', sub, 'COUNT', 'no count specified', 'leave after so many messages', (o, value) => {
    const count = leadingInteger(value);
    if (count < 1) throw usage(`Invalid message count "${count}".`);
    o.messageCount = count;
  }),
  valued('-W', sub, 'SECONDS', 'no timeout specified', 'leave after so long, with status 27', (o, value) => {
    const seconds = leadingInteger(value);
    if (seconds < 1) throw usage(`Invalid timeout "${seconds}".`);
    o.timeout = seconds;
  }),
  flag('-E', sub, 'leave once the broker has acknowledged the subscriptions', (o) => {
    o.exitAfterSubscribe = true;
  }),
  // will
  valued('--will-topic', both, 'TOPIC', 'no will topic specified', 'topic of the will', (o, value) => {
    checkTopic(value, isValidTopicName, `Invalid will topic '${value}', does it contain '+' or '#'?`);
    o.willTopic = value;
  }),
  valued('--will-payload', both, 'TEXT', 'no will payload specified', 'message of the will', (o, value) => {
    o.willPayload = value;
  }),
  valued('--will-qos', both, 'QOS', 'no will QoS specified', 'quality of service of the will', (o, value) => {
    const qos = leadingInteger(value);
    if (qos < 0 || qos > 2) throw usage(`Invalid will QoS ${qos}.`);
    o.willQos = qos as QoS;
  }),
  flag('--will-retain', both, 'have the will retained', (o) => {
    o.willRetain = true;
  }),
  // TLS
  valued('--cafile', both, 'FILE', 'no file specified', 'PEM certificates to trust; turns TLS on', (o, value) => {
    o.cafile = value;
  }),
  valued(
    '--capath',
    both,
    'FOLDER',
    'no directory specified',
    'folder of such, prepared by `openssl rehash`; turns TLS on',
    (o, value) => {
      o.capath = value;
    },
  ),
  valued('--cert', both, 'FILE', 'no file specified', 'PEM certificate of this client', (o, value) => {
    o.cert = value;
  }),
  valued('--key', both, 'FILE', 'no file specified', 'PEM key of this client', (o, value) => {
    o.key = value;
  }),
  valued('--ciphers', both, 'LIST', 'no ciphers specified', 'TLS ciphers, as OpenSSL lists them', (o, value) => {
    o.ciphers = value;
  }),
  valued('--tls-alpn', both, 'NAME', 'no protocol specified', 'protocol to ask for in TLS', (o, value) => {
    o.alpn = value;
  }),
  flag('--tls-use-os-certs', both, 'trust what the system trusts; turns TLS on', (o) => {
    o.useOsCertificates = true;
  }),
  flag('--insecure', both, 'do not check that the certificate names the host', (o) => {
    o.insecure = true;
  }),
  flag('--nodelay', both, "send at once, without Nagle's algorithm", (o) => {
    o.noDelay = true;
  }),
  // for people
  flag('-d --debug', both, 'print each packet', (o) => {
    o.debug = true;
  }),
  flag('--quiet', both, 'print no errors', (o) => {
    o.quiet = true;
  }),
];

const wildcards = "are all '+' and '#' wildcards correct?";

/** An empty topic is let through, as Mosquitto does: it is refused when it is used. */
function checkTopic(topic: string, isValid: (topic: string) => boolean, message: string): void {
  if (topic !== '' && (!isValid(topic) || !isEncodableString(topic)))
    throw new ClientUsageError(`Error: ${message}`, 1);
}

function setSource(options: ClientOptions, source: MessageSource): void {
  if (options.source !== null) throw usage('Only one type of message can be sent at once.');
  options.source = source;
}

function applyPort(options: ClientOptions, value: string): void {
  const port = leadingInteger(value);
  if (port < 0 || port > 65_535) throw new ClientUsageError(`Error: Invalid port given: ${port}`, 1);
  options.port = port;
}

function applyUrl(options: ClientOptions, value: string): void {
  const url = parseClientUrl(value);
  options.hostname = url.hostname;
  options.isWebSocket = url.isWebSocket;
  if (url.isTls) options.useOsCertificates = true;
  if (url.port !== null) options.port = leadingInteger(url.port);
  if (url.username !== null) options.username = url.username;
  if (url.password !== null) options.password = url.password;
  if (options.command === 'pub') options.topics = [url.topic];
  else options.topics.push(url.topic);
}

const versions: Readonly<Record<string, ProtocolVersion>> = {
  mqttv31: ProtocolVersion.v31,
  31: ProtocolVersion.v31,
  mqttv311: ProtocolVersion.v311,
  311: ProtocolVersion.v311,
  mqttv5: ProtocolVersion.v5,
  5: ProtocolVersion.v5,
};

function applyVersion(options: ClientOptions, value: string): void {
  const version = Object.hasOwn(versions, value) ? versions[value] : undefined;
  if (version === undefined) throw usage('Invalid protocol version argument given.');
  options.protocolVersion = version;
}

function applyExpiry(options: ClientOptions, value: string): void {
  if (value === '∞') {
    options.sessionExpiryInterval = 0xffff_ffff;
    return;
  }
  if (!/^\s*[+-]?\d+/.test(value)) throw usage('session-expiry-interval not a number.');
  const seconds = leadingInteger(value);
  if (seconds < -1 || seconds > 0xffff_ffff) throw usage('session-expiry-interval out of range.');
  options.sessionExpiryInterval = seconds === -1 ? 0xffff_ffff : seconds;
}

function bothIds(): ClientUsageError {
  return usage('-i and -I argument cannot be used together.');
}

function usage(message: string): ClientUsageError {
  return new ClientUsageError(`Error: ${message}`, 2);
}
