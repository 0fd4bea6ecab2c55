// TLS of a client for what our own runtime's TLS has not: pre-shared keys, a key log, cipher suites of TLS 1.3. It runs
// on plain Node.js 20 or newer, one process a connection, and opens no connection itself: descriptor 3 is the stream of
// our side in the clear, descriptor 4 the one to the server. client-node-tls.ts starts it and speaks with it:
//
//   stdin, one JSON object     hostname (null: none to check), ca, cert, key, passphrase, alpn, ciphers, minVersion,
//                              maxVersion, psk ({ identity, key in hex }, or null), keyLog (a file's name, or null)
//   stdout, one JSON object    open: version, cipher, problem ({ code, message } of a certificate that is not trusted,
//                              or null), and bytes pass from then on; or failed: code, message
//
// The end of stdin means that nobody needs it any more.
import { appendFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { connect } from 'node:tls';

function tell(report, then) {
  process.stdout.write(`${JSON.stringify(report)}\n`, then);
}

function fail(error) {
  tell({ type: 'failed', code: error.code ?? '', message: error.reason ?? error.message }, () => process.exit(1));
}

function ignore() {}

/** Null leaves an option to Node.js. */
function given(options) {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
}

function start(options) {
  const { hostname, alpn, psk, keyLog, minVersion, maxVersion, ca, cert, key, passphrase, ciphers } = options;
  const stream = new Socket({ fd: 4 });
  stream.on('error', ignore); // its TLS tells
  let server;
  try {
    server = connect({
      socket: stream,
      // Certificates are judged by who started us.
      rejectUnauthorized: false,
      minVersion,
      maxVersion,
      ...given({ ca, cert, key, passphrase, ciphers }),
      ...(hostname === null ? { checkServerIdentity: ignore } : { host: hostname }),
      ...(alpn === null ? {} : { ALPNProtocols: [alpn] }),
      ...(psk === null
        ? {}
        : {
            checkServerIdentity: ignore,
            pskCallback: () => ({ psk: Buffer.from(psk.key, 'hex'), identity: psk.identity }),
          }),
    });
  } catch (error) {
    return fail(error);
  }
  if (keyLog !== null) server.on('keylog', (line) => appendKey(server, keyLog, line));
  server.on('error', fail);
  server.once('secureConnect', () => {
    server.off('error', fail);
    server.on('error', ignore); // its close follows
    const { authorizationError } = server;
    if (psk !== null && !hasProvenKey(server)) {
      server.destroy();
      return fail({ code: 'ERR_SSL_NO_PSK', message: 'the server did not prove that it has the key' });
    }
    const problem = psk !== null || !authorizationError ? null : describe(authorizationError);
    tell({ type: 'open', version: server.getProtocol(), cipher: server.getCipher().name, problem });
    pass(server);
  });
}

/** A server may choose a certificate instead, which nobody would look at: then anybody could be the server. */
function hasProvenKey(server) {
  if (server.getProtocol() === 'TLSv1.3') return server.getPeerX509Certificate() === undefined;
  return server.getCipher().name.includes('PSK');
}

/** Node.js gives a code, or the error where a name does not fit. */
function describe(problem) {
  if (typeof problem === 'string') return { code: problem, message: problem };
  return { code: problem.code ?? '', message: problem.message };
}

function appendKey(server, file, line) {
  try {
    appendFileSync(file, line, { mode: 0o600 });
  } catch (error) {
    server.destroy();
    fail({ code: 'ERR_SSL_KEY_LOG', message: `the key log cannot be written: ${error.message}` });
  }
}

/** Passes bytes and ends both ways, each as fast as the other side reads. */
function pass(server) {
  const ours = new Socket({ fd: 3, allowHalfOpen: true });
  ours.on('error', ignore); // its close follows
  ours.pipe(server);
  server.pipe(ours);
  server.on('close', () => ours.end());
  ours.on('close', () => server.destroy());
}

let line = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (text) => {
  line += text;
  if (!line.endsWith('\n')) return;
  start(JSON.parse(line));
  line = '';
});
process.stdin.on('end', () => process.exit());
process.stdout.on('error', ignore); // the end of stdin tells
// They come to the whole group, and who started us decides.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, ignore);
