import { expect } from 'bun:test';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import type { DurableBroker } from './durable-broker.ts';
import { type ConnectOptions, connectPacket, type Peer, text } from './test-broker.ts';

/** A session that is kept for ever. */
export const KEPT: ConnectOptions = { cleanStart: false, properties: { sessionExpiryInterval: 0xffff_ffff } };

/** Connects and takes the CONNACK, which comes when the session is stored. */
export async function connectDurably(test: DurableBroker, clientId: string, options: ConnectOptions = KEPT) {
  const peer = test.open(options.version ?? ProtocolVersion.v5);
  peer.send(connectPacket({ clientId, ...options }));
  await test.settle();
  const connack = peer.expect(PacketType.connack);
  expect(connack.reasonCode).toBe(0);
  return Object.assign(peer, { connack });
}

/** Subscribes and takes the SUBACK, which comes when the subscription is stored. */
export async function subscribeDurably(
  test: DurableBroker,
  peer: Peer,
  topicFilter: string,
  qos: 0 | 1 | 2,
): Promise<void> {
  peer.send({
    type: PacketType.subscribe,
    packetId: 1,
    properties: null,
    subscriptions: [{ topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 }],
  });
  await test.settle();
  expect(peer.expect(PacketType.suback).reasonCodes).toEqual([qos]);
}

/** Payloads of the messages that came since the last look. */
export function payloads(peer: Peer): string[] {
  return peer.take().flatMap((packet) => (packet.type === PacketType.publish ? [text(packet.payload)] : []));
}
