import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import type { PersistenceConfig } from '../../config/config.ts';
import { systemErrorText } from '../../config/parse-config.ts';
import { isMosquittoDbFile } from '../../storage/mosquitto-db-takeover.ts';
import { type SessionStore, StoreError, StoreFault } from '../../storage/session-store.ts';
import { SqliteStore } from '../../storage/sqlite-store.ts';

const DEFAULT_NAME = 'martlet.db';
/** What Mosquitto calls its file where it is not told. */
const MOSQUITTO_NAME = 'mosquitto.db';

export interface StorePlace {
  /** Our file. */
  readonly path: string;
  /** A file of Mosquitto's in the same place, from before the switch; null: none. */
  readonly mosquittoPath: string | null;
}

/** Where the store is: what `persistence_location` and `persistence_file` say. A file of Mosquitto's is never opened as ours. */
export function placeOfStore({ location, file }: Pick<PersistenceConfig, 'location' | 'file'>): StorePlace {
  const named = join(location, file ?? DEFAULT_NAME);
  if (isMosquittoDbFile(named)) return { path: `${named}.martlet`, mosquittoPath: named };
  const before = join(location, MOSQUITTO_NAME);
  return { path: named, mosquittoPath: file === null && isMosquittoDbFile(before) ? before : null };
}

/**
 * The store of a configuration, not opened yet.
 *
 * @param onNotice told what an operator should know: a file that was set aside
 * @throws StoreError where the folder is missing or may not be written
 */
export async function makeStore(
  { location, sync }: PersistenceConfig,
  path: string,
  onNotice: (line: string) => void,
): Promise<SessionStore> {
  const folder = location === '' ? '.' : location;
  try {
    if (!statSync(folder).isDirectory()) throw new Error('it is not a folder');
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const text = `persistence_location ${folder} cannot be used: ${systemErrorText(error)}`;
    throw new StoreError(StoreFault.io, text, { cause: error });
  }
  return new SqliteStore({ path, sync, onNotice });
}
