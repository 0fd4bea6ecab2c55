// Limits and switches that change while clients are connected.
import { describe, expect, test } from 'bun:test';
import { replaceOptions } from '../../src/broker/reload.ts';
import { type BrokerOptions, defaultBrokerOptions } from '../../src/config/broker-options.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { publishes } from '../support/exchanges.ts';
import { type Peer, TestBroker } from '../support/test-broker.ts';

function change(t: TestBroker, options: Partial<BrokerOptions>): void {
  replaceOptions(t.broker, { ...defaultBrokerOptions, ...options });
}

/** Publishes as many QoS 2 messages and releases none. */
function hold(peer: Peer, count: number): void {
  for (let packetId = 1; packetId <= count; packetId++) peer.publish('t', 'x', { qos: 2, packetId });
}

const large = 'x'.repeat(500);

describe('max_packet_size', () => {
  test('made smaller, is for new clients and for those before MQTT 5, who were told nothing', () => {
    const t = new TestBroker();
    const told = t.connect({ clientId: 'told' });
    const untold = t.connect({ version: 4, clientId: 'untold' });
    change(t, { maxPacketSize: 100 });
    told.publish('t', large);
    expect(told.isClosed).toBe(false);
    untold.publish('t', large);
    expect(untold.isClosed).toBe(true);
    const later = t.connect({ clientId: 'later' });
    expect(later.connack.properties?.maximumPacketSize).toBe(100);
    later.publish('t', large);
    expect(later.expect(PacketType.disconnect).reasonCode).toBe(0x95);
    // What was promised is kept, however often it changes.
    change(t, { maxPacketSize: 50 });
    told.publish('t', large);
    expect(told.isClosed).toBe(false);
  });

  test('made larger, is for everybody at once', () => {
    const t = new TestBroker({ maxPacketSize: 100 });
    const clients = [t.connect({ clientId: 'a' }), t.connect({ version: 4, clientId: 'b' })];
    change(t, { maxPacketSize: 1_000 });
    for (const client of clients) {
      client.publish('t', large);
      expect(client.isClosed).toBe(false);
    }
  });
});

describe('max_inflight_messages', () => {
  test('made smaller, ends no client that keeps to the Receive Maximum it was told', () => {
    const t = new TestBroker();
    const told = t.connect({ clientId: 'told' });
    change(t, { maxInflightMessages: 2 });
    hold(told, 20);
    expect(told.isClosed).toBe(false);
    told.publish('t', 'x', { qos: 2, packetId: 21 });
    expect(told.isClosed).toBe(true);
    const later = t.connect({ clientId: 'later' });
    expect(later.connack.properties?.receiveMaximum).toBe(2);
    hold(later, 3);
    expect(later.isClosed).toBe(true);
  });

  test('without a limit from now on, is so for everybody', () => {
    const t = new TestBroker({ maxInflightMessages: 2 });
    const client = t.connect();
    change(t, { maxInflightMessages: 0 });
    hold(client, 100);
    expect(client.isClosed).toBe(false);
    // And with one again, no less than was promised in between.
    const free = t.connect({ clientId: 'free' });
    change(t, { maxInflightMessages: 2 });
    hold(free, 100);
    expect(free.isClosed).toBe(false);
  });

  test('holds at once for what goes out, up to the Receive Maximum of the client', () => {
    const t = new TestBroker({ maxInflightMessages: 3 });
    const receiver = t.connect({ clientId: 'r' });
    const modest = t.connect({ clientId: 'm', properties: { receiveMaximum: 4 } });
    for (const one of [receiver, modest]) one.subscribe('t', 1);
    const publisher = t.connect({ clientId: 'p' });
    const send = (count: number) => {
      for (let i = 0; i < count; i++) publisher.publish('t', 'x', { qos: 1, packetId: 1 });
    };
    const received = () => [receiver, modest].map((one) => publishes(one).length);
    send(3);
    expect(received()).toEqual([3, 3]);
    change(t, { maxInflightMessages: 5 });
    send(3);
    expect(received()).toEqual([2, 1]);
    change(t, { maxInflightMessages: 1 });
    for (let packetId = 1; packetId <= 4; packetId++) receiver.puback(packetId);
    expect(received()).toEqual([0, 0]);
    receiver.puback(5);
    expect(received()).toEqual([1, 0]);
  });
});

test('other limits and switches hold from the next packet on', () => {
  const t = new TestBroker();
  const client = t.connect({ clientId: 'c' });
  change(t, { messageSizeLimit: 3, connectionMessages: false, reasonStrings: true });
  client.publish('t', 'four', { qos: 1, packetId: 1 });
  expect(client.expect(PacketType.puback)).toMatchObject({
    reasonCode: 0x83,
    properties: { reasonString: expect.any(String) },
  });
  const before = t.log.lines.length;
  t.connect({ clientId: 'quiet' });
  expect(t.log.lines.slice(before).filter((line) => line.startsWith('New client connected'))).toEqual([]);
  change(t, { retainAvailable: false });
  client.publish('t', 'x', { retain: true });
  expect(client.expect(PacketType.disconnect).reasonCode).toBe(0x9a);
});
