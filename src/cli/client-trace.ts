// `-d`: each packet in a line, as Mosquitto's clients print it.
import type { ClientTrace } from '../client/client-handlers.ts';
import type { IncomingMessage } from '../client/incoming-message.ts';
import type { MqttClient } from '../client/mqtt-client.ts';
import type { OutgoingMessage } from '../client/outgoing-message.ts';
import { packetTypeName, PacketType, ProtocolVersion } from '../protocol/packet-type.ts';
import type { Packet } from '../protocol/packet.ts';
import type { CommandOutput } from './client-io.ts';

export class PacketTrace implements ClientTrace {
  private readonly output: CommandOutput;
  /** Mosquitto's library numbers QoS 0 messages, too: with what follows the last packet identifier. */
  private lastId = 0;

  constructor(output: CommandOutput) {
    this.output = output;
  }

  sent(client: MqttClient, packet: Packet): void {
    switch (packet.type) {
      case PacketType.subscribe:
        this.lastId = packet.packetId;
        for (const one of packet.subscriptions) {
          const isV5 = client.protocolVersion === ProtocolVersion.v5;
          const options = (one.noLocal ? 4 : 0) | (one.retainAsPublished ? 8 : 0) | (one.retainHandling << 4);
          const hex = (isV5 ? options : 0).toString(16).padStart(2, '0');
          const { packetId } = packet;
          this.line(
            client,
            `sending SUBSCRIBE (Mid: ${packetId}, Topic: ${one.topicFilter}, QoS: ${one.qos}, Options: 0x${hex})`,
          );
        }
        return;
      case PacketType.unsubscribe:
        this.lastId = packet.packetId;
        for (const topicFilter of packet.topicFilters) {
          this.line(client, `sending UNSUBSCRIBE (Mid: ${packet.packetId}, Topic: ${topicFilter})`);
        }
        return;
      case PacketType.puback:
      case PacketType.pubrec:
        this.line(client, `sending ${packetTypeName(packet.type)} (m${packet.packetId}, rc${packet.reasonCode})`);
        return;
      case PacketType.pubrel:
      case PacketType.pubcomp:
        this.line(client, `sending ${packetTypeName(packet.type)} (m${packet.packetId})`);
        return;
      default:
        this.line(client, `sending ${packetTypeName(packet.type)}`);
    }
  }

  sentPublish(client: MqttClient, message: OutgoingMessage): void {
    this.lastId = message.packetId || this.lastId + 1;
    const { dup, qos, retain, topicName, payload } = message;
    const topic = topicName === '' ? '(null)' : topicName;
    const flags = `d${dup ? 1 : 0}, q${qos}, r${retain ? 1 : 0}, m${this.lastId}`;
    this.line(client, `sending PUBLISH (${flags}, '${topic}', ... (${payload.length} bytes))`);
  }

  received(client: MqttClient, packet: Packet): void {
    const name = packetTypeName(packet.type);
    switch (packet.type) {
      case PacketType.connack: {
        const assigned = packet.properties?.assignedClientIdentifier ?? client.clientId;
        this.output.write(`Client ${shown(assigned)} received CONNACK (${packet.reasonCode})\n`);
        return;
      }
      case PacketType.disconnect:
        this.output.write(`Received DISCONNECT (${packet.reasonCode})\n`);
        return;
      case PacketType.puback:
      case PacketType.pubcomp:
        this.line(client, `received ${name} (Mid: ${packet.packetId}, RC:${packet.reasonCode})`);
        return;
      case PacketType.pubrec:
      case PacketType.pubrel:
        this.line(client, `received ${name} (Mid: ${packet.packetId})`);
        return;
      default:
        this.line(client, `received ${name}`);
    }
  }

  receivedPublish(client: MqttClient, message: IncomingMessage): void {
    const { dup, qos, retain, packetId, topicName, payloadLength } = message;
    const flags = `d${dup ? 1 : 0}, q${qos}, r${retain ? 1 : 0}, m${packetId}`;
    this.line(client, `received PUBLISH (${flags}, '${topicName}', ... (${payloadLength} bytes))`);
  }

  private line(client: MqttClient, text: string): void {
    this.output.write(`Client ${shown(client.clientId)} ${text}\n`);
  }
}

function shown(clientId: string): string {
  return clientId === '' ? '(null)' : clientId;
}
