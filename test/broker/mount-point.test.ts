// mount_point: what clients of a listener call a/b is PREFIXa/b for everybody else.

import { describe, expect, test } from 'bun:test';
import { ListenerTopics } from '../../src/auth/listener-topics.ts';
import { AclAccess } from '../../src/auth/acl-access.ts';
import { parseAclFile } from '../../src/auth/acl-file.ts';
import { MountPoint } from '../../src/broker/mount-point.ts';
import { defaultListenerInfo, type ListenerInfo } from '../../src/broker/listener-info.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { type ConnectOptions, connectPacket, Peer, TestBroker, text, utf8 } from '../support/test-broker.ts';

const { v311, v5 } = ProtocolVersion;

/** A broker with a listener of its own topics, and one behind a mount point. */
class MountedBroker extends TestBroker {
  readonly mounted: ListenerInfo;

  constructor(prefix: string, topics: ListenerTopics = new ListenerTopics(prefix)) {
    super();
    const access = { authenticate: () => ReasonCode.success, topics };
    this.mounted = { ...defaultListenerInfo(), mountPoint: new MountPoint(prefix), access };
  }

  behind(options: ConnectOptions = {}): Peer {
    const peer = new Peer(this, options.version ?? v5, this.mounted);
    peer.send(connectPacket({ clientId: 'inside', ...options }));
    expect(peer.expect(PacketType.connack).reasonCode).toBe(0);
    return peer;
  }
}

/** `TOPIC PAYLOAD` of what came. */
function received(peer: Peer): string[] {
  return peer
    .take()
    .flatMap((packet) => (packet.type === PacketType.publish ? [`${packet.topicName} ${text(packet.payload)}`] : []));
}

describe.each([v311, v5])('MQTT %d', (version) => {
  test.each([0, 1, 2] as const)(
    'topics have the mount point on the way in, and lose it on the way out, QoS %d',
    (qos) => {
      const t = new MountedBroker('mp/');
      const [inside, outside] = [t.behind({ version }), t.connect({ version, clientId: 'outside' })];
      inside.subscribe('#', qos);
      outside.subscribe('#', qos);
      const release = { type: PacketType.pubrel, packetId: 10, reasonCode: 0, properties: null };
      inside.publish('a/b', 'from inside', { qos });
      if (qos === 2) inside.send(release);
      outside.publish('mp/c', 'from outside', { qos });
      outside.publish('other', 'not for inside', { qos: 0 });
      if (qos === 2) outside.send(release);
      expect(received(inside)).toEqual(['a/b from inside', 'c from outside']);
      expect(received(outside).sort()).toEqual(['mp/a/b from inside', 'mp/c from outside', 'other not for inside']);
    },
  );

  test('many receivers get each what they may see', () => {
    const t = new MountedBroker('mp/');
    const inside = Array.from({ length: 5 }, (_, i) => t.behind({ version, clientId: `i${i}` }));
    const outside = Array.from({ length: 5 }, (_, i) => t.connect({ version, clientId: `o${i}` }));
    for (const peer of inside) peer.subscribe('a');
    for (const peer of outside) peer.subscribe('mp/a');
    outside[0]!.publish('mp/a', 'x');
    inside[0]!.publish('a', 'y');
    for (const peer of inside) expect(received(peer)).toEqual(['a x', 'a y']);
    for (const peer of outside) expect(received(peer)).toEqual(['mp/a x', 'mp/a y']);
  });

  test('the mount point alone is no topic inside', () => {
    const t = new MountedBroker('mp/');
    const [inside, outside] = [t.behind({ version }), t.connect({ version, clientId: 'outside' })];
    inside.subscribe('#');
    inside.subscribe('+');
    for (const topic of ['mp', 'mp/']) outside.publish(topic, 'x');
    expect(received(inside)).toEqual([]);
  });

  test('retained messages, and their end', () => {
    const t = new MountedBroker('mp/');
    const inside = t.behind({ version });
    inside.publish('kept', 'x', { retain: true });
    const outside = t.connect({ version, clientId: 'outside' });
    outside.subscribe('mp/+');
    expect(received(outside)).toEqual(['mp/kept x']);
    inside.subscribe('+');
    expect(received(inside)).toEqual(['kept x']);
    inside.publish('kept', '', { retain: true });
    expect(t.broker.retained.count).toBe(0);
  });

  test('a subscription ends under the name it was made with', () => {
    const t = new MountedBroker('mp/');
    const inside = t.behind({ version });
    inside.subscribe('a');
    inside.send({ type: PacketType.unsubscribe, packetId: 2, properties: null, topicFilters: ['a'] });
    expect(inside.expect(PacketType.unsuback).reasonCodes[0] ?? 0).toBe(0);
    inside.publish('a', 'x');
    expect(received(inside)).toEqual([]);
    expect(inside.connection.session!.subscriptionCount).toBe(0);
  });

  test('wills', () => {
    const t = new MountedBroker('mp/');
    const outside = t.connect({ version, clientId: 'outside' });
    outside.subscribe('mp/#');
    const will = { topicName: 'gone', payload: utf8('x'), qos: 0 as const, retain: false, properties: null };
    t.behind({ version, will }).drop();
    expect(received(outside)).toEqual(['mp/gone x']);
  });

  test('share groups are those of all clients', () => {
    const t = new MountedBroker('mp/');
    const [inside, outside] = [t.behind({ version }), t.connect({ version, clientId: 'outside' })];
    inside.subscribe('$share/g/a');
    outside.subscribe('$share/g/mp/a');
    for (const payload of ['1', '2', '3', '4']) outside.publish('mp/a', payload);
    const [in2, out2] = [received(inside), received(outside)];
    expect([in2.length, out2.length]).toEqual([2, 2]);
    expect(in2.every((line) => line.startsWith('a '))).toBe(true);
    inside.send({ type: PacketType.unsubscribe, packetId: 2, properties: null, topicFilters: ['$share/g/a'] });
    inside.expect(PacketType.unsuback);
    outside.publish('mp/a', '5');
    expect(received(outside)).toEqual(['mp/a 5']);
  });

  test('$SYS and $CONTROL are names like others inside', () => {
    const t = new MountedBroker('mp/');
    const [inside, outside] = [t.behind({ version }), t.connect({ version, clientId: 'outside' })];
    outside.subscribe('mp/#');
    inside.subscribe('$SYS/#');
    inside.publish('$SYS/x', '1').publish('$CONTROL/y', '2');
    expect(received(inside)).toEqual(['$SYS/x 1']);
    expect(received(outside)).toEqual(['mp/$SYS/x 1', 'mp/$CONTROL/y 2']);
  });

  test('a topic that is too long with the mount point is refused', () => {
    const t = new MountedBroker('mp/');
    const inside = t.behind({ version });
    inside.publish('x'.repeat(65_532), 'fits');
    expect(inside.isClosed).toBe(false);
    inside.publish('x'.repeat(65_533), 'does not');
    expect(inside.isClosed).toBe(true);
  });
});

test('a mount point without a slash stands right before the name', () => {
  const t = new MountedBroker('tenant-1-');
  const [inside, outside] = [t.behind(), t.connect({ clientId: 'outside' })];
  outside.subscribe('+');
  inside.subscribe('a');
  inside.publish('a', 'x');
  expect(received(outside)).toEqual(['tenant-1-a x']);
  expect(received(inside)).toEqual(['a x']);
});

describe('topic aliases', () => {
  test('of the client', () => {
    const t = new MountedBroker('mp/');
    const [inside, outside] = [t.behind(), t.connect({ clientId: 'outside' })];
    outside.subscribe('mp/#');
    inside.publish('a', '1', { properties: { topicAlias: 1 } }).publish('', '2', { properties: { topicAlias: 1 } });
    expect(received(outside)).toEqual(['mp/a 1', 'mp/a 2']);
  });

  test('of the broker', () => {
    const t = new MountedBroker('mp/');
    const [inside, outside] = [t.behind({ properties: { topicAliasMaximum: 5 } }), t.connect({ clientId: 'outside' })];
    inside.subscribe('#');
    for (const payload of ['1', '2']) outside.publish('mp/a', payload);
    const publishes = inside.take().filter((packet) => packet.type === PacketType.publish);
    expect(publishes.map(({ topicName, properties }) => [topicName, properties?.topicAlias])).toEqual([
      ['a', 1],
      ['', 1],
    ]);
  });
});

test('the limit of a client counts what it gets', () => {
  const t = new MountedBroker('mount-point/');
  const [inside, outside] = [t.behind({ properties: { maximumPacketSize: 40 } }), t.connect({ clientId: 'outside' })];
  inside.subscribe('a');
  outside.publish('mount-point/a', 'x'.repeat(34)).publish('mount-point/a', 'x'.repeat(35));
  expect(received(inside).map((line) => line.length)).toEqual([36]);
  expect(t.broker.counters.dropped.get('too_large')).toBe(1);
});

test('access rules are about whole topics, as in Mosquitto', () => {
  const topics = new ListenerTopics('mp/');
  topics.rules = new AclAccess(parseAclFile('topic read mp/r/#\ntopic write mp/w\ntopic write w\n', 'acl'));
  const t = new MountedBroker('mp/', topics);
  const [inside, outside] = [t.behind(), t.connect({ clientId: 'outside' })];
  inside.subscribe('#');
  outside.subscribe('#');
  inside.publish('w', '1').publish('other', '2');
  outside.publish('mp/r/x', '3').publish('mp/other', '4');
  expect(received(outside)).toEqual(['mp/w 1', 'mp/r/x 3', 'mp/other 4']);
  expect(received(inside)).toEqual(['r/x 3']);
});

test('a session that comes back by this listener sees nothing of what it subscribed to elsewhere', () => {
  const t = new MountedBroker('mp/');
  const properties = { sessionExpiryInterval: 100 };
  const before = t.connect({ clientId: 'c', properties });
  before.subscribe('a', 1);
  before.subscribe('mp/b', 1);
  before.drop();
  const outside = t.connect({ clientId: 'outside' });
  outside.publish('a', '1', { qos: 1 }).publish('mp/b', '2', { qos: 1 });
  const after = t.behind({ clientId: 'c', properties, cleanStart: false });
  outside.publish('a', '3').publish('mp/b', '4');
  expect(received(after)).toEqual(['b 2', 'b 4']);
});
