/** What takes its time: expiry, delays, keep alive. */
import { Ack, ack, bytes, disconnect, publish, subscribe, u16, u32 } from '../bytes.ts';
import { SequenceList } from '../sequence.ts';

const list = new SequenceList();
export const timerSequences = list.sequences;

const stays = (seconds: number) => ({ clean: false, properties: bytes('11', u32(seconds)) });

list.add('timer: v5 session of 1 second is there at once, and gone after 2', (s) => {
  s.connect('a', stays(1));
  s.drop('a');
  s.connect('a', stays(1));
  s.drop('a');
  s.pause(2_100);
  s.connect('a', stays(1));
});
list.add('timer: v5 session of 3 seconds is there after 2', (s) => {
  s.connect('a', stays(3));
  s.drop('a');
  s.pause(2_200);
  s.connect('a', stays(3));
});
list.add('timer: v5 DISCONNECT makes a session stay longer', (s) => {
  s.connect('a', stays(1));
  s.send('a', disconnect(0, bytes('11', u32(100))), 'close');
  s.pause(2_100);
  s.connect('a', stays(1));
});
list.add('timer: v5 message expires in the queue', (s) => {
  s.connect('a', stays(100));
  s.send('a', subscribe(5, 1, [[s.topic('t'), 1]]));
  s.drop('a');
  s.connect('b');
  s.send('b', publish(5, s.topic('t'), 'short', { qos: 1, id: 1, properties: bytes('02', u32(1)) }));
  s.send('b', publish(5, s.topic('t'), 'plain', { qos: 1, id: 2 }));
  s.pause(2_500);
  s.connect('a', stays(100));
});
list.add('timer: v5 message expires while its retained copy is kept', (s) => {
  s.connect('a');
  s.send('a', publish(5, s.topic('short'), 'x', { retain: true, properties: bytes('02', u32(1)) }));
  s.send('a', publish(5, s.topic('long'), 'x', { retain: true }));
  s.pause(2_500);
  s.connect('b');
  s.send('b', subscribe(5, 1, [[s.topic('+'), 0]]));
});
list.add('timer: v5 message expires behind a full window', (s) => {
  s.connect('a', { properties: bytes('21', u16(1)) });
  s.send('a', subscribe(5, 1, [[s.topic('t'), 1]]));
  s.connect('b');
  s.send('b', publish(5, s.topic('t'), '1', { qos: 1, id: 1 }));
  s.send('b', publish(5, s.topic('t'), '2', { qos: 1, id: 2, properties: bytes('02', u32(1)) }));
  s.send('b', publish(5, s.topic('t'), '3', { qos: 1, id: 3 }));
  s.pause(2_500);
  s.send('a', ack(Ack.puback, 1));
});
list.add(
  'timer: v5 message expires while one at a time goes out',
  (s) => {
    s.connect('a', stays(100));
    s.send('a', subscribe(5, 1, [[s.topic('t'), 1]]));
    s.drop('a');
    s.connect('b');
    s.send('b', publish(5, s.topic('t'), '1', { qos: 1, id: 1, properties: bytes('02', u32(1)) }));
    s.pause(2_500);
    s.connect('a', stays(100));
    s.send('b', publish(5, s.topic('t'), '2', { qos: 1, id: 1 }));
  },
  { broker: 'inflight-1' },
);

const will = (topic: string, delay: number) => ({ topic, payload: 'gone', properties: bytes('18', u32(delay)) });
list.add('timer: v5 will after its delay', (s) => {
  s.connect('w');
  s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
  s.connect('a', { ...stays(100), will: will(s.topic('w'), 1) });
  s.drop('a');
  s.await('w', 1, 4_000);
});
list.add('timer: v5 will at the end of its session, before its delay', (s) => {
  s.connect('w');
  s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
  s.connect('a', { ...stays(1), will: will(s.topic('w'), 100) });
  s.drop('a');
  s.await('w', 1, 4_000);
});
list.add('timer: v5 will of a session without expiry, with a delay', (s) => {
  s.connect('w');
  s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
  s.connect('a', { will: will(s.topic('w'), 2) });
  s.drop('a');
  s.pause(500);
  s.send('w', publish(5, s.topic('w'), 'half a second later'));
  s.pause(3_500);
});
list.add('timer: v5 no will after a reconnect within its delay', (s) => {
  s.connect('w');
  s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
  s.connect('a', { ...stays(100), will: will(s.topic('w'), 1) });
  s.drop('a');
  s.connect('a', stays(100));
  s.pause(2_500);
});
list.add('timer: v5 will of a session that a clean start ends within its delay', (s) => {
  s.connect('w');
  s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]));
  s.connect('a', { ...stays(100), will: will(s.topic('w'), 100) });
  s.drop('a');
  s.connect('a', { clean: true });
  s.pause(500);
});
for (const version of [3, 4, 5] as const) {
  list.add(`timer: v${version} keep alive of 1 second runs out`, (s) => {
    s.isQuiet = true;
    s.connect('w');
    s.send('w', subscribe(5, 1, [[s.topic('w'), 0]]), 'packet');
    s.connect('a', { version, keepAlive: 1, will: { topic: s.topic('w'), payload: 'gone' } });
    s.awaitClose('a', 12_000);
    s.await('w', 1, 1_000);
  });
}
