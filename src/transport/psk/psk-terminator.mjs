// Ends TLS-PSK for the broker, whose own runtime has none. It runs on plain Node.js 20 or newer, holds the public port,
// and for each client that shows a known key opens a connection to the broker's private unix socket: first a PROXY
// header of version 2 with the client's address and its PSK identity (as the name of a verified certificate), then the
// bytes of both sides, held back where one of them does not read. psk-process.ts starts it and speaks with it:
//
//   stdin, a JSON object a line    start: see `start`, comes first and once; renew: keys, dhparam for the handshakes from
//                                  now on; close: no more clients, and the end once those that are here have gone
//   stdout, the same               listening: port; refused: option, message, code; renewed: they hold from now on;
//                                  failure: address, port, identity, isKnown, reason, code of a failed handshake
//
// The end of stdin means that the broker is gone.
import { constants } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { createSecureContext, createServer } from 'node:tls';

const HANDSHAKE_LIMIT_MS = 30_000;
/** A client that does not take its last bytes, and at the end of the process the same for all of them. */
const LINGER_MS = 2_000;
/** How long the broker may leave connections unaccepted. */
const RETRY_MS = 50;
const MAX_RETRIES = 200;
/** Reports of failed handshakes are dropped while so many bytes of them wait. */
const MAX_UNREAD_REPORTS = 256 * 1024;

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const VERSION_2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
const TLV_SSL = 0x20;
const TLV_SSL_VERSION = 0x21;
const TLV_SSL_COMMON_NAME = 0x22;
const TLV_SSL_CIPHER = 0x23;
/** TLS, and a certificate on this connection; four zeros behind it say that it was verified. */
const SSL_WITH_CERTIFICATE = [0x01 | 0x02, 0, 0, 0, 0];

/** IDENTITY -> key. */
let keys = new Map();
/** @type {import('node:tls').Server | null} */
let server = null;
/** Of `start` and `renew`. */
let contextOptions = {};
let socketPath = '';
let isClosing = false;
/** TLS socket -> what its client showed last; the key was right once the handshake is over. */
const shown = new WeakMap();

/** Not process.stdout, whose writes to a pipe block while nobody reads. */
const output = new Socket({ fd: 1, readable: false, writable: true });

function report(message) {
  output.write(`${JSON.stringify(message)}\n`);
}

function setKeys(pairs) {
  keys = new Map(pairs.map(([identity, hex]) => [identity, Buffer.from(hex, 'hex')]));
}

function setParameters(dhparam) {
  if (dhparam === contextOptions.dhparam) return;
  contextOptions = { ...contextOptions, dhparam };
  server?.setSecureContext(contextOptions);
}

/** Finds out what is wrong with the ciphers, which the error of the whole does not tell. */
function checkCiphers(ciphers) {
  try {
    createSecureContext({ ciphers });
    return true;
  } catch (error) {
    report({ type: 'refused', option: 'ciphers', message: error.reason ?? error.message, code: error.code });
    return false;
  }
}

/**
 * host (null: every address), port, folder (of the unix socket, removed when the broker is gone), socketPath, hint,
 * ciphers, dhparam (PEM, or `auto`), minVersion, noDelay, owner ({ uid, gid } to become once the port is bound, or null),
 * keys.
 */
function start(options) {
  const { ciphers, dhparam, minVersion } = options;
  if (!checkCiphers(ciphers)) return;
  socketPath = options.socketPath;
  process.on('exit', () => removeFolder(options.folder));
  setKeys(options.keys);
  contextOptions = {
    ciphers,
    dhparam,
    minVersion,
    maxVersion: 'TLSv1.3',
    // A resumed session shows no identity, and a renegotiation could show another one.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
  server = createServer({
    ...contextOptions,
    pskIdentityHint: options.hint,
    handshakeTimeout: HANDSHAKE_LIMIT_MS,
    allowHalfOpen: true,
    noDelay: options.noDelay,
    pskCallback: findKey,
  });
  server.on('secureConnection', onClient);
  server.on('tlsClientError', onFailure);
  listen(options, options.host ?? '::');
}

function listen(options, host) {
  const onError = (error) => {
    // A machine without IPv6: every address is then every IPv4 address.
    if (options.host === null && host === '::' && error.code !== 'EADDRINUSE') return listen(options, '0.0.0.0');
    report({ type: 'refused', option: 'listener', message: error.message, code: error.code });
  };
  server.once('error', onError);
  server.listen({ host, port: options.port, backlog: 4_096 }, () => {
    server.off('error', onError);
    if (options.owner !== null && process.getuid() === 0) become(options.owner);
    report({ type: 'listening', port: server.address().port });
  });
}

function become({ uid, gid }) {
  process.setgroups([gid]);
  process.setgid(gid);
  process.setuid(uid);
}

function findKey(socket, identity) {
  const key = keys.get(identity);
  // The address is asked for here because a socket that broke has none any more; Node.js remembers it.
  void socket.remoteAddress;
  shown.set(socket, { identity, isKnown: key !== undefined });
  return key ?? null;
}

function onFailure(error, socket) {
  const client = shown.get(socket);
  socket.destroy();
  // The client went away, which is no news.
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE' || isClosing) return;
  if (output.writableLength > MAX_UNREAD_REPORTS) return;
  report({
    type: 'failure',
    address: socket.remoteAddress ?? null,
    port: socket.remotePort ?? 0,
    identity: client?.identity ?? null,
    isKnown: client?.isKnown ?? false,
    reason: error.reason ?? error.message,
    code: error.code ?? '',
  });
}

function onClient(client) {
  client.on('error', ignore); // its close follows
  const proof = shown.get(client);
  if (proof === undefined || !proof.isKnown || client.remoteAddress === undefined) return client.destroy();
  joinBroker(client, proxyHeader(client, proof.identity), 0);
}

function ignore() {}

/** Opens the broker's side; where too many connections wait there, tries again. */
function joinBroker(client, header, retries) {
  if (client.destroyed) return;
  const broker = connect({ path: socketPath, allowHalfOpen: true });
  const onError = (error) => {
    if (error.code !== 'EAGAIN' || retries === MAX_RETRIES) return client.destroy();
    setTimeout(joinBroker, RETRY_MS, client, header, retries + 1);
  };
  broker.once('error', onError);
  broker.once('connect', () => {
    broker.off('error', onError);
    broker.on('error', ignore); // its close follows
    broker.write(header);
    pass(client, broker);
  });
}

/** Passes bytes, ends and closes between the two, each as fast as the other reads. */
function pass(client, broker) {
  client.on('data', (chunk) => {
    if (!broker.write(chunk)) client.pause();
  });
  broker.on('drain', () => client.resume());
  client.on('end', () => broker.end());
  client.on('close', () => {
    // What came is the broker's, even from a client that has gone; what the broker says to it is for nobody.
    broker.end();
    broker.resume();
  });

  broker.on('data', (chunk) => {
    if (!client.destroyed && !client.write(chunk)) broker.pause();
  });
  client.on('drain', () => broker.resume());
  broker.on('end', () => client.end());
  broker.on('close', () => {
    if (client.destroyed) return;
    client.end();
    const timer = setTimeout(() => client.destroy(), LINGER_MS);
    client.once('close', () => clearTimeout(timer));
  });
  // It closed while the broker was being joined.
  if (client.destroyed) broker.end();
}

function proxyHeader(client, identity) {
  const source = addressBytes(client.remoteAddress);
  const destination = addressBytes(client.localAddress ?? client.remoteAddress);
  const isIpv4 = source.length === 4 && destination.length === 4;
  const addresses = isIpv4 ? [source, destination] : [toIpv6(source), toIpv6(destination)];
  const ssl = Buffer.concat([
    Buffer.from(SSL_WITH_CERTIFICATE),
    tlv(TLV_SSL_VERSION, Buffer.from(client.getProtocol())),
    tlv(TLV_SSL_COMMON_NAME, Buffer.from(identity)),
    tlv(TLV_SSL_CIPHER, Buffer.from(client.getCipher().name)),
  ]);
  const block = Buffer.concat([
    ...addresses,
    uint16(client.remotePort),
    uint16(client.localPort ?? 0),
    tlv(TLV_SSL, ssl),
  ]);
  const fixed = Buffer.from([VERSION_2_PROXY, isIpv4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6]);
  return Buffer.concat([SIGNATURE, fixed, uint16(block.length), block]);
}

function tlv(type, value) {
  return Buffer.concat([Buffer.from([type]), uint16(value.length), value]);
}

function uint16(number) {
  return Buffer.from([number >>> 8, number & 255]);
}

/** Four bytes for IPv4, also in IPv6 dress, else sixteen; a zone (`%eth0`) is dropped. */
function addressBytes(text) {
  const address = text.split('%', 1)[0];
  const dotted = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (dotted !== null) return Buffer.from(dotted[1].split('.').map(Number));
  const [head, tail] = address.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const missing = tail === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...new Array(missing).fill('0'), ...(tail ?? [])];
  return Buffer.concat(groups.map((group) => uint16(Number.parseInt(group, 16))));
}

function toIpv6(bytes) {
  return bytes.length === 16 ? bytes : Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), bytes]);
}

/** No more clients; the process ends when the last has gone, or after a moment. */
function close() {
  if (isClosing) return;
  isClosing = true;
  const leave = () => process.exit(0);
  if (server === null) return leave();
  server.close(leave);
  setTimeout(leave, LINGER_MS);
}

function removeFolder(folder) {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // not ours to remove; whoever may, cleans the folder of temporary files
  }
}

function handle(message) {
  switch (message.type) {
    case 'start':
      return start(message);
    case 'renew':
      setKeys(message.keys);
      setParameters(message.dhparam);
      return report({ type: 'renewed' });
    case 'close':
      return close();
  }
}

// They come to the whole group (Ctrl+C, a service manager): the broker decides, and its end is our end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, ignore);
output.on('error', ignore); // the broker is gone, as stdin tells too

let unread = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (text) => {
  unread += text;
  if (!text.includes('\n')) return;
  const lines = unread.split('\n');
  unread = lines.pop();
  for (const line of lines) handle(JSON.parse(line));
});
process.stdin.on('end', close);
process.stdin.on('error', close);
