import { describe, expect, test } from 'bun:test';
import { RecordingClient } from '../../test/support/client/recording-client.ts';
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { ProtocolError } from '../protocol/protocol-error.ts';
import { TransportError, TransportFailure } from '../transport/client-transport.ts';
import { ClientState } from './client-connection.ts';
import { CloseKind } from './client-handlers.ts';

const { v31, v311, v5 } = ProtocolVersion;
const bytes = (text: string) => new TextEncoder().encode(text);

describe('CONNECT', () => {
  test.each([
    [v31, 'MQTT 3.1'],
    [v311, 'MQTT 3.1.1'],
    [v5, 'MQTT 5'],
  ])('version %d (%s) says all of the settings', (protocolVersion) => {
    const isV5 = protocolVersion === v5;
    const properties = { sessionExpiryInterval: 5, userProperties: [['a', 'b'] as const] };
    const will = {
      topicName: 'w',
      payload: bytes('gone'),
      qos: 1 as const,
      retain: true,
      properties: isV5 ? { willDelayInterval: 3 } : null,
    };
    const credentials = { username: 'u', password: bytes('p') };
    const its = new RecordingClient(
      { protocolVersion, keepAlive: 7, cleanStart: false, will, properties, ...credentials },
      'id',
    );
    const connection = its.open();
    expect(connection.writes).toBe(0);
    connection.open();
    expect(connection.take()).toEqual([
      {
        type: PacketType.connect,
        protocolVersion,
        bridge: false,
        cleanStart: false,
        keepAlive: 7,
        clientId: 'id',
        will,
        ...credentials,
        properties: isV5 ? properties : null,
      },
    ]);
    expect(its.events).toEqual([]);
  });

  test('sets the bridge bit of Mosquitto', () => {
    const its = new RecordingClient({ protocolVersion: v311, bridge: true });
    its.open().open();
    expect(its.server.connection.take()[0]).toMatchObject({ bridge: true });
  });

  test('v5 asks for the session again once the server keeps it, although the first start was clean', () => {
    const its = new RecordingClient({ properties: { sessionExpiryInterval: 100 } });
    its.connect().finishClose();
    its.open().open();
    expect(its.server.connection.take()[0]).toMatchObject({ cleanStart: false });
  });

  test('v5 starts clean each time where the server ends the session with the connection', () => {
    const its = new RecordingClient({ properties: { sessionExpiryInterval: 100 } });
    its.connect({ sessionExpiryInterval: 0 }).finishClose();
    its.open().open();
    expect(its.server.connection.take()[0]).toMatchObject({ cleanStart: true });
  });

  test('v3.1.1 keeps Clean Session as it is', () => {
    const its = new RecordingClient({ protocolVersion: v311 });
    its.connect().finishClose();
    its.open().open();
    expect(its.server.connection.take()[0]).toMatchObject({ cleanStart: true });
  });

  test('v5 uses the client identifier that the server assigned from then on', () => {
    const its = new RecordingClient({}, '');
    its.connect({ assignedClientIdentifier: 'auto-1' }).finishClose();
    expect(its.client.clientId).toBe('auto-1');
    its.open().open();
    expect(its.server.connection.take()[0]).toMatchObject({ clientId: 'auto-1' });
  });

  test('refuses a second connection', () => {
    const its = new RecordingClient();
    its.open();
    expect(() => its.open()).toThrow('has a connection already');
  });
});

describe('CONNACK', () => {
  test('accepted', () => {
    const its = new RecordingClient();
    its.connect();
    expect(its.events).toEqual(['connected']);
    expect(its.client.isConnected).toBe(true);
  });

  test.each([
    [v311, 5],
    [v5, 0x87],
  ])('version %d refused with %d ends the attempt and gives the code', (protocolVersion, reasonCode) => {
    const its = new RecordingClient({ protocolVersion });
    const connection = its.open();
    connection.open();
    const properties = protocolVersion === v5 ? { reasonString: 'no' } : null;
    connection.send({ type: PacketType.connack, sessionPresent: false, reasonCode, properties });
    expect(its.events).toEqual(['closed refused']);
    expect(its.cause).toMatchObject({ reasonCode, properties, wasConnected: false });
    expect(connection.isClosed).toBe(true);
  });

  test('v5 [MQTT-3.2.2-4] closes on session present after a clean start', () => {
    const its = new RecordingClient();
    its.connect(null, true);
    expect(its.events).toEqual(['closed protocol-error']);
    expect((its.cause.error as ProtocolError).clause).toBe('v5 [MQTT-3.2.2-4]');
  });

  test('v5 [MQTT-3.2.2-6] closes on session present with a refusal', () => {
    const its = new RecordingClient({ cleanStart: false });
    const connection = its.open();
    connection.open();
    connection.send({ type: PacketType.connack, sessionPresent: true, reasonCode: 0x88, properties: null });
    expect(its.cause).toMatchObject({ kind: CloseKind.protocolError, reasonCode: 0x82 });
  });

  test('takes a CONNACK that comes byte by byte', () => {
    const its = new RecordingClient();
    const connection = its.open();
    connection.open();
    for (const byte of [0x20, 0x06, 0x00, 0x00, 0x03, 0x21, 0x00, 0x09]) connection.sendBytes(Uint8Array.of(byte));
    expect(its.events).toEqual(['connected']);
    expect(its.client.limits.receiveMaximum).toBe(9);
  });

  test('clients of one context share the limits of the same server', () => {
    const its = new RecordingClient();
    its.connect({ maximumPacketSize: 100 }).finishClose();
    const first = its.client.limits;
    its.connect({ maximumPacketSize: 100 });
    expect(its.client.limits).toBe(first);
    expect(first).toMatchObject({ maximumPacketSize: 100, maximumQoS: 2, retainAvailable: true });
  });
});

describe('keep alive', () => {
  test('v5 [MQTT-3.1.2-20] pings before Keep Alive seconds without a packet are over', () => {
    const its = new RecordingClient({ keepAlive: 10 });
    const connection = its.connect();
    its.advance(8_000);
    expect(connection.take()).toEqual([]);
    its.advance(2_000);
    expect(connection.take()).toEqual([{ type: PacketType.pingreq }]);
    connection.send({ type: PacketType.pingresp });
    its.advance(8_000);
    expect(connection.take()).toEqual([]);
    its.advance(2_000);
    expect(connection.take()).toEqual([{ type: PacketType.pingreq }]);
  });

  test('does not ping while packets go both ways', () => {
    const its = new RecordingClient({ keepAlive: 4 });
    const connection = its.connect();
    for (let i = 0; i < 10; i++) {
      its.publish('x', 0);
      connection.publish({});
      its.advance(1_000);
    }
    expect(connection.take().some((packet) => packet.type === PacketType.pingreq)).toBe(false);
  });

  test('pings a server that is silent although we send', () => {
    const its = new RecordingClient({ keepAlive: 4 });
    const connection = its.connect();
    for (let i = 0; i < 5; i++) {
      its.publish('x', 0);
      its.advance(1_000);
    }
    expect(connection.take().filter((packet) => packet.type === PacketType.pingreq)).toHaveLength(1);
  });

  test('drops a server that does not answer a ping for Keep Alive seconds', () => {
    const its = new RecordingClient({ keepAlive: 10 });
    const connection = its.connect();
    its.advance(19_000);
    expect(its.client.isConnected).toBe(true);
    its.advance(1_000);
    expect(its.events).toEqual(['connected', 'closed keep-alive-timeout']);
    expect(connection.wasAborted).toBe(true);
  });

  test('drops it after pingTimeoutMs where that is set', () => {
    const its = new RecordingClient({ keepAlive: 10, pingTimeoutMs: 2_000 });
    its.connect();
    its.advance(11_000);
    expect(its.client.isConnected).toBe(true);
    its.advance(1_000);
    expect(its.cause.kind).toBe(CloseKind.keepAliveTimeout);
  });

  test('does not blame the server for silence while nobody reads', () => {
    const its = new RecordingClient({ keepAlive: 10 });
    const connection = its.connect();
    its.client.pauseReading();
    its.advance(100_000);
    expect(its.client.isConnected).toBe(true);
    expect(connection.take().length).toBeGreaterThan(8);
    its.client.resumeReading();
    its.advance(30_000);
    expect(its.cause.kind).toBe(CloseKind.keepAliveTimeout);
  });

  test('takes any packet for a sign of life', () => {
    const its = new RecordingClient({ keepAlive: 10 });
    const connection = its.connect();
    for (let i = 0; i < 30; i++) {
      its.advance(1_000);
      connection.publish({});
    }
    expect(its.client.isConnected).toBe(true);
  });

  test('v5 [MQTT-3.2.2-21] uses the Server Keep Alive', () => {
    const its = new RecordingClient({ keepAlive: 600 });
    const connection = its.connect({ serverKeepAlive: 5 });
    its.advance(5_000);
    expect(connection.take()).toEqual([{ type: PacketType.pingreq }]);
  });

  test('is off at 0', () => {
    const its = new RecordingClient({ keepAlive: 0 });
    const connection = its.connect();
    its.advance(1_000_000);
    expect(connection.take()).toEqual([]);
  });
});

describe('ends', () => {
  test('disconnect sends DISCONNECT, then closes, and tells when that is done', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.client.disconnect(0x04, { userProperties: [['why', 'test']] });
    expect(connection.take()).toEqual([
      { type: PacketType.disconnect, reasonCode: 4, properties: { userProperties: [['why', 'test']] } },
    ]);
    expect(connection.isClosed).toBe(true);
    expect(its.client.state).toBe(ClientState.closing);
    connection.publish({});
    expect(its.messages).toEqual([]);
    connection.finishClose();
    expect(its.events).toEqual(['connected', 'closed requested']);
    expect(its.cause).toMatchObject({ reasonCode: 4, wasConnected: true });
  });

  test('a server that does not close is dropped after DISCONNECT', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.client.disconnect();
    its.advance(4_000);
    expect(its.client.state).toBe(ClientState.closing);
    its.advance(2_000);
    expect(connection.wasAborted).toBe(true);
    expect(its.events).toEqual(['connected', 'closed requested']);
  });

  test('a slow server gets what was written before DISCONNECT, as long as it takes some', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    connection.bufferedAmount = 1_000;
    its.client.disconnect();
    for (let i = 0; i < 10; i++) {
      connection.bufferedAmount -= 10;
      its.advance(4_000);
    }
    expect(its.client.state).toBe(ClientState.closing);
    its.advance(5_000);
    expect(its.client.state).toBe(ClientState.idle);
  });

  test('disconnect before CONNACK ends the attempt at once', () => {
    const its = new RecordingClient();
    const connection = its.open();
    connection.open();
    its.client.disconnect();
    expect(connection.wasAborted).toBe(true);
    expect(its.events).toEqual(['closed requested']);
    its.client.disconnect();
    expect(its.events).toHaveLength(1);
  });

  test('abort sends nothing, so that the will goes out', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.client.abort();
    expect(connection.take()).toEqual([]);
    expect(its.events).toEqual(['connected', 'closed requested']);
  });

  test('the stream that does not open or breaks', () => {
    const its = new RecordingClient();
    const error = new TransportError(TransportFailure.connect, 'refused', 'ECONNREFUSED');
    its.open().finishClose(error);
    expect(its.cause).toMatchObject({ kind: CloseKind.transport, error, wasConnected: false });
    its.connect().finishClose();
    expect(its.cause).toMatchObject({ kind: CloseKind.transport, error: null, wasConnected: true });
  });

  test('no CONNACK in time', () => {
    const its = new RecordingClient({ connectTimeoutMs: 3_000 });
    const connection = its.open();
    its.advance(1_000);
    connection.open();
    its.advance(1_000);
    expect(its.events).toEqual([]);
    its.advance(1_000);
    expect(its.events).toEqual(['closed connect-timeout']);
    expect(connection.wasAborted).toBe(true);
  });

  test('v5 the server disconnects and says why', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    const properties = { serverReference: 'other:1883', reasonString: 'full' };
    connection.send({ type: PacketType.disconnect, reasonCode: 0x9c, properties });
    expect(its.cause).toEqual({
      kind: CloseKind.serverDisconnect,
      reasonCode: 0x9c,
      properties,
      error: null,
      wasConnected: true,
    });
    expect(connection.isClosed).toBe(true);
    expect(connection.take()).toEqual([]);
  });

  test('the old connection says nothing to a client that has a new one', () => {
    const its = new RecordingClient({}, 'c', { onClosed: () => its.events.push('closed') });
    const first = its.connect();
    its.client.abort();
    const second = its.connect();
    first.publish({});
    first.drain();
    first.finishClose();
    expect(its.messages).toEqual([]);
    expect(its.events).toEqual(['connected', 'closed', 'connected']);
    second.publish({});
    expect(its.messages).toHaveLength(1);
  });

  test('what follows in the chunk of a packet whose handler closed and opened again is not taken for the new one', () => {
    const its = new RecordingClient({}, 'c', {
      onClosed: () => its.client.open(its.server.connector, its.nowMs),
    });
    its.answer = () => {
      its.client.abort();
      return 0;
    };
    const first = its.connect();
    const publish = Uint8Array.of(0x30, 4, 0, 1, 0x61, 0);
    first.sendBytes(Uint8Array.from([...publish, ...publish]));
    expect(its.messages).toHaveLength(1);
    its.server.connection.accept();
    expect(its.client.isConnected).toBe(true);
  });
});

test('back pressure passes both ways', () => {
  const its = new RecordingClient();
  const connection = its.connect();
  connection.bufferedAmount = 500;
  expect(its.client.bufferedAmount).toBe(500);
  connection.drain();
  expect(its.events).toEqual(['connected', 'drain']);
  its.client.pauseReading();
  expect(connection.isPaused).toBe(true);
  its.client.resumeReading();
  expect(connection.isPaused).toBe(false);
});
