import { StoreError } from './session-store.ts';
import { type BackupReply, type BackupRequest, copyNow } from './sqlite-backup.ts';

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<BackupRequest>) => {
  self.postMessage(answer(data));
};

function answer(request: BackupRequest): BackupReply {
  try {
    copyNow(request);
    return null;
  } catch (error) {
    if (error instanceof StoreError) return { fault: error.fault, message: error.message };
    throw error;
  }
}
