// The same command lines with Debian's mosquitto_pub, _sub and _rr and with ours, beyond those in test/client: the options
// that say how to connect, and rr.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { type CommandServer, startCommandServer } from '../support/client/command-server.ts';
import { type Command, run, runBoth, runOurs, words } from '../support/client/compare-commands.ts';
import { type SocksRules, startSocksServer } from '../support/client/socks-server.ts';
import { martlet } from './run-martlet.ts';

setDefaultTimeout(30_000);

let server: CommandServer;
/** Answers to what comes on `req/#`. */
let responder: Bun.Subprocess;

beforeAll(async () => {
  server = await startCommandServer();
  const port = String(server.mosquitto.ports['open']);
  // Each answer is one of mosquitto_pub, whose input is a line.
  const script = `mosquitto_sub -h 127.0.0.1 -p ${port} -t 'req/#' -F '%R' -V 5 -i responder | while read -r topic; do
    mosquitto_pub -h 127.0.0.1 -p ${port} -V 5 -q 1 -t "$topic" -m answer -D publish content-type text/plain; done`;
  responder = Bun.spawn(['sh', '-c', script], { detached: true, stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' });
  await server.mosquitto.waitForLog(/Sending SUBACK to responder/);
  const { folder } = server.mosquitto;
  const files = ['-in', `${folder}/clientKey.pem`, '-out', `${folder}/encrypted.pem`];
  await run('openssl', ['pkcs8', '-topk8', ...files, '-passout', 'pass:secret']);
});
afterAll(async () => {
  process.kill(-responder.pid, 'SIGKILL');
  await responder.exited;
  await server.mosquitto.stop();
});

const there = '-h 127.0.0.1 -p {open}';
const locked = '-h 127.0.0.1 -p {closed} -u alice -P secret';

describe('command lines that are not taken', () => {
  test.concurrent.each<[Command, string]>([
    ['rr', ''],
    ['rr', '-t a -e b'],
    ['rr', '-t a -m x'],
    ['rr', '-e a -m x'],
    ['rr', '-e'],
    ['rr', '-e a/#'],
    ['rr', '-t a/# -e b'],
    ['rr', '-t a -e b -m x -D publish response-topic y'],
    ['rr', '-t a -e b -m x --quiet -D publish response-topic y'],
    ['rr', '-t a -e b -m x -c'],
    ['rr', '-t a -e b -m x -c -V 311'],
    ['rr', "-t a -e b -m x -i ''"],
    ['rr', '-t a -e b -m x -m y'],
    ['rr', '-W'],
    ['rr', '-W 0'],
    ['rr', "-F '%z'"],
    // Options of the others.
    ...['-l', '-r', '--repeat 2', '--repeat-delay 1', '-C 1', '-E', '-T a', '-U a', '--random-filter 5'].map(
      (option): [Command, string] => ['rr', `-t a -e b -m x ${option}`],
    ),
    ['rr', '-t a -e b -m x --remove-retained'],
    ['rr', '-t a -e b -m x --retained-only'],
    ['pub', '-A'],
    ['pub', '--proxy'],
    ['pub', '--proxy http://127.0.0.1 -t a -m x'],
    ['pub', '--proxy socks5h:// -t a -m x'],
    ['pub', '--proxy socks5h://h:0 -t a -m x'],
    ['pub', '--psk'],
    ['pub', '--psk-identity'],
    ['pub', '--psk 00 -t a -m x'],
    ['pub', '--psk 00 --psk-identity me --cafile x -t a -m x'],
    ['pub', '--psk xy --psk-identity me -t a -m x'],
    ['pub', '--tls-version'],
    ['pub', '--tls-version tlsv1.0 -t a -m x'],
    ['pub', '--keyform'],
    ['pub', '--keyform pem -t a -m x'],
    ['pub', '--keyform bogus --key {folder}/clientKey.pem --cert {folder}/clientCert.pem -t a -m x'],
    ['pub', '--tls-engine'],
    ['pub', '--tls-engine-kpass-sha1'],
    ['pub', '--tls-engine-kpass-sha1 x -t a -m x'],
    ['pub', '-t a -m x -D publish subscription-identifier 5'],
    ['pub', '-t a -m x -D puback content-type 5'],
    ['pub', '-t a -m x -D auth content-type 5'],
    ['pub', '-m x -L mqtt://127.0.0.1/a/#'],
    ['sub', '-L mqtt://127.0.0.1/a/#/b'],
    ['sub', "-t a -i ''"],
  ])('%s %s', async (command, line) => {
    expect((await server.compare(command, line)).status).toBe(1);
  });

  // Of an argument that is not UTF-8, our runtime keeps nothing but that it was not.
  test('bytes that are no UTF-8', async () => {
    const byte = "$(printf '\\377')";
    for (const line of [`-t ${byte} -m x`, `-t a -m x -u ${byte}`, `-t a -m x --will-topic ${byte}`]) {
      const outputs: string[] = [];
      for (const program of ['mosquitto_pub', `${process.execPath} ${import.meta.dir}/../../src/cli/main.ts pub`]) {
        const { status, stderr } = await run('sh', ['-c', `${program} -h 127.0.0.1 -p 1 ${line}`]);
        outputs.push(`${status} ${stderr.split('\n')[0]}`);
      }
      expect(outputs[1]).toBe(outputs[0]);
    }
  });
});

test('a payload, a password and a will may be any bytes', async () => {
  const bytes = "$(printf 'a\\377\\376\\303')";
  const ours = `${process.execPath} ${import.meta.dir}/../../src/cli/main.ts pub`;
  for (const program of ['mosquitto_pub', ours]) {
    const line = server.words(`${there} -t raw -r -u u`).join(' ');
    const { status } = await run('sh', ['-c', `${program} ${line} -m ${bytes} -P ${bytes}`]);
    expect(status).toBe(0);
    const { stdout } = await runOurs('sub', server.words(`${there} -t raw -C 1 -F '%x'`));
    expect(stdout).toBe('61fffec3\n');
    await run('mosquitto_pub', server.words(`${there} -t raw -r -n`));
  }
});

describe('rr', () => {
  const request = `${there} -e res/1 -t req/1`;
  test.each([
    `${request} -m hello`,
    `${request} -m hello -v`,
    `${request} -m hello -v -N`,
    `${request} -n -v`,
    `${request} -m hello -q 1 -F '%t|%p|%q|%r|%C|%R|%10C'`,
    `${request} -m hello -q 2 -F '%j'`,
    `${request} -m hello -F '%j' --pretty -R`,
    `${request} -m hello --nodelay -M 5 -k 10 -x 5 -i rr`,
    `${request} -m hello -I pre -D publish user-property a b -D connect user-property c d -D subscribe user-property e f`,
    '-L mqtt://127.0.0.1:{open}/req/url -e res/url -m x -v',
    '--unix {folder}/socket -t req/unix -e res/unix -m x -v',
  ])('%s', async (line) => {
    expect((await server.compare('rr', line)).status).toBe(0);
  });

  test.concurrent.each([
    [`${there} -t none -e res/2 -m hello -W 1 -d`, 27],
    [`${there} -t none -e res/2 -m hello -W 1 -d -V 311 -q 1`, 27],
    [`${there} -t none -e res/2 -m hello -W 1 --quiet`, 27],
    [`${locked} -t mine/1 -e other -m hello -W 1 -d`, 27],
    ['-h 127.0.0.1 -p {closed} -t none -e res/1 -m hello', 135],
    ['-h 127.0.0.1 -p {refused} -t none -e res/1 -m hello', 1],
    ['-h nowhere.invalid -t none -e res/1 -m hello', 1],
  ])('%s', async (line, status) => {
    expect((await server.compare('rr', line, { together: true })).status).toBe(status);
  });

  // mosquitto_rr leaves without DISCONNECT, so that its will goes out.
  test('says what mosquitto_rr says with -d, and then DISCONNECT', async () => {
    const line = server.words(`${request} -m hello -v -q 1 -d -i debugged`);
    const { theirs, ours } = await runBoth('rr', { args: line });
    expect(ours.stdout).toBe(`${theirs.stdout}Client debugged sending DISCONNECT\n`);
  });

  test('MQTT 3.1.1: the response comes without a response topic', async () => {
    const answering = (id: string) => server.publishTo(`-t res/311 -m 'to ${id.replaceAll(/ours|theirs/g, 'it')}'`)(id);
    const { stdout } = await server.compare('rr', `${there} -t none -e res/311 -m x -V 311 -i old -v`, {
      during: answering,
    });
    expect(stdout).toBe('res/311 to old-it\n');
  });

  // What they print, mosquitto_rr calls an unknown reason before MQTT 5.
  test('MQTT 3.1.1: a refusal has its reason', async () => {
    const line = server.words('-h 127.0.0.1 -p {closed} -t a -e b -m x -V 311');
    expect((await run('mosquitto_rr', line)).status).toBe(5);
    expect(await runOurs('rr', line)).toEqual({
      status: 5,
      stdout: '',
      stderr: 'Connection error: Connection Refused: not authorised.\n',
    });
  });

  test.each([
    [
      '-h 127.0.0.1 -p {qos1} -t none -e res/1 -m hello -q 2',
      24,
      'Message QoS not supported on broker, try a lower QoS.',
    ],
    [`${there} -t '' -e res/1 -m hello`, 3, "Invalid input. Does your topic contain '+' or '#'?"],
  ])('%s: the status of mosquitto_rr, and why', async (line, status, message) => {
    const list = server.words(line);
    expect((await run('mosquitto_rr', list)).status).toBe(status);
    expect(await runOurs('rr', list)).toEqual({ status, stdout: '', stderr: `Error: ${message}\n` });
  });

  test.concurrent('a publish that is refused is told', async () => {
    const { status, stderr } = await runOurs('rr', server.words(`${locked} -t other -e mine/1 -m hello -W 1 -q 1`));
    expect({ status, stderr }).toEqual({
      status: 27,
      stderr: 'Warning: Publish 2 failed: Not authorized.\nTimed out\n',
    });
  });

  // mosquitto_rr 2.0 sends nothing of them.
  test.concurrent('-f and -s are the request', async () => {
    const received = runOurs('sub', server.words(`${there} -t sent -C 2 -i sent`));
    await server.mosquitto.waitForLog(/Sending SUBACK to sent/);
    await runOurs('rr', server.words(`${there} -t sent -e res/1 -f {folder}/message -W 1`));
    await runOurs('rr', server.words(`${there} -t sent -e res/1 -s -W 1`), 'from standard input');
    expect((await received).stdout).toBe('from a file\n\nfrom standard input\n');
  });

  test.concurrent('-R waits for a response that is not retained, 2.1 --latency tells how long it took', async () => {
    await server.publish('-t res/old -m old -r');
    const { stdout } = await runOurs('rr', server.words(`${there} -t req/x -e res/old -m x -R --latency -V 311 -W 1`));
    expect(stdout).toBe('');
    const fresh = await runOurs('rr', server.words(`${there} -t req/x -e res/old -m x -R --latency`));
    expect(fresh.stdout).toMatch(/^answer\nLatency: (\d+\.\d{6}(ms|µs)|\d+\.\d{9})\n$/);
    expect((await runOurs('rr', server.words(`${there} -t req/x -e res/old -m x`))).stdout).toBe('old\n');
    await server.publish('-t res/old -n -r');
  });
});

describe('ways to connect', () => {
  const trusting = '-h localhost -p {tls} --cafile {folder}/ca.pem -t a -m x -d';
  test.each([
    `-A 127.0.0.1 ${there} -t a -m x -d`,
    `-A 127.0.0.77 ${there} -t a -m x -d`,
    `-A localhost ${there} -t a -m x -d`,
    `${trusting} --tls-version tlsv1.2`,
    `${trusting} --tls-version tlsv1.3`,
    `${trusting} --ciphers HIGH`,
    `${trusting} --ciphers ECDHE-ECDSA-AES128-GCM-SHA256`,
    `${trusting} --tls-alpn mqtt`,
    `${trusting} --keyform pem --cert {folder}/clientCert.pem --key {folder}/clientKey.pem`,
    '-L MQTT://127.0.0.1:{open}/a -m x -d',
    '-L mqtt://127.0.0.1:{tls}/a -m x -d --cafile {folder}/ca.pem',
    `${there} -t a -m x -V 5 -x 0x10 -d`,
  ])('pub %s', async (line) => {
    expect((await server.compare('pub', line)).status).toBe(0);
  });

  test.each([
    ['-A 1.2.3.4 -h 127.0.0.1 -p {open} -t a -m x', 1],
    ['-A nowhere.invalid -h 127.0.0.1 -p {open} -t a -m x', 1],
    ['-A ::1 -h 127.0.0.1 -p {open} -t a -m x', 1],
    ['-h 127.0.0.1 -p {tls} --cafile {folder}/ca.pem --ciphers bogus -t a -m x', 1],
    ['-h 127.0.0.1 -p {tls} --cafile {folder}/ca.pem --tls-version bogus -t a -m x', 1],
    [`${there} -t a -m x --will-topic ''`, 7],
  ])('pub %s', async (line, status) => {
    expect((await server.compare('pub', line)).status).toBe(status);
  });

  test('-A is the address that the broker sees', async () => {
    await runOurs('pub', server.words(`-A 127.0.0.78 ${there} -t a -m x -i from78`));
    await server.mosquitto.waitForLog(/connected from 127\.0\.0\.78:\d+ as from78 /);
  });

  test('--tls-version tlsv1.3 takes nothing older', async () => {
    const old = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      // SSL_OP_NO_TLSv1_3
      tls: {
        key: Bun.file(`${server.mosquitto.folder}/serverKey.pem`),
        cert: Bun.file(`${server.mosquitto.folder}/serverCert.pem`),
        secureOptions: 0x2000_0000,
      },
      socket: { data() {} },
    });
    const line = `-h localhost -p ${old.port} --cafile {folder}/ca.pem -t a -m x --tls-version tlsv1.3`;
    const { status, stderr } = await runOurs('pub', server.words(line));
    expect(status).toBe(8);
    expect(stderr).toStartWith('Error: A TLS error occurred.\nThe TLS handshake failed: ');
    old.stop(true);
  });

  test.each([
    ['--tls-engine pkcs11', '--tls-engine'],
    ['--keyform engine --key {folder}/clientKey.pem --cert {folder}/clientCert.pem', '--keyform engine'],
  ])('%s is not available, and says what to do', async (more, name) => {
    const { status, stderr } = await runOurs('pub', server.words(`${trusting} ${more}`));
    expect(status).toBe(1);
    expect(stderr).toBe(
      `Error: ${name} is not available: there are no engines here. Name a PEM file with --key, without --tls-engine and --keyform.\n`,
    );
  });

  // mosquitto_pub goes on without TLS.
  test('--psk-identity without --psk is refused', async () => {
    const { status, stderr } = await runOurs('pub', server.words(`${there} -t a -m x --psk-identity me`));
    expect(status).toBe(1);
    expect(stderr).toStartWith('Error: --psk required if --psk-identity used.\n');
  });

  test('an encrypted key without a terminal is a clear error', async () => {
    const file = `${server.mosquitto.folder}/encrypted.pem`;
    const line = `-h localhost -p {mutual} --cafile {folder}/ca.pem --cert {folder}/clientCert.pem --key ${file} -t a`;
    const { status, stderr } = await runOurs('pub', server.words(`${line} -l`), 'x\n');
    expect(status).toBe(1);
    expect(stderr).toContain(`'${file}' is encrypted, and standard input is no terminal`);
  });

  test.each([
    ['secret\r', 0, 'Enter PEM pass phrase:\r\n'],
    [
      'wrong\r',
      1,
      'Enter PEM pass phrase:\r\nUnable to connect (A TLS error occurred.).\r\nTLS could not be set up: the pass phrase of the key is wrong.\r\n',
    ],
    ['\x03', 1, 'Enter PEM pass phrase:\r\nError: Problem setting TLS options.\r\nNo pass phrase was given.\r\n'],
  ])('the pass phrase of an encrypted key is asked for on a terminal: %j', async (typed, status, expected) => {
    const file = `${server.mosquitto.folder}/encrypted.pem`;
    const line = `-h localhost -p {mutual} --cafile {folder}/ca.pem --cert {folder}/clientCert.pem --key ${file} -t a -m x`;
    let output = '';
    const child = Bun.spawn([...martlet, 'pub', ...server.words(line)], {
      terminal: {
        data: (terminal, bytes) => {
          output += new TextDecoder().decode(bytes);
          if (output === 'Enter PEM pass phrase:') terminal.write(typed);
        },
      },
    });
    expect(await child.exited).toBe(status);
    child.terminal?.close();
    expect(output).toBe(expected);
  });

  test.each<[string, SocksRules, string, number]>([
    ['a name', {}, '', 0],
    ['a password that is not wanted', {}, 'u:p@', 0],
    ['a password', { user: { name: 'u%', password: 'p:%' } }, 'u%25:p%3A%25@', 0],
    ['no password where one is wanted', { user: { name: 'u', password: 'p' } }, '', 11],
    ['a failure', { reply: 1 }, '', 16],
    ['a rule', { reply: 2 }, '', 11],
    ['an unreachable network', { reply: 3 }, '', 4],
    ['an unreachable host', { reply: 4 }, '', 4],
    ['a refused connection', { reply: 5 }, '', 4],
    ['a timeout', { reply: 6 }, '', 16],
    ['something else', { garbage: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }, '', 16],
  ])('--proxy: %s', async (_name, rules, credentials, status) => {
    const proxy = await startSocksServer(rules);
    const line = `-h localhost -p {open} --proxy socks5h://${credentials}127.0.0.1:${proxy.port} -t a -m x -q 1 -d`;
    expect((await server.compare('pub', line)).status).toBe(status);
    expect(new Set(proxy.targets).size).toBe(status === 11 && rules.reply === undefined ? 0 : rules.garbage ? 0 : 1);
    proxy.stop();
  });

  test('--proxy: TLS and WebSocket inside', async () => {
    const proxy = await startSocksServer();
    for (const url of [
      'mqtts://localhost:{tls}',
      'ws://localhost:{websockets}',
      'wss://localhost:{secureWebsockets}',
    ]) {
      const trust = url.startsWith('ws:') ? '' : '--cafile {folder}/ca.pem';
      const more = `${trust} --proxy socks5h://127.0.0.1:${proxy.port}`;
      expect((await runOurs('pub', server.words(`-L ${url}/proxied -m ${url} -r ${more}`))).status).toBe(0);
      const { stdout } = await runOurs('sub', server.words(`-L ${url}/proxied -C 1 ${more}`));
      expect(stdout).toBe(`${words(url, server.mosquitto.ports)[0]}\n`);
    }
    expect(proxy.targets).toHaveLength(6);
    proxy.stop();
  });
});
