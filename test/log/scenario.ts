/** What clients do in front of two brokers whose logs are to be compared: steps, each with a name. */
import { encodePacket, type Packet } from '../../src/protocol/packet.ts';
import { PacketType, type ProtocolVersion, type QoS } from '../../src/protocol/packet-type.ts';
import { type ConnectOptions, connectPacket, fromHex, utf8 } from '../support/test-broker.ts';
import { WireClient } from '../support/wire-client.ts';

export interface Ports {
  readonly mqtt: number;
  /** Takes two connections. */
  readonly narrow: number;
}

type Step = (ports: Ports) => Promise<void>;

const disconnect: Packet = { type: PacketType.disconnect, reasonCode: 0, properties: null };

async function leave(client: WireClient): Promise<void> {
  client.send(disconnect);
  await client.ended();
  client.end();
}

/** Sends what ends the connection. */
async function offend(client: WireClient, hex: string): Promise<void> {
  client.raw().send(fromHex(hex));
  await client.ended();
  client.end();
}

const open = (version: ProtocolVersion, { mqtt }: Ports, options: ConnectOptions = {}) =>
  WireClient.connect(mqtt, { version, ...options });

async function unsubscribe(client: WireClient, topicFilters: string[]): Promise<void> {
  client.send({ type: PacketType.unsubscribe, packetId: 9, properties: null, topicFilters });
  await client.next(PacketType.unsuback);
}

function subscribeAll(client: WireClient, topicFilters: readonly string[], qos: QoS): void {
  const rest = { qos, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const subscriptions = topicFilters.map((topicFilter) => ({ topicFilter, ...rest }));
  client.send({ type: PacketType.subscribe, packetId: 8, properties: null, subscriptions });
}

const ack = (type: 4 | 5 | 6 | 7, packetId: number): Packet => ({ type, packetId, reasonCode: 0, properties: null });

/** Publishes, and goes through the flow of its QoS. */
async function publish(client: WireClient, topic: string, qos: QoS, packetId: number, retain = false): Promise<void> {
  client.publish(topic, 'hello', { qos, packetId: qos === 0 ? 0 : packetId, retain });
  if (qos === 1) await client.next(PacketType.puback);
  if (qos < 2) return;
  await client.next(PacketType.pubrec);
  client.send(ack(PacketType.pubrel, packetId));
  await client.next(PacketType.pubcomp);
}

/** Takes a message, and goes through the flow of its QoS. */
async function take(client: WireClient): Promise<void> {
  const { qos, packetId } = await client.next(PacketType.publish);
  if (qos === 1) client.send(ack(PacketType.puback, packetId));
  if (qos < 2) return;
  client.send(ack(PacketType.pubrec, packetId));
  await client.next(PacketType.pubrel);
  client.send(ack(PacketType.pubcomp, packetId));
}

const will = { topicName: 'ok/will', payload: utf8('gone'), qos: 1, retain: true, properties: null } as const;
const persistent = { clientId: 'away', cleanStart: false } as const;

const withEach = (...versions: ProtocolVersion[]) => ({
  of:
    (step: (version: ProtocolVersion, ports: Ports) => Promise<void>): Step =>
    async (ports) => {
      for (const version of versions) await step(version, ports);
    },
});

export const steps: Readonly<Record<string, Step>> = {
  'connect and disconnect': withEach(3, 4, 5).of(async (version, ports) => {
    const client = await open(version, ports, { clientId: `plain${version}`, keepAlive: 60 });
    await client.ping();
    await leave(client);
  }),
  'user name, will and no clean start': withEach(4, 5).of(async (version, ports) => {
    const clientId = `will${version}`;
    const options = { clientId, username: 'user', password: 'secret', will, cleanStart: false };
    await leave(await open(version, ports, options));
    await leave(await open(version, ports, { clientId }));
  }),
  'a client without an identifier': async (ports) => leave(await open(4, ports, { clientId: '' })),
  'a connection that is lost, and its will': withEach(4, 5).of(async (version, ports) => {
    const watcher = await open(4, ports, { clientId: 'watcher' });
    await watcher.subscribe('ok/will', 1);
    const client = await open(version, ports, { clientId: `lost${version}`, will: { ...will, retain: false } });
    client.end();
    await take(watcher);
    await watcher.ping();
    await leave(watcher);
  }),
  'DISCONNECT with the will': async (ports) => {
    const client = await open(5, ports, { clientId: 'with-will', will: { ...will, retain: false } });
    client.send({ ...disconnect, reasonCode: 4 });
    await client.ended();
    client.end();
  },
  'a takeover': withEach(4, 5).of(async (version, ports) => {
    const clientId = `twice${version}`;
    const first = await open(version, ports, { clientId });
    const second = await open(version, ports, { clientId });
    await first.ended();
    first.end();
    await leave(second);
  }),
  'subscribe and unsubscribe': withEach(3, 4, 5).of(async (version, ports) => {
    const client = await open(version, ports, { clientId: `sub${version}` });
    subscribeAll(client, ['ok/a', 'ok/+/b', 'ok/#'], 1);
    await client.next(PacketType.suback);
    if (version === 5) await client.subscribe('$share/group/ok/x', 2);
    await unsubscribe(client, ['ok/a', 'ok/never']);
    await leave(client);
  }),
  'publish without a subscriber': withEach(4, 5).of(async (version, ports) => {
    const client = await open(version, ports, { clientId: `pub${version}` });
    for (const qos of [0, 1, 2] as const) await publish(client, `ok/none`, qos, 5 + qos);
    await client.ping();
    await leave(client);
  }),
  'publish to subscribers': withEach(4, 5).of(async (version, ports) => {
    const subscribers = await Promise.all(
      ([0, 1, 2] as const).map(async (qos) => {
        const one = await open(version, ports, { clientId: `to${version}-${qos}` });
        await one.subscribe('ok/t', qos);
        return one;
      }),
    );
    const client = await open(version, ports, { clientId: `from${version}` });
    for (const qos of [0, 1, 2] as const) {
      await publish(client, 'ok/t', qos, 10 + qos);
      for (const one of subscribers) await take(one);
    }
    for (const one of [...subscribers, client]) {
      await one.ping();
      await leave(one);
    }
  }),
  'retained messages': withEach(4, 5).of(async (version, ports) => {
    const client = await open(version, ports, { clientId: `keep${version}` });
    await publish(client, 'ok/kept', 1, 1, true);
    const reader = await open(version, ports, { clientId: `read${version}` });
    await reader.subscribe('ok/kept', 1);
    await take(reader);
    await reader.ping();
    client.publish('ok/kept', '', { retain: true });
    await client.ping();
    await leave(client);
    // Its own copy of the empty message.
    await take(reader);
    await leave(reader);
  }),
  'messages that waited for a client': async (ports) => {
    const before = await open(4, ports, persistent);
    await before.subscribe('ok/q', 2);
    await leave(before);
    const client = await open(4, ports, { clientId: 'queuer' });
    for (const qos of [1, 2] as const) await publish(client, 'ok/q', qos, qos);
    await leave(client);
    const after = await open(4, ports, persistent);
    await take(after);
    await take(after);
    await after.ping();
    await leave(after);
    await leave(await open(4, ports, { clientId: 'away' }));
  },
  'a message sent again': async (ports) => {
    const before = await open(4, ports, persistent);
    await before.subscribe('ok/again', 1);
    const client = await open(4, ports, { clientId: 'sender' });
    await publish(client, 'ok/again', 1, 1);
    await before.next(PacketType.publish);
    await leave(client);
    await leave(before);
    const after = await open(4, ports, persistent);
    await take(after);
    await after.ping();
    await leave(after);
    await leave(await open(4, ports, { clientId: 'away' }));
  },
  'what the access rules deny': withEach(4, 5).of(async (version, ports) => {
    const client = await open(version, ports, { clientId: `denied${version}` });
    client.publish('no/a', 'hello');
    client.publish('no/a', 'hello', { qos: 1, packetId: 1 });
    await client.next(PacketType.puback);
    client.publish('no/a', 'hello', { qos: 2, packetId: 2, dup: true });
    await client.next(PacketType.pubrec);
    await leave(client);
  }),
  'a payload above message_size_limit': async (ports) => {
    const client = await open(4, ports, { clientId: 'large' });
    client.publish('ok/a', 'x'.repeat(2_000), { qos: 1, packetId: 1 });
    await client.next(PacketType.puback);
    await leave(client);
  },
  'a packet above max_packet_size': withEach(4, 5).of(async (version, ports) => {
    const client = await open(version, ports, { clientId: `huge${version}` });
    await offend(client, `30 88 27 0004 6f6b2f61 ${'00'.repeat(5_000)}`);
  }),
  'a message larger than its receiver takes': async (ports) => {
    const properties = { maximumPacketSize: 40 };
    const client = await open(5, ports, { clientId: 'narrow', properties });
    await client.subscribe('ok/wide');
    client.publish('ok/wide', 'x'.repeat(50));
    await client.ping();
    await leave(client);
  },
  'a queue that is full': async (ports) => {
    const away = { clientId: 'full', cleanStart: false };
    const before = await open(4, ports, away);
    await before.subscribe('ok/full', 1);
    await leave(before);
    const client = await open(4, ports, { clientId: 'filler' });
    for (let packetId = 1; packetId <= 9; packetId++) await publish(client, 'ok/full', 1, packetId);
    await leave(client);
    await leave(await open(4, ports, { clientId: 'full' }));
  },
  'a wrong password': withEach(4, 5).of(async (version, { mqtt }) => {
    const client = await WireClient.open(mqtt, { version });
    const packet = connectPacket({ version, clientId: `wrong${version}`, username: 'user', password: 'wrong' });
    await offend(client, Buffer.from(encodePacket(packet, version)).toString('hex'));
  }),
  'no identifier where there must be one': async ({ mqtt }) => {
    const client = await WireClient.open(mqtt, { version: 4 });
    await offend(client, '10 0c 0004 4d515454 04 00 000a 0000');
  },
  'a protocol level that nobody knows': async ({ mqtt }) =>
    offend(await WireClient.open(mqtt), '10 0d 0004 4d515454 06 02 000a 0001 61'),
  'a protocol that is none': async ({ mqtt }) =>
    offend(await WireClient.open(mqtt), '10 0d 0004 4d515455 04 02 000a 0001 61'),
  'a first packet that is no CONNECT': async ({ mqtt }) => offend(await WireClient.open(mqtt), 'c0 00'),
  'TLS to a port without TLS': async ({ mqtt }) =>
    offend(await WireClient.open(mqtt), '16 03 01 02 00 01 00 01 fc 03 03'),
  'a second CONNECT': withEach(4, 5).of(async (version, ports) => {
    const again = encodePacket(connectPacket({ version, clientId: 'again' }), version);
    const client = await open(version, ports, { clientId: `again${version}` });
    await offend(client, Buffer.from(again).toString('hex'));
  }),
  'a packet of the reserved type': async (ports) => offend(await open(5, ports, { clientId: 'reserved' }), '00 00'),
  'PUBLISH with QoS 3': withEach(4, 5).of(async (version, ports) => {
    const client = await open(version, ports, { clientId: `qos3-${version}` });
    await offend(client, '36 05 0001 61 0001');
  }),
  'a topic with a wildcard': async (ports) => {
    await offend(await open(4, ports, { clientId: 'wild' }), '30 04 0002 2f23');
  },
  'a filter that is none': async (ports) => {
    await offend(await open(4, ports, { clientId: 'filter' }), '82 07 0001 0002 612b 00');
  },
  silence: async (ports) => {
    const clients = await Promise.all(
      ([4, 5] as const).map((version) => open(version, ports, { clientId: `silent${version}`, keepAlive: 1 })),
    );
    for (const client of clients) {
      await client.ended();
      client.end();
    }
  },
  'a connection without CONNECT': async ({ mqtt }) => {
    const probe = await WireClient.open(mqtt);
    await Bun.sleep(20);
    probe.end();
    await probe.closed();
  },
  'more connections than max_connections': async ({ narrow }) => {
    const clients = [];
    for (const clientId of ['n1', 'n2']) clients.push(await WireClient.connect(narrow, { version: 4, clientId }));
    const third = await WireClient.open(narrow);
    await third.ended();
    for (const client of clients) await leave(client);
  },
};
