// From the command line to a connector: TCP or unix socket, TLS, WebSocket.
import { readdirSync, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { ProtocolVersion } from '../protocol/packet-type.ts';
import { ClientSockets, type ClientTlsOptions } from '../transport/client-socket.ts';
import type { Connector } from '../transport/client-transport.ts';
import { webSocketConnector } from '../transport/client-websocket.ts';
import { type ClientOptions, portOf, usesTls } from './client-options.ts';

/** What a command can't begin with; the message is for standard error, the exit status 1. */
export class ClientSetupError extends Error {
  override readonly name = 'ClientSetupError';
}

const WEBSOCKET_PATH = '/mqtt';

/** Where systems keep the certificates they trust. */
const systemCertificates = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
  '/etc/ssl/ca-bundle.pem',
];

/** @throws ClientSetupError */
export function createConnector(options: ClientOptions): Connector {
  const tls = usesTls(options) ? tlsOptions(options) : null;
  const port = portOf(options);
  const sockets = new ClientSockets({ tls, noDelay: options.noDelay });
  const address = port === 0 ? { unix: options.hostname } : { hostname: options.hostname, port };
  if (port !== 0 && options.hostname === '') throw new ClientSetupError('Unable to connect (Lookup error.).');
  const connector = sockets.connector(address);
  if (!options.isWebSocket) return connector;
  const host = isIPv6(options.hostname) ? `[${options.hostname}]` : options.hostname;
  const isUsualPort = port === (tls === null ? 80 : 443);
  return webSocketConnector(connector, {
    host: isUsualPort ? host : `${host}:${port}`,
    path: WEBSOCKET_PATH,
    protocol: options.protocolVersion === ProtocolVersion.v31 ? 'mqttv3.1' : 'mqtt',
    headers: {},
  });
}

function tlsOptions(options: ClientOptions): ClientTlsOptions {
  const ca: string[] = [];
  if (options.cafile !== null) ca.push(readCertificates(options.cafile));
  if (options.capath !== null) ca.push(...readHashedFolder(options.capath));
  if (ca.length > 0 && options.useOsCertificates) ca.push(...readSystemCertificates());
  return {
    ca: ca.length > 0 ? ca : readSystemCertificates(),
    cert: options.cert === null ? null : readPem(options.cert),
    key: options.key === null ? null : readPem(options.key),
    verifyHost: !options.insecure,
    trustAny: false,
    alpn: options.alpn,
    ciphers: options.ciphers,
  };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ClientSetupError('Error: Problem setting TLS options: File not found.', { cause: error });
  }
}

function readCertificates(path: string): string {
  const text = readPem(path);
  if (!/-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/.test(text)) throw tlsProblem();
  return text;
}

/** Files with the names that `openssl rehash` gives, which is all that OpenSSL looks at in such a folder. */
function readHashedFolder(path: string): string[] {
  let names: string[];
  try {
    names = readdirSync(path).filter((name) => /^[0-9a-f]{8}\.\d+$/.test(name));
  } catch (error) {
    throw new ClientSetupError(tlsProblem().message, { cause: error });
  }
  if (names.length === 0) throw tlsProblem();
  return names.map((name) => readCertificates(join(path, name)));
}

/** None found means those that the runtime brings. */
function readSystemCertificates(): string[] {
  for (const path of systemCertificates) {
    try {
      return [readFileSync(path, 'utf8')];
    } catch {
      // Another system keeps them elsewhere: try the next.
    }
  }
  return [];
}

function tlsProblem(): ClientSetupError {
  return new ClientSetupError('Unable to connect (A TLS error occurred.).');
}
