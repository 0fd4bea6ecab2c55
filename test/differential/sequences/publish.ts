/** PUBLISH towards the broker and its acknowledgements, in right and wrong order. */
import { Ack, ack, type Bytes, bytes, field, publish, subscribe, u16, u32, type Version } from '../bytes.ts';
import { badText } from './bad-text.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const publishSequences = list.sequences;

const { puback, pubrec, pubrel, pubcomp } = Ack;

for (const version of [3, 4, 5] as const) {
  const v = `v${version}`;
  for (const qos of [0, 1, 2]) {
    for (const granted of [0, 1, 2]) {
      list.add(`publish: ${v} QoS ${qos} to its own subscription at QoS ${granted}`, (s) => {
        s.connect('a', { version });
        s.send('a', subscribe(version, 1, [[s.topic('t'), granted]]));
        s.send('a', publish(version, s.topic('t'), 'x', { qos, id: 300 }));
        if (qos === 2) s.send('a', ack(pubrel, 300));
      });
    }
  }
  list.add(`publish: ${v} QoS 1 without a receiver`, (s) => {
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 1, id: 1234 }));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 1, id: 1234, dup: true }));
  });
  list.add(`publish: ${v} QoS 2 without a receiver`, (s) => {
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 1234 }));
    s.send('a', ack(pubrel, 1234));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 1234, dup: true }));
    s.send('a', ack(pubrel, 1234));
  });
  list.add(`publish: ${v} retained QoS 1 and 2 without a receiver`, (s) => {
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 1, id: 1, retain: true }));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 2, retain: true }));
    s.send('a', ack(pubrel, 2));
  });
  list.add(`publish: ${v} QoS 2 twice before PUBREL`, (s) => {
    s.connect('b', { version });
    s.send('b', subscribe(version, 1, [[s.topic('t'), 0]]));
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 7 }));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 7, dup: true }));
    s.send('a', ack(pubrel, 7));
    s.send('a', ack(pubrel, 7));
  });
  list.add(`publish: ${v} QoS 2 three times before PUBREL`, (s) => {
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 7 }));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 7, dup: true }));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 7, dup: true }), 'close');
  });
  list.add(`publish: ${v} another QoS 2 message under an identifier in use`, (s) => {
    s.connect('b', { version });
    s.send('b', subscribe(version, 1, [[s.topic('#'), 0]]));
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 7 }));
    s.send('a', publish(version, s.topic('u'), 'x', { qos: 2, id: 7 }));
    s.send('a', ack(pubrel, 7));
  });
  list.add(`publish: ${v} another payload under an identifier in use`, (s) => {
    s.connect('b', { version });
    s.send('b', subscribe(version, 1, [[s.topic('#'), 0]]));
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), '', { qos: 2, id: 7 }));
    s.send('a', publish(version, s.topic('t'), 'p', { qos: 2, id: 7 }));
    s.send('a', publish(version, s.topic('t'), '', { qos: 2, id: 7 }));
    s.send('a', ack(pubrel, 7));
  });
  list.add(`publish: ${v} QoS 1 under the identifier of a QoS 2 message in use`, (s) => {
    s.connect('b', { version });
    s.send('b', subscribe(version, 1, [[s.topic('#'), 0]]));
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'two', { qos: 2, id: 7 }));
    s.send('a', publish(version, s.topic('t'), 'one', { qos: 1, id: 7 }));
    s.send('a', ack(pubrel, 7));
  });
  list.add(`publish: ${v} several QoS 2 messages released out of order`, (s) => {
    s.connect('b', { version });
    s.send('b', subscribe(version, 1, [[s.topic('#'), 0]]));
    s.connect('a', { version });
    for (const id of [1, 2, 3]) s.send('a', publish(version, s.topic('t'), `${id}`, { qos: 2, id }));
    for (const id of [2, 1, 3]) s.send('a', ack(pubrel, id));
  });
  list.add(`publish: ${v} PUBREL, PUBACK, PUBREC and PUBCOMP of nothing`, (s) => {
    s.connect('a', { version });
    s.send('a', ack(puback, 1));
    s.send('a', ack(pubcomp, 1));
    s.send('a', ack(pubrel, 1));
  });
  list.add(`publish: ${v} PUBREC of nothing`, (s) => {
    s.connect('a', { version });
    s.send('a', ack(pubrec, 1));
  });

  /** What a subscriber does wrong with a message it got. */
  const answers: readonly (readonly [name: string, qos: number, wrong: Bytes, before: readonly Bytes[]])[] = [
    ['PUBREC for QoS 1', 1, ack(pubrec, 1), []],
    ['PUBCOMP for QoS 1', 1, ack(pubcomp, 1), []],
    ['PUBREL for QoS 1', 1, ack(pubrel, 1), []],
    ['PUBACK for QoS 2', 2, ack(puback, 1), []],
    ['PUBCOMP for QoS 2', 2, ack(pubcomp, 1), []],
    ['PUBACK after PUBREL', 2, ack(puback, 1), [ack(pubrec, 1)]],
    ['a second PUBREC', 2, ack(pubrec, 1), [ack(pubrec, 1)]],
    ['a second PUBACK', 1, ack(puback, 1), [ack(puback, 1)]],
    ['a second PUBCOMP', 2, ack(pubcomp, 1), [ack(pubrec, 1), ack(pubcomp, 1)]],
    ['PUBACK of another identifier', 1, ack(puback, 2), []],
  ];
  for (const [name, qos, wrong, before] of answers) {
    list.add(`publish: ${v} the receiver answers with ${name}`, (s) => {
      s.connect('a', { version });
      s.send('a', subscribe(version, 1, [[s.topic('t'), 2]]));
      s.connect('b');
      s.send('b', publish(5, s.topic('t'), 'x', { qos, id: 9 }));
      if (qos === 2) s.send('b', ack(pubrel, 9));
      for (const one of before) s.send('a', one);
      s.send('a', wrong, 'close');
    });
  }

  const fatal = (name: string, what: (tag: string) => Bytes) =>
    list.add(`publish: ${v} ${name}`, (s) => {
      s.connect('a', { version });
      s.fatal('a', what(s.tag));
    });
  fatal('QoS 3', (tag) => publish(version, tag, 'x', { qos: 3, id: 1 }));
  fatal('QoS 0 with DUP', (tag) => publish(version, tag, 'x', { dup: true }));
  fatal('packet identifier 0 at QoS 1', (tag) => publish(version, tag, 'x', { qos: 1, id: 0 }));
  fatal('packet identifier 0 at QoS 2', (tag) => publish(version, tag, 'x', { qos: 2, id: 0 }));
  fatal('empty topic', () => publish(version, '', 'x'));
  fatal('topic with +', (tag) => publish(version, `${tag}/+`, 'x'));
  fatal('topic with #', (tag) => publish(version, `${tag}/#`, 'x'));
  fatal('topic with + inside a level', (tag) => publish(version, `${tag}+x`, 'x'));
  fatal('topic of 301 levels', () => publish(version, '/'.repeat(300), 'x', { qos: 1 }));
  fatal('topic of 65536 levels', () => publish(version, '/'.repeat(65_535), 'x', { qos: 1 }));
  fatal('topic longer than the packet', () => '3003 0005 61');
  fatal('body empty', () => '3000');
  fatal('body of one byte', () => '300100');
  fatal('without packet identifier', (tag) => bytes('32', '06', field(tag)));
  for (const [name, text] of badText) fatal(`topic with ${name}`, () => publish(version, text, 'x', { qos: 1 }));
  list.add(`publish: ${v} topic of 200 slashes`, (s) => {
    s.connect('a', { version });
    s.send('a', publish(version, '/'.repeat(200), 'x', { qos: 1 }));
  });
  list.add(`publish: ${v} topic beyond ASCII`, (s) => {
    s.connect('a', { version });
    s.send('a', subscribe(version, 1, [[s.topic('+'), 0]]));
    s.send('a', publish(version, s.topic('A𪛔é'), 'x'));
  });
  list.add(`publish: ${v} without payload`, (s) => {
    s.connect('a', { version });
    s.send('a', subscribe(version, 1, [[s.topic('t'), 1]]));
    s.send('a', publish(version, s.topic('t'), ''));
    s.send('a', publish(version, s.topic('t'), '', { qos: 1 }));
  });
  list.add(`publish: ${v} 20000 bytes`, (s) => {
    s.connect('a', { version });
    s.send('a', subscribe(version, 1, [[s.topic('t'), 1]]));
    s.send('a', publish(version, s.topic('t'), 'x'.repeat(20_000)));
    s.send('a', publish(version, s.topic('t'), 'x'.repeat(20_000), { qos: 1 }));
  });
  for (const topic of ['$SYS/broker/uptime', '$SYS/broker/connection/me', '$SYS', '$SYS/x', '$share/g/t']) {
    list.add(`publish: ${v} on ${topic}`, (s) => {
      s.connect('a', { version });
      s.send('a', publish(version, topic, 'x'));
      s.send('a', publish(version, topic, 'x', { qos: 1, id: 1 }));
      s.send('a', publish(version, topic, 'x', { qos: 2, id: 2 }));
      s.send('a', ack(pubrel, 2));
    });
  }
  list.add(`publish: ${v} on the state of a bridge`, (s) => {
    s.connect('a', { version });
    s.send('a', publish(version, `$SYS/broker/connection/${s.tag}/state`, 'x', { qos: 1, id: 1 }));
  });
  list.add(`publish: ${v} on another $ topic`, (s) => {
    s.connect('b', { version });
    s.send(
      'b',
      subscribe(version, 1, [
        [`$${s.tag}/#`, 0],
        [`+/${s.tag}`, 0],
      ]),
    );
    s.connect('a', { version });
    s.send('a', publish(version, `$${s.tag}/${s.tag}`, 'x', { qos: 1, id: 1 }));
  });
  list.add(
    `publish: ${v} above the maximum QoS`,
    (s) => {
      s.connect('a', { version });
      s.fatal('a', publish(version, s.topic('t'), 'x', { qos: 2 }));
    },
    { broker: 'qos-1-no-retain' },
  );
  list.add(
    `publish: ${v} retained where retain is not available`,
    (s) => {
      s.connect('a', { version });
      s.fatal('a', publish(version, s.topic('t'), 'x', { retain: true }));
    },
    { broker: 'qos-1-no-retain' },
  );
  for (const qos of [0, 1, 2]) {
    list.add(
      `publish: ${v} payload above the limit at QoS ${qos}`,
      (s) => {
        s.connect('b', { version });
        s.send('b', subscribe(version, 1, [[s.topic('t'), 2]]));
        s.connect('a', { version });
        s.send('a', publish(version, s.topic('t'), 'x', { qos, id: 1 }));
        s.send('a', publish(version, s.topic('t'), 'xy', { qos, id: 2 }));
        if (qos === 2) s.send('a', ack(pubrel, 2));
      },
      { broker: 'payload-1' },
    );
  }
}

for (const reasonCode of [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99, 0x01, 0x92, 0xff]) {
  for (const [name, first, qos] of [
    ['PUBACK', puback, 1],
    ['PUBREC', pubrec, 2],
  ] as const) {
    list.add(`publish: v5 ${name} with reason 0x${reasonCode.toString(16)}`, (s) => {
      s.connect('a');
      s.send('a', subscribe(5, 1, [[s.topic('t'), 2]]));
      s.connect('b');
      s.send('b', publish(5, s.topic('t'), 'x', { qos, id: 9 }));
      if (qos === 2) s.send('b', ack(pubrel, 9));
      const isValid = ![0x01, 0x92, 0xff].includes(reasonCode);
      s.send('a', ack(first, 1, reasonCode), isValid ? 'ping' : 'close');
    });
  }
}
for (const reasonCode of [0x00, 0x92, 0x10, 0x80, 0xff]) {
  for (const [name, first] of [
    ['PUBREL', pubrel],
    ['PUBCOMP', pubcomp],
  ] as const) {
    list.add(`publish: v5 unasked ${name} with reason 0x${reasonCode.toString(16)}`, (s) => {
      s.connect('a');
      s.send('a', ack(first, 1, reasonCode), reasonCode === 0 || reasonCode === 0x92 ? 'ping' : 'close');
    });
  }
}
/** Every length that an acknowledgement may have. */
const layouts: readonly (readonly [name: string, reasonCode: number | undefined, properties: Bytes | undefined])[] = [
  ['two bytes', undefined, undefined],
  ['a reason', 0, undefined],
  ['no properties', 0, ''],
  ['a Reason String', 0, bytes('1f', field('why'))],
  ['User Properties', 0, bytes('26', field('n'), field('v'), '26', field('n'), field('v'))],
];
for (const [name, reasonCode, properties] of layouts) {
  list.add(`publish: v5 acknowledgements with ${name}`, (s) => {
    s.connect('a');
    s.send('a', subscribe(5, 1, [[s.topic('t'), 2]]));
    s.send('a', publish(5, s.topic('t'), 'x', { qos: 1, id: 5 }));
    s.send('a', ack(puback, 1, reasonCode, properties));
    s.send('a', publish(5, s.topic('t'), 'x', { qos: 2, id: 6 }));
    s.send('a', ack(pubrel, 6, reasonCode, properties));
    s.send('a', ack(pubrec, 2, reasonCode, properties));
    s.send('a', ack(pubcomp, 2, reasonCode, properties));
    s.send('a', publish(5, s.topic('t'), 'x', { qos: 1, id: 7 }));
  });
}

/** Properties that go with the message to MQTT 5 receivers, and to no other. */
const forwarded: Readonly<Record<string, Bytes>> = {
  'Payload Format Indicator 0': '0100',
  'Payload Format Indicator 1': '0101',
  'Message Expiry Interval': bytes('02', u32(1_000)),
  'a Content Type': bytes('03', field('text/plain')),
  'an empty Content Type': bytes('03', field('')),
  'a Response Topic': bytes('08', field('r/t')),
  'Correlation Data': bytes('09', field(Uint8Array.of(0, 255))),
  'empty Correlation Data': bytes('09', field('')),
  'a User Property': bytes('26', field('n'), field('v')),
  'User Properties in order': bytes(
    '26',
    field('b'),
    field('1'),
    '26',
    field('a'),
    field('2'),
    '26',
    field('b'),
    field('1'),
  ),
  'all in another order': bytes(
    '26',
    field('k'),
    field('v'),
    '09',
    field('c'),
    '08',
    field('r'),
    '03',
    field('t'),
    '0101',
    '26',
    field('k'),
    field('w'),
  ),
  'expiry between others': bytes('08', field('r'), '02', u32(1_000), '0101'),
};
for (const [name, properties] of Object.entries(forwarded)) {
  list.add(`publish: v5 hands on ${name}`, (s) => {
    for (const version of [3, 4, 5] as const) {
      s.connect(`${version}`, { version });
      s.send(`${version}`, subscribe(version as Version, 1, [[s.topic('t'), 1]]));
    }
    s.connect('a');
    s.send('a', publish(5, s.topic('t'), 'x', { properties }));
    s.send('a', publish(5, s.topic('t'), 'y', { properties, qos: 1 }));
    s.send('a', publish(5, s.topic('t'), 'z', { properties, retain: true }));
    s.connect('late');
    s.send('late', subscribe(5, 1, [[s.topic('t'), 0]], '0b05'));
  });
}
const refused: Readonly<Record<string, Bytes>> = {
  'Payload Format Indicator 2': '0102',
  'an empty Response Topic': bytes('08', field('')),
  'a Response Topic with +': bytes('08', field('a/+')),
  'a Response Topic with #': bytes('08', field('#')),
  'a Subscription Identifier': '0b01',
  'Subscription Identifier 0': '0b00',
};
for (const [name, properties] of Object.entries(refused)) {
  list.add(`publish: v5 with ${name} is refused`, (s) => {
    s.connect('a');
    s.fatal('a', publish(5, s.topic('t'), 'x', { qos: 1, properties }));
  });
}
list.add('publish: v5 payload that is not the UTF-8 it claims to be', (s) => {
  s.connect('a');
  s.send('a', publish(5, s.topic('t'), Uint8Array.of(0xff), { qos: 1, properties: '0101' }));
});
for (const size of [1, 3]) {
  list.add(`publish: v5 property length of ${size} bytes too many`, (s) => {
    s.connect('a');
    s.fatal('a', bytes('30', Uint8Array.of(7 + size), field(s.tag), Uint8Array.of(size + 5), u16(1)));
  });
}
