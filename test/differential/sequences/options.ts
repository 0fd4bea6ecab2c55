/** Options on what becomes of messages: the QoS they are delivered at, copies for overlapping filters, queues by bytes. */
import { Ack, ack, bytes, disconnect, publish, subscribe, u32 } from '../bytes.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const optionSequences = list.sequences;

const { pubrel, puback } = Ack;
const versions = [3, 4, 5] as const;

const staying = (version: 3 | 4 | 5) =>
  version === 5 ? { version, clean: false, properties: bytes('11', u32(100)) } : { version, clean: false };

for (const version of versions) {
  const v = `v${version}`;
  for (const granted of [0, 1, 2]) {
    list.add(
      `options: ${v} upgrade_outgoing_qos to a subscription of QoS ${granted}`,
      (s) => {
        s.connect('b');
        s.send('b', publish(5, s.topic('t'), 'retained', { retain: true }));
        s.connect('a', { version });
        s.send('a', subscribe(version, 1, [[s.topic('t'), granted]]));
        for (const qos of [0, 1, 2]) {
          s.send('b', publish(5, s.topic('t'), `${qos}`, { qos, id: qos + 1 }));
          if (qos === 2) s.send('b', ack(pubrel, 3));
        }
      },
      { broker: 'upgrade-qos' },
    );
  }
  list.add(
    `options: ${v} upgrade_outgoing_qos keeps QoS 0 for a client that is away`,
    (s) => {
      s.connect('a', staying(version));
      s.send('a', subscribe(version, 1, [[s.topic('t'), 1]]));
      s.send('a', disconnect(), 'close');
      s.connect('b');
      s.send('b', publish(5, s.topic('t'), 'x'));
      s.connect('a', staying(version));
      s.await('a');
    },
    { broker: 'upgrade-qos' },
  );
  list.add(
    `options: ${v} allow_duplicate_messages true`,
    (s) => {
      s.unordered = ['a'];
      s.connect('a', { version });
      s.send(
        'a',
        subscribe(version, 1, [
          [s.topic('+'), 0],
          [s.topic('t'), 0],
          [s.topic('#'), 0],
        ]),
      );
      s.connect('b');
      s.send('b', publish(5, s.topic('t'), 'x'));
      s.send('b', publish(5, s.topic('u'), 'y', { qos: 1 }));
    },
    { broker: 'duplicates' },
  );
  for (const length of [10, 40, 100, 250]) {
    list.add(
      `options: ${v} max_queued_bytes 100 and messages of ${length} bytes`,
      (s) => {
        s.connect('a', staying(version));
        s.send('a', subscribe(version, 1, [[s.topic('t'), 1]]));
        s.send('a', disconnect(), 'close');
        s.connect('b');
        for (let id = 1; id <= 15; id++) {
          s.send('b', publish(5, s.topic('t'), `${id}`.padStart(length, '.'), { qos: 1, id }));
        }
        s.connect('a', staying(version));
        s.await('a');
        for (let id = 1; id <= 3; id++) s.send('a', ack(puback, id));
      },
      { broker: 'queue-100-bytes' },
    );
  }
}
