// What mosquitto_sub 2.1 has beyond 2.0, and where to connect is told by the DNS.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runPub } from '../../src/cli/pub.ts';
import { describeLatency } from '../../src/cli/rr.ts';
import { runSub } from '../../src/cli/sub.ts';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { type Command, runOurs, words } from '../support/client/compare-commands.ts';
import { obliging, startFakeServer } from '../support/client/fake-server.ts';
import { MemoryIo } from '../support/client/memory-io.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';

setDefaultTimeout(30_000);

let server: Mosquitto;

beforeAll(async () => {
  server = await startMosquitto({ mqtt: [], websockets: ['protocol websockets'] });
});
afterAll(() => server.stop());

const there = '-h 127.0.0.1 -p {mqtt}';

function args(line: string): string[] {
  return words(line, { ...server.ports, folder: server.folder });
}

/** What a command sends to a server that grants everything and is silent. */
async function packetsOf(command: Command, line: string) {
  const fake = startFakeServer(obliging);
  const result = await runOurs(command, words(`-h 127.0.0.1 -p ${fake.port} ${line}`, {}));
  fake.stop();
  return { ...result, packets: fake.connections.flatMap(({ received }) => received) };
}

describe('-F', () => {
  async function print(payload: Uint8Array, format: string): Promise<{ stdout: string; stderr: string }> {
    const file = join(server.folder, 'payload');
    await writeFile(file, payload);
    await runOurs('pub', args(`${there} -t format -r -f ${file}`));
    const { stdout, stderr } = await runOurs('sub', args(`${there} -t format -C 1 -F '${format}'`));
    return { stdout, stderr };
  }
  const float = (value: number) => new Uint8Array(Float32Array.of(value).buffer);
  const double = (value: number) => new Uint8Array(Float64Array.of(value).buffer);

  test.each<[string, Uint8Array, string]>([
    ['%f|%.2f|%10.1f|%-10.1f|%010.1f|', float(-1.5), '-1.500000|-1.50|      -1.5|-1.5      |-0000001.5|'],
    ['%d|%.10d|%.0d', double(Math.PI), '3.141593|3.1415926536|3'],
    ['%f|%010f', float(Infinity), 'inf|       inf'],
    ['%.2x|%.4:X|%x', Uint8Array.of(0x18, 0x83, 0xab), '18 83 ab|1883:AB|1883ab'],
    // Since 2.1 a width of %x cuts nothing off that fits in it.
    ['%4x|%8x|%-8x|%08X|', Uint8Array.of(0x18, 0xab), '18ab|    18ab|18ab    |000018AB|'],
    ['%1x|%1p', Uint8Array.of(0x61, 0x62), '61|a'],
    ['%R|%5R|%C|%5C|%05A|%P|%D|', Uint8Array.of(0x61), '|||     |00000|||'],
  ])('%s', async (format, payload, expected) => {
    expect(await print(payload, format)).toEqual({ stdout: `${expected}\n`, stderr: '' });
  });

  test('a payload that is no float is an error on standard error', async () => {
    const { stdout, stderr } = await print(double(1), '<%f>');
    expect(stdout).toBe('<>\n');
    expect(stderr).toBe('Error: requested float printing, but non-float data received: 8 bytes instead of 4.\n');
  });

  test.each([
    ['%0-5l', "Invalid format specifier '5'."],
    ['%--5l', "Invalid format specifier '5'."],
    ['%:', 'Incomplete format specifier.'],
    ['%.2', 'Incomplete format specifier.'],
    ['%9999999t', 'Field width 9999999 in format is larger than 1000000.'],
  ])('%s is refused', async (format, message) => {
    const { status, stderr } = await runOurs('sub', ['-t', 'a', '-F', format]);
    expect(status).toBe(1);
    expect(stderr).toStartWith(`Error: ${message}\n`);
  });
});

test.concurrent('-w: each topic has a line of its own', async () => {
  const watching = runOurs('sub', args(`${there} -t watch/# -i watcher -C 4 -v -w`));
  await server.waitForLog(/Sending SUBACK to watcher/);
  for (const line of ['-t watch/a -m long', '-t watch/b -m 1', '-t watch/a -m 2', '-t watch/c -m 3']) {
    await runOurs('pub', args(`${there} -q 1 ${line}`));
  }
  const at = (line: number, text: string, last: number) => `\x1b[${line};1H\x1b[K${text}\n\x1b[${last};1H\n`;
  expect((await watching).stdout).toBe(
    '\x1b[2J\x1b[1;1HBroker: 127.0.0.1\n' +
      at(2, 'watch/a long', 2) +
      at(3, 'watch/b 1', 3) +
      at(2, 'watch/a 2', 3) +
      at(4, 'watch/c 3', 4),
  );
});

test.concurrent('--message-rate counts instead of printing, and -W ends it', async () => {
  const counting = runOurs('sub', args(`${there} -t rate -i counter -W 3 --message-rate -v -C 1`));
  await server.waitForLog(/Sending SUBACK to counter/);
  await runOurs('pub', args(`${there} -t rate -m x --repeat 5`));
  const { status, stdout } = await counting;
  expect(status).toBe(27);
  const counts = stdout
    .trimEnd()
    .split('\n')
    .map((line) => Number(/^(\d+) msgs\/s$/.exec(line)![1]));
  expect(counts.length).toBeGreaterThanOrEqual(2);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
});

describe('subscriptions', () => {
  test.concurrent.each([
    ['', 0],
    ['--retain-handling always', 0],
    ['--retain-handling new', 1],
    ['--retain-handling never', 2],
    ['-R', 2],
    ['-R --retain-handling new', 1],
    // What is not sent cannot be removed.
    ['-R --remove-retained', 0],
  ])('v5 section 3.8.3.1: retain handling with "%s"', async (line, retainHandling) => {
    const { packets } = await packetsOf('sub', `-V 5 -t a -E ${line}`);
    const subscribe = packets.find((packet) => packet.type === PacketType.subscribe);
    expect(subscribe).toMatchObject({ subscriptions: [{ topicFilter: 'a', retainHandling }] });
  });

  test.concurrent('--retain-handling takes no other word', async () => {
    const { status, stderr } = await runOurs('sub', ['-t', 'a', '--retain-handling', 'often']);
    expect(status).toBe(1);
    expect(stderr).toStartWith("Error: Unknown value 'often' for --retain-handling.\n");
  });

  test.concurrent.each([
    ['sub', '-C 3', 3],
    ['sub', '-C 20', undefined],
    ['sub', '-C 3 -D connect receive-maximum 7', 7],
    ['rr', '-e b -m x -W 1', 1],
  ] as const)(
    'v5 section 3.1.2.11.3: %s %s has no more on their way than it prints',
    async (command, line, expected) => {
      const more = command === 'sub' ? '-W 1' : '';
      const { packets } = await packetsOf(command, `-V 5 -t a ${line} ${more}`);
      const connect = packets.find((packet) => packet.type === PacketType.connect);
      expect(connect?.type === PacketType.connect ? connect.properties?.receiveMaximum : null).toBe(expected);
    },
  );

  test.concurrent('-U alone: unsubscribes and, with -E, leaves when that is acknowledged', async () => {
    await runOurs('sub', args(`${there} -t kept/1 -t kept/2 -c -i keeper -E -q 1`));
    expect((await runOurs('sub', args(`${there} -U kept/1 -U kept/none -c -i keeper -E`))).status).toBe(0);
    await runOurs('pub', args(`${there} -t kept/1 -m one -q 1`));
    await runOurs('pub', args(`${there} -t kept/2 -m two -q 1`));
    const { stdout } = await runOurs('sub', args(`${there} -U kept/none -c -i keeper -C 1 -q 1`));
    expect(stdout).toBe('two\n');
    await runOurs('sub', args(`${there} -t x -i keeper -E`));
  });

  test('-x turns MQTT 5 on', async () => {
    const { packets } = await packetsOf('sub', '-t a -E -x 5');
    expect(packets[0]).toMatchObject({ protocolVersion: 5, properties: { sessionExpiryInterval: 5 } });
  });
});

test('a refusal of a publish is told with the reason string of the broker', async () => {
  const fake = startFakeServer((connection, packet) => {
    if (packet?.type !== PacketType.publish) return obliging(connection, packet);
    const { packetId } = packet;
    connection.send({ type: PacketType.puback, packetId, reasonCode: 0x97, properties: { reasonString: 'too many' } });
  });
  const line = words(`-h 127.0.0.1 -p ${fake.port} -V 5 -q 1 -t a`, {});
  const stderr = 'Warning: Publish 1 failed: Quota exceeded.\ntoo many\n';
  expect(await runOurs('pub', [...line, '-m', 'x'])).toEqual({ status: 0, stdout: '', stderr });
  expect(await runOurs('pub', [...line, '-l'], 'x\n')).toEqual({ status: 0, stdout: '', stderr });
  fake.stop();
});

describe('-S', () => {
  const record = (name: string, port: number, priority: number, weight: number) => ({ name, port, priority, weight });

  async function withRecords(line: string, records: ReturnType<typeof record>[] | Error) {
    const io = new MemoryIo();
    const asked: string[] = [];
    io.resolveSrv = (name) => {
      asked.push(name);
      return records instanceof Error ? Promise.reject(records) : Promise.resolve(records);
    };
    const status = await runPub(words(line, {}), io);
    return { status, asked, stderr: io.stderr.text };
  }

  test('asks for the host and port of the lowest priority', async () => {
    const port = server.ports['mqtt']!;
    const records = [record('127.0.0.1', 1, 20, 5), record('127.0.0.1', port, 10, 5), record('127.0.0.1', port, 10, 0)];
    const { status, asked } = await withRecords('-S -h example.test -t a -m x -p 99', records);
    expect({ status, asked }).toEqual({ status: 0, asked: ['_mqtt._tcp.example.test'] });
    // As mosquitto_pub, whatever -p says.
    const secure = await withRecords('-S -h example.test -t a -m x --tls-use-os-certs', records);
    expect(secure.asked).toEqual(['_secure-mqtt._tcp.example.test']);
  });

  test.each<[string, ReturnType<typeof record>[] | Error, string]>([
    ['no record', new Error('ENOTFOUND'), 'There is no SRV record _mqtt._tcp.example.test.'],
    ['an empty answer', [], 'The SRV record _mqtt._tcp.example.test names no server.'],
    ['a service that is not offered', [record('', 0, 0, 0)], 'The SRV record _mqtt._tcp.example.test names no server.'],
  ])('%s', async (_name, records, why) => {
    const { status, stderr } = await withRecords('-S -h example.test -t a -m x', records);
    expect({ status, stderr }).toEqual({ status: 1, stderr: `Unable to connect (Lookup error.).\n${why}\n` });
  });

  test('records of one priority are chosen by their weight', async () => {
    const refused = [record('127.0.0.1', 1, 0, 0), record('127.0.0.1', server.ports['mqtt']!, 0, 65_535)];
    let connected = 0;
    for (let i = 0; i < 20; i++) if ((await withRecords('-S -h h -t a -m x', refused)).status === 0) connected++;
    // Chance sends one in 65,536 elsewhere.
    expect(connected).toBeGreaterThanOrEqual(19);
  });
});

test('--mptcp is TCP with a warning, and --quiet without', async () => {
  const { status, stderr } = await runOurs('pub', args(`${there} -t a -m x --mptcp`));
  expect(status).toBe(0);
  expect(stderr).toMatch(/^Warning: --mptcp is not available here: .+\n$/);
  expect((await runOurs('pub', args(`${there} -t a -m x --mptcp --quiet`))).stderr).toBe('');
});

test('--no-tls undoes what turns TLS on, the port of it included', async () => {
  const port = server.ports['mqtt']!;
  for (const line of ['--cafile /nonexistent', '--tls-use-os-certs', '--psk 00 --psk-identity me', '--tls-engine x']) {
    const { status, stderr } = await runOurs('pub', args(`-h 127.0.0.1 -p ${port} -t a -m x ${line} --no-tls`));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  }
  const io = new MemoryIo();
  await runSub(words('-h 127.0.0.1 -p 8883 --no-tls -t a -d', {}), io);
  expect(io.stderr.text).toBe('Error: Connection refused\n');
});

test('--ws speaks MQTT over WebSocket', async () => {
  const line = args('-h 127.0.0.1 -p {websockets} --ws -t ws -q 1');
  expect((await runOurs('pub', [...line, '-m', 'x', '-r'])).status).toBe(0);
  expect((await runOurs('sub', [...line, '-C', '1'])).stdout).toBe('x\n');
});

test.each([
  [0.0005, '0.500000µs'],
  [0.25, '250.000000µs'],
  [1.5, '1.500000ms'],
  [999.9999999, '1000.000000ms'],
  [1_234.5678, '1.234567800'],
])('--latency of %d ms is told as %s', (ms, expected) => {
  expect(describeLatency(ms)).toBe(expected);
});
