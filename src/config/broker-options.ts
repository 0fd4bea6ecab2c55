import type { QoS } from '../protocol/packet-type.ts';

/** Limits and switches of a broker; names are those of mosquitto.conf in camelCase. */
export interface BrokerOptions {
  /** Window of outgoing, and Receive Maximum of incoming, QoS 1 and 2 messages; 0: 65,535. */
  maxInflightMessages: number;
  /** Bytes of them in flight from which on no further one is sent; 0: no limit. */
  maxInflightBytes: number;
  /** Messages queued behind the window of a session; 0: no limit. */
  maxQueuedMessages: number;
  /** Bytes queued behind the window of a session from which on no further message is queued; 0: no limit. */
  maxQueuedBytes: number;
  /** Seconds; a longer Keep Alive, and none at all, is shortened in MQTT 5 and refused before. 0 and 65,535: no limit. */
  maxKeepalive: number;
  /** Bytes of a whole packet. Null: 2,000,000 for MQTT 5, which is told, and the standard's limit before. */
  maxPacketSize: number | null;
  /** Bytes of a PUBLISH payload; 0: no limit but the packet's. */
  messageSizeLimit: number;
  /** Topic Alias Maximum towards clients. */
  maxTopicAlias: number;
  /** Most topic aliases the broker makes towards one client that allows them. */
  maxTopicAliasBroker: number;
  maxQos: QoS;
  retainAvailable: boolean;
  queueQos0Messages: boolean;
  /** What becomes of a message for a session whose queue is full. */
  queueFull: 'drop_new' | 'drop_oldest' | 'disconnect';
  /** Deliver at the QoS of the subscription, even where the message came at a lower one. */
  upgradeOutgoingQos: boolean;
  /** MQTT before 5: a copy for each of a client's subscriptions that match, not one in all. */
  allowDuplicateMessages: boolean;
  /** Retained messages whose publisher may no longer write to the topic are not sent to new subscriptions. */
  checkRetainSource: boolean;
  /** Seconds between two looks for retained messages that expired; 0: they go when a search meets them. */
  retainExpiryInterval: number;
  /** Bytes that clients may make the broker keep; 0: no limit. */
  memoryLimit: number;
  /** Sessions, of clients that are connected or away; 0 or less: no limit. */
  globalMaxClients: number;
  /** Connections of all listeners; 0 or less: no limit. */
  globalMaxConnections: number;
  /** Seconds a connection has for its CONNECT. */
  connectTimeout: number;
  /** Unsent bytes of one connection above which QoS 0 messages to it are dropped. */
  maxOutgoingBytes: number;
  /** Seconds sessions of clients that ask for no end (3.1.1 Clean Session 0) are kept; 0: for ever. */
  persistentClientExpiration: number;
  /** Log clients that connect and disconnect. */
  connectionMessages: boolean;
  /** Tell MQTT 5 clients in words why a packet was refused; Mosquitto never does. */
  reasonStrings: boolean;
  /** First part of the Response Information a client may ask for, or null to give none. */
  responseTopicPrefix: string | null;
  /** Answer requests under `$CONTROL/broker/v1`. */
  enableControlApi: boolean;
}

export const defaultBrokerOptions: BrokerOptions = {
  maxInflightMessages: 20,
  maxInflightBytes: 0,
  maxQueuedMessages: 1_000,
  maxQueuedBytes: 0,
  maxKeepalive: 65_535,
  maxPacketSize: null,
  messageSizeLimit: 0,
  maxTopicAlias: 10,
  maxTopicAliasBroker: 10,
  maxQos: 2,
  retainAvailable: true,
  queueQos0Messages: false,
  queueFull: 'drop_new',
  upgradeOutgoingQos: false,
  allowDuplicateMessages: false,
  checkRetainSource: true,
  retainExpiryInterval: 3_600,
  memoryLimit: 0,
  globalMaxClients: -1,
  globalMaxConnections: -1,
  connectTimeout: 30,
  maxOutgoingBytes: 16 * 1024 * 1024,
  persistentClientExpiration: 0,
  connectionMessages: true,
  reasonStrings: false,
  responseTopicPrefix: null,
  enableControlApi: false,
};
