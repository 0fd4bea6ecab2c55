// What a listener may demand of the PROXY header: `proxy_protocol_v2_require_tls` and `require_certificate`.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { encodePacket } from '../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { startServer, type TestServer, until } from '../support/server.ts';
import { type ConnectOptions, connectPacket } from '../support/test-broker.ts';
import { WireClient } from '../support/wire-client.ts';

setDefaultTimeout(30_000);

const listenerNames = ['anyone', 'tls', 'certificate', 'name'] as const;
type ListenerName = (typeof listenerNames)[number];

let server: TestServer;
beforeAll(async () => {
  const proxied = { proxyProtocol: 2 } as const;
  server = await startServer([
    proxied,
    { ...proxied, proxyProtocolV2RequireTls: true },
    { ...proxied, requireCertificate: true },
    { ...proxied, requireCertificate: true, useIdentityAsUsername: true },
  ]);
});
const open: WireClient[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) client.reset();
  await until('no connection left', () => server.broker.connectionCount === 0);
});
afterAll(() => server.stop());

const tlv = (type: number, value: Uint8Array) =>
  Buffer.concat([Uint8Array.of(type, value.length >>> 8, value.length & 255), value]);

interface Tls {
  /** 1: TLS; 2: with a certificate on the connection; 4: on the session. */
  readonly flags: number;
  /** 0: the certificate verified. */
  readonly verify?: number;
  readonly commonName?: string;
}

/** A header of version 2 from 203.0.113.9:8080; without `tls` the proxy tells of none. */
function header(tls: Tls | null, command = 1): Uint8Array {
  const addresses = Buffer.from('cb007109c63364021f90075b', 'hex');
  const parts: Uint8Array[] = command === 0 ? [] : [addresses];
  if (tls !== null) {
    const { flags, verify = 0, commonName } = tls;
    const value = Buffer.from([flags, 0, 0, 0, verify]);
    const name = commonName === undefined ? [] : [tlv(0x22, Buffer.from(commonName))];
    parts.push(tlv(0x20, Buffer.concat([value, tlv(0x21, Buffer.from('TLSv1.3')), ...name])));
  }
  const block = Buffer.concat(parts);
  const fixed = [0x20 | command, command === 0 ? 0 : 0x11, block.length >>> 8, block.length & 255];
  return Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a', 'hex'), Uint8Array.from(fixed), block]);
}

async function send(listener: ListenerName, bytes: Uint8Array, packet: ConnectOptions = {}): Promise<WireClient> {
  const client = await WireClient.open(server.ports[listenerNames.indexOf(listener)]!);
  open.push(client);
  client.send(Buffer.concat([bytes, encodePacket(connectPacket(packet), ProtocolVersion.v5)]));
  return client;
}

async function reasonCode(listener: ListenerName, bytes: Uint8Array, packet?: ConnectOptions): Promise<number> {
  return (await (await send(listener, bytes, packet)).next(PacketType.connack)).reasonCode;
}

const VERIFIED: Tls = { flags: 7, commonName: 'device-7' };

test('nothing is demanded by default', async () => {
  expect(await reasonCode('anyone', header(null))).toBe(0);
});

describe('proxy_protocol_v2_require_tls', () => {
  test('takes who came with TLS, with a certificate or without', async () => {
    expect(await reasonCode('tls', header({ flags: 1 }))).toBe(0);
    expect(await reasonCode('tls', header(VERIFIED))).toBe(0);
  });

  test.each([
    ['without TLS', header(null)],
    ['with a value that says there was none', header({ flags: 0 })],
  ])('refuses a client %s, and says so', async (_what, bytes) => {
    const [from, closed] = [server.lines.length, server.broker.counters.closed.get('tls error') ?? 0];
    const client = await send('tls', bytes);
    await client.ended();
    expect(client.bytesReceived).toBe(0);
    expect(server.lines.slice(from)).toContain(
      'Connection from 203.0.113.9:8080 rejected, client did not connect using TLS.',
    );
    expect(server.broker.counters.closed.get('tls error')).toBe(closed + 1);
  });

  test('closes on a proxy that looks whether we are there, without a line', async () => {
    const from = server.lines.length;
    const client = await send('tls', header(null, 0));
    await client.ended();
    expect(client.bytesReceived).toBe(0);
    expect(server.lines.slice(from).filter((line) => line.includes('rejected'))).toEqual([]);
  });
});

describe('require_certificate with enable_proxy_protocol 2', () => {
  test('takes who has a certificate that the proxy verified', async () => {
    expect(await reasonCode('certificate', header(VERIFIED))).toBe(0);
    expect(await reasonCode('certificate', header({ flags: 5 }))).toBe(0);
  });

  test.each([
    ['without TLS', header(null), 'client did not connect using TLS'],
    ['without a certificate', header({ flags: 1 }), 'client did not provide a certificate'],
    ['with one that did not verify', header({ ...VERIFIED, verify: 1 }), 'client did not provide a certificate'],
  ])('refuses a client %s, and says so', async (_what, bytes, reason) => {
    const from = server.lines.length;
    const client = await send('certificate', bytes);
    await client.ended();
    expect(client.bytesReceived).toBe(0);
    expect(server.lines.slice(from)).toContain(`Connection from 203.0.113.9:8080 rejected, ${reason}.`);
  });

  test('and use_identity_as_username takes its name, and refuses who has none', async () => {
    expect(await reasonCode('name', header(VERIFIED), { clientId: 'named', username: 'somebody' })).toBe(0);
    await server.waitForLog(/ as named \(p5, c1, k0, u'device-7'\)\.$/);
    const nameless = header({ flags: 7 });
    expect(await reasonCode('name', nameless, { username: 'somebody', password: 'secret' })).toBe(0x86);
  });
});
