import type { Packet } from '../../../src/protocol/packet.ts';
import { PacketType } from '../../../src/protocol/packet-type.ts';
import { text } from '../test-broker.ts';

/** A packet in one line, for the trace of a run. */
export function describePacket(packet: Packet): string {
  const name = Object.entries(PacketType).find(([, type]) => type === packet.type)![0];
  const shown = { ...packet, type: undefined, protocolVersion: undefined, bridge: undefined, clientId: undefined };
  return `${name} ${JSON.stringify(shown, (key, value) => {
    if (value === null || value === false || value === '' || (value === 0 && key !== 'qos')) return undefined;
    return key === 'payload' ? text(value as Uint8Array).split(' ')[0] : (value as unknown);
  })}`;
}
