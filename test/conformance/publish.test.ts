/** PUBLISH: v5 section 3.3, v3.1.1 section 3.3. */
import { expect, test } from 'bun:test';
import type { AccessControl } from '../../src/auth/access-control.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import type { Properties } from '../../src/protocol/properties.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { ack, exchange, expectQuiet, payloads, publishWhole, received, testRefusals } from '../support/exchanges.ts';
import { TestBroker, text, utf8 } from '../support/test-broker.ts';

/** An ACL: `secret` and what lies below it belong to nobody. */
const guarded: AccessControl = {
  authenticate: () => ReasonCode.success,
  topics: {
    canPublish: (_identity, topicName) => !topicName.startsWith('secret'),
    canSubscribe: (_identity, topicFilter) => !topicFilter.startsWith('secret'),
  },
};

testRefusals(ProtocolVersion.v5, [
  { name: 'v5 [MQTT-3.3.1-2] refuses DUP at QoS 0', send: ['38050001610078'], reasonCode: 0x81 },
  {
    name: 'v5 [MQTT-3.3.1-4] refuses a PUBLISH with both QoS bits set',
    send: ['360700016100010078', '3e0700016100010078', '370700016100010078'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-3.3.2-1] refuses a topic name that is not UTF-8 or reaches past the end',
    send: ['30050001ff0078', '30050009610078', '3200', '300100'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-3.3.2-2] [MQTT-4.7.0-1] refuses a topic name with wildcards',
    send: ['30070003612f2b0078', '30050001230078', '30070003612b620078', '32090003612f2300010078'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-3.3.2-13] refuses a response topic that is not UTF-8',
    send: ['3009000161040800 01ff78'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-3.3.2-14] refuses a response topic with wildcards',
    send: ['3009000161040800012b78', '30090001610408000123 78', '320d000161000106080003612f2b78'],
    reasonCode: 0x82,
  },
  {
    name: 'v5 [MQTT-3.3.2-19] refuses a content type that is not UTF-8',
    send: ['300900016104030001ff78'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-3.3.4-6] refuses a subscription identifier from a client',
    send: ['3007000161020b0178', '3209000161000102 0b0178'],
    reasonCode: 0x82,
  },
  {
    name: 'v5 [MQTT-2.2.1-3] refuses packet identifier 0 in a PUBLISH',
    send: ['320700016100000078', '340700016100000078'],
    reasonCode: 0x82,
  },
]);

testRefusals(ProtocolVersion.v311, [
  { name: 'v3.1.1 [MQTT-3.3.1-2] closes on DUP at QoS 0', send: ['380400016178'] },
  { name: 'v3.1.1 [MQTT-3.3.1-4] closes on a PUBLISH with both QoS bits set', send: ['3606000161000178'] },
  {
    name: 'v3.1.1 [MQTT-3.3.2-1] closes on a topic name that is not UTF-8 or reaches past the end',
    send: ['30040001ff78', '300400096178'],
  },
  {
    name: 'v3.1.1 [MQTT-3.3.2-2] [MQTT-4.7.1-1] closes on a topic name with wildcards',
    send: ['30060003612f2b78', '300400012378'],
  },
  { name: 'v3.1.1 [MQTT-2.3.1-1] closes on packet identifier 0', send: ['3206000161000078', '3406000161000078'] },
]);

test('v5 [MQTT-3.3.1-2] [MQTT-4.3.1-1] [MQTT-2.2.1-2] v3.1.1 [MQTT-3.3.1-2] [MQTT-4.3.1-1] [MQTT-2.3.1-5] sends QoS 0 with DUP 0 and no packet identifier', () => {
  const t = new TestBroker();
  for (const [version, bytes] of [
    [ProtocolVersion.v5, '30050001610078'],
    [ProtocolVersion.v311, '300400016178'],
  ] as const) {
    const subscriber = t.connect({ version, clientId: `s${version}`, cleanStart: true });
    subscriber.subscribe('a', 2);
    subscriber.take();
    const publisher = t.connect({ version, clientId: `p${version}` });
    expect(exchange(publisher, bytes)).toBe('');
    expect(received(subscriber)).toBe(bytes);
    subscriber.disconnect();
  }
});

test('v5 [MQTT-3.3.1-3] v3.1.1 [MQTT-3.3.1-3] does not pass the DUP of a publisher on', () => {
  const t = new TestBroker();
  const v5 = t.connect({ clientId: 's5' });
  v5.subscribe('a', 2);
  const v3 = t.connect({ version: 4, clientId: 's3' });
  v3.subscribe('a', 2);
  v5.take();
  v3.take();
  const publisher = t.connect({ clientId: 'p' });
  publisher.send('3a0700016100010078');
  expect(received(v5)).toBe('320700016100010078');
  expect(received(v3)).toBe('3206000161000178');
  publisher.send('3c0700016100020078').send('62020002');
  expect(received(v5)).toBe('340700016100020078');
  const publisher3 = t.connect({ version: 4, clientId: 'p3' });
  publisher3.send('3a06000161000178');
  expect(received(v5)).toBe('320700016100030078');
});

test('v5 [MQTT-3.3.2-3] v3.1.1 [MQTT-3.3.2-3] sends only what matches a filter', () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'p' });
  for (const version of [4, 5] as const) {
    const subscriber = t.connect({ version, clientId: `s${version}` });
    subscriber.subscribe('a/+');
    subscriber.subscribe('b/#');
    for (const topicName of ['a', 'a/x', 'a/x/y', 'b', 'b/x/y', 'c', 'bb', 'a/'])
      publisher.publish(topicName, topicName);
    expect(payloads(subscriber)).toEqual(['a/x', 'b', 'b/x/y', 'a/']);
  }
});

test('v5 [MQTT-3.3.4-1] v3.1.1 [MQTT-3.3.4-1] answers a PUBLISH as its QoS asks', () => {
  const t = new TestBroker();
  t.connect({ clientId: 's' }).subscribe('a');
  const v5 = t.connect({ clientId: 'p5' });
  expect(exchange(v5, '30050001610078')).toBe('');
  expect(exchange(v5, '320700016112340078')).toBe('40021234');
  expect(exchange(v5, '3407000161abcd0078')).toBe('5002abcd');
  const v3 = t.connect({ version: 4, clientId: 'p3' });
  expect(exchange(v3, '300400016178')).toBe('');
  expect(exchange(v3, '3206000161123478')).toBe('40021234');
  expect(exchange(v3, '3406000161abcd78')).toBe('5002abcd');
  expectQuiet(v5);
});

test('v5 [MQTT-3.4.2-1] [MQTT-3.5.2-1] tells a QoS 1 publisher that nobody subscribed; nothing at QoS 2, whose message goes out later, and in v3.1.1', () => {
  const t = new TestBroker();
  const v5 = t.connect({ clientId: 'p5' });
  expect(exchange(v5, '320700016100010078')).toBe('4003000110');
  expect(exchange(v5, '340700016100010078')).toBe('50020001');
  const v3 = t.connect({ version: 4, clientId: 'p3' });
  expect(exchange(v3, '3206000161000178')).toBe('40020001');
  expect(exchange(v3, '3406000161000178')).toBe('50020001');
  // A retained message that nobody receives now is one that nobody receives.
  expect(exchange(v5, '330700016100020078')).toBe('4003000210');
});

test('v5 [MQTT-3.4.2-1] [MQTT-3.5.2-1] a message that is not authorized is acknowledged with 0x87 and goes nowhere', () => {
  const t = new TestBroker({}, {}, guarded);
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('#', 2);
  watcher.subscribe('$SYS/#', 2);
  const publisher = t.connect({ clientId: 'p' });
  publisher.take();
  for (const topicName of ['secret/a', '$SYS/broker/x', '$SYS', '$share/g/a']) {
    publisher.publish(topicName, 'x');
    publisher.publish(topicName, 'x', { qos: 1, packetId: 1 });
    expect(received(publisher)).toBe('4003000187');
    publisher.publish(topicName, 'x', { qos: 2, packetId: 2 });
    expect(received(publisher)).toBe('5003000287');
  }
  expectQuiet(watcher);
});

test('v3.1.1 [MQTT-3.3.5-2] a message that is not authorized is acknowledged as usual and goes nowhere', () => {
  const t = new TestBroker({}, {}, guarded);
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('#', 2);
  watcher.subscribe('$SYS/#', 2);
  const publisher = t.connect({ version: 4, clientId: 'p' });
  for (const topicName of ['secret/a', '$SYS/broker/x']) {
    publishWhole(publisher, topicName, 'x', 0);
    publishWhole(publisher, topicName, 'x', 1);
    publishWhole(publisher, topicName, 'x', 2);
  }
  expectQuiet(watcher);
  // The identifier is free again for a message that is allowed.
  publishWhole(publisher, 'open', 'x', 2);
  expect(payloads(watcher)).toEqual(['x']);
});

test('the state topic of a bridge is open, as with Mosquitto', () => {
  const t = new TestBroker();
  const watcher = t.connect({ clientId: 'watcher' });
  watcher.subscribe('$SYS/broker/connection/#', 1);
  const publisher = t.connect({ clientId: 'p' });
  publishWhole(publisher, '$SYS/broker/connection/h.c/state', '1', 1);
  expect(payloads(watcher)).toEqual(['1']);
  expect(exchange(publisher, { ...blank, topicName: '$SYS/broker/connection/h.c/other', qos: 1, packetId: 3 })).toBe(
    '4003000387',
  );
});

const blank = {
  type: PacketType.publish,
  dup: false,
  qos: 0,
  retain: false,
  topicName: 'a',
  packetId: 0,
  properties: null,
  payload: utf8('x'),
} as const;

test('message_size_limit lets a payload of its size through and drops one byte more, acknowledged', () => {
  const t = new TestBroker({ messageSizeLimit: 10 });
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe('a', 2);
  const publisher = t.connect({ clientId: 'p' });
  publisher.publish('a', '0123456789', { qos: 1 });
  expect(publisher.expect(PacketType.puback).reasonCode).toBe(0);
  expect(payloads(subscriber)).toEqual(['0123456789']);
  publisher.publish('a', '0123456789a', { qos: 1 });
  expect(publisher.expect(PacketType.puback).reasonCode).toBe(ReasonCode.implementationSpecificError);
  const v3 = t.connect({ version: 4, clientId: 'p3' });
  publishWhole(v3, 'a', '0123456789a', 2);
  expectQuiet(subscriber);
});

const everyProperty: Properties = {
  payloadFormatIndicator: 1,
  contentType: 'text/plain; charset=utf-8',
  responseTopic: 'r/1',
  correlationData: Uint8Array.of(0, 0xff, 0x80, 1),
  userProperties: [
    ['b', '1'],
    ['a', '2'],
    ['b', '1'],
    ['', ''],
    ['long', 'v'.repeat(1_000)],
    ['a', '3'],
  ],
};

test('v5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] forwards the properties of a message unaltered and in order: live, queued, retained and from a will', () => {
  const t = new TestBroker();
  const away = t.connect({ clientId: 'away', properties: { sessionExpiryInterval: 100 } });
  away.subscribe('a', 1);
  away.drop();
  const live = t.connect({ clientId: 'live' });
  live.subscribe('a', 2);
  live.subscribe('w', 2);
  const publisher = t.connect({ clientId: 'p' });
  for (const qos of [0, 1, 2] as const) {
    publishWhole(publisher, 'a', 'x', qos, { properties: everyProperty });
    expect(live.expect(PacketType.publish).properties).toEqual(everyProperty);
  }
  // Properties that the broker takes out stand between those that it hands on.
  publisher.publish('a', 'x', {
    qos: 1,
    retain: true,
    properties: { contentType: 'c', topicAlias: 1, ...everyProperty, messageExpiryInterval: 50 },
  });
  expect(live.expect(PacketType.publish).properties).toEqual({ ...everyProperty, messageExpiryInterval: 50 });

  const back = t.connect({ clientId: 'away', cleanStart: false });
  expect(back.expect(PacketType.publish).properties).toEqual(everyProperty);
  expect(back.expect(PacketType.publish).properties).toEqual(everyProperty);
  expect(back.expect(PacketType.publish).properties).toEqual({ ...everyProperty, messageExpiryInterval: 50 });

  const late = t.connect({ clientId: 'late' });
  late.subscribe('a', 1, { identifier: 7 });
  expect(late.expect(PacketType.publish).properties).toEqual({
    ...everyProperty,
    messageExpiryInterval: 50,
    subscriptionIdentifiers: [7],
  });

  const willed = t.connect({
    clientId: 'willed',
    will: { topicName: 'w', payload: utf8('gone'), qos: 1, retain: false, properties: everyProperty },
  });
  willed.drop();
  const will = live.expect(PacketType.publish);
  expect([will.topicName, text(will.payload), will.properties]).toEqual(['w', 'gone', everyProperty]);
});

test('v5 [MQTT-3.3.2-4] [MQTT-3.3.2-16] keeps properties with the value 0 or of no bytes, and adds none', () => {
  const t = new TestBroker();
  const live = t.connect({ clientId: 'live' });
  live.subscribe('a', 1);
  const publisher = t.connect({ clientId: 'p' });
  for (const properties of [
    null,
    { payloadFormatIndicator: 0 },
    { correlationData: new Uint8Array(0) },
    { contentType: '' },
    { userProperties: [['', '']] as [string, string][] },
  ]) {
    for (const qos of [0, 1] as const) {
      publishWhole(publisher, 'a', '', qos, { properties });
      expect(live.expect(PacketType.publish).properties).toEqual(properties);
    }
  }
});

test('the acknowledgement of a publish leaves before the copy that its sender gets as a subscriber', () => {
  const t = new TestBroker();
  const peer = t.connect({ clientId: 'c1' });
  peer.subscribe('a', 2);
  expect(exchange(peer, '320700016112340078')).toBe('40021234' + '320700016100010078');
  expect(exchange(peer, '3407000161abcd0078')).toBe('5002abcd');
  expect(exchange(peer, ack(PacketType.pubrel, 0xabcd))).toBe('7002abcd' + '340700016100020078');
});

test('packets work however they are cut: byte by byte, and many in one write', () => {
  const t = new TestBroker();
  const peer = t.connect({ clientId: 'c1' });
  for (const byte of ['82', '07', '00', '01', '00', '00', '01', '61', '01']) peer.send(byte);
  expect(received(peer).endsWith('900400010001')).toBe(true);
  const many = '320700016100010031' + '320700016100020032' + 'c000' + '320700016100030033';
  expect(exchange(peer, many)).toBe(
    '40020001' + '320700016100010031' + '40020002' + '320700016100020032' + 'd000' + '40020003' + '320700016100030033',
  );
});
