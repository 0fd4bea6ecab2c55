import { MAX_REMAINING_LENGTH } from '../protocol/packet-type.ts';
import { globalOption, type Option } from './option.ts';
import { integer, limit, limitOrMinusOne } from './value-kinds.ts';

const INT_MAX = 2_147_483_647;

/** Bounds of the broker. */
export const limitOptions: readonly Option[] = [
  globalOption({
    name: 'global_max_connections',
    kind: limitOrMinusOne('a number of connections'),
    default: '-1',
    summary: 'Most connections of all listeners together; 0 is no limit either.',
    apply: ({ broker }, value) => void (broker.globalMaxConnections = value),
  }),
  globalOption({
    name: 'global_max_clients',
    kind: limitOrMinusOne('a number of clients'),
    default: '-1',
    summary:
      'Most sessions, of clients that are connected and of clients that are away: others are refused as long as there ' +
      'are so many. 0 is no limit either.',
    apply: ({ broker }, value) => void (broker.globalMaxClients = value),
  }),
  globalOption({
    name: 'memory_limit',
    kind: integer(0, Number.MAX_SAFE_INTEGER, 'a number of bytes'),
    default: '0: none',
    summary:
      'Most memory that clients may make the broker keep, by its own estimate and without that of the process itself. ' +
      'Above it nothing more is kept: see below.',
    apply: ({ broker }, value) => void (broker.memoryLimit = value),
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
    apply({ broker }, value, { notices }) {
      notices.push('Note: It is recommended to replace `message_size_limit` with `max_packet_size`.');
      broker.messageSizeLimit = value;
    },
  }),
  globalOption({
    name: 'max_inflight_messages',
    kind: integer(0, 65_535, 'a number of messages', 0),
    default: '20',
    summary: 'Most QoS 1 and 2 messages under way to a client, and from an MQTT 5 client; 0 is no limit.',
    apply: ({ broker }, value) => void (broker.maxInflightMessages = value === 65_535 ? 0 : value),
  }),
  globalOption({
    name: 'max_inflight_bytes',
    kind: limit('a number of bytes'),
    default: '0',
    summary:
      'With so many bytes of QoS 1 and 2 messages under way to a client no further one is sent, so that one may be ' +
      'larger; 0 is no limit.',
    apply: ({ broker }, value) => void (broker.maxInflightBytes = value),
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
    summary:
      'With so many bytes of messages waiting for a client no further one is queued, so that the last one may go ' +
      'beyond; 0 is no limit. Whichever of this and `max_queued_messages` is reached first holds.',
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
