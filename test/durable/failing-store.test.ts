import { afterEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PacketType, ProtocolVersion } from '../../src/protocol/packet-type.ts';
import { ReasonCode } from '../../src/protocol/reason-code.ts';
import { startBrokerProcess, until } from '../support/server.ts';
import { text } from '../support/test-broker.ts';
import { WireClient } from '../support/wire-client.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'martlet-full-'));
  folders.push(folder);
  return folder;
}

const configuration = (folder: string) => [
  'listener 0 127.0.0.1',
  'allow_anonymous true',
  'persistence true',
  `persistence_location ${folder}`,
  'max_queued_messages 0',
  'http_listener 0',
];

const KEPT = { cleanStart: false, properties: { sessionExpiryInterval: 3_600 } };

interface Fault {
  readonly name: string;
  /** Runs the broker where the store will fail. */
  wrapper(folder: string): string[];
  mend(pid: number, folder: string): void;
  /** Whether the files are still there when the process is not. */
  readonly outlivesProcess: boolean;
  readonly logged: RegExp;
  readonly reasonCode: number;
}

const faults: readonly Fault[] = [
  {
    name: 'a full disk',
    // A file system of 3 MiB with a ballast that can be taken away.
    wrapper: (folder) => [
      ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'],
      'mount -t tmpfs -o size=3m tmpfs "$0" && head -c 1048576 /dev/zero > "$0/ballast" && exec "$@"',
      folder,
    ],
    mend: (pid, folder) => rmSync(`/proc/${pid}/root${folder}/ballast`),
    outlivesProcess: false,
    logged: /Error: persistence fails: .*martlet\.db.*full/,
    reasonCode: ReasonCode.quotaExceeded,
  },
  {
    name: 'an I/O error',
    // The kernel takes no more bytes than this into any file of the process.
    wrapper: () => ['prlimit', '--fsize=1500000:unlimited'],
    mend: (pid) => expect(Bun.spawnSync(['prlimit', '--pid', String(pid), '--fsize=unlimited']).exitCode).toBe(0),
    outlivesProcess: true,
    logged: /Error: persistence fails: .*martlet\.db.*input\/output error/,
    reasonCode: ReasonCode.unspecifiedError,
  },
];

test.each(faults)(
  '$name: QoS 0 goes on, what cannot be stored is not acknowledged, and all goes on when it is over',
  async ({ wrapper, mend, outlivesProcess, logged, reasonCode }) => {
    const folder = dataFolder();
    const broker = await startBrokerProcess(configuration(folder), wrapper(folder));
    const port = broker.ports[0]!;
    const httpUrl = /HTTP on (\S+)/.exec(broker.log())![1]!;
    const health = async () => (await fetch(`${httpUrl}healthz`)).status;
    expect(await health()).toBe(200);

    const away = await WireClient.connect(port, { clientId: 'away', ...KEPT });
    await away.subscribe('to/away', 1);
    away.disconnect();
    await away.closed();
    const acknowledged: string[] = [];
    const payload = (name: string) => `${name} ${'x'.repeat(20_000)}`;
    // The message that meets the fault waits until it is over.
    const first = await WireClient.connect(port, { clientId: 'first' });
    let answered = 0;
    const isAnswered = () => {
      answered += first.packets.splice(0).length;
      return answered === acknowledged.length;
    };
    // Where the log of the store was what hit the limit, the store helps itself once or twice.
    for (let isFailing = false; !isFailing;) {
      first.publish('to/away', payload(`filler${acknowledged.length}`), { qos: 1 });
      acknowledged.push(`filler${acknowledged.length}`);
      const limit = performance.now() + 1_500;
      isFailing = await until('an answer, or none', () =>
        isAnswered() ? 'yes' : performance.now() > limit && 'no',
      ).then((answer) => answer === 'no');
    }
    expect(broker.log()).toMatch(logged);

    const sender = await WireClient.connect(port, { clientId: 'sender' });
    sender.publish('to/away', payload('refused'), { qos: 1 });
    expect((await sender.next(PacketType.puback)).reasonCode).toBe(reasonCode);
    expect(await health()).toBe(503);
    const watcher = await WireClient.connect(port, { clientId: 'watcher' });
    await watcher.subscribe('live', 0);
    sender.publish('live', 'still here');
    expect(text((await watcher.next(PacketType.publish)).payload)).toBe('still here');
    // QoS 1 that nobody has to store is not concerned.
    await watcher.subscribe('live/1', 1);
    sender.publish('live/1', 'and here', { qos: 1 });
    watcher.puback((await watcher.next(PacketType.publish)).packetId);
    expect((await sender.next(PacketType.puback)).reasonCode).toBe(0);
    const old = await WireClient.connect(port, { clientId: 'old', version: ProtocolVersion.v311 });
    old.publish('to/away', payload('waits'), { qos: 1 });
    await old.ping();

    mend(broker.pid, folder);
    await old.next(PacketType.puback);
    acknowledged.push('waits');
    await until('the store to work again', () => /Persistence works again/.test(broker.log()));
    expect(await health()).toBe(200);
    sender.publish('to/away', payload('after'), { qos: 1 });
    expect((await sender.next(PacketType.puback)).reasonCode).toBe(0);
    if (outlivesProcess) await broker.kill();

    const now = outlivesProcess ? await startBrokerProcess(configuration(folder)) : broker;
    const back = await WireClient.connect(now.ports[0]!, { clientId: 'away', ...KEPT });
    const got: string[] = [];
    while (!got.includes('after')) {
      const packet = await back.next(PacketType.publish);
      got.push(text(packet.payload).split(' ')[0]!);
      back.puback(packet.packetId);
    }
    expect(got).toEqual([...acknowledged, 'after']);
    await now.stop();
  },
  60_000,
);
