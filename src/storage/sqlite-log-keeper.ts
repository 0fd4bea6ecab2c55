// Keeps the write-ahead log of a database short without holding up its writer.
import type { CheckpointReply } from './sqlite-checkpoint-worker.ts';
import type { SqliteFile } from './sqlite-file.ts';

const FRAME_BYTES = 4096;
/** So much in the log that is not in the file yet has to go there. */
const DUE_FRAMES = (8 * 1024 * 1024) / FRAME_BYTES;
/** So little that the writer copies it itself, in a few milliseconds. */
const FEW_FRAMES = (1024 * 1024) / FRAME_BYTES;
/** A log that grew beyond this, as while a reader held it, is cut. */
const LARGE_FRAMES = (64 * 1024 * 1024) / FRAME_BYTES;
const MOST_ROUNDS = 4;
/** So much that batches have to wait: pages all over the file take longer to copy than to log. */
const MOST_FRAMES = (32 * 1024 * 1024) / FRAME_BYTES;
const WAIT_MS = 2;
const MOST_WAITS = 1_000;

/**
 * A log can only start from its beginning again when all of it is in the file, and while batches come that is never so for
 * another thread. So that one copies most, in rounds that get shorter, with the syncs that take long; the writer copies
 * the little that is left between two batches, and its next batch starts the log anew. A checkpoint by the writer alone
 * would hold up batches for 50 to 150 ms.
 */
export class LogKeeper {
  private readonly file: SqliteFile;
  private readonly onFault: (message: string) => void;
  private worker: Worker | null = null;
  private isRunning = false;
  private rounds = 0;
  /** Frames that could not be copied because somebody reads what was before them. */
  private heldFrames = 0;

  /** @param onFault told of what went wrong; the next batch is the occasion to try again */
  constructor(file: SqliteFile, onFault: (message: string) => void) {
    this.file = file;
    this.onFault = onFault;
  }

  /** Between batches. @throws an error of SQLite */
  attend(): void {
    const { frames, copied } = this.file.logState();
    const waiting = frames - copied;
    if (this.isRunning) {
      if (waiting >= this.heldFrames + MOST_FRAMES) this.copyRest();
      return;
    }
    if (this.rounds === 0) {
      if (waiting < this.heldFrames) this.heldFrames = 0;
      if (waiting >= this.heldFrames + DUE_FRAMES) this.startRound();
      return;
    }
    if (waiting > FEW_FRAMES && this.rounds < MOST_ROUNDS) return this.startRound();
    this.rounds = 0;
    this.copyRest();
    if (frames > LARGE_FRAMES) this.file.checkpoint('TRUNCATE');
  }

  private copyRest(): void {
    // Busy: the other thread is at it.
    for (let i = 0; this.file.checkpoint('PASSIVE') === 'busy' && i < MOST_WAITS; i++) Bun.sleepSync(WAIT_MS);
    const { frames, copied } = this.file.logState();
    this.heldFrames = frames - copied;
  }

  stop(): void {
    this.worker?.terminate();
    this.worker = null;
  }

  private startRound(): void {
    this.isRunning = true;
    this.worker ??= this.startWorker();
    this.worker.postMessage(this.file.path);
  }

  private startWorker(): Worker {
    const url = new URL('./sqlite-checkpoint-worker.ts', import.meta.url).href;
    const worker = new Worker(url, { ref: false, smol: true });
    worker.addEventListener('message', ({ data }: MessageEvent<CheckpointReply>) => {
      if (this.worker === worker) this.endRound(data === null ? null : data.message);
    });
    worker.addEventListener('error', (event) => event.preventDefault());
    worker.addEventListener('close', () => {
      if (this.worker !== worker) return;
      this.worker = null;
      if (this.isRunning) this.endRound(`the thread that copies the write-ahead log of ${this.file.path} died`);
    });
    return worker;
  }

  private endRound(fault: string | null): void {
    this.isRunning = false;
    // After a fault the writer does it alone: it fails too, and says so, or there is nothing wrong with the file.
    this.rounds = fault === null ? this.rounds + 1 : MOST_ROUNDS;
    if (fault !== null) return this.onFault(fault);
    try {
      this.attend();
    } catch (error) {
      this.onFault(error instanceof Error ? error.message : String(error));
    }
  }
}
