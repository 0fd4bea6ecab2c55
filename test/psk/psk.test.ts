// TLS-PSK: clients of Debian's Mosquitto and of Node.js, through the helper, to a broker.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { ConfigError } from '../../src/config/config-error.ts';
import { PayloadSubscriber, publish, runTool, Subscriber, writeLargeFile } from '../support/mosquitto-tools.ts';
import { certificateFiles, until } from '../support/server.ts';
import { CLIENT, KEY, NodeClient, nodeResult, type PskServer, startPskServer } from './psk-server.ts';

setDefaultTimeout(60_000);
const LARGE_BYTES = 10 * 1024 * 1024;

let server: PskServer;
beforeAll(async () => {
  server = await startPskServer({
    keys: [`dev-1:${KEY}`, 'gerät 2:00ff', 'odd:0ab', 'odder:000abcd'],
    listener: { useIdentityAsUsername: true },
    broker: { maxPacketSize: LARGE_BYTES + 1_000 },
  });
});
const running: Subscriber[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.end();
  await until('no connection left', () => server.broker.connectionCount === 0);
});
afterAll(() => server.stop());

let names = 0;
const newName = () => `psk-${++names}`;
const isSubscribed = (clientId: string) => (server.broker.sessions.get(clientId)?.subscriptionCount ?? 0) > 0;

async function subscribe(args: readonly string[], clientId = newName()): Promise<Subscriber> {
  const subscriber = new Subscriber([...server.target, ...CLIENT], [...args, '-i', clientId]);
  running.push(subscriber);
  await until(`the subscription of ${clientId}`, () => isSubscribed(clientId));
  return subscriber;
}

describe.each(['mqttv311', 'mqttv5'])('mosquitto_pub and mosquitto_sub with a key, %s', (version) => {
  test.each(['0', '1', '2'])('exchange messages at QoS %s', async (qos) => {
    const topic = `exchange/${newName()}`;
    const subscriber = await subscribe(['-V', version, '-t', topic, '-q', qos, '-C', '1']);
    await publish([...server.target, ...CLIENT], ['-V', version, '-t', topic, '-q', qos, '-m', 'hello']);
    expect(await subscriber.finished()).toEqual(['hello']);
  });
});

test.each(['tlsv1.2', 'tlsv1.3'])('a client that speaks %s only gets in', async (version) => {
  await publish([...server.target, ...CLIENT, '--tls-version', version], ['-t', 'x', '-m', 'x']);
});

test("the log has the client's own address, and its identity as user name", async () => {
  const target = [...server.target, '--psk', '00ff', '--psk-identity', 'gerät 2', '-A', '127.0.0.9'];
  await publish(target, ['-t', 'x', '-m', 'x', '-i', 'from-nine', '-u', 'somebody']);
  await server.waitForLog(/^New client connected from 127\.0\.0\.9:\d+ as from-nine \(p4, c1, k60, u'gerät 2'\)\.$/);
});

test('without use_identity_as_username the user name is the one in CONNECT', async () => {
  const other = await startPskServer();
  await publish([...other.target, ...CLIENT], ['-t', 'x', '-m', 'x', '-i', 'named', '-u', 'somebody']);
  await other.waitForLog(/ as named \(p4, c1, k60, u'somebody'\)\.$/);
  await other.stop();
});

test.each([
  ['odd', '0ab'],
  ['odd', 'ab'],
  ['odder', '000abcd'],
])('identity %s of the psk_file is the client with --psk %s', async (identity, key) => {
  await publish([...server.target, '--psk', key, '--psk-identity', identity], ['-t', 'x', '-m', 'x']);
});

test('psk_hint is sent, and the cipher keeps what was said secret even from who learns the key later', async () => {
  expect(await nodeResult(server.port, 'handshake', 'TLSv1.2')).toMatchObject({
    hint: 'test-hint',
    version: 'TLSv1.2',
    cipher: 'ECDHE-PSK-CHACHA20-POLY1305',
  });
  expect(await nodeResult(server.port, 'handshake', 'TLSv1.3')).toMatchObject({ version: 'TLSv1.3' });
});

describe('nobody gets to the broker', () => {
  /** Runs something that must fail, and returns what the owner of the listener heard. */
  async function refused(attempt: () => Promise<unknown>): Promise<string> {
    const accepted = server.broker.counters.connectionsAccepted;
    const before = server.events.length;
    await attempt();
    const event = await until('a failure', () => server.events[before]);
    expect(server.broker.counters.connectionsAccepted).toBe(accepted);
    expect(event).toMatch(/^127\.0\.0\.1:\d+ /);
    return event.replace(/^\S+ /, '');
  }

  const failing = (args: readonly string[]) => async () => {
    expect((await runTool('mosquitto_pub', [...server.target, ...args], ['-t', 'x', '-m', 'x'])).status).not.toBe(0);
  };

  describe.each(['tlsv1.2', 'tlsv1.3'])('over %s', (version) => {
    const only = ['--tls-version', version];

    test('with a wrong key', async () => {
      const cause = await refused(failing([...only, '--psk', 'abcd', '--psk-identity', 'dev-1']));
      expect(cause).toBe("wrong key for PSK identity 'dev-1'");
    });

    test('with an unknown identity', async () => {
      const cause = await refused(failing([...only, '--psk', KEY, '--psk-identity', 'no\u0007body']));
      expect(cause).toBe("unknown PSK identity 'no?body'");
    });

    test('with a certificate instead of a key', async () => {
      const { ca } = await certificateFiles();
      const cause = await refused(failing([...only, '--cafile', ca]));
      expect(cause).toEndWith(': it offers no pre-shared key that this listener could take');
    });
  });

  test('without TLS', async () => {
    expect(await refused(failing([]))).toMatch(/^[ -~]+$/);
  });

  test.each(['TLSv1.2', 'TLSv1.3'])('with a session instead of a key, %s', async (version) => {
    const accepted = server.broker.counters.connectionsAccepted;
    expect(await nodeResult(server.port, 'resume', version)).toEqual({ error: expect.stringMatching(/./) });
    expect(server.broker.counters.connectionsAccepted).toBe(accepted + 1);
  });

  test('by a second handshake on a connection', async () => {
    expect(await nodeResult(server.port, 'renegotiate')).toEqual({ error: expect.stringMatching(/./) });
  });
});

test('a client that connects and closes at once leaves no trace', async () => {
  const before = [server.events.length, server.broker.counters.connectionsAccepted];
  const socket = connect(server.port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.destroy();
  await publish([...server.target, ...CLIENT], ['-t', 'x', '-m', 'x']); // the helper has seen the other by now
  expect([server.events.length, server.broker.counters.connectionsAccepted]).toEqual([before[0]!, before[1]! + 1]);
});

test('200 clients at once get in, and stay', async () => {
  const clients = new NodeClient(server.port, 'many', '200');
  expect(await clients.result()).toEqual({ connected: 200 });
  expect(server.broker.connectionCount).toBe(200);
  clients.release();
  expect(await clients.result()).toEqual({ closed: 0, reasonCodes: [] });
  await clients.ended();
});

test('a message of 10 MB goes both ways unharmed', async () => {
  const file = await writeLargeFile(LARGE_BYTES);
  const clientId = newName();
  const subscriber = new PayloadSubscriber(
    [...server.target, ...CLIENT],
    ['-t', 'large', '-q', '1', '-C', '1', '-i', clientId],
  );
  await until('the subscription', () => isSubscribed(clientId));
  await publish([...server.target, ...CLIENT], ['-t', 'large', '-q', '1', '-f', file.path]);
  expect(await subscriber.finished()).toEqual({ bytes: LARGE_BYTES, sha256: file.sha256 });
  await file.remove();
});

/** Bytes of memory that the helper has. */
const rss = () =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.listener.helperPid}/status`, 'utf8'))![1]) * 1_024;

test('a broker that does not read makes the client wait, not the helper grow', async () => {
  const COUNT = 800; // 50 MiB
  const client = new NodeClient(server.port, 'flood', String(COUNT));
  expect(await client.result()).toEqual({ connected: true });
  const [connection] = server.broker.allConnections();
  const before = rss();
  connection!.pauseReading();
  client.release();
  const { sent } = (await client.result()) as { sent: number };
  expect(sent).toBeLessThan(COUNT / 2);
  expect(rss() - before).toBeLessThan(24 * 1024 * 1024);
  const { publishReceived } = server.broker.counters;
  connection!.resumeReading();
  expect(await client.result()).toEqual({ sent: COUNT });
  await client.ended();
  await until('all messages', () => server.broker.counters.publishReceived === publishReceived + COUNT);
});

test('a client that does not read makes the broker wait, not the helper grow', async () => {
  const deaf = new NodeClient(server.port, 'deaf', 'flood');
  await deaf.result();
  const before = rss();
  const file = await writeLargeFile(4 * 1024 * 1024);
  for (let i = 0; i < 12; i++) await publish([...server.target, ...CLIENT], ['-t', 'flood', '-f', file.path]);
  await file.remove();
  const held = [...server.broker.allConnections()].reduce((sum, { backlogBytes }) => sum + backlogBytes, 0);
  expect(held).toBeGreaterThan(0);
  expect(rss() - before).toBeLessThan(24 * 1024 * 1024);
  // What was said is not lost: it comes once the client reads.
  deaf.release();
  await until('the broker to be rid of it', () =>
    [...server.broker.allConnections()].every(({ backlogBytes }) => backlogBytes === 0),
  );
  for (const connection of server.broker.allConnections()) connection.end();
  const { bytes } = (await deaf.result()) as { bytes: number };
  expect(bytes).toBeGreaterThanOrEqual(held);
  await deaf.ended();
});

describe('reload', () => {
  test('takes new keys from the psk_file; connections stay, also of identities that are gone', async () => {
    const subscriber = await subscribe(['-t', 'reload', '-C', '1']);
    await server.writeKeys(['dev-2:beef']);
    await server.listener.reload();
    const [old, fresh] = await Promise.all([
      runTool('mosquitto_pub', [...server.target, ...CLIENT], ['-t', 'reload', '-m', 'old']),
      runTool(
        'mosquitto_pub',
        [...server.target, '--psk', 'beef', '--psk-identity', 'dev-2'],
        ['-t', 'reload', '-m', 'new'],
      ),
    ]);
    expect(old.status).not.toBe(0);
    expect(fresh).toMatchObject({ status: 0 });
    expect(await subscriber.finished()).toEqual(['new']);
  });

  test('of a psk_file with an error is refused, and the keys hold', async () => {
    await server.writeKeys([`dev-1:${KEY}`]);
    await server.listener.reload();
    await server.writeKeys(['dev-1:xyz']);
    await expect(server.listener.reload()).rejects.toThrow(ConfigError);
    await expect(server.listener.reload()).rejects.toThrow(`${server.pskFile}:1: psk for identity 'dev-1' contains`);
    await publish([...server.target, ...CLIENT], ['-t', 'x', '-m', 'x']);
  });
});
