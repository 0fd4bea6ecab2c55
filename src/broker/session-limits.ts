import { ReasonCode } from '../protocol/reason-code.ts';
import type { Broker } from './broker.ts';

export interface SessionRefusal {
  readonly reasonCode: ReasonCode;
  readonly cause: string;
}

/** Why a client can't have a session; null where it can. One that has its session already is always let in. */
export function refuseNewSession(broker: Broker, clientId: string): SessionRefusal | null {
  const { options, sessions, memory } = broker;
  const { globalMaxClients } = options;
  if ((globalMaxClients <= 0 || sessions.size < globalMaxClients) && !memory.isFull) return null;
  if (sessions.has(clientId)) return null;
  return memory.isFull
    ? { reasonCode: ReasonCode.quotaExceeded, cause: 'memory limit reached' }
    : { reasonCode: ReasonCode.serverBusy, cause: 'global_max_clients exceeded' };
}
