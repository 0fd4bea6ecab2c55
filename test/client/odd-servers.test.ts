// What Mosquitto's clients and ours do with servers that refuse, break off, limit, or break the rules.
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { PacketType } from '../../src/protocol/packet-type.ts';
import type { Properties } from '../../src/protocol/properties.ts';
import { type Command, type Comparison, runBoth, runOurs, words } from '../support/client/compare-commands.ts';
import { type Answer, type FakeServer, obliging, startFakeServer } from '../support/client/fake-server.ts';

setDefaultTimeout(30_000);

let server: FakeServer;

afterEach(() => server.stop());

function start(answer: Answer): void {
  server = startFakeServer(answer);
}

function args(line: string): string[] {
  return words(`-h 127.0.0.1 -p {port} ${line}`, { port: server.port });
}

/** Expects the same of both, and returns it. */
async function compare(command: Command, line: string, more: Omit<Comparison, 'args'> = {}) {
  const { theirs, ours } = await runBoth(command, { args: args(line), ...more });
  expect(ours).toEqual(theirs);
  return ours;
}

function connack(reasonCode: number, properties: Properties | null = null): Answer {
  return (connection, packet) => {
    if (packet?.type !== PacketType.connect) return obliging(connection, packet);
    connection.send({ type: PacketType.connack, sessionPresent: false, reasonCode, properties });
    if (reasonCode !== 0) connection.close();
  };
}

/** Obliges, but does something else with packets of one type. */
function instead(type: PacketType, answer: Answer): Answer {
  return (connection, packet) => (packet?.type === type ? answer : obliging)(connection, packet);
}

describe('refuse', () => {
  test.each([1, 2, 3, 4, 5, 6])('MQTT 3.1.1 with return code %d', async (code) => {
    start(connack(code));
    expect((await compare('pub', '-t a -m x -d')).status).toBe(code);
    expect((await compare('sub', '-t a')).status).toBe(code);
  });

  test.each([128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 140, 144, 149, 151, 153, 154, 155, 156, 157, 159])(
    'MQTT 5 with reason code %d',
    async (code) => {
      start(connack(code));
      expect((await compare('pub', '-V 5 -t a -m x')).status).toBe(code);
      expect((await compare('sub', '-V 5 -t a')).status).toBe(code);
    },
  );

  test.each(['311', '5'])('version %s: all subscriptions', async (version) => {
    start(
      instead(PacketType.subscribe, (connection, packet) => {
        if (packet?.type !== PacketType.subscribe) return;
        const reasonCodes = packet.subscriptions.map(() => (version === '5' ? 0x87 : 0x80));
        connection.send({ type: PacketType.suback, packetId: packet.packetId, properties: null, reasonCodes });
      }),
    );
    expect((await compare('sub', `-V ${version} -t a -t b -d`)).stderr).toBe(
      'All subscription requests were denied.\n',
    );
    await compare('sub', `-V ${version} -t a -E --quiet`);
  });

  test('one subscription of two', async () => {
    start(
      instead(PacketType.subscribe, (connection, packet) => {
        if (packet?.type !== PacketType.subscribe) return;
        connection.send({
          type: PacketType.suback,
          packetId: packet.packetId,
          properties: null,
          reasonCodes: [1, 0x80],
        });
      }),
    );
    expect((await compare('sub', '-t a -t b -E -d')).status).toBe(0);
  });
});

describe('break off', () => {
  test.each<[string, Answer]>([
    ['at once', (connection) => connection.close()],
    ['after CONNECT', (connection, packet) => packet !== null && connection.close()],
    ['after PUBLISH', instead(PacketType.publish, (connection) => connection.close())],
  ])('%s: pub says so', async (_name, answer) => {
    start(answer);
    expect((await compare('pub', '-t a -m x -q 1')).status).toBe(7);
    expect((await compare('pub', '-t a -m x -q 1 -V 5')).status).toBe(7);
  });

  test('sub connects and subscribes again', async () => {
    start(
      instead(PacketType.subscribe, (connection, packet) => {
        obliging(connection, packet);
        if (connection.number % 2 === 1) connection.close();
        else {
          const payload = new TextEncoder().encode('x');
          const rest = { dup: false, qos: 0, retain: false, packetId: 0, properties: null } as const;
          connection.send({ type: PacketType.publish, topicName: 'a', payload, ...rest });
        }
      }),
    );
    expect((await compare('sub', '-t a -C 1 -d -v')).stdout).toContain('a x\n');
    expect(server.connections).toHaveLength(4);
  });

  test('sub that never got CONNACK leaves with 255 after -W', async () => {
    start(() => {});
    const silent = compare('sub', '-t a -W 1', { together: true });
    const closing = startFakeServer((connection) => connection.close());
    const line = words('-h 127.0.0.1 -p {port} -t a -W 2', { port: closing.port });
    const { theirs, ours } = await runBoth('sub', { args: line, together: true });
    expect(ours).toEqual(theirs);
    expect([ours.status, (await silent).status]).toEqual([255, 255]);
    closing.stop();
  });

  test('pub -l publishes again what was not acknowledged', async () => {
    start(
      instead(PacketType.publish, (connection, packet) => {
        if (connection.number === 1) connection.close();
        else obliging(connection, packet);
      }),
    );
    const { status } = await runOurs('pub', args('-t a -l -q 1'), 'one\ntwo\nthree');
    expect(status).toBe(0);
    const published = server.connections[1]!.received.filter((packet) => packet.type === PacketType.publish);
    expect(published.map((packet) => new TextDecoder().decode(packet.payload))).toEqual(['one', 'two', 'three']);
  });

  test.each([139, 142, 152])('with DISCONNECT %d', async (reasonCode) => {
    const leave: Answer = (connection) => {
      connection.send({ type: PacketType.disconnect, reasonCode, properties: null });
      connection.close();
    };
    start(instead(PacketType.publish, leave));
    expect((await compare('pub', '-V 5 -t a -m x -q 1 -d')).status).toBe(4);
    server.stop();
    start(
      instead(PacketType.subscribe, (connection, packet) => {
        obliging(connection, packet);
        leave(connection, packet);
      }),
    );
    expect((await compare('sub', '-V 5 -t a -d')).status).toBe(0);
  });
});

describe('limit', () => {
  test.each<[Properties, string]>([
    [{ maximumQoS: 0 }, '-q 1 -t a -m x -d'],
    [{ maximumQoS: 1 }, '-q 2 -t a -m x -d'],
    [{ receiveMaximum: 1 }, '-q 1 -t a -m x --repeat 3 -d'],
    [{ assignedClientIdentifier: 'given' }, '-t a -m x -d'],
    [{ topicAliasMaximum: 2 }, '-q 1 -t a -m x -D publish topic-alias 2 --repeat 2 -d'],
  ])('%j: pub %s', async (properties, line) => {
    start(connack(0, properties));
    await compare('pub', `-V 5 ${line}`);
  });

  test('Receive Maximum holds back pub -l', async () => {
    start(connack(0, { receiveMaximum: 1 }));
    await compare('pub', '-V 5 -t a -l -q 1 -d', { stdin: 'a\nb\nc\n' });
  });

  test.each<[Properties, string, string]>([
    [{ maximumPacketSize: 20 }, '-m 12345678901234567890', 'Error: Message payload is too large.\n'],
    [{ topicAliasMaximum: 1 }, '-m x -D publish topic-alias 2', 'Error: Topic Alias invalid.\n'],
    [{ retainAvailable: 0 }, '-m x -r', 'Error: Retain not supported.\n'],
  ])('%j: pub does not send what the server does not take: %s', async (properties, line, stderr) => {
    start(connack(0, properties));
    expect(await runOurs('pub', args(`-V 5 -t a ${line}`))).toEqual({ status: 1, stdout: '', stderr });
    expect(server.connections[0]!.received.map(({ type }) => type)).toEqual([
      PacketType.connect,
      PacketType.disconnect,
    ]);
  });
});

describe('break the rules', () => {
  test.each<[string, number[]]>([
    ['garbage', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['SUBACK first', [0x90, 3, 0, 1, 0]],
  ])('%s', async (_name, bytes) => {
    start((connection, packet) => packet !== null && connection.sendBytes(Uint8Array.from(bytes)));
    expect((await compare('pub', '-t a -m x')).status).toBe(2);
    expect((await compare('sub', '-t a')).status).toBe(2);
  });

  test('a malformed PUBLISH', async () => {
    start(
      instead(PacketType.subscribe, (connection, packet) => {
        obliging(connection, packet);
        connection.sendBytes(Uint8Array.of(0x36, 6, 0, 1, 0x41, 0, 1, 0));
      }),
    );
    expect((await compare('sub', '-V 5 -t a')).status).toBe(2);
  });
});
