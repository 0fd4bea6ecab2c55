import { ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import type { MalformedCase } from './fixture.ts';

function refused(name: string, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version: 0, sender: 'client', hex, reasonCode };
}

function fromServer(name: string, version: ProtocolVersion, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version, sender: 'server', hex, reasonCode };
}

const v5Connect: readonly MalformedCase[] = [
  refused('v5 [MQTT-2.1.3-1] refuses CONNECT with flag 1', '11 0f 0004 "MQTT" 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-2.1.3-1] refuses CONNECT with flag 2', '12 0f 0004 "MQTT" 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-2.1.3-1] refuses CONNECT with flag 4', '14 0f 0004 "MQTT" 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-2.1.3-1] refuses CONNECT with flag 8', '18 0f 0004 "MQTT" 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-1] refuses the protocol name MQTX', '10 0f 0004 "MQTX" 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-1] refuses the protocol name mqtt', '10 0f 0004 "mqtt" 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-1] refuses the protocol name MQT', '10 0e 0003 "MQT" 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-1] refuses the protocol name MQTTT', '10 10 0005 "MQTTT" 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-1] refuses an empty protocol name', '10 0b 0000 05 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-1] refuses MQIsdq', '10 11 0006 "MQIsdq" 03 02 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-2] refuses protocol version 0', '10 0f 0004 "MQTT" 00 02 003c 00 0002 "c1"', 0x84),
  refused('v5 [MQTT-3.1.2-2] refuses protocol version 6', '10 0f 0004 "MQTT" 06 02 003c 00 0002 "c1"', 0x84),
  refused('v5 [MQTT-3.1.2-2] refuses protocol version 127', '10 0f 0004 "MQTT" 7f 02 003c 00 0002 "c1"', 0x84),
  refused('v5 [MQTT-3.1.2-2] refuses version 5 with a bridge bit', '10 0f 0004 "MQTT" 85 02 003c 00 0002 "c1"', 0x84),
  refused('v5 [MQTT-3.1.2-2] refuses version 3 of MQTT', '10 0f 0004 "MQTT" 03 02 003c 00 0002 "c1"', 0x84),
  refused('v5 [MQTT-3.1.2-2] refuses version 5 of MQIsdp', '10 11 0006 "MQIsdp" 05 02 003c 00 0002 "c1"', 0x84),
  refused('v5 [MQTT-3.1.2-3] refuses the reserved flag', '10 0f 0004 "MQTT" 05 03 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-9] refuses a will without fields', '10 0f 0004 "MQTT" 05 06 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-9] refuses a will without topic', '10 10 0004 "MQTT" 05 06 003c 00 0002 "c1" 00'),
  refused('v5 [MQTT-3.1.2-9] refuses a will without payload', '10 13 0004 "MQTT" 05 06 003c 00 0002 "c1" 00 0001 "w"'),
  refused(
    'v5 [MQTT-3.1.2-9] refuses a will without properties',
    '10 15 0004 "MQTT" 05 06 003c 00 0002 "c1" 0001 "w" 0001 "x"',
    0x81,
  ),
  refused('v5 [MQTT-3.1.2-11] refuses Will QoS 1 without a will', '10 0f 0004 "MQTT" 05 0a 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-11] refuses Will QoS 2 without a will', '10 0f 0004 "MQTT" 05 12 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-12] refuses Will QoS 3', '10 16 0004 "MQTT" 05 1e 003c 00 0002 "c1" 00 0001 "w" 0001 "x"'),
  refused('v5 [MQTT-3.1.2-13] refuses Will Retain without a will', '10 0f 0004 "MQTT" 05 22 003c 00 0002 "c1"'),
  refused(
    'v5 [MQTT-3.1.2-16] refuses a user name that no flag announces',
    '10 12 0004 "MQTT" 05 02 003c 00 0002 "c1" 0001 "u"',
  ),
  refused('v5 [MQTT-3.1.2-17] refuses a missing user name', '10 0f 0004 "MQTT" 05 82 003c 00 0002 "c1"'),
  refused(
    'v5 [MQTT-3.1.2-18] refuses a password that no flag announces',
    '10 15 0004 "MQTT" 05 82 003c 00 0002 "c1" 0001 "u" 0001 "p"',
  ),
  refused('v5 [MQTT-3.1.2-19] refuses a missing password', '10 0f 0004 "MQTT" 05 42 003c 00 0002 "c1"'),
  refused('v5 [MQTT-3.1.2-19] refuses a password cut short', '10 13 0004 "MQTT" 05 42 003c 00 0002 "c1" 0003 "pw"'),
  refused('v5 [MQTT-3.1.3-3] refuses a CONNECT without a client identifier', '10 0b 0004 "MQTT" 05 02 003c 00'),
  refused('v5 [MQTT-3.1.3-3] refuses a client identifier cut short', '10 0e 0004 "MQTT" 05 02 003c 00 0002 "c"'),
  refused(
    'v5 [MQTT-3.1.3-4] refuses a client identifier that is no UTF-8',
    '10 0f 0004 "MQTT" 05 02 003c 00 0002 63ff',
  ),
  refused(
    'v5 [MQTT-3.1.3-11] refuses a will topic that is no UTF-8',
    '10 17 0004 "MQTT" 05 06 003c 00 0002 "c1" 00 0002 77ff 0001 "x"',
  ),
  refused(
    'v5 [MQTT-3.1.3-12] refuses a user name that is no UTF-8',
    '10 13 0004 "MQTT" 05 82 003c 00 0002 "c1" 0002 75ff',
  ),
  refused('v5 [MQTT-3.1.4-1] refuses a CONNECT of nothing', '10 00'),
  refused('v5 [MQTT-3.1.4-1] refuses a CONNECT that ends after the protocol name', '10 06 0004 "MQTT"'),
  refused('v5 [MQTT-3.1.4-1] refuses a CONNECT without flags', '10 07 0004 "MQTT" 05'),
  refused('v5 [MQTT-3.1.4-1] refuses a CONNECT with half a keep alive', '10 09 0004 "MQTT" 05 02 00'),
  refused('v5 [MQTT-3.1.4-1] refuses a byte behind the last field', '10 10 0004 "MQTT" 05 02 003c 00 0002 "c1" 00'),
  refused('v5 [MQTT-2.2.2-1] refuses a CONNECT without a property length', '10 0a 0004 "MQTT" 05 02 003c'),
  refused(
    'v5 section 2.2.2.1 refuses a property length that reaches past the end of CONNECT',
    '10 0f 0004 "MQTT" 05 02 003c 05 0002 "c1"',
  ),
  refused(
    'v5 [MQTT-1.5.5-1] refuses a property length in two bytes where one does',
    '10 10 0004 "MQTT" 05 02 003c 8000 0002 "c1"',
  ),
  refused('v5 section 2.2.2.2 refuses property 0x7e in CONNECT', '10 11 0004 "MQTT" 05 02 003c 02 7e00 0002 "c1"'),
  refused('v5 section 2.2.2.2 refuses property 0x00 in CONNECT', '10 11 0004 "MQTT" 05 02 003c 02 0000 0002 "c1"'),
  refused(
    'v5 section 2.2.2.2 refuses a property identifier of 0x80 0x01',
    '10 12 0004 "MQTT" 05 02 003c 03 800100 0002 "c1"',
  ),
  refused('v5 section 2.2.2.2 refuses a will property in CONNECT', '10 11 0004 "MQTT" 05 02 003c 02 0101 0002 "c1"'),
  refused(
    'v5 section 2.2.2.2 refuses a property of CONNECT in the will',
    '10 19 0004 "MQTT" 05 06 003c 00 0002 "c1" 03 210001 0001 "w" 0001 "x"',
  ),
  refused(
    'v5 section 3.1.2.11.2 refuses Session Expiry Interval twice',
    '10 19 0004 "MQTT" 05 02 003c 0a 1100000001 1100000001 0002 "c1"',
    0x82,
  ),
  refused('v5 [MQTT-4.9.0-1] refuses Receive Maximum 0', '10 12 0004 "MQTT" 05 02 003c 03 210000 0002 "c1"', 0x82),
  refused(
    'v5 section 3.1.2.11.4 refuses Maximum Packet Size 0',
    '10 14 0004 "MQTT" 05 02 003c 05 2700000000 0002 "c1"',
    0x82,
  ),
  refused(
    'v5 section 3.1.2.11.6 refuses Request Response Information 2',
    '10 11 0004 "MQTT" 05 02 003c 02 1902 0002 "c1"',
    0x82,
  ),
  refused(
    'v5 section 3.1.2.11.7 refuses Request Problem Information 2',
    '10 11 0004 "MQTT" 05 02 003c 02 1702 0002 "c1"',
    0x82,
  ),
  refused(
    'v5 section 3.1.2.11.10 refuses authentication data without a method',
    '10 13 0004 "MQTT" 05 02 003c 04 160001 "d" 0002 "c1"',
    0x82,
  ),
  refused(
    'v5 [MQTT-1.5.7-1] refuses a user property whose value is no UTF-8',
    '10 16 0004 "MQTT" 05 02 003c 07 26 0001 "k" 0001 c0 0002 "c1"',
  ),
  refused(
    'v5 [MQTT-4.7.3-1] refuses an empty will topic',
    '10 15 0004 "MQTT" 05 06 003c 00 0002 "c1" 00 0000 0001 "x"',
  ),
  refused(
    'v5 [MQTT-4.7.0-1] refuses a will topic with #',
    '10 18 0004 "MQTT" 05 06 003c 00 0002 "c1" 00 0003 "w/#" 0001 "x"',
  ),
  refused(
    'v5 [MQTT-4.7.0-1] refuses a will topic with +',
    '10 18 0004 "MQTT" 05 06 003c 00 0002 "c1" 00 0003 "+/w" 0001 "x"',
  ),
  refused(
    'v5 [MQTT-3.3.2-14] refuses a response topic with + in a will',
    '10 1a 0004 "MQTT" 05 06 003c 00 0002 "c1" 04 080001 "+" 0001 "w" 0001 "x"',
    0x82,
  ),
  refused(
    'v5 [MQTT-4.7.3-1] refuses an empty response topic in a will',
    '10 19 0004 "MQTT" 05 06 003c 00 0002 "c1" 03 080000 0001 "w" 0001 "x"',
    0x82,
  ),
  refused(
    'v5 section 3.1.3.2.3 refuses a will payload that is not the UTF-8 it claims to be',
    '10 18 0004 "MQTT" 05 06 003c 00 0002 "c1" 02 0101 0001 "w" 0001 ff',
    0x99,
  ),
  refused(
    'v5 section 3.1.3.2.3 refuses a payload format indicator of 2 in a will',
    '10 18 0004 "MQTT" 05 06 003c 00 0002 "c1" 02 0102 0001 "w" 0001 "x"',
    0x82,
  ),
];

const v311Connect: readonly MalformedCase[] = [
  refused('v3.1.1 [MQTT-2.2.2-2] refuses CONNECT with flag 1', '11 0e 0004 "MQTT" 04 02 003c 0002 "c1"'),
  refused('v3.1.1 [MQTT-2.2.2-2] refuses CONNECT with flag 8', '18 0e 0004 "MQTT" 04 02 003c 0002 "c1"'),
  refused('v3.1.1 [MQTT-3.1.2-1] refuses the protocol name MQTX', '10 0e 0004 "MQTX" 04 02 003c 0002 "c1"'),
  refused('v3.1.1 [MQTT-3.1.2-2] refuses protocol level 2', '10 0e 0004 "MQTT" 02 02 003c 0002 "c1"', 0x84),
  refused('v3.1.1 [MQTT-3.1.2-3] refuses the reserved flag', '10 0e 0004 "MQTT" 04 03 003c 0002 "c1"'),
  refused('v3.1.1 [MQTT-3.1.2-9] refuses a will without fields', '10 0e 0004 "MQTT" 04 06 003c 0002 "c1"'),
  refused('v3.1.1 [MQTT-3.1.2-9] refuses a will without message', '10 11 0004 "MQTT" 04 06 003c 0002 "c1" 0001 "w"'),
  refused('v3.1.1 [MQTT-3.1.2-13] refuses Will QoS 1 without a will', '10 0e 0004 "MQTT" 04 0a 003c 0002 "c1"'),
  refused(
    'v3.1.1 [MQTT-3.1.2-11] refuses will fields without a will',
    '10 14 0004 "MQTT" 04 02 003c 0002 "c1" 0001 "w" 0001 "x"',
  ),
  refused('v3.1.1 [MQTT-3.1.2-14] refuses Will QoS 3', '10 14 0004 "MQTT" 04 1e 003c 0002 "c1" 0001 "w" 0001 "x"'),
  refused('v3.1.1 [MQTT-3.1.2-15] refuses Will Retain without a will', '10 0e 0004 "MQTT" 04 22 003c 0002 "c1"'),
  refused(
    'v3.1.1 [MQTT-3.1.2-18] refuses a user name that no flag announces',
    '10 11 0004 "MQTT" 04 02 003c 0002 "c1" 0001 "u"',
  ),
  refused('v3.1.1 [MQTT-3.1.2-19] refuses a missing user name', '10 0e 0004 "MQTT" 04 82 003c 0002 "c1"'),
  refused(
    'v3.1.1 [MQTT-3.1.2-20] refuses a password that no flag announces',
    '10 14 0004 "MQTT" 04 82 003c 0002 "c1" 0001 "u" 0001 "p"',
  ),
  refused('v3.1.1 [MQTT-3.1.2-21] refuses a missing password', '10 11 0004 "MQTT" 04 c2 003c 0002 "c1" 0001 "u"'),
  refused(
    'v3.1.1 [MQTT-3.1.2-22] refuses a password without a user name',
    '10 11 0004 "MQTT" 04 42 003c 0002 "c1" 0001 "p"',
  ),
  refused('v3.1.1 [MQTT-3.1.3-3] refuses a CONNECT without a client identifier', '10 0a 0004 "MQTT" 04 02 003c'),
  refused(
    'v3.1.1 [MQTT-3.1.3-4] refuses a client identifier that is no UTF-8',
    '10 0e 0004 "MQTT" 04 02 003c 0002 63ff',
  ),
  refused(
    'v3.1.1 [MQTT-3.1.3-10] refuses a will topic that is no UTF-8',
    '10 14 0004 "MQTT" 04 06 003c 0002 "c1" 0001 ff 0001 "x"',
  ),
  refused(
    'v3.1.1 [MQTT-3.1.3-11] refuses a user name that is no UTF-8',
    '10 11 0004 "MQTT" 04 82 003c 0002 "c1" 0001 ff',
  ),
  refused('v3.1.1 [MQTT-3.1.4-1] refuses a byte behind the last field', '10 0f 0004 "MQTT" 04 02 003c 0002 "c1" 00'),
  refused(
    'v3.1.1 [MQTT-4.7.1-1] refuses a will topic with a wildcard',
    '10 14 0004 "MQTT" 04 06 003c 0002 "c1" 0001 "#" 0001 "x"',
  ),
];

/** 3.1 has no numbered statements. It leaves less undefined than it may seem: what is here is wrong there too. */
const v31Connect: readonly MalformedCase[] = [
  refused('v3.1 refuses Will QoS 3', '10 16 0006 "MQIsdp" 03 1e 003c 0002 "c1" 0001 "w" 0001 "x"'),
  refused('v3.1 refuses a will without message', '10 13 0006 "MQIsdp" 03 06 003c 0002 "c1" 0001 "w"'),
  refused('v3.1 refuses a password without a user name', '10 13 0006 "MQIsdp" 03 42 003c 0002 "c1" 0001 "p"'),
  refused('v3.1 refuses a user name cut short', '10 12 0006 "MQIsdp" 03 82 003c 0002 "c1" 0001'),
  refused('v3.1 refuses a byte behind the last field', '10 11 0006 "MQIsdp" 03 02 003c 0002 "c1" 00'),
];

const { v311, v5 } = ProtocolVersion;

const connack: readonly MalformedCase[] = [
  fromServer('v5 [MQTT-3.2.2-1] refuses reserved acknowledge flags', v5, '20 03 02 00 00'),
  fromServer('v5 [MQTT-2.1.3-1] refuses CONNACK with flags', v5, '21 03 00 00 00'),
  fromServer('v5 [MQTT-2.2.2-1] refuses CONNACK without a property length', v5, '20 02 00 00'),
  fromServer('v5 section 3.2 refuses CONNACK of one byte', v5, '20 01 00'),
  fromServer('v5 section 3.2 refuses a byte behind CONNACK', v5, '20 04 00 00 00 00'),
  fromServer('v5 section 3.2.2.3.4 refuses Maximum QoS 2', v5, '20 05 00 00 02 2402', 0x82),
  fromServer('v5 section 3.2.2.3.5 refuses Retain Available 2', v5, '20 05 00 00 02 2502', 0x82),
  fromServer('v5 section 3.2.2.3.3 refuses Receive Maximum 0 in CONNACK', v5, '20 06 00 00 03 210000', 0x82),
  fromServer('v5 section 3.2.2.3.6 refuses Maximum Packet Size 0 in CONNACK', v5, '20 08 00 00 05 2700000000', 0x82),
  fromServer('v5 section 3.2.2.3.11 refuses Wildcard Subscription Available 2', v5, '20 05 00 00 02 2802', 0x82),
  fromServer('v5 section 3.2.2.3.12 refuses Subscription Identifiers Available 2', v5, '20 05 00 00 02 2902', 0x82),
  fromServer('v5 section 3.2.2.3.13 refuses Shared Subscription Available 2', v5, '20 05 00 00 02 2a02', 0x82),
  fromServer('v5 section 3.2.2.3.8 refuses Topic Alias Maximum twice', v5, '20 09 00 00 06 220001 220001', 0x82),
  fromServer('v3.1.1 [MQTT-2.2.2-2] refuses CONNACK with flags', v311, '22 02 00 00'),
  fromServer('v3.1.1 section 3.2 refuses reserved acknowledge flags', v311, '20 02 80 00'),
  fromServer('v3.1.1 section 3.2 refuses CONNACK of three bytes', v311, '20 03 00 00 00'),
  {
    name: 'v5 section 2.1.2 refuses CONNACK from a client',
    version: v5,
    sender: 'client',
    hex: '20 03 00 00 00',
    reasonCode: 0x82,
  },
  fromServer('v5 section 2.1.2 refuses CONNECT from a server', v5, '10 0f 0004 "MQTT" 05 02 003c 00 0002 "c1"', 0x82),
];

export const malformedConnects: readonly MalformedCase[] = [...v5Connect, ...v311Connect, ...v31Connect, ...connack];
