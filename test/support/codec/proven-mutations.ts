/**
 * Each rule broken at each place where it can be: every packet type of every version is cut at every byte, given every
 * wrong flag, every property twice, too short, or in a packet where it does not belong, and so on. What the decoder
 * must answer follows from how the packet was broken.
 */
import type { Sender } from '../../../src/protocol/disconnect.ts';
import { PacketType, ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import { propertyFields } from './arbitraries.ts';
import { concatBytes, frame, fromHex, prefixed, text, u16 } from './hex.ts';
import { type Layout, layoutBytes, layouts, type PlacedField, withField } from './layouts.ts';
import {
  badStrings,
  forbiddenValues,
  propertyBytes,
  type PropertySample,
  propertySamples,
  propertySection,
} from './property-samples.ts';

export interface ProvenMutation {
  readonly bytes: Uint8Array;
  readonly version: ProtocolVersion;
  readonly sender: Sender;
  /** What was done to which packet. */
  readonly what: string;
  /** 0: the packet is still well-formed. */
  readonly reasonCode: number;
}

type Broken = readonly [what: string, bytes: Uint8Array, reasonCode: number];

function bodyOf(layout: Layout): Uint8Array {
  return concatBytes(layout.fields.map(({ bytes }) => bytes));
}

function* cuts(layout: Layout): Iterable<Broken> {
  const body = bodyOf(layout);
  const ends = new Map<number, number>();
  let offset = 0;
  for (let count = 0; count <= layout.fields.length; count++) {
    const isWhole = count === layout.fields.length;
    if (isWhole || layout.mayEndAfter.includes(count)) ends.set(offset, 0);
    else ends.set(offset, layout.endCodes.get(count) ?? 0x81);
    offset += layout.fields[count]?.bytes.length ?? 0;
  }
  const last = layout.fields.at(-1);
  const payloadStart = last?.kind === 'payload' ? body.length - last.bytes.length : body.length;
  for (let length = 0; length <= body.length; length++) {
    const code = length >= payloadStart ? 0 : (ends.get(length) ?? 0x81);
    yield [`cut to ${length} bytes`, frame(layout.firstByte, body.subarray(0, length)), code];
  }
}

function* wrongFlags(layout: Layout): Iterable<Broken> {
  const body = bodyOf(layout);
  const type = layout.firstByte >> 4;
  const right = layout.firstByte & 15;
  for (let flags = 0; flags < 16; flags++) {
    if (flags === right) continue;
    const broken = frame(type * 16 + flags, body);
    if (type === PacketType.publish) {
      const qos = (flags >> 1) & 3;
      if (qos === 3 || (flags >= 8 && qos === 0)) yield [`flags ${flags}`, broken, 0x81];
    } else if (layout.version === ProtocolVersion.v31) {
      yield [`flags ${flags}`, broken, 0];
    } else yield [`flags ${flags}`, broken, 0x81];
  }
}

function* wrongLengths(layout: Layout): Iterable<Broken> {
  const body = bodyOf(layout);
  const first = Uint8Array.of(layout.firstByte);
  const kind = layout.fields.at(-1)?.kind;
  if (kind !== 'payload' && kind !== 'reason') {
    yield ['a byte behind it', frame(layout.firstByte, body, Uint8Array.of(0)), 0x81];
  }
  const isV5 = layout.version === ProtocolVersion.v5 && layout.firstByte >> 4 !== PacketType.connect;
  if (body.length < 128) {
    const padded = concatBytes([first, Uint8Array.of(body.length + 128, 0), body]);
    yield ['Remaining Length in two bytes', padded, isV5 ? 0x81 : 0];
  }
  yield ['Remaining Length of five bytes', concatBytes([first, fromHex('80808080 01'), body]), 0x81];
  for (const [index, field] of layout.fields.entries()) {
    if (field.kind === 'properties') {
      const tooLong = concatBytes([fromHex('ffff7f'), field.bytes.subarray(1)]);
      yield ['a property length past the end', withField(layout, index, tooLong), 0x81];
      const padded = concatBytes([Uint8Array.of(field.bytes[0]! + 128, 0), field.bytes.subarray(1)]);
      yield ['a property length in two bytes', withField(layout, index, padded), 0x81];
      const five = concatBytes([fromHex('8080808001'), field.bytes.subarray(1)]);
      yield ['a property length in five bytes', withField(layout, index, five), 0x81];
    }
    if (!['string', 'willTopic', 'topic', 'filter', 'binary'].includes(field.kind)) continue;
    const tooLong = concatBytes([fromHex('ffff'), field.bytes.subarray(2)]);
    yield [`a length of 65,535 in field ${index}`, withField(layout, index, tooLong), 0x81];
  }
}

function* wrongStrings(layout: Layout): Iterable<Broken> {
  const put = (index: number, value: string, code: number): Broken => [
    `${layout.fields[index]!.kind} "${value}"`,
    withField(layout, index, text(value)),
    code,
  ];
  for (const [index, { kind }] of layout.fields.entries()) {
    if (kind !== 'string' && kind !== 'willTopic' && kind !== 'topic' && kind !== 'filter') continue;
    for (const bad of badStrings) {
      yield [`${kind} of bytes ${bad.toHex()}`, withField(layout, index, prefixed(bad)), 0x81];
    }
    if (kind === 'string') {
      yield put(index, '', 0);
      yield put(index, '+/#', 0);
      continue;
    }
    yield put(index, '\ufeff\u{2a6d4}', 0);
    yield put(index, '/'.repeat(199), 0);
    yield put(index, '/'.repeat(201), 0x81);
    yield put(index, '', kind === 'topic' ? 0x82 : 0x81);
    if (kind !== 'filter') for (const name of ['+', '#', 'a/+/b', 'a+', 'a#']) yield put(index, name, 0x81);
    else {
      for (const filter of ['a#', 'a/#/b', '##', 'a+', '+a/b', '#/']) yield put(index, filter, 0x81);
      const isSubscribe = layout.firstByte === 0x82;
      for (const filter of ['$share/g', '$share//a', '$share/g/', '$share/+/a']) {
        yield put(index, filter, isSubscribe ? 0x82 : 0);
      }
    }
  }
}

function* wrongNumbers(layout: Layout): Iterable<Broken> {
  const isOld = layout.version !== ProtocolVersion.v5;
  for (const [index, field] of layout.fields.entries()) {
    if (field.kind === 'packetId') yield ['packet identifier 0', withField(layout, index, u16(0)), 0x82];
    if (field.kind === 'connackFlags') {
      for (let flags = 0; flags < 256; flags++) {
        yield [`acknowledge flags ${flags}`, withField(layout, index, Uint8Array.of(flags)), flags < 2 ? 0 : 0x81];
      }
    }
    if (field.kind === 'reason') {
      for (let code = 0; code < 256; code++) {
        const isGood = field.codes.includes(code);
        yield [`reason code ${code}`, withField(layout, index, Uint8Array.of(code)), isGood ? 0 : 0x82];
      }
    }
    if (field.kind === 'subscribeOptions') {
      for (let options = 0; options < 256; options++) {
        const isWrong = (options & 3) === 3 || (options & 0x30) === 0x30;
        const code = isOld ? (options > 2 ? 0x81 : 0) : options >= 64 ? 0x81 : isWrong ? 0x82 : 0;
        yield [`options ${options}`, withField(layout, index, Uint8Array.of(options)), code];
      }
    }
    if (field.kind === 'connectFlags') yield* connectFlags(layout, index);
  }
}

/** Flags that announce fewer or more fields than there are, or that contradict each other. */
function* connectFlags(layout: Layout, index: number): Iterable<Broken> {
  const isV31 = layout.version === ProtocolVersion.v31;
  const put = (flags: number, code: number): Broken => [
    `connect flags ${flags}`,
    withField(layout, index, Uint8Array.of(flags)),
    code,
  ];
  yield put(0xf7, isV31 ? 0 : 0x81);
  yield put(0xfe, 0x81);
  yield put(0xf4, 0);
  yield put(0xb6, 0x81);
  const level = index - 1;
  for (let version = 0; version < 256; version++) {
    const number = version & 127;
    const isKnown = isV31 ? number === 3 : number === 4 || version === 5;
    if (!isKnown) yield [`protocol level ${version}`, withField(layout, level, Uint8Array.of(version)), 0x84];
  }
  for (const name of ['MQTTX', 'mqtt', 'MQIsdq', '', 'MQ']) {
    yield [`protocol name ${name}`, withField(layout, level - 1, text(name)), 0x81];
  }
}

function* wrongProperties(layout: Layout): Iterable<Broken> {
  for (const [index, field] of layout.fields.entries()) {
    if (field.kind !== 'properties') continue;
    const inside = field.bytes.subarray(1);
    const put = (...more: readonly Uint8Array[]) => withField(layout, index, propertySection(inside, ...more));
    const allowed: readonly string[] = propertyFields[field.holder];
    for (const sample of propertySamples) yield* propertyCases(layout, field, sample, allowed, put);
    for (const [name, value, code] of forbiddenValues) {
      const { id } = propertySamples.find((sample) => sample.field === name)!;
      // An alias is a rule of PUBLISH alone, where it stands.
      if (allowed.includes(name)) yield [`${name} ${value.toHex()}`, put(propertyBytes(id, value)), code];
    }
    for (const id of [0x00, 0x04, 0x0a, 0x0c, 0x14, 0x1b, 0x1d, 0x20, 0x2b, 0x3f, 0x40, 0x7f]) {
      yield [`property 0x${id.toString(16)}`, put(Uint8Array.of(id, 0, 0, 0, 0)), 0x81];
    }
    for (const id of ['8000', 'a600', '8001', 'ff7f', '80808001', 'ffffff7f', '8080808001']) {
      yield [`property identifier ${id}`, put(fromHex(`${id} 0000 0000`)), 0x81];
    }
  }
}

function* propertyCases(
  layout: Layout,
  field: PlacedField & { kind: 'properties' },
  { field: name, id, kind, value }: PropertySample,
  allowed: readonly string[],
  put: (...more: readonly Uint8Array[]) => Uint8Array,
): Iterable<Broken> {
  const one = propertyBytes(id, value);
  const isAuth = field.holder === 'auth';
  if (!allowed.includes(name)) {
    // What one side may not send is a Protocol Error where the other may send it.
    const isOneSided =
      (field.holder === 'publish' && name === 'subscriptionIdentifiers') ||
      (field.holder === 'disconnectFromServer' && name === 'sessionExpiryInterval');
    yield [`${name}, which does not belong there`, put(one), isOneSided ? 0x82 : 0x81];
    return;
  }
  const method = propertyBytes(0x15, fromHex('0001 "m"'));
  const needsMethod = name === 'authenticationData' && !isAuth;
  const before = needsMethod ? [method] : [];
  if (needsMethod) yield [`${name} without a method`, put(one), 0x82];
  if (isAuth && name === 'authenticationMethod') yield [`${name} twice`, put(one), 0x82];
  else {
    yield [name, put(...before, one), 0];
    const isList = kind === 'pair' || (kind === 'varint' && layout.firstByte >> 4 === PacketType.publish);
    yield [`${name} twice`, put(...before, one, one), isList ? 0 : 0x82];
  }
  for (let length = 1; length < one.length; length++) {
    yield [`${name} cut to ${length} bytes`, put(...before, one.subarray(0, length)), 0x81];
  }
  if (kind === 'string' || kind === 'pair') {
    for (const bad of badStrings) {
      const wrong = prefixed(bad);
      if (isAuth && name === 'authenticationMethod') continue;
      yield [
        `${name} of bytes ${bad.toHex()}`,
        put(propertyBytes(id, wrong), kind === 'pair' ? text('v') : new Uint8Array(0)),
        0x81,
      ];
      if (kind === 'pair') yield [`value of bytes ${bad.toHex()}`, put(propertyBytes(id, text('k')), wrong), 0x81];
    }
  }
  if (kind === 'varint') {
    for (const encoded of ['8000', '8100', 'ffffff00', '8080808001']) {
      yield [`${name} ${encoded}`, put(propertyBytes(id, fromHex(encoded))), 0x81];
    }
  }
}

/** A packet that goes the wrong way. */
function* wrongSide(layout: Layout): Iterable<Broken> {
  const oneWay = [1, 2, 8, 9, 10, 11, 12, 13].includes(layout.firstByte >> 4);
  if (oneWay) yield ['from the wrong side', layoutBytes(layout), 0x82];
}

const ways = [cuts, wrongFlags, wrongLengths, wrongStrings, wrongNumbers, wrongProperties] as const;

/** All of them, always the same: some ten thousand. */
export function* provenMutations(): Iterable<ProvenMutation> {
  for (const layout of layouts) {
    const { version, sender, name } = layout;
    for (const way of ways) {
      for (const [what, bytes, reasonCode] of way(layout)) {
        yield { bytes, version, sender, what: `${name}: ${what}`, reasonCode };
      }
    }
    for (const [what, bytes, reasonCode] of wrongSide(layout)) {
      const other = sender === 'client' ? 'server' : 'client';
      yield { bytes, version, sender: other, what: `${name}: ${what}`, reasonCode };
    }
  }
}
