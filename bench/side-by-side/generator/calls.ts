/** What the bench asks of its load-generator process, and how the two talk over Bun's IPC channel. */
import type { PumpResult } from './closed-loop.ts';
import type { Endpoint } from './link.ts';
import type { PaceResult } from './open-loop.ts';

export interface RoutesOptions {
  endpoint: Endpoint;
  /** Publishers; each has `fanOut` receivers of its own. */
  routes: number;
  fanOut: number;
  qos: 0 | 1;
  payloadBytes: number;
  window: number;
}

export interface ConnectOptions {
  endpoint: Endpoint;
  count: number;
  concurrency: number;
}

export interface ChurnResult {
  connects: number;
  seconds: number;
  generatorCpuSeconds: number;
  /** Milliseconds from connect() to CONNACK, with `concurrency` under way. */
  p50: number;
  p99: number;
  p999: number;
}

export interface LoadCalls {
  /** Connects and subscribes all routes. */
  openRoutes(options: RoutesOptions): Promise<null>;
  pump(options: { seconds: number }): Promise<PumpResult>;
  pace(options: { rate: number; seconds: number }): Promise<PaceResult>;
  /** Opens `count` connections that stay until `release`. */
  hold(options: ConnectOptions): Promise<null>;
  /** One subscription, to a topic of its own, on each held connection. */
  subscribeHeld(options: { concurrency: number }): Promise<null>;
  release(options: { concurrency: number }): Promise<null>;
  /** CONNECT, CONNACK, DISCONNECT, and the broker's close, `count` times. */
  churn(options: ConnectOptions): Promise<ChurnResult>;
  faults(options: null): Promise<{ unexpectedPackets: number; lostConnections: number }>;
}

export interface CallMessage {
  id: number;
  call: keyof LoadCalls;
  options: unknown;
}

export type ReplyMessage = { id: number; result: unknown } | { id: number; error: string };
