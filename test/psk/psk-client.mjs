// node psk-client.mjs PORT IDENTITY HEXKEY TASK [ARGUMENT]: a TLS-PSK client on Node.js, for what Debian's tools cannot do.
// Prints one JSON line of results, and where connections stay open, a second one when stdin has ended.
//
//   handshake VERSION    hint, version, cipher and key exchange that the server chose, or error; VERSION only, as TLSv1.2
//   resume VERSION       whether a second handshake with the session of the first and without the key succeeds
//   renegotiate          whether a second handshake on the same connection, TLS 1.2, succeeds
//   many COUNT           so many connections at once with CONNECT each: how many got a CONNACK; then how many were
//                        closed, and the reason codes of the DISCONNECTs that came
//   deaf TOPIC           subscribes, then reads nothing more; then what had come until the server closed
//   flood COUNT          once stdin has ended, publishes so many messages of 64 KiB: how many had gone when no more would
//                        go for a while; then how many in the end
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';

const [port, identity, hex, task, argument] = process.argv.slice(2);

/** What the server sent as its hint. */
let hint = null;

function open(options) {
  return connect({
    port: Number(port),
    host: '127.0.0.1',
    ciphers: 'PSK:!eNULL',
    minVersion: 'TLSv1.2',
    checkServerIdentity: () => undefined,
    pskCallback: (given) => {
      hint = given;
      return { psk: Buffer.from(hex, 'hex'), identity };
    },
    ...options,
  });
}

const only = (version) => ({ minVersion: version, maxVersion: version });
const print = (result) => console.log(JSON.stringify(result));

/** The result of `take`, called with `resolve`, or the code of the error that came first. */
function outcome(socket, take) {
  return new Promise((resolve) => {
    socket.on('error', (error) => resolve({ error: error.code }));
    socket.on('close', () => resolve({ error: 'closed' }));
    take(resolve);
  });
}

/** Of MQTT 5, with Clean Start and without Keep Alive. */
function connectPacket(clientId) {
  const id = Buffer.from(clientId);
  const body = Buffer.concat([Buffer.from('00044d5154540502000000', 'hex'), Buffer.from([0, id.length]), id]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

const stdinEnd = new Promise((resolve) => process.stdin.on('end', resolve).resume());

const tasks = {
  async handshake() {
    const socket = open(only(argument));
    print(
      await outcome(socket, (resolve) =>
        socket.on('secureConnect', () =>
          resolve({
            hint,
            version: socket.getProtocol(),
            cipher: socket.getCipher().name,
            exchange: socket.getEphemeralKeyInfo(),
          }),
        ),
      ),
    );
    socket.destroy();
  },

  async resume() {
    const first = open(only(argument));
    const session = await new Promise((resolve) => {
      first.on('session', resolve);
      first.on('secureConnect', () => first.write(connectPacket('first')));
      first.on('data', () => setTimeout(() => resolve(first.getSession()), 50)); // CONNACK; TLS 1.2 has no ticket
    });
    const second = open({ ...only(argument), session, pskCallback: () => null });
    print(await outcome(second, (resolve) => second.on('secureConnect', () => resolve({ error: null }))));
    first.destroy();
    second.destroy();
  },

  async renegotiate() {
    const socket = open(only('TLSv1.2'));
    await new Promise((resolve) => socket.on('secureConnect', resolve));
    print(
      await outcome(socket, (resolve) =>
        socket.renegotiate({}, (error) => resolve({ error: error === null ? null : error.code })),
      ),
    );
    socket.destroy();
  },

  async many() {
    let closed = 0;
    const reasonCodes = [];
    const sockets = Array.from({ length: Number(argument) }, () => open({}));
    const results = await Promise.all(
      sockets.map((socket, index) =>
        outcome(socket, (resolve) => {
          socket.on('secureConnect', () => socket.write(connectPacket(`many-${index}`)));
          socket.on('data', (chunk) => {
            if (chunk[0] === 0xe0) reasonCodes.push(chunk[2]);
            else resolve({ error: chunk[0] === 0x20 ? null : 'no CONNACK' });
          });
          socket.on('close', () => closed++);
        }),
      ),
    );
    print({ connected: results.filter(({ error }) => error === null).length });
    await stdinEnd;
    print({ closed, reasonCodes });
    for (const socket of sockets) socket.destroy();
  },

  async deaf() {
    const socket = open({});
    let bytes = 0;
    await new Promise((resolve) => {
      socket.on('secureConnect', () => socket.write(connectPacket('deaf')));
      socket.on('data', (chunk) => {
        bytes += chunk.length;
        if (chunk[0] === 0x20) {
          const filter = Buffer.from(argument);
          const head = [0x82, filter.length + 6, 0, 1, 0, 0, filter.length];
          socket.write(Buffer.concat([Buffer.from(head), filter, Buffer.from([0])]));
        } else resolve();
      });
    });
    socket.pause();
    print({ bytes });
    await stdinEnd;
    socket.on('close', () => print({ bytes })).resume();
  },

  async flood() {
    const socket = open({});
    socket.on('secureConnect', () => socket.write(connectPacket('flood')));
    await once(socket, 'data');
    print({ connected: true });
    await stdinEnd;
    const payload = Buffer.alloc(65_536);
    const head = Buffer.from('3084800400016100', 'hex'); // QoS 0, topic `a`, no properties
    let sent = 0;
    const sending = (async () => {
      for (; sent < Number(argument); sent++) {
        if (!socket.write(Buffer.concat([head, payload]))) await once(socket, 'drain');
      }
    })();
    for (let before = -1; before !== sent || sent === 0;) {
      before = sent;
      await sleep(300);
    }
    print({ sent });
    await sending;
    print({ sent });
    socket.end();
  },
};

await tasks[task]();
