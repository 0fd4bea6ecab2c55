/**
 * Broken packets by the ten thousand, from a seed that is printed; MARTLET_FUZZ_SEED repeats a run and
 * MARTLET_FUZZ_COUNT changes its length. Nothing but packets and ProtocolErrors may come out.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { heapStats } from 'bun:jsc';
import type { Sender } from '../../src/protocol/disconnect.ts';
import { PacketType, type ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { PublishView } from '../../src/protocol/publish.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { isValidTopicNameBytes } from '../../src/protocol/topic.ts';
import { isValidUtf8 } from '../../src/protocol/utf8.ts';
import { concatBytes, toHex } from '../support/codec/hex.ts';
import { type MutatedPacket, mutatedPackets } from '../support/codec/mutations.ts';
import { provenMutations } from '../support/codec/proven-mutations.ts';
import { Random, seedFrom } from '../support/codec/random.ts';
import { RecordingFramer } from '../support/codec/recording-framer.ts';

const seed = seedFrom('MARTLET_FUZZ_SEED');
const count = Number(process.env['MARTLET_FUZZ_COUNT'] ?? 60_000);

const stackTraceLimit = Error.stackTraceLimit;

beforeAll(() => {
  console.log(`MARTLET_FUZZ_SEED=${seed}`);
  // Half a million errors are made here and none is shown: their stacks would take most of the time.
  Error.stackTraceLimit = 0;
});

afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

/** What the decoder may answer; all else comes from a session. */
const answers = new Set<number>([
  ReasonCode.malformedPacket,
  ReasonCode.protocolError,
  ReasonCode.unsupportedProtocolVersion,
  ReasonCode.topicAliasInvalid,
  ReasonCode.payloadFormatInvalid,
]);

/** Nothing is known before CONNECT. */
function versionBefore(bytes: Uint8Array, version: ProtocolVersion): ProtocolVersion | 0 {
  return bytes[0]! >> 4 === PacketType.connect ? 0 : version;
}

function failure(what: string, bytes: Uint8Array, version: number, cause?: unknown): Error {
  Error.stackTraceLimit = stackTraceLimit;
  return new Error(`${what}: MQTT ${version}, MARTLET_FUZZ_SEED=${seed}, bytes ${toHex(bytes, 2_000)}`, { cause });
}

/** Frames and decodes; the pieces end at `ends`. */
function run(bytes: Uint8Array, version: ProtocolVersion, sender: Sender, ends: readonly number[]): RecordingFramer {
  const framer = new RecordingFramer(versionBefore(bytes, version), sender);
  try {
    framer.pushPieces(bytes, ends);
  } catch (cause) {
    throw failure(`neither a packet nor a ProtocolError from a ${sender}`, bytes, version, cause);
  }
  const { error } = framer;
  if (error !== null && !answers.has(error.reasonCode)) {
    throw failure(`reason code 0x${error.reasonCode.toString(16)}`, bytes, version, error);
  }
  if (framer.errors > 1) throw failure('more than one error', bytes, version);
  return framer;
}

function codeOf(framer: RecordingFramer): number {
  return framer.error === null ? 0 : framer.error.reasonCode;
}

/** An accepted packet is one that we could have sent: it survives a round trip. */
function checkRoundTrip(packet: Packet, version: ProtocolVersion, sender: Sender, bytes: Uint8Array): void {
  const own = packet.type === PacketType.connect ? packet.protocolVersion : version;
  const again = run(encodePacket(packet, own), own, sender, []);
  if (!Bun.deepEquals(again.packets, [packet], true)) throw failure('lost in a round trip', bytes, version);
}

const view = new PublishView();

/** Offset of the body of the first packet, or -1 where it is not whole. */
function wholeBody(bytes: Uint8Array): { start: number; end: number } | null {
  let length = 0;
  for (let i = 1; i < Math.min(5, bytes.length); i++) {
    length += (bytes[i]! & 127) * 128 ** (i - 1);
    if (bytes[i]! < 128) return i + 1 + length <= bytes.length ? { start: i + 1, end: i + 1 + length } : null;
  }
  return null;
}

/** The broker's own way to read a PUBLISH refuses what decodePacket refuses, apart from the topic name. */
function checkView(bytes: Uint8Array, version: ProtocolVersion, decoded: RecordingFramer): void {
  const body = wholeBody(bytes);
  const isPadded = decoded.error?.clause === 'v5 [MQTT-1.5.5-1]' && decoded.error.message.startsWith('remaining');
  if (body === null || isPadded || bytes[0]! >> 4 !== PacketType.publish) return;
  let code = 0;
  try {
    view.decode(bytes[0]!, bytes, body.start, body.end, version);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw failure('PublishView', bytes, version, error);
    code = error.reasonCode;
  }
  const packet = decoded.packets[0];
  if (packet?.type === PacketType.publish) {
    const payloadLength = view.payloadEnd - view.payloadStart;
    if (code !== 0 || payloadLength !== packet.payload.length || view.packetId !== packet.packetId) {
      throw failure('PublishView sees another packet', bytes, version);
    }
    return;
  }
  if (code === decoded.error?.reasonCode) return;
  const { topicStart, topicEnd } = view;
  const isGoodTopic = isValidTopicNameBytes(bytes, topicStart, topicEnd) && isValidUtf8(bytes, topicStart, topicEnd);
  if (code !== 0 || isGoodTopic) {
    throw failure(`PublishView answers 0x${code.toString(16)}`, bytes, version, decoded.error);
  }
}

describe('packets broken on purpose', () => {
  test('get the reason code that the broken rule names, whole and byte by byte', () => {
    let checked = 0;
    for (const { bytes, version, sender, what, reasonCode } of provenMutations()) {
      const whole = run(bytes, version, sender, []);
      const slow = run(
        bytes,
        version,
        sender,
        Array.from({ length: bytes.length }, (_, index) => index + 1),
      );
      for (const framer of [whole, slow]) {
        const isRight = codeOf(framer) === reasonCode && framer.packets.length === (reasonCode === 0 ? 1 : 0);
        if (!isRight) throw failure(`${what}: 0x${codeOf(framer).toString(16)}`, bytes, version, framer.error);
      }
      if (sender === 'server') checkView(bytes, version, whole);
      if (reasonCode !== 0) {
        // What a packet lacks must not be taken from what follows it in the chunk.
        const followed = run(concatBytes([bytes, new Uint8Array(16)]), version, sender, []);
        if (codeOf(followed) !== reasonCode)
          throw failure(`${what}, and zeros behind it`, bytes, version, followed.error);
      }
      if (reasonCode === 0) checkRoundTrip(whole.packets[0]!, version, sender, bytes);
      checked++;
    }
    expect(checked).toBeGreaterThan(10_000);
  }, 30_000);
});

describe('packets broken at random', () => {
  function heapBytes(): number {
    Bun.gc(true);
    const { heapSize, extraMemorySize } = heapStats();
    return heapSize + extraMemorySize;
  }

  function check({ bytes, version }: MutatedPacket, random: Random): boolean {
    const fromClient = run(bytes, version, 'client', []);
    const fromServer = run(bytes, version, 'server', []);
    const cut = random.below(bytes.length + 1);
    const split = run(bytes, version, 'client', [cut, cut + random.below(bytes.length - cut + 1)]);
    if (codeOf(split) !== codeOf(fromClient) || split.packets.length !== fromClient.packets.length) {
      throw failure(`split at ${cut} it is another`, bytes, version, split.error);
    }
    checkView(bytes, version, fromServer);
    if (random.below(4) === 0) {
      for (const packet of fromClient.packets.slice(0, 2)) checkRoundTrip(packet, version, 'client', bytes);
      for (const packet of fromServer.packets.slice(0, 2)) checkRoundTrip(packet, version, 'server', bytes);
    }
    return fromClient.packets.length + fromServer.packets.length > 0;
  }

  test('give packets or a ProtocolError, however they are split, and leave no memory behind', () => {
    const random = new Random(seed ^ 0x5bd1e995);
    let checked = 0;
    let accepted = 0;
    let before = 0;
    for (const packet of mutatedPackets(seed, count)) {
      if (check(packet, random)) accepted++;
      // By now every path has been compiled and every table built.
      if (++checked === Math.floor(count / 5)) before = heapBytes();
    }
    const grown = heapBytes() - before;
    expect(checked).toBe(count);
    expect(accepted, 'some must get through, most must not').toBeGreaterThan(count / 20);
    expect(accepted).toBeLessThan(count / 2);
    expect(grown, 'bytes of heap more than after a fifth of the packets').toBeLessThan(4_000_000);
  }, 60_000);

  test('give the same in one stream, however it is split', () => {
    const random = new Random(seed ^ 0x27d4eb2f);
    let stream: MutatedPacket[] = [];
    let streams = 0;
    for (const packet of mutatedPackets(seed ^ 0x165667b1, 12_000)) {
      // A stream is of one version, and CONNECT would change it.
      if (stream.length > 0 && stream[0]!.version !== packet.version) continue;
      if (packet.bytes[0]! >> 4 === PacketType.connect) continue;
      stream.push(packet);
      if (stream.length < 4) continue;
      const { version } = packet;
      const bytes = concatBytes(stream.map((one) => one.bytes));
      const ends = Array.from({ length: random.below(8) }, () => random.below(bytes.length)).sort((a, b) => a - b);
      for (const sender of ['client', 'server'] as const) {
        const whole = run(bytes, version, sender, []);
        const split = run(bytes, version, sender, ends);
        if (codeOf(whole) !== codeOf(split) || !Bun.deepEquals(whole.packets, split.packets, true)) {
          throw failure(`split at ${ends.join(', ')} it is another`, bytes, version, split.error);
        }
      }
      stream = [];
      streams++;
    }
    expect(streams).toBeGreaterThan(500);
  }, 30_000);
});

describe('mutatedPackets', () => {
  test('gives the same packets for the same seed, and others for another', () => {
    const some = (from: number) => [...mutatedPackets(from, 300)];
    expect(some(seed)).toEqual(some(seed));
    expect(some(seed)).not.toEqual(some(seed + 1));
    expect(new Set(some(seed).map(({ bytes }) => bytes.toHex())).size).toBeGreaterThan(200);
  });

  test('breaks every packet type of every version', () => {
    const seen = new Set<string>();
    for (const { bytes, version } of mutatedPackets(seed, 20_000)) seen.add(`${version} ${bytes[0]! >> 4}`);
    for (const version of [3, 4, 5]) {
      for (let type = 1; type < 15; type++) expect(seen).toContain(`${version} ${type}`);
    }
    expect(seen).toContain('5 15');
  });
});
