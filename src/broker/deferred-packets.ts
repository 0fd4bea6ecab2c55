import { Deque } from '../session/deque.ts';

/** What a packet costs beside its bytes. */
const OVERHEAD = 160;

/** A PUBLISH or PUBREL that waits. */
export interface DeferredPacket {
  readonly firstByte: number;
  /** A copy. */
  readonly body: Uint8Array;
}

/** Packets of a client that wait while its others are handled, in order. */
export class DeferredPackets {
  /** What they take of memory. */
  bytes = 0;
  private readonly queue = new Deque<DeferredPacket>();

  get length(): number {
    return this.queue.length;
  }

  push(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    this.queue.push({ firstByte, body: bytes.slice(start, end) });
    this.bytes += end - start + OVERHEAD;
  }

  shift(): DeferredPacket | undefined {
    const packet = this.queue.shift();
    if (packet !== undefined) this.bytes -= packet.body.length + OVERHEAD;
    return packet;
  }
}
