import { describe, expect, test } from 'bun:test';
import { brief } from '../../test/support/client/brief.ts';
import { RecordingClient, text } from '../../test/support/client/recording-client.ts';
import { PacketType, ProtocolVersion, type QoS } from '../protocol/packet-type.ts';
import type { SubscriptionRequest } from '../protocol/subscribe.ts';
import { OutgoingMessage } from './outgoing-message.ts';

const { puback, pubrec, pubrel, pubcomp } = PacketType;
const { v31, v311, v5 } = ProtocolVersion;
const persistent = { cleanStart: false, properties: { sessionExpiryInterval: 1_000 } };

function filter(topicFilter: string, qos: QoS = 0): SubscriptionRequest {
  return { topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 };
}

describe('publishes', () => {
  test.each([v31, v311, v5])('version %d at QoS 0, 1 and 2', (protocolVersion) => {
    const its = new RecordingClient({ protocolVersion });
    const connection = its.connect();
    expect([its.publish('zero', 0), its.publish('one', 1), its.publish('two', 2)]).toEqual([0, 0, 0]);
    expect(brief(connection.take())).toEqual(['publish 0 zero', 'publish 1 one', 'publish 2 two']);
    expect(its.client.unfinished).toBe(2);
    connection.ack(pubrec, 2);
    expect(brief(connection.take())).toEqual(['pubrel 2']);
    connection.ack(puback, 1);
    connection.ack(pubcomp, 2);
    expect(its.events).toEqual(['connected', 'published one 0', 'published two 0']);
    expect(its.client.unfinished).toBe(0);
  });

  test('v5 hands on the reason of a refused message and frees its place', () => {
    const its = new RecordingClient({ maximumInFlight: 2 });
    const connection = its.connect();
    its.publish('one', 1);
    its.publish('two', 2);
    its.publish('three', 1);
    connection.ack(puback, 1, 0x87);
    connection.ack(pubrec, 2, 0x97);
    expect(its.events).toEqual(['connected', 'published one 135', 'published two 151']);
    expect(brief(connection.take())).toEqual(['publish 1 one', 'publish 2 two', 'publish 3 three']);
  });

  test('v5 0x10 is a success without subscribers', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.publish('one', 1);
    connection.ack(puback, 1, 0x10);
    expect(its.events.at(-1)).toBe('published one 16');
  });

  test('v5 [MQTT-3.3.4-8] keeps to the Receive Maximum and sends QoS 0 meanwhile', () => {
    const its = new RecordingClient();
    const connection = its.connect({ receiveMaximum: 2 });
    for (const payload of ['a', 'b', 'c', 'd']) its.publish(payload, 1);
    its.publish('zero', 0);
    expect(brief(connection.take())).toEqual(['publish 1 a', 'publish 2 b', 'publish 0 zero']);
    connection.ack(puback, 1);
    expect(brief(connection.take())).toEqual(['publish 3 c']);
    connection.ack(puback, 2);
    connection.ack(puback, 3);
    expect(brief(connection.take())).toEqual(['publish 4 d']);
  });

  test('v5 [MQTT-4.9.0-2] a QoS 2 message holds its place until PUBCOMP', () => {
    const its = new RecordingClient();
    const connection = its.connect({ receiveMaximum: 1 });
    its.publish('a', 2);
    its.publish('b', 2);
    connection.ack(pubrec, 1);
    expect(brief(connection.take())).toEqual(['publish 1 a', 'pubrel 1']);
    connection.ack(pubcomp, 1);
    expect(brief(connection.take())).toEqual(['publish 2 b']);
  });

  test('refuses what can not be published', () => {
    const its = new RecordingClient({ maximumQueuedMessages: 1 });
    const properties = { topicAlias: 3 };
    expect(its.publish('x', 0)).toBe(0x88);
    its.connect({ maximumQoS: 1, retainAvailable: 0, maximumPacketSize: 40, topicAliasMaximum: 2, receiveMaximum: 1 });
    expect(its.publish('x', 0, 'a/+')).toBe(0x90);
    expect(its.publish('x', 0, '')).toBe(0x90);
    expect(its.publish('x', 0, 'a\u0000b')).toBe(0x90);
    expect(its.publish('x', 2)).toBe(0x9b);
    expect(its.client.publish(new OutgoingMessage('a', new Uint8Array(1), 0, true))).toBe(0x9a);
    expect(its.publish('x'.repeat(40), 0)).toBe(0x95);
    expect(its.publish('x'.repeat(40), 1)).toBe(0x95);
    expect(its.publish('x', 0, 'a', properties)).toBe(0x94);
    expect([its.publish('x', 1), its.publish('x', 1), its.publish('x', 1)]).toEqual([0, 0, 0x97]);
    expect(() => its.publish('x', 0, 'a', { receiveMaximum: 1 })).toThrow(RangeError);
    expect(its.server.connection.take()).toHaveLength(1);
  });

  test('v3.1.1 has no properties', () => {
    const its = new RecordingClient({ protocolVersion: v311 });
    its.connect();
    expect(() => its.publish('x', 0, 'a', { contentType: 'x' })).toThrow(RangeError);
  });

  test('bounds the bytes of the queue', () => {
    const its = new RecordingClient({ maximumQueuedBytes: 10 });
    expect(its.publish('1234567', 1)).toBe(0);
    expect(its.publish('1', 1)).toBe(0x97);
    its.connect();
    expect(its.publish('1', 1)).toBe(0);
  });

  test('a message that the next server does not take is reported when its turn comes', () => {
    const its = new RecordingClient();
    its.publish('big'.repeat(20), 1);
    its.publish('two', 2);
    its.publish('ok', 1);
    const connection = its.connect({ maximumPacketSize: 40, maximumQoS: 1 });
    expect(its.events).toEqual([`published ${'big'.repeat(20)} 149`, 'published two 155', 'connected']);
    expect(brief(connection.take())).toEqual(['publish 1 ok'].map((line) => line.replace('1 ok', '3 ok')));
  });

  test('a payload of any size goes whole, behind its header', () => {
    for (const length of [0, 1, 16_384, 16_385, 3_000_000]) {
      const its = new RecordingClient();
      const connection = its.connect();
      const payload = new Uint8Array(length).fill(7);
      expect(its.client.publish(new OutgoingMessage('a', payload, 1, false, { contentType: 'x' }))).toBe(0);
      const [packet] = connection.take();
      expect(packet).toMatchObject({ topicName: 'a', packetId: 1, properties: { contentType: 'x' } });
      expect(packet?.type === PacketType.publish && Bun.deepEquals(packet.payload, payload)).toBe(true);
    }
  });

  test('v5 [MQTT-2.2.1-3] packet identifiers go round and skip those in use', () => {
    const its = new RecordingClient({ maximumInFlight: 3 });
    const connection = its.connect();
    its.publish('stays', 1);
    for (let i = 2; i <= 65_535; i++) {
      its.publish('x', 1);
      connection.ack(puback, i);
    }
    connection.take();
    its.publish('next', 1);
    expect(brief(connection.take())).toEqual(['publish 2 next']);
  });

  test('QoS 0 messages may be published again and again', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    const message = new OutgoingMessage('a', new TextEncoder().encode('same'));
    for (let i = 0; i < 3; i++) expect(its.client.publish(message)).toBe(0);
    expect(brief(connection.take())).toEqual(['publish 0 same', 'publish 0 same', 'publish 0 same']);
  });

  test('ignores acknowledgements nobody waits for and ends the connection on those of the wrong kind', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    connection.ack(puback, 7);
    connection.ack(pubcomp, 7);
    connection.ack(pubrec, 7);
    expect(brief(connection.take())).toEqual(['pubrel 7 146']);
    its.publish('two', 2);
    connection.ack(puback, 1);
    expect(its.cause).toMatchObject({ kind: 'protocol-error', reasonCode: 0x82 });
    const other = new RecordingClient();
    const second = other.connect();
    other.publish('one', 1);
    second.ack(pubrec, 1);
    expect(other.cause.reasonCode).toBe(0x82);
  });

  test('a repeated PUBREC gets PUBREL again', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.publish('two', 2);
    connection.ack(pubrec, 1);
    connection.ack(pubrec, 1);
    expect(brief(connection.take())).toEqual(['publish 1 two', 'pubrel 1', 'pubrel 1']);
  });
});

describe('a session that goes on', () => {
  test('v5 [MQTT-4.4.0-1] [MQTT-3.3.1-1] sends what is not acknowledged again, with DUP, identifiers and order kept', () => {
    const its = new RecordingClient(persistent);
    const first = its.connect();
    for (const [payload, qos] of [
      ['a', 1],
      ['b', 2],
      ['c', 1],
      ['d', 2],
      ['e', 2],
    ] as const)
      its.publish(payload, qos);
    first.ack(puback, 1);
    first.ack(pubrec, 4);
    first.ack(pubrec, 2);
    first.finishClose();
    its.publish('f', 1);
    const second = its.connect(null, true);
    expect(brief(second.take())).toEqual(['pubrel 4', 'pubrel 2', 'publish 3 c dup', 'publish 5 e dup', 'publish 6 f']);
    second.ack(pubcomp, 4);
    second.ack(pubcomp, 2);
    second.ack(puback, 3);
    expect(its.events.slice(-3)).toEqual(['published d 0', 'published b 0', 'published c 0']);
  });

  test('v3.1.1 [MQTT-4.4.0-1] does so too', () => {
    const its = new RecordingClient({ protocolVersion: v311, cleanStart: false });
    const first = its.connect();
    its.publish('a', 1);
    first.finishClose();
    expect(brief(its.connect(null, true).take())).toEqual(['publish 1 a dup']);
  });

  test('MQTT 3.1, which has no session present flag, takes the session for kept', () => {
    const its = new RecordingClient({ protocolVersion: v31, cleanStart: false });
    const first = its.connect();
    its.publish('a', 1);
    first.finishClose();
    expect(brief(its.connect(null, false).take())).toEqual(['publish 1 a dup']);
  });

  test('a smaller Receive Maximum holds back what is sent again, before anything new', () => {
    const its = new RecordingClient(persistent);
    const first = its.connect();
    for (const payload of ['a', 'b', 'c']) its.publish(payload, 1);
    first.finishClose();
    const second = its.connect({ receiveMaximum: 2 }, true);
    its.publish('d', 1);
    expect(brief(second.take())).toEqual(['publish 1 a dup', 'publish 2 b dup']);
    second.ack(puback, 1);
    expect(brief(second.take())).toEqual(['publish 3 c dup']);
    second.ack(puback, 2);
    expect(brief(second.take())).toEqual(['publish 4 d']);
  });

  test('PUBCOMP of an earlier connection does not widen the window', () => {
    const its = new RecordingClient(persistent);
    const first = its.connect({ receiveMaximum: 1 });
    its.publish('a', 2);
    first.ack(pubrec, 1);
    first.finishClose();
    const second = its.connect({ receiveMaximum: 1 }, true);
    second.ack(pubcomp, 1);
    its.publish('b', 1);
    its.publish('c', 1);
    expect(brief(second.take())).toEqual(['pubrel 1', 'publish 2 b']);
  });

  test('v5 [MQTT-3.2.2-5] without a session on the server, messages become new ones and identifiers are forgotten', () => {
    const its = new RecordingClient(persistent);
    const first = its.connect();
    its.publish('a', 1);
    its.publish('b', 2);
    its.publish('c', 2);
    first.ack(pubrec, 3);
    first.finishClose();
    its.publish('d', 1);
    const second = its.connect(null, false);
    expect(brief(second.take())).toEqual(['publish 4 a', 'publish 5 b', 'publish 6 d']);
    expect(its.events).toContain('published c 0');
    expect(its.client.unfinished).toBe(3);
  });

  test('a topic alias of the application is not sent again without its topic', () => {
    const its = new RecordingClient(persistent);
    const first = its.connect({ topicAliasMaximum: 5 });
    its.publish('a', 1, 'topic', { topicAlias: 1 });
    its.publish('b', 1, '', { topicAlias: 1 });
    first.finishClose();
    const second = its.connect({ topicAliasMaximum: 5 }, true);
    expect(brief(second.take())).toEqual(['publish 1 a dup']);
    expect(its.events).toContain('published b 148');
  });
});

describe('assigns topic aliases', () => {
  test("v5 [MQTT-3.3.2-10] up to the server's maximum, and sends further topics in full", () => {
    const its = new RecordingClient({ assignTopicAliases: true });
    const connection = its.connect({ topicAliasMaximum: 2 });
    for (const topicName of ['a', 'b', 'a', 'c', 'b', 'c']) its.publish('', 0, topicName);
    const sent = connection.take().map((packet) => {
      if (packet.type !== PacketType.publish) return '';
      return `${packet.topicName}:${packet.properties?.topicAlias ?? ''}`;
    });
    expect(sent).toEqual(['a:1', 'b:2', ':1', 'c:', ':2', 'c:']);
  });

  test('beside other properties, and anew on the next connection', () => {
    const its = new RecordingClient({ ...persistent, assignTopicAliases: true });
    its.connect({ topicAliasMaximum: 2 });
    its.publish('1', 1, 'a', { contentType: 'x' });
    its.publish('2', 1, 'a', { contentType: 'x' });
    const expected = [
      { topicName: 'a', properties: { contentType: 'x', topicAlias: 1 } },
      { topicName: '', properties: { contentType: 'x', topicAlias: 1 } },
    ];
    expect(its.server.connection.take()).toMatchObject(expected);
    its.server.connection.finishClose();
    expect(its.connect({ topicAliasMaximum: 2 }, true).take()).toMatchObject(expected);
  });

  test('not where the server takes none', () => {
    const its = new RecordingClient({ assignTopicAliases: true });
    const connection = its.connect();
    its.publish('1', 0);
    expect(connection.take()).toMatchObject([{ topicName: 'a/b', properties: null }]);
  });

  test('an alias whose first packet was too large is not taken for known', () => {
    const its = new RecordingClient({ assignTopicAliases: true });
    const connection = its.connect({ topicAliasMaximum: 1, maximumPacketSize: 20 });
    expect(its.publish('x'.repeat(30), 0, 'a')).toBe(0x95);
    its.publish('y', 0, 'a');
    expect(connection.take()).toMatchObject([{ topicName: 'a', properties: { topicAlias: 1 } }]);
  });
});

describe('subscribes', () => {
  test('and unsubscribes, and hands on the answers', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    const subscription = { ...filter('a/#', 2), noLocal: true, retainAsPublished: true, retainHandling: 2 as const };
    expect(its.client.subscribe([subscription, filter('b')], { subscriptionIdentifiers: [7] })).toBe(1);
    expect(its.client.unsubscribe(['c'], { userProperties: [['a', 'b']] })).toBe(2);
    expect(connection.take()).toEqual([
      {
        type: PacketType.subscribe,
        packetId: 1,
        properties: { subscriptionIdentifiers: [7] },
        subscriptions: [subscription, filter('b')],
      },
      { type: PacketType.unsubscribe, packetId: 2, properties: { userProperties: [['a', 'b']] }, topicFilters: ['c'] },
    ]);
    connection.send({ type: PacketType.unsuback, packetId: 2, properties: null, reasonCodes: [0x11] });
    connection.send({ type: PacketType.suback, packetId: 1, properties: null, reasonCodes: [2, 0x87] });
    expect(its.events).toEqual(['connected', 'unsubscribed 2 17', 'subscribed 1 2,135']);
  });

  test('v3.1.1 UNSUBACK has no reason codes', () => {
    const its = new RecordingClient({ protocolVersion: v311 });
    const connection = its.connect();
    its.client.unsubscribe(['c']);
    connection.send({ type: PacketType.unsuback, packetId: 1, properties: null, reasonCodes: [] });
    expect(its.events).toEqual(['connected', 'unsubscribed 1 ']);
  });

  test('is told where the connection ends before the answer', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.client.subscribe([filter('a')]);
    its.client.unsubscribe(['b']);
    connection.finishClose();
    expect(its.events).toEqual(['connected', 'subscribed 1 never', 'unsubscribed 2 never', 'closed transport']);
  });

  test('refuses what the server does not take', () => {
    const its = new RecordingClient();
    expect(its.client.subscribe([filter('a')])).toBe(-0x88);
    expect(its.client.unsubscribe(['a'])).toBe(-0x88);
    its.connect({
      wildcardSubscriptionAvailable: 0,
      subscriptionIdentifierAvailable: 0,
      sharedSubscriptionAvailable: 0,
      maximumPacketSize: 30,
    });
    expect(its.client.subscribe([filter('a/+')])).toBe(-0xa2);
    expect(its.client.subscribe([filter('a')], { subscriptionIdentifiers: [1] })).toBe(-0xa1);
    expect(its.client.subscribe([filter('$share/g/a')])).toBe(-0x9e);
    expect(its.client.subscribe([filter('$share//a')])).toBe(-0x8f);
    expect(its.client.subscribe([filter('a#')])).toBe(-0x8f);
    expect(its.client.unsubscribe(['a\u0001'])).toBe(-0x8f);
    expect(its.client.subscribe([filter('a'.repeat(40))])).toBe(-0x95);
    expect(its.client.unsubscribe(['a'.repeat(40)])).toBe(-0x95);
    expect(its.server.connection.take()).toEqual([]);
  });

  test('v5 [MQTT-3.8.4-6] an answer with another number of reason codes ends the connection', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.client.subscribe([filter('a'), filter('b')]);
    connection.send({ type: PacketType.suback, packetId: 1, properties: null, reasonCodes: [0] });
    expect(its.cause).toMatchObject({ kind: 'protocol-error', reasonCode: 0x82 });
    const other = new RecordingClient();
    other.connect();
    other.client.unsubscribe(['a']);
    other.server.connection.send({ type: PacketType.suback, packetId: 1, properties: null, reasonCodes: [0] });
    expect(other.cause.kind).toBe('protocol-error');
  });
});

test('handlers may publish, and an endless answer of messages does not overflow the stack', () => {
  const its = new RecordingClient({ maximumInFlight: 1, maximumQueuedMessages: 100_000 }, 'c', {
    onPublished: (client, message) => {
      if (text(message) === 'last') its.events.push('done');
      else client.publish(new OutgoingMessage('a', message.payload, 1));
    },
  });
  const connection = its.connect();
  for (let i = 0; i < 20_000; i++) its.publish('x', 1);
  for (let i = 1; i <= 20_000; i++) connection.ack(puback, i);
  expect(its.client.unfinished).toBe(20_000);
});

test('the trace sees every packet in both directions', () => {
  const its = new RecordingClient();
  const seen: string[] = [];
  its.client.context.trace = {
    sent: (_client, packet) => seen.push(`> ${packet.type}`),
    sentPublish: (_client, message) => seen.push(`> publish ${message.packetId}`),
    received: (_client, packet) => seen.push(`< ${packet.type}`),
    receivedPublish: (_client, message) => seen.push(`< publish ${message.packetId}`),
  };
  const connection = its.connect();
  its.publish('a', 1);
  connection.ack(puback, 1);
  connection.publish({ qos: 2, packetId: 4 });
  connection.ack(pubrel, 4);
  its.client.subscribe([filter('a')]);
  its.client.disconnect();
  expect(seen).toEqual(['> 1', '< 2', '> publish 1', '< 4', '< publish 4', '> 5', '< 6', '> 7', '> 8', '> 14']);
});
