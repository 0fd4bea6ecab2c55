/** CONNECTs that are not well-formed: v5 sections 3.1 and 4.13, v3.1.1 section 3.1. */
import { expect, test } from 'bun:test';
import { TestBroker, utf8 } from '../support/test-broker.ts';
import { answer, connect, field, join, packet } from './raw-packets.ts';

const malformed = '2003008100 closed';
const protocolError = '2003008200 closed';

/** Name, version, bytes on a new connection, and all that comes back. */
type Row = readonly [name: string, version: 4 | 5, send: Uint8Array | string, expected: string];

const will = (...parts: (Uint8Array | string)[]): Uint8Array => join('00', ...parts);
const w = field('w');
const x = field('x');

// prettier-ignore
const rows: Row[] = [
  // The first packet.
  ['v5 [MQTT-3.1.0-1] closes without a byte on PINGREQ as first packet', 5, 'c0 00', 'closed'],
  ['v5 [MQTT-3.1.0-1] closes without a byte on SUBSCRIBE as first packet', 5, '82 07 0001 00 000161 00', 'closed'],
  ['v5 [MQTT-3.1.0-1] closes without a byte on DISCONNECT as first packet', 5, 'e0 00', 'closed'],
  ['v5 [MQTT-3.1.0-1] closes without a byte on AUTH as first packet', 5, 'f0 02 18 00', 'closed'],
  ['v5 [MQTT-3.1.0-1] closes without a byte on packet type 0 as first packet', 5, '00 00', 'closed'],
  ['v5 [MQTT-3.1.0-1] closes without a byte on an HTTP request', 5, utf8(`GET / HTTP/1.1\r\nHost: ${'x'.repeat(60)}\r\n\r\n`), 'closed'],
  ['v5 [MQTT-3.1.0-1] closes without a byte on a TLS handshake', 5, '16 03 01 00 05 01 00 00 01 03', 'closed'],
  ['v3.1.1 [MQTT-3.1.0-1] closes without a byte on PINGREQ as first packet', 4, 'c0 00', 'closed'],
  ['v3.1.1 [MQTT-3.1.0-1] closes without a byte on PUBLISH as first packet', 4, '30 04 000161 78', 'closed'],

  // Protocol Name and Protocol Version.
  ['v5 [MQTT-3.1.2-1] closes on protocol name MQTX', 5, connect({ name: 'MQTX' }), 'closed'],
  ['v5 [MQTT-3.1.2-1] closes on protocol name mqtt', 5, connect({ name: 'mqtt' }), 'closed'],
  ['v5 [MQTT-3.1.2-1] closes on an empty protocol name', 5, connect({ name: '' }), 'closed'],
  ['v5 [MQTT-3.1.2-1] closes on protocol name MQTTMQTT', 5, connect({ name: 'MQTTMQTT' }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-1] closes on protocol name MQTX', 4, connect({ level: 4, name: 'MQTX' }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-1] refuses level 4 under the name of MQTT 3.1', 4, connect({ level: 4, name: 'MQIsdp' }), '20020001 closed'],
  ['v5 [MQTT-3.1.2-2] answers version 6 in the words that 3.1.1 clients know', 4, connect({ level: 6 }), '20020001 closed'],
  ['v5 [MQTT-3.1.2-2] refuses the bridge bit on version 5', 4, connect({ level: 0x85 }), '20020001 closed'],
  ['v3.1.1 [MQTT-3.1.2-2] answers level 0 with return code 1', 4, connect({ level: 0 }), '20020001 closed'],
  ['v3.1.1 [MQTT-3.1.2-2] answers level 2 with return code 1', 4, connect({ level: 2 }), '20020001 closed'],
  ['v3.1.1 [MQTT-3.1.2-2] answers level 3 under the name of its successors with return code 1', 4, connect({ level: 3, name: 'MQTT' }), '20020001 closed'],
  ['v3.1.1 [MQTT-3.1.2-2] answers level 127 with return code 1', 4, connect({ level: 127 }), '20020001 closed'],

  // Connect Flags.
  ['v5 [MQTT-3.1.2-3] refuses the reserved flag', 5, connect({ flags: 0x03 }), malformed],
  ['v5 [MQTT-3.1.2-9] refuses a will flag without will fields', 5, connect({ flags: 0x06 }), malformed],
  ['v5 [MQTT-3.1.2-9] refuses a will that ends after its properties', 5, connect({ flags: 0x06, rest: '00' }), malformed],
  ['v5 [MQTT-3.1.2-9] refuses a will that ends after its topic', 5, connect({ flags: 0x06, rest: will(w) }), malformed],
  ['v5 [MQTT-3.1.2-9] refuses a will without its properties', 5, connect({ flags: 0x06, rest: join(w, x) }), malformed],
  ['v5 [MQTT-3.1.2-11] refuses will QoS 1 without a will', 5, connect({ flags: 0x0a }), malformed],
  ['v5 [MQTT-3.1.2-11] refuses will QoS 2 without a will', 5, connect({ flags: 0x12 }), malformed],
  ['v5 [MQTT-3.1.2-12] refuses will QoS 3', 5, connect({ flags: 0x1e, rest: will(w, x) }), malformed],
  ['v5 [MQTT-3.1.2-13] refuses will retain without a will', 5, connect({ flags: 0x22 }), malformed],
  ['v5 [MQTT-3.1.2-16] refuses a user name without its flag', 5, connect({ rest: field('u') }), malformed],
  ['v5 [MQTT-3.1.2-17] refuses a user name flag without user name', 5, connect({ flags: 0x82 }), malformed],
  ['v5 [MQTT-3.1.2-18] refuses a password without its flag', 5, connect({ flags: 0x82, rest: join(field('u'), field('p')) }), malformed],
  ['v5 [MQTT-3.1.2-19] refuses a password flag without password', 5, connect({ flags: 0x42 }), malformed],
  ['v5 [MQTT-3.1.2-19] refuses a password flag with a user name only', 5, connect({ flags: 0xc2, rest: field('u') }), malformed],
  ['v3.1.1 [MQTT-3.1.2-3] closes on the reserved flag', 4, connect({ level: 4, flags: 0x03 }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-9] closes on a will flag without will fields', 4, connect({ level: 4, flags: 0x06 }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-9] closes on a will that ends after its topic', 4, connect({ level: 4, flags: 0x06, rest: w }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-11] closes on will fields without a will flag', 4, connect({ level: 4, rest: join(w, x) }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-11] [MQTT-3.1.2-13] closes on will QoS 1 without a will', 4, connect({ level: 4, flags: 0x0a }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-13] closes on will QoS 2 without a will', 4, connect({ level: 4, flags: 0x12 }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-13] closes on will QoS 3 without a will', 4, connect({ level: 4, flags: 0x1a }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-14] closes on will QoS 3', 4, connect({ level: 4, flags: 0x1e, rest: join(w, x) }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-15] closes on will retain without a will', 4, connect({ level: 4, flags: 0x22 }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-18] closes on a user name without its flag', 4, connect({ level: 4, rest: field('u') }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-19] closes on a user name flag without user name', 4, connect({ level: 4, flags: 0x82 }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-20] closes on a password without its flag', 4, connect({ level: 4, flags: 0x82, rest: join(field('u'), field('p')) }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-21] closes on a password flag without password', 4, connect({ level: 4, flags: 0xc2, rest: field('u') }), 'closed'],
  ['v3.1.1 [MQTT-3.1.2-22] closes on a password without a user name', 4, connect({ level: 4, flags: 0x42, rest: field('p') }), 'closed'],

  // Payload.
  ['v5 [MQTT-3.1.3-3] refuses a payload without client identifier', 5, '10 0b 0004 4d515454 05 02 003c 00', malformed],
  ['v5 [MQTT-3.1.3-4] refuses a client identifier that is not UTF-8', 5, connect({ clientId: Uint8Array.of(0x63, 0xff) }), malformed],
  ['v5 [MQTT-3.1.3-11] refuses a will topic that is not UTF-8', 5, connect({ flags: 0x06, rest: will(field(Uint8Array.of(0x77, 0xff)), x) }), malformed],
  ['v5 [MQTT-3.1.3-12] refuses a user name that is not UTF-8', 5, connect({ flags: 0x82, rest: field(Uint8Array.of(0x75, 0xff)) }), malformed],
  ['v3.1.1 [MQTT-3.1.3-3] closes on a payload without client identifier', 4, '10 0a 0004 4d515454 04 02 003c', 'closed'],
  ['v3.1.1 [MQTT-3.1.3-4] closes on a client identifier that is not UTF-8', 4, connect({ level: 4, clientId: Uint8Array.of(0x63, 0xff) }), 'closed'],
  ['v3.1.1 [MQTT-3.1.3-10] closes on a will topic that is not UTF-8', 4, connect({ level: 4, flags: 0x06, rest: join(field(Uint8Array.of(0x77, 0xff)), x) }), 'closed'],
  ['v3.1.1 [MQTT-3.1.3-11] closes on a user name that is not UTF-8', 4, connect({ level: 4, flags: 0x82, rest: field(Uint8Array.of(0x75, 0xff)) }), 'closed'],
  ['v5 [MQTT-4.7.0-1] [MQTT-4.7.3-1] refuses a will topic with a wildcard', 5, connect({ flags: 0x06, rest: will(field('w/#'), x) }), malformed],
  ['v3.1.1 [MQTT-4.7.1-1] closes on a will topic with a wildcard', 4, connect({ level: 4, flags: 0x06, rest: join(field('+/w'), x) }), 'closed'],
  ['v5 [MQTT-4.7.3-1] refuses an empty will topic', 5, connect({ flags: 0x06, rest: will('0000', x) }), malformed],
  ['v3.1.1 [MQTT-4.7.3-1] closes on an empty will topic', 4, connect({ level: 4, flags: 0x06, rest: join('0000', x) }), 'closed'],

  // Properties.
  ['v5 [MQTT-3.1.4-1] refuses a property length past the end', 5, packet(0x10, field('MQTT'), '05 02 003c 7f', field('c1')), malformed],
  ['v5 [MQTT-3.1.4-1] refuses a property that no packet has', 5, connect({ properties: '7e 00' }), malformed],
  ['v5 [MQTT-3.1.4-1] refuses a property of PUBLISH', 5, connect({ properties: '01 01' }), malformed],
  ['v5 [MQTT-3.1.4-1] refuses a property of the will among those of CONNECT', 5, connect({ properties: '18 00000001' }), malformed],
  ['v5 [MQTT-3.1.4-1] refuses a property of CONNECT in the will', 5, connect({ flags: 0x06, rest: join('05 11 00000001', w, x) }), malformed],
  ['v5 [MQTT-3.1.4-1] refuses a property cut short', 5, connect({ properties: '11 0000' }), malformed],
  ['v5 [MQTT-3.1.4-1] refuses two Session Expiry Intervals', 5, connect({ properties: '11 00000001 11 00000001' }), protocolError],
  ['v5 [MQTT-3.1.4-1] refuses two Will Delay Intervals', 5, connect({ flags: 0x06, rest: join('0a 18 00000001 18 00000001', w, x) }), protocolError],
  ['v5 [MQTT-3.1.4-1] refuses Receive Maximum 0', 5, connect({ properties: '21 0000' }), protocolError],
  ['v5 [MQTT-3.1.4-1] refuses Maximum Packet Size 0', 5, connect({ properties: '27 00000000' }), protocolError],
  ['v5 [MQTT-3.1.4-1] refuses Request Problem Information 2', 5, connect({ properties: '17 02' }), protocolError],
  ['v5 [MQTT-3.1.4-1] refuses Request Response Information 2', 5, connect({ properties: '19 02' }), protocolError],
  ['v5 [MQTT-3.1.4-1] refuses Payload Format Indicator 2 in the will', 5, connect({ flags: 0x06, rest: join('02 01 02', w, x) }), protocolError],
  ['v5 [MQTT-3.1.4-1] refuses a will payload that is not the UTF-8 it claims to be', 5, connect({ flags: 0x06, rest: join('02 01 01', w, '0001 ff') }), '2003009900 closed'],
  ['v5 [MQTT-3.3.2-14] refuses a will whose Response Topic has a wildcard', 5, connect({ flags: 0x06, rest: join('04 08 0001 23', w, x) }), protocolError],
];

for (const [name, version, send, expected] of rows) {
  test(name, () => {
    const t = new TestBroker();
    const watcher = t.connect({ clientId: 'watcher' });
    watcher.subscribe('#', 2);
    expect(answer(version, [send], t)).toBe(expected);
    // No session was made, no will was kept, and whoever else is there stays.
    t.advance(10_000);
    expect([...t.broker.sessions.keys()]).toEqual(['watcher']);
    watcher.expectNothing();
    expect(watcher.isClosed).toBe(false);
  });
}
