// Lines on connections as their listener makes them: TCP, WebSocket, PROXY, and clients that do not read.

import { afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { LogType } from '../../src/broker/log.ts';
import { encodePacket } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { startServer, type TestServer, until } from '../support/server.ts';
import { connectPacket, fromHex, type LogLines, TestBroker, utf8 } from '../support/test-broker.ts';
import { upgradeRequest } from '../support/websocket-bytes.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(20_000);

const running: TestServer[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

async function start(...args: Parameters<typeof startServer>): Promise<TestServer> {
  const server = await startServer(...args);
  running.push(server);
  return server;
}

const logOf = (server: TestServer) => server.broker.log as LogLines;
const linesOf = (server: TestServer) => server.lines.map((line) => line.replaceAll(/127\.0\.0\.1:\d+/g, 'ADDR'));

test('a probe of a port is told when it comes and when it goes', async () => {
  const server = await start();
  const probe = await WireClient.open(server.port);
  await until('its line', () => server.lines.length === 2);
  probe.end();
  await until('its end', () => server.broker.connectionCount === 0);
  expect(linesOf(server).slice(1)).toEqual([
    `New connection from ADDR on port ${server.port}.`,
    'Client 127.0.0.1 [ADDR] disconnected: connection closed by client.',
  ]);
});

// Bun's connect to a name of two addresses resets one of them at once: the log told of a client "local:0".
test('a connection that is reset before it is accepted leaves no trace', async () => {
  const server = await start();
  const script = `require('node:net').connect(${server.port}, '127.0.0.1', function () { this.resetAndDestroy(); })`;
  // Nothing is accepted while this waits.
  expect(Bun.spawnSync([process.execPath, '-e', script]).exitCode).toBe(0);
  const client = await WireClient.open(server.port);
  await until('the line of the next one', () => server.lines.length > 1);
  client.end();
  await until('its end', () => server.broker.connectionCount === 0);
  expect(linesOf(server).slice(1)).toEqual([
    `New connection from ADDR on port ${server.port}.`,
    'Client 127.0.0.1 [ADDR] disconnected: connection closed by client.',
  ]);
});

test('a WebSocket is told with log_type websockets', async () => {
  const server = await start([{ protocol: 'websockets' }]);
  for (const types of [LogType.websockets, LogType.notice]) {
    logOf(server).types = types;
    const client = await WireClient.open(server.port);
    client.raw().send(upgradeRequest());
    await until('an answer', () => client.bytesReceived > 0);
    client.end();
    await until('its end', () => server.broker.connectionCount === 0);
  }
  expect(linesOf(server).filter((line) => line.startsWith('WebSocket'))).toEqual(['WebSocket opened by ADDR.']);
});

test('what a PROXY header tells of TLS is logged, and a proxy that looks whether we are there is not', async () => {
  const server = await start([{ proxyProtocol: 2 }]);
  const header = (command: string, block: string) => {
    const bytes = fromHex(block);
    return Buffer.concat([fromHex(`0d0a0d0a000d0a515549540a ${command}`), Uint8Array.of(0, bytes.length), bytes]);
  };
  const tls = '01 00000000 21 0007 544c5376312e33 23 0007 70717273747576';
  const proxied = await WireClient.open(server.port);
  proxied.send(header('21 11', `cb007109 c6336402 1f90 075b 20 0019 ${tls}`));
  proxied.send(encodePacket(connectPacket({ clientId: 'behind' }), ProtocolVersion.v5));
  await proxied.next(PacketType.connack);
  proxied.disconnect();
  await until('its end', () => server.broker.connectionCount === 0);
  const check = await WireClient.open(server.port);
  check.send(header('20 00', ''));
  check.end();
  await until('its end', () => server.broker.connectionCount === 0);
  expect(server.lines.slice(1)).toEqual([
    `New connection from 203.0.113.9:8080 on port ${server.port}.`,
    'Connection from 203.0.113.9:8080 negotiated TLSv1.3 cipher pqrstuv',
    'New client connected from 203.0.113.9:8080 as behind (p5, c1, k0).',
    'Client behind [203.0.113.9:8080] disconnected.',
  ]);
});

test('the end of the broker is no line for each client', async () => {
  const server = await start();
  const client = await WireClient.connect(server.port, { clientId: 'a' });
  const before = server.lines.length;
  await server.stop();
  await client.ended();
  expect(server.lines.slice(before)).toEqual([]);
});

test('that messages for a client that does not read are dropped is told once', () => {
  const t = new TestBroker({ maxOutgoingBytes: 65_536 });
  const slow = t.connect({ version: 4, clientId: 'slow' });
  slow.subscribe('a');
  slow.socket.room = 0;
  const publisher = t.connect({ version: 4, clientId: 'publisher' });
  const payload = utf8('x'.repeat(60_000));
  for (let i = 0; i < 20; i++) t.connect({ version: 4, clientId: `r${i}` }).subscribe('a');
  for (let i = 0; i < 10; i++) publisher.publish('a', '', { payload });
  expect(t.broker.counters.dropped.get('slow_reader')).toBeGreaterThan(1);
  expect(t.log.lines.filter((line) => line.includes('dropped'))).toEqual([
    'Outgoing messages are being dropped for client slow.',
  ]);
});
