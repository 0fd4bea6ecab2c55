import { ProtocolVersion, type QoS } from '../protocol/packet-type.ts';

export const BridgeDirection = { out: 'out', in: 'in', both: 'both' } as const;
export type BridgeDirection = (typeof BridgeDirection)[keyof typeof BridgeDirection];

/** One `topic` line of a bridge. */
export interface BridgeTopic {
  /** Topic filter between the prefixes; empty: the prefixes alone are the topics. */
  readonly pattern: string;
  readonly direction: BridgeDirection;
  readonly qos: QoS;
  readonly localPrefix: string;
  readonly remotePrefix: string;
}

export interface BridgeAddress {
  readonly host: string;
  readonly port: number;
}

/** Seconds between attempts to connect: always `base`, or growing at random from `base` to `cap`. */
export interface RestartTimeout {
  readonly base: number;
  readonly cap: number;
  /** Seconds that a connection must last to begin at `base` again. */
  readonly stable: number;
}

/** One `connection` of the configuration: a bridge to another broker. */
export interface BridgeConfig {
  readonly name: string;
  /** In the order in which they are tried. */
  addresses: BridgeAddress[];
  roundRobin: boolean;
  topics: BridgeTopic[];
  protocolVersion: ProtocolVersion;
  /** Asks with a bit of the protocol level to be known as a bridge. */
  tryPrivate: boolean;
  /** Null: made of the host's name and that of the bridge. */
  remoteClientid: string | null;
  remoteUsername: string | null;
  remotePassword: string | null;
  localClientid: string | null;
  localUsername: string | null;
  localPassword: string | null;
  cleanSession: boolean;
  /** Null: as `cleanSession`. */
  localCleanSession: boolean | null;
  /** Seconds. */
  keepaliveInterval: number;
  startType: 'automatic' | 'lazy' | 'once';
  /** Seconds without a message after which a lazy bridge disconnects. */
  idleTimeout: number;
  /** Messages waiting that make a lazy bridge connect. */
  threshold: number;
  restartTimeout: RestartTimeout;
  notifications: boolean;
  notificationsLocalOnly: boolean;
  /** Null: `$SYS/broker/connection/CLIENTID/state`. */
  notificationTopic: string | null;
  attemptUnsubscribe: boolean;
  outgoingRetain: boolean;
  /** Bytes; 0: no limit. */
  maxPacketSize: number;
  maxTopicAlias: number;
  /** Null: not sent. */
  receiveMaximum: number | null;
  /** Seconds. */
  sessionExpiryInterval: number;
  reloadType: 'lazy' | 'immediate';
  bindAddress: string | null;
  /** Seconds until the first probe and between two, and how many; null: as the system has it. */
  tcpKeepalive: { readonly idle: number; readonly interval: number; readonly count: number } | null;
  /** Milliseconds; null: as the system has it. */
  tcpUserTimeoutMs: number | null;
  cafile: string | null;
  capath: string | null;
  useOsCerts: boolean;
  certfile: string | null;
  keyfile: string | null;
  ciphers: string | null;
  ciphersTls13: string | null;
  tlsVersion: 'tlsv1.2' | 'tlsv1.3' | null;
  alpn: string | null;
  /** The server's certificate need not fit its name. */
  isInsecure: boolean;
  requireOcsp: boolean;
  pskIdentity: string | null;
  /** In hex. */
  psk: string | null;
}

export function defaultBridgeConfig(name: string): BridgeConfig {
  return {
    name,
    addresses: [],
    roundRobin: false,
    topics: [],
    protocolVersion: ProtocolVersion.v311,
    tryPrivate: true,
    remoteClientid: null,
    remoteUsername: null,
    remotePassword: null,
    localClientid: null,
    localUsername: null,
    localPassword: null,
    cleanSession: false,
    localCleanSession: null,
    keepaliveInterval: 60,
    startType: 'automatic',
    idleTimeout: 60,
    threshold: 10,
    restartTimeout: { base: 5, cap: 30, stable: 0 },
    notifications: true,
    notificationsLocalOnly: false,
    notificationTopic: null,
    attemptUnsubscribe: true,
    outgoingRetain: true,
    maxPacketSize: 0,
    maxTopicAlias: 10,
    receiveMaximum: null,
    sessionExpiryInterval: 0,
    reloadType: 'lazy',
    bindAddress: null,
    tcpKeepalive: null,
    tcpUserTimeoutMs: null,
    cafile: null,
    capath: null,
    useOsCerts: false,
    certfile: null,
    keyfile: null,
    ciphers: null,
    ciphersTls13: null,
    tlsVersion: null,
    alpn: null,
    isInsecure: false,
    requireOcsp: false,
    pskIdentity: null,
    psk: null,
  };
}
