// Answers the requests of a SqliteStore in the order they come, and keeps house between them.
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError, StoreFault } from './session-store.ts';
import { markDamaged, openFirst } from './sqlite-open.ts';
import { syncToDisk } from './sqlite-backup.ts';
import { storeError } from './sqlite-faults.ts';
import { removeDatabase, SqliteFile } from './sqlite-file.ts';
import { LogKeeper } from './sqlite-log-keeper.ts';
import type { Expected, PageBytes, Replies, Reply, Request, RequestKind, Requests } from './sqlite-protocol.ts';

/** No request for this long is a quiet moment, in which free pages are given back. */
const QUIET_MS = 200;
/** After this long the write-ahead log is emptied too, which costs the disk two syncs. */
const LONG_QUIET_MS = 5_000;
const TIDY_STEP_MS = 10;
/**
 * Deliveries that are gone are removed between batches once they are at least so many, and half as many as wait; until
 * they are half of that again. The more there are, the more of them share a page.
 */
const MANY_GONE = 65_536;
const MOST_GONE = 1_048_576;
const FEW_REMOVALS = 500;
const MOST_REMOVALS = 8_192;
/** Share of the file that stays free for what comes next. */
const SPARE_SHARE = 0.1;
/** Where it is never quiet, pages are given back at more than this share, one step after so many batches. */
const BUSY_SPARE_SHARE = 1 / 3;
const BATCHES_BETWEEN_STEPS = 64;

export interface Answer {
  readonly reply: Reply;
  /** Buffers that go with it. */
  readonly transfer: ArrayBuffer[];
}

export class SqliteHost {
  private readonly notice: (line: string) => void;
  private settings: Requests['open'] | null = null;
  /** The store that the broker works with; null before it is open. */
  private expects: Expected | null = null;
  /** Null where none is open, or after a fault: the next request opens it again. */
  private file: SqliteFile | null = null;
  private logKeeper: LogKeeper | null = null;
  private lastRequestMs = 0;
  private batches = 0;
  private isTidy = true;
  private isRemoving = false;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private housekeepingFault: string | null = null;

  constructor(notice: (line: string) => void) {
    this.notice = notice;
  }

  answer(request: Request): Answer {
    this.lastRequestMs = performance.now();
    const transfer: ArrayBuffer[] = [];
    try {
      return { reply: { id: request.id, value: this.serve(request, transfer) }, transfer };
    } catch (cause) {
      const error = storeError(`cannot use ${this.settings?.path ?? 'the store'}`, cause);
      this.afterFault(error);
      return { reply: { id: request.id, fault: error.fault, message: error.message }, transfer: [] };
    }
  }

  /** What follows a request, once its answer is on its way. */
  afterRequest(): void {
    const { file } = this;
    if (file === null) return;
    this.keepHouse(() => {
      const gone = file.writer.goneDeliveries;
      const many = Math.min(MOST_GONE, Math.max(MANY_GONE, file.writer.summary.deliveries / 2));
      this.isRemoving = gone > many || (this.isRemoving && gone > many / 2);
      // The more there are, the more at a time, so that they cannot outrun it.
      if (this.isRemoving) file.writer.removeGone(Math.min(MOST_REMOVALS, Math.max(FEW_REMOVALS, gone >> 6)));
      this.logKeeper?.attend();
      if (this.batches % BATCHES_BETWEEN_STEPS === BATCHES_BETWEEN_STEPS - 1) file.giveBackPages(BUSY_SPARE_SHARE);
    });
    if (!this.isTidy) this.timer ??= setTimeout(this.tidy, QUIET_MS);
  }

  private serve(request: Request, transfer: ArrayBuffer[]): Replies[RequestKind] {
    switch (request.kind) {
      case 'open':
        return this.open(request.body);
      case 'commit':
        this.batches++;
        this.isTidy = false;
        this.commit(request.body);
        return null;
      case 'sessions':
        return given(this.use().reader.sessions(request.body.afterId, request.body.limit), transfer);
      case 'session':
        return given(this.use().reader.session(request.body.clientId), transfer);
      case 'index': {
        const index = this.use().reader.index(request.body.afterSeq, request.body.limit);
        transfer.push(index.seqs.buffer, index.sessionIds.buffer, index.sizes.buffer, index.shared.buffer);
        transfer.push(index.packetIds.buffer);
        return index;
      }
      case 'deliveries': {
        const page = this.use().reader.deliveries(request.body.seqs, request.body.maxBytes);
        transfer.push(page.bytes.buffer);
        return page;
      }
      case 'retained':
        return given(this.use().reader.retained(request.body.afterTopic, request.body.limit), transfer);
      case 'expired':
        return this.use().reader.expired(request.body.wallMs, request.body.limit);
      case 'barrier':
        return null;
      case 'close': {
        const { file } = this;
        if (file !== null) this.letGo(() => file.close());
        return null;
      }
    }
  }

  private open(settings: Requests['open']): Replies['open'] {
    this.settings = settings;
    this.expects = settings.expects;
    const file = settings.expects === null ? this.take(openFirst(settings, this.notice)) : this.use();
    this.expects = file.writer.summary;
    return file.writer.summary;
  }

  private use(): SqliteFile {
    const { settings, expects } = this;
    if (settings === null || expects === null) throw new StoreError(StoreFault.io, 'the store is not open');
    return this.file ?? this.take(new SqliteFile(settings.path, settings.sync, expects));
  }

  private take(file: SqliteFile): SqliteFile {
    this.file = file;
    this.logKeeper = new LogKeeper(file, (message) => this.onHousekeepingFault(message));
    return file;
  }

  private commit({ number, bytes }: Requests['commit']): void {
    let file = this.use();
    // SQLite would go on to write into a file that was removed, and all of it would be gone with the process.
    const whereabouts = file.whereabouts();
    if (whereabouts === 'gone') file = this.writeAnew(file);
    else if (whereabouts === 'replaced') {
      throw new StoreError(StoreFault.io, `${file.path} was replaced by another file while it was in use`);
    }
    file.commit(number, bytes);
    this.expects = file.writer.summary;
  }

  /** The file was removed, and we still have it open: it gets its name back, as a copy. */
  private writeAnew(file: SqliteFile): SqliteFile {
    const { path } = file;
    const copy = `${path}-restored`;
    try {
      removeDatabase(copy);
      file.copyTo(copy);
      syncToDisk(copy);
      this.letGo(() => file.abandon());
      removeDatabase(path);
      renameSync(copy, path);
      syncToDisk(dirname(path));
    } catch (error) {
      throw storeError(`${path} was removed while it was in use, and cannot be written anew`, error);
    }
    this.notice(`${path} was removed while it was in use: it is written anew, with all it held.`);
    return this.use();
  }

  private afterFault(error: StoreError): void {
    const { file, settings } = this;
    if (file === null || settings === null) return;
    if (error.fault === StoreFault.full || error.fault === StoreFault.locked) return;
    if (error.fault === StoreFault.corrupt) markDamaged(settings.path, error);
    // A connection that met an I/O error may hold on to what it read: the next request gets a new one. But one whose file
    // has lost its name is the only way to it.
    if (file.whereabouts() === 'here') this.letGo(() => file.abandon());
  }

  private letGo(close: () => void): void {
    this.file = null;
    this.logKeeper?.stop();
    this.logKeeper = null;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    try {
      close();
    } catch (error) {
      this.notice(storeError(`cannot close ${this.settings?.path}`, error).message);
    }
  }

  private readonly tidy = (): void => {
    this.timer = null;
    const { file } = this;
    if (file === null) return;
    const quietMs = performance.now() - this.lastRequestMs;
    let waitMs = quietMs < QUIET_MS ? QUIET_MS : TIDY_STEP_MS;
    this.keepHouse(() => {
      if (quietMs < QUIET_MS) return;
      const isRemoving = file.writer.goneDeliveries > 0;
      if (isRemoving) file.writer.removeGone(FEW_REMOVALS);
      if (isRemoving || file.giveBackPages(SPARE_SHARE)) {
        this.logKeeper?.attend();
        return;
      }
      waitMs = LONG_QUIET_MS - quietMs;
      if (waitMs > 0) return;
      file.checkpoint('TRUNCATE');
      this.isTidy = true;
    });
    if (!this.isTidy) this.timer = setTimeout(this.tidy, Math.max(waitMs, TIDY_STEP_MS));
  };

  private keepHouse(work: () => void): void {
    try {
      work();
      this.housekeepingFault = null;
    } catch (error) {
      this.onHousekeepingFault(storeError(`cannot tidy ${this.settings?.path}`, error).message);
    }
  }

  /** It is told once, and tried again with the next batch: nothing that was stored depends on it. */
  private onHousekeepingFault(message: string): void {
    if (message !== this.housekeepingFault) this.notice(message);
    this.housekeepingFault = message;
    this.isTidy = true;
  }
}

function given(bytes: PageBytes, transfer: ArrayBuffer[]): PageBytes {
  transfer.push(bytes.buffer);
  return bytes;
}
