import type { SessionStore, StoreSummary } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';
import { Durability } from './durability.ts';
import { type LoadProgress, StoreLoader } from './store-loader.ts';

/**
 * Opens the store, and has the broker keep there what it is told from now on. To be called before the first connection.
 *
 * @returns what is in the store, and a promise of all of it having been taken up
 * @throws StoreError
 */
export async function openInto(
  broker: Broker,
  store: SessionStore,
  onProgress?: LoadProgress,
): Promise<{ summary: StoreSummary; loaded: Promise<void> }> {
  const summary = await store.open();
  const durability = new Durability(broker, store, summary);
  broker.durability = durability;
  const loader = new StoreLoader(broker, store, durability, summary, onProgress);
  broker.loader = loader;
  durability.start();
  return { summary, loaded: loader.run() };
}
