import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { runSessionStoreSuite } from './session-store-suite.ts';

runSessionStoreSuite('MemoryStore', async () => {
  const store = new MemoryStore();
  return { makeStore: () => store, remove: async () => {} };
});

for (const sync of ['normal', 'full'] as const) {
  runSessionStoreSuite(`SqliteStore, sync ${sync}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'store-'));
    return {
      makeStore: () => new SqliteStore({ path: join(folder, 'martlet.db'), sync }),
      remove: () => rm(folder, { recursive: true }),
    };
  });
}
