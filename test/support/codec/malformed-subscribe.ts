import { ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import type { MalformedCase } from './fixture.ts';

const { v31, v311, v5 } = ProtocolVersion;

function refused5(name: string, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version: v5, sender: 'client', hex, reasonCode };
}

function refused311(name: string, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version: v311, sender: 'client', hex, reasonCode };
}

function fromServer(name: string, version: ProtocolVersion, hex: string, reasonCode = 0x81): MalformedCase {
  return { name, version, sender: 'server', hex, reasonCode };
}

const subscribe: readonly MalformedCase[] = [
  refused5('v5 [MQTT-2.2.1-3] refuses SUBSCRIBE with packet identifier 0', '82 07 0000 00 0001 "a" 00', 0x82),
  refused5('v5 [MQTT-3.8.1-1] refuses SUBSCRIBE with flags 0000', '80 07 0001 00 0001 "a" 00'),
  refused5('v5 [MQTT-3.8.1-1] refuses SUBSCRIBE with flags 0011', '83 07 0001 00 0001 "a" 00'),
  refused5('v5 [MQTT-3.8.1-1] refuses SUBSCRIBE with flags 1010', '8a 07 0001 00 0001 "a" 00'),
  refused5('v5 [MQTT-3.8.3-1] refuses a topic filter that is no UTF-8', '82 07 0001 00 0001 ff 00'),
  refused5('v5 [MQTT-3.8.3-2] refuses SUBSCRIBE without a topic filter', '82 03 0001 00', 0x82),
  refused5('v5 section 3.8.3 refuses a topic filter without options', '82 06 0001 00 0001 "a"'),
  refused5('v5 section 3.8.3 refuses a second topic filter without options', '82 0a 0001 00 0001 "a" 00 0001 "b"'),
  refused5('v5 section 3.8.3 refuses a topic filter cut short', '82 07 0001 00 0005 "a" 00'),
  refused5('v5 section 3.8.2 refuses SUBSCRIBE of nothing', '82 00'),
  refused5('v5 section 3.8.2 refuses SUBSCRIBE of one byte', '82 01 00'),
  refused5('v5 [MQTT-2.2.2-1] refuses SUBSCRIBE without a property length', '82 02 0001'),
  refused5('v5 section 3.8.3.1 refuses QoS 3', '82 07 0001 00 0001 "a" 03', 0x82),
  refused5('v5 section 3.8.3.1 refuses Retain Handling 3', '82 07 0001 00 0001 "a" 30', 0x82),
  refused5('v5 [MQTT-3.8.3-5] refuses reserved option bit 6', '82 07 0001 00 0001 "a" 40'),
  refused5('v5 [MQTT-3.8.3-5] refuses reserved option bit 7', '82 07 0001 00 0001 "a" 80'),
  refused5('v5 [MQTT-3.8.3-5] refuses all option bits at once', '82 07 0001 00 0001 "a" ff'),
  refused5('v5 [MQTT-3.8.3-4] refuses No Local on a shared subscription', '82 10 0001 00 000a "$share/g/a" 04', 0x82),
  refused5('v5 [MQTT-4.7.1-1] refuses the filter a#', '82 08 0001 00 0002 "a#" 00'),
  refused5('v5 [MQTT-4.7.1-1] refuses the filter a/#/b', '82 0b 0001 00 0005 "a/#/b" 00'),
  refused5('v5 [MQTT-4.7.1-1] refuses the filter ##', '82 08 0001 00 0002 "##" 00'),
  refused5('v5 [MQTT-4.7.1-2] refuses the filter a+', '82 08 0001 00 0002 "a+" 00'),
  refused5('v5 [MQTT-4.7.1-2] refuses the filter a/+b', '82 0a 0001 00 0004 "a/+b" 00'),
  refused5('v5 [MQTT-4.7.3-1] refuses an empty filter', '82 06 0001 00 0000 00'),
  refused5('v5 [MQTT-4.7.3-1] refuses an empty filter behind a good one', '82 0a 0001 00 0001 "a" 00 0000 00'),
  refused5('v5 [MQTT-4.7.3-2] refuses U+0000 in a filter', '82 09 0001 00 0003 "a" 00 "b" 00'),
  refused5('v5 [MQTT-4.8.2-1] refuses a shared filter without a share name', '82 0f 0001 00 0009 "$share//a" 00', 0x82),
  refused5('v5 [MQTT-4.8.2-2] refuses a share name with +', '82 10 0001 00 000a "$share/+/a" 00', 0x82),
  refused5('v5 [MQTT-4.8.2-2] refuses a share name with #', '82 10 0001 00 000a "$share/#/a" 00'),
  refused5('v5 [MQTT-4.8.2-2] refuses a shared filter without a filter', '82 0e 0001 00 0008 "$share/g" 00', 0x82),
  refused5('v5 [MQTT-4.8.2-2] refuses a shared filter with an empty filter', '82 0f 0001 00 0009 "$share/g/" 00', 0x82),
  refused5('v5 section 3.8.2.1.2 refuses subscription identifier 0', '82 09 0001 02 0b00 0001 "a" 00', 0x82),
  refused5('v5 section 3.8.2.1.2 refuses a subscription identifier twice', '82 0b 0001 04 0b01 0b01 0001 "a" 00', 0x82),
  refused5('v5 [MQTT-1.5.5-1] refuses subscription identifier 0 in two bytes', '82 0a 0001 03 0b8000 0001 "a" 00'),
  refused5(
    'v5 section 1.5.5 refuses a subscription identifier of five bytes in SUBSCRIBE',
    '82 0d 0001 06 0b8080808001 0001 "a" 00',
  ),
  refused5('v5 section 2.2.2.2 refuses a property of PUBLISH in SUBSCRIBE', '82 0a 0001 03 230001 0001 "a" 00'),
  refused5('v5 section 2.2.2.1 refuses a property length past the end of SUBSCRIBE', '82 07 0001 09 0001 "a" 00'),
  refused5(
    'v5 section 4.7.3 refuses a filter of 202 levels, one more than we take',
    '82 cf01 0001 00 00c9 {2f*201} 00',
  ),
  refused311('v3.1.1 [MQTT-2.3.1-1] refuses SUBSCRIBE with packet identifier 0', '82 06 0000 0001 "a" 00', 0x82),
  refused311('v3.1.1 [MQTT-3.8.1-1] refuses SUBSCRIBE with flags 0000', '80 06 0001 0001 "a" 00'),
  refused311('v3.1.1 [MQTT-3.8.1-1] refuses SUBSCRIBE with DUP', '8a 06 0001 0001 "a" 00'),
  refused311('v3.1.1 [MQTT-3.8.3-1] refuses a topic filter that is no UTF-8', '82 06 0001 0001 ff 00'),
  refused311('v3.1.1 [MQTT-3.8.3-3] refuses SUBSCRIBE without a topic filter', '82 02 0001', 0x82),
  refused311('v3.1.1 [MQTT-3.8.3-4] refuses QoS 3', '82 06 0001 0001 "a" 03'),
  refused311('v3.1.1 [MQTT-3.8.3-4] refuses bit 2 of a requested QoS', '82 06 0001 0001 "a" 04'),
  refused311('v3.1.1 [MQTT-3.8.3-4] refuses bit 3 of a requested QoS', '82 06 0001 0001 "a" 08'),
  refused311('v3.1.1 [MQTT-3.8.3-4] refuses bit 4 of a requested QoS', '82 06 0001 0001 "a" 10'),
  refused311('v3.1.1 [MQTT-3.8.3-4] refuses bit 5 of a requested QoS', '82 06 0001 0001 "a" 20'),
  refused311('v3.1.1 [MQTT-3.8.3-4] refuses bit 6 of a requested QoS', '82 06 0001 0001 "a" 40'),
  refused311('v3.1.1 [MQTT-3.8.3-4] refuses bit 7 of a requested QoS', '82 06 0001 0001 "a" 80'),
  refused311('v3.1.1 [MQTT-4.7.1-2] refuses the filter a/#/b', '82 0a 0001 0005 "a/#/b" 00'),
  refused311('v3.1.1 [MQTT-4.7.1-2] refuses the filter a#', '82 07 0001 0002 "a#" 00'),
  refused311('v3.1.1 [MQTT-4.7.1-3] refuses the filter a+', '82 07 0001 0002 "a+" 00'),
  refused311('v3.1.1 [MQTT-4.7.3-1] refuses an empty filter', '82 05 0001 0000 00'),
  refused311('v3.1.1 [MQTT-4.7.3-2] refuses U+0000 in a filter', '82 08 0001 0003 "a" 00 "b" 00'),
  refused311('v3.1.1 section 3.8.3 refuses a topic filter without a QoS', '82 05 0001 0001 "a"'),
  {
    name: 'v3.1 refuses a request for QoS 3',
    version: v31,
    sender: 'client',
    hex: '82 06 0001 0001 "a" 03',
    reasonCode: 0x81,
  },
];

const unsubscribe: readonly MalformedCase[] = [
  refused5('v5 [MQTT-2.2.1-3] refuses UNSUBSCRIBE with packet identifier 0', 'a2 06 0000 00 0001 "a"', 0x82),
  refused5('v5 [MQTT-3.10.1-1] refuses UNSUBSCRIBE with flags 0000', 'a0 06 0001 00 0001 "a"'),
  refused5('v5 [MQTT-3.10.1-1] refuses UNSUBSCRIBE with flags 0011', 'a3 06 0001 00 0001 "a"'),
  refused5('v5 [MQTT-3.10.1-1] refuses UNSUBSCRIBE with flags 1010', 'aa 06 0001 00 0001 "a"'),
  refused5('v5 [MQTT-3.10.3-1] refuses a filter in UNSUBSCRIBE that is no UTF-8', 'a2 06 0001 00 0001 ff'),
  refused5('v5 [MQTT-3.10.3-2] refuses UNSUBSCRIBE without a filter', 'a2 03 0001 00', 0x82),
  refused5('v5 [MQTT-2.2.2-1] refuses UNSUBSCRIBE without a property length', 'a2 02 0001'),
  refused5('v5 section 3.10.3 refuses a filter cut short in UNSUBSCRIBE', 'a2 05 0001 00 0001'),
  refused5('v5 [MQTT-4.7.3-1] refuses an empty filter in UNSUBSCRIBE', 'a2 08 0001 00 0001 "a" 0000'),
  refused5('v5 [MQTT-4.7.1-1] refuses the filter a/#/b in UNSUBSCRIBE', 'a2 0a 0001 00 0005 "a/#/b"'),
  refused5('v5 section 2.2.2.2 refuses a subscription identifier in UNSUBSCRIBE', 'a2 08 0001 02 0b01 0001 "a"'),
  refused311('v3.1.1 [MQTT-2.3.1-1] refuses UNSUBSCRIBE with packet identifier 0', 'a2 05 0000 0001 "a"', 0x82),
  refused311('v3.1.1 [MQTT-3.10.1-1] refuses UNSUBSCRIBE with flags 0000', 'a0 05 0001 0001 "a"'),
  refused311('v3.1.1 [MQTT-3.10.3-1] refuses a filter in UNSUBSCRIBE that is no UTF-8', 'a2 05 0001 0001 ff'),
  refused311('v3.1.1 [MQTT-3.10.3-2] refuses UNSUBSCRIBE without a filter', 'a2 02 0001', 0x82),
  refused311('v3.1.1 [MQTT-4.7.3-1] refuses an empty filter in UNSUBSCRIBE', 'a2 04 0001 0000'),
];

const answers: readonly MalformedCase[] = [
  fromServer('v5 [MQTT-3.9.3-2] refuses SUBACK with code 0x03', v5, '90 04 0001 00 03', 0x82),
  fromServer('v5 [MQTT-3.9.3-2] refuses SUBACK with code 0x11', v5, '90 04 0001 00 11', 0x82),
  fromServer('v5 [MQTT-3.8.4-6] refuses SUBACK without a code', v5, '90 03 0001 00', 0x82),
  fromServer('v5 [MQTT-2.2.1-6] refuses SUBACK of packet identifier 0', v5, '90 04 0000 00 00', 0x82),
  fromServer('v5 [MQTT-3.11.3-2] refuses UNSUBACK with code 0x01', v5, 'b0 04 0001 00 01', 0x82),
  fromServer('v5 [MQTT-2.2.1-6] refuses UNSUBACK of packet identifier 0', v5, 'b0 04 0000 00 00', 0x82),
  fromServer('v5 [MQTT-2.1.3-1] refuses SUBACK with flags', v5, '92 04 0001 00 00'),
  fromServer('v5 [MQTT-2.1.3-1] refuses UNSUBACK with flags', v5, 'b2 04 0001 00 00'),
  fromServer('v3.1.1 [MQTT-3.9.3-2] refuses SUBACK with code 0x87', v311, '90 03 0001 87', 0x82),
  fromServer('v3.1.1 [MQTT-3.9.3-2] refuses SUBACK with code 0x03', v311, '90 03 0001 03', 0x82),
  fromServer('v3.1.1 section 3.11 refuses UNSUBACK of three bytes', v311, 'b0 03 0001 00'),
  refused5('v5 section 2.1.2 refuses SUBACK from a client', '90 04 0001 00 00', 0x82),
  refused5('v5 section 2.1.2 refuses UNSUBACK from a client', 'b0 04 0001 00 00', 0x82),
  fromServer('v5 section 2.1.2 refuses SUBSCRIBE from a server', v5, '82 07 0001 00 0001 "a" 00', 0x82),
  fromServer('v5 section 2.1.2 refuses UNSUBSCRIBE from a server', v5, 'a2 06 0001 00 0001 "a"', 0x82),
];

export const malformedSubscribes: readonly MalformedCase[] = [...subscribe, ...unsubscribe, ...answers];
