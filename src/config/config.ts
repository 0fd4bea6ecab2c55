import { type BrokerOptions, defaultBrokerOptions } from './broker-options.ts';
import type { QoS } from '../protocol/packet-type.ts';

export const ListenerProtocol = { mqtt: 'mqtt', websockets: 'websockets' } as const;
export type ListenerProtocol = (typeof ListenerProtocol)[keyof typeof ListenerProtocol];

/** A further certificate of a listener, chosen by the name a TLS client asks for (SNI). */
export interface SniCertificate {
  serverName: string;
  certfile: string;
  keyfile: string;
}

/** One `listener` of the configuration; files are paths as given. */
export interface ListenerConfig {
  /** 0 with `unixPath`; 0 without it takes a free port. */
  port: number;
  /** Address or host name to bind to; null: every address, IPv4 and IPv6. */
  host: string | null;
  unixPath: string | null;
  protocol: ListenerProtocol;
  /** -1: no limit. */
  maxConnections: number;
  maxQos: QoS;
  maxTopicAlias: number;
  certfile: string | null;
  keyfile: string | null;
  cafile: string | null;
  requireCertificate: boolean;
  useIdentityAsUsername: boolean;
  /** `tlsv1.2` or `tlsv1.3`: the lowest version; null: TLS 1.2. */
  tlsVersion: string | null;
  /** OpenSSL cipher list; null: the default. */
  ciphers: string | null;
  sniCertificates: SniCertificate[];
  /** `psk_hint`: clients log in with keys of `psk_file` instead of certificates; null: they do not. */
  pskHint: string | null;
  /** PROXY protocol in front of everything: 0 none, 1 or 2 that version only. */
  proxyProtocol: 0 | 1 | 2;
  /** `websockets_origin`; empty: every origin. */
  websocketsOrigins: string[];
  /** Path of WebSocket requests that is served; null: every path. */
  websocketsPath: string | null;
  /** Bytes of the HTTP header of a WebSocket request. */
  websocketsHeadersSize: number;
  setTcpNodelay: boolean;
}

export function defaultListenerConfig(): ListenerConfig {
  return {
    port: 1883,
    host: null,
    unixPath: null,
    protocol: ListenerProtocol.mqtt,
    maxConnections: -1,
    maxQos: 2,
    maxTopicAlias: 10,
    certfile: null,
    keyfile: null,
    cafile: null,
    requireCertificate: false,
    useIdentityAsUsername: false,
    tlsVersion: null,
    ciphers: null,
    sniCertificates: [],
    pskHint: null,
    proxyProtocol: 0,
    websocketsOrigins: [],
    websocketsPath: null,
    websocketsHeadersSize: 8_192,
    setTcpNodelay: true,
  };
}

/** What `log_type` chooses from, besides `all` and `none`. */
export const logTypes = [
  'error',
  'warning',
  'notice',
  'information',
  'debug',
  'subscribe',
  'unsubscribe',
  'websockets',
  'internal',
] as const;

/** `log_dest`; several may be given. */
export type LogDestination =
  { readonly kind: 'stdout' | 'stderr' | 'none' } | { readonly kind: 'file'; readonly path: string };

export interface LogConfig {
  destinations: LogDestination[];
  /** `log_type`: names of `logTypes`; `all` in the file is every one of them. */
  types: Set<string>;
  timestamp: boolean;
}

/** A whole configuration, checked. */
export interface Config {
  listeners: ListenerConfig[];
  broker: BrokerOptions;
  /** `psk_file`: identities and keys of the listeners with `psk_hint`; null: none. */
  pskFile: string | null;
  /** `password_file` and `acl_file`; null: none. */
  passwordFile: string | null;
  aclFile: string | null;
  /** Null where the file does not say: true without a listener of its own (loopback only), else false. */
  allowAnonymous: boolean | null;
  log: LogConfig;
  /** `http_listener PORT [HOST]`: health, metrics and the status page; null: none. */
  httpListener: { port: number; host: string } | null;
  pidFile: string | null;
  /** Seconds between updates of `$SYS`; 0: none. */
  sysInterval: number;
}

export function defaultConfig(): Config {
  return {
    listeners: [],
    broker: { ...defaultBrokerOptions },
    pskFile: null,
    passwordFile: null,
    aclFile: null,
    allowAnonymous: null,
    log: {
      destinations: [{ kind: 'stderr' }],
      types: new Set(['error', 'warning', 'notice', 'information']),
      timestamp: true,
    },
    httpListener: null,
    pidFile: null,
    sysInterval: 10,
  };
}
