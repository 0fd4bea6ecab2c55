import { PacketType, ProtocolVersion, type QoS } from '../../../src/protocol/packet-type.ts';
import type { Packet } from '../../../src/protocol/packet.ts';
import type { RetainHandling, SubscribePacket, SubscriptionRequest } from '../../../src/protocol/subscribe.ts';
import { type Fixture, hexByte, oldVersions, versionNames } from './fixture.ts';

function fixture(version: ProtocolVersion, name: string, hex: string, packet: Packet, canonical?: string): Fixture {
  const sender = packet.type === PacketType.suback || packet.type === PacketType.unsuback ? 'server' : 'client';
  const made: Fixture = { name: `${name} (${versionNames[version]})`, version, sender, hex, packet };
  return canonical === undefined ? made : { ...made, canonical };
}

function request(topicFilter: string, qos: QoS = 0, options: Partial<SubscriptionRequest> = {}): SubscriptionRequest {
  return { topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0, ...options };
}

function subscribe(fields: Partial<SubscribePacket>): SubscribePacket {
  return { type: PacketType.subscribe, packetId: 1, properties: null, subscriptions: [request('a')], ...fields };
}

const { v31, v311, v5 } = ProtocolVersion;

function* subscribeFixtures(): Iterable<Fixture> {
  for (const version of oldVersions) {
    for (const qos of [0, 1, 2] as const) {
      const packet = subscribe({ subscriptions: [request('a/#', qos)] });
      yield fixture(version, `SUBSCRIBE at QoS ${qos}`, `82 08 0001 0003 "a/#" ${hexByte(qos)}`, packet);
    }
    yield fixture(
      version,
      'SUBSCRIBE to three filters',
      '82 14 ffff 0003 "a/+" 01 0001 "#" 02 0005 "$SYS/" 00',
      subscribe({ packetId: 65_535, subscriptions: [request('a/+', 1), request('#', 2), request('$SYS/')] }),
    );
  }
  yield fixture(v31, 'SUBSCRIBE sent again', '8a 06 0001 0001 "a" 00', subscribe({}), '82 06 0001 0001 "a" 00');
  yield fixture(
    v31,
    'SUBSCRIBE whose fixed header says QoS 0',
    '80 06 0001 0001 "a" 00',
    subscribe({}),
    '82 06 0001 0001 "a" 00',
  );
  yield fixture(
    v311,
    'SUBSCRIBE to a shared filter',
    '82 0f 0001 000a "$share/g/a" 00',
    subscribe({ subscriptions: [request('$share/g/a')] }),
  );
  yield fixture(
    v311,
    'SUBSCRIBE to a filter of 65,535 bytes with four-byte UTF-8 and U+FEFF',
    '82 848004 0001 ffff efbbbf f0aa9b94 {66*65528} 02',
    subscribe({ subscriptions: [request(`\ufeff\u{2a6d4}${'f'.repeat(65_528)}`, 2)] }),
  );
  for (const qos of [0, 1, 2] as const) {
    for (const noLocal of [false, true]) {
      for (const retainAsPublished of [false, true]) {
        for (const retainHandling of [0, 1, 2] as const satisfies readonly RetainHandling[]) {
          const options = qos + (noLocal ? 4 : 0) + (retainAsPublished ? 8 : 0) + 16 * retainHandling;
          yield fixture(
            v5,
            `SUBSCRIBE with options ${hexByte(options)}`,
            `82 07 0001 00 0001 "a" ${hexByte(options)}`,
            subscribe({ subscriptions: [request('a', qos, { noLocal, retainAsPublished, retainHandling })] }),
          );
        }
      }
    }
  }
  const identifiers: readonly (readonly [number, string])[] = [
    [1, '01'],
    [127, '7f'],
    [128, '8001'],
    [16_383, 'ff7f'],
    [16_384, '808001'],
    [2_097_151, 'ffff7f'],
    [2_097_152, '80808001'],
    [268_435_455, 'ffffff7f'],
  ];
  for (const [identifier, encoded] of identifiers) {
    const extra = encoded.length / 2;
    yield fixture(
      v5,
      `SUBSCRIBE with subscription identifier ${identifier}`,
      `82 ${hexByte(8 + extra)} 0001 ${hexByte(1 + extra)} 0b ${encoded} 0001 "a" 00`,
      subscribe({ properties: { subscriptionIdentifiers: [identifier] } }),
    );
  }
  yield fixture(
    v5,
    'SUBSCRIBE with user properties in order, to a shared and a plain filter',
    '82 26 0001 10 0b 05 26 0001 "z" 0001 "1" 26 0001 "a" 0001 "2" 000c "$share/g/a/+" 22 0001 "b" 09',
    subscribe({
      properties: {
        subscriptionIdentifiers: [5],
        userProperties: [
          ['z', '1'],
          ['a', '2'],
        ],
      },
      subscriptions: [request('$share/g/a/+', 2, { retainHandling: 2 }), request('b', 1, { retainAsPublished: true })],
    }),
  );
}

/** v5 table 3-8. */
export const subackReasonCodes = [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
/** v5 table 3-9. */
export const unsubackReasonCodes = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];

function* subackFixtures(): Iterable<Fixture> {
  const { suback, unsuback } = PacketType;
  for (const version of oldVersions) {
    yield fixture(version, 'SUBACK with every code', '90 06 0001 00 01 02 80', {
      type: suback,
      packetId: 1,
      properties: null,
      reasonCodes: [0, 1, 2, 0x80],
    });
    yield fixture(version, 'UNSUBACK', 'b0 02 ffff', {
      type: unsuback,
      packetId: 65_535,
      properties: null,
      reasonCodes: [],
    });
  }
  for (const code of subackReasonCodes) {
    yield fixture(v5, `SUBACK with code 0x${hexByte(code)}`, `90 04 0001 00 ${hexByte(code)}`, {
      type: suback,
      packetId: 1,
      properties: null,
      reasonCodes: [code],
    });
  }
  for (const code of unsubackReasonCodes) {
    yield fixture(v5, `UNSUBACK with code 0x${hexByte(code)}`, `b0 04 0001 00 ${hexByte(code)}`, {
      type: unsuback,
      packetId: 1,
      properties: null,
      reasonCodes: [code],
    });
  }
  const properties = { reasonString: 'r', userProperties: [['k', 'v'] as const, ['k', 'u'] as const] };
  const section = '12 1f 0001 "r" 26 0001 "k" 0001 "v" 26 0001 "k" 0001 "u"';
  yield fixture(v5, 'SUBACK with properties and codes in order', `90 18 0001 ${section} 02 87 00`, {
    type: suback,
    packetId: 1,
    properties,
    reasonCodes: [2, 0x87, 0],
  });
  yield fixture(v5, 'UNSUBACK with properties and codes in order', `b0 17 0001 ${section} 11 00`, {
    type: unsuback,
    packetId: 1,
    properties,
    reasonCodes: [0x11, 0],
  });
}

function* unsubscribeFixtures(): Iterable<Fixture> {
  const unsubscribe = (topicFilters: string[], properties: { userProperties: [string, string][] } | null = null) =>
    ({ type: PacketType.unsubscribe, packetId: 1, properties, topicFilters }) as const;
  for (const version of oldVersions) {
    yield fixture(version, 'UNSUBSCRIBE', 'a2 05 0001 0001 "a"', unsubscribe(['a']));
    yield fixture(version, 'UNSUBSCRIBE from two', 'a2 0a 0001 0003 "+/a" 0001 "#"', unsubscribe(['+/a', '#']));
  }
  yield fixture(v31, 'UNSUBSCRIBE sent again', 'aa 05 0001 0001 "a"', unsubscribe(['a']), 'a2 05 0001 0001 "a"');
  yield fixture(v5, 'UNSUBSCRIBE', 'a2 06 0001 00 0001 "a"', unsubscribe(['a']));
  yield fixture(
    v5,
    'UNSUBSCRIBE with user properties, from a shared filter',
    'a2 1d 0001 0e 26 0001 "k" 0001 "2" 26 0001 "k" 0001 "1" 000a "$share/g/a"',
    unsubscribe(['$share/g/a'], {
      userProperties: [
        ['k', '2'],
        ['k', '1'],
      ],
    }),
  );
  yield fixture(
    v5,
    'UNSUBSCRIBE from a filter of 65,535 bytes',
    'a2 848004 0001 00 ffff {2f*100} {66*65435}',
    unsubscribe([`${'/'.repeat(100)}${'f'.repeat(65_435)}`]),
  );
}

export const subscribeFamilyFixtures: readonly Fixture[] = [
  ...subscribeFixtures(),
  ...subackFixtures(),
  ...unsubscribeFixtures(),
];
