import { PacketType, ProtocolVersion, type QoS } from '../../../src/protocol/packet-type.ts';
import type { Properties } from '../../../src/protocol/properties.ts';
import type { PublishPacket } from '../../../src/protocol/publish.ts';
import { allVersions, type Fixture, hexByte, utf8, versionNames } from './fixture.ts';

function publish(
  version: ProtocolVersion,
  name: string,
  hex: string,
  fields: Partial<PublishPacket> = {},
  sender: 'client' | 'server' = 'client',
): Fixture {
  const packet: PublishPacket = {
    type: PacketType.publish,
    dup: false,
    qos: 0,
    retain: false,
    topicName: 'a/b',
    packetId: 0,
    properties: null,
    payload: utf8('x'),
    ...fields,
  };
  return { name: `PUBLISH ${versionNames[version]} ${name}`, version, sender, hex, packet };
}

const { v311, v5 } = ProtocolVersion;

/** DUP, QoS and RETAIN in every combination that is allowed, in every version. */
function* flagFixtures(): Iterable<Fixture> {
  for (const version of allVersions) {
    for (const qos of [0, 1, 2] as const satisfies readonly QoS[]) {
      for (const dup of qos === 0 ? [false] : [false, true]) {
        for (const retain of [false, true]) {
          const firstByte = hexByte(0x30 + (dup ? 8 : 0) + 2 * qos + (retain ? 1 : 0));
          const length = 6 + (qos === 0 ? 0 : 2) + (version === v5 ? 1 : 0);
          const hex = `${firstByte} ${hexByte(length)} 0003 "a/b" ${qos === 0 ? '' : '1234 '}${version === v5 ? '00 ' : ''}"x"`;
          yield publish(version, `with first byte ${firstByte}`, hex, { dup, qos, retain, packetId: qos && 0x1234 });
        }
      }
    }
  }
}

/** Remaining Length where its encoding grows by a byte: what is left of it after the topic is payload. */
function* lengthFixtures(): Iterable<Fixture> {
  const encodings: readonly (readonly [number, string])[] = [
    [127, '7f'],
    [128, '8001'],
    [16_383, 'ff7f'],
    [16_384, '808001'],
    [2_097_151, 'ffff7f'],
    [2_097_152, '80808001'],
  ];
  for (const [length, encoded] of encodings) {
    for (const version of length > 100_000 ? [v5] : [v311, v5]) {
      const payloadLength = length - 5 - (version === v5 ? 1 : 0);
      yield publish(
        version,
        `with Remaining Length ${length}`,
        `30 ${encoded} 0003 "a/b" ${version === v5 ? '00 ' : ''}{70*${payloadLength}}`,
        { payload: new Uint8Array(payloadLength).fill(0x70) },
      );
    }
  }
}

function withProperties(
  name: string,
  hex: string,
  properties: Properties,
  fields: Partial<PublishPacket> = {},
): Fixture {
  return publish(v5, name, hex, { properties, ...fields });
}

export const publishFixtures: readonly Fixture[] = [
  ...flagFixtures(),
  ...lengthFixtures(),
  publish(v311, 'with an empty payload', '30 05 0003 "a/b"', { payload: new Uint8Array(0) }),
  publish(v5, 'with an empty payload', '30 06 0003 "a/b" 00', { payload: new Uint8Array(0) }),
  publish(v311, 'with packet identifier 1', '32 08 0003 "a/b" 0001 "x"', { qos: 1, packetId: 1 }),
  publish(v311, 'with packet identifier 65,535', '34 08 0003 "a/b" ffff "x"', { qos: 2, packetId: 65_535 }),
  publish(v311, 'to /', '30 04 0001 "/" "x"', { topicName: '/' }),
  publish(v311, 'to a topic of empty levels', '30 07 0004 "//a/" "x"', { topicName: '//a/' }),
  publish(v311, 'with a payload of every kind of byte', '30 0b 0003 "a/b" 00 01 7f 80 c0 ff', {
    payload: Uint8Array.of(0, 1, 0x7f, 0x80, 0xc0, 0xff),
  }),
  publish(v311, 'with U+FEFF and four-byte UTF-8 in the topic', '30 0c 0009 "a/" efbbbf f0aa9b94 "x"', {
    topicName: 'a/\ufeff\u{2a6d4}',
  }),
  publish(v311, 'to a topic of 65,535 bytes', '30 828004 ffff {74*65535} "x"', { topicName: 't'.repeat(65_535) }),
  publish(v5, 'to a topic of 65,535 bytes', '30 838004 ffff {74*65535} 00 "x"', { topicName: 't'.repeat(65_535) }),
  withProperties(
    'with every property a client may send',
    `32 3b 0003 "a/b" 0007 32 01 01 02 0000000a 23 0005 08 0003 "r/1" 09 0004 0001feff 26 0001 "b" 0001 "2" 26 0001 "a"
     0001 "1" 03 000a "text/plain" "x"`,
    {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 10,
      topicAlias: 5,
      responseTopic: 'r/1',
      correlationData: Uint8Array.of(0, 1, 0xfe, 0xff),
      userProperties: [
        ['b', '2'],
        ['a', '1'],
      ],
      contentType: 'text/plain',
    },
    { qos: 1, packetId: 7 },
  ),
  publish(
    v5,
    'from a server with subscription identifiers of every length, not in order',
    '30 1e 0003 "a/b" 17 0b ffffff7f 0b 01 0b 7f 0b 8001 0b ff7f 0b 808001 0b ffff7f "x"',
    {
      properties: { subscriptionIdentifiers: [268_435_455, 1, 127, 128, 16_383, 16_384, 2_097_151] },
    },
    'server',
  ),
  publish(
    v5,
    'from a server with one subscription identifier twice',
    '30 0b 0003 "a/b" 04 0b 01 0b 01 "x"',
    { properties: { subscriptionIdentifiers: [1, 1] } },
    'server',
  ),
  withProperties('with a topic alias alone', '30 07 0000 03 23 0001 "x"', { topicAlias: 1 }, { topicName: '' }),
  withProperties('with the largest topic alias', '30 0a 0003 "a/b" 03 23 ffff "x"', { topicAlias: 65_535 }),
  withProperties('with a message expiry of 0', '30 0c 0003 "a/b" 05 02 00000000 "x"', { messageExpiryInterval: 0 }),
  withProperties('with the longest message expiry', '30 0c 0003 "a/b" 05 02 ffffffff "x"', {
    messageExpiryInterval: 0xffff_ffff,
  }),
  withProperties('with a payload format indicator of 0', '30 09 0003 "a/b" 02 01 00 "x"', {
    payloadFormatIndicator: 0,
  }),
  withProperties('with empty correlation data', '30 0a 0003 "a/b" 03 09 0000 "x"', {
    correlationData: new Uint8Array(0),
  }),
  withProperties('with an empty content type', '30 0a 0003 "a/b" 03 03 0000 "x"', { contentType: '' }),
  withProperties('with empty user properties', '30 0c 0003 "a/b" 05 26 0000 0000 "x"', { userProperties: [['', '']] }),
  withProperties(
    'with user properties whose names repeat, in order',
    '30 25 0003 "a/b" 1e 26 0001 "k" 0001 "3" 26 0001 "j" 0001 "1" 26 0001 "k" 0001 "3" 26 0001 "k" 0003 efbbbf "x"',
    {
      userProperties: [
        ['k', '3'],
        ['j', '1'],
        ['k', '3'],
        ['k', '\ufeff'],
      ],
    },
  ),
  withProperties('with correlation data of 65,535 bytes', '30 8b8004 0003 "a/b" 828004 09 ffff {c0*65535} "x"', {
    correlationData: new Uint8Array(65_535).fill(0xc0),
  }),
  withProperties('with 127 bytes of properties', '30 8601 0003 "a/b" 7f 03 007c {63*124} "x"', {
    contentType: 'c'.repeat(124),
  }),
  withProperties('with 128 bytes of properties', '30 8801 0003 "a/b" 8001 03 007d {63*125} "x"', {
    contentType: 'c'.repeat(125),
  }),
  withProperties('with 16,383 bytes of properties', '30 878001 0003 "a/b" ff7f 03 3ffc {63*16380} "x"', {
    contentType: 'c'.repeat(16_380),
  }),
  withProperties('with 16,384 bytes of properties', '30 898001 0003 "a/b" 808001 03 3ffd {63*16381} "x"', {
    contentType: 'c'.repeat(16_381),
  }),
];
