/** Packets that are wrong on a connection that stands: fixed headers, acknowledgements, properties. */
import {
  type Bytes,
  bytes,
  connect,
  disconnect,
  field,
  packet,
  publish,
  section,
  subscribe,
  u16,
  u32,
  unsubscribe,
} from '../bytes.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const malformedSequences = list.sequences;

for (const version of [3, 4, 5] as const) {
  const v = `v${version}`;
  const fatal = (name: string, what: Bytes) =>
    list.add(`malformed: ${v} ${name}`, (s) => {
      s.connect('a', { version });
      s.fatal('a', what);
    });
  const properties = version === 5 ? '00' : '';
  const bodies: readonly (readonly [name: string, first: number, body: Bytes])[] = [
    ['PUBACK', 0x40, '0001'],
    ['PUBREC', 0x50, '0001'],
    ['PUBREL', 0x60, '0001'],
    ['PUBCOMP', 0x70, '0001'],
    ['SUBSCRIBE', 0x80, bytes('0001', properties, field('t'), '00')],
    ['UNSUBSCRIBE', 0xa0, bytes('0001', properties, field('t'))],
    ['PINGREQ', 0xc0, ''],
    ['DISCONNECT', 0xe0, ''],
  ];
  for (const [name, first, body] of bodies) {
    const right = first === 0x60 || first === 0x80 || first === 0xa0 ? 2 : 0;
    for (const flags of [0, 1, 2, 4, 8, 15]) {
      if (flags !== right) fatal(`${name} with flags ${flags}`, packet(first | flags, body));
    }
  }
  for (const [name, first] of [
    ['PUBACK', 0x40],
    ['PUBREC', 0x50],
    ['PUBREL', 0x62],
    ['PUBCOMP', 0x70],
  ] as const) {
    fatal(`${name} empty`, packet(first));
    fatal(`${name} of one byte`, packet(first, '01'));
    fatal(`${name} of packet identifier 0`, packet(first, '0000'));
    if (version !== 5) fatal(`${name} of three bytes`, packet(first, '000100'));
    else {
      fatal(`${name} a byte too many`, packet(first, '0001000000'));
      fatal(`${name} properties longer than the packet`, packet(first, '00010001'));
    }
  }
  fatal('PINGREQ with a body', 'c00100');
  fatal('PINGRESP', 'd000');
  fatal('PINGRESP with a body', 'd00100');
  fatal('CONNACK', version === 5 ? '2003000000' : '20020000');
  fatal('SUBACK', version === 5 ? '900400010000' : '9003000100');
  fatal('UNSUBACK', version === 5 ? 'b00400010000' : 'b0020001');
  fatal('AUTH', 'f000');
  fatal('AUTH with flags 1', 'f100');
  fatal('AUTH with reason 0x18', 'f00118');
  fatal('packet type 0', '0000');
  fatal('packet type 0 with flags', '0a00');
  if (version !== 5) fatal('DISCONNECT with a body', 'e00100');
  for (const first of [0x00, 0x20, 0x30, 0x40, 0x62, 0x82, 0xa2, 0xc0, 0xe0]) {
    fatal(
      `first byte ${first.toString(16).padStart(2, '0')} and 5 bytes of length`,
      bytes(Uint8Array.of(first), '8080808001'),
    );
  }
  for (const [name, length] of [
    ['two', '8000'],
    ['three', '808000'],
    ['four', '80808000'],
  ] as const) {
    list.add(`malformed: ${v} PINGREQ with a length of ${name} bytes`, (s) => {
      s.isQuiet = true;
      s.connect('a', { version });
      s.send('a', bytes('c0', length), 'packet');
    });
  }
}

list.add('ping: PINGREQ is answered', (s) => {
  s.isQuiet = true;
  for (const version of [3, 4, 5] as const) {
    s.connect(`${version}`, { version });
    s.send(`${version}`, 'c000', 'packet');
    s.send(`${version}`, 'c000c000', 'packet');
  }
  s.pause(100);
});

/** Every property: identifier, name, a value of its type. */
const properties: readonly (readonly [id: number, name: string, value: Bytes])[] = [
  [0x01, 'Payload Format Indicator', '00'],
  [0x02, 'Message Expiry Interval', u32(1)],
  [0x03, 'Content Type', field('p')],
  [0x08, 'Response Topic', field('p')],
  [0x09, 'Correlation Data', field('p')],
  [0x0b, 'Subscription Identifier', '01'],
  [0x11, 'Session Expiry Interval', u32(1)],
  [0x12, 'Assigned Client Identifier', field('p')],
  [0x13, 'Server Keep Alive', u16(5)],
  [0x15, 'Authentication Method', field('p')],
  [0x16, 'Authentication Data', field('p')],
  [0x17, 'Request Problem Information', '01'],
  [0x18, 'Will Delay Interval', u32(1)],
  [0x19, 'Request Response Information', '01'],
  [0x1a, 'Response Information', field('p')],
  [0x1c, 'Server Reference', field('p')],
  [0x1f, 'Reason String', field('p')],
  [0x21, 'Receive Maximum', u16(5)],
  [0x22, 'Topic Alias Maximum', u16(5)],
  [0x23, 'Topic Alias', u16(5)],
  [0x24, 'Maximum QoS', '01'],
  [0x25, 'Retain Available', '01'],
  [0x26, 'User Property', bytes(field('p'), field('q'))],
  [0x27, 'Maximum Packet Size', u32(100)],
  [0x28, 'Wildcard Subscription Available', '01'],
  [0x29, 'Subscription Identifier Available', '01'],
  [0x2a, 'Shared Subscription Available', '01'],
];

interface Holder {
  readonly name: string;
  readonly allowed: readonly number[];
  /** The packet with a property section; on a new connection where it is a CONNECT. */
  readonly make: (list: Bytes, tag: string) => Uint8Array;
  readonly isConnect?: true;
}

const holders: readonly Holder[] = [
  {
    name: 'CONNECT',
    allowed: [0x11, 0x15, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27],
    make: (properties, tag) => connect({ clientId: tag, properties }),
    isConnect: true,
  },
  {
    name: 'will',
    allowed: [0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26],
    make: (properties, tag) => connect({ clientId: tag, will: { topic: 'w', properties } }),
    isConnect: true,
  },
  {
    name: 'PUBLISH',
    allowed: [0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26],
    make: (properties) => publish(5, 'topic', 'x', { qos: 1, properties }),
  },
  { name: 'PUBACK', allowed: [0x1f, 0x26], make: (list) => packet(0x40, '000100', section(list)) },
  { name: 'PUBREC', allowed: [0x1f, 0x26], make: (list) => packet(0x50, '000100', section(list)) },
  { name: 'PUBREL', allowed: [0x1f, 0x26], make: (list) => packet(0x62, '000100', section(list)) },
  { name: 'PUBCOMP', allowed: [0x1f, 0x26], make: (list) => packet(0x70, '000100', section(list)) },
  { name: 'SUBSCRIBE', allowed: [0x0b, 0x26], make: (list) => subscribe(5, 1, [['t', 0]], list) },
  { name: 'UNSUBSCRIBE', allowed: [0x26], make: (list) => unsubscribe(5, 1, ['t'], list) },
  { name: 'DISCONNECT', allowed: [0x11, 0x1f, 0x26], make: (list) => disconnect(0, list) },
];

for (const { name: holder, allowed, make, isConnect = false } of holders) {
  const fatal = (name: string, properties: Bytes) =>
    list.add(`property: ${holder} with ${name}`, (s) => {
      if (isConnect) s.open('a');
      else s.connect('a');
      s.fatal('a', make(properties, s.tag));
    });
  for (const [id, name, value] of properties) {
    const one = bytes(Uint8Array.of(id), value);
    if (!allowed.includes(id)) fatal(`${name}, which is not its own`, one);
    else if (id !== 0x26) fatal(`${name} twice`, bytes(one, one));
    fatal(`${name} without a value`, Uint8Array.of(id));
    if (one.length > 3) fatal(`${name} cut short`, one.subarray(0, one.length - 1));
  }
  for (const id of [
    '00',
    '04',
    '0a',
    '10',
    '14',
    '1b',
    '1d',
    '1e',
    '20',
    '2b',
    '7f',
    '8001',
    'ff7f',
    '80808001',
    '8080808001',
  ]) {
    fatal(`unknown property ${id}`, bytes(id, '01'));
  }
  const empty = bytes('26', field(''), field(''));
  if (holder !== 'DISCONNECT' && !isConnect) {
    list.add(`property: ${holder} with empty User Properties`, (s) => {
      s.connect('a');
      s.send('a', make(bytes(empty, empty), s.tag));
    });
  }
}
for (const [name, body] of [
  ['no properties', '00'],
  ['a Reason String', section(bytes('1f', field('why')))],
  ['an empty Reason String', section(bytes('1f', field('')))],
  ['User Properties', section(bytes('26', field('n'), field('v')))],
  ['a Server Reference', section(bytes('1c', field('p')))],
] as const) {
  list.add(`disconnect: v5 with ${name}`, (s) => {
    s.connect('a');
    s.fatal('a', packet(0xe0, '00', body));
  });
}
