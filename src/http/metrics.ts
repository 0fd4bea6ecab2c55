import type { Broker } from '../broker/broker.ts';
import type { Counters } from '../broker/counters.ts';
import { Exposition, type MetricType } from './exposition.ts';
import type { ServerInfo } from './server-info.ts';
import { LAG_BOUNDS_SECONDS, type LoopLag } from './loop-lag.ts';
import { readProcessStats } from './process-stats.ts';

/** The counters that are one number; the others are told by reason. */
type CounterName = { [K in keyof Counters]: Counters[K] extends number ? K : never }[keyof Counters];

/** Every counter has its metric: leaving one out does not compile. */
const COUNTER_METRICS: Record<CounterName, readonly [name: string, type: MetricType, help: string]> = {
  bytesReceived: ['martlet_network_received_bytes_total', 'counter', 'Bytes read from client sockets.'],
  bytesSent: ['martlet_network_sent_bytes_total', 'counter', 'Bytes written to client sockets.'],
  unsentBytes: ['martlet_network_unsent_bytes', 'gauge', 'Bytes that wait for client sockets to take them.'],
  packetsReceived: ['martlet_packets_received_total', 'counter', 'MQTT packets of any type received from clients.'],
  controlSent: ['martlet_control_packets_sent_total', 'counter', 'Packets sent to clients that are not PUBLISH.'],
  publishReceived: ['martlet_messages_received_total', 'counter', 'PUBLISH packets received from clients.'],
  publishSent: ['martlet_messages_sent_total', 'counter', 'PUBLISH packets sent to clients.'],
  publishBytesReceived: [
    'martlet_payload_received_bytes_total',
    'counter',
    'Payload bytes of PUBLISH packets received from clients.',
  ],
  publishBytesSent: [
    'martlet_payload_sent_bytes_total',
    'counter',
    'Payload bytes of PUBLISH packets sent to clients.',
  ],
  connectionsAccepted: ['martlet_connections_accepted_total', 'counter', 'Network connections accepted.'],
  connectionsRefused: [
    'martlet_connections_refused_total',
    'counter',
    'Network connections refused: a connection limit was reached, or CONNECT was not accepted.',
  ],
  connects: ['martlet_connects_total', 'counter', 'CONNECT packets accepted.'],
  clientsConnected: ['martlet_clients_connected', 'gauge', 'Clients that are connected, after a successful CONNECT.'],
  sessionsTakenOver: [
    'martlet_sessions_taken_over_total',
    'counter',
    'Connections closed because the same client identifier connected again.',
  ],
  sessionsExpired: [
    'martlet_sessions_expired_total',
    'counter',
    'Sessions removed because their expiry interval passed.',
  ],
  willsPublished: ['martlet_wills_published_total', 'counter', 'Will messages published.'],
  willsDenied: [
    'martlet_wills_denied_total',
    'counter',
    'Will messages not published because their client may not publish to the topic.',
  ],
  internalErrors: [
    'martlet_internal_errors_total',
    'counter',
    'Faults of Martlet itself while it handled a packet; each ended the connection and is in the log.',
  ],
  keepAliveTimeouts: [
    'martlet_keep_alive_timeouts_total',
    'counter',
    'Connections closed after 1.5 times their Keep Alive in silence.',
  ],
  producersPaused: [
    'martlet_producers_paused_total',
    'counter',
    'Times that reading from a publisher was paused until a slower subscriber caught up.',
  ],
  sharedRedelivered: [
    'martlet_shared_messages_redelivered_total',
    'counter',
    'Unacknowledged messages of a shared subscription handed to another member.',
  ],
  storeBatches: ['martlet_store_batches_total', 'counter', 'Batches of changes committed to the store.'],
  storeChanges: ['martlet_store_changes_total', 'counter', 'Changes in those batches.'],
  storeFailures: ['martlet_store_failures_total', 'counter', 'Attempts at the store that failed.'],
  storeFailing: ['martlet_store_failing', 'gauge', '1 while the store takes nothing, else 0.'],
};

/**
 * Everything there is to measure, as Prometheus reads it. Only numbers that are already there are read: the cost does
 * not grow with the number of connections, sessions or retained messages.
 */
export function renderMetrics(broker: Broker, info: ServerInfo, lag: LoopLag): string {
  const out = new Exposition();
  out.family('martlet_build_info', 'gauge', 'Always 1; the labels tell the version.');
  out.sample('martlet_build_info', { version: info.version, bun: Bun.version }, 1);
  writeCounters(out, broker.counters);
  writeLevels(out, broker, info);
  out.histogram(
    'martlet_event_loop_lag_seconds',
    'How late a timer that is due every second ran.',
    LAG_BOUNDS_SECONDS,
    lag.buckets,
    lag.sumSeconds,
  );
  writeProcess(out, broker.connectionCount);
  return out.toString();
}

function writeCounters(out: Exposition, counters: Counters): void {
  for (const [counter, [name, type, help]] of Object.entries(COUNTER_METRICS)) {
    out.single(name, type, help, counters[counter as CounterName]);
  }
  out.family('martlet_messages_dropped_total', 'counter', 'Messages that did not reach a session, by reason.');
  for (const [reason, count] of counters.dropped) out.sample('martlet_messages_dropped_total', { reason }, count);
  out.family(
    'martlet_connections_closed_total',
    'counter',
    'Connections that ended other than by DISCONNECT, by reason.',
  );
  for (const [reason, count] of counters.closed) {
    out.sample('martlet_connections_closed_total', { reason: reason.replaceAll(' ', '_') }, count);
  }
}

function writeLevels(out: Exposition, broker: Broker, info: ServerInfo): void {
  const { tree } = broker;
  out.single('martlet_connections', 'gauge', 'Open network connections.', broker.connectionCount);
  out.family('martlet_listener_connections', 'gauge', 'Open network connections by listener.');
  for (const { name, url, connections } of info.listeners) {
    out.sample('martlet_listener_connections', { listener: name, url }, connections());
  }
  out.single(
    'martlet_sessions',
    'gauge',
    'Sessions, of clients that are connected and of clients that are away.',
    broker.sessions.size,
  );
  out.single(
    'martlet_subscriptions',
    'gauge',
    'Subscriptions of all sessions, shared ones included.',
    tree.subscriptionCount,
  );
  out.single('martlet_shared_subscriptions', 'gauge', 'Shared subscriptions.', tree.sharedSubscriptionCount);
  out.single('martlet_topic_filters', 'gauge', 'Different topic filters that are subscribed to.', tree.filterCount);
  out.single('martlet_retained_messages', 'gauge', 'Retained messages.', broker.retained.count);
  out.single(
    'martlet_congested_connections',
    'gauge',
    'Connections so far behind with reading that their publishers are held back.',
    broker.congestionControl.size,
  );
}

function writeProcess(out: Exposition, connections: number): void {
  const stats = readProcessStats(connections);
  out.single('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', stats.residentBytes);
  out.single(
    'process_cpu_seconds_total',
    'counter',
    'Total user and system CPU time spent in seconds.',
    stats.cpuSeconds,
  );
  if (stats.openFiles !== null) {
    out.single('process_open_fds', 'gauge', 'Number of open file descriptors.', stats.openFiles);
  }
  if (stats.openFilesLimit !== null) {
    out.single('process_max_fds', 'gauge', 'Maximum number of open file descriptors.', stats.openFilesLimit);
  }
  out.single(
    'process_start_time_seconds',
    'gauge',
    'Start time of the process since unix epoch in seconds.',
    stats.startedAtSeconds,
  );
}
