import type { Message } from './message.ts';
import type { StoredMessages } from './stored-messages.ts';

/** QoS 2 messages that were received and not released yet, by packet identifier, with the bytes they hold. */
export class UnreleasedMessages {
  bytes = 0;
  private readonly messages = new Map<number, Message | null>();
  private readonly stored: StoredMessages;

  constructor(stored: StoredMessages) {
    this.stored = stored;
  }

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
    if (message === null) return;
    this.bytes += message.size;
    this.stored.hold(message);
  }

  delete(packetId: number): void {
    const message = this.messages.get(packetId);
    this.messages.delete(packetId);
    if (message === undefined || message === null) return;
    this.bytes -= message.size;
    this.stored.release(message);
  }

  clear(): void {
    for (const packetId of this.messages.keys()) this.delete(packetId);
  }
}
