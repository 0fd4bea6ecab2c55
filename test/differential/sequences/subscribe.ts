/** SUBSCRIBE and UNSUBSCRIBE. */
import { type Bytes, bytes, field, publish, subscribe, unsubscribe, utf8, varint } from '../bytes.ts';
import { badText } from './bad-text.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const subscribeSequences = list.sequences;

const versions = [3, 4, 5] as const;

for (const version of versions) {
  const v = `v${version}`;
  for (const qos of [0, 1, 2]) {
    list.add(`subscribe: ${v} QoS ${qos}`, (s) => {
      s.connect('a', { version });
      s.send('a', subscribe(version, 1234, [[s.topic('t'), qos]]));
    });
  }
  list.add(`subscribe: ${v} several filters at once`, (s) => {
    s.connect('a', { version });
    s.send(
      'a',
      subscribe(version, 1, [
        [s.topic('a'), 0],
        [s.topic('b'), 1],
        [s.topic('+/c'), 2],
        [s.topic('#'), 0],
      ]),
    );
  });
  list.add(`subscribe: ${v} the same filter twice in one packet`, (s) => {
    s.connect('a', { version });
    s.send(
      'a',
      subscribe(version, 1, [
        [s.topic('t'), 2],
        [s.topic('t'), 0],
      ]),
    );
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 1 }));
  });
  list.add(`subscribe: ${v} again at another QoS`, (s) => {
    s.connect('a', { version });
    s.send('a', subscribe(version, 1, [[s.topic('t'), 0]]));
    s.send('a', subscribe(version, 2, [[s.topic('t'), 1]]));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 1 }));
  });
  list.add(`unsubscribe: ${v} known, unknown and several`, (s) => {
    s.connect('a', { version });
    s.send(
      'a',
      subscribe(version, 1, [
        [s.topic('a'), 0],
        [s.topic('b'), 1],
      ]),
    );
    s.send('a', unsubscribe(version, 2, [s.topic('a')]));
    s.send('a', unsubscribe(version, 3, [s.topic('a')]));
    s.send('a', unsubscribe(version, 4, [s.topic('b'), s.topic('nothing'), s.topic('+')]));
    s.send('a', publish(version, s.topic('b'), 'x'));
  });
  list.add(`subscribe: ${v} filters starting with $`, (s) => {
    s.connect('a', { version });
    s.send(
      'a',
      subscribe(version, 1, [
        ['$SYS/broker/missing', 0],
        [`$${s.tag}/t`, 1],
        ['$SYS/none/#', 0],
      ]),
    );
    s.send('a', publish(version, `$${s.tag}/t`, 'x'));
  });
  list.add(`subscribe: ${v} shared`, (s) => {
    s.connect('a', { version });
    s.send('a', subscribe(version, 1, [[`$share/g/${s.topic('t')}`, 1]]));
    s.send('a', publish(version, s.topic('t'), 'x', { qos: 1 }));
    s.send('a', unsubscribe(version, 2, [`$share/g/${s.topic('t')}`]));
    s.send('a', publish(version, s.topic('t'), 'y', { qos: 1 }));
  });
  list.add(
    `subscribe: ${v} above the maximum QoS`,
    (s) => {
      s.connect('a', { version });
      s.send(
        'a',
        subscribe(version, 1, [
          [s.topic('t'), 2],
          [s.topic('u'), 1],
          [s.topic('v'), 0],
        ]),
      );
    },
    { broker: 'qos-1-no-retain' },
  );

  /** Filter text and whether a message on `tag/a/b` comes. */
  for (const filter of ['#', '+/+/+', '+/#', 'a/b', 'a/+', '+/b', 'a/#', 'a/b/#', 'a', 'a/b/', '/a/b', '+']) {
    list.add(`subscribe: ${v} filter ${filter} and a/b`, (s) => {
      s.connect('a', { version });
      s.send('a', subscribe(version, 1, [[s.topic(filter), 0]]));
      s.send('a', publish(version, s.topic('a/b'), 'x'));
    });
  }
  const wrongFilters = [
    '',
    'a#',
    'a/#/b',
    '#/',
    'a+',
    '+a/b',
    'a/+b',
    '/'.repeat(300),
    '$share/',
    '$share/g',
    '$share/g/',
  ];
  for (const filter of [...wrongFilters, '$share//t', '$share/+/t', '$share/#/t', '$share/g+/t', '$share/g/a#']) {
    const name = filter.length > 20 ? 'of 301 levels' : `'${filter}'`;
    list.add(`subscribe: ${v} filter ${name} is refused`, (s) => {
      s.connect('a', { version });
      s.send('a', subscribe(version, 1, [[filter, 0]]), 'close');
    });
    list.add(`unsubscribe: ${v} filter ${name} is refused`, (s) => {
      s.connect('a', { version });
      s.send('a', unsubscribe(version, 1, [filter]), 'close');
    });
  }
  for (const levels of [199, 200, 201]) {
    list.add(`subscribe: ${v} ${levels} slashes`, (s) => {
      s.connect('a', { version });
      s.send('a', subscribe(version, 1, [['/'.repeat(levels), 0]]), levels > 200 ? 'close' : 'ping');
      if (levels <= 200) s.send('a', publish(version, '/'.repeat(levels), 'x'));
    });
  }
  list.add(`subscribe: ${v} a wrong filter among right ones`, (s) => {
    s.connect('a', { version });
    s.send(
      'a',
      subscribe(version, 1, [
        [s.topic('a'), 0],
        ['a#', 0],
        [s.topic('b'), 0],
      ]),
      'close',
    );
  });
  for (const options of version === 5 ? [3, 0x30, 0x40, 0x80, 0xf0] : [3, 4, 8, 0x10, 0x20, 0x40, 0x80]) {
    list.add(`subscribe: ${v} options 0x${options.toString(16)}`, (s) => {
      s.connect('a', { version });
      s.send('a', subscribe(version, 1, [[s.topic('t'), options]]), 'close');
    });
  }
  for (const [name, text] of badText) {
    list.add(`subscribe: ${v} filter with ${name}`, (s) => {
      s.connect('a', { version });
      s.fatal('a', subscribe(version, 1, [[text, 0]]));
    });
    list.add(`unsubscribe: ${v} filter with ${name}`, (s) => {
      s.connect('a', { version });
      s.fatal('a', unsubscribe(version, 1, [text]));
    });
  }
  const fatal = (name: string, what: Bytes) =>
    list.add(`${name}`, (s) => {
      s.connect('a', { version });
      s.fatal('a', what);
    });
  fatal(`subscribe: ${v} packet identifier 0`, subscribe(version, 0, [['t', 0]]));
  fatal(`unsubscribe: ${v} packet identifier 0`, unsubscribe(version, 0, ['t']));
  fatal(`subscribe: ${v} without filters`, subscribe(version, 1, []));
  fatal(`unsubscribe: ${v} without filters`, unsubscribe(version, 1, []));
  fatal(
    `subscribe: ${v} without options`,
    bytes('82', varint(5 + (version === 5 ? 1 : 0)), '0001', version === 5 ? '00' : '', field('t')),
  );
  fatal(
    `subscribe: ${v} a byte too many`,
    bytes('82', varint(7 + (version === 5 ? 1 : 0)), '0001', version === 5 ? '00' : '', field('t'), '0000'),
  );
  fatal(`subscribe: ${v} empty`, '8200');
  fatal(`unsubscribe: ${v} empty`, 'a200');
  fatal(`subscribe: ${v} one byte`, '820112');
  fatal(`unsubscribe: ${v} one byte`, 'a20112');
  fatal(`subscribe: ${v} two bytes`, '82021234');
  fatal(`unsubscribe: ${v} two bytes`, 'a2021234');
  fatal(
    `unsubscribe: ${v} filter longer than the packet`,
    bytes('a2', varint(4 + (version === 5 ? 1 : 0)), '1234', version === 5 ? '00' : '', '0001'),
  );
}

for (const [name, options] of [
  ['no local', 4],
  ['retain as published', 8],
  ['retain handling 1', 0x10],
  ['retain handling 2', 0x20],
  ['all of them', 0x2e],
] as const) {
  list.add(`subscribe: v5 with ${name}`, (s) => {
    s.connect('a');
    s.connect('b');
    s.send('b', publish(5, s.topic('t'), 'old', { retain: true }));
    s.send('a', subscribe(5, 1, [[s.topic('t'), options]]));
    s.send('a', publish(5, s.topic('t'), 'own', { retain: true }));
    s.send('b', publish(5, s.topic('t'), 'of another', { retain: true }));
    s.send('b', publish(5, s.topic('t'), 'plain'));
  });
}
list.add('subscribe: v5 no local on a shared subscription', (s) => {
  s.connect('a');
  s.fatal('a', subscribe(5, 1, [['$share/g/t', 4]]));
});
for (const identifier of [1, 127, 128, 16_383, 16_384, 2_097_152, 268_435_455]) {
  list.add(`subscribe: v5 identifier ${identifier}`, (s) => {
    s.connect('a');
    s.send('a', subscribe(5, 1, [[s.topic('t'), 1]], bytes('0b', varint(identifier))));
    s.send('a', publish(5, s.topic('t'), 'x'));
    s.send('a', publish(5, s.topic('t'), 'x', { qos: 1 }));
  });
}
const wrongIdentifiers: Readonly<Record<string, Bytes>> = {
  '0': '0b00',
  'of no bytes': '0b',
  'of five bytes': '0b8080808001',
  'longer than needed': '0b8000',
  twice: '0b010b01',
};
for (const [name, properties] of Object.entries(wrongIdentifiers)) {
  list.add(`subscribe: v5 identifier ${name} is refused`, (s) => {
    s.connect('a');
    s.fatal('a', subscribe(5, 1, [[s.topic('t'), 0]], properties));
  });
}
list.add('subscribe: v5 identifiers change with the subscription', (s) => {
  s.connect('a');
  s.send('a', subscribe(5, 1, [[s.topic('t'), 0]], '0b01'));
  s.send('a', publish(5, s.topic('t'), '1'));
  s.send('a', subscribe(5, 2, [[s.topic('t'), 0]], '0b0e'));
  s.send('a', publish(5, s.topic('t'), '2'));
  s.send('a', subscribe(5, 3, [[s.topic('t'), 0]]));
  s.send('a', publish(5, s.topic('t'), '3'));
});
list.add('subscribe: v5 overlapping filters with identifiers', (s) => {
  s.unordered = ['a'];
  s.connect('a');
  s.send('a', subscribe(5, 1, [[s.topic('+'), 1]], '0b01'));
  s.send('a', subscribe(5, 2, [[s.topic('t'), 0]], '0b02'));
  s.connect('b');
  s.send('b', publish(5, s.topic('t'), 'x'));
});
for (const version of versions) {
  list.add(`subscribe: v${version} overlapping filters`, (s) => {
    s.unordered = ['a'];
    s.connect('a', { version });
    s.send(
      'a',
      subscribe(version, 1, [
        [s.topic('+'), 0],
        [s.topic('t'), 0],
      ]),
    );
    s.connect('b');
    s.send('b', publish(5, s.topic('t'), 'x'));
  });
}
list.add('subscribe: v5 with User Properties', (s) => {
  s.connect('a');
  s.send('a', subscribe(5, 1, [[s.topic('t'), 0]], bytes('26', field('n'), field('v'), '26', field(''), field(''))));
  s.send('a', unsubscribe(5, 2, [s.topic('t')], bytes('26', field('n'), field('v'))));
});
list.add('subscribe: v5 shares are served in turn', (s) => {
  for (const client of ['1', '2', '3', '4', '5']) s.connect(client);
  const one = `$share/one/${s.topic('t')}`;
  const two = `$share/two/${s.topic('t')}`;
  s.send('1', subscribe(5, 1, [[s.topic('#'), 0]]));
  s.send('2', subscribe(5, 1, [[one, 0]]));
  s.send('3', subscribe(5, 1, [[one, 0]]));
  s.send('3', subscribe(5, 1, [[two, 0]]));
  s.send('4', subscribe(5, 1, [[two, 0]]));
  s.send('5', subscribe(5, 1, [[one, 0]]));
  for (const text of ['1', '2', '3', '4']) s.send('1', publish(5, s.topic('t'), utf8(text)));
});
list.add('subscribe: v4 a shared and a plain subscription of one filter', (s) => {
  s.unordered = ['a'];
  s.connect('a', { version: 4 });
  s.send('a', subscribe(4, 1, [[`$share/g/${s.topic('t')}`, 1]]));
  s.send('a', subscribe(4, 2, [[s.topic('t'), 0]]));
  s.send('a', unsubscribe(4, 7, [s.topic('t')]));
  s.send('a', publish(4, s.topic('t'), 'x'));
});
