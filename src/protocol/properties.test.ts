import { describe, expect, test } from 'bun:test';
import { propertyFields } from '../../test/support/codec/arbitraries.ts';
import { concatBytes, fromHex, varint } from '../../test/support/codec/hex.ts';
import { propertyBytes, propertySamples, propertySection } from '../../test/support/codec/property-samples.ts';
import { Random, seedFrom } from '../../test/support/codec/random.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { PacketType } from './packet-type.ts';
import {
  decodeProperties,
  encodeProperties,
  type Properties,
  type PropertyHolder,
  PropertyId,
  scanProperties,
  WILL_PROPERTIES,
} from './properties.ts';
import { ProtocolError } from './protocol-error.ts';

const holders: readonly (readonly [string, PropertyHolder, readonly (keyof Properties)[]])[] = [
  ['will', WILL_PROPERTIES, propertyFields.will],
  ['CONNECT', PacketType.connect, propertyFields.connect],
  ['CONNACK', PacketType.connack, propertyFields.connack],
  ['PUBLISH', PacketType.publish, propertyFields.publishFromServer],
  ['PUBACK', PacketType.puback, propertyFields.ack],
  ['PUBREC', PacketType.pubrec, propertyFields.ack],
  ['PUBREL', PacketType.pubrel, propertyFields.ack],
  ['PUBCOMP', PacketType.pubcomp, propertyFields.ack],
  ['SUBSCRIBE', PacketType.subscribe, propertyFields.subscribe],
  ['SUBACK', PacketType.suback, propertyFields.ack],
  ['UNSUBSCRIBE', PacketType.unsubscribe, propertyFields.unsubscribe],
  ['UNSUBACK', PacketType.unsuback, propertyFields.ack],
  ['DISCONNECT', PacketType.disconnect, propertyFields.disconnect],
  ['AUTH', PacketType.auth, propertyFields.auth],
];

type Outcome = { code: number; properties?: Properties | null; offset?: number };

function decode(bytes: Uint8Array, holder: PropertyHolder): Outcome {
  const reader = new ByteReader(bytes, 0, bytes.length);
  try {
    const properties = decodeProperties(reader, holder);
    return { code: 0, properties, offset: reader.offset };
  } catch (error) {
    if (error instanceof ProtocolError) return { code: error.reasonCode };
    throw error;
  }
}

/** What a scan finds, put together again from the bytes it points at. */
function scan(bytes: Uint8Array, holder: PropertyHolder): Outcome & { raw: string } {
  const reader = new ByteReader(bytes, 0, bytes.length);
  const seen: string[] = [];
  const visitor = {
    visitProperty(id: number, start: number, end: number, value: number) {
      expect(bytes[start]).toBe(id);
      expect(Number.isSafeInteger(value)).toBe(true);
      seen.push(bytes.subarray(start, end).toHex());
    },
  };
  try {
    scanProperties(reader, holder, visitor);
    return { code: 0, offset: reader.offset, raw: seen.join('') };
  } catch (error) {
    if (error instanceof ProtocolError) return { code: error.reasonCode, raw: seen.join('') };
    throw error;
  }
}

test('the table of identifiers is that of the standard', () => {
  const ids: Record<string, number> = { ...PropertyId };
  const names = propertySamples.map(({ field, id }) => [
    field === 'subscriptionIdentifiers' ? 'subscriptionIdentifier' : field,
    id,
  ]);
  expect(ids).toEqual(Object.fromEntries(names) as Record<string, number>);
});

describe.each(holders)('properties of %s', (_, holder, allowed) => {
  test('are those of table 2-4 and no others', () => {
    for (const { field, id, value, decoded } of propertySamples) {
      const needsMethod = field === 'authenticationData';
      const extra = needsMethod && allowed.includes(field) ? [propertyBytes(0x15, fromHex('0001 "m"'))] : [];
      const outcome = decode(propertySection(...extra, propertyBytes(id, value)), holder);
      const expected = needsMethod ? { authenticationMethod: 'm', [field]: decoded } : { [field]: decoded };
      if (allowed.includes(field)) expect(outcome.properties, field).toStrictEqual(expected as Properties);
      else expect(outcome.code, field).toBe(0x81);
    }
  });

  test('are refused twice, user properties and the subscription identifiers of PUBLISH apart', () => {
    for (const { field, id, value, decoded } of propertySamples) {
      if (!allowed.includes(field)) continue;
      const outcome = decode(propertySection(propertyBytes(id, value), propertyBytes(id, value)), holder);
      const isList =
        field === 'userProperties' || (field === 'subscriptionIdentifiers' && holder === PacketType.publish);
      if (isList) {
        const list = decoded as unknown[];
        expect(outcome.properties, field).toStrictEqual({ [field]: [...list, ...list] } as Properties);
      } else expect(outcome.code, field).toBe(0x82);
    }
  });

  test('are refused where a value is cut short at any byte', () => {
    for (const { field, id, value } of propertySamples) {
      if (!allowed.includes(field)) continue;
      const whole = propertyBytes(id, value);
      for (let length = 1; length < whole.length; length++) {
        expect(decode(propertySection(whole.subarray(0, length)), holder).code, `${field} ${length}`).toBe(0x81);
        // The rest of the value stands behind the section: it must not be read.
        const hidden = concatBytes([varint(length), whole]);
        expect(decode(hidden, holder).code, `${field} ${length}`).toBe(0x81);
      }
    }
  });

  test('may be none', () => {
    expect(decode(fromHex('00 ff'), holder)).toEqual({ code: 0, properties: null, offset: 1 });
    expect(decode(new Uint8Array(0), holder).code).toBe(0x81);
  });

  test('are written as they were read, in the same order', () => {
    const chosen = propertySamples.filter(({ field }) => allowed.includes(field));
    for (const order of [chosen, chosen.toReversed()]) {
      const bytes = propertySection(...order.map(({ id, value }) => propertyBytes(id, value)));
      const { properties } = decode(bytes, holder);
      const writer = new ByteWriter(0);
      encodeProperties(writer, properties!, holder);
      expect(writer.bytes.subarray(0, writer.offset).toHex()).toBe(bytes.toHex());
    }
  });

  test('that do not belong there cannot be written', () => {
    for (const { field, decoded } of propertySamples) {
      if (allowed.includes(field)) continue;
      const wrong = { [field]: decoded } as Properties;
      expect(() => encodeProperties(new ByteWriter(), wrong, holder), field).toThrow(RangeError);
    }
  });

  test('are scanned as they are decoded, whatever the bytes', () => {
    const seed = seedFrom('MARTLET_FUZZ_SEED');
    const random = new Random(seed);
    let accepted = 0;
    for (let round = 0; round < 3_000; round++) {
      const parts = Array.from({ length: random.below(5) }, () => {
        const { id, value } = random.pick(
          propertySamples.filter(({ field }) => allowed.includes(field) || random.below(40) === 0),
        );
        return propertyBytes(id, value);
      });
      const bytes = propertySection(...parts);
      if (random.below(2) === 0) bytes[random.below(bytes.length)] = random.below(256);
      const decoded = decode(bytes, holder);
      const scanned = scan(bytes, holder);
      const where = `MARTLET_FUZZ_SEED=${seed} ${bytes.toHex()}`;
      expect(scanned.code, where).toBe(decoded.code);
      if (decoded.code !== 0) continue;
      accepted++;
      expect(scanned.offset, where).toBe(decoded.offset);
      const lengthBytes = decoded.offset! < 129 ? 1 : 2;
      expect(scanned.raw, where).toBe(bytes.subarray(lengthBytes, decoded.offset).toHex());
    }
    expect(accepted).toBeGreaterThan(300);
  });
});

test('a property length grows to the bytes it needs', () => {
  for (const [text, hex] of [
    [124, '7f'],
    [125, '8001'],
    [16_380, 'ff7f'],
    [16_381, '808001'],
  ] as const) {
    const writer = new ByteWriter(0);
    writer.u8(0xaa);
    encodeProperties(writer, { contentType: 'c'.repeat(text) }, PacketType.publish);
    writer.u8(0xbb);
    const bytes = writer.bytes.subarray(0, writer.offset);
    expect(bytes.subarray(0, 1 + hex.length / 2).toHex()).toBe(`aa${hex}`);
    expect(bytes.length).toBe(1 + hex.length / 2 + 3 + text + 1);
    expect(bytes.at(-1)).toBe(0xbb);
    expect(decode(bytes.subarray(1), PacketType.publish).properties).toEqual({ contentType: 'c'.repeat(text) });
  }
});

test('an absent field is not written', () => {
  const writer = new ByteWriter();
  encodeProperties(writer, { contentType: undefined } as unknown as Properties, PacketType.publish);
  encodeProperties(writer, {}, PacketType.publish);
  encodeProperties(writer, null, PacketType.publish);
  expect(writer.bytes.subarray(0, writer.offset).toHex()).toBe('000000');
});
