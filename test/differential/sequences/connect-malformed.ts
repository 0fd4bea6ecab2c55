/** CONNECT that is not well-formed. */
import { type Bytes, bytes, type Connect, connect, field, packet, u16, u32, type Version } from '../bytes.ts';
import { badText } from './bad-text.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const connectMalformedSequences = list.sequences;

/** @param what may need the tag as client identifier: Mosquitto takes some of these, and nobody may take them over */
function add(name: string, what: Bytes | ((tag: string) => Bytes)): void {
  list.add(`connect malformed: ${name}`, (s) => {
    s.open('a');
    s.fatal('a', typeof what === 'function' ? what(s.tag) : what);
  });
}

const head = (version: Version, flags: number): Uint8Array =>
  bytes(field(version === 3 ? 'MQIsdp' : 'MQTT'), Uint8Array.of(version, flags), u16(0), version === 5 ? '00' : '');

for (const version of [3, 4, 5] as const) {
  const v = `v${version}`;
  const bad = (name: string, options: Connect) =>
    add(`${v} ${name}`, (tag) => connect({ version, clientId: tag, ...options }));
  bad('reserved flag', { flags: 3 });
  bad('will flag without will', { flags: 6 });
  bad('will QoS 1 without will', { flags: 0x0a });
  bad('will QoS 2 without will', { flags: 0x12 });
  bad('will QoS 3 without will', { flags: 0x1a });
  bad('will retain without will', { flags: 0x22 });
  bad('will QoS 3', { will: { topic: 'w', qos: 3 } });
  bad('will topic empty', { will: { topic: '' } });
  bad('will topic with #', { will: { topic: 'w/#' } });
  bad('will topic with +', { will: { topic: 'w/+/x' } });
  add(
    `${v} will without payload field`,
    packet(0x10, head(version, 6), field('c'), version === 5 ? '00' : '', field('w')),
  );
  bad('user name flag without user name', { flags: 0x82 });
  bad('password flag without password', { flags: 0xc2, rest: field('u') });
  bad('user name without its flag', { rest: field('u') });
  bad('password without its flag', { username: 'u', rest: field('p') });
  bad('a byte too many', { rest: '00' });
  add(`${v} ends before the client identifier`, packet(0x10, head(version, 2)));
  add(`${v} ends in the client identifier`, packet(0x10, head(version, 2), '0005 6161'));
  add(`${v} ends before the flags`, packet(0x10, field(version === 3 ? 'MQIsdp' : 'MQTT'), Uint8Array.of(version)));
  add(`${v} ends in the keep alive`, packet(0x10, head(version, 2).subarray(0, version === 3 ? 11 : 9)));
  for (const flags of [1, 2, 4, 8]) bad(`first byte 1${flags}`, { firstByte: 0x10 | flags });
  for (const [name, text] of badText) {
    bad(`client identifier with ${name}`, { clientId: text });
    bad(`will topic with ${name}`, { will: { topic: text } });
    bad(`user name with ${name}`, { username: text });
  }
}

for (const name of ['', 'MQT', 'MQTU', 'MQTTT', 'mqtt', 'MQIsdq', 'MQTTSN']) {
  add(`v4 protocol name '${name}'`, (tag) => connect({ version: 4, clientId: tag, name }));
}
add('v4 under the name of v3', (tag) => connect({ version: 4, clientId: tag, name: 'MQIsdp' }));
add('v3 under the name of v4', (tag) => connect({ version: 3, clientId: tag, name: 'MQTT' }));
for (const level of [0, 1, 2, 6, 7, 127, 0x80, 0x85, 0xff]) {
  add(`level ${level} of MQTT`, (tag) => connect({ version: 4, clientId: tag, level }));
}
for (const level of [2, 5, 6]) add(`level ${level} of MQIsdp`, (tag) => connect({ version: 3, clientId: tag, level }));
add('empty', '1000');
add('v4 of 5 bytes of length', '10 8080808001');
add('v4 of 150000 bytes', (tag) => connect({ version: 4, clientId: tag, rest: new Uint8Array(150_000) }));

const bad5 = (name: string, options: Connect) => add(`v5 ${name}`, (tag) => connect({ clientId: tag, ...options }));
bad5('Receive Maximum 0', { properties: bytes('21', u16(0)) });
bad5('Maximum Packet Size 0', { properties: bytes('27', u32(0)) });
bad5('Request Problem Information 2', { properties: '1702' });
bad5('Request Response Information 2', { properties: '1902' });
bad5('Authentication Data without a method', { properties: bytes('16', field('x')) });
bad5('will Payload Format Indicator 2', { will: { topic: 'w', properties: '0102' } });
bad5('will Response Topic empty', { will: { topic: 'w', properties: bytes('08', field('')) } });
bad5('will Response Topic with +', { will: { topic: 'w', properties: bytes('08', field('a/+')) } });
bad5('will payload that is not the UTF-8 it claims to be', {
  will: { topic: 'w', payload: Uint8Array.of(0xff), properties: '0101' },
});
add('v5 properties longer than the packet', packet(0x10, field('MQTT'), '05020000', '7f', field('c')));
add('v5 without properties', packet(0x10, field('MQTT'), '05020000'));
add('v5 property length of 5 bytes', packet(0x10, field('MQTT'), '05020000', '8080808001', field('c')));
add('v5 property length longer than needed', packet(0x10, field('MQTT'), '05020000', '8000', field('c')));
