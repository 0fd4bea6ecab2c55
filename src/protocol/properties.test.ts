import { describe, expect, test } from 'bun:test';
import { propertyFields } from '../../test/support/codec/arbitraries.ts';
import { concatBytes, fromHex, varint } from '../../test/support/codec/hex.ts';
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

/** Each property once: identifier, bytes of a good value, and what they decode to. */
const samples: readonly (readonly [field: keyof Properties, id: number, value: string, decoded: unknown])[] = [
  ['payloadFormatIndicator', 0x01, '01', 1],
  ['messageExpiryInterval', 0x02, '00000102', 258],
  ['contentType', 0x03, '0002 "ct"', 'ct'],
  ['responseTopic', 0x08, '0001 "r"', 'r'],
  ['correlationData', 0x09, '0002 00ff', Uint8Array.of(0, 255)],
  ['subscriptionIdentifiers', 0x0b, '8001', [128]],
  ['sessionExpiryInterval', 0x11, 'ffffffff', 0xffff_ffff],
  ['assignedClientIdentifier', 0x12, '0001 "c"', 'c'],
  ['serverKeepAlive', 0x13, '003c', 60],
  ['authenticationMethod', 0x15, '0001 "m"', 'm'],
  ['authenticationData', 0x16, '0001 00', Uint8Array.of(0)],
  ['requestProblemInformation', 0x17, '00', 0],
  ['willDelayInterval', 0x18, '00000001', 1],
  ['requestResponseInformation', 0x19, '01', 1],
  ['responseInformation', 0x1a, '0001 "i"', 'i'],
  ['serverReference', 0x1c, '0001 "s"', 's'],
  ['reasonString', 0x1f, '0003 "why"', 'why'],
  ['receiveMaximum', 0x21, '0014', 20],
  ['topicAliasMaximum', 0x22, '0000', 0],
  ['topicAlias', 0x23, 'ffff', 65_535],
  ['maximumQoS', 0x24, '01', 1],
  ['retainAvailable', 0x25, '00', 0],
  ['userProperties', 0x26, '0001 "k" 0001 "v"', [['k', 'v']]],
  ['maximumPacketSize', 0x27, '00000001', 1],
  ['wildcardSubscriptionAvailable', 0x28, '00', 0],
  ['subscriptionIdentifierAvailable', 0x29, '01', 1],
  ['sharedSubscriptionAvailable', 0x2a, '00', 0],
];

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

function section(...properties: readonly Uint8Array[]): Uint8Array {
  const all = concatBytes(properties);
  return concatBytes([varint(all.length), all]);
}

function property(id: number, value: string): Uint8Array {
  return concatBytes([Uint8Array.of(id), fromHex(value)]);
}

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
  const names = new Map(
    samples.map(([field, id]) => [field === 'subscriptionIdentifiers' ? 'subscriptionIdentifier' : field, id]),
  );
  expect(ids).toEqual(Object.fromEntries(names));
});

describe.each(holders)('properties of %s', (_, holder, allowed) => {
  test('are those of table 2-4 and no others', () => {
    for (const [field, id, value, decoded] of samples) {
      const needsMethod = field === 'authenticationData';
      const extra = needsMethod && allowed.includes(field) ? [property(0x15, '0001 "m"')] : [];
      const outcome = decode(section(...extra, property(id, value)), holder);
      const expected = needsMethod ? { authenticationMethod: 'm', [field]: decoded } : { [field]: decoded };
      if (allowed.includes(field)) expect(outcome.properties, field).toStrictEqual(expected as Properties);
      else expect(outcome.code, field).toBe(0x81);
    }
  });

  test('are refused twice, user properties and the subscription identifiers of PUBLISH apart', () => {
    for (const [field, id, value, decoded] of samples) {
      if (!allowed.includes(field)) continue;
      const outcome = decode(section(property(id, value), property(id, value)), holder);
      const isList =
        field === 'userProperties' || (field === 'subscriptionIdentifiers' && holder === PacketType.publish);
      if (isList) {
        const list = decoded as unknown[];
        expect(outcome.properties, field).toStrictEqual({ [field]: [...list, ...list] } as Properties);
      } else expect(outcome.code, field).toBe(0x82);
    }
  });

  test('are refused where a value is cut short at any byte', () => {
    for (const [field, id, value] of samples) {
      if (!allowed.includes(field)) continue;
      const whole = property(id, value);
      for (let length = 1; length < whole.length; length++) {
        expect(decode(section(whole.subarray(0, length)), holder).code, `${field} ${length}`).toBe(0x81);
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
    const chosen = samples.filter(([field]) => allowed.includes(field));
    for (const order of [chosen, chosen.toReversed()]) {
      const bytes = section(...order.map(([, id, value]) => property(id, value)));
      const { properties } = decode(bytes, holder);
      const writer = new ByteWriter(0);
      encodeProperties(writer, properties!, holder);
      expect(writer.bytes.subarray(0, writer.offset).toHex()).toBe(bytes.toHex());
    }
  });

  test('that do not belong there cannot be written', () => {
    for (const [field, , , decoded] of samples) {
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
        const [, id, value] = random.pick(
          samples.filter(([field]) => allowed.includes(field) || random.below(40) === 0),
        );
        return property(id, value);
      });
      const bytes = section(...parts);
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
