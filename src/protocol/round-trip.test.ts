import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { anyPacket } from '../../test/support/codec/arbitraries.ts';
import { allVersions, versionNames } from '../../test/support/codec/fixture.ts';
import { concatBytes } from '../../test/support/codec/hex.ts';
import { RecordingFramer } from '../../test/support/codec/recording-framer.ts';
import { ByteWriter } from './byte-writer.ts';
import type { Sender } from './disconnect.ts';
import { encodePacket, type Packet, writePacket } from './packet.ts';
import { PacketType, type ProtocolVersion } from './packet-type.ts';

const sides = allVersions.flatMap((version) =>
  (['client', 'server'] as const).map((sender) => [versionNames[version], sender, version] as const),
);

/** Bytes cut at arbitrary places, some of which coincide. */
function frame(bytes: Uint8Array, version: ProtocolVersion, sender: Sender, cuts: readonly number[]): Packet[] {
  const framer = new RecordingFramer(version, sender);
  framer.pushPieces(
    bytes,
    cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b),
  );
  expect(framer.error).toBeNull();
  return framer.packets;
}

describe.each(sides)('packets of %s from a %s', (_, sender, version) => {
  const packet = anyPacket(version, sender);

  test('come back as they were', () => {
    fc.assert(
      fc.property(packet, (original) => {
        const decoded = frame(encodePacket(original, version), version, sender, []);
        expect(decoded).toStrictEqual([original]);
      }),
      { numRuns: 400 },
    );
  });

  test('are written to the same bytes after a round trip', () => {
    fc.assert(
      fc.property(packet, (original) => {
        const bytes = encodePacket(original, version);
        const [decoded] = frame(bytes, version, sender, []);
        expect(encodePacket(decoded!, version)).toEqual(bytes);
      }),
      { numRuns: 200 },
    );
  });

  test('are the same however the stream is split', () => {
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(packet, { minLength: 1, maxLength: 5 }), cuts, (packets, at) => {
        // A version changes only once in a connection: leave CONNECT to where it came first.
        const stream = packets.filter(({ type }, index) => type !== PacketType.connect || index === 0);
        const bytes = concatBytes(stream.map((one) => encodePacket(one, version)));
        expect(frame(bytes, version, sender, at)).toStrictEqual(stream);
      }),
      { numRuns: 150 },
    );
  });

  test('can be written one after the other with one writer', () => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 4 }), (packets) => {
        const writer = new ByteWriter(0);
        for (const one of packets) {
          writePacket(writer, one, version);
          expect(writer.packet()).toEqual(encodePacket(one, version));
        }
      }),
      { numRuns: 50 },
    );
  });
});
