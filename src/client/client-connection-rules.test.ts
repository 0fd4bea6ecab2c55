// What a client does with servers that break the rules, and enhanced authentication, whose rules are its own.
import { describe, expect, test } from 'bun:test';
import { RecordingClient } from '../../test/support/client/recording-client.ts';
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { Packet } from '../protocol/packet.ts';
import { CloseKind } from './client-handlers.ts';

const { v311 } = ProtocolVersion;
const bytes = (text: string) => new TextEncoder().encode(text);

describe('a server that breaks the rules', () => {
  const publish: Packet = {
    type: PacketType.publish,
    dup: false,
    qos: 0,
    retain: false,
    topicName: 'a',
    packetId: 0,
    properties: null,
    payload: bytes(''),
  };

  test.each<[string, number[]]>([
    ['garbage', [0xff, 0xff, 0xff, 0xff, 0xff]],
    ['PUBLISH before CONNACK', [0x30, 3, 0, 1, 0x61]],
    ['DISCONNECT before CONNACK', [0xe0, 0]],
    ['PINGRESP before CONNACK', [0xd0, 0]],
    ['AUTH that nobody asked for', [0xf0, 0]],
    ['reserved CONNACK flags', [0x20, 3, 2, 0, 0]],
  ])('%s closes without a word', (_name, packet) => {
    const its = new RecordingClient();
    const connection = its.open();
    connection.open();
    connection.take();
    connection.sendBytes(Uint8Array.from(packet));
    expect(its.events).toEqual(['closed protocol-error']);
    expect(its.cause.error).not.toBeNull();
    expect(connection.take()).toEqual([]);
    expect(connection.isClosed).toBe(true);
  });

  test.each<[string, number, number[]]>([
    ['a second CONNACK', 0x82, [0x20, 3, 0, 0, 0]],
    ['CONNECT', 0x82, [0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 2, 0, 0, 0, 0, 0]],
    ['SUBSCRIBE', 0x82, [0x82, 7, 0, 1, 0, 0, 1, 0x61, 0]],
    ['UNSUBSCRIBE', 0x82, [0xa2, 6, 0, 1, 0, 0, 1, 0x61]],
    ['PINGREQ', 0x82, [0xc0, 0]],
    ['packet type 0', 0x81, [0x00, 0]],
    ['wrong flags', 0x81, [0x41, 2, 0, 1]],
    ['PUBLISH at QoS 3', 0x81, [0x36, 6, 0, 1, 0x61, 0, 1, 0]],
    ['a topic with a wildcard', 0x81, [0x30, 4, 0, 1, 0x23, 0]],
    ['a topic that is not UTF-8', 0x81, [0x30, 4, 0, 1, 0xff, 0]],
    ['no topic and no alias', 0x82, [0x30, 3, 0, 0, 0]],
    ['packet identifier 0', 0x82, [0x40, 2, 0, 0]],
    ['SUBACK that answers nothing', 0x82, [0x90, 4, 0, 1, 0, 0]],
    ['UNSUBACK that answers nothing', 0x82, [0xb0, 4, 0, 1, 0, 0]],
    ['AUTH without a method', 0x82, [0xf0, 0]],
    ['DISCONNECT with a session expiry interval', 0x82, [0xe0, 7, 0, 5, 0x11, 0, 0, 0, 1]],
    ['PINGRESP with a body', 0x81, [0xd0, 1, 0]],
    ['a length that is too long', 0x81, [0x30, 0xff, 0xff, 0xff, 0xff]],
  ])('v5 %s is answered with DISCONNECT and a reason', (_name, reasonCode, packet) => {
    const its = new RecordingClient();
    const connection = its.connect();
    connection.sendBytes(Uint8Array.from(packet));
    expect(connection.take()).toEqual([{ type: PacketType.disconnect, reasonCode, properties: null }]);
    expect(its.events).toEqual(['connected', 'closed protocol-error']);
    expect(its.cause).toMatchObject({ reasonCode, wasConnected: true });
    expect(connection.isClosed).toBe(true);
  });

  test('v3.1.1 closes without a word, on DISCONNECT too', () => {
    for (const packet of [
      [0xe0, 0],
      [0x36, 5, 0, 1, 0x61, 0, 1],
    ]) {
      const its = new RecordingClient({ protocolVersion: v311 });
      const connection = its.connect();
      connection.sendBytes(Uint8Array.from(packet));
      expect(its.events).toEqual(['connected', 'closed protocol-error']);
      expect(connection.take()).toEqual([]);
    }
  });

  test('v5 [MQTT-3.1.2-24] a packet above our maximum packet size is answered with 0x95', () => {
    const its = new RecordingClient({ properties: { maximumPacketSize: 30 } });
    const connection = its.connect();
    connection.send({ ...publish, payload: bytes('x'.repeat(24)) });
    expect(its.messages).toHaveLength(1);
    connection.send({ ...publish, payload: bytes('x'.repeat(25)) });
    expect(its.messages).toHaveLength(1);
    expect(connection.take()).toEqual([{ type: PacketType.disconnect, reasonCode: 0x95, properties: null }]);
  });
});

describe('enhanced authentication', () => {
  const authenticationMethod = 'SCRAM';
  const properties = { authenticationMethod, authenticationData: bytes('1') };

  test('v5 [MQTT-4.12.0-3] exchanges AUTH before CONNACK', () => {
    const its = new RecordingClient({ properties });
    const connection = its.open();
    connection.open();
    connection.take();
    connection.send({ type: PacketType.auth, reasonCode: 0x18, properties });
    expect(its.events).toEqual(['auth 24']);
    its.client.authenticate(0x18, { authenticationMethod, authenticationData: bytes('2') });
    expect(connection.take()).toEqual([
      { type: PacketType.auth, reasonCode: 0x18, properties: { authenticationMethod, authenticationData: bytes('2') } },
    ]);
    connection.send({ type: PacketType.connack, sessionPresent: false, reasonCode: 0, properties });
    expect(its.events).toEqual(['auth 24', 'connected']);
  });

  test('v5 [MQTT-4.12.1-1] authenticates anew on the open connection', () => {
    const its = new RecordingClient({ properties });
    const connection = its.connect(properties);
    its.client.authenticate(0x19, properties);
    expect(connection.take()).toEqual([{ type: PacketType.auth, reasonCode: 0x19, properties }]);
    connection.send({ type: PacketType.auth, reasonCode: 0, properties: { authenticationMethod } });
    expect(its.events).toEqual(['connected', 'auth 0']);
  });

  test('v5 [MQTT-4.12.0-5] another method ends the connection', () => {
    const its = new RecordingClient({ properties });
    its.connect({ authenticationMethod: 'PLAIN' });
    expect(its.cause).toMatchObject({ kind: CloseKind.protocolError, reasonCode: 0x82 });
    const other = new RecordingClient({ properties });
    other
      .connect(properties)
      .send({ type: PacketType.auth, reasonCode: 0x18, properties: { authenticationMethod: 'x' } });
    expect(other.cause.kind).toBe(CloseKind.protocolError);
  });

  test('v5 [MQTT-4.12.0-6] CONNACK with a method that nobody named ends the connection', () => {
    const its = new RecordingClient();
    its.connect(properties);
    expect(its.cause.kind).toBe(CloseKind.protocolError);
  });
});
