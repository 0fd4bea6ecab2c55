import type { LoginControl } from '../auth/access-control.ts';
import { type ClientIdRules, defaultClientIdRules } from '../auth/client-id-rules.ts';
import type { ProtocolVersion, QoS } from '../protocol/packet-type.ts';
import type { MountPoint } from './mount-point.ts';

export const ProxyDemand = { none: 0, tls: 1, certificate: 2 } as const;
export type ProxyDemand = (typeof ProxyDemand)[keyof typeof ProxyDemand];

/** What the broker knows of the listener a connection came by. */
export interface ListenerInfo {
  /** For logs: `port 1883`, or the path of a unix socket. */
  readonly name: string;
  /** The one that is bound, once it is; 0 for a unix socket. */
  port: number;
  readonly maxQos: QoS;
  readonly maxTopicAlias: number;
  /** Connections at a time; -1: no limit. */
  readonly maxConnections: number;
  /** Takes the user name from the client certificate. */
  readonly useIdentityAsUsername: boolean;
  /** Who brings no user name by certificate or pre-shared key is refused. */
  readonly needsTransportUsername: boolean;
  /** What the PROXY header has to say of the client. */
  readonly proxyDemand: ProxyDemand;
  /** MQTT versions that are answered; null: all. */
  acceptedVersions: ReadonlySet<ProtocolVersion> | null;
  /** Null: topics are as clients write them. */
  readonly mountPoint: MountPoint | null;
  /** Who may come in and what they may do; null: as `Broker.access` says. */
  access: LoginControl | null;
  clientIds: ClientIdRules;
  /** Connections now. */
  connections: number;
}

/** A listener without limits and rules of its own, on port 1883. */
export function defaultListenerInfo(): ListenerInfo {
  return {
    name: 'port 1883',
    port: 1883,
    maxQos: 2,
    maxTopicAlias: 10,
    maxConnections: -1,
    useIdentityAsUsername: false,
    needsTransportUsername: false,
    proxyDemand: ProxyDemand.none,
    acceptedVersions: null,
    mountPoint: null,
    access: null,
    clientIds: defaultClientIdRules,
    connections: 0,
  };
}
