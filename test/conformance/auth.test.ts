/** AUTH and enhanced authentication, of which the broker offers no method: v5 sections 3.15 and 4.12. */
import { expect, test } from 'bun:test';
import { TestBroker } from '../support/test-broker.ts';
import { answer, answerAfterConnect, connect, field, join, packet, properties } from './raw-packets.ts';

test('v5 [MQTT-3.15.1-1] refuses an AUTH with flag bits set', () => {
  for (const hex of ['f1 00', 'f2 00', 'f8 02 19 00']) {
    expect([hex, answerAfterConnect(5, hex)]).toEqual([hex, 'e00181 closed']);
  }
});

test('v5 [MQTT-4.12.0-1] [MQTT-4.12.0-4] refuses an authentication method with 0x8C, and answers nothing that follows', () => {
  const withMethod = [
    connect({ properties: join('15', field('x')) }),
    connect({ properties: join('15', field('SCRAM-SHA-256'), '16', field('n,,n=user')) }),
    connect({ properties: join('15', field('')) }),
    connect({ flags: 0xc2, properties: join('15', field('x')), rest: join(field('u'), field('p')) }),
  ];
  const more = packet(0xf0, '18', properties('15', field('x')));
  for (const bytes of withMethod) {
    const t = new TestBroker();
    expect(answer(5, [join(bytes, more)], t)).toBe('2003008c00 closed');
    expect(t.broker.sessions.size).toBe(0);
  }
});

test('v5 authentication data without a method is a Protocol Error', () => {
  expect(answer(5, [connect({ properties: '16 0001 78' })])).toBe('2003008200 closed');
  expect(answer(5, [connect({ properties: '15 0001 78 15 0001 78' })])).toBe('2003008200 closed');
  expect(answer(5, [connect({ properties: '15 0001 78 16 0001 78 16 0001 78' })])).toBe('2003008200 closed');
});

test('v5 [MQTT-4.12.0-6] sends neither AUTH nor a method to a client that named none', () => {
  const clients = [connect(), connect({ flags: 0xc2, rest: join(field('u'), field('p')) }), connect({ clientId: '' })];
  for (const bytes of clients) {
    const t = new TestBroker();
    const peer = t.open(5);
    peer.send(join(bytes, '82 07 0001 00 000161 00 c0 00'));
    const packets = peer.take();
    expect(packets.map((one) => one.type)).toEqual([2, 9, 13]);
    const told = Object.keys(('properties' in packets[0]! && packets[0].properties) || {});
    expect(told.filter((name) => name.startsWith('authentication'))).toEqual([]);
  }
});

test('v5 [MQTT-4.12.0-7] answers an AUTH from a client that named no method with 0x82', () => {
  const rows = ['f0 00', 'f0 02 19 00', 'f0 02 18 00', packet(0xf0, '19', properties('15', field('x')))];
  for (const bytes of rows) expect(answerAfterConnect(5, bytes)).toBe('e00182 closed');
});

test('v3.1.1 AUTH is a reserved packet type', () => {
  expect(answerAfterConnect(4, 'f0 00')).toBe('closed');
});
