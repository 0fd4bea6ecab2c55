import type { Message } from './message.ts';

/** QoS 2 messages that were received and not released yet, by packet identifier, with the bytes they hold. */
export class UnreleasedMessages {
  bytes = 0;
  private readonly messages = new Map<number, Message | null>();

  get size(): number {
    return this.messages.size;
  }

  has(packetId: number): boolean {
    return this.messages.has(packetId);
  }

  /** Undefined where the identifier is not known; null where its message was refused and only its flow goes on. */
  get(packetId: number): Message | null | undefined {
    return this.messages.get(packetId);
  }

  set(packetId: number, message: Message | null): void {
    this.delete(packetId);
    this.messages.set(packetId, message);
    this.bytes += message?.size ?? 0;
  }

  delete(packetId: number): void {
    this.bytes -= this.messages.get(packetId)?.size ?? 0;
    this.messages.delete(packetId);
  }
}
