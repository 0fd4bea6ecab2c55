// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable.
import type { AckType } from '../../protocol/ack.ts';
import { PacketType } from '../../protocol/packet-type.ts';
import type { ClientConnection } from '../client-connection.ts';
import type { BatchQueue } from './batch-queue.ts';
import { Settlement } from './settlement.ts';

/** Acknowledgements of what clients publish: each leaves when what it promises is safe, and in order. */
export class PublisherAcks {
  private readonly batches: BatchQueue;
  /** The acknowledgement of the message being routed; null until something makes it wait. */
  private current: Settlement | null = null;
  private connection: ClientConnection | null = null;
  private type: AckType = PacketType.puback;
  private packetId = 0;
  private reasonCode = 0;

  constructor(batches: BatchQueue) {
    this.batches = batches;
  }

  /** Between this and `end` a message is routed; its acknowledgement waits for what is expected meanwhile. */
  begin(connection: ClientConnection, type: AckType, packetId: number, reasonCode: number): void {
    this.current = null;
    this.connection = connection;
    this.type = type;
    this.packetId = packetId;
    this.reasonCode = reasonCode;
  }

  /** Sends the acknowledgement, or has it wait. */
  end(): void {
    const connection = this.connection!;
    const settlement = this.current;
    this.connection = null;
    this.current = null;
    const { unsettled } = connection;
    if (settlement === null && (unsettled === null || unsettled.length === 0)) {
      connection.sendAck(this.type, this.packetId, this.reasonCode, null);
      return;
    }
    const waiting = settlement ?? new Settlement(connection, this.type, this.packetId, this.reasonCode);
    connection.waitingAcks().push(waiting);
    waiting.settleOne();
  }

  /** Routing failed in the middle: there is nothing to acknowledge. */
  abandon(): void {
    this.current = null;
    this.connection = null;
  }

  /** Sends an acknowledgement that need not wait for the store, after those that do. */
  sendInOrder(connection: ClientConnection, type: AckType, packetId: number, reasonCode: number): void {
    this.begin(connection, type, packetId, reasonCode);
    this.end();
  }

  /** The acknowledgement at hand waits for one thing more; null where there is none, as for the broker's own messages. */
  expect(): Settlement | null {
    const { connection } = this;
    if (connection === null) return null;
    this.current ??= new Settlement(connection, this.type, this.packetId, this.reasonCode);
    this.current.expectOne();
    return this.current;
  }

  /** The acknowledgement at hand waits for all that was said until now. */
  expectBatch(): void {
    const settlement = this.expect();
    if (settlement === null) this.batches.schedule(false);
    else this.batches.afterCommit(() => settlement.settleOne());
  }
}
