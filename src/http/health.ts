import type { Broker } from '../broker/broker.ts';
import type { LoopLag } from './loop-lag.ts';

/** Mean lateness of the event loop above which new clients had better go elsewhere. */
export const LAG_LIMIT_SECONDS = 0.5;

/** Whether this process should get new clients; `reason` is null when it should. */
export interface Health {
  readonly isHealthy: boolean;
  readonly reason: string | null;
}

export function checkHealth(broker: Broker, lag: LoopLag): Health {
  if (broker.isStopping) return { isHealthy: false, reason: 'the broker is stopping' };
  if (broker.counters.storeFailing > 0) {
    return {
      isHealthy: false,
      reason: 'persistence fails: QoS 1 and 2 messages for durable sessions are not acknowledged',
    };
  }
  const { meanSeconds } = lag;
  if (meanSeconds > LAG_LIMIT_SECONDS) {
    return {
      isHealthy: false,
      reason: `overloaded: the event loop ran ${meanSeconds.toFixed(1)} s late on average over the last 5 s`,
    };
  }
  return { isHealthy: true, reason: null };
}
