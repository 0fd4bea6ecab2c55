import type { Session } from './session.ts';
import { SeqList } from './seq-list.ts';

/** Whoever waits for a message to be safe: told when one more of its deliveries is. */
export interface SettlesDelivery {
  settleOne(): void;
}

/** Where a delivery to a durable session stands. */
export const StorageState = {
  /** Will be written with the next batch, unless its receiver is faster. */
  waiting: 0,
  /** In the batch that is being committed. */
  writing: 1,
  stored: 2,
  /** Delivered or dropped: not to be written, or to be deleted. */
  done: 3,
} as const;
export type StorageState = (typeof StorageState)[keyof typeof StorageState];

/** What a delivery to a durable session has to do with the store. */
export class DeliveryStorage {
  readonly session: Session;
  /** Its number in the store: the order of deliveries of a session. */
  seq: number;
  state: StorageState;
  /** The publisher's acknowledgement that waits for it; null once it need not wait. */
  settlement: SettlesDelivery | null;
  /** Monotonic milliseconds from when its receiver could acknowledge it; 0: nobody can before it is stored. */
  readonly sinceMs: number;

  constructor(session: Session, seq: number, state: StorageState, settlement: SettlesDelivery | null, sinceMs = 0) {
    this.session = session;
    this.seq = seq;
    this.state = state;
    this.settlement = settlement;
    this.sinceMs = sinceMs;
  }

  /** Committed, as it is now. */
  get isStored(): boolean {
    return this.state === StorageState.stored;
  }
}

/**
 * What a session that outlives the process has beside the others. As a list it holds the numbers of the deliveries that
 * wait in the store only: all of a client that is away, and of one that is slow those behind its queue in memory.
 */
export class DurableState extends SeqList {
  /** In the store. */
  readonly id: number;
  /** Bytes of the messages of the list, as a queue accounts for them. */
  bytes = 0;
  /** How many of them came by a shared subscription. */
  shared = 0;
  /** Deliveries up to this one were sent on an earlier connection; 0: none. */
  sentSeq = 0;
  /** The packet identifier that the next delivery gets; those of deliveries in the store are not given again. */
  nextPacketId = 1;
  /** When the client went away, wall clock milliseconds; 0: it is connected. */
  awaySinceMs = 0;
  /** A page of the list is being read. */
  isReading = false;
  /** Messages have been dropped since the client went away, and it was told. */
  isDropping = false;

  constructor(id: number) {
    super();
    this.id = id;
  }

  /** Adds a delivery that waits in the store. */
  add(seq: number, size: number, isShared: boolean): void {
    this.push(seq);
    this.bytes += size;
    if (isShared) this.shared++;
  }

  /** Takes the first one out, which is `seq`. */
  take(size: number, isShared: boolean): void {
    this.shift();
    this.bytes -= size;
    if (isShared) this.shared--;
  }
}
