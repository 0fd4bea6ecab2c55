/**
 * Codec on the road of a PUBLISH, without sockets: what one packet costs in the framer, in `PublishView` and in the
 * encoders. Prints nanoseconds per packet, the median and best of several rounds.
 *
 *   bun bench/micro/codec.ts            as text
 *   bun bench/micro/codec.ts --json     one JSON line per case
 */
import { writeShortAck } from '../../src/protocol/ack.ts';
import { ByteWriter } from '../../src/protocol/byte-writer.ts';
import { PacketFramer } from '../../src/protocol/packet-framer.ts';
import { ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { decodePacket, encodePacket, writePacket } from '../../src/protocol/packet.ts';
import type { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { type PublishPacket, PublishView, writePublishStart } from '../../src/protocol/publish.ts';

const ROUNDS = 9;
const ROUND_MS = 120;

interface Case {
  readonly name: string;
  /** Packets that one call of `run` handles. */
  readonly packets: number;
  /** Gives a number that depends on the work, so that none of it can be left out. */
  readonly run: () => number;
}

function publish(version: ProtocolVersion, fields: Partial<PublishPacket> = {}): Uint8Array {
  const packet: PublishPacket = {
    type: 3,
    dup: false,
    qos: 0,
    retain: false,
    topicName: 'bench/topic/1',
    packetId: 0,
    properties: null,
    payload: new Uint8Array(64).fill(120),
    ...fields,
  };
  return encodePacket(packet, version);
}

function repeat(packet: Uint8Array, bytes: number): { chunk: Uint8Array; packets: number } {
  const packets = Math.floor(bytes / packet.length);
  const chunk = new Uint8Array(packets * packet.length);
  for (let i = 0; i < packets; i++) chunk.set(packet, i * packet.length);
  return { chunk, packets };
}

/** A connection that counts the bytes of the bodies, or decodes each PUBLISH. */
class BenchFramer extends PacketFramer {
  sum = 0;
  view: PublishView | null;

  constructor(version: ProtocolVersion, view: PublishView | null) {
    super();
    this.protocolVersion = version;
    this.view = view;
  }

  protected override handlePacket(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const { view } = this;
    if (view === null) this.sum += end - start + firstByte;
    else {
      view.decode(firstByte, bytes, start, end, this.protocolVersion);
      this.sum += view.payloadEnd - view.payloadStart;
    }
  }

  protected override maximumPacketLength(): number {
    return 268_435_460;
  }

  protected override handleFramingError(error: ProtocolError): void {
    throw error;
  }
}

function framing(name: string, packet: Uint8Array, version: ProtocolVersion, decodes: boolean, piece = 65_536): Case {
  const { chunk, packets } = repeat(packet, 65_536);
  const framer = new BenchFramer(version, decodes ? new PublishView() : null);
  return {
    name,
    packets,
    run: () => {
      for (let at = 0; at < chunk.length; at += piece) framer.push(chunk, at, Math.min(at + piece, chunk.length));
      return framer.sum;
    },
  };
}

function viewing(name: string, packet: Uint8Array, version: ProtocolVersion): Case {
  const view = new PublishView();
  const start = packet[1]! < 128 ? 2 : 3;
  return {
    name,
    packets: 1_000,
    run: () => {
      let sum = 0;
      for (let i = 0; i < 1_000; i++) {
        view.decode(packet[0]!, packet, start, packet.length, version);
        sum += view.payloadEnd + view.packetId + view.forwardedEnd;
      }
      return sum;
    },
  };
}

const { v311, v5 } = ProtocolVersion;

function cases(): Case[] {
  const plain = publish(v311);
  const plain5 = publish(v5);
  const userProperties: [string, string][] = [
    ['trace', '4bf92f3577b34da6'],
    ['tenant', 'a'],
  ];
  const rich = publish(v5, { properties: { contentType: 'application/json', userProperties } });
  const aliased = publish(v5, { topicName: '', properties: { topicAlias: 3, messageExpiryInterval: 60 } });
  const acks = new Uint8Array(4_000);
  const topic = new TextEncoder().encode('bench/topic/1');
  const frame = new Uint8Array(128);
  const writer = new ByteWriter();
  return [
    framing('framer, 64 KiB chunk of 64 B QoS 0 publishes, v3.1.1', plain, v311, false),
    framing('framer and PublishView, same chunk, v3.1.1', plain, v311, true),
    framing('framer and PublishView, same chunk, v5', plain5, v5, true),
    framing('framer and PublishView, in pieces of 1,460 bytes, v3.1.1', plain, v311, true, 1_460),
    framing('framer and PublishView, in pieces of 40 bytes, v3.1.1', plain, v311, true, 40),
    viewing('PublishView, QoS 0, v3.1.1', plain, v311),
    viewing('PublishView, QoS 1, v5 without properties', publish(v5, { qos: 1, packetId: 7 }), v5),
    viewing('PublishView, v5, content type and two user properties', rich, v5),
    viewing('PublishView, v5, topic alias and expiry, cut out', aliased, v5),
    {
      name: 'decodePacket, PUBLISH v5 without properties',
      packets: 1_000,
      run: () => {
        let sum = 0;
        for (let i = 0; i < 1_000; i++) {
          const packet = decodePacket(plain5[0]!, plain5, 2, plain5.length, v5, 'server');
          sum += packet.type;
        }
        return sum;
      },
    },
    {
      name: 'writeShortAck',
      packets: 1_000,
      run: () => {
        let at = 0;
        for (let i = 1; i <= 1_000; i++) at = writeShortAck(acks, at, 0x40, i);
        return at + acks[3_999]!;
      },
    },
    {
      name: 'writePacket, PUBACK v5 with reason code',
      packets: 1_000,
      run: () => {
        const ack = { type: 4, packetId: 1, reasonCode: 0x10, properties: null } as const;
        for (let i = 0; i < 1_000; i++) writePacket(writer, ack, v5);
        return writer.offset;
      },
    },
    {
      name: 'writePublishStart, QoS 1',
      packets: 1_000,
      run: () => {
        let sum = 0;
        for (let i = 1; i <= 1_000; i++) sum += writePublishStart(frame, 0, 0x32, topic, i, 64);
        return sum + frame[2]!;
      },
    },
  ];
}

/** Kept outside, so that the compiler can't see that nothing reads it. */
let consumed = 0;

function measure(one: Case): { median: number; best: number } {
  const rates: number[] = [];
  for (let round = -2; round < ROUNDS; round++) {
    let calls = 0;
    const start = Bun.nanoseconds();
    let elapsed = 0;
    while (elapsed < ROUND_MS * 1e6) {
      for (let i = 0; i < 16; i++) consumed += one.run();
      calls += 16;
      elapsed = Bun.nanoseconds() - start;
    }
    // The first rounds are for the compiler.
    if (round >= 0) rates.push(elapsed / (calls * one.packets));
  }
  rates.sort((a, b) => a - b);
  return { median: rates[Math.floor(rates.length / 2)]!, best: rates[0]! };
}

const asJson = process.argv.includes('--json');
for (const one of cases()) {
  const { median, best } = measure(one);
  const figures = { median: Number(median.toFixed(2)), best: Number(best.toFixed(2)) };
  if (asJson) console.log(JSON.stringify({ bench: 'codec', case: one.name, nsPerPacket: figures, bun: Bun.version }));
  else console.log(`${figures.median.toFixed(1).padStart(8)} ns  (best ${figures.best.toFixed(1)})  ${one.name}`);
}
if (consumed === 0) throw new Error('nothing was measured');
