// PROXY protocol in front of MQTT and of WebSocket: whose address the broker knows and logs.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { ConfigError } from '../../src/config/config-error.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { encodePacket } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { startServer, type TestServer, until } from '../support/server.ts';
import { connectPacket, fromHex, utf8 } from '../support/test-broker.ts';
import { clientFrame, mqttBytes, Opcode, readServerStream, upgradeRequest } from '../support/websocket-bytes.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(30_000);

let server: TestServer;
const portOf = { v1: () => server.ports[0]!, v2: () => server.ports[1]!, ws: () => server.ports[2]! };

beforeAll(async () => {
  server = await startServer([
    { proxyProtocol: 1 },
    { proxyProtocol: 2, useIdentityAsUsername: true },
    { proxyProtocol: 1, protocol: 'websockets' },
  ]);
});

const open: WireClient[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) client.reset();
  await until('no connection left', () => server.broker.connectionCount === 0);
});
afterAll(() => server.stop());

const signature = fromHex('0d0a0d0a000d0a515549540a');

/** A v2 header: version and command, family and transport, the block behind the length. */
function v2(command: number, family: number, block: Uint8Array): Uint8Array {
  return Buffer.concat([
    signature,
    Uint8Array.of(0x20 | command, family, block.length >>> 8, block.length & 255),
    block,
  ]);
}

const v4Block = fromHex('cb007109 c6336402 1f90 075b'.replaceAll(' ', '')); // 203.0.113.9:8080 -> 198.51.100.2:1883
const v6Block = Buffer.concat([
  fromHex('20010db8000000000000000000000009'),
  fromHex('20010db8000000000000000000000001'),
  fromHex('c001075b'),
]);
const mappedBlock = Buffer.concat([
  fromHex('00000000000000000000ffffcb007109'),
  new Uint8Array(16),
  fromHex('1f90075b'),
]);

/** A certificate named `device-7` that the proxy verified, over TLS 1.3. */
const tlsValue = fromHex(`05 00000000 22 0008 ${Buffer.from('device-7').toString('hex')} 21 0007 544c5376312e33`);
const withTls = Buffer.concat([v4Block, Uint8Array.of(0x20, 0, tlsValue.length), tlsValue]);
const unverified = Buffer.from(withTls);
unverified[v4Block.length + 7] = 1;

let clients = 0;
const connectBytes = (clientId: string) => encodePacket(connectPacket({ clientId }), ProtocolVersion.v5);

async function openAt(port: number): Promise<WireClient> {
  const client = await WireClient.open(port);
  open.push(client);
  return client;
}

/** The line of the log that tells of the client, once the broker has answered. */
async function lineOf(port: number, header: Uint8Array, pieces: (bytes: Uint8Array) => Uint8Array[]): Promise<string> {
  const clientId = `p${++clients}`;
  const client = await openAt(port);
  for (const piece of pieces(Buffer.concat([header, connectBytes(clientId)]))) client.send(piece);
  await client.next(PacketType.connack);
  const [line] = await server.waitForLog(new RegExp(`^New client connected from .* as ${clientId} .*`));
  client.disconnect();
  await server.waitForLog(new RegExp(`^Client ${clientId} \\[.*\\] disconnected\\.$`));
  return line.replace(clientId, 'ID');
}

const whole = (bytes: Uint8Array) => [bytes];
const byByte = (bytes: Uint8Array) => [...bytes].map((byte) => Uint8Array.of(byte));

describe.each([
  ['in one write', whole],
  ['byte by byte', byByte],
] as const)('a PROXY header and CONNECT %s', (_how, pieces) => {
  test.each([
    ['v1 TCP4', 'v1', utf8('PROXY TCP4 203.0.113.9 198.51.100.2 8080 1883\r\n'), '203.0.113.9:8080'],
    ['v1 TCP6', 'v1', utf8('PROXY TCP6 2001:db8::9 2001:db8::1 49153 1883\r\n'), '2001:db8::9:49153'],
    ['v2 over IPv4', 'v2', v2(1, 0x11, v4Block), '203.0.113.9:8080'],
    ['v2 over IPv6', 'v2', v2(1, 0x21, v6Block), '2001:db8::9:49153'],
  ] as const)('%s: the client has the address that the proxy names', async (_what, listener, header, address) => {
    expect(await lineOf(portOf[listener](), header, pieces)).toBe(
      `New client connected from ${address} as ID (p5, c1, k0).`,
    );
  });

  test.each([
    ['v1 UNKNOWN', 'v1', utf8('PROXY UNKNOWN\r\n')],
    ['v2 LOCAL, a health check', 'v2', v2(0, 0, new Uint8Array(0))],
  ] as const)('%s: the client has the address of the proxy', async (_what, listener, header) => {
    expect(await lineOf(portOf[listener](), header, pieces)).toMatch(
      /^New client connected from 127\.0\.0\.1:\d+ as ID /,
    );
  });
});

test('an IPv4 address in IPv6 dress is logged as IPv4', async () => {
  expect(await lineOf(portOf.v2(), v2(1, 0x21, mappedBlock), whole)).toStartWith(
    'New client connected from 203.0.113.9:8080 as ID ',
  );
});

test('the line of the end has the address too', async () => {
  const client = await openAt(portOf.v1());
  client.send(utf8('PROXY TCP4 203.0.113.9 198.51.100.2 8080 1883\r\n')).send(connectBytes('ender'));
  await client.next(PacketType.connack);
  client.send(Uint8Array.of(0xf1, 0));
  await client.ended();
  await server.waitForLog(/^Client ender \[203\.0\.113\.9:8080\] disconnected: /);
});

test('with use_identity_as_username a certificate that the proxy verified gives the user name, another does not', async () => {
  expect(await lineOf(portOf.v2(), v2(1, 0x11, withTls), whole)).toEndWith("(p5, c1, k0, u'device-7').");
  expect(await lineOf(portOf.v2(), v2(1, 0x11, unverified), whole)).toEndWith('(p5, c1, k0).');
});

test('a WebSocket handshake follows the header, in the same write', async () => {
  const client = await openAt(portOf.ws());
  client
    .raw()
    .send(
      Buffer.concat([
        utf8('PROXY TCP4 203.0.113.9 198.51.100.2 8080 80\r\n'),
        upgradeRequest(),
        clientFrame(Opcode.binary, connectBytes('behind')),
      ]),
    );
  await client.until('CONNACK', () => mqttBytes(readServerStream(client.bytes).frames).length > 0);
  await server.waitForLog(/^New client connected from 203\.0\.113\.9:8080 as behind /);
});

describe('a connection without the right header is closed before anything is read from it', () => {
  test.each([
    ['MQTT', 'v1', connectBytes('direct'), /no PROXY header/],
    ['MQTT', 'v2', connectBytes('direct'), /no PROXY header/],
    ['v2 to a listener for v1', 'v1', v2(1, 0x11, v4Block), /v2 header, which this listener does not take/],
    ['v1 to a listener for v2', 'v2', utf8('PROXY TCP4 203.0.113.9 198.51.100.2 8080 1883\r\n'), /v1 header/],
    ['an address that is none', 'v1', utf8('PROXY TCP4 203.0.113.999 198.51.100.2 8080 1883\r\n'), /address/],
    ['an unterminated line', 'v1', utf8(`PROXY TCP4 ${'1'.repeat(200)}`), /longer than 107/],
    ['a wrong checksum', 'v2', v2(1, 0x11, Buffer.concat([v4Block, fromHex('030004deadbeef')])), /checksum/],
    ['TLS', 'v1', fromHex('160301020001'), /no PROXY header/],
  ] as const)('%s at %s', async (_what, listener, bytes, cause) => {
    const before = server.lines.length;
    const client = await openAt(portOf[listener]());
    client.raw().send(Buffer.concat([bytes, connectBytes('after')]));
    await client.ended();
    expect(client.bytesReceived).toBe(0);
    expect(server.lines.slice(before)).toEqual([
      expect.stringMatching(/^Protocol error from 127\.0\.0\.1:\d+: PROXY protocol: [ -~]+\.$/),
      'Bad socket read/write on client <unknown>: Invalid input',
    ]);
    expect(server.lines[before]).toMatch(cause);
  });
});

test('TLS behind a PROXY header is refused in the configuration, with the line', () => {
  const lines = ['listener 8883', 'enable_proxy_protocol 2', 'certfile server.pem', 'keyfile server.key'];
  expect(() => parseConfig(lines.join('\n'), 'martlet.conf')).toThrow(ConfigError);
  expect(() => parseConfig(lines.join('\n'), 'martlet.conf')).toThrow(
    'martlet.conf:2: enable_proxy_protocol: cannot be used with certfile and keyfile: TLS ends at the proxy',
  );
});
