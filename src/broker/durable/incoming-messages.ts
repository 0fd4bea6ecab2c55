// On the road of QoS 2 messages to durable sessions. Benchmark: bench/durable.
import type { Message } from '../../session/message.ts';
import type { Session } from '../../session/session.ts';
import type { StoreBatch } from '../../storage/store-batch.ts';
import type { BatchQueue } from './batch-queue.ts';
import type { DeliveryWriter } from './delivery-writer.ts';
import type { PublisherAcks } from './publisher-acks.ts';

interface Released {
  readonly session: Session;
  readonly packetId: number;
  readonly message: Message | null;
}

/** QoS 2 messages of publishers whose session is kept, from PUBLISH to PUBREL. */
export class IncomingMessages {
  private readonly batches: BatchQueue;
  private readonly acks: PublisherAcks;
  private readonly deliveries: DeliveryWriter;
  /** Deleted once their deliveries are written, in the same batch. */
  private released: Released[] = [];

  constructor(batches: BatchQueue, acks: PublisherAcks, deliveries: DeliveryWriter) {
    this.batches = batches;
    this.acks = acks;
    this.deliveries = deliveries;
  }

  /** A message came in. PUBREC waits for it. @param message null: it was refused, and only its flow goes on */
  onPublish(session: Session, packetId: number, message: Message | null): void {
    if (session.durable === null) return;
    if (message !== null) this.deliveries.putMessage(message, 1, Infinity);
    this.batches.open.putIncoming(session.durable.id, packetId, message === null ? 0 : message.storeId);
    this.acks.expectBatch();
  }

  /**
   * A PUBLISH or PUBREL came again. What it asks for was done, and is perhaps not committed: on a connection whose CONNACK
   * did not wait for the store, since that fails, the answer does.
   */
  onRepeated(session: Session): void {
    if (session.durable !== null && this.batches.isFailing) this.acks.expectBatch();
  }

  /** PUBREL came for it. To be called before it is routed. PUBCOMP waits for it. */
  onPubrel(session: Session, packetId: number, message: Message | null): void {
    if (session.durable === null) return;
    this.released.push({ session, packetId, message });
    this.acks.expectBatch();
  }

  /** The session is over: what it released is stored anew, since its own reference goes with the session. */
  onEnded(session: Session): void {
    this.released = this.released.filter((one) => {
      if (one.session !== session) return true;
      if (one.message !== null) one.message.storeBatch = 0;
      return false;
    });
  }

  /** To be called when the deliveries of the batch are written. */
  write(batch: StoreBatch): void {
    for (const { session, packetId, message } of this.released) {
      batch.deleteIncoming(session.durable!.id, packetId);
      if (message !== null) message.storeBatch = 0;
    }
    this.released.length = 0;
  }
}
