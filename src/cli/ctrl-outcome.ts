// How `martlet ctrl` ends: the exit status tells whether the broker could be asked, not what it answered.
import { type CloseCause, CloseKind } from '../client/client-handlers.ts';
import { TransportError, TransportFailure } from '../transport/client-transport.ts';
import type { Outcome } from './client-outcome.ts';

/** Those of Mosquitto's library, as mosquitto_ctrl leaves with them. */
export const CtrlStatus = {
  success: 0,
  /** The command line is refused or help was asked for. */
  failure: 1,
  tlsError: 8,
  /** There is no such module. */
  notSupported: 10,
  /** There is no such command in the module. */
  unknown: 13,
  /** The connection cannot be opened. */
  systemError: 14,
  lookupError: 15,
  timeout: 27,
} as const;

/** @param outcome what the other commands make of it */
export function ctrlOutcome(cause: CloseCause, outcome: Outcome): Outcome {
  switch (cause.kind) {
    case CloseKind.refused:
    case CloseKind.requested:
    case CloseKind.serverDisconnect:
      return { ...outcome, status: CtrlStatus.success };
    case CloseKind.transport:
      return { ...outcome, status: transportStatus(cause.error) ?? outcome.status };
    case CloseKind.protocolError:
    case CloseKind.keepAliveTimeout:
    case CloseKind.connectTimeout:
      return outcome;
  }
}

function transportStatus(error: Error | null): number | null {
  if (!(error instanceof TransportError)) return null;
  switch (error.failure) {
    case TransportFailure.connect:
      return CtrlStatus.systemError;
    case TransportFailure.lookup:
      return CtrlStatus.lookupError;
    case TransportFailure.tls:
    case TransportFailure.certificate:
      return CtrlStatus.tlsError;
    default:
      return null;
  }
}
