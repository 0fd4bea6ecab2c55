/** What a client says in CONNECT that it does not take or want: v5 section 3.1.2.11. Message sizes: packet-size.test.ts. */
import { expect, test } from 'bun:test';
import type { AccessControl } from '../../src/auth/access-control.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import type { Packet } from '../../src/protocol/packet.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { TestBroker } from '../support/test-broker.ts';
import { publishes } from '../support/exchanges.ts';
import { answer, connect, join } from './raw-packets.ts';

const size = (bytes: number): string => `27 ${bytes.toString(16).padStart(8, '0')}`;

test('v5 [MQTT-3.1.2-24] sends no CONNACK larger than the client takes: it refuses, with 0x95 where that fits', () => {
  // The CONNACK with what every client is told has 16 bytes.
  for (const [limit, expected] of [
    [1, 'closed'],
    [4, 'closed'],
    [5, '2003009500 closed'],
    [15, '2003009500 closed'],
  ] as const) {
    const t = new TestBroker();
    expect([limit, answer(5, [connect({ properties: size(limit) })], t)]).toEqual([limit, expected]);
    expect([t.broker.sessions.size, t.broker.counters.connectionsRefused]).toEqual([0, 1]);
  }
  expect(answer(5, [connect({ properties: size(16) })])).not.toContain('closed');
  // An identifier that the client must be told counts too.
  expect(answer(5, [connect({ clientId: '', properties: size(50) })])).toBe('2003009500 closed');
});

test('v5 [MQTT-3.1.2-24] a CONNACK that is too large takes no session over', () => {
  const t = new TestBroker();
  const old = t.connect({ clientId: 'c1', properties: { sessionExpiryInterval: 300 } });
  old.subscribe('a', 1);
  expect(answer(5, [connect({ properties: size(10) })], t)).toBe('2003009500 closed');
  old.expectNothing();
  expect([old.isClosed, t.broker.tree.subscriptionCount]).toEqual([false, 1]);
});

test('v5 [MQTT-3.2.2-19] [MQTT-3.2.2-20] leaves Reason String and User Property out of a CONNACK too large for the client', () => {
  const refusing: AccessControl = { authenticate: () => ReasonCode.badUserNameOrPassword, topics: null };
  const t = new TestBroker({ reasonStrings: true }, {}, refusing);
  const peer = t.open(5);
  peer.send(connect());
  const { properties } = peer.expect(PacketType.connack);
  expect(properties).toEqual({ reasonString: 'not authorised' });
  // With its Reason String this CONNACK has 22 bytes.
  expect(answer(5, [connect({ properties: size(22) })], t)).toContain('1f000e');
  for (const limit of [5, 21]) {
    expect(answer(5, [connect({ properties: size(limit) })], t)).toBe('2003008600 closed');
  }
  expect(answer(5, [connect({ properties: size(4) })], t)).toBe('closed');
});

test('v5 [MQTT-3.1.2-28] returns Response Information only to a client that asks for it', () => {
  const t = new TestBroker({ responseTopicPrefix: 'response/' });
  const told = (requestResponseInformation?: number): string | undefined =>
    t.connect({
      clientId: 'c1',
      ...(requestResponseInformation !== undefined && { properties: { requestResponseInformation } }),
    }).connack.properties!.responseInformation;
  expect([told(), told(0), told(1)]).toEqual([undefined, undefined, 'response/c1']);
});

/** Packets other than those that may always carry the reason in words. */
function acknowledgements(requestProblemInformation: number): Packet[] {
  const access: AccessControl = {
    authenticate: () => ReasonCode.success,
    topics: {
      canPublish: (_, topicName) => topicName !== 'closed',
      canSubscribe: (_, topicFilter) => topicFilter !== 'closed',
    },
  };
  const t = new TestBroker({ reasonStrings: true }, {}, access);
  const peer = t.connect({ clientId: 'c1', properties: { requestProblemInformation } });
  peer.publish('nobody', 'x', { qos: 1 });
  peer.publish('closed', 'x', { qos: 1 });
  peer.publish('closed', 'x', { qos: 2 });
  peer.publish('$SYS/broker/x', 'x', { qos: 2 });
  peer.send({ type: PacketType.pubrel, packetId: 99, reasonCode: 0, properties: null });
  peer.send({ type: PacketType.pubrec, packetId: 99, reasonCode: 0, properties: null });
  peer.send({ type: PacketType.unsubscribe, packetId: 1, properties: null, topicFilters: ['nothing'] });
  const [...before] = peer.take();
  const suback = peer.subscribe('closed');
  return [...before, suback];
}

test('v5 [MQTT-3.1.2-29] with Request Problem Information 0 sends no Reason String but in CONNACK and DISCONNECT', () => {
  const packets = acknowledgements(0);
  expect(packets.map((packet) => packet.type)).toEqual([4, 4, 5, 5, 7, 6, 11, 9]);
  for (const packet of packets) {
    const properties = 'properties' in packet ? packet.properties : null;
    expect([properties?.reasonString, properties?.userProperties]).toEqual([undefined, undefined]);
  }
});

test('v5 [MQTT-3.1.2-29] with Request Problem Information 0 forwards the User Properties of a PUBLISH, and says why it closes', () => {
  const t = new TestBroker({ reasonStrings: true });
  const peer = t.connect({ clientId: 'c1', properties: { requestProblemInformation: 0 } });
  peer.subscribe('a');
  t.connect({ clientId: 'p' }).publish('a', 'x', { properties: { userProperties: [['k', 'v']] } });
  expect(publishes(peer)[0]!.properties!.userProperties).toEqual([['k', 'v']]);
  peer.send('c1 00');
  expect(peer.expect(PacketType.disconnect).properties!.reasonString).toContain('reserved');
});

test('v5 limits are those of the connection, not of the session', () => {
  const t = new TestBroker();
  const expiring = { sessionExpiryInterval: 300 };
  const first = t.connect({ clientId: 'c1', properties: { ...expiring, maximumPacketSize: 16, topicAliasMaximum: 5 } });
  first.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  const large = 'x'.repeat(50);
  publisher.publish('a', large, { qos: 1 });
  first.expectNothing();
  const second = t.connect({ clientId: 'c1', cleanStart: false, properties: expiring });
  publisher.publish('a', large, { qos: 1 });
  publisher.publish('a', large, { qos: 0 });
  const got = publishes(second);
  expect(got.map((packet) => [packet.topicName, packet.payload.length, packet.properties])).toEqual([
    ['a', 50, null],
    ['a', 50, null],
  ]);
  const third = t.open(5);
  third.send(join(connect({ flags: 0, properties: '21 0001' })));
  third.expect(PacketType.connack);
  for (let i = 0; i < 3; i++) publisher.publish('a', `${i}`, { qos: 1 });
  // What the second connection left unacknowledged takes the one place there is.
  expect(third.take().length).toBe(1);
});
