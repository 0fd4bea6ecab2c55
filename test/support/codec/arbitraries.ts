/** Arbitrary well-formed packets of each version and side, for property tests. */
import fc from 'fast-check';
import type { AckPacket, AckType } from '../../../src/protocol/ack.ts';
import type { ConnackPacket } from '../../../src/protocol/connack.ts';
import type { ConnectPacket, WillMessage } from '../../../src/protocol/connect.ts';
import type { Sender } from '../../../src/protocol/disconnect.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../../src/protocol/packet-type.ts';
import type { Packet } from '../../../src/protocol/packet.ts';
import type { Properties } from '../../../src/protocol/properties.ts';
import type { PublishPacket } from '../../../src/protocol/publish.ts';
import type { RetainHandling } from '../../../src/protocol/subscribe.ts';
import { ackReasonCodes } from './ack-fixtures.ts';
import { authReasonCodes, disconnectReasonCodes } from './connection-fixtures.ts';
import { subackReasonCodes, unsubackReasonCodes } from './subscribe-fixtures.ts';

const range = (min: number, max: number) => fc.integer({ min, max });

/** Code points that may stand in a string; the plane's last two and the surrogates are left out. */
const codePoint = fc.oneof(
  { weight: 8, arbitrary: range(0x20, 0x7e) },
  { weight: 2, arbitrary: range(0xa0, 0xd7ff) },
  { weight: 1, arbitrary: range(0xe000, 0xfdcf) },
  { weight: 1, arbitrary: fc.oneof(range(0xfdf0, 0xfffd), fc.constant(0xfeff)) },
  { weight: 1, arbitrary: fc.tuple(range(1, 16), range(0, 0xfffd)).map(([plane, low]) => plane * 0x1_0000 + low) },
);

export const mqttString = fc.array(codePoint, { maxLength: 24 }).map((points) => String.fromCodePoint(...points));

const level = mqttString.map((text) => text.replaceAll(/[/+#]/g, '_'));

export const topicName = fc
  .array(level, { minLength: 1, maxLength: 6 })
  .map((levels) => levels.join('/'))
  .filter((name) => name !== '');

export const topicFilter = fc
  .tuple(fc.array(fc.oneof(level, level, fc.constant('+')), { minLength: 1, maxLength: 6 }), fc.boolean())
  .map(([levels, isOpen]) => (isOpen ? [...levels, '#'] : levels).join('/'))
  .filter((filter) => filter !== '' && !filter.startsWith('$share/'));

const sharedFilter = fc
  .tuple(
    level.filter((name) => name !== ''),
    topicFilter,
  )
  .map(([name, filter]) => `$share/${name}/${filter}`);

const u16 = range(0, 0xffff);
const id = range(1, 0xffff);
const u32 = range(0, 0xffff_ffff);
const bit = range(0, 1);
const binary = fc.uint8Array({ maxLength: 24 });
const qos = fc.constantFrom<QoS>(0, 1, 2);
const identifier = fc.oneof(range(1, 300), range(1, 268_435_455));

const values: { readonly [K in keyof Required<Properties>]: fc.Arbitrary<Required<Properties>[K]> } = {
  payloadFormatIndicator: bit,
  messageExpiryInterval: u32,
  contentType: mqttString,
  responseTopic: topicName,
  correlationData: binary,
  subscriptionIdentifiers: fc.array(identifier, { minLength: 1, maxLength: 4 }),
  sessionExpiryInterval: u32,
  assignedClientIdentifier: mqttString,
  serverKeepAlive: u16,
  authenticationMethod: mqttString,
  authenticationData: binary,
  requestProblemInformation: bit,
  willDelayInterval: u32,
  requestResponseInformation: bit,
  responseInformation: mqttString,
  serverReference: mqttString,
  reasonString: mqttString,
  receiveMaximum: id,
  topicAliasMaximum: u16,
  topicAlias: id,
  maximumQoS: bit,
  retainAvailable: bit,
  userProperties: fc.array(fc.tuple(mqttString, mqttString), { minLength: 1, maxLength: 4 }),
  maximumPacketSize: range(1, 0xffff_ffff),
  wildcardSubscriptionAvailable: bit,
  subscriptionIdentifierAvailable: bit,
  sharedSubscriptionAvailable: bit,
};

type Field = keyof Properties;

const will: readonly Field[] = [
  'payloadFormatIndicator',
  'messageExpiryInterval',
  'contentType',
  'responseTopic',
  'correlationData',
  'userProperties',
];

/** Which properties each packet may carry (v5 table 2-4), written down apart from the codec. */
export const propertyFields = {
  connect: [
    'sessionExpiryInterval',
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'userProperties',
    'authenticationMethod',
    'authenticationData',
  ],
  will: [...will, 'willDelayInterval'],
  connack: [
    'sessionExpiryInterval',
    'receiveMaximum',
    'maximumQoS',
    'retainAvailable',
    'maximumPacketSize',
    'assignedClientIdentifier',
    'topicAliasMaximum',
    'reasonString',
    'userProperties',
    'wildcardSubscriptionAvailable',
    'subscriptionIdentifierAvailable',
    'sharedSubscriptionAvailable',
    'serverKeepAlive',
    'responseInformation',
    'serverReference',
    'authenticationMethod',
    'authenticationData',
  ],
  publish: [...will, 'topicAlias'],
  publishFromServer: [...will, 'topicAlias', 'subscriptionIdentifiers'],
  ack: ['reasonString', 'userProperties'],
  subscribe: ['subscriptionIdentifiers', 'userProperties'],
  unsubscribe: ['userProperties'],
  disconnect: ['sessionExpiryInterval', 'reasonString', 'userProperties', 'serverReference'],
  disconnectFromServer: ['reasonString', 'userProperties', 'serverReference'],
  auth: ['authenticationMethod', 'authenticationData', 'reasonString', 'userProperties'],
} as const satisfies Record<string, readonly Field[]>;

/** Any subset of the fields, in any order; null where it is empty. */
function properties(fields: readonly Field[]): fc.Arbitrary<Properties | null> {
  return fc.shuffledSubarray([...fields]).chain((chosen) => {
    const kept = chosen.filter((field) => field !== 'authenticationData' || chosen.includes('authenticationMethod'));
    if (kept.length === 0) return fc.constant(null);
    return fc.record(Object.fromEntries(kept.map((field) => [field, values[field]]))) as fc.Arbitrary<Properties>;
  });
}

function inV5<T>(version: ProtocolVersion, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return version === ProtocolVersion.v5 ? arbitrary : fc.constant(null);
}

function connect(protocolVersion: ProtocolVersion): fc.Arbitrary<ConnectPacket> {
  const isV5 = protocolVersion === ProtocolVersion.v5;
  const message: fc.Arbitrary<WillMessage> = fc
    .record({
      topicName,
      payload: binary,
      qos,
      retain: fc.boolean(),
      properties: inV5(protocolVersion, properties(propertyFields.will)),
    })
    // A will that claims to be UTF-8 has to be.
    .map((one) =>
      one.properties?.payloadFormatIndicator === 1 ? { ...one, payload: new Uint8Array(2).fill(97) } : one,
    );
  return fc
    .record({
      type: fc.constant(PacketType.connect),
      protocolVersion: fc.constant(protocolVersion),
      bridge: isV5 ? fc.constant(false) : fc.boolean(),
      cleanStart: fc.boolean(),
      keepAlive: u16,
      clientId: mqttString,
      will: fc.option(message),
      username: fc.option(mqttString),
      password: fc.option(binary),
      properties: inV5(protocolVersion, properties(propertyFields.connect)),
    })
    .map((packet) => (!isV5 && packet.username === null ? { ...packet, password: null } : packet));
}

function connack(version: ProtocolVersion): fc.Arbitrary<ConnackPacket> {
  return fc.record({
    type: fc.constant(PacketType.connack),
    sessionPresent: fc.boolean(),
    reasonCode: version === ProtocolVersion.v5 ? fc.constantFrom(0, 0x80, 0x87, 0x9c) : range(0, 5),
    properties: inV5(version, properties(propertyFields.connack)),
  });
}

export function publish(version: ProtocolVersion, sender: Sender): fc.Arbitrary<PublishPacket> {
  const fields = sender === 'client' ? propertyFields.publish : propertyFields.publishFromServer;
  return fc
    .record({
      type: fc.constant(PacketType.publish),
      dup: fc.boolean(),
      qos,
      retain: fc.boolean(),
      topicName,
      packetId: id,
      properties: inV5(version, properties(fields)),
      payload: fc.uint8Array({ maxLength: 300 }),
      isAliased: fc.boolean(),
    })
    .map(({ isAliased, ...packet }) => ({
      ...packet,
      dup: packet.dup && packet.qos > 0,
      packetId: packet.qos === 0 ? 0 : packet.packetId,
      topicName: isAliased && packet.properties?.topicAlias !== undefined ? '' : packet.topicName,
    }));
}

function ack(version: ProtocolVersion): fc.Arbitrary<AckPacket> {
  const types = [PacketType.puback, PacketType.pubrec, PacketType.pubrel, PacketType.pubcomp] as const;
  return fc.constantFrom<AckType>(...types).chain((type) =>
    fc.record({
      type: fc.constant(type),
      packetId: id,
      reasonCode: version === ProtocolVersion.v5 ? fc.constantFrom(...ackReasonCodes[type]) : fc.constant(0),
      properties: inV5(version, properties(propertyFields.ack)),
    }),
  );
}

function fromClient(version: ProtocolVersion): fc.Arbitrary<Packet>[] {
  const isV5 = version === ProtocolVersion.v5;
  const oneIdentifier = (found: Properties | null): Properties | null =>
    found?.subscriptionIdentifiers === undefined
      ? found
      : { ...found, subscriptionIdentifiers: found.subscriptionIdentifiers.slice(0, 1) };
  const subscription = fc
    .record({
      topicFilter: fc.oneof(topicFilter, sharedFilter),
      qos,
      noLocal: isV5 ? fc.boolean() : fc.constant(false),
      retainAsPublished: isV5 ? fc.boolean() : fc.constant(false),
      retainHandling: isV5 ? fc.constantFrom<RetainHandling>(0, 1, 2) : fc.constant<RetainHandling>(0),
    })
    .map((one) => (one.topicFilter.startsWith('$share/') ? { ...one, noLocal: false } : one));
  return [
    fc.record({
      type: fc.constant(PacketType.subscribe),
      packetId: id,
      properties: inV5(version, properties(propertyFields.subscribe).map(oneIdentifier)),
      subscriptions: fc.array(subscription, { minLength: 1, maxLength: 4 }),
    }),
    fc.record({
      type: fc.constant(PacketType.unsubscribe),
      packetId: id,
      properties: inV5(version, properties(propertyFields.unsubscribe)),
      topicFilters: fc.array(fc.oneof(topicFilter, sharedFilter), { minLength: 1, maxLength: 4 }),
    }),
    fc.constant({ type: PacketType.pingreq }),
  ];
}

function fromServer(version: ProtocolVersion): fc.Arbitrary<Packet>[] {
  const isV5 = version === ProtocolVersion.v5;
  const codes = (all: readonly number[]) => fc.array(fc.constantFrom(...all), { minLength: 1, maxLength: 5 });
  return [
    connack(version),
    fc.record({
      type: fc.constant(PacketType.suback),
      packetId: id,
      properties: inV5(version, properties(propertyFields.ack)),
      reasonCodes: codes(isV5 ? subackReasonCodes : [0, 1, 2, 0x80]),
    }),
    fc.record({
      type: fc.constant(PacketType.unsuback),
      packetId: id,
      properties: inV5(version, properties(propertyFields.ack)),
      reasonCodes: isV5 ? codes(unsubackReasonCodes) : fc.constant<number[]>([]),
    }),
    fc.constant({ type: PacketType.pingresp }),
  ];
}

function disconnect(version: ProtocolVersion, sender: Sender): fc.Arbitrary<Packet> {
  if (version !== ProtocolVersion.v5) {
    return fc.constant({ type: PacketType.disconnect, reasonCode: 0, properties: null });
  }
  return fc.record({
    type: fc.constant(PacketType.disconnect),
    reasonCode: fc.constantFrom(...disconnectReasonCodes[sender]),
    properties: properties(sender === 'client' ? propertyFields.disconnect : propertyFields.disconnectFromServer),
  });
}

function auth(sender: Sender): fc.Arbitrary<Packet> {
  return fc.record({
    type: fc.constant(PacketType.auth),
    reasonCode: fc.constantFrom(...authReasonCodes[sender]),
    properties: fc
      .tuple(properties(propertyFields.auth), mqttString)
      .map(([found, authenticationMethod]) => ({ authenticationMethod, ...found })),
  });
}

/** Any packet that `sender` may send in `version`; from a client also CONNECT. */
export function anyPacket(version: ProtocolVersion, sender: Sender): fc.Arbitrary<Packet> {
  const both = [publish(version, sender), ack(version), disconnect(version, sender)];
  const own = sender === 'client' ? [connect(version), ...fromClient(version)] : fromServer(version);
  return fc.oneof(...both, ...own, ...(version === ProtocolVersion.v5 ? [auth(sender)] : []));
}
