import { ByteReader } from '../protocol/byte-reader.ts';
import { PacketType } from '../protocol/packet-type.ts';
import { PropertyId, scanProperties } from '../protocol/properties.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';

const NONE = new Uint8Array(0);

/** What a broker hands on as it came (v5 section 3.3.2.3); the rest belongs to one connection or has a field of its own. */
const forwarded: ReadonlySet<number> = new Set([
  PropertyId.payloadFormatIndicator,
  PropertyId.contentType,
  PropertyId.responseTopic,
  PropertyId.correlationData,
  PropertyId.userProperties,
]);

/**
 * The properties of a PUBLISH that are handed on, without their length.
 *
 * @param section with its length in front; empty: none
 * @returns null where MQTT does not allow the section
 */
export function forwardedProperties(section: Uint8Array): Uint8Array | null {
  if (section.length === 0) return NONE;
  const kept = new Uint8Array(section.length);
  let length = 0;
  const isAllowed = scan(section, (id, start, end) => {
    if (!forwarded.has(id)) return;
    kept.set(section.subarray(start, end), length);
    length += end - start;
  });
  return isAllowed ? kept.subarray(0, length) : null;
}

/** The last Subscription Identifier of a section, as Mosquitto takes it; 0: none, or the section is damaged. */
export function subscriptionIdentifierOf(section: Uint8Array): number {
  if (section.length === 0) return 0;
  let identifier = 0;
  const isAllowed = scan(section, (id, _start, _end, value) => {
    if (id === PropertyId.subscriptionIdentifier) identifier = value;
  });
  return isAllowed ? identifier : 0;
}

function scan(
  section: Uint8Array,
  visitProperty: (id: number, start: number, end: number, value: number) => void,
): boolean {
  try {
    scanProperties(new ByteReader(section, 0, section.length), PacketType.publish, { visitProperty });
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}
