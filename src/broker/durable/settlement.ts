// On the road of QoS 1 and 2 messages to durable sessions. Benchmark: bench/durable.
import type { AckType } from '../../protocol/ack.ts';
import type { SettlesDelivery } from '../../session/durable-state.ts';
import { Deque } from '../../session/deque.ts';
import type { ClientConnection } from '../client-connection.ts';

/**
 * An acknowledgement that waits until all it promises is safe: each delivery of the message acknowledged by its
 * receiver, or committed. Acknowledgements of a connection leave in the order of what they acknowledge
 * (v5 [MQTT-4.6.0-2], [MQTT-4.6.0-3]).
 */
export class Settlement implements SettlesDelivery {
  readonly connection: ClientConnection;
  readonly type: AckType;
  readonly packetId: number;
  readonly reasonCode: number;
  /** What is not safe yet. */
  private open = 1;

  constructor(connection: ClientConnection, type: AckType, packetId: number, reasonCode: number) {
    this.connection = connection;
    this.type = type;
    this.packetId = packetId;
    this.reasonCode = reasonCode;
  }

  get isSettled(): boolean {
    return this.open === 0;
  }

  /** One more thing has to be safe. */
  expectOne(): void {
    this.open++;
  }

  settleOne(): void {
    if (--this.open === 0) this.connection.unsettled?.flush();
  }
}

/** The acknowledgements of one connection that wait, in order. */
export class UnsettledAcks {
  private readonly waiting = new Deque<Settlement>();
  private isFlushing = false;

  get length(): number {
    return this.waiting.length;
  }

  push(settlement: Settlement): void {
    this.waiting.push(settlement);
  }

  /** Sends those at the front that need not wait any more. */
  flush(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    for (let first = this.waiting.peek(); first !== undefined && first.isSettled; first = this.waiting.peek()) {
      this.waiting.shift();
      first.connection.sendAck(first.type, first.packetId, first.reasonCode, null);
    }
    this.isFlushing = false;
  }
}
