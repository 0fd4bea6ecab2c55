/** What outlives a connection, takeover, and the wills that go with it. */
import { Ack, ack, bytes, disconnect, field, publish, subscribe, u16, u32, type Version } from '../bytes.ts';
import { type Script, SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const sessionSequences = list.sequences;

const { puback, pubrec, pubrel, pubcomp } = Ack;

/** Options of a client whose session stays. */
function staying(version: Version) {
  return { version, clean: false, ...(version === 5 ? { properties: bytes('11', u32(600)) } : {}) };
}

function subscriber(s: Script, version: Version, qos: number): void {
  s.connect('a', staying(version));
  s.send('a', subscribe(version, 1, [[s.topic('t'), qos]]));
}

for (const version of [3, 4, 5] as const) {
  const v = `v${version}`;
  list.add(`session: ${v} is present after a drop, gone after a clean start`, (s) => {
    s.connect('a', staying(version));
    s.drop('a');
    s.connect('a', staying(version));
    s.drop('a');
    s.connect('a', { version });
    s.drop('a');
    s.connect('a', staying(version));
  });
  list.add(`session: ${v} is present after DISCONNECT`, (s) => {
    s.connect('a', staying(version));
    s.send('a', disconnect(), 'close');
    s.connect('a', staying(version));
  });
  list.add(`session: ${v} is not present after a clean one`, (s) => {
    s.connect('a', { version });
    s.send('a', disconnect(), 'close');
    s.connect('a', staying(version));
  });
  list.add(`session: ${v} keeps its subscriptions`, (s) => {
    subscriber(s, version, 1);
    s.drop('a');
    s.connect('a', staying(version));
    s.connect('b');
    s.send('b', publish(5, s.topic('t'), 'x', { qos: 1 }));
  });
  for (const qos of [0, 1, 2]) {
    list.add(`session: ${v} queues QoS ${qos} while away`, (s) => {
      subscriber(s, version, 2);
      s.send('a', disconnect(), 'close');
      s.connect('b');
      for (const [index, text] of ['one', 'two', 'three'].entries()) {
        s.send('b', publish(5, s.topic('t'), text, { qos, id: index + 1 }));
        if (qos === 2) s.send('b', ack(pubrel, index + 1));
      }
      s.connect('a', staying(version));
    });
  }
  list.add(
    `session: ${v} queues QoS 0 where the option says so`,
    (s) => {
      subscriber(s, version, 1);
      s.send('a', disconnect(), 'close');
      s.connect('b');
      s.send('b', publish(5, s.topic('t'), 'one'));
      s.send('b', publish(5, s.topic('t'), 'two', { qos: 1 }));
      s.send('b', publish(5, s.topic('t'), 'three'));
      s.connect('a', staying(version));
    },
    { broker: 'queue-qos0' },
  );
  list.add(`session: ${v} resends QoS 1 without PUBACK`, (s) => {
    subscriber(s, version, 1);
    s.connect('b');
    s.send('b', publish(5, s.topic('t'), 'one', { qos: 1 }));
    s.send('b', publish(5, s.topic('t'), 'two', { qos: 1 }));
    s.send('a', ack(puback, 1));
    s.drop('a');
    s.connect('a', staying(version));
    s.send('a', ack(puback, 2));
    s.drop('a');
    s.connect('a', staying(version));
  });
  list.add(`session: ${v} resends QoS 2 from where it stood`, (s) => {
    subscriber(s, version, 2);
    s.connect('b');
    s.send('b', publish(5, s.topic('t'), 'x', { qos: 2, id: 4 }));
    s.send('b', ack(pubrel, 4));
    s.drop('a');
    s.connect('a', staying(version));
    s.send('a', ack(pubrec, 1));
    s.drop('a');
    s.connect('a', staying(version));
    s.send('a', ack(pubcomp, 1));
    s.drop('a');
    s.connect('a', staying(version));
  });
  list.add(`session: ${v} resends what is in flight, then what waits`, (s) => {
    subscriber(s, version, 1);
    s.connect('b');
    s.send('b', publish(5, s.topic('t'), 'one', { qos: 1 }));
    s.drop('a');
    s.send('b', publish(5, s.topic('t'), 'two', { qos: 1 }));
    s.connect('a', staying(version));
    s.send('a', ack(puback, 1));
    s.send('a', ack(puback, 2));
  });
  list.add(`session: ${v} finishes an incoming QoS 2 message on another connection`, (s) => {
    s.connect('b');
    s.send('b', subscribe(5, 1, [[s.topic('t'), 2]]));
    s.connect('a', staying(version));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 1 }));
    s.drop('a');
    s.connect('a', staying(version));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 1, dup: true }));
    s.send('a', ack(pubrel, 1));
    s.drop('a');
    s.connect('a', staying(version));
    s.send('a', ack(pubrel, 1));
  });
  list.add(`session: ${v} PUBREL on another connection, without PUBLISH again`, (s) => {
    s.connect('b');
    s.send('b', subscribe(5, 1, [[s.topic('t'), 2]]));
    s.connect('a', staying(version));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 2, id: 1 }));
    s.drop('a');
    s.connect('a', staying(version));
    s.send('a', ack(pubrel, 1));
  });
  list.add(`session: ${v} goes from staying to clean and back`, (s) => {
    subscriber(s, version, 1);
    s.drop('a');
    s.connect('a', { version });
    s.send('a', subscribe(version, 1, [[s.topic('t'), 1]]));
    s.drop('a');
    s.connect('a', staying(version));
    s.send('a', subscribe(version, 1, [[s.topic('t'), 1]]));
    s.connect('b');
    s.send('b', publish(5, s.topic('t'), 'x', { qos: 1 }));
  });
  list.add(
    `session: ${v} drops what is beyond the queue`,
    (s) => {
      subscriber(s, version, 1);
      s.send('a', disconnect(), 'close');
      s.connect('b');
      for (let i = 1; i <= 8; i++) s.send('b', publish(5, s.topic('t'), `${i}`, { qos: 1, id: i }));
      s.connect('a', staying(version));
      for (let i = 1; i <= 6; i++) s.send('a', ack(puback, i));
    },
    { broker: 'queue-3' },
  );
  list.add(
    `session: ${v} sends two at a time, and drops what is beyond the queue`,
    (s) => {
      subscriber(s, version, 1);
      s.connect('b');
      for (let i = 1; i <= 8; i++) s.send('b', publish(5, s.topic('t'), `${i}`, { qos: 1, id: i }));
      for (let i = 1; i <= 6; i++) s.send('a', ack(puback, i));
      s.send('b', publish(5, s.topic('t'), 'last', { qos: 1, id: 9 }));
    },
    { broker: 'queue-3' },
  );

  for (const other of [3, 4, 5] as const) {
    list.add(`session: ${v} is taken over by v${other}`, (s) => {
      s.connect('a', { version });
      s.connect('b', { version: other, clientId: `${s.tag}a` });
      s.awaitClose('a');
    });
    list.add(`session: ${v} that stays goes on as v${other}`, (s) => {
      subscriber(s, version, 1);
      s.connect('c');
      s.send('c', publish(5, s.topic('t'), 'x', { qos: 1, properties: bytes('26', field('n'), field('v')) }));
      s.connect('b', { ...staying(other), clientId: `${s.tag}a` });
      s.awaitClose('a');
      s.send('c', publish(5, s.topic('t'), 'y', { qos: 1 }));
    });
  }

  /** A will on a connection that another takes over. */
  for (const [before, after] of [
    [true, true],
    [false, true],
    [true, false],
    [false, false],
  ] as const) {
    list.add(`will: ${v} taken over, ${before ? 'clean' : 'staying'} by ${after ? 'clean' : 'staying'}`, (s) => {
      s.connect('w');
      s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
      s.connect('a', { ...(before ? { version } : staying(version)), will: { topic: s.topic('w'), payload: 'LWT' } });
      s.connect('b', { ...(after ? { version } : staying(version)), clientId: `${s.tag}a` });
      s.awaitClose('a');
      s.send('b', publish(version, s.topic('w'), 'ready'));
    });
  }
  for (const qos of [0, 1, 2]) {
    list.add(`will: ${v} at QoS ${qos} after a drop`, (s) => {
      s.connect('w', { version });
      s.send('w', subscribe(version, 1, [[s.topic('w'), 2]]));
      s.connect('a', { version, will: { topic: s.topic('w'), payload: 'gone', qos } });
      s.drop('a');
      s.await('w');
    });
  }
  list.add(`will: ${v} without payload`, (s) => {
    s.connect('w', { version });
    s.send('w', subscribe(version, 1, [[s.topic('w'), 2]]));
    s.connect('a', { version, will: { topic: s.topic('w') } });
    s.drop('a');
    s.await('w');
  });
  list.add(`will: ${v} of a session that stays`, (s) => {
    s.connect('w');
    s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
    s.connect('a', { ...staying(version), will: { topic: s.topic('w'), payload: 'gone' } });
    s.drop('a');
    s.await('w');
  });
  list.add(`will: ${v} is forgotten at DISCONNECT, also for the next connection`, (s) => {
    s.connect('w');
    s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
    s.connect('a', { ...staying(version), will: { topic: s.topic('w'), payload: 'gone' } });
    s.send('a', disconnect(), 'close');
    s.connect('a', staying(version));
    s.drop('a');
    s.pause(300);
  });
  list.add(`will: ${v} after a protocol error`, (s) => {
    s.connect('w');
    s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
    s.connect('a', { version, will: { topic: s.topic('w'), payload: 'gone' } });
    s.fatal('a', publish(version, `${s.tag}/#`, 'x'));
    s.await('w');
  });
  list.add(`will: ${v} on $SYS goes nowhere`, (s) => {
    s.connect('w');
    s.send('w', subscribe(5, 1, [[`$SYS/${s.tag}`, 0]]));
    s.connect('a', { version, will: { topic: `$SYS/${s.tag}`, payload: 'gone' } });
    s.drop('a');
    s.pause(300);
  });
}

const reasons = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
const others = [
  0x01, 0x05, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2, 0xff,
];
for (const reason of [...reasons, ...others]) {
  list.add(`will: v5 after DISCONNECT with reason 0x${reason.toString(16)}`, (s) => {
    s.connect('w');
    s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
    s.connect('a', { will: { topic: s.topic('w'), payload: 'gone' } });
    s.send('a', disconnect(reason), 'close');
    s.pause(300);
  });
}
const willProperties = {
  'a Response Topic': bytes('08', field('r/t')),
  'a Response Topic and a format': bytes('08', field('r/t'), '0100'),
  'a delay among others': bytes('08', field('r/t'), '18', u32(0), '0100'),
  'a delay first': bytes('18', u32(0), '08', field('r/t'), '09', field('data')),
  'an expiry': bytes('02', u32(100), '03', field('text')),
  'all of them': bytes(
    '26',
    field('k1'),
    field('v1'),
    '08',
    field('r/t'),
    '09',
    field('data'),
    '18',
    u32(0),
    '0101',
    '03',
    field('a/t'),
    '26',
    field('k2'),
    field('v2'),
  ),
};
for (const [name, properties] of Object.entries(willProperties)) {
  list.add(`will: v5 with ${name}`, (s) => {
    s.connect('w');
    s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
    s.connect('a', { will: { topic: s.topic('w'), payload: 'gone', properties } });
    s.drop('a');
    s.await('w');
  });
}
list.add('will: v5 and No Local', (s) => {
  s.connect('a', { ...staying(5), will: { topic: s.topic('w'), payload: 'gone', qos: 1 } });
  s.send(
    'a',
    subscribe(5, 1, [
      [s.topic('w'), 5],
      [s.topic('+'), 1],
    ]),
  );
  s.drop('a');
  s.pause(200);
  s.connect('a', staying(5));
});
list.add('session: v5 DISCONNECT ends what would have stayed', (s) => {
  s.connect('a', staying(5));
  s.send('a', disconnect(0, bytes('11', u32(0))), 'close');
  s.connect('a', staying(5));
});
list.add('session: v5 DISCONNECT cannot make a session stay', (s) => {
  s.connect('a', { clean: false });
  s.fatal('a', disconnect(0, bytes('11', u32(5))));
});
list.add('session: v5 DISCONNECT with Session Expiry 0 where it was 0', (s) => {
  s.connect('a');
  s.fatal('a', disconnect(0, bytes('11', u32(0))));
});
list.add('session: v5 Receive Maximum smaller than what is in flight', (s) => {
  s.connect('a', staying(5));
  s.send('a', subscribe(5, 1, [[s.topic('t'), 1]]));
  s.connect('b');
  for (let i = 1; i <= 3; i++) s.send('b', publish(5, s.topic('t'), `${i}`, { qos: 1, id: i }));
  s.drop('a');
  s.connect('a', { clean: false, properties: bytes('11', u32(600), '21', u16(1)) });
  s.send('a', ack(puback, 1));
  s.send('a', ack(puback, 2));
  s.send('a', ack(puback, 3));
});
