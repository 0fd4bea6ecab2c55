/** Well-formed packets as lists of fields, so that what breaks them can be placed and its answer foretold. */
import type { AckType } from '../../../src/protocol/ack.ts';
import type { Sender } from '../../../src/protocol/disconnect.ts';
import { PacketType, packetTypeName, ProtocolVersion } from '../../../src/protocol/packet-type.ts';
import { ackReasonCodes } from './ack-fixtures.ts';
import type { propertyFields } from './arbitraries.ts';
import { authReasonCodes, disconnectReasonCodes } from './connection-fixtures.ts';
import { allVersions, utf8, versionNames } from './fixture.ts';
import { frame, fromHex, prefixed, text, u16 } from './hex.ts';
import { propertyBytes, propertySection } from './property-samples.ts';
import { subackReasonCodes, unsubackReasonCodes } from './subscribe-fixtures.ts';

export type Field =
  | { readonly kind: 'plain' | 'packetId' | 'string' | 'willTopic' | 'topic' | 'filter' | 'binary' | 'payload' }
  | { readonly kind: 'connectFlags' | 'connackFlags' | 'subscribeOptions' }
  | { readonly kind: 'reason'; readonly codes: readonly number[] }
  | { readonly kind: 'properties'; readonly holder: keyof typeof propertyFields };

export type PlacedField = Field & { readonly bytes: Uint8Array };

export interface Layout {
  readonly name: string;
  readonly version: ProtocolVersion;
  readonly sender: Sender;
  readonly firstByte: number;
  readonly fields: readonly PlacedField[];
  /** After how many fields the packet may end; that it may end after all goes without saying. */
  readonly mayEndAfter: readonly number[];
  /** The answer where it ends after so many fields, if that is not 0x81. */
  readonly endCodes: ReadonlyMap<number, number>;
}

const { v31, v5 } = ProtocolVersion;

export function layoutBytes({ firstByte, fields }: Layout): Uint8Array {
  return frame(firstByte, ...fields.map(({ bytes }) => bytes));
}

/** The packet with one field's bytes replaced. */
export function withField(layout: Layout, index: number, bytes: Uint8Array): Uint8Array {
  return frame(layout.firstByte, ...layout.fields.map((field, i) => (i === index ? bytes : field.bytes)));
}

function layout(
  version: ProtocolVersion,
  sender: Sender,
  firstByte: number,
  fields: readonly (PlacedField | null)[],
  ends: { mayEndAfter?: readonly number[]; endCodes?: readonly (readonly [number, number])[] } = {},
): Layout {
  return {
    name: `${packetTypeName(firstByte >> 4)} ${versionNames[version]} from a ${sender}, first byte 0x${firstByte.toString(16)}`,
    version,
    sender,
    firstByte,
    fields: fields.filter((field) => field !== null),
    mayEndAfter: ends.mayEndAfter ?? [],
    endCodes: new Map(ends.endCodes ?? []),
  };
}

const packetId: PlacedField = { kind: 'packetId', bytes: u16(0x0102) };

function reason(code: number, codes: readonly number[]): PlacedField {
  return { kind: 'reason', bytes: Uint8Array.of(code), codes };
}

function string(value: string, kind: 'string' | 'willTopic' | 'topic' | 'filter' = 'string'): PlacedField {
  return { kind, bytes: text(value) };
}

/** Null before MQTT 5. */
function properties(
  version: ProtocolVersion,
  holder: keyof typeof propertyFields,
  ...inside: readonly Uint8Array[]
): PlacedField | null {
  return version === v5 ? { kind: 'properties', holder, bytes: propertySection(...inside) } : null;
}

function connect(version: ProtocolVersion): Layout {
  const isV31 = version === v31;
  const before = version === v5 ? 6 : 5;
  const fields: (PlacedField | null)[] = [
    { kind: 'plain', bytes: text(isV31 ? 'MQIsdp' : 'MQTT') },
    { kind: 'plain', bytes: Uint8Array.of(version) },
    { kind: 'connectFlags', bytes: Uint8Array.of(0xf6) },
    { kind: 'plain', bytes: u16(60) },
    properties(version, 'connect'),
    string('client'),
    properties(version, 'will'),
    string('will/topic', 'willTopic'),
    { kind: 'binary', bytes: prefixed(utf8('gone')) },
    string('user'),
    { kind: 'binary', bytes: prefixed(utf8('secret')) },
  ];
  return layout(version, 'client', 0x10, fields, { mayEndAfter: isV31 ? [before + 2, before + 3] : [] });
}

function* publishes(version: ProtocolVersion): Iterable<Layout> {
  for (const sender of ['client', 'server'] as const) {
    for (const firstByte of [0x30, 0x33, 0x3c]) {
      const hasId = firstByte !== 0x30;
      const fields = [
        string('topic/name', 'topic'),
        hasId ? packetId : null,
        properties(version, sender === 'client' ? 'publish' : 'publishFromServer'),
        { kind: 'payload', bytes: utf8('payload') } as const,
      ];
      yield layout(version, sender, firstByte, fields, {
        mayEndAfter: [fields.filter((field) => field !== null).length - 1],
      });
    }
  }
}

function* acks(version: ProtocolVersion): Iterable<Layout> {
  for (const type of [PacketType.puback, PacketType.pubrec, PacketType.pubrel, PacketType.pubcomp] as const) {
    const firstByte = type * 16 + (type === PacketType.pubrel ? 2 : 0);
    if (version !== v5) yield layout(version, 'client', firstByte, [packetId]);
    else {
      const code = reason(0x00, ackReasonCodes[type satisfies AckType]);
      yield layout(version, 'client', firstByte, [packetId, code, properties(v5, 'ack')], { mayEndAfter: [1, 2] });
    }
  }
}

function* subscriptions(version: ProtocolVersion): Iterable<Layout> {
  const head = version === v5 ? 2 : 1;
  const options: PlacedField = { kind: 'subscribeOptions', bytes: Uint8Array.of(1) };
  const filters = [string('first/+', 'filter'), options, string('second/#', 'filter'), options];
  yield layout(version, 'client', 0x82, [packetId, properties(version, 'subscribe'), ...filters], {
    mayEndAfter: [head + 2],
    endCodes: [[head, 0x82]],
  });
  yield layout(
    version,
    'client',
    0xa2,
    [packetId, properties(version, 'unsubscribe'), string('first/+', 'filter'), string('#', 'filter')],
    { mayEndAfter: [head + 1], endCodes: [[head, 0x82]] },
  );
  const granted = version === v5 ? subackReasonCodes : [0, 1, 2, 0x80];
  yield layout(
    version,
    'server',
    0x90,
    [packetId, properties(version, 'ack'), reason(0, granted), reason(2, granted)],
    { mayEndAfter: [head + 1], endCodes: [[head, 0x82]] },
  );
  if (version !== v5) yield layout(version, 'server', 0xb0, [packetId]);
  else {
    const codes = [reason(0, unsubackReasonCodes), reason(0x11, unsubackReasonCodes)];
    yield layout(v5, 'server', 0xb0, [packetId, properties(v5, 'ack'), ...codes], {
      mayEndAfter: [head + 1],
      endCodes: [[head, 0x82]],
    });
  }
}

function* connections(version: ProtocolVersion): Iterable<Layout> {
  yield layout(version, 'server', 0x20, [
    { kind: 'connackFlags', bytes: Uint8Array.of(1) },
    { kind: 'plain', bytes: Uint8Array.of(0) },
    properties(version, 'connack'),
  ]);
  yield layout(version, 'client', 0xc0, []);
  yield layout(version, 'server', 0xd0, []);
  if (version !== v5) {
    yield layout(version, 'client', 0xe0, []);
    return;
  }
  for (const sender of ['client', 'server'] as const) {
    const holder = sender === 'client' ? 'disconnect' : 'disconnectFromServer';
    yield layout(v5, sender, 0xe0, [reason(0x80, disconnectReasonCodes[sender]), properties(v5, holder)], {
      mayEndAfter: [0, 1],
    });
    const method = propertyBytes(0x15, fromHex('0001 "m"'));
    const fields = [reason(0x18, authReasonCodes[sender]), properties(v5, 'auth', method)];
    yield sender === 'client'
      ? layout(v5, sender, 0xf0, fields, { endCodes: [[0, 0x82]] })
      : layout(v5, sender, 0xf0, fields, { mayEndAfter: [0] });
  }
}

/** Every packet type of every version, from each side that may send it. */
export const layouts: readonly Layout[] = allVersions.flatMap((version) => [
  connect(version),
  ...publishes(version),
  ...acks(version),
  ...subscriptions(version),
  ...connections(version),
]);
