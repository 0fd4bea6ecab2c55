/** Opens the store of its argument, says so, and keeps it until it is killed. */
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { storedMessage } from './records.ts';

const store = new SqliteStore({ path: process.argv[2]!, sync: 'normal' });
await store.open();
const batch = new StoreBatch();
batch.putRetained(storedMessage('held'));
await store.commit(batch);
process.stdout.write('open\n');
setInterval(() => {}, 60_000);
