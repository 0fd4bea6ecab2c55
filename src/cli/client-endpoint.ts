// From the command line to a connector: TCP or unix socket, SOCKS5, TLS, WebSocket.
import { isIP, isIPv6 } from 'node:net';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import { ClientSockets } from '../transport/client-socket.ts';
import type { ClientTlsOptions } from '../transport/client-tls-options.ts';
import type { Connector } from '../transport/client-transport.ts';
import { webSocketConnector } from '../transport/client-websocket.ts';
import type { CommandIo } from './client-io.ts';
import { type ClientOptions, portOf } from './client-options.ts';
import { ClientSetupError } from './client-setup-error.ts';
import { forNode, isForNode, readTls } from './client-tls.ts';

const WEBSOCKET_PATH = '/mqtt';

/**
 * Reads certificates, asks the DNS where that is wanted, and connects nothing yet.
 *
 * @throws ClientSetupError
 */
export async function createConnector(options: ClientOptions, io: CommandIo): Promise<Connector> {
  const tls = await readTls(options);
  const isSecure = tls !== null;
  const { hostname, port } = options.usesSrv
    ? await findServer(options.hostname, isSecure, io)
    : { hostname: options.hostname, port: portOf(options) };
  if (port !== 0 && hostname === '') throw new ClientSetupError('Unable to connect (Lookup error.).');
  const localAddress = options.bindAddress === null ? null : await findAddress(options.bindAddress);
  checkFamilies(localAddress, options.proxy?.hostname ?? hostname);
  const needsNode = tls !== null && isForNode(options);
  const { noDelay, proxy } = options;
  const sockets = new ClientSockets({ tls: needsNode ? null : tls, noDelay, proxy, localAddress });
  const stream = sockets.connector(port === 0 ? { unix: hostname } : { hostname, port });
  const connector = needsNode ? await throughNode(stream, port === 0 ? null : hostname, tls, options) : stream;
  if (!options.isWebSocket) return connector;
  const host = isIPv6(hostname) ? `[${hostname}]` : hostname;
  const isUsualPort = port === 0 || port === (isSecure ? 443 : 80);
  return webSocketConnector(connector, {
    host: isUsualPort ? (port === 0 ? 'localhost' : host) : `${host}:${port}`,
    path: WEBSOCKET_PATH,
    protocol: options.protocolVersion === ProtocolVersion.v31 ? 'mqttv3.1' : 'mqtt',
    headers: {},
  });
}

/** TLS that Bun has not. */
async function throughNode(
  stream: Connector,
  hostname: string | null,
  tls: ClientTlsOptions,
  options: ClientOptions,
): Promise<Connector> {
  const node = Bun.which('node');
  if (node === null) {
    const what =
      options.psk !== null ? '--psk' : options.keyLogFile !== null ? '--tls-keylog' : '--ciphers for TLS 1.3';
    throw new ClientSetupError(`Error: ${what} needs Node.js 20 or newer, and there is no program 'node' in PATH.`);
  }
  const { nodeTlsConnector } = await import('../transport/client-node-tls.ts');
  return nodeTlsConnector(stream, node, hostname, forNode(tls, options));
}

/** RFC 2782: of the lowest priority, one by weight. */
async function findServer(
  domain: string,
  isSecure: boolean,
  io: CommandIo,
): Promise<{ hostname: string; port: number }> {
  const name = `${isSecure ? '_secure-mqtt' : '_mqtt'}._tcp.${domain}`;
  try {
    const records = await io.resolveSrv(name);
    const least = Math.min(...records.map(({ priority }) => priority));
    const candidates = records.filter(({ priority }) => priority === least);
    // Those of weight 0 come last, and have a small chance.
    let left = Math.random() * (candidates.reduce((sum, { weight }) => sum + weight, 0) + 1);
    const chosen = candidates.find(({ weight }) => (left -= weight) < 0) ?? candidates.at(-1);
    if (chosen !== undefined && chosen.name !== '') return { hostname: chosen.name, port: chosen.port };
  } catch (error) {
    throw new ClientSetupError(`Unable to connect (Lookup error.).\nThere is no SRV record ${name}.`, { cause: error });
  }
  throw new ClientSetupError(`Unable to connect (Lookup error.).\nThe SRV record ${name} names no server.`);
}

/** The system would say that nobody listens there. */
function checkFamilies(from: string | null, to: string): void {
  const family = isIP(to);
  if (from === null || family === 0 || family === isIP(from)) return;
  throw new ClientSetupError(`Error: Address family not supported by protocol\n-A ${from} cannot reach ${to}.`);
}

async function findAddress(name: string): Promise<string> {
  if (isIP(name) !== 0) return name;
  const { lookup } = await import('node:dns/promises');
  try {
    return (await lookup(name)).address;
  } catch (error) {
    throw new ClientSetupError(`Unable to connect (Lookup error.).\n-A '${name}' has no address.`, { cause: error });
  }
}
