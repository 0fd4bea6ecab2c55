/** Receivers of one message share its bytes where they may, and each gets the bytes of its own version and options. */
import { expect, test } from 'bun:test';
import { encodePacket } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import type { Properties } from '../../src/protocol/properties.ts';
import { publishes, publishWhole, received } from '../support/exchanges.ts';
import { type Peer, TestBroker, text, toHex, utf8 } from '../support/test-broker.ts';

interface Receiver {
  readonly peer: Peer;
  readonly version: ProtocolVersion;
  readonly retainAsPublished: boolean;
  readonly identifier: number;
  readonly aliases: boolean;
  sent: number;
}

const TOPIC = 'some/topic';

function makeReceivers(t: TestBroker): Receiver[] {
  const receivers: Receiver[] = [];
  const add = (version: ProtocolVersion, retainAsPublished = false, identifier = 0, aliases = false) => {
    const peer = t.connect({
      version,
      clientId: `r${receivers.length}`,
      properties: version === ProtocolVersion.v5 && aliases ? { topicAliasMaximum: 3 } : null,
    } as Parameters<TestBroker['connect']>[0]);
    peer.subscribe(TOPIC, 2, { retainAsPublished, ...(identifier === 0 ? {} : { identifier }) });
    peer.take();
    receivers.push({ peer, version, retainAsPublished, identifier, aliases, sent: 0 });
  };
  // Two of each, and not one kind after the other.
  for (let round = 0; round < 2; round++) {
    add(ProtocolVersion.v31);
    add(ProtocolVersion.v5);
    for (const retainAsPublished of [false, true]) {
      for (const identifier of [0, 5, 300]) {
        for (const aliases of [false, true]) add(ProtocolVersion.v5, retainAsPublished, identifier, aliases);
      }
    }
    add(ProtocolVersion.v311);
  }
  return receivers;
}

const propertySets: (Properties | null)[] = [
  null,
  { contentType: 'c', userProperties: [['a', 'b']] },
  { messageExpiryInterval: 60 },
  { messageExpiryInterval: 60, correlationData: utf8('id') },
];

for (const publisherVersion of [ProtocolVersion.v311, ProtocolVersion.v5] as const) {
  for (const qos of [0, 1, 2] as const) {
    test(`receivers of every kind get the right bytes of a message at QoS ${qos} from version ${publisherVersion}`, () => {
      const t = new TestBroker({ maxInflightMessages: 0 });
      const receivers = makeReceivers(t);
      const publisher = t.connect({ version: publisherVersion, clientId: 'p' });
      for (const properties of publisherVersion === ProtocolVersion.v5 ? propertySets : [null]) {
        for (const retain of [false, true]) {
          for (const size of [1, 100, 3_000]) {
            const payload = 'p'.repeat(size);
            publishWhole(publisher, TOPIC, payload, qos, { retain, properties });
            for (const receiver of receivers)
              expect(received(receiver.peer)).toBe(expectedHex(receiver, payload, qos, retain, properties));
          }
        }
      }
    });
  }
}

function expectedHex(
  receiver: Receiver,
  payload: string,
  qos: QoS,
  retain: boolean,
  properties: Properties | null,
): string {
  const { version, identifier, aliases } = receiver;
  receiver.sent++;
  // In the order in which the broker writes them.
  const { messageExpiryInterval, ...forwarded } = properties ?? {};
  const own: Properties = identifier === 0 ? {} : { subscriptionIdentifiers: [identifier] };
  Object.assign(own, forwarded);
  if (messageExpiryInterval !== undefined) own.messageExpiryInterval = messageExpiryInterval;
  if (aliases) own.topicAlias = 1;
  const packet = {
    type: PacketType.publish,
    dup: false,
    qos,
    retain: retain && receiver.retainAsPublished,
    topicName: aliases && receiver.sent > 1 ? '' : TOPIC,
    packetId: qos === 0 ? 0 : receiver.sent,
    properties: Object.keys(own).length === 0 ? null : own,
    payload: utf8(payload),
  } as const;
  return toHex(encodePacket(packet, version));
}

test('several messages of one chunk keep their bytes apart', () => {
  const t = new TestBroker();
  const receivers = makeReceivers(t);
  const publisher = t.connect({ clientId: 'p' });
  const messages = Array.from({ length: 40 }, (_, i) => ({
    topicName: TOPIC,
    payload: `${i} ${'y'.repeat((i % 4) * 1_000)}`,
    qos: 0 as const,
    retain: i % 3 === 0,
  }));
  const chunk = Buffer.concat(
    messages.map((message) =>
      encodePacket(
        {
          type: PacketType.publish,
          dup: false,
          packetId: 0,
          properties: null,
          ...message,
          payload: utf8(message.payload),
        },
        5,
      ),
    ),
  );
  publisher.send(new Uint8Array(chunk));
  // The chunk is the network's again.
  chunk.fill(0);
  for (const { peer, retainAsPublished } of receivers) {
    expect(publishes(peer).map(({ payload, retain }) => [text(payload), retain])).toEqual(
      messages.map(({ payload, retain }) => [payload, retain && retainAsPublished]),
    );
  }
});

test('a fan-out larger than the memory of a tick arrives whole', () => {
  const t = new TestBroker();
  const peers = Array.from({ length: 60 }, (_, i) => {
    const peer = t.connect({ version: i % 6 === 0 ? 4 : 5, clientId: `s${i}` });
    // Most need a frame each; between them some share one.
    peer.subscribe('a', (i % 2) as QoS, i % 6 > 1 ? { identifier: i } : {});
    peer.take();
    return peer;
  });
  const publisher = t.connect({ clientId: 'p' });
  const messages = Array.from({ length: 130 }, (_, i) => `${i} ${'z'.repeat(1_900)}`);
  const packets = messages.map((payload) =>
    encodePacket(
      {
        type: PacketType.publish,
        dup: false,
        qos: 0,
        retain: false,
        topicName: 'a',
        packetId: 0,
        properties: { messageExpiryInterval: 9 },
        payload: utf8(payload),
      },
      5,
    ),
  );
  // 42 frames of 1.9 KB for each of 130 messages in one tick: 10 MB.
  publisher.send(new Uint8Array(Buffer.concat(packets)));
  for (const peer of peers) expect(publishes(peer).map(({ payload }) => text(payload))).toEqual(messages);
}, 30_000);

test('a frame that receivers share is right on both sides of a flush in the middle of its fan-out', () => {
  const t = new TestBroker();
  const peers = Array.from({ length: 160 }, (_, i) => {
    const peer = t.connect({ clientId: `s${i}` });
    // The first and the last share a frame; the others have one each, of 60 KB.
    peer.subscribe('a', 0, i % 159 === 0 ? {} : { identifier: i });
    return peer;
  });
  const properties = { contentType: 'c'.repeat(60_000) };
  publishWhole(t.connect({ clientId: 'p' }), 'a', 'x', 1, { properties });
  for (const [i, peer] of peers.entries()) {
    const [packet, ...others] = publishes(peer);
    const own = i % 159 === 0 ? {} : { subscriptionIdentifiers: [i] };
    expect(packet?.properties).toEqual({ ...properties, ...own });
    expect(others.length).toBe(0);
  }
}, 30_000);
