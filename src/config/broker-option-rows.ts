import { MAX_REMAINING_LENGTH } from '../protocol/packet-type.ts';
import { globalOption, type Option } from './option.ts';
import { httpListenerValue } from './listener-options.ts';
import { duration, filePath, flag, integer, limit, limitOrMinusOne, text, ValueError } from './value-kinds.ts';

const INT_MAX = 2_147_483_647;

/** Who may connect. */
export const accessOptions: readonly Option[] = [
  globalOption({
    name: 'allow_anonymous',
    kind: flag,
    default: 'true without a listener, else false',
    summary: 'Lets clients in that give no user name.',
    apply: (config, value) => void (config.allowAnonymous = value),
  }),
  globalOption({
    name: 'password_file',
    kind: filePath,
    default: 'none',
    summary: 'Names the file of users and hashed passwords, as `martlet passwd` and `mosquitto_passwd` write it.',
    apply: (config, value) => void (config.passwordFile = value),
  }),
  globalOption({
    name: 'psk_file',
    kind: filePath,
    default: 'none',
    summary: 'Names the file of identities and keys for listeners with `psk_hint`.',
    apply: (config, value) => void (config.pskFile = value),
  }),
  globalOption({
    name: 'acl_file',
    kind: filePath,
    default: 'none: everyone may publish and receive everything',
    summary: 'Names the file of access rules for topics.',
    apply: (config, value) => void (config.aclFile = value),
  }),
  globalOption({
    name: 'allow_zero_length_clientid',
    kind: flag,
    default: 'true',
    summary: 'Lets clients in that leave their client identifier to the broker.',
    apply: ({ broker }, value) => void (broker.allowZeroLengthClientid = value),
  }),
  globalOption({
    name: 'auto_id_prefix',
    kind: text('PREFIX', 'a prefix of at most 50 bytes', 50),
    default: 'auto-',
    summary: 'Begins the client identifiers that the broker makes.',
    isOnce: true,
    apply: ({ broker }, value) => void (broker.autoIdPrefix = value),
  }),
];

/** Bounds of the broker. */
export const limitOptions: readonly Option[] = [
  globalOption({
    name: 'global_max_connections',
    kind: limitOrMinusOne('a number of connections'),
    default: '-1',
    summary: 'Most connections of all listeners together.',
    apply: ({ broker }, value) => void (broker.globalMaxConnections = value),
  }),
  globalOption({
    name: 'connect_timeout',
    kind: integer(1, 3_600, 'a number of seconds'),
    default: '30',
    summary: 'Seconds from the opening of a connection to its CONNECT packet.',
    isOurs: true,
    apply: ({ broker }, value) => void (broker.connectTimeout = value),
  }),
  globalOption({
    name: 'max_keepalive',
    kind: integer(0, 65_535, 'a number of seconds'),
    default: '65535',
    summary: 'Longest Keep Alive: MQTT 5 clients are told to use it, older ones are refused. 0 is no limit.',
    apply: ({ broker }, value) => void (broker.maxKeepalive = value === 0 ? 65_535 : value),
  }),
  globalOption({
    name: 'max_packet_size',
    kind: integer(20, INT_MAX, 'a number of bytes'),
    default: '2000000 for MQTT 5, none before',
    summary: 'Most bytes of a packet from a client.',
    apply: ({ broker }, value) => void (broker.maxPacketSize = value),
  }),
  globalOption({
    name: 'message_size_limit',
    kind: integer(0, MAX_REMAINING_LENGTH, 'a number of bytes'),
    default: '0',
    summary: 'Most bytes of a payload; 0 is no limit but that of `max_packet_size`.',
    apply: ({ broker }, value) => void (broker.messageSizeLimit = value),
  }),
  globalOption({
    name: 'max_inflight_messages',
    kind: integer(0, 65_535, 'a number of messages', 0),
    default: '20',
    summary: 'Most QoS 1 and 2 messages under way to a client, and from an MQTT 5 client; 0 is no limit.',
    apply: ({ broker }, value) => void (broker.maxInflightMessages = value === 65_535 ? 0 : value),
  }),
  globalOption({
    name: 'max_queued_messages',
    kind: limit('a number of messages'),
    default: '1000',
    summary: 'Most messages that wait for a client behind those under way; 0 is no limit.',
    apply: ({ broker }, value) => void (broker.maxQueuedMessages = value),
  }),
  globalOption({
    name: 'max_queued_bytes',
    kind: limit('a number of bytes'),
    default: '0',
    summary: 'Most bytes of messages that wait for a client; 0 is no limit.',
    apply: ({ broker }, value) => void (broker.maxQueuedBytes = value),
  }),
  globalOption({
    name: 'max_outgoing_bytes',
    kind: integer(65_536, INT_MAX, 'a number of bytes'),
    default: '16777216',
    summary: 'QoS 0 messages to a client that has more unsent bytes than this are dropped.',
    isOurs: true,
    apply: ({ broker }, value) => void (broker.maxOutgoingBytes = value),
  }),
  globalOption({
    name: 'max_topic_alias_broker',
    kind: integer(0, 65_535),
    default: '10',
    summary: 'Most topic aliases the broker makes towards one MQTT 5 client, on every listener.',
    apply: ({ broker }, value) => void (broker.maxTopicAliasBroker = value),
  }),
];

/** What becomes of messages and sessions. */
export const sessionOptions: readonly Option[] = [
  globalOption({
    name: 'retain_available',
    kind: flag,
    default: 'true',
    summary: 'Allows retained messages.',
    apply: ({ broker }, value) => void (broker.retainAvailable = value),
  }),
  globalOption({
    name: 'queue_qos0_messages',
    kind: flag,
    default: 'false',
    summary: 'Keeps QoS 0 messages, too, for sessions whose client is away.',
    apply: ({ broker }, value) => void (broker.queueQos0Messages = value),
  }),
  globalOption({
    name: 'persistent_client_expiration',
    kind: duration,
    default: 'never',
    summary: 'When a session ends whose client stays away, such as 14d.',
    apply: ({ broker }, value) => void (broker.persistentClientExpiration = value),
  }),
  globalOption({
    name: 'persistence',
    kind: flag,
    default: 'false',
    summary: 'Must be false for now: sessions and retained messages live in memory.',
    apply(_, value) {
      if (value) {
        throw new ValueError('not available yet; sessions live in memory. Set persistence false');
      }
    },
  }),
  globalOption({
    name: 'reason_strings',
    kind: flag,
    default: 'false',
    summary: 'Tells MQTT 5 clients in words why something was refused.',
    isOurs: true,
    apply: ({ broker }, value) => void (broker.reasonStrings = value),
  }),
  globalOption({
    name: 'response_topic_prefix',
    kind: text('PREFIX', 'a prefix of at most 200 bytes', 200),
    default: 'none: no answer',
    summary: 'Begins the topic for answers that MQTT 5 clients get as Response Information where they ask for it.',
    isOurs: true,
    apply: ({ broker }, value) => void (broker.responseTopicPrefix = value),
  }),
];

/** The process and what can be seen of it. */
export const processOptions: readonly Option[] = [
  globalOption({
    name: 'pid_file',
    kind: filePath,
    default: 'none',
    summary: 'A file for the process id, written when all listeners are open and removed at the end.',
    isOnce: true,
    apply: (config, value) => void (config.pidFile = value),
  }),
  globalOption({
    name: 'http_listener',
    kind: httpListenerValue,
    default: 'none',
    summary: 'Opens HTTP for `/healthz`, `/metrics` and the status page, on 127.0.0.1 or the address given.',
    isOurs: true,
    isOnce: true,
    apply: (config, value) => void (config.httpListener = value),
  }),
  globalOption({
    name: 'sys_interval',
    kind: integer(0, 65_535, 'a number of seconds'),
    default: '10',
    summary: 'Seconds between updates of `$SYS`; 0 is none.',
    apply: (config, value) => void (config.sysInterval = value),
  }),
];
