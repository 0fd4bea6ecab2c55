import type { QoS } from '../protocol/packet-type.ts';

/** What the broker knows of the listener a connection came by. */
export interface ListenerInfo {
  /** For logs: `port 1883`, or the path of a unix socket. */
  readonly name: string;
  readonly port: number;
  readonly maxQos: QoS;
  readonly maxTopicAlias: number;
  /** Connections at a time; -1: no limit. */
  readonly maxConnections: number;
  /** Takes the user name from the client certificate. */
  readonly useIdentityAsUsername: boolean;
  /** Connections now. */
  connections: number;
}
