/**
 * The store of durable sessions alone, without a broker: what a batch costs its thread, how long one waits for its commit,
 * how fast all of it is read at a start, and what the process needs of memory. Takes about a minute and 700 MB of disk.
 *
 *   bun bench/durable/store.ts [--sessions N] [--messages N] [--sync full] [--folder DIR] [--json]
 *
 * The folder has to be on the disk that is meant: /tmp may be memory. CPU is that of the whole process, the thread that
 * makes the batches included; `stall` is how long the loop of that thread was late at most.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { SessionRecord, StoredMessage } from '../../src/storage/session-store.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';

const PER_BATCH = 500;
const TICK_MS = 5;

const { values: options } = parseArgs({
  options: {
    sessions: { type: 'string', default: '1000000' },
    messages: { type: 'string', default: '1000000' },
    sync: { type: 'string', default: 'normal' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const sessionCount = Number(options.sessions);
const messageCount = Number(options.messages);
if (options.sync !== 'normal' && options.sync !== 'full') throw new Error('--sync is normal or full');
const sync = options.sync;

interface Figures {
  readonly name: string;
  /** Things done. */
  readonly count: number;
  readonly perSecond: number;
  /** Of one call: a commit of a batch, or a read. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly cpuUs: number;
  readonly stallMs: number;
  readonly rssMb: number;
}

const folder = mkdtempSync(join(options.folder, 'martlet-bench-'));
const path = join(folder, 'martlet.db');
const store = new SqliteStore({ path, sync, onNotice: (line) => console.error(line) });

/** Visits all below `count` (a power of two or not) once, in an order that no cache likes. */
const scattered = (i: number, count: number) => (i * 7_919) % count;

const payload = new Uint8Array(200).fill(65);
const properties = new Uint8Array(0);

function message(topicName: string, retain: boolean): StoredMessage {
  return { topicName, payload, properties, qos: 1, retain, expiresAtMs: 0, publisherId: 'publisher-17' };
}

function session(i: number, awaySinceMs: number): SessionRecord {
  const clientId = `client-${i}`;
  const rest = { protocolVersion: 5, username: null, expiryInterval: 86_400, sentSeq: 0, will: null };
  return { id: i + 1, clientId, awaySinceMs, ...rest };
}

function rssMb(): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024);
}

/** Watches a phase: what it costs, and how late the loop of this thread gets. */
async function measure(name: string, count: number, run: (took: (ms: number) => void) => Promise<void>): Promise<void> {
  const times: number[] = [];
  let stallMs = 0;
  let last = performance.now();
  const ticks = setInterval(() => {
    const now = performance.now();
    stallMs = Math.max(stallMs, now - last - TICK_MS);
    last = now;
  }, TICK_MS);
  const start = performance.now();
  const cpu = process.cpuUsage();
  await run((ms) => times.push(ms));
  const elapsed = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(ticks);
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  print({
    name,
    count,
    perSecond: (count / elapsed) * 1_000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    cpuUs: (user + system) / count,
    stallMs,
    rssMb: rssMb(),
  });
}

const columns = ['per second', 'p50 ms', 'p99 ms', 'max ms', 'CPU us', 'stall ms', 'RSS MB'];
if (!options.json) console.log(`${''.padEnd(34)}${columns.map((one) => one.padStart(11)).join('')}`);

function print(figures: Figures): void {
  if (options.json) {
    console.log(JSON.stringify({ bench: 'store', sync, sessions: sessionCount, ...figures, bun: Bun.version }));
    return;
  }
  const { name, perSecond, p50Ms, p99Ms, maxMs, cpuUs, stallMs, rssMb: rss } = figures;
  const cells = [
    Math.round(perSecond).toLocaleString('en'),
    p50Ms.toFixed(2),
    p99Ms.toFixed(1),
    maxMs.toFixed(1),
    cpuUs.toFixed(1),
    stallMs.toFixed(0),
    String(rss),
  ];
  console.log(`${name.padEnd(34)}${cells.map((cell) => cell.padStart(11)).join('')}`);
}

/** Commits batches one after the other, and fills the next while one is under way, as the broker does. */
function commitAll(name: string, count: number, write: (batch: StoreBatch, i: number) => void): Promise<void> {
  return measure(name, count, async (took) => {
    let next = new StoreBatch();
    let busy = new StoreBatch();
    let committing: Promise<void> = Promise.resolve();
    for (let i = 0; i < count;) {
      next.clear();
      for (const end = Math.min(count, i + PER_BATCH); i < end; i++) write(next, i);
      await committing;
      [next, busy] = [busy, next];
      const start = performance.now();
      committing = store.commit(busy).then(() => took(performance.now() - start));
    }
    await committing;
  });
}

async function readPages(
  name: string,
  count: number,
  read: (after: number) => Promise<{ rows: number; last: number }>,
) {
  await measure(name, count, async (took) => {
    let done = 0;
    for (let after = 0; done < count;) {
      const start = performance.now();
      const { rows, last } = await read(after);
      took(performance.now() - start);
      done += rows;
      after = last;
    }
  });
}

async function readAll(): Promise<void> {
  await readPages('read sessions, 5,000 a page', sessionCount, async (after) => {
    const page = await store.readSessions(after, 5_000);
    return { rows: page.length, last: page.at(-1)?.id ?? 0 };
  });
  await readPages('read index, 100,000 a page', messageCount, async (after) => {
    const { seqs } = await store.readDeliveryIndex(after, 100_000);
    return { rows: seqs.length, last: seqs.at(-1) ?? 0 };
  });
}

async function readQueues(clients: number): Promise<void> {
  await measure('read queue of 100, scattered', clients * 100, async (took) => {
    for (let client = 0; client < clients; client++) {
      const seqs = Array.from({ length: 100 }, (_, k) => 1 + scattered(client + k * 104_729, messageCount));
      const start = performance.now();
      await store.readDeliveries(seqs, 1_000_000);
      took(performance.now() - start);
    }
  });
}

try {
  await store.open();
  const fifth = Math.floor(messageCount / 5);
  await commitAll('new session, one subscription', sessionCount, (batch, i) => {
    batch.putSession(session(i, 1));
    batch.putSubscription(i + 1, {
      filterText: `devices/${i}/#`,
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      identifier: 0,
    });
  });
  await commitAll('message of 200 B, one delivery', messageCount, (batch, i) => {
    const to = scattered(i, sessionCount);
    batch.putMessage(i + 1, 1, message(`devices/${to}/alert`, false));
    batch.putDelivery(i + 1, to + 1, i + 1, 1, false, false, 0, 0, null, 240, 0);
  });
  const usedMb = Math.round((await store.usedBytes()) / 1e6);
  await store.close();
  const start = performance.now();
  await store.open();
  const openMs = performance.now() - start;
  await readAll();
  await readQueues(1_000);
  await commitAll('session comes or goes, scattered', Math.floor(sessionCount / 5), (batch, i) => {
    batch.putSession(session(scattered(i, sessionCount), 2));
  });
  await commitAll('deliver, in order', 2 * fifth, (batch, i) => batch.deleteDelivery(i + 1));
  await commitAll('deliver, scattered', fifth, (batch, i) => {
    batch.deleteDelivery(2 * fifth + 1 + scattered(i, messageCount - 2 * fifth));
  });
  await commitAll('retain, new topic', fifth, (batch, i) =>
    batch.putRetained(message(`state/${scattered(i, fifth)}`, true)),
  );
  await commitAll('retain, known topic', fifth, (batch, i) => {
    batch.putRetained(message(`state/${scattered(i + 3, fifth)}`, true));
  });
  await measure('copy of the store', 1, () => store.backup(join(folder, 'copy.db')));
  if (!options.json) console.log(`\n${usedMb} MB on disk when full; opened in ${openMs.toFixed(0)} ms; sync ${sync}`);
} finally {
  await store.close();
  rmSync(folder, { recursive: true });
}
