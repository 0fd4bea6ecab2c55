import type { ConnectPacket, WillMessage } from '../../../src/protocol/connect.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../../src/protocol/packet-type.ts';
import { type Fixture, hexByte, utf8, versionNames } from './fixture.ts';

const base: ConnectPacket = {
  type: PacketType.connect,
  protocolVersion: ProtocolVersion.v311,
  bridge: false,
  cleanStart: true,
  keepAlive: 60,
  clientId: 'c1',
  will: null,
  username: null,
  password: null,
  properties: null,
};

function connect(name: string, hex: string, fields: Partial<ConnectPacket>, canonical?: string): Fixture {
  const packet: ConnectPacket = { ...base, ...fields };
  const fixture: Fixture = {
    name: `CONNECT ${versionNames[packet.protocolVersion]} ${name}`,
    version: packet.protocolVersion,
    sender: 'client',
    hex,
    packet,
  };
  return canonical === undefined ? fixture : { ...fixture, canonical };
}

const v31 = { protocolVersion: ProtocolVersion.v31 } as const;
const v311 = { protocolVersion: ProtocolVersion.v311 } as const;
const v5 = { protocolVersion: ProtocolVersion.v5 } as const;

function will(fields: Partial<WillMessage> = {}): WillMessage {
  return { topicName: 'w', payload: utf8('x'), qos: 0, retain: false, properties: null, ...fields };
}

const v31Fixtures: readonly Fixture[] = [
  connect('minimal', '10 10 0006 "MQIsdp" 03 02 003c 0002 "c1"', v31),
  connect('clean session 0', '10 10 0006 "MQIsdp" 03 00 003c 0002 "c1"', { ...v31, cleanStart: false }),
  connect('from a bridge', '10 10 0006 "MQIsdp" 83 02 003c 0002 "c1"', { ...v31, bridge: true }),
  connect('everything', '10 1c 0006 "MQIsdp" 03 f6 ffff 0002 "c1" 0001 "w" 0001 "x" 0001 "u" 0001 "p"', {
    ...v31,
    keepAlive: 65_535,
    will: will({ qos: 2, retain: true }),
    username: 'u',
    password: utf8('p'),
  }),
  connect(
    'with flags in the fixed header that MQTT 3.1 does not use there',
    '1f 10 0006 "MQIsdp" 03 02 003c 0002 "c1"',
    v31,
    '10 10 0006 "MQIsdp" 03 02 003c 0002 "c1"',
  ),
  connect(
    'with the reserved bit set, which MQTT 3.1 leaves unused',
    '10 10 0006 "MQIsdp" 03 03 003c 0002 "c1"',
    v31,
    '10 10 0006 "MQIsdp" 03 02 003c 0002 "c1"',
  ),
  connect(
    'with will QoS 3 and retain but no will, which MQTT 3.1 disregards',
    '10 10 0006 "MQIsdp" 03 3a 003c 0002 "c1"',
    v31,
    '10 10 0006 "MQIsdp" 03 02 003c 0002 "c1"',
  ),
  connect(
    'with a user name flag and no user name, as MQTT 3.1 allows',
    '10 10 0006 "MQIsdp" 03 82 003c 0002 "c1"',
    v31,
    '10 10 0006 "MQIsdp" 03 02 003c 0002 "c1"',
  ),
  connect(
    'with both flags and a user name only, as MQTT 3.1 allows',
    '10 13 0006 "MQIsdp" 03 c2 003c 0002 "c1" 0001 "u"',
    { ...v31, username: 'u' },
    '10 13 0006 "MQIsdp" 03 82 003c 0002 "c1" 0001 "u"',
  ),
];

const v311Fixtures: readonly Fixture[] = [
  connect('minimal', '10 0e 0004 "MQTT" 04 02 003c 0002 "c1"', v311),
  connect('from a bridge', '10 0e 0004 "MQTT" 84 02 003c 0002 "c1"', { ...v311, bridge: true }),
  connect('with an empty client id', '10 0c 0004 "MQTT" 04 02 003c 0000', { ...v311, clientId: '' }),
  connect('with keep alive off', '10 0e 0004 "MQTT" 04 02 0000 0002 "c1"', { ...v311, keepAlive: 0 }),
  connect('with the longest keep alive', '10 0e 0004 "MQTT" 04 02 ffff 0002 "c1"', { ...v311, keepAlive: 65_535 }),
  connect('with an empty will payload', '10 13 0004 "MQTT" 04 06 003c 0002 "c1" 0001 "w" 0000', {
    ...v311,
    will: will({ payload: new Uint8Array(0) }),
  }),
  connect('with a binary will payload', '10 16 0004 "MQTT" 04 06 003c 0002 "c1" 0001 "w" 0003 00ffc0', {
    ...v311,
    will: will({ payload: Uint8Array.of(0, 0xff, 0xc0) }),
  }),
  connect('with an empty user name and password', '10 12 0004 "MQTT" 04 c2 003c 0002 "c1" 0000 0000', {
    ...v311,
    username: '',
    password: new Uint8Array(0),
  }),
  connect('with a binary password', '10 16 0004 "MQTT" 04 c2 003c 0002 "c1" 0001 "u" 0003 00ff80', {
    ...v311,
    username: 'u',
    password: Uint8Array.of(0, 0xff, 0x80),
  }),
  connect('with U+FEFF in front of the client id', '10 11 0004 "MQTT" 04 02 003c 0005 efbbbf "c1"', {
    ...v311,
    clientId: '\ufeffc1',
  }),
  connect('with four-byte UTF-8', '10 11 0004 "MQTT" 04 02 003c 0005 "A" f0aa9b94', {
    ...v311,
    clientId: 'A\u{2a6d4}',
  }),
  connect('with a client id of 65,535 bytes', '10 8b8004 0004 "MQTT" 04 02 003c ffff {61*65535}', {
    ...v311,
    clientId: 'a'.repeat(65_535),
  }),
  connect(
    'with every string and field at 65,535 bytes',
    '10 8f8014 0004 "MQTT" 04 c6 003c ffff {63*65535} ffff {77*65535} ffff {00*65535} ffff {75*65535} ffff {ff*65535}',
    {
      ...v311,
      clientId: 'c'.repeat(65_535),
      will: will({ topicName: 'w'.repeat(65_535), payload: new Uint8Array(65_535) }),
      username: 'u'.repeat(65_535),
      password: new Uint8Array(65_535).fill(0xff),
    },
  ),
];

const v5Fixtures: readonly Fixture[] = [
  connect('minimal', '10 0f 0004 "MQTT" 05 02 003c 00 0002 "c1"', v5),
  connect('with a password and no user name', '10 12 0004 "MQTT" 05 42 003c 00 0002 "c1" 0001 "p"', {
    ...v5,
    password: utf8('p'),
  }),
  connect(
    'with every property',
    `10 3e 0004 "MQTT" 05 02 003c 2f 11 00000e10 21 0014 27 00100000 22 000a 19 01 17 00
     26 0001 "a" 0001 "1" 26 0001 "a" 0001 "2" 15 0005 "SCRAM" 16 0002 00ff 0002 "c1"`,
    {
      ...v5,
      properties: {
        sessionExpiryInterval: 3_600,
        receiveMaximum: 20,
        maximumPacketSize: 1_048_576,
        topicAliasMaximum: 10,
        requestResponseInformation: 1,
        requestProblemInformation: 0,
        userProperties: [
          ['a', '1'],
          ['a', '2'],
        ],
        authenticationMethod: 'SCRAM',
        authenticationData: Uint8Array.of(0, 0xff),
      },
    },
  ),
  connect(
    'with properties at their limits',
    '10 21 0004 "MQTT" 05 02 003c 12 11 ffffffff 21 ffff 27 ffffffff 22 ffff 19 00 0002 "c1"',
    {
      ...v5,
      properties: {
        sessionExpiryInterval: 0xffff_ffff,
        receiveMaximum: 65_535,
        maximumPacketSize: 0xffff_ffff,
        topicAliasMaximum: 65_535,
        requestResponseInformation: 0,
      },
    },
  ),
  connect(
    'with a will and every will property',
    `10 3e 0004 "MQTT" 05 2e 003c 00 0002 "c1" 28 18 0000003c 01 01 02 00000e10 03 0002 "ct" 08 0001 "r" 09 0002 0001
     26 0001 "b" 0001 "2" 26 0001 "a" 0001 "1" 0001 "w" 0001 "x"`,
    {
      ...v5,
      will: will({
        qos: 1,
        retain: true,
        properties: {
          willDelayInterval: 60,
          payloadFormatIndicator: 1,
          messageExpiryInterval: 3_600,
          contentType: 'ct',
          responseTopic: 'r',
          correlationData: Uint8Array.of(0, 1),
          userProperties: [
            ['b', '2'],
            ['a', '1'],
          ],
        },
      }),
    },
  ),
  connect(
    'with a user property of 65,535 bytes in both halves',
    '10 948008 0004 "MQTT" 05 02 003c 838008 26 ffff {6b*65535} ffff {76*65535} 0002 "c1"',
    { ...v5, properties: { userProperties: [['k'.repeat(65_535), 'v'.repeat(65_535)]] } },
  ),
  connect('with authentication data of no bytes', '10 16 0004 "MQTT" 05 02 003c 07 15 0001 "m" 16 0000 0002 "c1"', {
    ...v5,
    properties: { authenticationMethod: 'm', authenticationData: new Uint8Array(0) },
  }),
];

/** Every combination of the connect flags that is allowed: clean, will with QoS and retain, user name, password. */
function* flagFixtures(): Iterable<Fixture> {
  const wills: readonly (readonly [QoS, boolean] | null)[] = [
    null,
    [0, false],
    [1, false],
    [2, false],
    [0, true],
    [1, true],
    [2, true],
  ];
  for (const version of [ProtocolVersion.v31, ProtocolVersion.v311, ProtocolVersion.v5]) {
    const isV5 = version === ProtocolVersion.v5;
    const name = version === ProtocolVersion.v31 ? '0006 "MQIsdp"' : '0004 "MQTT"';
    for (const cleanStart of [false, true]) {
      for (const one of wills) {
        for (const credentials of isV5 ? ['', 'u', 'up', 'p'] : ['', 'u', 'up']) {
          let flags = cleanStart ? 0x02 : 0;
          let length = (version === ProtocolVersion.v31 ? 12 : 10) + 4;
          let rest = '0002 "c1"';
          if (isV5) {
            length += 1;
            rest = `00 ${rest}`;
          }
          if (one !== null) {
            flags += 0x04 + 0x08 * one[0] + (one[1] ? 0x20 : 0);
            length += isV5 ? 7 : 6;
            rest += isV5 ? ' 00 0001 "w" 0001 "x"' : ' 0001 "w" 0001 "x"';
          }
          if (credentials.includes('u')) {
            flags += 0x80;
            length += 3;
            rest += ' 0001 "u"';
          }
          if (credentials.includes('p')) {
            flags += 0x40;
            length += 3;
            rest += ' 0001 "p"';
          }
          yield connect(
            `with flags ${hexByte(flags)}`,
            `10 ${hexByte(length)} ${name} ${hexByte(version)} ${hexByte(flags)} 003c ${rest}`,
            {
              protocolVersion: version,
              cleanStart,
              will: one === null ? null : will({ qos: one[0], retain: one[1] }),
              username: credentials.includes('u') ? 'u' : null,
              password: credentials.includes('p') ? utf8('p') : null,
            },
          );
        }
      }
    }
  }
}

export const connectFixtures: readonly Fixture[] = [...v31Fixtures, ...v311Fixtures, ...v5Fixtures, ...flagFixtures()];
