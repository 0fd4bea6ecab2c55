import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { publish } from '../../test/support/codec/arbitraries.ts';
import { allVersions } from '../../test/support/codec/fixture.ts';
import { fromHex, u16 } from '../../test/support/codec/hex.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { encodePacket } from './packet.ts';
import { PacketType, ProtocolVersion } from './packet-type.ts';
import { encodeProperties, type Properties } from './properties.ts';
import { ProtocolError } from './protocol-error.ts';
import { decodePublish, publishFirstByte, publishFrameLength, PublishView, writePublishStart } from './publish.ts';
import { encodeUtf8 } from './utf8.ts';

const { v311, v5 } = ProtocolVersion;

function view(firstByte: number, body: string, version: ProtocolVersion = v5): PublishView {
  const bytes = fromHex(body);
  const result = new PublishView();
  result.decode(firstByte, bytes, 0, bytes.length, version);
  return result;
}

function forwarded(result: PublishView): string {
  return result.forwarded.subarray(result.forwardedStart, result.forwardedEnd).toHex();
}

/** The raw bytes of properties, without their length. */
function rawProperties(properties: Properties): Uint8Array {
  const writer = new ByteWriter();
  encodeProperties(writer, properties, PacketType.publish);
  const reader = new ByteReader(writer.bytes, 0, writer.offset);
  const length = reader.varint();
  return writer.bytes.slice(reader.offset, reader.offset + length);
}

describe('PublishView', () => {
  test('tells where topic and payload lie in the chunk', () => {
    const bytes = fromHex('ee 3b 0a 0003 "a/b" 0102 00 "xy" ee');
    const result = new PublishView();
    result.decode(bytes[1]!, bytes, 3, 13, v5);
    expect(bytes.subarray(result.topicStart, result.topicEnd)).toEqual(encodeUtf8('a/b'));
    expect(bytes.subarray(result.payloadStart, result.payloadEnd)).toEqual(encodeUtf8('xy'));
    expect([result.dup, result.qos, result.retain, result.packetId]).toEqual([true, 1, true, 0x0102]);
    expect(forwarded(result)).toBe('');
  });

  test('v5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20] keeps what a server hands on as it came', () => {
    const properties = '0101 03 0002 "ct" 08 0001 "r" 09 0002 00ff 26 0001 "b" 0001 "1" 26 0001 "a" 0001 "2"';
    const result = view(0x30, `0001 "a" 1e ${properties} "x"`);
    expect(forwarded(result)).toBe(fromHex(properties).toHex());
    expect(result.payloadFormatIndicator).toBe(1);
    expect(result.topicAlias).toBe(-1);
    expect(result.messageExpiryInterval).toBe(-1);
    expect(result.payloadEnd - result.payloadStart).toBe(1);
  });

  test('v5 [MQTT-3.3.2-18] keeps user properties in order when others are cut out between them', () => {
    const result = view(
      0x30,
      `0001 "a" 24 26 0001 "k" 0001 "3" 23 0007 26 0001 "j" 0001 "2" 02 0000000a 26 0001 "k" 0001 "1" 0b ff7f
       03 0001 "c" "x"`,
    );
    expect(forwarded(result)).toBe(
      fromHex('26 0001 "k" 0001 "3" 26 0001 "j" 0001 "2" 26 0001 "k" 0001 "1" 03 0001 "c"').toHex(),
    );
    expect(result.topicAlias).toBe(7);
    expect(result.messageExpiryInterval).toBe(10);
    expect(result.hasSubscriptionIdentifier).toBe(true);
  });

  test('reads nothing past the end, whatever stands there', () => {
    const bytes = fromHex('0003 "a/b" 0102 0a 23 0007 02 0000000a 01 01 00 00 00');
    const one = new PublishView();
    for (let end = 0; end < 18; end++) {
      expect(() => one.decode(0x32, bytes, 0, end, v5), String(end)).toThrow(ProtocolError);
    }
    one.decode(0x32, bytes, 0, 18, v5);
    expect(one.payloadStart).toBe(one.payloadEnd);
    const plain = fromHex('0001 "a" 00');
    expect(() => one.decode(0x30, plain, 0, 3, v5)).toThrow(ProtocolError);
  });

  test('keeps nothing where all is cut out', () => {
    const result = view(0x30, '0001 "a" 08 23 ffff 02 ffffffff');
    expect(forwarded(result)).toBe('');
    expect(result.topicAlias).toBe(65_535);
    expect(result.messageExpiryInterval).toBe(0xffff_ffff);
    expect(result.payloadStart).toBe(result.payloadEnd);
  });

  const everyField = '0001 "a" 0009 10 23 0007 02 0000000a 01 01 0b 01 03 0001 "c" "x"';

  test('knows nothing of the packet before, even of one that was refused', () => {
    const used = view(0x35, everyField);
    const bad = fromHex('0001 "a" 02 0b00 "x"');
    expect(() => used.decode(0x30, bad, 0, bad.length, v5)).toThrow(ProtocolError);
    for (const [body, version] of [
      ['0001 "b" 00 "y"', v5],
      ['0001 "b" "y"', v311],
    ] as const) {
      const bytes = fromHex(body);
      used.decode(0x30, bytes, 0, bytes.length, version);
      const fresh = view(0x30, body, version);
      expect({ ...used, reader: null, cut: null }).toEqual({ ...fresh, reader: null, cut: null });
    }
  });

  test('has one shape from its first packet on', () => {
    expect(Object.keys(view(0x32, everyField))).toEqual(Object.keys(new PublishView()));
  });

  test('sees in any packet what decodePublish sees', () => {
    for (const version of allVersions) {
      const one = new PublishView();
      fc.assert(
        fc.property(publish(version, 'server'), (packet) => {
          const bytes = encodePacket(packet, version);
          let start = 1;
          while (bytes[start++]! >= 128);
          one.decode(bytes[0]!, bytes, start, bytes.length, version);
          const { properties } = packet;
          expect(bytes.subarray(one.topicStart, one.topicEnd)).toEqual(encodeUtf8(packet.topicName));
          expect(bytes.slice(one.payloadStart, one.payloadEnd).toHex()).toBe(packet.payload.toHex());
          expect([one.dup, one.qos, one.retain, one.packetId]).toEqual([
            packet.dup,
            packet.qos,
            packet.retain,
            packet.packetId,
          ]);
          expect(one.topicAlias).toBe(properties?.topicAlias ?? -1);
          expect(one.messageExpiryInterval).toBe(properties?.messageExpiryInterval ?? -1);
          expect(one.payloadFormatIndicator).toBe(properties?.payloadFormatIndicator ?? 0);
          expect(one.hasSubscriptionIdentifier).toBe(properties?.subscriptionIdentifiers !== undefined);
          const { topicAlias, messageExpiryInterval, subscriptionIdentifiers, ...rest } = properties ?? {};
          expect(forwarded(one)).toBe(rawProperties(rest).toHex());
        }),
        { numRuns: 300 },
      );
    }
  });
});

describe('frames written in parts', () => {
  test('are those that encodePublish writes, and as long as was said', () => {
    for (const version of allVersions) {
      fc.assert(
        fc.property(publish(version, 'server'), (packet) => {
          const expected = encodePacket(packet, version);
          const topic = encodeUtf8(packet.topicName);
          const section = new ByteWriter();
          if (version === v5) encodeProperties(section, packet.properties, PacketType.publish);
          const properties = section.bytes.subarray(0, section.offset);
          const propertiesLength = version === v5 ? rawProperties(packet.properties ?? {}).length : -1;
          const length = publishFrameLength(topic.length, packet.qos, propertiesLength, packet.payload.length);
          expect(length).toBe(expected.length);
          const out = new Uint8Array(length + 2).fill(0xee);
          const firstByte = publishFirstByte(packet.qos, packet.retain, packet.dup);
          const rest = properties.length + packet.payload.length;
          let at = writePublishStart(out, 1, firstByte, topic, packet.packetId, rest);
          out.set(properties, at);
          at += properties.length;
          out.set(packet.payload, at);
          at += packet.payload.length;
          expect(at).toBe(length + 1);
          expect(out.subarray(1, at).toHex()).toBe(expected.toHex());
          expect([out[0], out[at]]).toEqual([0xee, 0xee]);
        }),
        { numRuns: 200 },
      );
    }
  });

  test('hold topics on both sides of 64 bytes, where they are copied in another way', () => {
    for (const length of [0, 1, 63, 64, 65, 300]) {
      const topic = encodeUtf8('t'.repeat(length));
      const out = new Uint8Array(publishFrameLength(length, 2, 0, 0));
      const end = writePublishStart(out, 0, 0x34, topic, 0xabcd, 1);
      expect(end).toBe(out.length - 1);
      expect(out.subarray(end - 2, end).toHex()).toBe('abcd');
      expect(out.subarray(end - 2 - length, end - 2).toHex()).toBe(topic.toHex());
      expect(out.subarray(end - 4 - length, end - 2 - length).toHex()).toBe(u16(length).toHex());
    }
  });

  test('are as long as their Remaining Length makes them', () => {
    for (const [payload, expected] of [
      [127 - 3, 129],
      [128 - 3, 131],
      [16_383 - 3, 16_386],
      [16_384 - 3, 16_388],
      [2_097_151 - 3, 2_097_155],
      [2_097_152 - 3, 2_097_157],
    ] as const) {
      expect(publishFrameLength(1, 0, -1, payload)).toBe(expected);
      expect(publishFrameLength(1, 1, 0, payload - 3)).toBe(expected);
    }
  });
});

test('decodePublish owns its memory', () => {
  const bytes = fromHex('30 0c 0001 "a" 05 09 0002 0102 "xyz"');
  const packet = decodePublish(0x30, bytes, 2, bytes.length, v5);
  bytes.fill(0);
  expect(packet.payload).toEqual(encodeUtf8('xyz'));
  expect(packet.payload.buffer.byteLength).toBe(3);
  expect(packet.properties?.correlationData).toEqual(Uint8Array.of(1, 2));
  expect(packet.topicName).toBe('a');
});
