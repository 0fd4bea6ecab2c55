/** `$SYS` beside Debian's Mosquitto: the same topics, in the same units, after the same traffic. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { BrokerServer } from '../../src/broker/broker-server.ts';
import { silentLogger } from '../../src/broker/log.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(30_000);

const LINES = ['allow_anonymous true', 'sys_interval 1'];
let mosquitto: Mosquitto;
let martlet: BrokerServer;
beforeAll(async () => {
  mosquitto = await startMosquitto({ mqtt: [] }, LINES);
  martlet = new BrokerServer(
    parseConfig([...LINES, 'listener 0 127.0.0.1'].join('\n'), 'test.conf').config,
    silentLogger,
  );
  await martlet.start();
});
afterAll(async () => {
  await Promise.all([mosquitto.stop(), martlet.stop()]);
});

/** What is retained below `$SYS/` once the broker has told of `traffic`, and the names that were told again later. */
async function read(port: number): Promise<{ retained: Map<string, string>; repeated: Set<string> }> {
  await traffic(port);
  let updates = 0;
  // A client that stays for a while sees two updates at least.
  const client = await WireClient.connect(port, { clientId: 'watch' });
  await client.subscribe('$SYS/#', 0);
  const retained = new Map<string, string>();
  const repeated = new Set<string>();
  await client.until('two updates of the time since the start', () => {
    for (const packet of client.packets.splice(0)) {
      if (packet.type !== PacketType.publish) continue;
      const { topicName, payload, retain } = packet;
      const text = new TextDecoder().decode(payload);
      if (!retain && retained.get(topicName) === text) repeated.add(topicName);
      if (!retain && topicName === '$SYS/broker/uptime') updates++;
      retained.set(topicName, text);
    }
    return updates >= 2;
  });
  client.reset();
  return { retained, repeated };
}

/** Two sessions, one of them away with three messages waiting, a shared subscription, a retained message. */
async function traffic(port: number): Promise<void> {
  const session = { cleanStart: false, properties: { sessionExpiryInterval: 600 } };
  const away = await WireClient.connect(port, { clientId: 'away', ...session });
  await away.subscribe('kept', 1);
  away.reset();
  const here = await WireClient.connect(port, { clientId: 'here', ...session });
  await here.subscribe('$share/group/other', 1);
  here.publish('retained', new Uint8Array(10), { retain: true });
  for (let i = 0; i < 3; i++) here.publish('kept', new Uint8Array(10), { qos: 1 });
  for (let i = 0; i < 3; i++) await here.next(PacketType.puback);
}

const kindOf = (text: string) => (/^\d+\.\d\d$/.test(text) ? 'two decimals' : text.replace(/\d[\d.]*/g, 'N'));

test('$SYS has the topics of Mosquitto 2.0 in their units, and those that 2.1 adds', async () => {
  const [theirs, ours] = await Promise.all([read(mosquitto.ports['mqtt']!), read(martlet.listeners[0]!.port)]);
  const kinds = (told: Map<string, string>) =>
    Object.fromEntries(Array.from(told, ([name, one]) => [name, kindOf(one)]));
  const [known, own] = [kinds(theirs.retained), kinds(ours.retained)];
  expect(Object.keys(known).length).toBeGreaterThan(45);
  expect(known['$SYS/broker/version']).toBe('mosquitto version N');
  expect(own).toMatchObject({ ...known, '$SYS/broker/version': 'martlet version N' });
  const added = Object.keys(own).filter((name) => !(name in known));
  expect(added.sort()).toEqual(['$SYS/broker/connections/socket/count', '$SYS/broker/packet/out/bytes']);

  const value = (told: Map<string, string>, name: string) => told.get(`$SYS/broker/${name}`)!;
  for (const name of [
    'clients/total',
    'clients/disconnected',
    'clients/expired',
    'subscriptions/count',
    'shared_subscriptions/count',
    'publish/messages/dropped',
    'publish/bytes/received',
    'messages/received',
  ]) {
    expect([name, value(ours.retained, name)]).toEqual([name, value(theirs.retained, name)]);
  }
  // Beside its own topics each has one retained message and three that wait.
  const stored = ({ retained }: typeof ours) =>
    Number(value(retained, 'messages/stored')) - Number(value(retained, 'retained messages/count'));
  expect([stored(theirs), stored(ours)]).toEqual([3, 3]);
  // Nothing is told again that did not change.
  expect([...ours.repeated]).toEqual([]);
});
