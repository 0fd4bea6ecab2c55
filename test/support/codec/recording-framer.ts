import type { Sender } from '../../../src/protocol/disconnect.ts';
import { PacketFramer } from '../../../src/protocol/packet-framer.ts';
import { MAX_REMAINING_LENGTH, PacketType, type ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import { decodePacket, type Packet } from '../../../src/protocol/packet.ts';
import type { ProtocolError } from '../../../src/protocol/protocol-error.ts';

/** Frames and decodes like a connection does, and keeps what came out. CONNECT sets the version. */
export class RecordingFramer extends PacketFramer {
  readonly packets: Packet[] = [];
  error: ProtocolError | null = null;
  errors = 0;
  limit = MAX_REMAINING_LENGTH + 5;
  private readonly sender: Sender;

  constructor(version: ProtocolVersion | 0, sender: Sender) {
    super();
    this.protocolVersion = version;
    this.sender = sender;
  }

  protected override handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const packet = decodePacket(firstByte, bytes, start, end, this.protocolVersion, this.sender);
    if (packet.type === PacketType.connect) this.protocolVersion = packet.protocolVersion;
    this.packets.push(packet);
  }

  protected override maximumPacketLength(): number {
    return this.limit;
  }

  protected override handleFramingError(error: ProtocolError): void {
    this.error = error;
    this.errors++;
  }

  /** Pushes pieces that end at `ends`, each in memory of its own that is overwritten afterwards. */
  pushPieces(bytes: Uint8Array, ends: Iterable<number>): void {
    let start = 0;
    for (const end of ends) {
      const piece = bytes.slice(start, end);
      this.push(piece, 0, piece.length);
      piece.fill(0xee);
      start = end;
    }
    if (start < bytes.length) this.push(bytes.slice(start), 0, bytes.length - start);
  }

  /** One byte a push; beyond 70,000 bytes the middle comes in pieces of 1,000. */
  pushSlowly(bytes: Uint8Array): void {
    this.pushPieces(bytes, slowEnds(bytes.length));
  }

  stop(): void {
    this.framingStopped = true;
  }
}

function* slowEnds(length: number): Iterable<number> {
  const isLong = length > 70_000;
  for (let end = 1; end <= length;) {
    yield end;
    end += isLong && end >= 100 && end < length - 2_000 ? 1_000 : 1;
  }
}
