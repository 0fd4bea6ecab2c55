import { describe, expect, test } from 'bun:test';
import { brief } from '../../test/support/client/brief.ts';
import { RecordingClient } from '../../test/support/client/recording-client.ts';
import { PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import { ACKNOWLEDGE, ACKNOWLEDGE_LATER } from './client-handlers.ts';

const { pubrel } = PacketType;
const { v311, v5 } = ProtocolVersion;
const persistent = { cleanStart: false, properties: { sessionExpiryInterval: 1_000 } };

describe('receives', () => {
  test('QoS 0, 1 and 2, and acknowledges as each asks', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    connection.publish({ qos: 0, payload: new TextEncoder().encode('x') });
    connection.publish({ qos: 1, packetId: 9 });
    connection.publish({ qos: 2, packetId: 10 });
    expect(brief(connection.take())).toEqual(['puback 9', 'pubrec 10']);
    connection.ack(pubrel, 10);
    expect(brief(connection.take())).toEqual(['pubcomp 10']);
    expect(its.messages.map(({ payload }) => payload)).toEqual(['x', '', '']);
  });

  test('v5 [MQTT-4.3.3-10] hands a QoS 2 message on once until PUBREL', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    connection.publish({ qos: 2, packetId: 1 });
    connection.publish({ qos: 2, packetId: 1, dup: true });
    expect(its.messages).toHaveLength(1);
    connection.ack(pubrel, 1);
    connection.publish({ qos: 2, packetId: 1 });
    expect(its.messages).toHaveLength(2);
    expect(brief(connection.take())).toEqual(['pubrec 1', 'pubrec 1', 'pubcomp 1', 'pubrec 1']);
  });

  test('a QoS 2 message is handed on once across connections of a session', () => {
    const its = new RecordingClient(persistent);
    its.connect().publish({ qos: 2, packetId: 1 });
    its.server.connection.finishClose();
    its.connect(null, true).publish({ qos: 2, packetId: 1, dup: true });
    expect(its.messages).toHaveLength(1);
    its.server.connection.finishClose();
    its.connect(null, false).publish({ qos: 2, packetId: 1 });
    expect(its.messages).toHaveLength(2);
  });

  test('v5 an unknown PUBREL is answered with 0x92, v3.1.1 plainly', () => {
    for (const [protocolVersion, expected] of [
      [v5, 'pubcomp 3 146'],
      [v311, 'pubcomp 3'],
    ] as const) {
      const its = new RecordingClient({ protocolVersion });
      const connection = its.connect();
      connection.ack(pubrel, 3);
      expect(brief(connection.take())).toEqual([expected]);
    }
  });

  test("v5 refuses with the handler's reason code; a refused QoS 2 identifier may come again", () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.answer = () => 0x99;
    connection.publish({ qos: 1, packetId: 1 });
    connection.publish({ qos: 2, packetId: 2 });
    connection.publish({ qos: 2, packetId: 2 });
    expect(brief(connection.take())).toEqual(['puback 1 153', 'pubrec 2 153', 'pubrec 2 153']);
    expect(its.messages).toHaveLength(3);
  });

  test('v3.1.1 can not refuse', () => {
    const its = new RecordingClient({ protocolVersion: v311 });
    const connection = its.connect();
    its.answer = () => 0x99;
    connection.publish({ qos: 1, packetId: 1 });
    expect(brief(connection.take())).toEqual(['puback 1']);
  });

  test('v5 [MQTT-3.3.4-9] more than our Receive Maximum at once is answered with 0x93', () => {
    const its = new RecordingClient({ properties: { receiveMaximum: 2 } });
    const connection = its.connect();
    for (const packetId of [1, 2, 2, 3]) connection.publish({ qos: 2, packetId });
    expect(its.messages).toHaveLength(2);
    expect(connection.take().at(-1)).toMatchObject({ type: PacketType.disconnect, reasonCode: 0x93 });
  });

  test('all properties of a message', () => {
    const its = new RecordingClient();
    const properties = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 5,
      contentType: 'text',
      responseTopic: 'r',
      correlationData: new Uint8Array([1, 2]),
      subscriptionIdentifiers: [1, 300],
      userProperties: [
        ['a', 'b'],
        ['a', 'c'],
      ] as [string, string][],
    };
    its.connect().publish({ qos: 1, packetId: 1, properties });
    expect(its.messages[0]?.properties).toEqual(properties);
  });

  test('v5 topic aliases, as far as we allow them', () => {
    const its = new RecordingClient({ properties: { topicAliasMaximum: 2 } });
    const connection = its.connect();
    connection.publish({ topicName: 'long/topic', properties: { topicAlias: 2 } });
    connection.publish({ topicName: '', properties: { topicAlias: 2 } });
    connection.publish({ topicName: 'other', properties: { topicAlias: 2 } });
    connection.publish({ topicName: '', properties: { topicAlias: 2 } });
    expect(its.messages.map(({ topicName }) => topicName)).toEqual(['long/topic', 'long/topic', 'other', 'other']);
    connection.publish({ topicName: '', properties: { topicAlias: 1 } });
    expect(its.cause.reasonCode).toBe(0x82);
  });

  test('v5 [MQTT-3.3.2-7] an alias ends with its connection', () => {
    const its = new RecordingClient({ properties: { topicAliasMaximum: 2 } });
    its.connect().publish({ topicName: 'a', properties: { topicAlias: 1 } });
    its.server.connection.finishClose();
    its.connect().publish({ topicName: '', properties: { topicAlias: 1 } });
    expect(its.cause.reasonCode).toBe(0x82);
  });

  test.each([
    [0, 3],
    [2, 3],
    [2, 0],
  ])('v5 [MQTT-3.1.2-26] with a maximum of %d, alias %d is answered with 0x94', (topicAliasMaximum, topicAlias) => {
    const its = new RecordingClient({ properties: { topicAliasMaximum } });
    const connection = its.connect();
    connection.publish({ topicName: 'a', properties: { topicAlias } });
    expect(connection.take()).toMatchObject([{ type: PacketType.disconnect, reasonCode: 0x94 }]);
  });
});

describe('late acknowledgement', () => {
  test("v5 [MQTT-4.6.0-2] leaves in the order of the messages, whatever the application's order", () => {
    const its = new RecordingClient();
    const connection = its.connect();
    const tickets: number[] = [];
    its.answer = (message) => {
      tickets.push(message.acknowledgement);
      return tickets.length === 3 ? ACKNOWLEDGE : ACKNOWLEDGE_LATER;
    };
    connection.publish({ qos: 1, packetId: 11 });
    connection.publish({ qos: 2, packetId: 12 });
    connection.publish({ qos: 1, packetId: 13 });
    expect(connection.take()).toEqual([]);
    its.client.acknowledge(tickets[1]!);
    expect(connection.take()).toEqual([]);
    its.client.acknowledge(tickets[0]!, 0x80);
    expect(brief(connection.take())).toEqual(['puback 11 128', 'pubrec 12', 'puback 13']);
    its.client.acknowledge(tickets[0]!);
    expect(connection.take()).toEqual([]);
  });

  test('can be given while the handler runs', () => {
    const its = new RecordingClient();
    const connection = its.connect();
    its.answer = (message) => {
      its.client.acknowledge(message.acknowledgement);
      expect(brief(connection.take())).toEqual(['puback 5']);
      its.client.disconnect();
      return ACKNOWLEDGE_LATER;
    };
    connection.publish({ qos: 1, packetId: 5 });
    expect(connection.take()).toMatchObject([{ type: PacketType.disconnect }]);
  });

  test('outlives the connection with the session: the message is not handed on again', () => {
    const its = new RecordingClient(persistent);
    its.answer = () => ACKNOWLEDGE_LATER;
    let ticket = 0;
    its.answer = (message) => {
      ticket = message.acknowledgement;
      return ACKNOWLEDGE_LATER;
    };
    its.connect().publish({ qos: 2, packetId: 1 });
    its.server.connection.finishClose();
    const second = its.connect(null, true);
    second.publish({ qos: 2, packetId: 1, dup: true });
    expect(its.messages).toHaveLength(1);
    its.client.acknowledge(ticket);
    expect(brief(second.take())).toEqual(['pubrec 1']);
  });

  test('given without a connection, goes out on the next', () => {
    const its = new RecordingClient(persistent);
    let ticket = 0;
    its.answer = (message) => {
      ticket = message.acknowledgement;
      return ACKNOWLEDGE_LATER;
    };
    its.connect().publish({ qos: 1, packetId: 1 });
    its.server.connection.finishClose();
    its.client.acknowledge(ticket);
    expect(brief(its.connect(null, true).take())).toEqual(['puback 1']);
  });

  test('of a session that ended is ignored', () => {
    const its = new RecordingClient(persistent);
    const tickets: number[] = [];
    its.answer = (message) => {
      tickets.push(message.acknowledgement);
      return ACKNOWLEDGE_LATER;
    };
    its.connect().publish({ qos: 1, packetId: 1 });
    its.server.connection.finishClose();
    const second = its.connect(null, false);
    second.publish({ qos: 1, packetId: 1 });
    its.client.acknowledge(tickets[0]!);
    expect(second.take()).toEqual([]);
    its.client.acknowledge(tickets[1]!);
    expect(brief(second.take())).toEqual(['puback 1']);
  });
});
