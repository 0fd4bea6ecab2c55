import type { AckPacket, AckType } from '../../../src/protocol/ack.ts';
import { PacketType, packetTypeName, ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import { type Fixture, hexByte, oldVersions, versionNames } from './fixture.ts';

const firstBytes: readonly (readonly [AckType, string])[] = [
  [PacketType.puback, '40'],
  [PacketType.pubrec, '50'],
  [PacketType.pubrel, '62'],
  [PacketType.pubcomp, '70'],
];

/** v5 tables 3-4 to 3-7. */
export const ackReasonCodes: Readonly<Record<AckType, readonly number[]>> = {
  [PacketType.puback]: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
  [PacketType.pubrec]: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
  [PacketType.pubrel]: [0x00, 0x92],
  [PacketType.pubcomp]: [0x00, 0x92],
};

function* build(): Iterable<Fixture> {
  for (const [type, first] of firstBytes) {
    const make = (
      version: ProtocolVersion,
      name: string,
      hex: string,
      fields: Partial<AckPacket> = {},
      canonical?: string,
    ): Fixture => ({
      name: `${packetTypeName(type)} ${versionNames[version]} ${name}`,
      version,
      sender: 'client',
      hex,
      packet: { type, packetId: 1, reasonCode: 0, properties: null, ...fields },
      ...(canonical === undefined ? {} : { canonical }),
    });
    for (const version of [...oldVersions, ProtocolVersion.v5]) {
      yield make(version, 'short', `${first} 02 0001`);
      yield make(version, 'of packet identifier 65,535', `${first} 02 ffff`, { packetId: 65_535 });
    }
    const { v5 } = ProtocolVersion;
    for (const reasonCode of ackReasonCodes[type]) {
      const short = reasonCode === 0 ? `${first} 02 0001` : `${first} 03 0001 ${hexByte(reasonCode)}`;
      const name = `with code 0x${hexByte(reasonCode)}`;
      yield make(v5, name, `${first} 03 0001 ${hexByte(reasonCode)}`, { reasonCode }, short);
      yield make(v5, `${name} and no properties`, `${first} 04 0001 ${hexByte(reasonCode)} 00`, { reasonCode }, short);
    }
    yield make(v5, 'with a Reason String', `${first} 0a 0001 00 06 1f 0003 "why"`, {
      properties: { reasonString: 'why' },
    });
    yield make(
      v5,
      'with a Reason String and user properties in order',
      `${first} 17 0001 92 13 1f 0002 "no" 26 0001 "b" 0001 "2" 26 0001 "b" 0001 "1"`.replace(
        '92',
        hexByte(ackReasonCodes[type].at(-1)!),
      ),
      {
        reasonCode: ackReasonCodes[type].at(-1)!,
        properties: {
          reasonString: 'no',
          userProperties: [
            ['b', '2'],
            ['b', '1'],
          ],
        },
      },
    );
  }
  // In MQTT 3.1 a PUBREL that is sent again has DUP set, and nothing hangs on its flags.
  for (const first of ['6a', '63', '60', '6f']) {
    yield {
      name: `PUBREL v3.1 with first byte ${first}`,
      version: ProtocolVersion.v31,
      sender: 'client',
      hex: `${first} 02 0001`,
      packet: { type: PacketType.pubrel, packetId: 1, reasonCode: 0, properties: null },
      canonical: '62 02 0001',
    };
  }
  yield {
    name: 'PUBACK v3.1 with flags it does not use',
    version: ProtocolVersion.v31,
    sender: 'client',
    hex: '4f 02 0001',
    packet: { type: PacketType.puback, packetId: 1, reasonCode: 0, properties: null },
    canonical: '40 02 0001',
  };
}

export const ackFixtures: readonly Fixture[] = [...build()];
