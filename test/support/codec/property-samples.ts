import type { Properties } from '../../../src/protocol/properties.ts';
import { concatBytes, fromHex, varint } from './hex.ts';

export type PropertyKind = 'bit' | 'u16' | 'u32' | 'varint' | 'string' | 'binary' | 'pair';

export interface PropertySample {
  readonly field: keyof Properties;
  readonly id: number;
  readonly kind: PropertyKind;
  /** A good value, without the identifier. */
  readonly value: Uint8Array;
  readonly decoded: Properties[keyof Properties];
}

function sample(
  field: keyof Properties,
  id: number,
  kind: PropertyKind,
  value: string,
  decoded: Properties[keyof Properties],
): PropertySample {
  return { field, id, kind, value: fromHex(value), decoded };
}

/** Every property of MQTT 5 once (v5 table 2-4), written down apart from the codec. */
export const propertySamples: readonly PropertySample[] = [
  sample('payloadFormatIndicator', 0x01, 'bit', '01', 1),
  sample('messageExpiryInterval', 0x02, 'u32', '00000102', 258),
  sample('contentType', 0x03, 'string', '0002 "ct"', 'ct'),
  sample('responseTopic', 0x08, 'string', '0001 "r"', 'r'),
  sample('correlationData', 0x09, 'binary', '0002 00ff', Uint8Array.of(0, 255)),
  sample('subscriptionIdentifiers', 0x0b, 'varint', '8001', [128]),
  sample('sessionExpiryInterval', 0x11, 'u32', 'ffffffff', 0xffff_ffff),
  sample('assignedClientIdentifier', 0x12, 'string', '0001 "c"', 'c'),
  sample('serverKeepAlive', 0x13, 'u16', '003c', 60),
  sample('authenticationMethod', 0x15, 'string', '0001 "m"', 'm'),
  sample('authenticationData', 0x16, 'binary', '0001 00', Uint8Array.of(0)),
  sample('requestProblemInformation', 0x17, 'bit', '00', 0),
  sample('willDelayInterval', 0x18, 'u32', '00000001', 1),
  sample('requestResponseInformation', 0x19, 'bit', '01', 1),
  sample('responseInformation', 0x1a, 'string', '0001 "i"', 'i'),
  sample('serverReference', 0x1c, 'string', '0001 "s"', 's'),
  sample('reasonString', 0x1f, 'string', '0003 "why"', 'why'),
  sample('receiveMaximum', 0x21, 'u16', '0014', 20),
  sample('topicAliasMaximum', 0x22, 'u16', '0000', 0),
  sample('topicAlias', 0x23, 'u16', 'ffff', 65_535),
  sample('maximumQoS', 0x24, 'bit', '01', 1),
  sample('retainAvailable', 0x25, 'bit', '00', 0),
  sample('userProperties', 0x26, 'pair', '0001 "k" 0001 "v"', [['k', 'v']]),
  sample('maximumPacketSize', 0x27, 'u32', '00000001', 1),
  sample('wildcardSubscriptionAvailable', 0x28, 'bit', '00', 0),
  sample('subscriptionIdentifierAvailable', 0x29, 'bit', '01', 1),
  sample('sharedSubscriptionAvailable', 0x2a, 'bit', '00', 0),
];

export function propertyBytes(id: number, value: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(id), value]);
}

/** Properties behind their length. */
export function propertySection(...properties: readonly Uint8Array[]): Uint8Array {
  const all = concatBytes(properties);
  return concatBytes([varint(all.length), all]);
}

/** Values that parse and are forbidden, with the reason code that the standard names. */
export const forbiddenValues: readonly (readonly [field: keyof Properties, value: Uint8Array, reasonCode: number])[] = [
  ...propertySamples
    .filter(({ kind }) => kind === 'bit')
    .flatMap(({ field }) => [[field, Uint8Array.of(2), 0x82] as const, [field, Uint8Array.of(255), 0x82] as const]),
  ['subscriptionIdentifiers', fromHex('00'), 0x82],
  ['receiveMaximum', fromHex('0000'), 0x82],
  ['maximumPacketSize', fromHex('00000000'), 0x82],
  ['topicAlias', fromHex('0000'), 0x94],
  ['responseTopic', fromHex('0000'), 0x82],
  ['responseTopic', fromHex('0003 "a/+"'), 0x82],
  ['responseTopic', fromHex('0001 "#"'), 0x82],
];

/** Bytes that no string may be made of (v5 section 1.5.4). */
export const badStrings: readonly Uint8Array[] = [
  'c080',
  'c1bf',
  'e08080',
  'e09fbf',
  'f0808080',
  'f08fbfbf',
  'f4908080',
  'f8888080',
  'eda080',
  'edbfbf',
  'eda080edb080',
  'e282',
  'f0aa9b',
  'c341',
  '80',
  '61bf',
  'ff',
  'fe',
  '00',
  '610062',
  '01',
  '1f',
  '7f',
  'c280',
  'c29f',
  'efb790',
  'efbfbe',
  'efbfbf',
  'f48fbfbf',
].map(fromHex);
