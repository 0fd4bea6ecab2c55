// Copies a write-ahead log into its database, beside the thread that goes on to write it.
import { Database } from 'bun:sqlite';
import { storeError } from './sqlite-faults.ts';

declare const self: Worker;

/** Null: done, as far as readers let it. */
export type CheckpointReply = { readonly message: string } | null;

self.onmessage = ({ data: path }: MessageEvent<string>) => {
  self.postMessage(checkpoint(path));
};

function checkpoint(path: string): CheckpointReply {
  let db: Database | null = null;
  try {
    // Opened anew each time, in a millisecond, so that the writer is the last to close the file.
    db = new Database(path, { readwrite: true, create: false });
    db.run('PRAGMA wal_checkpoint(PASSIVE)');
    return null;
  } catch (error) {
    return { message: storeError(`cannot copy the write-ahead log of ${path}`, error).message };
  } finally {
    db?.close(true);
  }
}
