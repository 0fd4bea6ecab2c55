// Debian's mosquitto_pub, mosquitto_sub and mosquitto_rr against the broker, over each transport they have.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PacketType } from '../../src/protocol/packet-type.ts';
import type { Message } from '../../src/session/message.ts';
import { sized } from '../support/long-run.ts';
import { PayloadSubscriber, publish, runTool, Subscriber, writeLargeFile } from '../support/mosquitto-tools.ts';
import { certificateFiles, startServer, type TestServer, until } from '../support/server.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(30_000);

const versions = ['mqttv31', 'mqttv311', 'mqttv5'] as const;
let server: TestServer;
let folder: string;
/** Arguments that lead to a listener. */
let target: Record<'tcp' | 'tls' | 'mutual' | 'unix', string[]>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martlet-interop-'));
  const files = await certificateFiles();
  const tls = { certfile: files.serverCert, keyfile: files.serverKey };
  const unixPath = join(folder, 'mqtt.sock');
  server = await startServer(
    [{}, tls, { ...tls, cafile: files.ca, requireCertificate: true, useIdentityAsUsername: true }, { unixPath }],
    { maxPacketSize: 16 * 1024 * 1024, maxQueuedMessages: 10_000 },
  );
  const at = (port: number | undefined, host = '127.0.0.1') => ['-h', host, '-p', String(port)];
  target = {
    tcp: at(server.ports[0]),
    tls: [...at(server.ports[1], 'localhost'), '--cafile', files.ca],
    mutual: [...at(server.ports[2], 'localhost'), '--cafile', files.ca],
    unix: ['--unix', unixPath],
  };
});

const running: Subscriber[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.end();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

let names = 0;
const newName = () => `interop-${++names}`;

const isSubscribed = (clientId: string) => {
  const session = server.broker.sessions.get(clientId);
  return session !== undefined && session.link !== null && session.subscriptionCount > 0;
};

/** Starts mosquitto_sub and waits until the broker has its subscription. */
async function subscribe(to: string[], args: string[], clientId = newName()): Promise<Subscriber> {
  const subscriber = new Subscriber(to, [...args, '-i', clientId]);
  running.push(subscriber);
  await until(`the subscription of ${clientId}`, () => isSubscribed(clientId));
  return subscriber;
}

const numbers = Array.from({ length: 200 }, (_, i) => `line ${i}`);

describe.each([...versions])('with -V %s', (version) => {
  test.each([0, 1, 2])('lines of stdin arrive in order at QoS %d', async (qos) => {
    const topic = newName();
    const args = ['-V', version, '-t', topic, '-q', String(qos)];
    const subscriber = await subscribe(target.tcp, [...args, '-F', '%q %p', '-C', '200']);
    await publish(target.tcp, [...args, '-l'], `${numbers.join('\n')}\n`);
    expect(await subscriber.finished()).toEqual(numbers.map((line) => `${qos} ${line}`));
  });

  test('v3.1.1 [MQTT-7.0.0-2] a message of another implementation reaches every version, each at the lower QoS', async () => {
    const topic = newName();
    const subscribers: Subscriber[] = [];
    for (const other of versions) {
      for (const qos of [0, 1, 2]) {
        subscribers.push(await subscribe(target.tcp, ['-V', other, '-t', topic, '-q', String(qos), '-F', '%q %t %p']));
      }
    }
    await publish(target.tcp, ['-V', version, '-t', topic, '-q', '1', '-m', 'for all']);
    for (const [i, one] of subscribers.entries()) {
      expect(await one.received(1)).toEqual([`${Math.min(i % 3, 1)} ${topic} for all`]);
    }
  });

  test('a retained message waits for the subscriber, is replaced, and goes with an empty one', async () => {
    const topic = `${newName()}/state`;
    const once = ['-V', version, '-t', topic, '-q', '1', '-F', '%r %p'];
    await publish(target.tcp, ['-V', version, '-t', topic, '-q', '1', '-r', '-m', 'old']);
    await publish(target.tcp, ['-V', version, '-t', topic, '-q', '1', '-r', '-m', 'on']);
    expect(await new Subscriber(target.tcp, [...once, '-C', '1']).finished()).toEqual(['1 on']);
    const live = await subscribe(target.tcp, once);
    await live.received(1);
    await publish(target.tcp, ['-V', version, '-t', topic, '-q', '1', '-r', '-m', 'off']);
    expect(await live.received(2)).toEqual(['1 on', '0 off']);
    await publish(target.tcp, ['-V', version, '-t', topic, '-q', '1', '-r', '-n']);
    const late = await subscribe(target.tcp, once);
    await publish(target.tcp, ['-V', version, '-t', topic, '-q', '1', '-m', 'live']);
    expect(await late.received(1)).toEqual(['0 live']);
  });

  test('the will of a client that is killed goes out, that of one that leaves does not', async () => {
    const topic = newName();
    const witness = await subscribe(target.tcp, ['-V', version, '-t', `${topic}/#`, '-q', '2', '-F', '%t %q %p']);
    const withWill = ['-V', version, '--will-qos', '1', '--will-payload', 'gone', '--will-topic'];
    const [leaverId, victimId] = [newName(), newName()];
    const leaver = await subscribe(target.tcp, [...withWill, `${topic}/leaver`, '-t', leaverId, '-C', '1'], leaverId);
    await publish(target.tcp, ['-V', version, '-t', leaverId, '-m', 'you may go']);
    expect(await leaver.finished()).toEqual(['you may go']);
    const victim = await subscribe(target.tcp, [...withWill, `${topic}/victim`, '-t', victimId], victimId);
    await victim.end();
    await until('the end of both', () => ![leaverId, victimId].some((id) => server.broker.sessions.has(id)));
    await publish(target.tcp, ['-V', version, '-t', `${topic}/last`, '-m', 'end', '-q', '1']);
    expect(await witness.received(2)).toEqual([`${topic}/victim 1 gone`, `${topic}/last 1 end`]);
  });

  test('a session kept with -c gets what came while its client was away, once, in order', async () => {
    const topic = newName();
    const clientId = newName();
    const expiry = version === 'mqttv5' ? ['-x', '600'] : [];
    const session = ['-V', version, '-t', topic, '-q', '2', '-c', '-i', clientId, ...expiry];
    expect((await runTool('mosquitto_sub', target.tcp, [...session, '-E'])).status).toBe(0);
    await until('it to be away', () => server.broker.sessions.get(clientId)?.link === null);
    for (const qos of ['1', '2']) {
      await publish(target.tcp, ['-V', version, '-t', topic, '-q', qos, '-l'], `${numbers.join('\n')}\n`);
    }
    const lines = await new Subscriber(target.tcp, [...session, '-C', '400', '-F', '%q %p']).finished();
    expect(lines).toEqual([...numbers.map((line) => `1 ${line}`), ...numbers.map((line) => `2 ${line}`)]);
    const after = await subscribe(target.tcp, ['-V', version, '-t', topic, '-q', '2', '-c', ...expiry], clientId);
    await publish(target.tcp, ['-V', version, '-t', topic, '-q', '1', '-m', 'new']);
    expect(await after.received(1)).toEqual(['new']);
  });

  test.each([0, 1, 2])('a file of megabytes arrives whole at QoS %d', async (qos) => {
    const topic = newName();
    const clientId = newName();
    const bytes = sized(3_000_000, 7_000_000);
    const file = await writeLargeFile(bytes);
    const args = ['-V', version, '-t', topic, '-q', String(qos)];
    const subscriber = new PayloadSubscriber(target.tcp, [...args, '-i', clientId, '-C', '1']);
    await until('its subscription', () => isSubscribed(clientId));
    await publish(target.tcp, [...args, '-f', file.path]);
    expect(await subscriber.finished()).toEqual({ bytes, sha256: file.sha256 });
    await file.remove();
  });

  test('an empty message, and one of every byte value, arrive as they are', async () => {
    const topic = newName();
    const args = ['-V', version, '-t', topic, '-q', '1'];
    const subscriber = await subscribe(target.tcp, [...args, '-F', '%l:%x']);
    await publish(target.tcp, [...args, '-n']);
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    await publish(target.tcp, [...args, '-s'], new Blob([all]));
    expect(await subscriber.received(2)).toEqual(['0:', `256:${Buffer.from(all).toString('hex')}`]);
  });

  test.each(['tls', 'unix'] as const)('messages go over %s', async (transport) => {
    const topic = newName();
    const args = ['-V', version, '-t', topic, '-q', '2'];
    const subscriber = await subscribe(target[transport], [...args, '-C', '200']);
    await publish(target[transport], [...args, '-l'], `${numbers.join('\n')}\n`);
    expect(await subscriber.finished()).toEqual(numbers);
  });
});

describe('TLS', () => {
  const hello = (topic: string) => ['-t', topic, '-q', '1', '-m', 'hello'];

  // Either is the lowest version that the tool takes: both ends know 1.3.
  test.each(['tlsv1.2', 'tlsv1.3'])('--tls-version %s', async (version) => {
    const clientId = newName();
    await publish(target.tls, [...hello(newName()), '-i', clientId, '--tls-version', version]);
    await server.waitForLog(new RegExp(`^Client ${clientId} negotiated TLSv1\\.3 cipher TLS_AES_\\w+$`));
  });

  test('--tls-alpn mqtt is chosen, another name is refused', async () => {
    await publish(target.tls, [...hello(newName()), '--tls-alpn', 'mqtt']);
    expect((await runTool('mosquitto_pub', target.tls, [...hello(newName()), '--tls-alpn', 'h2'])).status).not.toBe(0);
  });

  test('--cert and --key give the user name; without them a client is refused', async () => {
    const files = await certificateFiles();
    const clientId = newName();
    await publish(target.mutual, [...hello('a'), '-i', clientId, '--cert', files.clientCert, '--key', files.clientKey]);
    await server.waitForLog(new RegExp(`as ${clientId} \\(p4, c1, k60, u'device-1'\\)\\.$`));
    expect((await runTool('mosquitto_pub', target.mutual, hello('a'))).status).not.toBe(0);
    await server.waitForLog(/rejected, client did not provide a certificate\.$/);
  });

  test('a client that does not trust the issuer gives up, and the log has a line of it', async () => {
    const files = await certificateFiles();
    const to = ['-h', 'localhost', '-p', String(server.ports[1]), '--cafile', files.otherCa];
    expect((await runTool('mosquitto_pub', to, hello('a'))).status).not.toBe(0);
    await server.waitForLog(/^Client connection from 127\.0\.0\.1:\d+ failed: error:/);
  });
});

describe('MQTT 5', () => {
  test('every property of a message arrives', async () => {
    const topic = newName();
    const subscriber = await subscribe(target.tcp, [
      ...['-V', 'mqttv5', '-t', topic, '-q', '1', '-F', '%C|%D|%E|%F|%P|%R|%S|%p'],
      ...['-D', 'subscribe', 'subscription-identifier', '77'],
    ]);
    const property = (...words: string[]) => ['-D', 'publish', ...words];
    await publish(target.tcp, [
      ...['-V', 'mqttv5', '-t', topic, '-q', '1', '-m', 'with all'],
      ...property('content-type', 'text/plain; charset=utf-8'),
      ...property('correlation-data', 'order-17'),
      ...property('message-expiry-interval', '3600'),
      ...property('payload-format-indicator', '1'),
      ...property('response-topic', 'answers/17'),
      ...property('user-property', 'first', 'ä'),
      ...property('user-property', 'second', '2'),
    ]);
    expect(await subscriber.received(1)).toEqual([
      'text/plain; charset=utf-8|order-17|3600|1|first:ä second:2|answers/17|77|with all',
    ]);
  });

  test('--retain-as-published keeps the retain flag, --remove-retained removes the message', async () => {
    const topic = newName();
    const kept = await subscribe(target.tcp, ['-V', 'mqttv5', '-t', topic, '-F', '%r %p', '--retain-as-published']);
    await publish(target.tcp, ['-V', 'mqttv5', '-t', topic, '-r', '-m', 'kept']);
    expect(await kept.received(1)).toEqual(['1 kept']);
    const remover = await subscribe(target.tcp, ['-V', 'mqttv5', '-t', topic, '--remove-retained']);
    expect(await remover.received(1)).toEqual(['kept']);
    const found: Message[] = [];
    await until('its removal', () => {
      found.length = 0;
      const search = server.broker.retained.search(topic);
      while (!search.next(10, found));
      return found.length === 0;
    });
  });

  test('mosquitto_rr gets the answer that carries its correlation data', async () => {
    const topic = newName();
    const responder = await WireClient.connect(server.port, { clientId: newName() });
    await responder.subscribe(topic, 1);
    const asking = runTool('mosquitto_rr', target.tcp, [
      ...['-V', 'mqttv5', '-t', topic, '-e', `${topic}/answer`, '-m', 'how many?', '-W', '20'],
      ...['-D', 'publish', 'correlation-data', 'id-9'],
    ]);
    const question = await responder.next(PacketType.publish);
    expect(question.properties).toMatchObject({ responseTopic: `${topic}/answer` });
    const { correlationData } = question.properties!;
    responder.publish(question.properties!.responseTopic!, '42', { properties: { correlationData: correlationData! } });
    expect(await asking).toMatchObject({ status: 0, stdout: '42\n' });
    responder.disconnect();
  });

  test('a session that expires with the connection is gone at the next one', async () => {
    const clientId = newName();
    const args = ['-V', 'mqttv5', '-t', newName(), '-q', '1', '-i', clientId, '-E'];
    expect((await runTool('mosquitto_sub', target.tcp, [...args, '-c', '-x', '0'])).status).toBe(0);
    await until('its end', () => !server.broker.sessions.has(clientId));
    expect((await runTool('mosquitto_sub', target.tcp, [...args, '-c', '-x', '100'])).status).toBe(0);
    await until('it to be away', () => server.broker.sessions.get(clientId)?.link === null);
  });
});
