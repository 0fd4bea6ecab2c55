/** CONNECT that is well-formed, and what is refused without being malformed. */
import { type Bytes, bytes, type Connect, connect, field, PINGREQ, u16, u32, utf8, type Version } from '../bytes.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const connectSequences = list.sequences;

/** CONNECT and its answer. */
function add(name: string, options: Connect, broker?: Parameters<typeof list.add>[2]): void {
  list.add(`connect: ${name}`, (s) => s.connect('a', options), broker);
}

const versions: readonly Version[] = [3, 4, 5];

for (const version of versions) {
  const v = `v${version}`;
  add(`${v} clean`, { version });
  add(`${v} not clean`, { version, clean: false });
  add(`${v} keep alive 0`, { version, keepAlive: 0 });
  add(`${v} keep alive 60`, { version, keepAlive: 60 });
  add(`${v} keep alive 65535`, { version, keepAlive: 65_535 });
  add(`${v} empty client identifier, clean`, { version, clientId: '' });
  add(`${v} empty client identifier, not clean`, { version, clientId: '', clean: false });
  add(`${v} client identifier of 24 bytes`, { version, clientId: `${v}-0123456789012345678901` });
  add(`${v} client identifier of 1000 bytes`, { version, clientId: v.repeat(500) });
  add(`${v} client identifier beyond ASCII`, { version, clientId: `${v}-é-日本-😀` });
  add(`${v} client identifier with blanks and wildcards`, { version, clientId: `${v} a/+/#` });
  add(`${v} user name`, { version, username: 'u' });
  add(`${v} user name and password`, { version, username: 'u', password: 'p' });
  add(`${v} empty user name`, { version, username: '' });
  add(`${v} empty user name and password`, { version, username: '', password: '' });
  add(`${v} binary password`, { version, username: 'u', password: Uint8Array.of(0, 255, 0x80) });
  add(`${v} password without user name`, { version, password: 'p' });
  for (const qos of [0, 1, 2]) {
    for (const retain of [false, true]) {
      add(`${v} will at QoS ${qos}${retain ? ' retained' : ''}`, {
        version,
        will: { topic: 'will', payload: 'x', qos, retain },
      });
    }
  }
  add(`${v} will without payload`, { version, will: { topic: 'will' } });
  add(`${v} will, user name and password`, { version, will: { topic: 'w' }, username: 'u', password: 'p' });
  add(`${v} will on $SYS`, { version, will: { topic: '$SYS/broker/uptime', payload: 'x' } });
  add(`${v} will on a $CONTROL topic`, { version, will: { topic: '$CONTROL/dynamic-security/v1', payload: 'x' } });
  add(`${v} will on $share`, { version, will: { topic: '$share/a/b', payload: 'x' } });
  list.add(`connect: ${v} a second CONNECT`, (s) => {
    s.connect('a', { version });
    s.fatal('a', connect({ version, clientId: s.tag }));
  });
  list.add(`connect: ${v} one byte at a time`, (s) => {
    s.open('a');
    const all = connect({ version, clientId: s.tag, will: { topic: 'w', payload: 'x' } });
    for (let i = 0; i < all.length - 1; i++) s.send('a', all.subarray(i, i + 1), 'nothing');
    s.send('a', all.subarray(all.length - 1), 'packet');
  });
  list.add(`connect: ${v} and PINGREQ in one chunk`, (s) => {
    s.open('a');
    s.send('a', bytes(connect({ version, clientId: s.tag }), PINGREQ), 'packet');
  });
}

add('v3 bridge', { version: 3, level: 0x83 });
add('v4 bridge', { version: 4, level: 0x84 });

const connectProperties: Readonly<Record<string, Bytes>> = {
  'Session Expiry Interval 0': bytes('11', u32(0)),
  'Session Expiry Interval 1': bytes('11', u32(1)),
  'Session Expiry Interval of no end': bytes('11', u32(0xffff_ffff)),
  'Receive Maximum 1': bytes('21', u16(1)),
  'Receive Maximum 65535': bytes('21', u16(65_535)),
  'Maximum Packet Size 20': bytes('27', u32(20)),
  'Maximum Packet Size of no end': bytes('27', u32(0xffff_ffff)),
  'Maximum Packet Size 2, too small for a CONNACK': bytes('27', u32(2)),
  'Topic Alias Maximum 0': bytes('22', u16(0)),
  'Topic Alias Maximum 5': bytes('22', u16(5)),
  'Request Response Information 0': '1900',
  'Request Response Information 1': '1901',
  'Request Problem Information 0': '1700',
  'Request Problem Information 1': '1701',
  'a User Property': bytes('26', field('name'), field('value')),
  'a User Property twice': bytes('26', field('name'), field('value'), '26', field('name'), field('value')),
  'an empty User Property': bytes('26', field(''), field('')),
  'an Authentication Method': bytes('15', field('none')),
  'an Authentication Method and data': bytes('15', field('none'), '16', field('x')),
};
for (const [name, properties] of Object.entries(connectProperties)) add(`v5 with ${name}`, { properties });

const willProperties: Readonly<Record<string, Bytes>> = {
  'Will Delay Interval 1': bytes('18', u32(1)),
  'Payload Format Indicator 0': '0100',
  'Payload Format Indicator 1': '0101',
  'Message Expiry Interval 1': bytes('02', u32(1)),
  'a Content Type': bytes('03', field('text/plain')),
  'an empty Content Type': bytes('03', field('')),
  'a Response Topic': bytes('08', field('r')),
  'Correlation Data': bytes('09', field(Uint8Array.of(0, 255))),
  'a User Property': bytes('26', field('n'), field('v')),
};
for (const [name, properties] of Object.entries(willProperties)) {
  add(`v5 will with ${name}`, { will: { topic: 'w', payload: 'x', properties } });
}

for (const version of [4, 5] as const) {
  const v = `v${version}`;
  add(`${v} will above the maximum QoS`, { version, will: { topic: 'w', qos: 2 } }, { broker: 'qos-1-no-retain' });
  add(`${v} will at the maximum QoS`, { version, will: { topic: 'w', qos: 1 } }, { broker: 'qos-1-no-retain' });
  add(
    `${v} retained will without retain`,
    { version, will: { topic: 'w', retain: true } },
    { broker: 'qos-1-no-retain' },
  );
  add(`${v} empty client identifier where it is not allowed`, { version, clientId: '' }, { broker: 'no-empty-id' });
  add(`${v} will payload above the limit`, { version, will: { topic: 'w', payload: 'xy' } }, { broker: 'payload-1' });
  add(`${v} will payload at the limit`, { version, will: { topic: 'w', payload: 'x' } }, { broker: 'payload-1' });
}
for (const version of versions) {
  for (const keepAlive of [0, 59, 60, 61]) {
    add(
      `v${version} keep alive ${keepAlive} where 60 is the maximum`,
      { version, keepAlive },
      { broker: 'keepalive-60' },
    );
  }
}
add('v5 on a listener without topic aliases', {}, { broker: 'no-alias' });
add('v5 where Receive Maximum is 1', {}, { broker: 'inflight-1' });
add('v5 where Maximum Packet Size is 40', {}, { broker: 'packet-40' });
add('v5 where retain and QoS 2 are not available', {}, { broker: 'qos-1-no-retain' });
list.add(
  'connect: v5 larger than Maximum Packet Size',
  (s) => {
    s.open('a');
    s.fatal('a', connect({ clientId: 'x'.repeat(100) }));
  },
  { broker: 'packet-40' },
);

/** What is no CONNECT on a new connection. */
const firstPackets: Readonly<Record<string, Bytes>> = {
  CONNACK: '20020000',
  PUBLISH: '3006000361626378',
  PUBACK: '40020001',
  PUBREC: '50020001',
  PUBREL: '62020001',
  PUBCOMP: '70020001',
  SUBSCRIBE: '8206000100016100',
  SUBACK: '9003000100',
  UNSUBSCRIBE: 'a205000100016100',
  UNSUBACK: 'b0020001',
  PINGREQ: 'c000',
  PINGRESP: 'd000',
  DISCONNECT: 'e000',
  AUTH: 'f000',
  'packet type 0': '0000',
  'an HTTP request': utf8('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  'a TLS handshake': '160301002a0100002603030000',
};
for (const [name, first] of Object.entries(firstPackets)) {
  list.add(`connect: first comes ${name}`, (s) => {
    s.open('a');
    s.fatal('a', first);
  });
}
