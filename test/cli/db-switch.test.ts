// The switch: Debian's Mosquitto ends, `martlet db import`, `martlet broker` starts. Clients that come back get from it
// what they get from Mosquitto where that starts again with the same file.
import { afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import type { Properties } from '../../src/protocol/properties.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { publish, runTool, Subscriber } from '../support/mosquitto-tools.ts';
import { type BrokerProcess, startBrokerProcess } from '../support/server.ts';
import { WireClient } from '../support/wire-client.ts';
import { martletDb } from './db-store.ts';

setDefaultTimeout(60_000);

const NEVER = 0xffff_ffff;
const properties = { sessionExpiryInterval: NEVER };
const clients = { receiver: ProtocolVersion.v5, old: ProtocolVersion.v311, sender: ProtocolVersion.v5 } as const;
type ClientName = keyof typeof clients;

let mosquitto: Mosquitto | null = null;
let broker: BrokerProcess | null = null;
afterEach(async () => {
  await broker?.stop();
  await mosquitto?.stop();
  broker = null;
  mosquitto = null;
});

const comeBack = (port: number, clientId: ClientName) => {
  const version = clients[clientId];
  return WireClient.open(port, { version }).then(async (client) => {
    const v5 = version === ProtocolVersion.v5 ? { properties } : {};
    const { sessionPresent } = await client.handshake({ clientId, cleanStart: false, ...v5 });
    return { client, sessionPresent };
  });
};

const targetOf = (port: number) => ['-h', '127.0.0.1', '-p', String(port)];

/** Sessions in the middle of everything. */
async function makeState(port: number): Promise<void> {
  const { client: receiver } = await comeBack(port, 'receiver');
  await receiver.subscribe('t/#', 2);
  const { client: old } = await comeBack(port, 'old');
  await old.subscribe('t/+', 1);
  await old.subscribe('u', 2);
  const target = targetOf(port);
  const send = (payload: string, qos: number, ...more: string[]) =>
    publish(target, ['-V', '5', '-q', String(qos), '-t', `t/${payload}`, '-m', payload, ...more]);
  await send('acknowledged', 1);
  receiver.puback((await receiver.next(PacketType.publish)).packetId);
  old.puback((await old.next(PacketType.publish)).packetId);
  await send('unacknowledged', 1);
  await receiver.next(PacketType.publish);
  await send('unreceived', 2);
  await receiver.next(PacketType.publish);
  await send('received', 2);
  const { packetId } = await receiver.next(PacketType.publish);
  receiver.send({ type: PacketType.pubrec, packetId, reasonCode: 0, properties: null });
  await receiver.next(PacketType.pubrel);
  receiver.reset();
  old.reset();
  const { client: sender } = await comeBack(port, 'sender');
  for (let i = 1; i <= 30; i++) {
    const qos = (i & 1) === 0 ? 1 : 2;
    const userProperties: [string, string][] = [['number', String(i)]];
    sender.publish(`t/queued-${i}`, `queued-${i}`, { qos, packetId: i, properties: { userProperties } });
    if (qos === 1) await sender.next(PacketType.puback);
    else {
      await sender.next(PacketType.pubrec);
      sender.send({ type: PacketType.pubrel, packetId: i, reasonCode: 0, properties: null });
      await sender.next(PacketType.pubcomp);
    }
  }
  await send('soon', 1, '-D', 'publish', 'message-expiry-interval', '1000', '-r');
  await publish(target, ['-q', '2', '-t', 'u', '-m', 'for the old one', '-r']);
  await publish(target, ['-q', '1', '-t', 'nobody', '-m', 'retained', '-r']);
  sender.publish('t/unreleased', 'unreleased', { qos: 2, packetId: 700 });
  await sender.next(PacketType.pubrec);
  sender.reset();
}

/** What a client gets that comes back: every PUBLISH in order, and what is released. It acknowledges all. */
async function transcript(port: number, clientId: ClientName, last: string) {
  const { client, sessionPresent } = await comeBack(port, clientId);
  const messages: string[] = [];
  const released = new Set<number>();
  /** QoS 2 messages whose PUBREL has not come. */
  const unreleased = new Set<number>();
  for (let isLast = false; !isLast || unreleased.size > 0;) {
    const packet = await client.until('a packet', () => client.packets.shift());
    if (packet.type === PacketType.publish) {
      const { packetId, qos, dup, retain, topicName } = packet;
      const payload = new TextDecoder().decode(packet.payload);
      messages.push(JSON.stringify({ packetId, qos, dup, retain, topicName, payload, ...constant(packet.properties) }));
      if (payload === last) isLast = true;
      if (qos === 1) client.puback(packetId);
      else {
        unreleased.add(packetId);
        client.send({ type: PacketType.pubrec, packetId, reasonCode: 0, properties: null });
      }
    } else if (packet.type === PacketType.pubrel) {
      const { packetId } = packet;
      released.add(packetId);
      unreleased.delete(packetId);
      client.send({ type: PacketType.pubcomp, packetId, reasonCode: 0, properties: null });
    }
  }
  await client.ping();
  client.disconnect();
  return { sessionPresent, messages, released: [...released].sort((a, b) => a - b) };
}

/** What is left of a Message Expiry Interval depends on when it is asked. */
function constant(all: Properties | null): Properties {
  const { messageExpiryInterval, ...rest } = all ?? {};
  return messageExpiryInterval === undefined ? rest : { ...rest, messageExpiryInterval: NEVER };
}

/** Everything that can be had from a broker that has the state. */
async function everything(port: number) {
  const old = await transcript(port, 'old', 'for the old one');
  const receiver = await transcript(port, 'receiver', 'soon');
  const { client, sessionPresent } = await comeBack(port, 'sender');
  const listener = await WireClient.connect(port, { clientId: 'listener' });
  await listener.subscribe('t/unreleased', 0);
  client.send({ type: PacketType.pubrel, packetId: 700, reasonCode: 0, properties: null });
  await client.next(PacketType.pubcomp);
  const unreleased = await listener.next(PacketType.publish);
  client.disconnect();
  listener.disconnect();
  const { stdout } = await runTool('mosquitto_sub', targetOf(port), [
    '-t',
    '#',
    '--retained-only',
    '-F',
    '%t %q %r %p',
    '-C',
    '3',
  ]);
  return {
    old,
    receiver,
    sender: { sessionPresent, topicName: unreleased.topicName },
    retained: stdout.trim().split('\n').sort(),
  };
}

test('clients get from Martlet what they would get from Mosquitto, packet by packet', async () => {
  mosquitto = await startMosquitto({ mqtt: [] }, [
    'allow_anonymous true',
    'persistence true',
    'persistence_location FOLDER/',
  ]);
  await makeState(mosquitto.ports['mqtt']!);
  await mosquitto.end();

  const { folder } = mosquitto;
  const imported = await martletDb('import', join(folder, 'mosquitto.db'));
  expect(imported).toMatchObject({ status: 0, stderr: '' });
  broker = await startBrokerProcess([
    'listener 0 127.0.0.1',
    'allow_anonymous true',
    'persistence true',
    `persistence_location ${folder}`,
  ]);
  const ours = await everything(broker.ports[0]!);

  await mosquitto.restart();
  const theirs = await everything(mosquitto.ports['mqtt']!);
  expect(theirs.receiver.messages).toHaveLength(33);
  expect(ours).toEqual(theirs);
});

test.each([
  ['martlet db import', true],
  ['the first start of a broker that finds the file', false],
])(
  'after %s mosquitto_sub receives what was queued for it, in order, and its subscription goes on',
  async (_, imports) => {
    mosquitto = await startMosquitto({ mqtt: [] }, [
      'allow_anonymous true',
      'persistence true',
      'persistence_location FOLDER/',
    ]);
    const { folder } = mosquitto;
    const before = targetOf(mosquitto.ports['mqtt']!);
    await runTool('mosquitto_sub', before, ['-c', '-i', 'meter', '-q', '1', '-t', 'orders/#', '-E']);
    const numbers = Array.from({ length: 500 }, (_one, i) => `order ${i}`);
    await publish(before, ['-q', '1', '-t', 'orders/meter', '-l'], `${numbers.join('\n')}\n`);
    await mosquitto.end();

    if (imports) expect((await martletDb('import', join(folder, 'mosquitto.db'))).status).toBe(0);
    broker = await startBrokerProcess([
      'listener 0 127.0.0.1',
      'allow_anonymous true',
      'persistence true',
      `persistence_location ${folder}`,
    ]);
    const after = targetOf(broker.ports[0]!);
    const subscriber = new Subscriber(after, ['-c', '-i', 'meter', '-q', '1', '-t', 'other']);
    try {
      expect(await subscriber.received(500)).toEqual(numbers);
      await publish(after, ['-q', '1', '-t', 'orders/new', '-m', 'by the old subscription']);
      expect((await subscriber.received(501)).at(-1)).toBe('by the old subscription');
    } finally {
      await subscriber.end();
    }
    await broker.stop();
    broker = null;
    expect((await martletDb('check', join(folder, 'martlet.db'))).stdout).toEndWith(' is sound.\n');
  },
);
