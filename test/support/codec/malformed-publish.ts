import { ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import type { MalformedCase } from './fixture.ts';

const { v31, v311, v5 } = ProtocolVersion;

function refused5(name: string, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version: v5, sender: 'client', hex, reasonCode };
}

function refused311(name: string, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version: v311, sender: 'client', hex, reasonCode };
}

const publish: readonly MalformedCase[] = [
  refused5('v5 [MQTT-2.2.1-3] refuses packet identifier 0 at QoS 1', '32 07 0001 "a" 0000 00 "x"', 0x82),
  refused5('v5 [MQTT-2.2.1-3] refuses packet identifier 0 at QoS 2', '34 07 0001 "a" 0000 00 "x"', 0x82),
  refused5('v5 [MQTT-3.3.1-2] refuses DUP at QoS 0', '38 05 0001 "a" 00 "x"'),
  refused5('v5 [MQTT-3.3.1-4] refuses QoS 3', '36 07 0001 "a" 0001 00 "x"'),
  refused5('v5 [MQTT-3.3.1-4] refuses QoS 3 with DUP and RETAIN', '3f 07 0001 "a" 0001 00 "x"'),
  refused5('v5 [MQTT-3.3.2-1] refuses a topic name that is no UTF-8', '30 05 0001 ff 00 "x"'),
  refused5('v5 [MQTT-3.3.2-1] refuses a topic name that reaches past the end', '30 05 0009 "a" 00 "x"'),
  refused5('v5 [MQTT-3.3.2-1] refuses a PUBLISH of nothing', '30 00'),
  refused5('v5 [MQTT-3.3.2-1] refuses a PUBLISH of one byte', '30 01 00'),
  refused5('v5 [MQTT-3.3.2-2] refuses a topic name with +', '30 07 0003 "a/+" 00 "x"'),
  refused5('v5 [MQTT-3.3.2-2] refuses a topic name with #', '30 05 0001 "#" 00 "x"'),
  refused5('v5 [MQTT-3.3.2-2] refuses a topic name with + inside a level', '30 07 0003 "a+b" 00 "x"'),
  refused5('v5 section 3.3.2.1 refuses an empty topic name without an alias', '30 04 0000 00 "x"', 0x82),
  refused5(
    'v5 section 4.7.3 refuses a topic name of 202 levels, one more than we take',
    '30 cd01 00c9 {2f*201} 00 "x"',
  ),
  refused5('v5 section 3.3.2.2 refuses a PUBLISH that ends before the packet identifier', '32 03 0001 "a"'),
  refused5('v5 section 3.3.2.2 refuses a PUBLISH that ends inside the packet identifier', '32 04 0001 "a" 00'),
  refused5('v5 [MQTT-2.2.2-1] refuses a PUBLISH without a property length', '30 03 0001 "a"'),
  refused5('v5 [MQTT-2.2.2-1] refuses a PUBLISH at QoS 1 without a property length', '32 05 0001 "a" 0001'),
  refused5('v5 [MQTT-1.5.5-1] refuses a property length of 0 in two bytes', '30 06 0001 "a" 8000 "x"'),
  refused5('v5 [MQTT-1.5.5-1] refuses a property length of 2 in two bytes', '30 08 0001 "a" 8200 0101 "x"'),
  refused5('v5 section 1.5.5 refuses a property length of five bytes', '30 0d 0001 "a" 8080808001 0101 "xyz"'),
  refused5('v5 section 2.2.2.1 refuses a property length past the end', '30 06 0001 "a" 05 01 "x"'),
  refused5(
    'v5 section 2.2.2.1 refuses a property that reaches past the property length',
    '30 07 0001 "a" 01 01 00 "x"',
  ),
  refused5('v5 section 2.2.2.2 refuses property 0x04', '30 07 0001 "a" 02 04 00 "x"'),
  refused5('v5 section 2.2.2.2 refuses a property of CONNECT', '30 0a 0001 "a" 05 11 00000001 "x"'),
  refused5('v5 section 3.3.2.3.2 refuses a payload format indicator of 2', '30 07 0001 "a" 02 0102 "x"', 0x82),
  refused5('v5 section 3.3.2.3.2 refuses a payload format indicator twice', '30 09 0001 "a" 04 0101 0101 "x"', 0x82),
  refused5(
    'v5 section 3.3.2.3.3 refuses a message expiry interval twice',
    '30 0f 0001 "a" 0a 0200000001 0200000001 "x"',
    0x82,
  ),
  refused5('v5 section 3.3.2.3.4 refuses a topic alias twice', '30 0b 0001 "a" 06 230001 230002 "x"', 0x82),
  refused5('v5 [MQTT-3.3.2-8] refuses topic alias 0', '30 08 0001 "a" 03 230000 "x"', 0x94),
  refused5('v5 [MQTT-3.3.2-8] refuses topic alias 0 without a topic name', '30 07 0000 03 230000 "x"', 0x94),
  refused5('v5 [MQTT-3.3.2-13] refuses a response topic that is no UTF-8', '30 09 0001 "a" 04 08 0001 ff "x"'),
  refused5('v5 [MQTT-3.3.2-14] refuses a response topic with +', '30 09 0001 "a" 04 08 0001 "+" "x"', 0x82),
  refused5('v5 [MQTT-3.3.2-14] refuses a response topic with #', '30 0b 0001 "a" 06 08 0003 "a/#" "x"', 0x82),
  refused5('v5 [MQTT-4.7.3-1] refuses an empty response topic', '30 08 0001 "a" 03 08 0000 "x"', 0x82),
  refused5(
    'v5 section 3.3.2.3.5 refuses a response topic twice',
    '30 0d 0001 "a" 08 08 0001 "r" 08 0001 "r" "x"',
    0x82,
  ),
  refused5('v5 section 3.3.2.3.6 refuses correlation data twice', '30 0b 0001 "a" 06 09 0000 09 0000 "x"', 0x82),
  refused5('v5 [MQTT-3.3.2-19] refuses a content type that is no UTF-8', '30 09 0001 "a" 04 03 0001 ff "x"'),
  refused5('v5 section 3.3.2.3.9 refuses a content type twice', '30 0b 0001 "a" 06 03 0000 03 0000 "x"', 0x82),
  refused5(
    'v5 [MQTT-1.5.7-1] refuses a user property whose name is no UTF-8',
    '30 0c 0001 "a" 07 26 0001 c0 0001 "v" "x"',
  ),
  refused5(
    'v5 [MQTT-1.5.7-1] refuses a user property whose value holds U+0000',
    '30 0c 0001 "a" 07 26 0001 "k" 0001 00 "x"',
  ),
  refused5('v5 section 1.5.7 refuses a user property without a value', '30 09 0001 "a" 04 26 0001 "k" "x"'),
  refused5('v5 [MQTT-3.3.4-6] refuses a subscription identifier from a client', '30 07 0001 "a" 02 0b01 "x"', 0x82),
  refused5('v5 section 3.3.2.3.8 refuses subscription identifier 0', '30 07 0001 "a" 02 0b00 "x"', 0x82),
  refused5('v5 [MQTT-1.5.5-1] refuses subscription identifier 1 in two bytes', '30 08 0001 "a" 03 0b8100 "x"'),
  refused5('v5 section 1.5.5 refuses a subscription identifier of five bytes', '30 0b 0001 "a" 06 0b8080808001 "x"'),
  {
    name: 'v5 section 3.3.2.3.8 refuses subscription identifier 0 from a server',
    version: v5,
    sender: 'server',
    hex: '30 07 0001 "a" 02 0b00 "x"',
    reasonCode: 0x82,
  },
  refused311('v3.1.1 [MQTT-2.3.1-1] refuses packet identifier 0 at QoS 1', '32 06 0001 "a" 0000 "x"', 0x82),
  refused311('v3.1.1 [MQTT-2.3.1-1] refuses packet identifier 0 at QoS 2', '34 06 0001 "a" 0000 "x"', 0x82),
  refused311('v3.1.1 [MQTT-3.3.1-2] refuses DUP at QoS 0', '38 04 0001 "a" "x"'),
  refused311('v3.1.1 [MQTT-3.3.1-4] refuses QoS 3', '36 06 0001 "a" 0001 "x"'),
  refused311('v3.1.1 [MQTT-3.3.2-1] refuses a topic name that is no UTF-8', '30 04 0001 ff "x"'),
  refused311('v3.1.1 [MQTT-3.3.2-1] refuses a topic name past the end', '30 04 0009 "a" "x"'),
  refused311('v3.1.1 [MQTT-3.3.2-2] refuses a topic name with +', '30 06 0003 "a/+" "x"'),
  refused311('v3.1.1 [MQTT-3.3.2-2] refuses a topic name with #', '30 04 0001 "#" "x"'),
  refused311('v3.1.1 [MQTT-4.7.1-1] refuses wildcards in a topic name', '30 06 0003 "+/#" "x"'),
  refused311('v3.1.1 [MQTT-4.7.3-1] refuses an empty topic name', '30 03 0000 "x"', 0x82),
  refused311('v3.1.1 [MQTT-4.7.3-2] refuses U+0000 in a topic name', '30 06 0003 "a" 00 "b" "x"'),
  refused311('v3.1.1 section 3.3.2 refuses a PUBLISH without packet identifier at QoS 1', '32 03 0001 "a"'),
  { name: 'v3.1 refuses QoS 3', version: v31, sender: 'client', hex: '36 06 0001 "a" 0001 "x"', reasonCode: 0x81 },
  { name: 'v3.1 refuses an empty topic name', version: v31, sender: 'client', hex: '30 03 0000 "x"', reasonCode: 0x82 },
];

const acks: readonly MalformedCase[] = [
  refused5('v5 [MQTT-2.2.1-5] refuses PUBACK of packet identifier 0', '40 02 0000', 0x82),
  refused5('v5 [MQTT-2.2.1-5] refuses PUBREC of packet identifier 0', '50 03 0000 00', 0x82),
  refused5('v5 [MQTT-2.2.1-5] refuses PUBREL of packet identifier 0', '62 02 0000', 0x82),
  refused5('v5 [MQTT-2.2.1-5] refuses PUBCOMP of packet identifier 0', '70 02 0000', 0x82),
  refused5('v5 [MQTT-3.4.2-1] refuses PUBACK with code 0x01', '40 03 0001 01', 0x82),
  refused5('v5 [MQTT-3.4.2-1] refuses PUBACK with code 0x92', '40 03 0001 92', 0x82),
  refused5('v5 [MQTT-3.5.2-1] refuses PUBREC with code 0x01', '50 03 0001 01', 0x82),
  refused5('v5 [MQTT-3.6.2-1] refuses PUBREL with code 0x80', '62 03 0001 80', 0x82),
  refused5('v5 [MQTT-3.7.2-1] refuses PUBCOMP with code 0x10', '70 04 0001 10 00', 0x82),
  refused5('v5 [MQTT-2.1.3-1] refuses PUBACK with flags', '41 02 0001'),
  refused5('v5 [MQTT-2.1.3-1] refuses PUBREC with flags', '58 02 0001'),
  refused5('v5 [MQTT-2.1.3-1] refuses PUBCOMP with flags', '72 02 0001'),
  refused5('v5 [MQTT-3.6.1-1] refuses PUBREL with flags 0000', '60 02 0001'),
  refused5('v5 [MQTT-3.6.1-1] refuses PUBREL with flags 0001', '61 02 0001'),
  refused5('v5 [MQTT-3.6.1-1] refuses PUBREL with flags 0011', '63 02 0001'),
  refused5('v5 [MQTT-3.6.1-1] refuses PUBREL with DUP', '6a 02 0001'),
  refused5('v5 section 3.4.2 refuses PUBACK of nothing', '40 00'),
  refused5('v5 section 3.4.2 refuses PUBACK of one byte', '40 01 00'),
  refused5('v5 section 3.4.2 refuses bytes behind PUBACK', '40 05 0001 00 00 00'),
  refused5('v5 section 3.4.2.2 refuses a property length past the end of PUBACK', '40 04 0001 00 01'),
  refused5(
    'v5 section 3.4.2.2.2 refuses Reason String twice in PUBACK',
    '40 0c 0001 00 08 1f 0001 "p" 1f 0001 "q"',
    0x82,
  ),
  refused5(
    'v5 section 3.6.2.2.2 refuses Reason String twice in PUBREL',
    '62 0c 0001 00 08 1f 0001 "p" 1f 0001 "q"',
    0x82,
  ),
  refused5('v5 section 2.2.2.2 refuses a property of PUBLISH in PUBACK', '40 06 0001 00 02 0101'),
  refused5('v5 section 2.2.2.2 refuses property 0x00 in PUBREC', '50 06 0001 00 02 0001'),
  refused311('v3.1.1 [MQTT-2.2.2-2] refuses PUBACK with flags', '42 02 0001'),
  refused311('v3.1.1 [MQTT-3.6.1-1] refuses PUBREL with flags 0000', '60 02 0001'),
  refused311('v3.1.1 [MQTT-3.6.1-1] refuses PUBREL with DUP', '6a 02 0001'),
  refused311('v3.1.1 section 3.4 refuses PUBACK of three bytes', '40 03 0001 00'),
  refused311('v3.1.1 section 3.4 refuses PUBACK of one byte', '40 01 00'),
  refused311('v3.1.1 section 3.4 refuses PUBACK of packet identifier 0', '40 02 0000', 0x82),
];

export const malformedPublishes: readonly MalformedCase[] = [...publish, ...acks];
