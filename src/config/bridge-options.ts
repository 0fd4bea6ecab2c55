import { ProtocolVersion } from '../protocol/packet-type.ts';
import { addressList, bridgeTopic, hexKey, restartTimeout, tcpKeepalive } from './bridge-values.ts';
import type { ConfigDraft } from './config-draft.ts';
import { bridgeOption, globalOption, type Option, OptionScope } from './option.ts';
import { choice, filePath, flag, integer, text, ValueError, type ValueKind } from './value-kinds.ts';

const INT_MAX = 2_147_483_647;
const secret = text('PASSWORD', 'a password');
const seconds = { ...integer(-INT_MAX, INT_MAX), expects: 'a number of seconds' };

/** What is too small becomes the least that makes sense, as in Mosquitto, with its words in the log. */
function raised(draft: ConfigDraft, value: number, least: number, words: string): number {
  if (value < least) draft.notices.push(words);
  return Math.max(least, value);
}

const protocolVersions = {
  mqttv31: ProtocolVersion.v31,
  mqttv311: ProtocolVersion.v311,
  mqttv50: ProtocolVersion.v5,
} as const;

const startType: ValueKind<'automatic' | 'lazy' | 'once'> = {
  ...choice('automatic', 'lazy', 'once'),
  read(value) {
    if (value === 'manual') throw new ValueError('manual is not supported, expected automatic, lazy or once');
    return choice('automatic', 'lazy', 'once').read(value);
  },
};

/** Options of a bridge to another broker: what it connects to and how. */
const connectionOptions: readonly Option[] = [
  {
    ...globalOption({
      name: 'connection',
      kind: text('NAME', 'a name', 1_024),
      default: 'no bridge',
      summary: 'Begins a bridge to another broker. Refused for now: bridges come in a later version.',
      isRepeatable: true,
      apply: (_, value, draft) => draft.addBridge(value),
    }),
    scope: OptionScope.bridge,
  },
  bridgeOption({
    name: 'address',
    aliases: ['addresses'],
    kind: addressList,
    default: 'must be given',
    summary: 'Brokers to connect to, one at a time.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.addresses = value),
  }),
  bridgeOption({
    name: 'round_robin',
    kind: flag,
    default: 'false',
    summary: 'Whether all addresses are equal, or the first one is preferred.',
    apply: (bridge, value) => void (bridge.roundRobin = value),
  }),
  bridgeOption({
    name: 'topic',
    kind: bridgeTopic,
    default: 'must be given',
    summary: 'Topics that go from here to there (out), from there to here (in) or both ways.',
    isRepeatable: true,
    apply: (bridge, value) => void bridge.topics.push(value),
  }),
  bridgeOption({
    name: 'bridge_protocol_version',
    kind: choice('mqttv31', 'mqttv311', 'mqttv50'),
    default: 'mqttv311',
    summary: 'Version of MQTT that is spoken to the other broker.',
    apply: (bridge, value) => void (bridge.protocolVersion = protocolVersions[value]),
  }),
  bridgeOption({
    name: 'try_private',
    kind: flag,
    default: 'true',
    summary: 'Tells the other broker that this is a bridge.',
    apply: (bridge, value) => void (bridge.tryPrivate = value),
  }),
  bridgeOption({
    name: 'remote_clientid',
    aliases: ['clientid'],
    kind: text('ID', 'a client identifier'),
    default: "the host's name and that of the connection",
    summary: 'Client identifier at the other broker.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.remoteClientid = value),
  }),
  bridgeOption({
    name: 'remote_username',
    aliases: ['username'],
    kind: text('NAME', 'a user name'),
    default: 'none',
    summary: 'User name at the other broker.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.remoteUsername = value),
  }),
  bridgeOption({
    name: 'remote_password',
    aliases: ['password'],
    kind: secret,
    default: 'none',
    summary: 'Password at the other broker.',
    isSecret: true,
    isOnce: true,
    apply: (bridge, value) => void (bridge.remotePassword = value),
  }),
  bridgeOption({
    name: 'local_clientid',
    kind: text('ID', 'a client identifier'),
    default: '`local.` and the one at the other broker',
    summary: 'Client identifier at this broker.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.localClientid = value),
  }),
  bridgeOption({
    name: 'local_username',
    kind: text('NAME', 'a user name'),
    default: 'none',
    summary: 'User name at this broker.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.localUsername = value),
  }),
  bridgeOption({
    name: 'local_password',
    kind: secret,
    default: 'none',
    summary: 'Password at this broker.',
    isSecret: true,
    isOnce: true,
    apply: (bridge, value) => void (bridge.localPassword = value),
  }),
];

/** When a bridge connects, and what it asks of MQTT. */
const sessionOptions: readonly Option[] = [
  bridgeOption({
    name: 'start_type',
    kind: startType,
    default: 'automatic',
    summary: 'Connects always, only while there is something to send (lazy), or once.',
    apply: (bridge, value) => void (bridge.startType = value),
  }),
  bridgeOption({
    name: 'restart_timeout',
    kind: restartTimeout,
    default: '5 30',
    summary: 'Seconds until a connection that was lost is tried again.',
    apply: (bridge, value) => void (bridge.restartTimeout = value),
  }),
  bridgeOption({
    name: 'idle_timeout',
    kind: seconds,
    default: '60',
    summary: 'Seconds without a message after which a lazy bridge disconnects.',
    apply(bridge, value, draft) {
      bridge.idleTimeout = raised(draft, value, 1, 'idle_timeout interval too low, using 1 second.');
    },
  }),
  bridgeOption({
    name: 'threshold',
    kind: { ...integer(-INT_MAX, INT_MAX), expects: 'a number of messages' },
    default: '10',
    summary: 'Messages waiting that make a lazy bridge connect.',
    apply(bridge, value, draft) {
      bridge.threshold = raised(draft, value, 1, 'threshold too low, using 1 message.');
    },
  }),
  bridgeOption({
    name: 'keepalive_interval',
    kind: { ...integer(-INT_MAX, 65_535), expects: 'a number of seconds from 5 to 65535' },
    default: '60',
    summary: 'Keep Alive of the connection in seconds, at least 5.',
    apply(bridge, value, draft) {
      bridge.keepaliveInterval = raised(draft, value, 5, 'keepalive interval too low, using 5 seconds.');
    },
  }),
  bridgeOption({
    name: 'cleansession',
    kind: flag,
    default: 'false',
    summary: 'Ends the session when the connection ends.',
    apply: (bridge, value) => void (bridge.cleanSession = value),
  }),
  bridgeOption({
    name: 'local_cleansession',
    kind: flag,
    default: 'as `cleansession`',
    summary: 'The same for the session at this broker.',
    apply: (bridge, value) => void (bridge.localCleanSession = value),
  }),
  bridgeOption({
    name: 'notifications',
    kind: flag,
    default: 'true',
    summary: 'Publishes, retained, whether the bridge is connected.',
    apply: (bridge, value) => void (bridge.notifications = value),
  }),
  bridgeOption({
    name: 'notifications_local_only',
    kind: flag,
    default: 'false',
    summary: 'Publishes it at this broker only.',
    apply: (bridge, value) => void (bridge.notificationsLocalOnly = value),
  }),
  bridgeOption({
    name: 'notification_topic',
    kind: text('TOPIC', 'a topic'),
    default: '`$SYS/broker/connection/CLIENTID/state`',
    summary: 'Where it is published.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.notificationTopic = value),
  }),
  bridgeOption({
    name: 'bridge_attempt_unsubscribe',
    kind: flag,
    default: 'true',
    summary: 'Unsubscribes at the other broker from topics that go out only.',
    apply: (bridge, value) => void (bridge.attemptUnsubscribe = value),
  }),
  bridgeOption({
    name: 'bridge_outgoing_retain',
    kind: flag,
    default: 'true',
    summary: 'Lets messages that go out keep RETAIN.',
    apply: (bridge, value) => void (bridge.outgoingRetain = value),
  }),
  bridgeOption({
    name: 'bridge_max_packet_size',
    kind: integer(0, INT_MAX, 'a number of bytes', 0),
    default: '0',
    summary: 'Most bytes of a packet to the other broker; 0 is no limit.',
    apply: (bridge, value) => void (bridge.maxPacketSize = value),
  }),
  bridgeOption({
    name: 'bridge_max_topic_alias',
    kind: integer(0, 65_535),
    default: '10',
    summary: 'How many topic aliases the other broker may make.',
    apply: (bridge, value) => void (bridge.maxTopicAlias = value),
  }),
  bridgeOption({
    name: 'bridge_receive_maximum',
    kind: integer(1, 65_535, 'a number of messages'),
    default: 'none',
    summary: 'Receive Maximum in MQTT 5.',
    apply: (bridge, value) => void (bridge.receiveMaximum = value),
  }),
  bridgeOption({
    name: 'bridge_session_expiry_interval',
    kind: integer(0, INT_MAX, 'a number of seconds'),
    default: '0',
    summary: 'Session Expiry Interval in MQTT 5.',
    apply: (bridge, value) => void (bridge.sessionExpiryInterval = value),
  }),
  bridgeOption({
    name: 'bridge_reload_type',
    kind: choice('lazy', 'immediate'),
    default: 'lazy',
    summary: 'Whether other options hold from the next connection on, or at once.',
    apply: (bridge, value) => void (bridge.reloadType = value),
  }),
  bridgeOption({
    name: 'bridge_bind_address',
    kind: text('ADDRESS', 'an address', 255),
    default: 'any',
    summary: 'Address of this machine that the connection comes from.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.bindAddress = value),
  }),
  bridgeOption({
    name: 'bridge_tcp_keepalive',
    kind: tcpKeepalive,
    default: 'as the system has it',
    summary: 'When TCP asks whether the other broker is there.',
    apply: (bridge, value) => void (bridge.tcpKeepalive = value),
  }),
  bridgeOption({
    name: 'bridge_tcp_user_timeout',
    kind: integer(0, INT_MAX, 'a number of milliseconds'),
    default: 'as the system has it',
    summary: 'How long TCP waits for an acknowledgement.',
    apply: (bridge, value) => void (bridge.tcpUserTimeoutMs = value),
  }),
];

/** TLS of a bridge. */
const tlsOptions: readonly Option[] = [
  bridgeOption({
    name: 'bridge_cafile',
    kind: filePath,
    default: 'none',
    summary: 'Certificates in PEM of those whom the other broker may have its certificate from.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.cafile = value),
  }),
  bridgeOption({
    name: 'bridge_capath',
    kind: text('FOLDER', 'the path of a folder', 4_095),
    default: 'none',
    summary: 'Folder of such certificates.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.capath = value),
  }),
  bridgeOption({
    name: 'bridge_tls_use_os_certs',
    kind: flag,
    default: 'false',
    summary: 'Trusts whom the system trusts.',
    apply: (bridge, value) => void (bridge.useOsCerts = value),
  }),
  bridgeOption({
    name: 'bridge_certfile',
    kind: filePath,
    default: 'none',
    summary: 'Certificate of the bridge in PEM.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.certfile = value),
  }),
  bridgeOption({
    name: 'bridge_keyfile',
    kind: filePath,
    default: 'none',
    summary: 'Private key of the certificate in PEM.',
    apply: (bridge, value) => void (bridge.keyfile = value),
  }),
  bridgeOption({
    name: 'bridge_ciphers',
    kind: text('LIST', 'cipher names with colons between'),
    default: "the TLS library's choice",
    summary: 'Ciphers for TLS 1.2.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.ciphers = value),
  }),
  bridgeOption({
    name: 'bridge_ciphers_tls1.3',
    kind: text('LIST', 'cipher names with colons between'),
    default: "the TLS library's choice",
    summary: 'Ciphers for TLS 1.3.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.ciphersTls13 = value),
  }),
  bridgeOption({
    name: 'bridge_tls_version',
    kind: choice('tlsv1.2', 'tlsv1.3'),
    default: 'tlsv1.2',
    summary: 'Lowest version of TLS.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.tlsVersion = value),
  }),
  bridgeOption({
    name: 'bridge_alpn',
    kind: text('NAME', 'a name of a protocol', 255),
    default: 'none',
    summary: 'Protocol that TLS asks for (ALPN).',
    isOnce: true,
    apply: (bridge, value) => void (bridge.alpn = value),
  }),
  bridgeOption({
    name: 'bridge_insecure',
    kind: flag,
    default: 'false',
    summary: "Takes a certificate that does not fit the other broker's name.",
    apply(bridge, value, draft) {
      bridge.isInsecure = value;
      if (value) draft.notices.push(`Warning: Bridge '${bridge.name}' using insecure mode.`);
    },
  }),
  bridgeOption({
    name: 'bridge_require_ocsp',
    kind: flag,
    default: 'false',
    summary: 'Needs proof that the certificate of the other broker is not revoked.',
    apply: (bridge, value) => void (bridge.requireOcsp = value),
  }),
  bridgeOption({
    name: 'bridge_identity',
    kind: text('IDENTITY', 'an identity'),
    default: 'no PSK',
    summary: 'Identity for TLS with a pre-shared key.',
    isOnce: true,
    apply: (bridge, value) => void (bridge.pskIdentity = value),
  }),
  bridgeOption({
    name: 'bridge_psk',
    kind: hexKey,
    default: 'no PSK',
    summary: 'The pre-shared key.',
    isSecret: true,
    isOnce: true,
    apply: (bridge, value) => void (bridge.psk = value),
  }),
];

export const bridgeOptions: readonly Option[] = [...connectionOptions, ...sessionOptions, ...tlsOptions];
