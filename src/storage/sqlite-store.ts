import {
  type DeliveryIndex,
  type ExpiredDelivery,
  type SessionStore,
  type StoredDelivery,
  type StoredMessage,
  type StoredSession,
  StoreError,
  StoreFault,
  type StoreSummary,
} from './session-store.ts';
import { copyDatabase } from './sqlite-backup.ts';
import { bytesOnDisk } from './sqlite-file.ts';
import { StoreLock } from './sqlite-lock.ts';
import {
  decodeDeliveries,
  decodeRetained,
  decodeSessions,
  type Expected,
  type PageBytes,
  type Replies,
  type Reply,
  type Request,
  type RequestKind,
  type Requests,
  type SyncMode,
} from './sqlite-protocol.ts';
import type { Marks } from './sqlite-writer.ts';
import type { StoreBatch } from './store-batch.ts';

export interface SqliteStoreOptions {
  readonly path: string;
  /** `normal`: what is committed survives the end of the process; `full`: a power loss too, for a sync of each batch. */
  readonly sync: SyncMode;
  /** Gets lines for the operator: a damaged file that was set aside, a thread that had to be started again. */
  readonly onNotice?: (line: string) => void;
}

/** A request fails when the thread died on it this often. */
const MOST_TRIES = 2;

interface Pending {
  readonly make: () => { readonly request: Request; readonly transfer: ArrayBuffer[] };
  readonly resolve: (value: Replies[RequestKind]) => void;
  readonly reject: (error: StoreError) => void;
  tries: number;
}

/** A file of SQLite, which a thread of its own reads and writes. */
export class SqliteStore implements SessionStore {
  private readonly path: string;
  private readonly sync: SyncMode;
  private readonly onNotice: (line: string) => void;
  private lock: StoreLock | null = null;
  private worker: Worker | null = null;
  /** In the order they were asked. */
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private lastBatch = 0;
  /** Null while it is not open. */
  private expects: Expected | null = null;
  private failed: { readonly number: number; readonly hash: number | bigint } | null = null;
  /** A page of sessions that was not asked for yet, as it is since the last batch. */
  private ahead: { readonly afterId: number; readonly limit: number; readonly bytes: Promise<PageBytes> } | null = null;
  private readonly backups = new Set<Promise<void>>();

  constructor(options: SqliteStoreOptions) {
    this.path = options.path;
    this.sync = options.sync;
    this.onNotice = options.onNotice ?? (() => {});
  }

  async open(): Promise<StoreSummary> {
    if (this.lock !== null) throw new StoreError(StoreFault.io, `${this.path} is open already`);
    this.lock = new StoreLock(this.path);
    try {
      const marks = await this.ask('open', { path: this.path, sync: this.sync, expects: null });
      this.expects = marks;
      this.lastBatch = marks.lastBatch;
      return summaryOf(marks);
    } catch (error) {
      this.letGo();
      throw error;
    }
  }

  /** To be called again only when the last one has settled, where its order to the others matters. */
  async commit(batch: StoreBatch): Promise<void> {
    this.demandOpen();
    if (batch.isEmpty) return;
    const number = this.numberFor(batch);
    this.ahead = null;
    try {
      await this.send('commit', () => {
        const bytes = batch.copy();
        return { body: { number, bytes }, transfer: [bytes.buffer] };
      });
    } catch (error) {
      this.failed = { number, hash: Bun.hash(batch.copy()) };
      throw error;
    }
    this.failed = null;
    if (this.expects !== null && number > this.expects.lastBatch) {
      this.expects = { uid: this.expects.uid, lastBatch: number };
    }
  }

  /**
   * A batch that failed may turn out to be stored: its sync failed, and its bytes were in the log already. Handed in again
   * it gets the same number, by which that is known.
   */
  private numberFor(batch: StoreBatch): number {
    const { failed, expects } = this;
    if (failed !== null && expects !== null && failed.number > expects.lastBatch) {
      if (failed.hash === Bun.hash(batch.copy())) return failed.number;
    }
    return ++this.lastBatch;
  }

  async readSessions(afterId: number, limit: number): Promise<StoredSession[]> {
    this.demandOpen();
    const { ahead } = this;
    this.ahead = null;
    const isAhead = ahead !== null && ahead.afterId === afterId && ahead.limit === limit;
    const sessions = decodeSessions(await (isAhead ? ahead.bytes : this.ask('sessions', { afterId, limit })));
    const last = sessions.at(-1);
    if (last !== undefined) this.readAhead(last.id, limit);
    return sessions;
  }

  /** The next page is read while the caller is busy with this one. */
  private readAhead(afterId: number, limit: number): void {
    if (this.expects === null) return;
    const bytes = this.ask('sessions', { afterId, limit });
    // Whoever asks for it is told; nobody may.
    bytes.catch(() => {});
    this.ahead = { afterId, limit, bytes };
  }

  async findSession(clientId: string): Promise<StoredSession | null> {
    this.demandOpen();
    return decodeSessions(await this.ask('session', { clientId }))[0] ?? null;
  }

  async readDeliveryIndex(afterSeq: number, limit: number): Promise<DeliveryIndex> {
    this.demandOpen();
    return this.ask('index', { afterSeq, limit });
  }

  async readDeliveries(
    seqs: readonly number[],
    maxBytes: number,
  ): Promise<{ deliveries: StoredDelivery[]; looked: number }> {
    this.demandOpen();
    const { bytes, looked } = await this.ask('deliveries', { seqs: Float64Array.from(seqs), maxBytes });
    return { deliveries: decodeDeliveries(bytes), looked };
  }

  async readRetained(afterTopic: string | null, limit: number): Promise<StoredMessage[]> {
    this.demandOpen();
    return decodeRetained(await this.ask('retained', { afterTopic, limit }));
  }

  async readExpired(wallMs: number, limit: number): Promise<ExpiredDelivery[]> {
    this.demandOpen();
    return this.ask('expired', { wallMs, limit });
  }

  async usedBytes(): Promise<number> {
    this.demandOpen();
    return bytesOnDisk(this.path);
  }

  async backup(path: string): Promise<void> {
    this.demandOpen();
    await this.ask('barrier', {});
    const copying = copyDatabase(this.path, path);
    this.backups.add(copying);
    try {
      await copying;
    } finally {
      this.backups.delete(copying);
    }
  }

  async close(): Promise<void> {
    if (this.lock === null) return;
    await Promise.allSettled(this.backups);
    try {
      await this.ask('close', {});
    } finally {
      this.letGo();
    }
  }

  private demandOpen(): void {
    if (this.expects === null) throw new StoreError(StoreFault.io, `${this.path} is not open`);
  }

  private letGo(): void {
    const { worker } = this;
    this.worker = null;
    this.expects = null;
    this.ahead = null;
    worker?.terminate();
    for (const { reject } of this.pending.values()) reject(new StoreError(StoreFault.io, `${this.path} was closed`));
    this.pending.clear();
    this.lock?.release();
    this.lock = null;
  }

  private ask<K extends RequestKind>(kind: K, body: Requests[K]): Promise<Replies[K]> {
    return this.send(kind, () => ({ body, transfer: [] }));
  }

  /** @param make called again where the thread died: what was handed over to it is gone */
  private send<K extends RequestKind>(
    kind: K,
    make: () => { readonly body: Requests[K]; readonly transfer: ArrayBuffer[] },
  ): Promise<Replies[K]> {
    return new Promise((resolve, reject) => {
      const id = ++this.lastId;
      const pending: Pending = {
        make: () => {
          const { body, transfer } = make();
          return { request: { id, kind, body } as Request, transfer };
        },
        resolve: resolve as Pending['resolve'],
        reject,
        tries: 0,
      };
      if (this.pending.size === 0) this.worker?.ref();
      this.pending.set(id, pending);
      if (this.worker === null) this.startWorker();
      this.post(pending);
    });
  }

  private post(pending: Pending): void {
    pending.tries++;
    const { request, transfer } = pending.make();
    this.worker?.postMessage(request, transfer);
  }

  private startWorker(): void {
    const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url).href, { ref: this.pending.size > 0 });
    this.worker = worker;
    worker.addEventListener('message', (event: MessageEvent<Reply>) => this.onReply(event.data));
    let reason = 'it ended';
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      reason = event.message;
    });
    worker.addEventListener('close', () => {
      if (this.worker === worker) this.onWorkerEnd(reason);
    });
    const { path, sync, expects } = this;
    // Nobody waits for this one: where the file cannot be opened, each request that follows tells why.
    if (expects !== null) worker.postMessage({ id: 0, kind: 'open', body: { path, sync, expects } } satisfies Request);
  }

  private onReply(reply: Reply): void {
    if ('notice' in reply) return this.onNotice(reply.notice);
    const pending = this.pending.get(reply.id);
    if (pending === undefined) return;
    this.pending.delete(reply.id);
    if (this.pending.size === 0) this.worker?.unref();
    if ('value' in reply) pending.resolve(reply.value);
    else pending.reject(new StoreError(reply.fault, reply.message));
  }

  /** A new thread gets what the old one left undone; a batch that it had committed is told by its number. */
  private onWorkerEnd(reason: string): void {
    this.worker = null;
    const line = `the thread that writes to ${this.path} died: ${reason.split('\n')[0]}`;
    this.onNotice(line);
    for (const [id, pending] of this.pending) {
      if (pending.tries < MOST_TRIES) continue;
      this.pending.delete(id);
      pending.reject(new StoreError(StoreFault.io, line));
    }
    if (this.pending.size === 0) return;
    this.startWorker();
    for (const pending of this.pending.values()) this.post(pending);
  }
}

function summaryOf(marks: Marks): StoreSummary {
  const { lastSessionId, lastMessageId, lastSeq, sessions, deliveries, retained, aliveAtMs } = marks;
  return { lastSessionId, lastMessageId, lastSeq, sessions, deliveries, retained, aliveAtMs };
}
