import { ConnectReturnCode, ReasonCode } from '../protocol/reason-code.ts';
import { type CloseCause, CloseKind } from './client-handlers.ts';

export interface ReconnectOptions {
  /** Before the first attempt after a connection that was stable. */
  readonly firstDelayMs: number;
  readonly maximumDelayMs: number;
  /** By which each failed attempt multiplies the delay. */
  readonly factor: number;
  /** Part of the delay, 0 to 1, that chance may take off, so that many clients do not come back in one wave. */
  readonly jitter: number;
  /** A connection that lasted so long starts the delays anew. */
  readonly stableAfterMs: number;
}

export const defaultReconnectOptions: ReconnectOptions = {
  firstDelayMs: 1_000,
  maximumDelayMs: 60_000,
  factor: 2,
  jitter: 0.5,
  stableAfterMs: 10_000,
};

const refusalsThatPass = new Set<number>([
  ReasonCode.unspecifiedError,
  ReasonCode.serverUnavailable,
  ReasonCode.serverBusy,
  ReasonCode.serverShuttingDown,
  ReasonCode.quotaExceeded,
  ReasonCode.connectionRateExceeded,
  ConnectReturnCode.serverUnavailable,
]);

/** What a DISCONNECT can say that the same client on the same server would only be told again. */
const disconnectsThatStay = new Set<number>([
  ReasonCode.notAuthorized,
  ReasonCode.banned,
  ReasonCode.sessionTakenOver,
  ReasonCode.useAnotherServer,
  ReasonCode.serverMoved,
]);

/**
 * Whether trying again can help: not where we asked for the end, where the server refuses who we are, where another
 * connection took the session over, or where the server sends us elsewhere (`properties.serverReference`).
 */
export function mayReconnect(cause: CloseCause): boolean {
  switch (cause.kind) {
    case CloseKind.requested:
      return false;
    case CloseKind.refused:
      return refusalsThatPass.has(cause.reasonCode);
    case CloseKind.serverDisconnect:
      return !disconnectsThatStay.has(cause.reasonCode);
    case CloseKind.protocolError:
    case CloseKind.keepAliveTimeout:
    case CloseKind.connectTimeout:
    case CloseKind.transport:
      return true;
  }
}

/** When a client connects again: it has no clock and no timer, its owner asks `isDue` at each tick. */
export class Reconnector {
  private readonly options: ReconnectOptions;
  private readonly random: () => number;
  private failures = 0;
  /** -1: not connected. */
  private connectedAtMs = -1;
  /** -1: no attempt is planned. */
  private dueAtMs = -1;

  /** @param random gives numbers from 0 up to 1, as `Math.random` */
  constructor(options: ReconnectOptions, random: () => number) {
    this.options = options;
    this.random = random;
  }

  connected(nowMs: number): void {
    this.connectedAtMs = nowMs;
    this.dueAtMs = -1;
  }

  /** @returns the delay in milliseconds, or -1 where no further attempt makes sense */
  closed(cause: CloseCause, nowMs: number): number {
    const { firstDelayMs, maximumDelayMs, factor, jitter, stableAfterMs } = this.options;
    if (this.connectedAtMs >= 0 && nowMs - this.connectedAtMs >= stableAfterMs) this.failures = 0;
    this.connectedAtMs = -1;
    this.dueAtMs = -1;
    if (!mayReconnect(cause)) return -1;
    const fullDelayMs = Math.min(maximumDelayMs, firstDelayMs * factor ** this.failures);
    // Beyond this the delay is the maximum anyway, and the power stays a number.
    if (fullDelayMs < maximumDelayMs) this.failures++;
    const delayMs = Math.round(fullDelayMs * (1 - jitter * this.random()));
    this.dueAtMs = nowMs + delayMs;
    return delayMs;
  }

  /** True once, when the time has come to `open` the client. */
  isDue(nowMs: number): boolean {
    if (this.dueAtMs < 0 || nowMs < this.dueAtMs) return false;
    this.dueAtMs = -1;
    return true;
  }

  /** Plans no further attempt. */
  cancel(): void {
    this.dueAtMs = -1;
  }
}
