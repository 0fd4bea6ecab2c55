import type { Broker } from '../broker/broker.ts';
import { DropReason } from '../session/outgoing-flow.ts';
import { formatBytes, formatCount, formatDuration, formatNumberOf, formatRate } from './format.ts';
import { checkHealth, type Health } from './health.ts';
import type { HistorySlice } from './history.ts';
import { readProcessStats } from './process-stats.ts';
import type { Sampler } from './sampler.ts';
import type { ServerInfo } from './server-info.ts';

/** What every answer is made of. */
export interface StatusSources {
  readonly broker: Broker;
  readonly info: ServerInfo;
  readonly sampler: Sampler;
  /** Seconds since the start, on a clock that nobody sets. */
  uptimeSeconds(): number;
}

/** Body of `/status.json`: what the status page shows. It changes with the page; programs read `/metrics`. */
export interface Status {
  readonly version: string;
  readonly startedAtMs: number;
  readonly isHealthy: boolean;
  /** Texts by the name of the place where the page shows them. */
  readonly show: Readonly<Record<string, string>>;
  readonly dropped: Readonly<Record<DropReason, number>>;
  readonly history: HistorySlice;
}

/** @param since sequence number of the first sample of the history that is wanted */
export function readStatus(sources: StatusSources, since: number): Status {
  const { broker, info, sampler } = sources;
  const health = checkHealth(broker, sampler.lag);
  const dropped = Object.fromEntries(broker.counters.dropped) as Record<DropReason, number>;
  return {
    version: info.version,
    startedAtMs: info.startedAtMs,
    isHealthy: health.isHealthy,
    show: {
      state: stateText(health),
      uptime: formatDuration(sources.uptimeSeconds()),
      ...trafficTexts(broker, sampler),
      ...holdingTexts(broker),
      ...processTexts(broker, sampler),
      ...listenerTexts(info),
      ...dropTexts(dropped),
    },
    dropped,
    history: sampler.history.since(since),
  };
}

function stateText({ isHealthy, reason }: Health): string {
  if (isHealthy) return 'Running';
  const text = reason ?? 'not healthy';
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function trafficTexts({ counters, connectionCount }: Broker, { history }: Sampler): Record<string, string> {
  return {
    connections: formatCount(connectionCount),
    clients: formatNumberOf(counters.clientsConnected, 'client'),
    accepted: formatNumberOf(counters.connectionsAccepted, 'connection'),
    messagesInRate: formatRate(history.latest('messagesIn')),
    messagesOutRate: formatRate(history.latest('messagesOut')),
    messagesIn: formatNumberOf(counters.publishReceived, 'message'),
    messagesOut: formatNumberOf(counters.publishSent, 'message'),
    bytesInRate: `${formatBytes(history.latest('bytesIn'))}/s`,
    bytesOutRate: `${formatBytes(history.latest('bytesOut'))}/s`,
    bytesIn: formatBytes(counters.bytesReceived),
    bytesOut: formatBytes(counters.bytesSent),
    first: counters.publishReceived === 0 ? 'Waiting for the first message.' : 'Messages are coming in.',
  };
}

function holdingTexts({ sessions, counters, tree, retained }: Broker): Record<string, string> {
  return {
    sessions: formatCount(sessions.size),
    sessionsAway: `${formatCount(Math.max(0, sessions.size - counters.clientsConnected))} away`,
    subscriptions: formatCount(tree.subscriptionCount),
    shared: `${formatCount(tree.sharedSubscriptionCount)} shared`,
    filters: formatCount(tree.filterCount),
    retained: formatCount(retained.count),
  };
}

function processTexts({ connectionCount }: Broker, { lag, cpuShare }: Sampler): Record<string, string> {
  const stats = readProcessStats(connectionCount);
  return {
    memory: formatBytes(stats.residentBytes),
    cpu: `${formatRate(cpuShare * 100)} %`,
    files: stats.openFiles === null ? 'unknown' : formatCount(stats.openFiles),
    filesLimit: stats.openFilesLimit === null ? '' : `of ${formatCount(stats.openFilesLimit)} allowed`,
    lag: `${formatRate(lag.meanSeconds * 1_000)} ms`,
  };
}

function listenerTexts({ listeners }: ServerInfo): Record<string, string> {
  return Object.fromEntries(
    listeners.map((listener, i) => [`listener-${i}`, formatNumberOf(listener.connections(), 'connection')]),
  );
}

function dropTexts(dropped: Record<DropReason, number>): Record<string, string> {
  const total = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  return {
    dropTotal: total === 0 ? 'None since the start.' : `${formatCount(total)} since the start.`,
    ...Object.fromEntries(Object.values(DropReason).map((reason) => [`drop-${reason}`, formatCount(dropped[reason])])),
  };
}
