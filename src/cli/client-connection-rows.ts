// Options of `martlet pub`, `sub` and `rr` that say where to and who.
import { ProtocolVersion } from '../protocol/packet-type.ts';
import type { ClientOptions } from './client-options.ts';
import { all, type ClientOptionRow, flag, usage, valued } from './client-option-row.ts';
import { takeProperty } from './client-properties.ts';
import { setTopic } from './client-topic.ts';
import { parseClientUrl, parseProxyUrl } from './client-url.ts';
import { ClientUsageError, leadingInteger, wholeInteger } from './client-usage-error.ts';

/** In the order of `--help`. */
export const connectionRows: readonly ClientOptionRow[] = [
  valued('-h --host', all, 'HOST', 'no host specified', 'host to connect to; localhost by default', (o, value) => {
    o.hostname = value;
  }),
  valued('-p --port', all, 'PORT', 'no port specified', 'port; 1883 by default, with TLS 8883', applyPort),
  valued(
    '-L --url',
    all,
    'URL',
    'no URL specified',
    'all at once: mqtt(s)://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC, or ws(s)://... for MQTT over WebSocket at /mqtt',
    applyUrl,
  ),
  flag('--ws', all, 'speak MQTT over WebSocket, at /mqtt', (o) => {
    o.isWebSocket = true;
  }),
  valued(
    '--unix',
    all,
    'PATH',
    'no socket path specified',
    'unix socket to connect to instead of a host',
    (o, value) => {
      o.hostname = value;
      o.port = 0;
    },
  ),
  flag('-S', all, 'ask the DNS for the host and port, by the SRV record of -h', (o) => {
    o.usesSrv = true;
  }),
  valued('-A', all, 'ADDRESS', 'no address specified', 'address of this machine to connect from', (o, value) => {
    o.bindAddress = value;
  }),
  valued(
    '--proxy',
    all,
    'URL',
    'no proxy url specified',
    'connect through a SOCKS5 proxy: socks5h://[USER[:PASSWORD]@]HOST[:PORT], port 1080 by default',
    (o, value) => {
      o.proxy = parseProxyUrl(value);
    },
  ),
  flag('--mptcp', all, 'Multipath TCP; not available here, so it is TCP, with a warning', (o) => {
    o.wantsMultipath = true;
  }),
  flag('--nodelay', all, "send at once, without Nagle's algorithm", (o) => {
    o.noDelay = true;
  }),
  // who
  valued('-i --id', all, 'ID', 'no id specified', 'client identifier', (o, value) => {
    if (o.clientIdPrefix !== null) throw bothIds();
    o.clientId = value;
  }),
  valued(
    '-I --id-prefix',
    all,
    'PREFIX',
    'no id prefix specified',
    'client identifier made of this and the process id',
    (o, value) => {
      if (o.clientId !== null) throw bothIds();
      o.clientIdPrefix = value;
    },
  ),
  valued('-u --username', all, 'NAME', 'no username specified', 'user name', (o, value) => {
    o.username = value;
  }),
  valued('-P --pw', all, 'PASSWORD', 'no password specified', 'password', (o, value) => {
    o.password = value;
  }),
  valued(
    '--protocol-version -V',
    all,
    'VERSION',
    'no version specified',
    'mqttv31, mqttv311 or mqttv5, in short 31, 311, 5; by default mqttv311, for rr mqttv5',
    applyVersion,
  ),
  flag('-c --disable-clean-session', all, 'keep the session when the connection ends; needs -i', (o) => {
    o.cleanStart = false;
  }),
  valued(
    '-x',
    all,
    'SECONDS',
    'no session expiry interval specified',
    'MQTT 5, which it turns on: how long the session outlives the connection; -1 for ever; 0 by default, with -c -1',
    applyExpiry,
  ),
  valued(
    '-k --keepalive',
    all,
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
    commands: all,
    takes: 'COMMAND NAME VALUE',
    missing: null,
    help: 'MQTT 5, which it turns on: a property of a packet, such as `-D publish content-type text/plain`',
    apply: () => {},
    takeWords: (o, words) => {
      o.protocolVersion = ProtocolVersion.v5;
      return takeProperty(words, o.properties);
    },
  },
];

function applyPort(options: ClientOptions, value: string): void {
  const port = leadingInteger(value);
  if (port < 0 || port > 65_535) throw new ClientUsageError(`Error: Invalid port given: ${port}`, 1);
  options.port = port;
}

function applyUrl(options: ClientOptions, value: string): void {
  const url = parseClientUrl(value);
  setTopic(options, url.topic, '-L topic');
  options.hostname = url.hostname;
  options.isWebSocket = url.isWebSocket;
  options.port = url.port;
  if (url.isTls) options.useOsCertificates = true;
  if (url.username !== null) options.username = url.username;
  if (url.password !== null) options.password = url.password;
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
  options.protocolVersion = ProtocolVersion.v5;
  if (value === '∞') {
    options.sessionExpiryInterval = 0xffff_ffff;
    return;
  }
  const seconds = wholeInteger(value);
  if (seconds === null) throw usage('session-expiry-interval not a number.');
  if (seconds < -1 || seconds > 0xffff_ffff) throw usage('session-expiry-interval out of range.');
  options.sessionExpiryInterval = seconds === -1 ? 0xffff_ffff : seconds;
}

function bothIds(): ClientUsageError {
  return usage('-i and -I argument cannot be used together.');
}
