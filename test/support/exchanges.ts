/** Short ways to say whole MQTT exchanges in tests of the broker. */
import { expect, test } from 'bun:test';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import type { PublishPacket } from '../../src/protocol/publish.ts';
import type { BrokerOptions } from '../../src/config/broker-options.ts';
import { type Peer, TestBroker, text, toHex } from './test-broker.ts';

/** Bytes the broker sent since the last `take`, as hex; they and their packets are taken. */
export function received(peer: Peer): string {
  const hex = toHex(Uint8Array.from(peer.raw));
  peer.take();
  return hex;
}

/** Sends hex or a packet and gives the bytes of the answer, without what came before. */
export function exchange(peer: Peer, what: Parameters<Peer['send']>[0]): string {
  peer.take();
  peer.send(what);
  return received(peer);
}

export function ack(type: 4 | 5 | 6 | 7, packetId: number, reasonCode = 0) {
  return { type, packetId, reasonCode, properties: null };
}

/** Publishes and goes through the whole QoS flow; what the publisher gets as a subscriber stays unread. */
export function publishWhole(
  publisher: Peer,
  topicName: string,
  payload: string,
  qos: QoS = 0,
  options: Partial<PublishPacket> = {},
): void {
  const packetId = qos === 0 ? 0 : (options.packetId ?? 10);
  publisher.publish(topicName, payload, { ...options, qos, packetId });
  if (qos === 1) expect(publisher.expect(PacketType.puback).packetId).toBe(packetId);
  if (qos !== 2) return;
  expect(publisher.expect(PacketType.pubrec).packetId).toBe(packetId);
  publisher.send(ack(PacketType.pubrel, packetId));
  expect(publisher.expect(PacketType.pubcomp).packetId).toBe(packetId);
}

/** The PUBLISH packets among what came, in order; the rest is thrown away. */
export function publishes(peer: Peer): PublishPacket[] {
  return peer.take().filter((packet) => packet.type === PacketType.publish);
}

export const payloads = (peer: Peer): string[] => publishes(peer).map((packet) => text(packet.payload));

/** Takes every message that comes and acknowledges it to the end of its flow, until nothing comes any more. */
export function drainMessages(peer: Peer): PublishPacket[] {
  const all: PublishPacket[] = [];
  for (;;) {
    const packets = peer.take();
    if (packets.length === 0) return all;
    for (const packet of packets) {
      if (packet.type === PacketType.pubrel) peer.send(ack(PacketType.pubcomp, packet.packetId));
      if (packet.type !== PacketType.publish) continue;
      all.push(packet);
      if (packet.qos === 1) peer.puback(packet.packetId);
      if (packet.qos === 2) peer.send(ack(PacketType.pubrec, packet.packetId));
    }
  }
}

/** The next packet is the answer to a PINGREQ sent now: nothing else was on its way. */
export function expectQuiet(peer: Peer): void {
  peer.send({ type: PacketType.pingreq });
  peer.expect(PacketType.pingresp);
  peer.expectNothing();
}

export interface Refusal {
  readonly name: string;
  /** Each is sent on a connection of its own. */
  readonly send: readonly string[];
  /** Exchanged before, as hex. */
  readonly after?: readonly string[];
  /** Of the DISCONNECT; MQTT 3 has none. */
  readonly reasonCode?: number;
  readonly options?: Partial<BrokerOptions>;
}

/**
 * One test a row: the bytes end their connection, in MQTT 5 with a DISCONNECT of the reason code and before without a
 * byte; nothing of them reaches a subscriber, and other connections live on.
 */
export function testRefusals(version: ProtocolVersion, rows: readonly Refusal[]): void {
  for (const { name, send, after = [], reasonCode = 0, options = {} } of rows) {
    test(name, () => {
      for (const hex of send) {
        const t = new TestBroker(options);
        const watcher = t.connect({ clientId: 'watcher' });
        watcher.subscribe('#', 2);
        const peer = t.connect({ version, clientId: 'c1' });
        for (const one of after) peer.send(one);
        const answer = exchange(peer, hex);
        expect([hex, answer, peer.isClosed]).toEqual([
          hex,
          version === ProtocolVersion.v5 ? `e001${reasonCode.toString(16)}` : '',
          true,
        ]);
        expectQuiet(watcher);
        expect(t.broker.tree.subscriptionCount).toBe(1);
        expect([...t.broker.counters.closed.values()]).toEqual([1]);
      }
    });
  }
}
