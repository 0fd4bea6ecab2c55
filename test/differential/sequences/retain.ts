/** Retained messages. */
import { Ack, ack, publish, subscribe, unsubscribe } from '../bytes.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const retainSequences = list.sequences;

for (const version of [3, 4, 5] as const) {
  const v = `v${version}`;
  for (const qos of [0, 1, 2]) {
    for (const granted of [0, 1, 2]) {
      list.add(`retain: ${v} set at QoS ${qos}, got at QoS ${granted}`, (s) => {
        s.connect('a', { version });
        s.send('a', publish(version, s.topic('t'), 'kept', { qos, id: 5, retain: true }));
        if (qos === 2) s.send('a', ack(Ack.pubrel, 5));
        s.connect('b', { version });
        s.send('b', subscribe(version, 1, [[s.topic('t'), granted]]));
      });
    }
  }
  list.add(`retain: ${v} to one that has subscribed before`, (s) => {
    s.connect('a', { version });
    s.send('a', subscribe(version, 1, [[s.topic('t'), 0]]));
    s.send('a', publish(version, s.topic('t'), 'fresh', { retain: true }));
  });
  list.add(`retain: ${v} replaced, cleared, cleared again`, (s) => {
    s.connect('b', { version });
    s.send('b', subscribe(version, 1, [[s.topic('t'), 0]]));
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'one', { retain: true }));
    s.send('a', publish(version, s.topic('t'), 'two', { retain: true }));
    s.send('a', publish(version, s.topic('t'), 'passing'));
    s.send('a', subscribe(version, 1, [[s.topic('t'), 0]]));
    s.send('a', unsubscribe(version, 2, [s.topic('t')]));
    s.send('a', publish(version, s.topic('t'), '', { retain: true }));
    s.send('a', publish(version, s.topic('t'), '', { retain: true }));
    s.send('a', subscribe(version, 3, [[s.topic('t'), 0]]));
  });
  list.add(`retain: ${v} again for each SUBSCRIBE`, (s) => {
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'kept', { retain: true }));
    s.send('a', subscribe(version, 1, [[s.topic('t'), 0]]));
    s.send('a', subscribe(version, 2, [[s.topic('t'), 0]]));
    s.send('a', subscribe(version, 3, [[s.topic('+'), 0]]));
  });
  list.add(`retain: ${v} parents before children`, (s) => {
    s.unordered = ['b'];
    s.connect('a', { version });
    for (const topic of ['1/2/3/4/5', '1/2', '1']) {
      s.send('a', publish(version, s.topic(topic), topic, { retain: true }));
    }
    s.send('a', subscribe(version, 1, [[s.topic('#'), 0]]));
    s.send('a', publish(version, s.topic('1/2'), '', { retain: true }));
    s.connect('b', { version });
    s.send('b', subscribe(version, 1, [[s.topic('1/#'), 0]]));
  });
  for (const filter of ['#', '+/#', 'a/+', 'a/#', '+/b', 'a/b/#', '+', 'a/b', '/#', '/+']) {
    list.add(`retain: ${v} what ${filter} finds`, (s) => {
      s.unordered = ['b'];
      s.connect('a', { version });
      for (const topic of ['a', 'a/b', 'a/b/c', 'a/', '/a', 'x/b']) {
        s.send('a', publish(version, s.topic(topic), topic, { retain: true }));
      }
      s.connect('b', { version });
      s.send('b', subscribe(version, 1, [[s.topic(filter), 0]]));
    });
  }
  list.add(`retain: ${v} not for a shared subscription`, (s) => {
    s.connect('a', { version });
    s.send('a', publish(version, s.topic('t'), 'kept', { retain: true }));
    s.send('a', subscribe(version, 1, [[`$share/g/${s.topic('t')}`, 0]]));
  });
  list.add(`retain: ${v} a will`, (s) => {
    s.connect('b', { version });
    s.send('b', subscribe(version, 1, [[s.topic('w'), 1]]));
    s.connect('a', { version, will: { topic: s.topic('w'), payload: 'gone', qos: 1, retain: true } });
    s.drop('a');
    s.await('b');
    s.connect('c', { version });
    s.send('c', subscribe(version, 1, [[s.topic('w'), 1]]));
  });
}

for (const handling of [0, 1, 2]) {
  list.add(`retain: v5 Retain Handling ${handling} at the first and second SUBSCRIBE`, (s) => {
    s.connect('a');
    s.send('a', publish(5, s.topic('t'), 'kept', { retain: true }));
    s.send('a', subscribe(5, 1, [[s.topic('t'), handling << 4]]));
    s.send('a', subscribe(5, 2, [[s.topic('t'), handling << 4]]));
    s.send('a', unsubscribe(5, 3, [s.topic('t')]));
    s.send('a', subscribe(5, 4, [[s.topic('t'), handling << 4]]));
  });
}
list.add('retain: v5 Retain As Published, set and not', (s) => {
  s.connect('a');
  s.send(
    'a',
    subscribe(5, 1, [
      [s.topic('plain'), 0],
      [s.topic('as'), 8],
    ]),
  );
  for (const topic of ['plain', 'as']) {
    s.send('a', publish(5, s.topic(topic), 'x', { retain: true }));
    s.send('a', publish(5, s.topic(topic), 'y'));
    s.send('a', publish(5, s.topic(topic), '', { retain: true }));
  }
});
list.add("retain: v5 No Local and one's own retained message", (s) => {
  s.connect('a');
  s.send('a', publish(5, s.topic('t'), 'own', { retain: true }));
  s.send('a', subscribe(5, 1, [[s.topic('t'), 4]]));
});
list.add('retain: v5 through a topic alias', (s) => {
  s.connect('a');
  s.send('a', publish(5, s.topic('t'), 'one', { retain: true, properties: '230001' }));
  s.send('a', publish(5, '', 'two', { retain: true, properties: '230001' }));
  s.send('a', subscribe(5, 1, [[s.topic('t'), 0]]));
});
