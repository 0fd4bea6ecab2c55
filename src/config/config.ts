import { type BrokerOptions, defaultBrokerOptions } from './broker-options.ts';
import type { ProtocolVersion, QoS } from '../protocol/packet-type.ts';

export const ListenerProtocol = { mqtt: 'mqtt', websockets: 'websockets', httpApi: 'http_api' } as const;
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
  capath: string | null;
  crlfile: string | null;
  requireCertificate: boolean;
  /** Certificates count, whenever they were to be valid. */
  disableClientCertDateChecks: boolean;
  useIdentityAsUsername: boolean;
  /** Without effect beside `useIdentityAsUsername`. */
  useSubjectAsUsername: boolean;
  /** `tlsv1.2` or `tlsv1.3`: the lowest version; null: TLS 1.2. */
  tlsVersion: string | null;
  /** OpenSSL cipher list; null: the default. */
  ciphers: string | null;
  /** Ciphers of TLS 1.3, with `:` between; null: all that there are. */
  ciphersTls13: string | null;
  /** Parameters for ciphers with DHE, which only listeners with `pskHint` have; null: those of the TLS library. */
  dhparamfile: string | null;
  sniCertificates: SniCertificate[];
  /** `psk_hint`: clients log in with keys of `psk_file` instead of certificates; null: they do not. */
  pskHint: string | null;
  /** PROXY protocol in front of everything: 0 none, 1 or 2 that version only. */
  proxyProtocol: 0 | 1 | 2;
  /** The PROXY header must say that the client came with TLS. */
  proxyProtocolV2RequireTls: boolean;
  /** `websockets_origin`; empty: every origin. */
  websocketsOrigins: string[];
  /** Path of WebSocket requests that is served; null: every path. */
  websocketsPath: string | null;
  /** Bytes of the HTTP header of a WebSocket request. */
  websocketsHeadersSize: number;
  /** Folder of files that `protocol http_api` serves; null: none. */
  httpDir: string | null;
  setTcpNodelay: boolean;
  /** Name of the network interface whose addresses it is bound to, in place of `host`; null: none. */
  bindInterface: string | null;
  /** Null: both. */
  socketDomain: 'ipv4' | 'ipv6' | null;
  /** Who may come in by this listener; null: what `Config.security` says. */
  security: SecurityConfig | null;
  /** Clients are known by their user name, whatever identifier they bring. */
  useUsernameAsClientid: boolean;
  /** Stands before each topic of the listener's clients; null: nothing does. */
  mountPoint: string | null;
  /** MQTT versions that are let in; null: all. */
  acceptedVersions: ProtocolVersion[] | null;
}

/**
 * Who may connect, and what they may do: one for all listeners, or one a listener with `per_listener_settings true`,
 * `listener_allow_anonymous` and `listener_auto_id_prefix`.
 */
export interface SecurityConfig {
  /** Null where the file does not say: true without a listener of its own (loopback only), else false. */
  allowAnonymous: boolean | null;
  /** Null: none. */
  passwordFile: string | null;
  /** Null: everyone may publish and receive everything. */
  aclFile: string | null;
  /** Identities and keys for `psk_hint`; null: none. */
  pskFile: string | null;
  allowZeroLengthClientid: boolean;
  autoIdPrefix: string;
}

export function defaultSecurityConfig(): SecurityConfig {
  return {
    allowAnonymous: null,
    passwordFile: null,
    aclFile: null,
    pskFile: null,
    allowZeroLengthClientid: true,
    autoIdPrefix: 'auto-',
  };
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
    capath: null,
    crlfile: null,
    requireCertificate: false,
    disableClientCertDateChecks: false,
    useIdentityAsUsername: false,
    useSubjectAsUsername: false,
    tlsVersion: null,
    ciphers: null,
    ciphersTls13: null,
    dhparamfile: null,
    sniCertificates: [],
    pskHint: null,
    proxyProtocol: 0,
    proxyProtocolV2RequireTls: false,
    websocketsOrigins: [],
    websocketsPath: null,
    websocketsHeadersSize: 8_192,
    httpDir: null,
    setTcpNodelay: true,
    bindInterface: null,
    socketDomain: null,
    security: null,
    useUsernameAsClientid: false,
    mountPoint: null,
    acceptedVersions: null,
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
  | { readonly kind: 'stdout' | 'stderr' | 'syslog' | 'topic' | 'none' }
  | { readonly kind: 'file'; readonly path: string };

/** `log_format`: Mosquitto's lines, or one JSON object a line. */
export const LogFormat = { text: 'text', json: 'json' } as const;
export type LogFormat = (typeof LogFormat)[keyof typeof LogFormat];

export interface LogConfig {
  destinations: LogDestination[];
  /** `log_type`: names of `logTypes`; `all` in the file is every one of them. */
  types: Set<string>;
  timestamp: boolean;
  /** As strftime takes it; null: seconds since 1970. */
  timestampFormat: string | null;
  /** 0 to 7: syslog's local0 to local7; null: its `daemon`. */
  facility: number | null;
  format: LogFormat;
}

/** Where sessions and messages are kept. */
export interface PersistenceConfig {
  isOn: boolean;
  /** Folder as given; empty: the current one. */
  location: string;
  /** Null: the default name. */
  file: string | null;
  /** `normal`: what is committed outlives the process; `full`: the loss of power as well. */
  sync: 'normal' | 'full';
}

/** A whole configuration, checked. */
export interface Config {
  listeners: ListenerConfig[];
  broker: BrokerOptions;
  /** Of the listeners that have none of their own. */
  security: SecurityConfig;
  /** What all client identifiers must begin with (one prefix in spite of its name); null: nothing. */
  clientidPrefixes: string | null;
  persistence: PersistenceConfig;
  log: LogConfig;
  /** `http_listener PORT [HOST]`: health, metrics and the status page; null: none. */
  httpListener: { port: number; host: string } | null;
  pidFile: string | null;
  /** Whom to become where started as root; null: nobody else. */
  user: string | null;
  /** Seconds between updates of `$SYS`; 0: none. */
  sysInterval: number;
}

export function defaultConfig(): Config {
  return {
    listeners: [],
    broker: { ...defaultBrokerOptions },
    security: defaultSecurityConfig(),
    clientidPrefixes: null,
    persistence: { isOn: false, location: '', file: null, sync: 'normal' },
    log: {
      destinations: [{ kind: 'stderr' }],
      types: new Set(['error', 'warning', 'notice', 'information']),
      timestamp: true,
      timestampFormat: null,
      facility: null,
      format: LogFormat.text,
    },
    httpListener: null,
    pidFile: null,
    user: null,
    sysInterval: 10,
  };
}

/** What holds for a listener, its own or that of all. */
export function securityOf(config: Pick<Config, 'security'>, listener: ListenerConfig): SecurityConfig {
  return listener.security ?? config.security;
}
