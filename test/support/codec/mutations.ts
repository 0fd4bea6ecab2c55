import { ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import { fixtures } from './fixtures.ts';
import { concatBytes, frame, fromHex } from './hex.ts';
import { layoutBytes, layouts } from './layouts.ts';
import { provenMutations } from './proven-mutations.ts';
import { Random } from './random.ts';

export interface MutatedPacket {
  readonly bytes: Uint8Array;
  /** Of the connection it is meant for. */
  readonly version: ProtocolVersion;
}

/** Bytes that sit at borders: of lengths, continuation bits, flags, UTF-8. */
const borderBytes = [0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xc0, 0xc2, 0xed, 0xef, 0xf0, 0xf4, 0xfe, 0xff];

/** Longer packets say nothing new and take their time. */
const LONGEST = 600;

function cleanPackets(): MutatedPacket[] {
  const packets = layouts.map((layout) => ({ bytes: layoutBytes(layout), version: layout.version }));
  for (const { hex, version } of fixtures) {
    const bytes = fromHex(hex);
    if (bytes.length <= LONGEST) packets.push({ bytes, version });
  }
  return packets;
}

/** Offset of the body of a whole packet. */
function bodyStart(bytes: Uint8Array): number {
  let at = 1;
  while (at < 4 && bytes[at]! >= 128) at++;
  return at + 1;
}

function changeByte(bytes: Uint8Array, random: Random): Uint8Array {
  const changed = bytes.slice();
  const at = random.below(bytes.length);
  const way = random.below(4);
  if (way === 0) changed[at] = random.pick(borderBytes);
  else if (way === 1) changed[at] = random.below(256);
  else if (way === 2) changed[at]! ^= 1 << random.below(8);
  else changed[at]! += random.below(2) === 0 ? 1 : -1;
  return changed;
}

function splice(bytes: Uint8Array, from: number, removed: number, inserted: Uint8Array): Uint8Array {
  return concatBytes([bytes.subarray(0, from), inserted, bytes.subarray(from + removed)]);
}

/** Changes the body and sets Remaining Length to fit: otherwise most changes end in the framer. */
function changeBody(bytes: Uint8Array, random: Random, others: readonly MutatedPacket[]): Uint8Array {
  const start = bodyStart(bytes);
  const body = bytes.subarray(Math.min(start, bytes.length));
  const at = random.below(body.length + 1);
  let changed: Uint8Array;
  switch (random.below(5)) {
    case 0:
      changed = body.subarray(0, at);
      break;
    case 1:
      changed = splice(body, at, 0, Uint8Array.of(random.pick(borderBytes)));
      break;
    case 2:
      changed = splice(body, at, 1 + random.below(4), new Uint8Array(0));
      break;
    case 3: {
      const length = random.below(Math.min(12, body.length - at) + 1);
      changed = splice(body, at, 0, body.subarray(at, at + length));
      break;
    }
    default: {
      const other = random.pick(others).bytes;
      changed = concatBytes([body.subarray(0, at), other.subarray(bodyStart(other) + random.below(other.length))]);
    }
  }
  return frame(bytes[0]!, changed.subarray(0, LONGEST));
}

function mutate(packet: MutatedPacket, random: Random, others: readonly MutatedPacket[]): MutatedPacket {
  let { bytes, version } = packet;
  const changes = 1 + random.below(random.below(3) === 0 ? 5 : 2);
  for (let i = 0; i < changes; i++) {
    const way = random.below(8);
    if (bytes.length === 0 || way >= 5) bytes = changeBody(bytes.length < 2 ? fromHex('c000') : bytes, random, others);
    else if (way < 3) bytes = changeByte(bytes, random);
    else if (way === 3)
      bytes = splice(bytes, random.below(bytes.length), random.below(3), Uint8Array.of(random.below(256)));
    else bytes = bytes.subarray(0, 1 + random.below(bytes.length));
  }
  if (random.below(12) === 0) version = random.pick([ProtocolVersion.v31, ProtocolVersion.v311, ProtocolVersion.v5]);
  return { bytes, version };
}

/**
 * `count` packets, most of them broken: two in five break one rule each at a place of its own (some are left whole), the
 * others are good packets changed at random in one to five places. The sequence follows from the seed. Most are whole
 * packets; some have a Remaining Length that does not fit, so that a stream of them needs a connection for each. The
 * version is that of the connection they are meant for; CONNECTs are among them.
 */
export function* mutatedPackets(seed: number, count: number): Iterable<MutatedPacket> {
  const random = new Random(seed);
  const clean = cleanPackets();
  const proven = [...provenMutations()];
  for (let i = 0; i < count; i++) {
    const way = random.below(10);
    if (way < 4) {
      const { bytes, version } = random.pick(proven);
      yield { bytes, version };
    } else yield mutate(way < 8 ? random.pick(clean) : random.pick(proven), random, clean);
  }
}
