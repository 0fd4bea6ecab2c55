import type { Backlog } from '../transport/backlog.ts';
import type { Congestion } from './congestion.ts';
import type { DeferredPackets } from './deferred-packets.ts';
import type { UnsettledAcks } from './durable/settlement.ts';
import type { TopicAliases } from './topic-aliases.ts';

/** Maximum Packet Size of a client that names none: every packet fits. */
export const NO_MAXIMUM = 0xffff_ffff;

/** Receive Maximum of a client that names none. */
const NO_RECEIVE_MAXIMUM = 65_535;

/** What CONNACK told an MQTT 5 client of limits that a reload may change. */
export interface PromisedLimits {
  /** QoS 1 and 2 messages at a time; 0: 65,535. */
  readonly receiveMaximum: number;
  /** Bytes. */
  readonly maximumPacketSize: number;
}

/** What a connection has only where it differs from most. */
export class ConnectionExtras {
  /** Of the client (v5 section 3.1.2.11.3). */
  receiveMaximum = NO_RECEIVE_MAXIMUM;
  /** Null: what the configuration says now. */
  promised: PromisedLimits | null = null;
  maximumPacketSize = NO_MAXIMUM;
  largestSharedFrame = NO_MAXIMUM;
  aliasMaximum = 0;
  aliases: TopicAliases | null = null;
  wantsProblemInformation = true;
  congestion: Congestion | null = null;
  /** Reasons for which nothing is read. */
  pausedBy = 0;
  /** Congested receivers that the client's messages wait for. */
  heldBy = 0;
  /** One of `pausedBy` is that messages wait. */
  isPausedAsHeld = false;
  /** Messages that wait while acknowledgements are read; null: none do. */
  deferred: DeferredPackets | null = null;
  /** Bytes read but not handled yet, while paused. */
  held: Backlog | null = null;
  /** Bytes of answers that wait behind frames the client does not read; -1: too many, its packets are not read. */
  unreadAnswers = 0;
  isBridge = false;
  /** Acknowledgements that wait for the store; null while there were none. */
  unsettled: UnsettledAcks | null = null;
  /** From the PROXY header, or kept for the log. */
  address: string | null = null;
  port = 0;
  transportUsername: string | null = null;
  /** What TLS came to, until CONNECT names the client for the log. */
  negotiated: string | null = null;
}
