import { type Config, defaultListenerConfig, type ListenerConfig, ListenerProtocol } from './config.ts';
import { deprecation, globalOption, listenerOption, type Option } from './option.ts';
import {
  choice,
  flag,
  integer,
  limitOrMinusOne,
  text,
  ValueError,
  wholeNumber,
  words,
  wordsOf,
} from './value-kinds.ts';
import type { ValueKind } from './value-kinds.ts';
import { ProtocolVersion, type QoS } from '../protocol/packet-type.ts';
import { isValidTopicName } from '../protocol/topic.ts';

function isPort(port: number | null): port is number {
  return port !== null && port >= 0 && port <= 65_535;
}

/** Mosquitto takes whatever stands behind port 0 for a path; an address there asks us for a free port on it. */
function isAddress(word: string): boolean {
  return word === 'localhost' || word.includes(':') || /^[\d.]+$/.test(word);
}

const listenerValue = words(
  'PORT [ADDRESS]',
  'a port from 0 to 65535, then an address, or 0 and the path of a unix socket',
  (given): Pick<ListenerConfig, 'port' | 'host' | 'unixPath'> | null => {
    const [first, second = null] = given;
    const port = wholeNumber(first ?? '');
    if (!isPort(port) || given.length > 2) return null;
    if (second === null) return { port, host: null, unixPath: null };
    if (port === 0 && !isAddress(second)) return { port, host: null, unixPath: second };
    if (second.includes('/')) throw new ValueError(`a unix socket needs port 0: listener 0 ${second}`);
    return { port, host: second, unixPath: null };
  },
  2,
);

const qosValue: ValueKind<QoS> = {
  placeholder: '0|1|2',
  expects: '0, 1 or 2',
  mostWords: 1,
  read: (value) => Number(choice('0', '1', '2').read(value)) as QoS,
};

const requestPath: ValueKind<string> = {
  ...text('PATH', 'a path that begins with /, such as /mqtt', 1_024),
  read(value) {
    if (!/^\/[!-~]*$/.test(value)) throw new ValueError();
    return value;
  },
};

const protocolVersions: ValueKind<ProtocolVersion[]> = {
  placeholder: '3,4,5',
  expects: 'some of 3, 4 and 5, with commas between',
  read(value) {
    const words = wordsOf(value)
      .flatMap((word) => word.split(','))
      .filter((word) => word !== '');
    const known: Readonly<Record<string, ProtocolVersion>> = {
      '3': ProtocolVersion.v31,
      '4': ProtocolVersion.v311,
      '5': ProtocolVersion.v5,
    };
    const versions = words.map((word) => known[word]);
    if (versions.length === 0 || versions.includes(undefined)) throw new ValueError();
    return [...new Set(versions as ProtocolVersion[])].sort();
  },
};

const mountPoint: ValueKind<string> = {
  ...text('PREFIX', 'the beginning of a topic, without + and #', 65_535),
  read(value) {
    if (!isValidTopicName(value)) throw new ValueError();
    return value;
  },
};

export const httpListenerValue = words(
  'PORT [ADDRESS]',
  'a port from 0 to 65535, then an address',
  (given): Config['httpListener'] => {
    const [first, host = '127.0.0.1'] = given;
    const port = wholeNumber(first ?? '');
    return isPort(port) && given.length <= 2 ? { port, host } : null;
  },
);

/** Options that open listeners and say how each one is. */
export const listenerOptions: readonly Option[] = [
  {
    ...globalOption({
      name: 'listener',
      kind: listenerValue,
      default: 'port 1883 on this machine only',
      summary:
        'Opens a port, on every address or on the one given; the options below it are for it. ' +
        'Port 0 with a path is a unix socket, without one a free port.',
      isRepeatable: true,
      apply: (_, value, draft) => draft.addListener({ ...defaultListenerConfig(), ...value }),
    }),
    scope: 'listener',
  },
  {
    ...globalOption({
      name: 'port',
      kind: integer(1, 65_535, 'a port'),
      default: '1883',
      summary: 'Port of the default listener. Deprecated: write a `listener`.',
      apply(_, port, draft) {
        draft.notices.push(deprecation('port', "Please use 'listener' instead."));
        if (draft.given.has('port')) {
          draft.notices.push('Warning: Default listener port specified multiple times. Only the latest will be used.');
        }
        draft.defaultListener().port = port;
      },
    }),
    scope: 'listener',
  },
  {
    ...globalOption({
      name: 'bind_address',
      kind: text('ADDRESS', 'an address', 255),
      default: 'every address',
      summary: 'Address of the default listener. Deprecated: write a `listener`.',
      isOnce: true,
      apply(_, host, draft) {
        draft.notices.push(deprecation('bind_address', "Please use 'listener' instead."));
        draft.defaultListener().host = host;
      },
    }),
    scope: 'listener',
  },
  listenerOption({
    name: 'bind_interface',
    kind: text('INTERFACE', 'the name of a network interface, such as eth0', 64),
    default: 'every interface',
    summary: 'Opens the listener on the addresses of this network interface, in place of the address behind its port.',
    isOnce: true,
    apply: (listener, value) => void (listener.bindInterface = value),
  }),
  listenerOption({
    name: 'socket_domain',
    kind: choice('ipv4', 'ipv6'),
    default: 'both',
    summary: 'Opens the listener for one version of IP only.',
    apply: (listener, value) => void (listener.socketDomain = value),
  }),
  listenerOption({
    name: 'accept_protocol_versions',
    kind: protocolVersions,
    default: 'all',
    summary: 'MQTT versions that clients may speak: 3 is 3.1, 4 is 3.1.1.',
    needsListener: true,
    apply: (listener, value) => void (listener.acceptedVersions = value),
  }),
  listenerOption({
    name: 'mount_point',
    kind: mountPoint,
    default: 'none',
    summary:
      'Stands before every topic of the clients of this listener, unseen by them. ' +
      'It is put in front as it is: end it with a `/` where it should be a level.',
    needsListener: true,
    apply: (listener, value) => void (listener.mountPoint = value),
  }),
  listenerOption({
    name: 'protocol',
    kind: choice(ListenerProtocol.mqtt, ListenerProtocol.websockets, ListenerProtocol.httpApi),
    default: 'mqtt',
    summary:
      'What is spoken on the listener: MQTT, MQTT in WebSocket frames, or HTTP for `/api/v1/listeners`, ' +
      '`/api/v1/systree`, `/api/v1/version` and the files of `http_dir`.',
    apply: (listener, value) => void (listener.protocol = value),
  }),
  listenerOption({
    name: 'http_dir',
    kind: text('FOLDER', 'the path of a folder', 4_095),
    default: 'none',
    summary: 'Folder whose files a listener with `protocol http_api` serves.',
    apply: (listener, value) => void (listener.httpDir = value),
  }),
  listenerOption({
    name: 'max_connections',
    kind: limitOrMinusOne('a number of connections'),
    default: '-1',
    summary: 'Most connections of the listener at a time.',
    apply: (listener, value) => void (listener.maxConnections = value),
  }),
  listenerOption({
    name: 'max_qos',
    aliases: ['maximum_qos'],
    kind: qosValue,
    default: '2',
    summary: 'Highest QoS that clients of the listener may publish with.',
    apply: (listener, value) => void (listener.maxQos = value),
  }),
  listenerOption({
    name: 'max_topic_alias',
    kind: integer(0, 65_535),
    default: '10',
    summary: 'How many topic aliases an MQTT 5 client may make.',
    apply: (listener, value) => void (listener.maxTopicAlias = value),
  }),
  listenerOption({
    name: 'enable_proxy_protocol',
    kind: { ...choice('1', '2'), placeholder: '1|2' },
    default: 'off',
    summary: 'A PROXY protocol header of that version stands before everything a client sends.',
    apply: (listener, value) => void (listener.proxyProtocol = value === '1' ? 1 : 2),
  }),
  globalOption({
    name: 'set_tcp_nodelay',
    kind: flag,
    default: 'true',
    summary: 'Sends small packets at once instead of waiting for more (TCP_NODELAY), on every listener.',
    apply: (_, value, draft) => void (draft.setTcpNodelay = value),
  }),
];

/** Options of MQTT over WebSocket. */
export const websocketOptions: readonly Option[] = [
  listenerOption({
    name: 'websockets_path',
    kind: requestPath,
    default: 'every path',
    summary: 'Only requests for this path are answered.',
    isOurs: true,
    apply: (listener, value) => void (listener.websocketsPath = value),
  }),
  listenerOption({
    name: 'websockets_origin',
    kind: text('ORIGIN', 'an origin, such as https://example.com', 1_024),
    default: 'every origin',
    summary: 'Web pages of this origin may connect, and no others but those given as well.',
    isRepeatable: true,
    apply: (listener, value) => void listener.websocketsOrigins.push(value),
  }),
  globalOption({
    name: 'websockets_headers_size',
    aliases: ['packet_buffer_size'],
    kind: integer(0, 65_535, 'a number of bytes'),
    default: '8192',
    summary: 'Most bytes of the HTTP header that opens a WebSocket, on every listener; 0 is the default.',
    apply(_, value, draft) {
      draft.websocketsHeadersSize = value === 0 ? null : value;
    },
  }),
];
