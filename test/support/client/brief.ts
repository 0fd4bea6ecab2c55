import { PacketType } from '../../../src/protocol/packet-type.ts';
import type { Packet } from '../../../src/protocol/packet.ts';

/** Each packet in a word or two: type, packet identifier, payload, DUP. */
export function brief(packets: Packet[]): string[] {
  return packets.map((packet) => {
    switch (packet.type) {
      case PacketType.publish:
        return `publish ${packet.packetId} ${new TextDecoder().decode(packet.payload)}${packet.dup ? ' dup' : ''}`;
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubrel:
      case PacketType.pubcomp: {
        const name = { 4: 'puback', 5: 'pubrec', 6: 'pubrel', 7: 'pubcomp' }[packet.type];
        return packet.reasonCode === 0
          ? `${name} ${packet.packetId}`
          : `${name} ${packet.packetId} ${packet.reasonCode}`;
      }
      default:
        return String(packet.type);
    }
  });
}
