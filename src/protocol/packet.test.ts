import { describe, expect, test } from 'bun:test';
import type { Fixture } from '../../test/support/codec/fixture.ts';
import { fixtures } from '../../test/support/codec/fixtures.ts';
import { concatBytes, fromHex, toHex } from '../../test/support/codec/hex.ts';
import { Random, seedFrom } from '../../test/support/codec/random.ts';
import { RecordingFramer } from '../../test/support/codec/recording-framer.ts';
import { ByteWriter } from './byte-writer.ts';
import { decodePacket, encodePacket, type Packet, writePacket } from './packet.ts';
import { PacketType, packetTypeName, type ProtocolVersion } from './packet-type.ts';

/** What a connection knows before the packet: nothing before CONNECT. */
function versionBefore(fixture: Fixture): ProtocolVersion | 0 {
  return fixture.packet.type === PacketType.connect ? 0 : fixture.version;
}

/** Decodes a whole packet that stands in the middle of other bytes. */
function decodeWithin(fixture: Fixture, bytes: Uint8Array): Packet {
  let body = 2;
  while (bytes[body - 1]! >= 128) body++;
  const around = concatBytes([Uint8Array.of(0xee, 0xee, 0xee), bytes, Uint8Array.of(0xee, 0xee)]);
  const end = around.length - 2;
  return decodePacket(bytes[0]!, around, body + 3, end, versionBefore(fixture), fixture.sender);
}

describe('the codec fixtures', () => {
  test('have names of their own', () => {
    expect(new Set(fixtures.map(({ name }) => name)).size).toBe(fixtures.length);
  });

  test('hold every packet type of every version, from each side that may send it', () => {
    const kinds = new Set(fixtures.map(({ version, sender, packet }) => `${version} ${packet.type} ${sender}`));
    const clientTypes = [1, 3, 4, 5, 6, 7, 8, 10, 12, 14];
    const serverTypes = [2, 9, 11, 13];
    for (const version of [3, 4, 5]) {
      for (const type of clientTypes) expect(kinds).toContain(`${version} ${type} client`);
      for (const type of serverTypes) expect(kinds).toContain(`${version} ${type} server`);
    }
    for (const kind of ['5 3 server', '5 14 server', '5 15 client', '5 15 server']) expect(kinds).toContain(kind);
  });

  test('hold every property', () => {
    const seen = new Set<string>();
    for (const { packet } of fixtures) {
      if ('properties' in packet) for (const field of Object.keys(packet.properties ?? {})) seen.add(field);
      if (packet.type === PacketType.connect) {
        for (const field of Object.keys(packet.will?.properties ?? {})) seen.add(field);
      }
    }
    expect(seen.size).toBe(27);
  });
});

/** Runs `check` for each fixture; a failure names the fixture. */
function each(members: readonly Fixture[], check: (fixture: Fixture, bytes: Uint8Array) => void): void {
  expect(members.length).toBeGreaterThan(0);
  for (const fixture of members) {
    try {
      check(fixture, fromHex(fixture.hex));
    } catch (cause) {
      throw new Error(`${fixture.name}: ${toHex(fromHex(fixture.hex))}`, { cause });
    }
  }
}

for (const [type, members] of Map.groupBy(fixtures, ({ packet }) => packet.type)) {
  describe(`${packetTypeName(type)}, ${members.length} fixtures`, () => {
    test('decode', () => {
      each(members, (fixture, bytes) => expect(decodeWithin(fixture, bytes)).toStrictEqual(fixture.packet));
    });

    test('encode', () => {
      each(members, (fixture) => {
        const written = encodePacket(fixture.packet, fixture.version);
        const expected = fromHex(fixture.canonical ?? fixture.hex);
        expect(toHex(written)).toBe(toHex(expected));
        expect(Bun.deepEquals(written, expected)).toBe(true);
      });
    });

    test('come back from a round trip', () => {
      each(members, (fixture) => {
        const written = encodePacket(fixture.packet, fixture.version);
        expect(decodeWithin(fixture, written)).toEqual(fixture.packet);
      });
    });

    test('are framed one byte at a time', () => {
      each(members, (fixture, bytes) => {
        const framer = new RecordingFramer(versionBefore(fixture), fixture.sender);
        framer.pushSlowly(bytes);
        expect(framer.error).toBeNull();
        expect(framer.packets).toEqual([fixture.packet]);
      });
    });
  });
}

// A property length that was set near the end of the buffer made it grow and lose the properties behind it.
test('packets are written the same wherever the memory of the writer ends', () => {
  const small = fixtures.filter(({ hex }) => fromHex(hex).length <= 90);
  for (const fixture of small) {
    const expected = encodePacket(fixture.packet, fixture.version);
    for (let size = 0; size <= expected.length + 9; size++) {
      const writer = new ByteWriter(size);
      writePacket(writer, fixture.packet, fixture.version);
      expect(toHex(writer.packet()), `${fixture.name}, ${size}`).toBe(toHex(expected));
    }
  }
});

describe('a stream of all packets of one version and side', () => {
  const seed = seedFrom('MARTLET_FUZZ_SEED');
  const streams = Map.groupBy(fixtures, ({ version, sender, packet }) =>
    packet.type === PacketType.connect ? 'none' : `${version} from a ${sender}`,
  );
  streams.delete('none');

  for (const [name, members] of streams) {
    const bytes = concatBytes(members.map(({ hex }) => fromHex(hex)));
    const packets = members.map(({ packet }) => packet);
    const { version, sender } = members[0]!;

    test(`is framed from one chunk: MQTT ${name}`, () => {
      const framer = new RecordingFramer(version, sender);
      framer.push(bytes, 0, bytes.length);
      expect(framer.error).toBeNull();
      expect(Bun.deepEquals(framer.packets, packets, true)).toBe(true);
    });

    test(`is framed from random splits: MQTT ${name}`, () => {
      const random = new Random(seed);
      for (let round = 0; round < 5; round++) {
        const framer = new RecordingFramer(version, sender);
        const ends: number[] = [];
        for (let at = 0; at < bytes.length;) {
          at += 1 + random.below(random.pick([3, 40, 3_000, 100_000]));
          if (at < bytes.length) ends.push(at);
        }
        framer.pushPieces(bytes, ends);
        expect(framer.error, `MARTLET_FUZZ_SEED=${seed}`).toBeNull();
        expect(Bun.deepEquals(framer.packets, packets, true), `MARTLET_FUZZ_SEED=${seed}`).toBe(true);
      }
    });
  }
});
