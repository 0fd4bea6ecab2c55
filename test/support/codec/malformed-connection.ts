import { ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import type { MalformedCase } from './fixture.ts';

const { v31, v311, v5 } = ProtocolVersion;

function refused5(name: string, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version: v5, sender: 'client', hex, reasonCode };
}

function refused311(name: string, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version: v311, sender: 'client', hex, reasonCode };
}

function fromServer(name: string, hex: string, reasonCode: number): MalformedCase {
  return { name, version: v5, sender: 'server', hex, reasonCode };
}

/** PINGREQ, PINGRESP, DISCONNECT, AUTH and the packet types that do not exist. */
export const malformedConnectionPackets: readonly MalformedCase[] = [
  refused5('v5 [MQTT-2.1.3-1] refuses PINGREQ with flags', 'c1 00'),
  refused5('v5 section 3.12.2 refuses PINGREQ with a body', 'c0 01 00'),
  refused5('v5 section 2.1.2 refuses PINGRESP from a client', 'd0 00', 0x82),
  fromServer('v5 section 2.1.2 refuses PINGREQ from a server', 'c0 00', 0x82),
  fromServer('v5 section 3.13.2 refuses PINGRESP with a body', 'd0 01 00', 0x81),
  refused5('v5 [MQTT-3.14.1-1] refuses DISCONNECT with flag 1', 'e1 00'),
  refused5('v5 [MQTT-3.14.1-1] refuses DISCONNECT with flag 2', 'e2 00'),
  refused5('v5 [MQTT-3.14.1-1] refuses DISCONNECT with flag 4', 'e4 00'),
  refused5('v5 [MQTT-3.14.1-1] refuses DISCONNECT with flag 8', 'e8 00'),
  refused5('v5 [MQTT-3.14.2-1] refuses DISCONNECT with code 0x03', 'e0 01 03', 0x82),
  refused5('v5 [MQTT-3.14.2-1] refuses DISCONNECT with a code of servers from a client', 'e0 01 8e', 0x82),
  fromServer('v5 [MQTT-3.14.2-1] refuses DISCONNECT 0x04 from a server', 'e0 01 04', 0x82),
  fromServer('v5 [MQTT-3.14.2-2] refuses a session expiry interval from a server', 'e0 07 00 05 1100000001', 0x82),
  refused5('v5 section 3.14.2.2.1 refuses a property length past the end of DISCONNECT', 'e0 02 00 05'),
  refused5('v5 section 3.14.2.2 refuses a byte behind DISCONNECT', 'e0 03 00 00 00'),
  refused5('v5 section 3.14.2.2.2 refuses Session Expiry Interval twice', 'e0 0c 00 0a 1100000000 1100000000', 0x82),
  refused5('v5 section 3.14.2.2.3 refuses Reason String twice', 'e0 0a 00 08 1f0001 "p" 1f0001 "q"', 0x82),
  refused5('v5 section 3.14.2.2.5 refuses Server Reference twice', 'e0 0a 00 08 1c0001 "p" 1c0001 "q"', 0x82),
  refused5('v5 section 2.2.2.2 refuses a property of PUBLISH in DISCONNECT', 'e0 04 00 02 0100'),
  refused5('v5 [MQTT-3.15.1-1] refuses AUTH with flag 1', 'f1 00'),
  refused5('v5 [MQTT-3.15.1-1] refuses AUTH with flag 2', 'f2 00'),
  refused5('v5 section 3.15.2.1 refuses AUTH with code 0x01', 'f0 06 01 04 150001 "m"', 0x82),
  refused5('v5 section 3.15.2.1 refuses AUTH of success from a client', 'f0 06 00 04 150001 "m"', 0x82),
  refused5('v5 section 3.15.2.1 refuses AUTH without a body from a client', 'f0 00', 0x82),
  fromServer('v5 section 3.15.2.1 refuses AUTH of re-authentication from a server', 'f0 06 19 04 150001 "m"', 0x82),
  refused5('v5 section 3.15.2.2.1 refuses AUTH without a property length', 'f0 01 18'),
  refused5('v5 section 3.15.2.2.2 refuses AUTH without a method', 'f0 02 18 00', 0x82),
  refused5('v5 section 3.15.2.2.2 refuses AUTH with data and without a method', 'f0 05 18 03 160000', 0x82),
  refused5('v5 section 3.15.2.2.2 refuses a method twice', 'f0 0a 18 08 150001 "m" 150001 "m"', 0x82),
  refused5('v5 section 3.15.2.2.3 refuses authentication data twice', 'f0 0c 18 0a 150001 "m" 160000 160000', 0x82),
  refused5('v5 section 2.1.2 refuses packet type 0', '00 00'),
  refused5('v5 section 2.1.2 refuses packet type 0 with a body', '0f 01 00'),
  refused311('v3.1.1 section 2.2.1 refuses packet type 0', '00 00'),
  refused311('v3.1.1 section 2.2.1 refuses packet type 15', 'f0 00'),
  refused311('v3.1.1 [MQTT-2.2.2-2] refuses PINGREQ with flags', 'c8 00'),
  refused311('v3.1.1 section 3.12 refuses PINGREQ with a body', 'c0 01 00'),
  refused311('v3.1.1 [MQTT-3.14.1-1] refuses DISCONNECT with flags', 'e1 00'),
  refused311('v3.1.1 section 3.14 refuses DISCONNECT with a body', 'e0 01 00'),
  { name: 'v3.1 refuses packet type 15', version: v31, sender: 'client', hex: 'f0 00', reasonCode: 0x81 },
  { name: 'v3.1 refuses PINGREQ with a body', version: v31, sender: 'client', hex: 'c0 01 00', reasonCode: 0x81 },
];

/** Strings that no packet may hold. */
const badStrings: readonly (readonly [string, string, string])[] = [
  ['1.5.4-1', '1.5.3-1', 'c080'],
  ['1.5.4-1', '1.5.3-1', 'c1bf'],
  ['1.5.4-1', '1.5.3-1', 'e09fbf'],
  ['1.5.4-1', '1.5.3-1', 'f08fbfbf'],
  ['1.5.4-1', '1.5.3-1', 'f4908080'],
  ['1.5.4-1', '1.5.3-1', 'f8888080'],
  ['1.5.4-1', '1.5.3-1', 'eda080'],
  ['1.5.4-1', '1.5.3-1', 'edbfbf'],
  ['1.5.4-1', '1.5.3-1', 'eda080edb080'],
  ['1.5.4-1', '1.5.3-1', 'e282'],
  ['1.5.4-1', '1.5.3-1', 'f0aa9b'],
  ['1.5.4-1', '1.5.3-1', '80'],
  ['1.5.4-1', '1.5.3-1', '61bf'],
  ['1.5.4-1', '1.5.3-1', 'ff'],
  ['1.5.4-1', '1.5.3-1', 'fe'],
  ['1.5.4-2', '1.5.3-2', '00'],
  ['1.5.4-2', '1.5.3-2', '610062'],
];

/** Code points that a receiver may refuse: section 1.5.4, and 1.5.3 of 3.1.1. */
const disallowed = ['01', '1f', '7f', 'c280', 'c29f', 'efb790', 'efb7af', 'efbfbe', 'efbfbf', 'f09fbfbe', 'f48fbfbf'];

function* stringCases(): Iterable<MalformedCase> {
  const filters = (label5: string, label311: string, bytes: string): MalformedCase[] => {
    const n = bytes.length / 2;
    const two = (value: number) => value.toString(16).padStart(2, '0');
    return [
      refused5(`${label5} refuses a filter of bytes ${bytes}`, `82 ${two(6 + n)} 0001 00 00${two(n)} ${bytes} 00`),
      refused5(`${label5} refuses a topic name of bytes ${bytes}`, `30 ${two(4 + n)} 00${two(n)} ${bytes} 00 "x"`),
      refused311(`${label311} refuses a filter of bytes ${bytes}`, `82 ${two(5 + n)} 0001 00${two(n)} ${bytes} 00`),
      refused311(`${label311} refuses a topic name of bytes ${bytes}`, `30 ${two(3 + n)} 00${two(n)} ${bytes} "x"`),
      {
        ...refused5(
          `${label5} refuses a client identifier of bytes ${bytes}`,
          `10 ${two(13 + n)} 0004 "MQTT" 05 02 003c 00 00${two(n)} ${bytes}`,
        ),
        version: 0,
      },
    ];
  };
  for (const [label5, label311, bytes] of badStrings) {
    yield* filters(`v5 [MQTT-${label5}]`, `v3.1.1 [MQTT-${label311}]`, bytes);
  }
  for (const bytes of disallowed) yield* filters('v5 section 1.5.4', 'v3.1.1 section 1.5.3', bytes);
}

export const malformedStrings: readonly MalformedCase[] = [...stringCases()];

/** Remaining Lengths that are wrong by themselves: whatever follows is not looked at. */
export const malformedLengths: readonly MalformedCase[] = [
  refused5('v5 [MQTT-1.5.5-1] refuses Remaining Length 0 in two bytes', 'c0 80 00'),
  refused5('v5 [MQTT-1.5.5-1] refuses Remaining Length 127 in two bytes', '30 ff 00'),
  refused5('v5 [MQTT-1.5.5-1] refuses Remaining Length 0 in four bytes', 'c0 80 80 80 00'),
  refused5('v5 section 1.5.5 refuses a Remaining Length of five bytes', '30 ff ff ff ff 01'),
  refused5('v5 section 1.5.5 refuses a Remaining Length whose fourth byte goes on', '30 80 80 80 80'),
  refused311('v3.1.1 [MQTT-4.8.0-1] refuses a Remaining Length of five bytes', '30 ff ff ff ff 01'),
  refused311('v3.1.1 section 2.2.3 refuses a Remaining Length whose fourth byte goes on', 'c0 80 80 80 80'),
];
