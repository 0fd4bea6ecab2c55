import { existsSync } from 'node:fs';
import type { PersistenceConfig } from '../../config/config.ts';
import { StoreError, StoreFault } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';
import { type Logger, LogType } from '../log.ts';
import { makeStore, placeOfStore } from './open-store.ts';
import { openInto } from './restore.ts';

const PROGRESS_MS = 1_000;

/**
 * Opens the store of a configuration, after it took over what Mosquitto left, and has the broker keep there what it is
 * told from now on.
 *
 * @param onFailure the store was opened, yet can't be read to its end
 * @returns path of the store's file
 * @throws StoreError where it can't be opened
 */
export async function openDurably(
  broker: Broker,
  config: PersistenceConfig,
  onFailure: (cause: string) => void,
): Promise<string> {
  const { log } = broker;
  const started = performance.now();
  const { path, mosquittoPath } = placeOfStore(config);
  const store = await makeStore(config, path, (line) => log.log(LogType.warning, line));
  if (mosquittoPath !== null && !existsSync(path)) await takeOver(mosquittoPath, path, log);
  const { summary, loaded } = await openInto(
    broker,
    store,
    throttled((what, done, total) => log.log(LogType.information, `Restoring ${what}: ${done} of ${total}.`)),
  );
  void loaded.then(
    () => {
      if ((log.types & LogType.information) === 0) return;
      const seconds = ((performance.now() - started) / 1_000).toFixed(1);
      log.log(
        LogType.information,
        `Persistence in ${path}: ${summary.sessions} sessions, ${summary.deliveries} messages for them and ` +
          `${summary.retained} retained messages restored in ${seconds} s.`,
      );
    },
    (error: unknown) => onFailure(error instanceof Error ? error.message : String(error)),
  );
  return path;
}

/** At most a call a second. */
function throttled<T extends unknown[]>(tell: (...args: T) => void): (...args: T) => void {
  let told = performance.now();
  return (...args) => {
    if (performance.now() - told < PROGRESS_MS) return;
    told = performance.now();
    tell(...args);
  };
}

/** The first start after the switch from Mosquitto: what it kept goes on here. Its file stays as it is. */
async function takeOver(from: string, path: string, log: Logger): Promise<void> {
  const { DbFile, MosquittoDbError } = await import('../../storage/mosquitto-db-source.ts');
  const { importIntoFile } = await import('../../storage/mosquitto-db-takeover.ts');
  log.log(LogType.notice, `Importing ${from}, which Mosquitto wrote, into ${path}.`);
  let source: InstanceType<typeof DbFile> | null = null;
  try {
    source = new DbFile(from);
    const { totals } = await importIntoFile(source, path, {
      nowMs: Date.now(),
      savedAtMs: source.savedAtMs,
      onProgress: throttled((done, total) =>
        log.log(LogType.information, `Importing ${from}: ${Math.round((done / total) * 100)} %.`),
      ),
    });
    log.log(
      LogType.notice,
      `Imported ${totals.sessions} sessions, ${totals.inflight + totals.queued} messages for them and ${totals.retained} retained ` +
        `messages from ${from}.`,
    );
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    const advice =
      error instanceof MosquittoDbError
        ? `. To take over what stands before the damage: 'martlet db import --salvage ${from} --into ${path}'; to start ` +
          'without it, move the file away'
        : '';
    throw new StoreError(StoreFault.corrupt, `${from} cannot be imported: ${cause}${advice}`, { cause: error });
  } finally {
    source?.close();
  }
}
