/** Topic Names and Topic Filters: v5 section 4.7, v3.1.1 section 4.7. */
import { expect, test } from 'bun:test';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { MAX_TOPIC_LEVELS } from '../../src/protocol/topic.ts';
import { expectQuiet, publishes, publishWhole, testRefusals } from '../support/exchanges.ts';
import { TestBroker, utf8 } from '../support/test-broker.ts';

function subscribeHex(topicFilter: string, version: ProtocolVersion): string {
  const bytes = utf8(topicFilter);
  const property = version === ProtocolVersion.v5 ? '00' : '';
  const length = bytes.length.toString(16).padStart(4, '0');
  const body = `0001${property}${length}${Buffer.from(bytes).toString('hex')}00`;
  return `82${(body.length / 2).toString(16).padStart(2, '0')}${body}`;
}

const badHash = ['a#', 'a/#/b', '#a', 'a/b#', '##', '#/', '#/#', 'a/+#', 'a/##'];
const badPlus = ['a+', '+a', 'a/b+/c', 'a/+b', '++', '+/a+'];

testRefusals(ProtocolVersion.v5, [
  {
    name: 'v5 [MQTT-4.7.1-1] refuses # that is not alone in the last level',
    send: badHash.map((filter) => subscribeHex(filter, 5)),
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-4.7.1-2] refuses + that is not a whole level',
    send: badPlus.map((filter) => subscribeHex(filter, 5)),
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-4.7.3-1] refuses an empty topic filter',
    send: ['8206000100000000', 'a2050001000000'],
    reasonCode: 0x81,
  },
  {
    name: 'v5 [MQTT-4.7.3-1] refuses an empty topic name',
    send: ['3004000000 78', '32060000000100 78'],
    reasonCode: 0x82,
  },
  {
    name: 'v5 [MQTT-4.7.3-2] refuses U+0000 in a topic name and in a filter',
    send: ['30070003610062 00 78', '82090001000003610062 00', 'a208000100 0003610062'],
    reasonCode: 0x81,
  },
]);

testRefusals(ProtocolVersion.v311, [
  {
    name: 'v3.1.1 [MQTT-4.7.1-2] closes on # that is not alone in the last level',
    send: badHash.map((filter) => subscribeHex(filter, 4)),
  },
  {
    name: 'v3.1.1 [MQTT-4.7.1-3] closes on + that is not a whole level',
    send: badPlus.map((filter) => subscribeHex(filter, 4)),
  },
  {
    name: 'v3.1.1 [MQTT-4.7.3-1] closes on an empty topic name or filter',
    send: ['820500010000 00', 'a20400010000', '3003000078', '32050000000178'],
  },
  {
    name: 'v3.1.1 [MQTT-4.7.3-2] closes on U+0000 in a topic name and in a filter',
    send: ['3006000361006278', '82080001000361006200', 'a2070001 0003610062'],
  },
]);

/** What a subscriber of the filter gets of these topics, live and retained. */
function matches(topicFilter: string, topicNames: readonly string[]): string[] {
  const t = new TestBroker();
  const live = t.connect({ clientId: 'live' });
  expect(live.subscribe(topicFilter).reasonCodes).toEqual([0]);
  const publisher = t.connect({ clientId: 'p' });
  for (const topicName of topicNames) publisher.publish(topicName, 'x', { retain: true });
  const got = publishes(live).map((packet) => packet.topicName);
  const late = t.connect({ version: 4, clientId: 'late' });
  expect(late.subscribe(topicFilter).reasonCodes).toEqual([0]);
  const retained = publishes(late).map((packet) => packet.topicName);
  expect(retained.sort()).toEqual([...got].sort());
  return got;
}

const topics = ['a', '/a', 'a/', '/', '//', 'a/b', 'a/b/c', 'a//c', '/b', 'ab', 'a/b/', 'b', 'a/x/c'];

test('v5 [MQTT-4.7.1-1] v3.1.1 [MQTT-4.7.1-2] # stands for the level above it and all below', () => {
  expect(matches('#', topics)).toEqual(topics);
  expect(matches('a/#', topics)).toEqual(['a', 'a/', 'a/b', 'a/b/c', 'a//c', 'a/b/', 'a/x/c']);
  expect(matches('/#', topics)).toEqual(['/a', '/', '//', '/b']);
  expect(matches('a/b/#', topics)).toEqual(['a/b', 'a/b/c', 'a/b/']);
  expect(matches('+/#', topics)).toEqual(topics);
  expect(matches('+/b/#', topics)).toEqual(['a/b', 'a/b/c', '/b', 'a/b/']);
});

test('v5 [MQTT-4.7.1-2] v3.1.1 [MQTT-4.7.1-3] + stands for one whole level, an empty one too', () => {
  expect(matches('+', topics)).toEqual(['a', 'ab', 'b']);
  expect(matches('+/+', topics)).toEqual(['/a', 'a/', '/', 'a/b', '/b']);
  expect(matches('/+', topics)).toEqual(['/a', '/', '/b']);
  expect(matches('a/+', topics)).toEqual(['a/', 'a/b']);
  expect(matches('a/+/c', topics)).toEqual(['a/b/c', 'a//c', 'a/x/c']);
  expect(matches('+/b/+', topics)).toEqual(['a/b/c', 'a/b/']);
  expect(matches('+/a', topics)).toEqual(['/a']);
});

test('v5 [MQTT-4.7.2-1] v3.1.1 [MQTT-4.7.2-1] a wildcard in front does not match topics that begin with $', () => {
  const dollar = ['$x', '$x/y', '$x/y/z', 'x/y', '$', '/$x', 'y/$x'];
  expect(matches('#', dollar)).toEqual(['x/y', '/$x', 'y/$x']);
  expect(matches('+/#', dollar)).toEqual(['x/y', '/$x', 'y/$x']);
  expect(matches('+/y', dollar)).toEqual(['x/y']);
  expect(matches('+', dollar)).toEqual([]);
  expect(matches('$x/#', dollar)).toEqual(['$x', '$x/y', '$x/y/z']);
  expect(matches('$x/+', dollar)).toEqual(['$x/y']);
  expect(matches('$x', dollar)).toEqual(['$x']);
  expect(matches('y/+', dollar)).toEqual(['y/$x']);
  // The same behind a ShareName.
  expect(matchesShared('$share/g/#', dollar)).toEqual(['x/y', '/$x', 'y/$x']);
  expect(matchesShared('$share/g/$x/+', dollar)).toEqual(['$x/y']);
});

function matchesShared(topicFilter: string, topicNames: readonly string[]): string[] {
  const t = new TestBroker();
  const peer = t.connect({ clientId: 's' });
  peer.subscribe(topicFilter);
  const publisher = t.connect({ clientId: 'p' });
  for (const topicName of topicNames) publisher.publish(topicName, 'x');
  return publishes(peer).map((packet) => packet.topicName);
}

test('v5 [MQTT-4.7.3-1] v3.1.1 [MQTT-4.7.3-1] one character is enough, a separator too', () => {
  expect(matches('/', topics)).toEqual(['/']);
  expect(matches('//', topics)).toEqual(['//']);
  expect(matches(' ', ['a', ' ', '  '])).toEqual([' ']);
});

test('v5 [MQTT-4.7.3-4] v3.1.1 [MQTT-4.7.3-4] compares code point by code point, without normalization', () => {
  const names = ['\u00c5', 'A\u030a', '\u212b', 'A', 'a', 'a/b', 'a//b', 'a ', ' a', 'A/b', '\ufeffa', '\u{1f600}'];
  for (const name of names) {
    expect(matches(name, names)).toEqual([name]);
    expect(matches(`${name}/#`, names)).toEqual(names.filter((one) => one === name || one.startsWith(`${name}/`)));
  }
});

test('v5 [MQTT-4.7.3-3] v3.1.1 [MQTT-4.7.3-3] takes topic names and filters of 65,535 bytes', () => {
  for (const version of [4, 5] as const) {
    for (const name of ['n'.repeat(65_535), '\u00e9'.repeat(32_767), `${'l'.repeat(32_000)}/${'l'.repeat(33_534)}`]) {
      const t = new TestBroker();
      const subscriber = t.connect({ version, clientId: 's' });
      expect(subscriber.subscribe(name, 2).reasonCodes).toEqual([2]);
      const publisher = t.connect({ version, clientId: 'p' });
      for (const qos of [0, 1, 2] as const) publishWhole(publisher, name, 'x', qos, { retain: qos === 1 });
      expect(publishes(subscriber).map(({ topicName }) => topicName === name)).toEqual([true, true, true]);
      subscriber.send({ type: PacketType.unsubscribe, packetId: 1, properties: null, topicFilters: [name] });
      subscriber.expect(PacketType.unsuback);
      const late = t.connect({ version, clientId: 'late' });
      late.subscribe('#', 0);
      expect(publishes(late).map(({ topicName }) => topicName === name)).toEqual([true]);
    }
  }
});

test('topics of as many levels as Mosquitto takes work; one more is refused', () => {
  const levels = (count: number) => Array.from({ length: count }, () => 'l').join('/');
  const t = new TestBroker();
  const subscriber = t.connect({ clientId: 's' });
  subscriber.subscribe(levels(MAX_TOPIC_LEVELS));
  subscriber.subscribe(`${levels(MAX_TOPIC_LEVELS - 1)}/#`);
  const publisher = t.connect({ clientId: 'p' });
  publisher.publish(levels(MAX_TOPIC_LEVELS), 'x');
  expect(publishes(subscriber).length).toBe(2);
  publisher.publish(levels(MAX_TOPIC_LEVELS + 1), 'x');
  expect(publisher.expect(PacketType.disconnect).reasonCode).toBe(0x81);
  expectQuiet(subscriber);
});

test('levels with the names of built-in properties are levels like others', () => {
  for (const name of ['__proto__', 'constructor/prototype', 'toString', 'hasOwnProperty/#'.replace('/#', '/x')]) {
    expect(matches(name, ['a', name])).toEqual([name]);
    expect(matches(`+/${name}`, [`b/${name}`, name])).toEqual([`b/${name}`]);
  }
});
