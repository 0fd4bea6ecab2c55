// `martlet pub` and `mosquitto_pub` with the same command lines, against one Mosquitto.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type CommandServer, startCommandServer } from '../support/client/command-server.ts';
import { run, runBoth, runOurs } from '../support/client/compare-commands.ts';
let server: CommandServer;

beforeAll(async () => {
  server = await startCommandServer();
});
afterAll(() => server.mosquitto.stop());

const there = '-h 127.0.0.1 -p {open}';
const locked = '-h 127.0.0.1 -p {closed}';

describe('connections that do not come about', () => {
  test.each([
    ['-h 127.0.0.1 -p {refused}', 1],
    ['-h nowhere.invalid -p {open}', 1],
    ["-h '' -p {open}", 1],
    ['--unix /nonexistent', 1],
    ['-h 127.0.0.1 -p {refused} --quiet', 1],
    [locked, 5],
    [`${locked} -V 31`, 5],
    [`${locked} -V 5`, 135],
    [`${locked} --quiet`, 5],
    [`${locked} -u alice -P wrong`, 5],
    [`${there} -D connect authentication-method x`, 140],
    ['-h 127.0.0.1 -p {tls} --cafile {folder}/nonexistent', 1],
    ['-h 127.0.0.1 -p {tls} --cafile {folder}/serverKey.pem', 1],
    ['-h 127.0.0.1 -p {tls} --cafile {folder}/ca.pem --cert {folder}/nonexistent --key {folder}/clientKey.pem', 1],
    ['-h 127.0.0.1 -p {tls} --cafile {folder}/ca.pem --cert {folder}/clientCert.pem --key {folder}/serverKey.pem', 1],
  ])('%s', async (args, status) => {
    expect((await server.compare('pub', `${args} -t a -m x`)).status).toBe(status);
    expect((await server.compare('sub', `${args} -t a -W 5`)).status).toBe(status);
  });

  // Mosquitto's clients begin TLS inside the connection call, and say something else where it fails there already.
  test.each([
    '-h localhost -p {tls} --cafile {folder}/otherCa.pem',
    '-h 127.0.0.1 -p {stranger} --cafile {folder}/ca.pem',
    '-h 127.0.0.1 -p {open} --cafile {folder}/ca.pem',
    '-h localhost -p {tls} --tls-use-os-certs',
    '-h localhost -p {tls} --capath {folder}/empty',
  ])('%s: TLS that fails', async (args) => {
    for (const [command, more] of [
      ['pub', '-t a -m x'],
      ['sub', '-t a'],
    ] as const) {
      const list = server.words(`${args} ${more}`);
      const theirs = await run(`mosquitto_${command}`, list);
      expect([1, 8]).toContain(theirs.status);
      expect(theirs.stderr).toMatch(/^(Error: |Unable to connect \()A TLS error occurred\./);
      const ours = await runOurs(command, list);
      expect([1, 8]).toContain(ours.status);
      expect(ours.stderr).toMatch(/^(Error: |Unable to connect \()A TLS error occurred\.(\)\.)?\n.+\n$/);
    }
  });

  test('a listener that wants a certificate', async () => {
    const list = server.words('-h 127.0.0.1 -p {mutual} --cafile {folder}/ca.pem -t a');
    const ours = await runOurs('pub', [...list, '-m', 'x']);
    expect(ours.status).not.toBe(0);
    expect(ours.stderr).toMatch(/^Error: /);
  });

  test('pub: a server that drops a plain connection where it wants TLS', async () => {
    expect((await server.compare('pub', '-h 127.0.0.1 -p {tls} -t a -m x')).status).toBe(7);
  });
});

describe('pub', () => {
  test.each([
    '-t a -m x -d',
    '-t a -m x -d -q 1',
    '-t a -m x -d -q 2',
    '-t a -m x -d -q 2 -V 31',
    '-t a -m x -d -q 2 -V 5',
    '-t a -m x -d -q 1 -V mqttv5 -i named',
    '-t a -m x -d -r -V 31',
    '-t a -m x -I pre -d',
    '-t a -t b -m x -d',
    '-t a -n -d',
    "-t a -m '' -d",
    '-t a -f {folder}/message -d',
    '-t a -f /dev/null -d',
    '-t a -m x --repeat 3 -d',
    '-t a -m x --repeat 3 -d -q 1',
    '-t a -m x --repeat 2 --repeat-delay 0.05 -d -q 2',
    '-t a -m x --repeat-delay x',
    '-t a -m x -q abc -d',
    '-t a -m x -u user -P password -d',
    '-t a -m x -u user -d',
    '-t a -m x -V 5 -P password -d',
    '-t a -m x --will-topic w --will-payload gone --will-qos 1 --will-retain -d',
    '-t a -m x --will-qos 1',
    '-t a -m x -x 5 -V 5 -d',
    '-t a -m x -x -1 -V 5 -i forever -d',
    '-t a -m x -c -i kept -d',
    '-t a -m x -c -i kept5 -V 5 -d',
    '-t a -m x -D publish content-type text/plain -D publish user-property a b -D connect user-property c d -d',
    '-t a -m x -D publish topic-alias 1 --repeat 3 -d',
    '-t a -m x -q 1 -D disconnect user-property a b -D will content-type x --will-topic w -d',
    '-t a -m x -D subscribe user-property a b -d',
    "-t '' -m x -d",
    '-t a -m x --nodelay -M 5',
    '-L mqtt://user:pass@127.0.0.1:{open}/a/b/c -m x -d',
    '-L mqtt://127.0.0.1:{open}/a%20b -m x -d',
    '-L mqtt://127.0.0.1:{open}/a -t other -m x -d',
  ])('%s', async (args) => {
    const where = args.includes('-L') ? '' : `${there} `;
    expect((await server.compare('pub', `${where}${args}`)).status).toBe(0);
  });

  test.each<[string, string]>([
    ['-l -d', 'one\ntwo\n\nlast'],
    ['-l -d -q 1', 'one\ntwo\n\nlast\n'],
    ['-l -d -q 2 -V 5', 'one\r\ntwo'],
    ['-l -d', ''],
    ['-l -d', `${'x'.repeat(100_000)}\ny\n`],
    ['-s -d', 'a\nb\n'],
    ['--stdin-file -d -q 1', 'x'.repeat(300_000)],
  ])('%s with standard input', async (args, stdin) => {
    const { theirs, ours } = await runBoth('pub', { args: server.words(`${there} -t a ${args}`), stdin });
    expect({ ...ours, stdout: byMessage(ours.stdout) }).toEqual({ ...theirs, stdout: byMessage(theirs.stdout) });
    expect(ours.status).toBe(0);
  });

  test.each([
    `${locked} -u alice -P secret -t other -m x -q 1 -V 5 -d`,
    `${locked} -u alice -P secret -t other -m x -q 2 -V 5 -d`,
    `${locked} -u alice -P secret -t other -m x -q 2 -V 311 -d`,
    `${locked} -u alice -P secret -t other -m x -q 1 -V 5 --quiet`,
    '-h 127.0.0.1 -p {qos1} -t a -m x -q 2 -V 5 -d',
    '-h localhost -p {tls} --cafile {folder}/ca.pem -t a -m x -d',
    '-h 127.0.0.1 -p {tls} --capath {folder}/hashed -t a -m x -d',
    '-h 127.0.0.1 -p {stranger} --cafile {folder}/ca.pem --insecure -t a -m x -d',
    '-h 127.0.0.1 -p {mutual} --cafile {folder}/ca.pem --cert {folder}/clientCert.pem --key {folder}/clientKey.pem -t a -m x -d',
    '-L mqtts://localhost:{tls}/a -m x --cafile {folder}/ca.pem -d',
    '--unix {folder}/socket -t a -m x -d',
    '-p 1 --unix {folder}/socket -t a -m x -d -q 1',
  ])('%s', async (args) => {
    expect((await server.compare('pub', args)).status).toBe(0);
  });
});

/** The lines of each message together: whether the next one leaves before the answer to this one comes is chance. */
function byMessage(log: string): string[] {
  const messageOf = (line: string) =>
    Number(/(?:Mid: |, m|\(m)(\d+)/.exec(line)?.[1] ?? (/DISCONNECT/.test(line) ? 1e9 : 0));
  return log.split('\n').toSorted((a, b) => messageOf(a) - messageOf(b));
}

// Mosquitto 2.0's clients have no WebSocket; 2.1's take the same URLs.
test.each(['ws://127.0.0.1:{websockets}', 'wss://localhost:{secureWebsockets}'])('%s/TOPIC', async (url) => {
  const trust = url.startsWith('wss') ? '--cafile {folder}/ca.pem' : '';
  for (const version of ['31', '311', '5']) {
    const line = `-L ${url}/ws/${version} ${trust} -V ${version} -q 1`;
    expect((await runOurs('pub', server.words(`${line} -m hello -r`))).status).toBe(0);
    const { status, stdout } = await runOurs('sub', server.words(`${line} -C 1 -v`));
    expect({ status, stdout }).toEqual({ status: 0, stdout: `ws/${version} hello\n` });
  }
});

test('a WebSocket URL of a server that speaks none', async () => {
  const { status, stderr } = await runOurs('pub', server.words('-L ws://127.0.0.1:{open}/a -m x'));
  expect({ status, stderr }).toEqual({ status: 7, stderr: 'Error: The connection was lost.\n' });
});
