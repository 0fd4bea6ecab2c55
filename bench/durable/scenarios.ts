/** What is measured of durable sessions. Each answers with rows: variant, then figures. */
import { join } from 'node:path';
import { cpuSecondsBetween, readCpu, rssBytes } from '../side-by-side/proc.ts';
import { BrokerUnderTest, storeFolder, type Variant } from './broker-under-test.ts';
import { fillStore } from './fill-store.ts';
import { connectBytes, publishBytes, RawClient, subscribeBytes } from './raw-client.ts';

export interface Sizes {
  readonly sessions: number;
  readonly messages: number;
  readonly seconds: number;
  readonly pairs: number;
  /** Messages a second of all pairs together. */
  readonly rate: number;
  readonly returning: number;
  readonly queuedEach: number;
}

export const fullSizes: Sizes = {
  sessions: 1_000_000,
  messages: 1_000_000,
  seconds: 10,
  pairs: 100,
  rate: 20_000,
  returning: 10_000,
  queuedEach: 100,
};

export const shortSizes: Sizes = {
  sessions: 2_000,
  messages: 4_000,
  seconds: 1,
  pairs: 10,
  rate: 500,
  returning: 100,
  queuedEach: 20,
};

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What went wrong: a figure that counts for nothing. */
  readonly faults: readonly string[];
}

const MIB = 1024 * 1024;
const text = (value: number, digits = 0) =>
  value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });

/** The value below which a part of all lie. */
function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** Connects clients that keep their session, has each subscribe to `d/I`, and leaves. */
async function makeSessions(port: number, count: number): Promise<void> {
  let next = 1;
  const work = async () => {
    for (let i = next++; i <= count; i = next++) {
      const done = Promise.withResolvers<void>();
      const client = await RawClient.open(port, { onSuback: done.resolve });
      client.send(connectBytes(`s${i}`, false));
      client.send(subscribeBytes(`d/${i}`, 1));
      await done.promise;
      client.send(Uint8Array.of(0xe0, 0));
      await client.closed;
    }
  };
  await Promise.all(Array.from({ length: 50 }, work));
}

/** QoS 1 to sessions whose clients are away: how many are acknowledged a second. */
export async function offline(variants: readonly Variant[], sizes: Sizes, sessions: number): Promise<Table> {
  const rows: string[][] = [];
  const faults: string[] = [];
  for (const variant of variants) {
    const folder = storeFolder();
    try {
      const isFilled = variant === 'normal' || variant === 'full';
      if (isFilled)
        await fillStore(join(folder.path, 'data/martlet.db'), { sessions, messages: 0, payloadBytes: 0, retained: 0 });
      const broker = await BrokerUnderTest.start(variant, folder.path);
      try {
        if (isFilled) await broker.untilRestored(folder.path);
        else await makeSessions(broker.port, sessions);
        const before = readCpu(broker.pid);
        const { acknowledged, latencies, elapsedMs } = await flood(broker.port, sessions, sizes.seconds);
        const cpu = cpuSecondsBetween(before, readCpu(broker.pid));
        rows.push([
          variant,
          text(acknowledged / (elapsedMs / 1_000)),
          text(percentile(latencies, 0.5), 1),
          text(percentile(latencies, 0.99), 1),
          text((cpu * 1e6) / acknowledged, 1),
          text(rssBytes(broker.pid) / MIB),
        ]);
        if (acknowledged === 0) faults.push(`${variant}: nothing was acknowledged`);
      } finally {
        await broker.stop('SIGKILL');
      }
    } finally {
      folder.remove();
    }
  }
  return {
    title: `QoS 1, 200 B, to ${text(sessions)} sessions whose clients are away; 10 publishers with 500 under way each`,
    head: ['variant', 'acknowledged /s', 'p50 ms', 'p99 ms', 'cpu us/msg', 'RSS MiB'],
    rows,
    faults,
  };
}

async function flood(port: number, sessions: number, seconds: number) {
  const WINDOW = 500;
  const payload = new Uint8Array(200).fill(0x41);
  const latencies: number[] = [];
  let acknowledged = 0;
  let isOver = false;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: 10 }, async (_, k) => {
      const sentAt = new Map<number, number>();
      const finished = Promise.withResolvers<void>();
      let nextId = 1;
      const pump = () => {
        const now = performance.now();
        const packets: Uint8Array[] = [];
        while (sentAt.size < WINDOW) {
          const topic = `d/${1 + Math.floor(Math.random() * sessions)}`;
          packets.push(publishBytes(topic, nextId, payload));
          sentAt.set(nextId, now);
          nextId = (nextId % 65_535) + 1;
        }
        if (packets.length > 0) client.send(Buffer.concat(packets));
      };
      let isPumping = false;
      const client = await RawClient.open(port, {
        onConnack: pump,
        onPuback(packetId) {
          const at = sentAt.get(packetId)!;
          sentAt.delete(packetId);
          acknowledged++;
          if (acknowledged % 16 === 0) latencies.push(performance.now() - at);
          if (isOver) {
            if (sentAt.size === 0) finished.resolve();
          } else if (!isPumping) {
            isPumping = true;
            setImmediate(() => {
              isPumping = false;
              if (!isOver) pump();
            });
          }
        },
      });
      client.send(connectBytes(`flood${k}`, true));
      setTimeout(() => (isOver = true), seconds * 1_000);
      await Promise.race([finished.promise, Bun.sleep(seconds * 1_000 + 10_000)]);
      client.close();
    }),
  );
  return { acknowledged, latencies: latencies.sort((a, b) => a - b), elapsedMs: performance.now() - startedAt };
}

/** Pairs at a given rate, both ends connected, the receivers with sessions that are kept. */
export async function online(variants: readonly Variant[], sizes: Sizes): Promise<Table> {
  const rows: string[][] = [];
  const faults: string[] = [];
  for (const variant of variants) {
    const folder = storeFolder();
    const broker = await BrokerUnderTest.start(variant, folder.path);
    try {
      const before = readCpu(broker.pid);
      const { sent, received, latencies } = await pacedPairs(broker.port, sizes);
      const cpu = cpuSecondsBetween(before, readCpu(broker.pid));
      await broker.stop();
      const log = await Bun.file(join(folder.path, 'broker.log')).text();
      const changes = /(\d+) changes in (\d+) batches/.exec(log);
      rows.push([
        variant,
        text(percentile(latencies, 0.5), 2),
        text(percentile(latencies, 0.99), 1),
        text((cpu * 1e6) / received, 1),
        changes === null ? '' : text(Number(changes[1]) / sent, 3),
      ]);
      if (received !== sent) faults.push(`${variant}: ${sent} sent, ${received} received`);
    } finally {
      await broker.stop();
      folder.remove();
    }
  }
  return {
    title: `QoS 1, 200 B, ${sizes.pairs} pairs, ${text(sizes.rate)} msg/s together, receivers connected with sessions that are kept`,
    head: ['variant', 'p50 ms', 'p99 ms', 'cpu us/msg', 'writes/msg'],
    rows,
    faults,
  };
}

async function pacedPairs(port: number, { pairs, rate, seconds }: Sizes) {
  const latencies: number[] = [];
  let received = 0;
  let sent = 0;
  let acknowledged = 0;
  const ready: Promise<void>[] = [];
  const clients: RawClient[] = [];
  const senders: RawClient[] = [];
  for (let i = 0; i < pairs; i++) {
    const subscribed = Promise.withResolvers<void>();
    const connected = Promise.withResolvers<void>();
    const receiver = await RawClient.open(port, {
      onSuback: subscribed.resolve,
      onPublish(payload) {
        received++;
        const dueMs = new DataView(payload.buffer, payload.byteOffset).getFloat64(0);
        if (received % 8 === 0) latencies.push(performance.now() - dueMs);
      },
    });
    receiver.send(connectBytes(`receiver${i}`, false));
    receiver.send(subscribeBytes(`pair/${i}`, 1));
    const sender = await RawClient.open(port, {
      onConnack: () => connected.resolve(),
      onPuback: () => void acknowledged++,
    });
    sender.send(connectBytes(`sender${i}`, true));
    ready.push(subscribed.promise, connected.promise);
    clients.push(receiver, sender);
    senders.push(sender);
  }
  await Promise.all(ready);
  const payload = new Uint8Array(200);
  const view = new DataView(payload.buffer);
  const total = rate * seconds;
  const startedAt = performance.now();
  // Latency counts from when a message was due, so that a broker that stalls can't hide it.
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) / 1_000) * rate));
    for (; sent < due; sent++) {
      view.setFloat64(0, startedAt + (sent / rate) * 1_000);
      const k = sent % pairs;
      senders[k]!.send(publishBytes(`pair/${k}`, (Math.floor(sent / pairs) % 65_535) + 1, payload));
    }
    await Bun.sleep(1);
  }
  for (let waited = 0; waited < 5_000 && (received < total || acknowledged < total); waited += 50) await Bun.sleep(50);
  for (const one of clients) one.close();
  return { sent, received, latencies: latencies.sort((a, b) => a - b) };
}

/** Start with a large store, and then all clients return at once for what waits. */
export async function comeBack(sizes: Sizes): Promise<Table> {
  const folder = storeFolder();
  const { returning, queuedEach } = sizes;
  const messages = returning * queuedEach;
  const faults: string[] = [];
  try {
    const path = join(folder.path, 'data/martlet.db');
    await fillStore(path, { sessions: returning, messages, payloadBytes: 200, retained: 0 });
    const broker = await BrokerUnderTest.start('normal', folder.path);
    try {
      await broker.untilRestored(folder.path);
      const before = readCpu(broker.pid);
      const startedAt = performance.now();
      let received = 0;
      let present = 0;
      const clients: RawClient[] = [];
      for (let i = 1; i <= returning; i++) {
        const client = await RawClient.open(broker.port, {
          onConnack: (sessionPresent) => void (present += sessionPresent ? 1 : 0),
          onPublish: () => void received++,
        });
        client.send(connectBytes(`s${i}`, false));
        clients.push(client);
      }
      const connectedMs = performance.now() - startedAt;
      for (let idle = 0, last = 0; received < messages && idle < 10_000; idle += 20) {
        await Bun.sleep(20);
        if (received > last) idle = 0;
        last = received;
      }
      const elapsedMs = performance.now() - startedAt;
      const cpu = cpuSecondsBetween(before, readCpu(broker.pid));
      if (received !== messages) faults.push(`${messages} waited, ${received} came`);
      if (present !== returning) faults.push(`${returning} came back, ${present} found their session`);
      const rss = rssBytes(broker.pid);
      for (const one of clients) one.close();
      return {
        title: `${text(returning)} clients return at once, ${text(queuedEach)} messages of 200 B wait for each`,
        head: ['variant', 'all connected s', 'all received s', 'msg/s', 'cpu us/msg', 'RSS MiB'],
        rows: [
          [
            'normal',
            text(connectedMs / 1_000, 1),
            text(elapsedMs / 1_000, 1),
            text(messages / (elapsedMs / 1_000)),
            text((cpu * 1e6) / messages, 1),
            text(rss / MIB),
          ],
        ],
        faults,
      };
    } finally {
      await broker.stop();
    }
  } finally {
    folder.remove();
  }
}

/** Start with a large store. */
export async function startUp(sizes: Sizes): Promise<Table> {
  const folder = storeFolder();
  try {
    const { sessions, messages } = sizes;
    const path = join(folder.path, 'data/martlet.db');
    await fillStore(path, { sessions, messages, payloadBytes: 200, retained: 0 });
    const startedAt = performance.now();
    const broker = await BrokerUnderTest.start('normal', folder.path);
    try {
      await broker.untilRestored(folder.path);
      const restoredMs = performance.now() - startedAt;
      return {
        title: `Start with ${text(sessions)} sessions, a subscription each, and ${text(messages)} messages of 200 B`,
        head: ['variant', 'first CONNACK s', 'all taken up s', 'RSS MiB', 'file MiB'],
        rows: [
          [
            'normal',
            text(broker.firstConnackMs / 1_000, 2),
            text(restoredMs / 1_000, 1),
            text(rssBytes(broker.pid) / MIB),
            text(Bun.file(path).size / MIB),
          ],
        ],
        faults: [],
      };
    } finally {
      await broker.stop();
    }
  } finally {
    folder.remove();
  }
}
