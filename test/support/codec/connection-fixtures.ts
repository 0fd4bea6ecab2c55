import type { Sender } from '../../../src/protocol/disconnect.ts';
import { PacketType, ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import type { Properties } from '../../../src/protocol/properties.ts';
import { allVersions, type Fixture, hexByte, oldVersions, versionNames } from './fixture.ts';

const { v31, v5 } = ProtocolVersion;

/** v5 table 3-10, by who may send the code. */
export const disconnectReasonCodes: Readonly<Record<Sender, readonly number[]>> = {
  client: [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
  server: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
    0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ],
};

/** v5 table 3-11, by who may send the code. */
export const authReasonCodes: Readonly<Record<Sender, readonly number[]>> = {
  client: [0x18, 0x19],
  server: [0x00, 0x18],
};

function disconnect(
  sender: Sender,
  name: string,
  hex: string,
  reasonCode: number,
  properties: Properties | null = null,
  canonical?: string,
): Fixture {
  const fixture: Fixture = {
    name: `DISCONNECT v5 of a ${sender} ${name}`,
    version: v5,
    sender,
    hex,
    packet: { type: PacketType.disconnect, reasonCode, properties },
  };
  return canonical === undefined ? fixture : { ...fixture, canonical };
}

function* pingFixtures(): Iterable<Fixture> {
  for (const version of allVersions) {
    const name = versionNames[version];
    yield { name: `PINGREQ ${name}`, version, sender: 'client', hex: 'c0 00', packet: { type: PacketType.pingreq } };
    yield { name: `PINGRESP ${name}`, version, sender: 'server', hex: 'd0 00', packet: { type: PacketType.pingresp } };
  }
  for (const first of ['c1', 'ce']) {
    yield {
      name: `PINGREQ v3.1 with first byte ${first}, flags it does not use`,
      version: v31,
      sender: 'client',
      hex: `${first} 00`,
      packet: { type: PacketType.pingreq },
      canonical: 'c0 00',
    };
  }
}

function* disconnectFixtures(): Iterable<Fixture> {
  for (const version of oldVersions) {
    yield {
      name: `DISCONNECT ${versionNames[version]}`,
      version,
      sender: 'client',
      hex: 'e0 00',
      packet: { type: PacketType.disconnect, reasonCode: 0, properties: null },
    };
  }
  for (const sender of ['client', 'server'] as const) {
    yield disconnect(sender, 'without reason code', 'e0 00', 0);
    for (const code of disconnectReasonCodes[sender]) {
      const digits = hexByte(code);
      const canonical = code === 0 ? 'e0 00' : `e0 01 ${digits}`;
      yield disconnect(sender, `with code 0x${digits}`, `e0 01 ${digits}`, code, null, canonical);
      yield disconnect(sender, `with code 0x${digits} and no properties`, `e0 02 ${digits} 00`, code, null, canonical);
    }
    yield disconnect(
      sender,
      'with a Reason String and user properties in order',
      'e0 1b 00 19 1f 0008 "shutdown" 26 0001 "k" 0001 "b" 26 0001 "k" 0001 "a"',
      0,
      {
        reasonString: 'shutdown',
        userProperties: [
          ['k', 'b'],
          ['k', 'a'],
        ],
      },
    );
    yield disconnect(sender, 'with a server reference', 'e0 0d 98 0b 1c 0008 "h:1883 i"', 0x98, {
      serverReference: 'h:1883 i',
    });
  }
  yield disconnect('client', 'with a session expiry', 'e0 07 04 05 11 ffffffff', 0x04, {
    sessionExpiryInterval: 0xffff_ffff,
  });
  yield disconnect('client', 'with a session expiry of 0', 'e0 07 00 05 11 00000000', 0, { sessionExpiryInterval: 0 });
}

function* authFixtures(): Iterable<Fixture> {
  const { auth } = PacketType;
  for (const sender of ['client', 'server'] as const) {
    for (const code of authReasonCodes[sender]) {
      yield {
        name: `AUTH of a ${sender} with code 0x${hexByte(code)}`,
        version: v5,
        sender,
        hex: `f0 06 ${hexByte(code)} 04 15 0001 "m"`,
        packet: { type: auth, reasonCode: code, properties: { authenticationMethod: 'm' } },
      };
    }
    yield {
      name: `AUTH of a ${sender} with every property`,
      version: v5,
      sender,
      hex: 'f0 22 18 20 15 000b "SCRAM-SHA-1" 16 0003 00ff01 1f 0002 "go" 26 0001 "k" 0001 "v"',
      packet: {
        type: auth,
        reasonCode: 0x18,
        properties: {
          authenticationMethod: 'SCRAM-SHA-1',
          authenticationData: Uint8Array.of(0, 0xff, 1),
          reasonString: 'go',
          userProperties: [['k', 'v']],
        },
      },
    };
  }
  yield {
    name: 'AUTH of a server without a body: success',
    version: v5,
    sender: 'server',
    hex: 'f0 00',
    packet: { type: auth, reasonCode: 0, properties: null },
  };
}

/** PINGREQ, PINGRESP, DISCONNECT and AUTH. */
export const connectionFixtures: readonly Fixture[] = [...pingFixtures(), ...disconnectFixtures(), ...authFixtures()];
