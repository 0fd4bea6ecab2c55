import { ReasonCode } from '../protocol/reason-code.ts';
import type { Broker } from './broker.ts';

export interface SessionRefusal {
  readonly reasonCode: ReasonCode;
  readonly cause: string;
}

/**
 * Why a client can't have a session; null where it can. One that has its session already is always let in.
 *
 * @param isKept the session is to outlive the connection
 */
export function refuseNewSession(
  broker: Broker,
  clientId: string,
  cleanStart: boolean,
  isKept: boolean,
): SessionRefusal | null {
  const { options, sessions, memory, durability } = broker;
  if (durability !== null && isKept && (cleanStart || !sessions.has(clientId)) && durability.isOverfull) {
    return { reasonCode: ReasonCode.quotaExceeded, cause: 'session cannot be stored' };
  }
  const { globalMaxClients } = options;
  if ((globalMaxClients <= 0 || sessions.size < globalMaxClients) && !memory.isFull) return null;
  if (sessions.has(clientId)) return null;
  return memory.isFull
    ? { reasonCode: ReasonCode.quotaExceeded, cause: 'memory limit reached' }
    : { reasonCode: ReasonCode.serverBusy, cause: 'global_max_clients exceeded' };
}
