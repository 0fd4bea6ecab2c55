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
 * wait in the store only and were never sent: all of a client that is away, and of one that is slow those behind its
 * queue in memory.
 */
export class DurableState extends SeqList {
  /** In the store. */
  readonly id: number;
  /** Bytes of the messages of the list, as a queue accounts for them. */
  bytes = 0;
  /** Deliveries in flight on an earlier connection, in order, until they are sent again; null: none. */
  sent: number[] | null = null;
  /** Some of the list or of `sent` came by a shared subscription, or did. */
  hasShared = false;
  /** The packet identifier that the next delivery gets; those of deliveries in the store are not given again. */
  nextPacketId = 1;
  /** When the client went away, wall clock milliseconds; 0: it is connected. */
  awaySinceMs = 0;
  /** Which read of a page of the list, or of `sent`, is under way; 0: none. */
  reading = 0;
  /** The client is connected, but nothing may be sent yet: that it came is not committed, or `sent` not read. */
  isResuming = false;
  /** Messages have been dropped since the client came or went away, and it was told. */
  isDropping = false;

  constructor(id: number) {
    super();
    this.id = id;
  }

  /** A delivery in the store has a packet identifier, or none (0): numbering goes on behind the last one given. */
  skipPacketId(packetId: number): void {
    const ahead = (packetId - this.nextPacketId + 65_535) % 65_535;
    // Identifiers begin anew behind 65,535: one that is far ahead is from before.
    if (packetId > 0 && (this.nextPacketId === 1 || ahead < 32_768)) this.nextPacketId = (packetId % 65_535) + 1;
  }

  /** Adds a delivery that waits in the store. */
  add(seq: number, size: number, isShared: boolean): void {
    this.push(seq);
    this.bytes += size;
    if (isShared) this.hasShared = true;
  }

  /** Takes the first one out. */
  take(size: number): void {
    this.shift();
    this.bytes = this.length === 0 ? 0 : this.bytes - size;
    if (this.length === 0 && this.sent === null) this.hasShared = false;
  }
}
