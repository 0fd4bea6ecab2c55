// How the values of a bridge are written that are more than a word.
import type { QoS } from '../protocol/packet-type.ts';
import { isValidTopicFilter, isValidTopicName } from '../protocol/topic.ts';
import type { BridgeAddress, BridgeDirection, BridgeTopic, RestartTimeout } from './bridge-config.ts';
import { ValueError, type ValueKind, wholeNumber, words } from './value-kinds.ts';

const DEFAULT_PORT = 1883;
const LONGEST_RESTART = 3_600;
const LONGEST_BACKOFF = 7_200;

/** The last colon parts host and port, so an IPv6 address needs its port. */
function readAddress(word: string): BridgeAddress | null {
  const colon = word.lastIndexOf(':');
  if (colon < 0) return { host: word, port: DEFAULT_PORT };
  const host = word.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const port = wholeNumber(word.slice(colon + 1));
  return host === '' || port === null || port < 1 || port > 65_535 ? null : { host, port };
}

export const addressList = words(
  'HOST[:PORT] ...',
  'one or more host names or addresses, each with :PORT where it is not 1883',
  (given): BridgeAddress[] | null => {
    const addresses = given.map(readAddress);
    return addresses.length === 0 || addresses.includes(null) ? null : (addresses as BridgeAddress[]);
  },
);

const isNoPrefix = (word: string | undefined): boolean => word === undefined || word === '""' || word.startsWith('#');

/**
 * The pattern may stand in quotes, for one with blanks in it. The pattern `#` is no remark; where qos and prefixes could
 * stand, a `#` begins one, as in Mosquitto.
 */
export const bridgeTopic: ValueKind<BridgeTopic> = {
  placeholder: 'PATTERN [out|in|both [QOS [LOCALPREFIX [REMOTEPREFIX]]]]',
  expects: 'a topic filter, then out, in or both, a QoS, and a prefix here and one there, where "" is none',
  read(value) {
    const quoted = /^"([^"]+)"(?:[ \t]+(.*))?$/.exec(value);
    if (quoted === null && /^"[^"]/.test(value)) throw new ValueError('the quote is not closed');
    const [first, ...rest] = value.split(/[ \t]+/);
    const given = quoted === null ? rest : (quoted[2] ?? '').split(/[ \t]+/).filter((word) => word !== '');
    const pattern = quoted === null ? (first === '""' ? '' : first!) : quoted[1]!;
    const remark = given.findIndex((word, index) => index > 0 && word.startsWith('#'));
    const [direction = 'out', qos = '0', local, remote] = remark < 0 ? given : given.slice(0, remark);
    if (!/^(?:out|in|both)$/i.test(direction)) throw new ValueError(`the direction must be out, in or both`);
    if (!/^[012]$/.test(qos)) throw new ValueError('the QoS must be 0, 1 or 2');
    const topic: BridgeTopic = {
      pattern,
      direction: direction.toLowerCase() as BridgeDirection,
      qos: Number(qos) as QoS,
      localPrefix: isNoPrefix(local) ? '' : local!,
      remotePrefix: isNoPrefix(remote) ? '' : remote!,
    };
    checkTopic(topic);
    return topic;
  },
};

function checkTopic({ pattern, localPrefix, remotePrefix }: BridgeTopic): void {
  for (const prefix of [localPrefix, remotePrefix]) {
    if (prefix !== '' && !isValidTopicName(prefix)) throw new ValueError('a prefix must have no + and no # in it');
    if (pattern === '') {
      if (prefix === '') throw new ValueError('without a pattern it needs both prefixes, which are the topics then');
    } else if (!isValidTopicFilter(prefix + pattern)) {
      throw new ValueError('+ and # must each fill a level of the topic, and # be the last');
    }
  }
}

/** Mosquitto's numbers that are out of bounds are taken for the bound. */
export const restartTimeout: ValueKind<RestartTimeout> = words(
  'BASE [CAP [STABLE]]',
  'seconds between attempts to connect; or the least and the most of them, and seconds of a stable connection',
  (given): RestartTimeout | null => {
    const numbers = given.map(wholeNumber);
    if (numbers.length < 1 || numbers.length > 3 || numbers.includes(null)) return null;
    const [first, second, stable = 0] = numbers as [number, ...number[]];
    const base = Math.min(LONGEST_RESTART, Math.max(1, first));
    if (second !== undefined && second < base) throw new ValueError('the most seconds are fewer than the least');
    if (stable < 0) throw new ValueError('the seconds of a stable connection cannot be negative');
    return { base, cap: second === undefined ? base : Math.min(LONGEST_BACKOFF, second), stable };
  },
);

export const tcpKeepalive = words(
  'IDLE INTERVAL COUNT',
  'three numbers above 0: seconds until the first probe, seconds between two, and how many',
  (given) => {
    const [idle = null, interval = null, count = null] = given.map(wholeNumber);
    if (given.length !== 3 || idle === null || interval === null || count === null) return null;
    return Math.min(idle, interval, count) < 1 ? null : { idle, interval, count };
  },
);

export const hexKey: ValueKind<string> = {
  placeholder: 'KEY',
  expects: 'a key in hexadecimal digits',
  read(value) {
    // The message must not show it.
    if (!/^[0-9a-fA-F]+$/.test(value)) throw new ValueError('expected a key in hexadecimal digits, and nothing else');
    return value;
  },
};
