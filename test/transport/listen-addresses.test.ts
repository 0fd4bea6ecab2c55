// Where a listener is opened: its address, its name's addresses, or those of a network interface.

import { afterAll, describe, expect, test } from 'bun:test';
import { networkInterfaces } from 'node:os';
import { defaultListenerConfig, type ListenerConfig } from '../../src/config/config.ts';
import { listenAddresses } from '../../src/transport/listen-addresses.ts';
import { ListenError } from '../../src/transport/listener.ts';
import { startServer, type TestServer } from '../support/server.ts';

const interfaces = {
  lo: [
    { address: '127.0.0.1', family: 'IPv4' },
    { address: '::1', family: 'IPv6', scopeid: 0 },
  ],
  eth0: [
    { address: '192.0.2.2', family: 'IPv4' },
    { address: '192.0.2.3', family: 'IPv4' },
    { address: '2001:db8::2', family: 'IPv6', scopeid: 0 },
    { address: 'fe80::1', family: 'IPv6', scopeid: 4 },
  ],
  tun0: [{ address: '198.51.100.1', family: 'IPv4' }],
};

const addressesOf = (config: Partial<ListenerConfig>) =>
  listenAddresses({ ...defaultListenerConfig(), ...config }, interfaces);

describe('a listener is opened', () => {
  test.each([
    ['on every address', {}, [null]],
    ['on every IPv4 address', { socketDomain: 'ipv4' }, ['0.0.0.0']],
    ['on every IPv6 address', { socketDomain: 'ipv6' }, ['::']],
    ['on its address', { host: '192.0.2.9' }, ['192.0.2.9']],
    ['on its IPv6 address', { host: '2001:db8::9', socketDomain: 'ipv6' }, ['2001:db8::9']],
    ['on its path', { unixPath: '/s', socketDomain: 'ipv4', bindInterface: 'none' }, [null]],
    [
      'on all addresses of its interface',
      { bindInterface: 'eth0' },
      ['192.0.2.2', '192.0.2.3', '2001:db8::2', 'fe80::1%eth0'],
    ],
    ['on its IPv4 addresses', { bindInterface: 'eth0', socketDomain: 'ipv4' }, ['192.0.2.2', '192.0.2.3']],
    ['on its IPv6 addresses', { bindInterface: 'lo', socketDomain: 'ipv6' }, ['::1']],
    ['on the interface rather than the address', { bindInterface: 'tun0', host: '127.0.0.1' }, ['198.51.100.1']],
  ] as const)('%s', async (_, config, addresses) => {
    expect(await addressesOf(config)).toEqual([...addresses]);
  });

  test.each([
    [
      { bindInterface: 'eth7' },
      'Cannot listen on network interface eth7: there is none of that name, but lo, eth0, tun0.',
    ],
    [
      { bindInterface: 'tun0', socketDomain: 'ipv6' },
      'Cannot listen on network interface tun0: it has no ipv6 address.',
    ],
    [{ host: '127.0.0.1', socketDomain: 'ipv6' }, 'Cannot listen on 127.0.0.1: it has no ipv6 address.'],
    [{ host: 'nowhere.invalid' }, /^Cannot listen on nowhere\.invalid: the name cannot be resolved \(E/],
  ] as const)('or not at all: %j', async (config, text) => {
    const failure = await addressesOf(config).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ListenError);
    expect((failure as Error).message).toMatch(text);
  });
});

describe('for real', () => {
  const servers: TestServer[] = [];
  afterAll(async () => {
    for (const one of servers) await one.stop();
  });
  const hasIpv6 = networkInterfaces()['lo']?.some(({ family }) => family === 'IPv6') === true;

  /** Which of the loopback addresses answer. */
  async function answering(config: Partial<ListenerConfig>): Promise<string[]> {
    const server = await startServer([{ host: null, ...config }]);
    servers.push(server);
    const found: string[] = [];
    for (const hostname of ['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])]) {
      const socket = await Bun.connect({ hostname, port: server.port, socket: { data() {} } }).catch(() => null);
      if (socket !== null) found.push(hostname);
      socket?.end();
    }
    return found;
  }
  const ifIpv6 = (...addresses: string[]) => (hasIpv6 ? addresses : addresses.filter((one) => !one.includes(':')));

  test('socket_domain', async () => {
    expect(await answering({ socketDomain: 'ipv4' })).toEqual(['127.0.0.1']);
    if (hasIpv6) expect(await answering({ socketDomain: 'ipv6' })).toEqual(['::1']);
    expect(await answering({})).toEqual(ifIpv6('127.0.0.1', '::1'));
  });

  test('bind_interface, with one port on all addresses and one line for each in the log', async () => {
    expect(await answering({ bindInterface: 'lo' })).toEqual(ifIpv6('127.0.0.1', '::1'));
    const { lines, port, server } = servers.at(-1)!;
    const families = ifIpv6('.', ':').map((mark) => (mark === ':' ? 'ipv6' : 'ipv4'));
    expect(lines.filter((line) => line.startsWith('Opening'))).toEqual(
      families.map((family) => `Opening ${family} listen socket on port ${port}.`),
    );
    expect(server.listeners).toHaveLength(1);
  });

  test('a name with several addresses, of which the machine may lack some', async () => {
    expect(await answering({ host: 'localhost' })).toContain('127.0.0.1');
  });

  test('all of them count for one limit', async () => {
    const server = await startServer([{ host: null, bindInterface: 'lo', maxConnections: 1 }]);
    servers.push(server);
    if (!hasIpv6) return;
    const sockets = await Promise.all(
      ['127.0.0.1', '::1'].map((hostname) => Bun.connect({ hostname, port: server.port, socket: { data() {} } })),
    );
    await server.waitForLog(/max_connections exceeded/);
    for (const socket of sockets) socket.end();
  });
});
