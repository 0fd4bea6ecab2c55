import type { ConnackPacket } from '../../../src/protocol/connack.ts';
import { PacketType, ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import { type Fixture, hexByte, oldVersions, versionNames } from './fixture.ts';

function connack(
  version: ProtocolVersion,
  name: string,
  hex: string,
  reasonCode: number,
  fields: Partial<ConnackPacket> = {},
): Fixture {
  return {
    name: `CONNACK ${name}`,
    version,
    sender: 'server',
    hex,
    packet: { type: PacketType.connack, sessionPresent: false, reasonCode, properties: null, ...fields },
  };
}

/** v5 table 3-1. */
const connectReasonCodes = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b,
  0x9c, 0x9d, 0x9f,
];

function* codeFixtures(): Iterable<Fixture> {
  for (const version of oldVersions) {
    yield connack(version, `${versionNames[version]} accepted, session present`, '20 02 01 00', 0, {
      sessionPresent: true,
    });
    for (let code = 0; code <= 5; code++) {
      yield connack(version, `${versionNames[version]} code ${code}`, `20 02 00 ${hexByte(code)}`, code);
    }
  }
  yield connack(ProtocolVersion.v5, 'accepted, session present', '20 03 01 00 00', 0, { sessionPresent: true });
  for (const code of connectReasonCodes) {
    yield connack(ProtocolVersion.v5, `code 0x${hexByte(code)}`, `20 03 00 ${hexByte(code)} 00`, code);
  }
}

export const connackFixtures: readonly Fixture[] = [
  ...codeFixtures(),
  connack(
    ProtocolVersion.v5,
    'with every property',
    `20 4e 00 00 4b 11 0000000a 21 0014 24 01 25 00 27 001e8480 12 0003 "abc" 22 000a 1f 0002 "ok" 26 0001 "k" 0001 "v"
     26 0001 "k" 0001 "w" 28 01 29 00 2a 01 13 0078 1a 0002 "ri" 1c 0004 "h:18" 15 0001 "m" 16 0002 0102`,
    0,
    {
      properties: {
        sessionExpiryInterval: 10,
        receiveMaximum: 20,
        maximumQoS: 1,
        retainAvailable: 0,
        maximumPacketSize: 2_000_000,
        assignedClientIdentifier: 'abc',
        topicAliasMaximum: 10,
        reasonString: 'ok',
        userProperties: [
          ['k', 'v'],
          ['k', 'w'],
        ],
        wildcardSubscriptionAvailable: 1,
        subscriptionIdentifierAvailable: 0,
        sharedSubscriptionAvailable: 1,
        serverKeepAlive: 120,
        responseInformation: 'ri',
        serverReference: 'h:18',
        authenticationMethod: 'm',
        authenticationData: Uint8Array.of(1, 2),
      },
    },
  ),
  connack(ProtocolVersion.v5, 'in the order of Mosquitto', '20 0e 00 00 0b 22 000a 27 001e8480 21 0014', 0, {
    properties: { topicAliasMaximum: 10, maximumPacketSize: 2_000_000, receiveMaximum: 20 },
  }),
  connack(
    ProtocolVersion.v5,
    'with a Reason String that makes its property length two bytes',
    '20 8401 00 87 8001 1f 007d {72*125}',
    0x87,
    { properties: { reasonString: 'r'.repeat(125) } },
  ),
];
