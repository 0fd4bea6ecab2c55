import { describe, expect, test } from 'bun:test';
import { ScriptedServer } from '../../test/support/client/scripted-server.ts';
import { PacketType } from '../protocol/packet-type.ts';
import { TransportError, TransportFailure } from '../transport/client-transport.ts';
import {
  ClientError,
  connectClient,
  type Message,
  PromiseClient,
  type PromiseClientOptions,
} from './promise-client.ts';
import { defaultReconnectOptions } from './reconnector.ts';

/** Time that tests move; the client's own interval is the only timer. */
class ManualScheduler {
  now = 0;
  running = 0;
  private callback: (() => void) | null = null;

  nowMs(): number {
    return this.now;
  }

  every(_intervalMs: number, callback: () => void): () => void {
    this.running++;
    this.callback = callback;
    return () => {
      this.running--;
      this.callback = null;
    };
  }

  advance(ms: number): void {
    for (let i = 0; i < ms; i += 1_000) {
      this.now += 1_000;
      this.callback?.();
    }
  }
}

async function connected(options: Partial<PromiseClientOptions> = {}) {
  const server = new ScriptedServer();
  const scheduler = new ManualScheduler();
  const opening = connectClient({ connector: server.connector, scheduler, random: () => 0, ...options });
  server.connection.accept();
  return { client: await opening, server, scheduler };
}

describe('connect', () => {
  test('resolves with CONNACK', async () => {
    const { client } = await connected();
    expect(client.connack).toMatchObject({ reasonCode: 0 });
    expect(client.isConnected).toBe(true);
  });

  test('rejects with the reason code of a refusal, and stops its timer', async () => {
    const server = new ScriptedServer();
    const scheduler = new ManualScheduler();
    const opening = connectClient({ connector: server.connector, scheduler, reconnect: defaultReconnectOptions });
    server.connection.open();
    server.connection.send({ type: PacketType.connack, sessionPresent: false, reasonCode: 0x87, properties: null });
    const error = await opening.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ reasonCode: 0x87, message: 'connection: refused: not authorized' });
    expect(scheduler.running).toBe(0);
  });

  test('rejects with the error of the stream', async () => {
    const server = new ScriptedServer();
    const opening = connectClient({ connector: server.connector, scheduler: new ManualScheduler() });
    const error = new TransportError(TransportFailure.connect, 'refused', 'ECONNREFUSED');
    server.connection.finishClose(error);
    expect(await opening.catch((reason: unknown) => reason)).toMatchObject({ reasonCode: 0x88, cause: error });
  });
});

describe('requests', () => {
  test('publish resolves at once at QoS 0, and with the acknowledgement above', async () => {
    const { client, server } = await connected();
    expect(await client.publish('a', 'x')).toEqual({ reasonCode: 0, properties: null });
    const publishing = client.publish('a', new Uint8Array(2), { qos: 1, retain: true });
    const properties = { reasonString: 'nobody' };
    server.connection.send({ type: PacketType.puback, packetId: 1, reasonCode: 0x10, properties });
    expect(await publishing).toEqual({ reasonCode: 0x10, properties });
    expect(server.connection.take()).toMatchObject([{ qos: 0 }, { qos: 1, retain: true }]);
  });

  test('publish rejects what we or the server refuse', async () => {
    const { client, server } = await connected();
    expect(await client.publish('a/#', 'x').catch((error: unknown) => error)).toMatchObject({ reasonCode: 0x90 });
    const publishing = client.publish('a', 'x', { qos: 2 });
    server.connection.ack(PacketType.pubrec, 1, 0x87);
    expect(await publishing.catch((error: unknown) => error)).toMatchObject({ reasonCode: 0x87 });
  });

  test('subscribe and unsubscribe give the reason codes', async () => {
    const { client, server } = await connected();
    const subscribing = client.subscribe([{ topicFilter: 'a', qos: 1 }, { topicFilter: 'b' }]);
    const unsubscribing = client.unsubscribe('c');
    server.connection.send({ type: PacketType.suback, packetId: 1, properties: null, reasonCodes: [1, 0x80] });
    server.connection.send({ type: PacketType.unsuback, packetId: 2, properties: null, reasonCodes: [0] });
    expect(await subscribing).toEqual([1, 0x80]);
    expect(await unsubscribing).toEqual([0]);
  });

  test('subscribe rejects where the connection ends first, and without one', async () => {
    const { client, server } = await connected();
    const subscribing = client.subscribe('a');
    server.connection.finishClose();
    expect(await subscribing.catch((error: unknown) => error)).toBeInstanceOf(ClientError);
    expect(await client.subscribe('a').catch((error: unknown) => error)).toMatchObject({ reasonCode: 0x88 });
    expect(await client.publish('a', 'x', { qos: 1 }).catch((error: unknown) => error)).toBeInstanceOf(ClientError);
  });

  test('messages come in memory of their own', async () => {
    const messages: Message[] = [];
    const { server } = await connected({ onMessage: (message) => messages.push(message) });
    const first = Uint8Array.of(0x32, 7, 0, 1, 0x61, 0, 9, 0, 0x79);
    const second = Uint8Array.of(0x30, 5, 0, 1, 0x62, 0, 0x78);
    server.connection.sendBytes(first);
    server.connection.sendBytes(second);
    first.fill(0);
    second.fill(0);
    expect(messages.map((one) => [one.topicName, new TextDecoder().decode(one.payload), one.qos])).toEqual([
      ['a', 'y', 1],
      ['b', 'x', 0],
    ]);
    expect(server.connection.take()).toMatchObject([{ type: PacketType.puback, packetId: 9 }]);
  });
});

describe('ends', () => {
  test('disconnect resolves when the connection is closed, and rejects what was not acknowledged', async () => {
    const { client, server, scheduler } = await connected();
    const publishing = client.publish('a', 'x', { qos: 1 });
    const ending = client.disconnect();
    server.connection.finishClose();
    await ending;
    expect(await publishing.catch((error: unknown) => error)).toBeInstanceOf(ClientError);
    expect(scheduler.running).toBe(0);
    await client.disconnect();
  });

  test('a lost connection is replaced after the delay, and messages are sent again', async () => {
    const log: string[] = [];
    const { client, server, scheduler } = await connected({
      settings: { properties: { sessionExpiryInterval: 100 } },
      reconnect: { ...defaultReconnectOptions, firstDelayMs: 3_000 },
      onClosed: (cause, retryInMs) => log.push(`${cause.kind} ${retryInMs}`),
      onReconnected: (connack) => log.push(`again ${connack.sessionPresent}`),
    });
    const publishing = client.publish('a', 'x', { qos: 1 });
    server.connection.finishClose();
    scheduler.advance(2_000);
    expect(server.connections).toHaveLength(1);
    scheduler.advance(1_000);
    expect(server.connections).toHaveLength(2);
    server.connection.accept(null, true);
    server.connection.ack(PacketType.puback, 1);
    expect((await publishing).reasonCode).toBe(0);
    expect(log).toEqual(['transport 3000', 'again true']);
  });

  test('without reconnection it is over, and so is what waits', async () => {
    const log: number[] = [];
    const { client, server } = await connected({ onClosed: (_cause, retryInMs) => log.push(retryInMs) });
    const publishing = client.publish('a', 'x', { qos: 2 });
    server.connection.finishClose();
    expect(await publishing.catch((error: unknown) => error)).toMatchObject({ reasonCode: 0x88 });
    expect(log).toEqual([-1]);
  });

  test('disconnect while no connection stands ends the attempts', async () => {
    const { client, server, scheduler } = await connected({ reconnect: defaultReconnectOptions });
    server.connection.finishClose();
    await client.disconnect();
    scheduler.advance(100_000);
    expect(server.connections).toHaveLength(1);
    expect(scheduler.running).toBe(0);
  });

  test('disconnect before the first CONNACK rejects the attempt', async () => {
    const server = new ScriptedServer();
    const client = new PromiseClient({ connector: server.connector, scheduler: new ManualScheduler() });
    const opened = client.opened.catch((error: unknown) => error);
    await client.disconnect();
    expect(await opened).toBeInstanceOf(ClientError);
  });
});
