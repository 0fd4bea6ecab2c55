/** Topic aliases, packet sizes, Receive Maximum. */
import { Ack, ack, bytes, publish, subscribe, u16, u32 } from '../bytes.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const limitSequences = list.sequences;

const { puback, pubrec, pubrel, pubcomp } = Ack;

list.add('alias: v5 set and used', (s) => {
  s.connect('b', { version: 4 });
  s.send('b', subscribe(4, 1, [[s.topic('#'), 0]]));
  s.connect('a');
  s.send('a', subscribe(5, 1, [[s.topic('t'), 0]]));
  s.send('a', publish(5, s.topic('t'), '1', { properties: '230001' }));
  s.send('a', publish(5, '', '2', { properties: '230001' }));
  s.send('a', publish(5, s.topic('u'), '3', { properties: '230001' }));
  s.send('a', publish(5, '', '4', { properties: '230001' }));
  s.send('a', publish(5, s.topic('t'), '5', { properties: '23000a' }));
  s.send('a', publish(5, '', '6', { qos: 1, properties: '23000a' }));
});
for (const [name, alias] of [
  ['0', '230000'],
  ['11', '23000b'],
  ['65535', '23ffff'],
] as const) {
  list.add(`alias: v5 ${name} is refused`, (s) => {
    s.connect('a');
    s.fatal('a', publish(5, s.topic('t'), 'x', { properties: alias }));
  });
}
list.add('alias: v5 that is not set is refused', (s) => {
  s.connect('a');
  s.fatal('a', publish(5, '', 'x', { properties: '230003' }));
});
list.add('alias: v5 does not outlive its connection', (s) => {
  const options = { clean: false, properties: bytes('11', u32(100)) };
  s.connect('a', options);
  s.send('a', publish(5, s.topic('t'), 'x', { properties: '230001' }));
  s.drop('a');
  s.connect('a', options);
  s.fatal('a', publish(5, '', 'x', { properties: '230001' }));
});
list.add(
  'alias: v5 on a listener without aliases is refused',
  (s) => {
    s.connect('a');
    s.fatal('a', publish(5, s.topic('t'), 'x', { properties: '230001' }));
  },
  { broker: 'no-alias' },
);
list.add('alias: v5 of a message refused', (s) => {
  s.connect('a');
  s.send('a', publish(5, '$SYS/x', '1', { qos: 1, properties: '230001' }));
  s.send('a', publish(5, '', '2', { qos: 1, properties: '230001' }));
});
for (const maximum of [1, 2, 65_535]) {
  list.add(`alias: v5 the broker makes up to ${maximum}`, (s) => {
    s.connect('a', { properties: bytes('22', u16(maximum)) });
    s.send('a', subscribe(5, 1, [[s.topic('#'), 1]]));
    s.connect('b');
    for (const round of [1, 2]) {
      for (let i = 1; i <= 3; i++) s.send('b', publish(5, s.topic(`${i}`), `${round}`));
    }
    s.send('b', publish(5, s.topic('1'), 'x', { qos: 1 }));
    s.send('b', publish(5, s.topic('2'), 'x', { properties: bytes('0101', '02', u32(900)) }));
  });
}

for (const qos of [0, 1, 2]) {
  list.add(`packet size: v5 QoS ${qos} larger than the client takes is dropped`, (s) => {
    s.connect('a', { properties: bytes('27', u32(30)) });
    s.send('a', subscribe(5, 1, [[s.topic('t'), 2]]));
    s.connect('b');
    for (const [index, size] of [40, 4, 17, 18, 19, 20, 21].entries()) {
      s.send('b', publish(5, s.topic('t'), 'x'.repeat(size), { qos, id: index + 1 }));
      if (qos === 2) s.send('b', ack(pubrel, index + 1));
    }
  });
}
list.add('packet size: v5 a retained message larger than the client takes', (s) => {
  s.connect('b');
  s.send('b', publish(5, s.topic('t'), 'x'.repeat(100), { retain: true }));
  s.connect('a', { properties: bytes('27', u32(30)) });
  s.send('a', subscribe(5, 1, [[s.topic('t'), 1]]));
  s.send('b', publish(5, s.topic('t'), 'small', { qos: 1 }));
});
for (const version of [3, 4, 5] as const) {
  for (const size of [40, 41, 200]) {
    list.add(
      `packet size: v${version} a PUBLISH of ${size} bytes where 40 is the maximum`,
      (s) => {
        s.connect('a', { version });
        const overhead = publish(version, s.topic('t'), '', { qos: 1 }).length + (size > 127 ? 1 : 0);
        s.send(
          'a',
          publish(version, s.topic('t'), 'x'.repeat(size - overhead), { qos: 1 }),
          size > 40 ? 'close' : 'ping',
        );
      },
      { broker: 'packet-40' },
    );
  }
}

for (const maximum of [1, 2]) {
  list.add(`receive maximum: v5 ${maximum}, QoS 1`, (s) => {
    s.connect('a', { properties: bytes('21', u16(maximum)) });
    s.send('a', subscribe(5, 1, [[s.topic('t'), 1]]));
    s.connect('b');
    for (let i = 1; i <= 4; i++) s.send('b', publish(5, s.topic('t'), `${i}`, { qos: 1, id: i }));
    for (let i = 1; i <= 4; i++) s.send('a', ack(puback, i));
  });
  list.add(`receive maximum: v5 ${maximum}, QoS 2`, (s) => {
    s.connect('a', { properties: bytes('21', u16(maximum)) });
    s.send('a', subscribe(5, 1, [[s.topic('t'), 2]]));
    s.connect('b');
    for (let i = 1; i <= 3; i++) {
      s.send('b', publish(5, s.topic('t'), `${i}`, { qos: 2, id: i }));
      s.send('b', ack(pubrel, i));
    }
    for (let i = 1; i <= 3; i++) {
      s.send('a', ack(pubrec, i));
      s.send('a', ack(pubcomp, i));
    }
  });
}
list.add('receive maximum: v5 QoS 0 does not count', (s) => {
  s.connect('a', { properties: bytes('21', u16(1)) });
  s.send('a', subscribe(5, 1, [[s.topic('t'), 1]]));
  s.connect('b');
  s.send('b', publish(5, s.topic('t'), '1', { qos: 1 }));
  s.send('b', publish(5, s.topic('t'), '2'));
  s.send('b', publish(5, s.topic('t'), '3', { qos: 1 }));
  s.send('a', ack(puback, 1));
});
list.add('receive maximum: v5 a PUBREC with an error gives its place to the next', (s) => {
  s.connect('a', { properties: bytes('21', u16(1)) });
  s.send('a', subscribe(5, 1, [[s.topic('t'), 2]]));
  s.connect('b');
  for (let i = 1; i <= 2; i++) {
    s.send('b', publish(5, s.topic('t'), `${i}`, { qos: 2, id: i }));
    s.send('b', ack(pubrel, i));
  }
  s.send('a', ack(pubrec, 1, 0x80));
  s.send('a', ack(pubrec, 2));
});
for (const version of [3, 4, 5] as const) {
  list.add(`receive maximum: v${version} 20 QoS 2 messages not released`, (s) => {
    s.connect('a', { version });
    for (let id = 1; id <= 20; id++) s.send('a', publish(version, s.topic('t'), `${id}`, { qos: 2, id }));
    s.send('a', ack(pubrel, 1));
    s.send('a', publish(version, s.topic('t'), '21', { qos: 2, id: 21 }));
  });
  list.add(`receive maximum: v${version} a 21st QoS 2 message not released`, (s) => {
    s.connect('a', { version });
    for (let id = 1; id <= 20; id++) s.send('a', publish(version, s.topic('t'), `${id}`, { qos: 2, id }));
    s.send('a', publish(version, s.topic('t'), '21', { qos: 2, id: 21 }), 'close');
  });
  list.add(`receive maximum: v${version} 25 QoS 1 messages in one chunk`, (s) => {
    s.connect('a', { version });
    const all = Array.from({ length: 25 }, (_, i) => publish(version, s.topic('t'), 'x', { qos: 1, id: i + 1 }));
    s.send('a', bytes(...all));
  });
  list.add(
    `in flight: v${version} one at a time`,
    (s) => {
      s.connect('a', { version });
      s.send('a', subscribe(version, 1, [[s.topic('t'), 1]]));
      s.connect('b', { version });
      for (let id = 1; id <= 3; id++) s.send('b', publish(version, s.topic('t'), `${id}`, { qos: 1, id }));
      for (let id = 1; id <= 3; id++) s.send('a', ack(puback, id));
    },
    { broker: 'inflight-1' },
  );
  list.add(`in flight: v${version} 20 of 25`, (s) => {
    s.connect('a', { version });
    s.send('a', subscribe(version, 1, [[s.topic('t'), 1]]));
    s.connect('b', { version });
    for (let id = 1; id <= 25; id++) s.send('b', publish(version, s.topic('t'), `${id}`, { qos: 1, id }));
    for (const id of [1, 3, 2]) s.send('a', ack(puback, id));
  });
}
