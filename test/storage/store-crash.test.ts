import { afterEach, beforeEach, expect, test } from 'bun:test';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { SqliteFile } from '../../src/storage/sqlite-file.ts';
import { makeDatabaseFolder } from '../support/database-folder.ts';
import { sized } from '../support/long-run.ts';
import { contentOfFile, contentOfMemory, numberedBatch } from './power-loss.ts';

let folder: string;
beforeEach(() => {
  folder = makeDatabaseFolder('store-');
});
afterEach(() => rm(folder, { recursive: true }));

/** Lets the child commit so many batches more, kills it at whatever it does then, and tells the last number it gave. */
async function runAndKill(path: string, sync: string, batches: number): Promise<number> {
  const program = join(import.meta.dir, 'crash-child.ts');
  const child = Bun.spawn([process.execPath, program, path, sync], { stdout: 'pipe', stderr: 'inherit' });
  let text = '';
  let lines = 0;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const piece = decoder.decode(chunk);
    text += piece;
    lines += piece.split('\n').length - 1;
    if (lines >= batches) child.kill('SIGKILL');
  }
  await child.exited;
  return Number(text.slice(0, text.lastIndexOf('\n')).split('\n').at(-1));
}

test.each(['normal', 'full'] as const)(
  'a process that is killed has lost no batch that was acknowledged, and left no part of another (sync %s)',
  async (sync) => {
    const path = join(folder, 'martlet.db');
    const memory = new MemoryStore();
    await memory.open();
    let inMemory = 0;
    // Some of the runs are long enough for a checkpoint to be under way.
    for (const batches of sized([1, 40, 7, 500], [1, 40, 7, 700, 90, 300])) {
      const acknowledged = await runAndKill(path, sync, batches);
      const file = new SqliteFile(path, sync, null);
      try {
        const { lastBatch, lastSessionId } = file.writer.summary;
        expect(lastSessionId).toBe(lastBatch);
        expect(lastBatch).toBeGreaterThanOrEqual(acknowledged);
        while (inMemory < lastBatch) await memory.commit(numberedBatch(++inMemory));
        expect(contentOfFile(file)).toEqual(await contentOfMemory(memory));
      } finally {
        file.abandon();
      }
    }
    expect(inMemory).toBeGreaterThan(500);
  },
  60_000,
);
