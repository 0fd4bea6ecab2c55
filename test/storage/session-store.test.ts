import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { makeDatabaseFolder } from '../support/database-folder.ts';
import { sized } from '../support/long-run.ts';
import { runSessionStoreSuite } from './session-store-suite.ts';

runSessionStoreSuite('MemoryStore', async () => {
  const store = new MemoryStore();
  return { makeStore: () => store, remove: async () => {} };
});

// The two differ in one setting, which src/storage/sqlite-file.test.ts looks at.
for (const sync of sized(['normal'] as const, ['normal', 'full'] as const)) {
  runSessionStoreSuite(`SqliteStore, sync ${sync}`, async () => {
    const folder = makeDatabaseFolder('store-');
    return {
      makeStore: () => new SqliteStore({ path: join(folder, 'martlet.db'), sync }),
      remove: () => rm(folder, { recursive: true }),
    };
  });
}
