/**
 * Commits numbered batches to a store, from where it was left, until it is killed; tells each number once it is stored.
 *
 *   bun crash-child.ts PATH normal|full
 */
import { writeSync } from 'node:fs';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import type { SyncMode } from '../../src/storage/sqlite-protocol.ts';
import { numberedBatch } from './power-loss.ts';

const [path = '', sync = ''] = process.argv.slice(2);
const store = new SqliteStore({ path, sync: sync as SyncMode });
const { lastSessionId } = await store.open();
for (let number = lastSessionId + 1; ; number++) {
  await store.commit(numberedBatch(number));
  // At once: what is buffered dies with the process.
  writeSync(1, `${number}\n`);
}
