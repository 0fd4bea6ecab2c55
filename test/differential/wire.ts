/** A socket that keeps every packet it gets as hex. */
import { toHex } from './bytes.ts';

/** In place of what never came within a limit. */
export const Missing = { pingresp: 'no PINGRESP', packet: 'nothing came', close: 'still open' } as const;

/** Stands in `Wire.events` where a step began. */
export const STEP = 'step';

const PINGRESP = 'd000';

/** Cuts a stream of the broker, which is taken to be right, into packets. */
class Cutter {
  private rest: Uint8Array = new Uint8Array(0);

  cut(chunk: Uint8Array): Uint8Array[] {
    const stream = new Uint8Array(this.rest.length + chunk.length);
    stream.set(this.rest);
    stream.set(chunk, this.rest.length);
    const packets: Uint8Array[] = [];
    let at = 0;
    for (;;) {
      const end = packetEnd(stream, at);
      if (end < 0) break;
      packets.push(stream.slice(at, end));
      at = end;
    }
    this.rest = stream.slice(at);
    return packets;
  }

  get leftover(): Uint8Array {
    return this.rest;
  }
}

function packetEnd(stream: Uint8Array, start: number): number {
  let length = 0;
  for (let i = start + 1; i < stream.length && i < start + 5; i++) {
    const byte = stream[i]!;
    length |= (byte & 0x7f) << (7 * (i - start - 1));
    if (byte >= 128) continue;
    const end = i + 1 + length;
    return end <= stream.length ? end : -1;
  }
  return -1;
}

export class Wire {
  /** Packets as hex, `closed`, what is missing, and `STEP`, in the order in which they came. */
  readonly events: string[] = [];
  isClosed = false;
  /** CONNACK with success came: the client may send PINGREQ. */
  isConnected = false;
  packetCount = 0;
  /** `packetCount` when the last step that does something began. */
  mark = 0;
  private readonly cutter = new Cutter();
  private socket: Bun.Socket<undefined> | null = null;
  private wakers: (() => void)[] = [];
  /** PINGREQs of `ping` without their PINGRESP. */
  private fences = 0;
  private isDropped = false;

  static async open(port: number): Promise<Wire> {
    const wire = new Wire();
    wire.socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      data: undefined,
      socket: {
        data: (_socket, chunk) => wire.onData(chunk),
        end: () => wire.onClose(),
        close: () => wire.onClose(),
        error: () => wire.onClose(),
      },
    });
    return wire;
  }

  private onData(chunk: Uint8Array): void {
    for (const packet of this.cutter.cut(chunk)) {
      const hex = toHex(packet);
      if (hex === PINGRESP && this.fences > 0) this.fences--;
      else {
        this.events.push(hex);
        this.packetCount++;
      }
      if (packet[0] === 0x20 && packet[3] === 0) this.isConnected = true;
    }
    this.wake();
  }

  private onClose(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.cutter.leftover.length > 0) this.events.push(`cut short: ${toHex(this.cutter.leftover)}`);
    if (!this.isDropped) this.events.push('closed');
    this.wake();
  }

  private wake(): void {
    for (const waker of this.wakers.splice(0)) waker();
  }

  /** False where `condition` did not hold within the limit. */
  private async until(condition: () => boolean, limitMs: number): Promise<boolean> {
    const deadline = performance.now() + limitMs;
    while (!condition()) {
      const left = deadline - performance.now();
      if (left <= 0) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wakers.push(resolve);
      const timer = setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
    }
    return true;
  }

  beginStep(): void {
    this.mark = this.packetCount;
    this.events.push(STEP);
  }

  send(bytes: Uint8Array): void {
    if (!this.isClosed) this.socket!.write(bytes);
  }

  /** A round trip, of which nothing is kept. */
  async ping(limitMs: number): Promise<void> {
    if (this.isClosed) return;
    this.fences++;
    this.send(Uint8Array.of(0xc0, 0));
    if (await this.until(() => this.fences === 0 || this.isClosed, limitMs)) return;
    this.fences = 0;
    this.events.push(Missing.pingresp);
  }

  /** Waits for a number of packets more than `from`. */
  async packets(count: number, from: number, limitMs: number): Promise<void> {
    if (await this.until(() => this.packetCount >= from + count || this.isClosed, limitMs)) return;
    this.events.push(Missing.packet);
  }

  async close(limitMs: number): Promise<void> {
    if (await this.until(() => this.isClosed, limitMs)) return;
    this.events.push(Missing.close);
  }

  /** Closes from this side. */
  drop(): void {
    this.isDropped = true;
    this.socket?.end();
    this.onClose();
  }
}
