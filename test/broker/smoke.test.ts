import { expect, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { TestBroker, text } from '../support/test-broker.ts';

test('a message goes from a v5 publisher to v3.1.1 and v5 subscribers at each QoS', () => {
  const t = new TestBroker();
  const publisher = t.connect({ clientId: 'publisher' });
  for (const version of [3, 4, 5] as const) {
    for (const qos of [0, 1, 2] as const) {
      const subscriber = t.connect({ version, clientId: `s${version}${qos}` });
      subscriber.subscribe('a/+', qos);
      publisher.publish('a/b', 'hello', { qos });
      publisher.take();
      publisher.send({ type: PacketType.pubrel, packetId: 10, reasonCode: 0, properties: null });
      publisher.take();
      const got = subscriber.expect(PacketType.publish);
      expect([got.topicName, text(got.payload), got.qos, got.packetId]).toEqual(['a/b', 'hello', qos, qos > 0 ? 1 : 0]);
      subscriber.disconnect();
    }
  }
});
