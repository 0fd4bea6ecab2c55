/** Maximum Packet Size of a client (v5 section 3.1.2.11.4), and packets of every size. */
import { describe, expect, test } from 'bun:test';
import type { AccessControl } from '../../src/auth/access-control.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { DropReason } from '../../src/session/outgoing-flow.ts';
import { ack, drainMessages, exchange, expectQuiet, publishes, publishWhole, received } from '../support/exchanges.ts';
import { type Peer, TestBroker, utf8 } from '../support/test-broker.ts';

const guarded: AccessControl = {
  authenticate: () => ReasonCode.success,
  topics: { canPublish: () => false, canSubscribe: () => false },
};

/** A broker whose CONNACK has no properties, so that a client of few bytes can connect to it. */
function terseBroker(reasonStrings: boolean, access?: AccessControl): TestBroker {
  return new TestBroker(
    { reasonStrings, maxInflightMessages: 0, maxPacketSize: 268_435_460 },
    { maxTopicAlias: 0 },
    access,
  );
}

describe('a Reason String', () => {
  const rows = [
    {
      name: 'v5 [MQTT-3.4.2-2] [MQTT-3.4.2-3] is left out of a PUBACK that it makes too large',
      send: '320700016100010078',
      short: '4003000187',
      type: PacketType.puback,
    },
    {
      name: 'v5 [MQTT-3.5.2-2] [MQTT-3.5.2-3] is left out of a PUBREC that it makes too large',
      send: '340700016100010078',
      short: '5003000187',
      type: PacketType.pubrec,
    },
    {
      name: 'v5 [MQTT-3.6.2-2] [MQTT-3.6.2-3] is in no PUBREL, which is so never too large',
      send: '50020063',
      short: '62020063',
      type: PacketType.pubrel,
      hasNone: true,
    },
    {
      name: 'v5 [MQTT-3.7.2-2] [MQTT-3.7.2-3] is in no PUBCOMP, which is so never too large',
      send: '62020063',
      short: '70020063',
      type: PacketType.pubcomp,
      hasNone: true,
    },
    {
      name: 'v5 [MQTT-3.9.2-1] [MQTT-3.9.2-2] is left out of a SUBACK that it makes too large',
      send: '820700010000016100',
      short: '900400010087',
      type: PacketType.suback,
    },
    {
      name: 'v5 [MQTT-3.11.2-1] [MQTT-3.11.2-2] is left out of an UNSUBACK that it makes too large',
      send: 'a206000100000161',
      short: 'b00400010011',
      type: PacketType.unsuback,
    },
  ] as const;
  for (const { name, send, short, type, ...row } of rows) {
    test(name, () => {
      const t = terseBroker(true, guarded);
      const wide = t.connect({ clientId: 'wide' });
      wide.send(send);
      const answer = wide.expect(type);
      expect(answer.properties).toEqual('hasNone' in row ? null : { reasonString: expect.any(String) });

      const narrow = t.connect({ clientId: 'narrow', properties: { maximumPacketSize: 6 } });
      expect(exchange(narrow, send)).toBe(short);
      expect(narrow.isClosed).toBe(false);
    });
  }

  test('is in no acknowledgement where the option or the client does not ask for it', () => {
    for (const { send, short } of rows) {
      expect(exchange(terseBroker(false, guarded).connect(), send)).toBe(short);
      const quiet = terseBroker(true, guarded).connect({ properties: { requestProblemInformation: 0 } });
      expect(exchange(quiet, send)).toBe(short);
    }
  });
});

test('v5 [MQTT-3.1.2-24] an acknowledgement that cannot carry its reason goes without, or not at all', () => {
  const t = terseBroker(false);
  const narrow = t.connect({ clientId: 'c1', properties: { maximumPacketSize: 5 } });
  expect(exchange(narrow, '320700016100010078')).toBe('4003000110');
  narrow.connection.setClientLimits({ maximumPacketSize: 4 });
  expect(exchange(narrow, '320700016100020078')).toBe('40020002');
  expect(exchange(narrow, 'a206000100000161')).toBe('');
  narrow.connection.setClientLimits({ maximumPacketSize: 3 });
  expect(exchange(narrow, '320700016100030078')).toBe('');
  expect(exchange(narrow, 'c000')).toBe('d000');
});

/** A PUBLISH with topic `a` and no properties has this many bytes besides its payload, at QoS 1 two more. */
const OVERHEAD = 6;

function atLimit(t: TestBroker, qos: 0 | 1 | 2): { peer: Peer; fits: string; tooLarge: string } {
  const peer = t.connect({
    clientId: `at60-${qos}`,
    properties: { maximumPacketSize: 60, sessionExpiryInterval: 100 },
  });
  const length = 60 - OVERHEAD - (qos > 0 ? 2 : 0);
  return { peer, fits: 'f'.repeat(length), tooLarge: 'x'.repeat(length + 1) };
}

test('v5 [MQTT-3.1.2-24] sends a packet of exactly the Maximum Packet Size and drops one byte more, at each QoS', () => {
  for (const qos of [0, 1, 2] as const) {
    const t = new TestBroker();
    const { peer, fits, tooLarge } = atLimit(t, qos);
    peer.subscribe('a', qos);
    const publisher = t.connect({ clientId: 'p' });
    publishWhole(publisher, 'a', tooLarge, qos);
    expectQuiet(peer);
    expect(t.broker.counters.dropped.get(DropReason.tooLarge)).toBe(1);
    publishWhole(publisher, 'a', fits, qos);
    const [packet] = drainMessages(peer);
    expect(packet?.payload.length).toBe(fits.length);
  }
});

test('v5 [MQTT-3.1.2-24] drops what is too large when it is retained, queued or has an identifier', () => {
  const t = new TestBroker();
  const { peer, fits, tooLarge } = atLimit(t, 1);
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', tooLarge, 1, { retain: true });
  peer.subscribe('a', 1);
  expectQuiet(peer);
  peer.drop();
  publishWhole(publisher, 'a', tooLarge, 1);
  publishWhole(publisher, 'a', fits, 1);
  const back = t.connect({ clientId: 'at60-1', cleanStart: false, properties: { maximumPacketSize: 60 } });
  expect(drainMessages(back).map((packet) => packet.payload.length)).toEqual([fits.length]);
  // The identifier takes two bytes that the payload had.
  back.subscribe('a', 1, { identifier: 1, retainHandling: 2 });
  publishWhole(publisher, 'a', fits, 1);
  expectQuiet(back);
  publishWhole(publisher, 'a', fits.slice(2), 1);
  expect(drainMessages(back).map((packet) => packet.payload.length)).toEqual([fits.length - 2]);
  expect(t.broker.counters.dropped.get(DropReason.tooLarge)).toBe(3);
});

test('v5 [MQTT-3.1.2-25] goes on as if it had sent what is too large: its place in the window is free', () => {
  for (const qos of [1, 2] as const) {
    const t = new TestBroker();
    const peer = t.connect({ clientId: 's', properties: { maximumPacketSize: 60, receiveMaximum: 1 } });
    peer.subscribe('a', qos);
    const publisher = t.connect({ clientId: 'p' });
    publishWhole(publisher, 'a', 'x'.repeat(100), qos);
    publishWhole(publisher, 'a', 'small', qos);
    expect(publishes(peer).map((packet) => packet.payload.length)).toEqual([5]);
    // Now with the large one waiting behind the window.
    publishWhole(publisher, 'a', 'x'.repeat(100), qos);
    publishWhole(publisher, 'a', 'other', qos);
    expectQuiet(peer);
    const last = qos === 1 ? ack(PacketType.puback, 2) : ack(PacketType.pubcomp, 2);
    if (qos === 2) peer.send(ack(PacketType.pubrec, 2));
    peer.send(last);
    expect(publishes(peer).map((packet) => packet.payload.length)).toEqual([5]);
  }
});

test('v5 [MQTT-3.1.2-25] a message that grew too large for the client of a resumed session is given up', () => {
  const t = new TestBroker();
  const first = t.connect({ clientId: 's', properties: { sessionExpiryInterval: 100 } });
  first.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, 'a', 'x'.repeat(100), 1);
  publishWhole(publisher, 'a', 'small', 1);
  expect(publishes(first).length).toBe(2);
  first.drop();
  const back = t.connect({ clientId: 's', cleanStart: false, properties: { maximumPacketSize: 60 } });
  const [again, ...others] = publishes(back);
  expect([again?.dup, again?.packetId, again?.payload.length, others.length]).toEqual([true, 2, 5, 0]);
});

test('v5 [MQTT-3.2.2-15] ends a connection with a packet above max_packet_size on its fixed header', () => {
  const t = new TestBroker({ maxPacketSize: 100 });
  const peer = t.connect({ clientId: 'c1' });
  expect(peer.connack.properties?.maximumPacketSize).toBe(100);
  expect(exchange(peer, '3062' + '00016100' + '78'.repeat(94))).toBe('');
  expect(exchange(peer, '3063')).toBe('e00195');
  expect(peer.isClosed).toBe(true);
});

test('a payload arrives whole at every size and however it is cut, at each QoS', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 2);
  const v3 = t.connect({ version: 4, clientId: 's3' });
  v3.subscribe('a', 2);
  const publisher = t.connect({ version: 4, clientId: 'p' });
  // Around the lengths where the fixed header grows, where a payload is queued apart from its frame, and a large one.
  for (const size of [0, 1, 121, 122, 123, 124, 2_047, 2_048, 2_049, 16_377, 16_378, 16_379, 70_000, 1_200_000]) {
    const payload = new Uint8Array(size);
    for (let i = 0; i < size; i++) payload[i] = (i * 31 + (i >> 8)) & 0xff;
    for (const qos of size > 100_000 ? [0 as const] : ([0, 1, 2] as const)) {
      publishWhole(publisher, 'a', '', qos, { payload });
      for (const peer of [subscriber, v3]) {
        const [packet, ...others] = drainMessages(peer);
        expect([size, others.length, Buffer.compare(packet!.payload, payload)]).toEqual([size, 0, 0]);
      }
    }
  }
});

test('a PUBLISH that comes in pieces is one message, and what follows it in the last piece is the next', () => {
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('#');
  const publisher = t.connect({ clientId: 'p' });
  const payload = 'p'.repeat(300_000);
  const frame = Buffer.concat([Buffer.from('30e4a712000161 00'.replace(' ', ''), 'hex'), utf8(payload)]);
  const all = Buffer.concat([frame, frame, Buffer.from('30050001620079', 'hex')]);
  for (let at = 0; at < all.length; at += 65_536) publisher.send(all.subarray(at, at + 65_536));
  expect(publishes(subscriber).map((packet) => [packet.topicName, packet.payload.length])).toEqual([
    ['a', 300_000],
    ['a', 300_000],
    ['b', 1],
  ]);
  expect(received(publisher).startsWith('20')).toBe(true);
});
