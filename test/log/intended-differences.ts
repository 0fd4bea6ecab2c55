/**
 * Where our log is meant to differ from that of Mosquitto 2.0, which Debian has. Nearly always 2.1, which we follow, has
 * other words. docs/logging.md tells operators the same. Lines are as `normalise` leaves them.
 */

/** A line of Mosquitto's, and what it is with us; null: we have no such line. */
interface Reworded {
  readonly mosquitto: RegExp;
  readonly martlet: string | null;
}

export const reworded: readonly Reworded[] = [
  // 2.1 names versions by the number in CONNECT.
  { mosquitto: /^(New client connected .*)\(p1, /, martlet: '$1(p3, ' },
  { mosquitto: /^(New client connected .*)\(p2, /, martlet: '$1(p4, ' },
  // 2.1 tells the address at the end of a connection, and the address alone where there is no identifier.
  { mosquitto: /^Client (\S+) disconnected\.$/, martlet: 'Client $1 [ADDR] disconnected.' },
  {
    mosquitto: /^Client <unknown> closed its connection\.$/,
    martlet: 'Client HOST [ADDR] disconnected: connection closed by client.',
  },
  {
    mosquitto: /^Client (\S+) closed its connection\.$/,
    martlet: 'Client $1 [ADDR] disconnected: connection closed by client.',
  },
  {
    mosquitto: /^Client (\S+) has exceeded timeout, disconnecting\.$/,
    martlet: 'Client $1 [ADDR] disconnected: exceeded timeout.',
  },
  { mosquitto: /^Client <unknown> disconnected due to (.*)\.$/, martlet: 'Client HOST [ADDR] disconnected: $1.' },
  { mosquitto: /^Client (\S+) disconnected due to (.*)\.$/, martlet: 'Client $1 [ADDR] disconnected: $2.' },
  {
    mosquitto: /^Client <unknown> disconnected, not authorised\.$/,
    martlet: 'Client HOST [ADDR] disconnected: not authorised.',
  },
  {
    mosquitto: /^Bad client \S+ sending multiple CONNECT messages\.$/,
    martlet: 'Bad client ADDR sending multiple CONNECT messages.',
  },
  // What is wrong with a packet is told in our words: see `ownLines`.
  { mosquitto: /^Invalid QoS in PUBLISH from (\S+), disconnecting\.$/, martlet: null },
  { mosquitto: /^Invalid subscription string from HOST, disconnecting\.$/, martlet: null },
  { mosquitto: /^Invalid protocol version 6 in CONNECT from HOST\.$/, martlet: null },
  { mosquitto: /^Invalid protocol "MQTU" in CONNECT from HOST\.$/, martlet: null },
  // Mosquitto says that it sends what it then does not send.
  { mosquitto: /^Sending PUBLISH to narrow .*$/, martlet: null },
  // A payload above the limit is refused with a reason code that PUBACK may have.
  { mosquitto: /^Sending PUBACK to large \(m1, rc149\)$/, martlet: 'Sending PUBACK to large (m1, rc131)' },
];

/** In these steps another thing is wrong for us than for 2.0; the ends of the connections differ by that. */
export const otherFaults: Readonly<Record<string, string>> = {
  'a protocol that is none': 'malformed packet',
  'TLS to a port without TLS': 'malformed packet',
  // 2.1 says so, too.
  'a topic with a wildcard': 'malformed packet',
};

/** Lines that 2.0 does not have. */
export const ownLines: readonly RegExp[] = [
  // 2.1 has these two; in 2.0 connections mostly close without a word.
  /^Sending DISCONNECT to \S+ \(\d+\)$/,
  /^Client twice[45] \[ADDR\] disconnected: session taken over\.$/,
  // 2.1 has this of CONNECT; we have it of every packet.
  /^Protocol error from \S+: .+\.$/,
  // 2.1 has it.
  /^Client from ADDR appears to be using TLS to connect to a non-TLS listener\.$/,
  // Why a message did not reach its receiver.
  /^Dropped message 'ok\/full' \(5 bytes\): (?:queue_full|session_ended)\.$/,
];

/** Mosquitto 2.0 does not know who it was that it does not let in; 2.1 does. */
export const unknownTo20 = /\bwrong[45]\b/g;
