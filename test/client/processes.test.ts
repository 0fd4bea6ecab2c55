// Our commands as processes: signals, pipes, standard input that stays open, large messages.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PacketType } from '../../src/protocol/packet-type.ts';
import { obliging, startFakeServer } from '../support/client/fake-server.ts';
import { sized } from '../support/long-run.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';

let server: Mosquitto;

beforeAll(async () => {
  server = await startMosquitto({ mqtt: ['allow_anonymous true'], locked: ['allow_anonymous false'] }, [
    'per_listener_settings true',
    'max_queued_messages 0',
  ]);
});
afterAll(() => server.stop());

const runner = join(import.meta.dir, 'run-command.ts');

function start(
  command: 'pub' | 'sub',
  line: string,
  stdin: 'ignore' | 'pipe' = 'ignore',
  port: number = server.ports['mqtt']!,
) {
  const args = ['-h', '127.0.0.1', '-p', String(port), ...line.split(' ')];
  return Bun.spawn([process.execPath, runner, command, ...args], { stdin, stdout: 'pipe', stderr: 'pipe' });
}

function subscribed(id: string) {
  return server.waitForLog(new RegExp(`Sending SUBACK to ${id}\\b`));
}

describe('sub', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s: disconnects and leaves with 0', async (signal) => {
    const child = start('sub', `-t sig -i ${signal} -d`);
    await subscribed(signal);
    child.kill(signal);
    expect(await child.exited).toBe(0);
    expect(await child.stdout.text()).toEndWith(`Client ${signal} sending DISCONNECT\n`);
    await server.waitForLog(new RegExp(`Received DISCONNECT from ${signal}`));
  });

  test('a reader that goes away ends it quietly, after DISCONNECT', async () => {
    const child = Bun.spawn(
      ['sh', '-c', `"$0" "$@" | head -n 1`, process.execPath, runner, 'sub', '-h', '127.0.0.1'].concat(
        `-p ${server.ports['mqtt']} -t pipe/# -i pipe -v`.split(' '),
      ),
      { stdout: 'pipe', stderr: 'pipe' },
    );
    await subscribed('pipe');
    const publisher = start('pub', '-t pipe/1 -m x --repeat 100000');
    expect(await child.stdout.text()).toBe('pipe/1 x\n');
    expect(await child.stderr.text()).toBe('');
    expect(await child.exited).toBe(0);
    await server.waitForLog(/Received DISCONNECT from pipe/);
    publisher.kill();
    await publisher.exited;
  });

  test('a slow reader costs bounded memory, loses nothing and keeps the connection', async () => {
    const count = sized(100_000, 200_000);
    const pinged = Promise.withResolvers<void>();
    const flood = startFakeServer((connection, packet) => {
      obliging(connection, packet);
      if (packet?.type === PacketType.subscribe) connection.sendBytes(numberedMessages(count));
      if (packet?.type === PacketType.pingreq) pinged.resolve();
    });
    // The reader begins when the client had to ping.
    const script = `{ "$0" "$@"; echo "status $?" >&2; } | { read -r first; cat ${server.folder}/go; echo "$first"; cat; }`;
    await Bun.$`mkfifo ${server.folder}/go`;
    const args = `sub -h 127.0.0.1 -p ${flood.port} -t slow -C ${count} -k 5`.split(' ');
    const child = Bun.spawn(['sh', '-c', script, process.execPath, runner, ...args], {
      stdout: 'pipe',
      stderr: 'pipe',
      env: { ...process.env, TELL_PEAK: '1' },
    });
    await pinged.promise;
    await Bun.write(`${server.folder}/go`, '');
    let expected = 0;
    let rest = '';
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith(`${expected} `)) expected++;
    }
    expect(expected).toBe(count);
    const told = /^peak (\d+)\nstatus 0\n$/.exec(await child.stderr.text());
    expect(Number(told?.[1])).toBeLessThan(200_000);
    expect(flood.connections).toHaveLength(1);
    await child.exited;
    flood.stop();
  }, 20_000);
});

/** PUBLISH packets of some 120 bytes whose payload begins with their number. */
function numberedMessages(count: number): Uint8Array {
  const filler = 'x'.repeat(100);
  const packets: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const payload = new TextEncoder().encode(`${i} ${filler}`);
    packets.push(Uint8Array.of(0x30, payload.length + 6, 0, 4, 0x73, 0x6c, 0x6f, 0x77), payload);
  }
  return Buffer.concat(packets);
}

describe('pub', () => {
  test('-l sends a line when it comes, and ends with the input', async () => {
    const reader = start('sub', '-t lines -i lines -C 2');
    await subscribed('lines');
    const child = start('pub', '-t lines -l -q 1', 'pipe');
    child.stdin!.write('one\ntw');
    child.stdin!.flush();
    const output = reader.stdout.getReader();
    const first = await output.read();
    expect(new TextDecoder().decode(first.value)).toBe('one\n');
    child.stdin!.write('o');
    await child.stdin!.end();
    expect(await child.exited).toBe(0);
    expect(new TextDecoder().decode((await output.read()).value)).toBe('two\n');
    expect(await reader.exited).toBe(0);
  });

  test('-l leaves although its input stays open, where the broker refuses it', async () => {
    const child = start('pub', '-t a -l', 'pipe', server.ports['locked']);
    expect(await child.exited).toBe(5);
    await child.stdin!.end();
  });

  test('-l passes many lines through in order', async () => {
    const count = sized(100_000, 300_000);
    const sink = startFakeServer(obliging);
    const child = start('pub', '-t many -l', 'pipe', sink.port);
    for (let i = 0; i < count; i += 10_000) {
      child.stdin!.write(Array.from({ length: 10_000 }, (_, k) => `${i + k}\n`).join(''));
      await child.stdin!.flush();
    }
    await child.stdin!.end();
    expect(await child.exited).toBe(0);
    const payloads = sink.connections[0]!.received.filter((packet) => packet.type === PacketType.publish).map(
      (packet) => new TextDecoder().decode(packet.payload),
    );
    expect(payloads).toHaveLength(count);
    expect(payloads.every((payload, i) => payload === String(i))).toBe(true);
    sink.stop();
  }, 20_000);

  test('-f sends a large file whole', async () => {
    const folder = join(server.folder, 'large');
    await mkdir(folder);
    const payload = new Uint8Array(sized(20_000_000, 100_000_000));
    for (let i = 0; i < payload.length; i += 997) payload[i] = i;
    await Bun.write(join(folder, 'sent'), payload);
    const reader = start('sub', '-t large -i large -C 1 -N');
    await subscribed('large');
    const child = start('pub', `-t large -f ${join(folder, 'sent')} -q 1`);
    expect(await child.exited).toBe(0);
    const hash = new Bun.CryptoHasher('sha1');
    for await (const chunk of reader.stdout) hash.update(chunk);
    expect(hash.digest('hex')).toBe(new Bun.CryptoHasher('sha1').update(payload).digest('hex'));
    expect(await reader.exited).toBe(0);
  }, 30_000);
});
