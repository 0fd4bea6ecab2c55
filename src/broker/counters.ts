import { DropReason } from '../session/outgoing-flow.ts';

/** Plain numbers that the road of a message adds to; they are read when somebody asks for metrics. */
export class Counters {
  bytesReceived = 0;
  bytesSent = 0;
  /** Bytes that wait for sockets to take them. */
  unsentBytes = 0;
  packetsReceived = 0;
  /** Packets sent that are no PUBLISH. */
  controlSent = 0;
  publishReceived = 0;
  publishSent = 0;
  publishBytesReceived = 0;
  publishBytesSent = 0;
  connectionsAccepted = 0;
  connectionsRefused = 0;
  /** CONNECT packets that were answered with success. */
  connects = 0;
  clientsConnected = 0;
  sessionsTakenOver = 0;
  sessionsExpired = 0;
  willsPublished = 0;
  /** Wills for topics that their client may not publish to. */
  willsDenied = 0;
  /** Faults of ours while a packet was handled: each is in the log and ended the connection. */
  internalErrors = 0;
  keepAliveTimeouts = 0;
  producersPaused = 0;
  sharedRedelivered = 0;
  /** Attempts at the store that failed. */
  storeFailures = 0;
  /** 1 while the store takes nothing. */
  storeFailing = 0;
  /** Batches that were committed, and the changes in them. */
  storeBatches = 0;
  storeChanges = 0;
  readonly dropped = new Map<DropReason, number>(Object.values(DropReason).map((reason) => [reason, 0]));
  /** Connections the broker ended, by reason code name. */
  readonly closed = new Map<string, number>();

  drop(reason: DropReason): void {
    this.dropped.set(reason, this.dropped.get(reason)! + 1);
  }

  close(reason: string): void {
    this.closed.set(reason, (this.closed.get(reason) ?? 0) + 1);
  }
}
