import type { QoS } from '../protocol/packet-type.ts';
import type { DbId } from './mosquitto-db-columns.ts';
import { forwardedProperties } from './mosquitto-db-properties.ts';
import type { LeftOutCounts } from './mosquitto-db-left-out.ts';
import { MosquittoDbPlan, type PlanTotals } from './mosquitto-db-plan.ts';
import { type DbSource, MosquittoDbError } from './mosquitto-db-source.ts';
import type {
  MosquittoClient,
  MosquittoDbVisitor,
  MosquittoMessage,
  MosquittoSubscription,
} from './mosquitto-db-records.ts';
import { MosquittoDb } from './mosquitto-db.ts';
import type { SessionStore, StoredMessage, StoreSummary } from './session-store.ts';
import { StoreBatch } from './store-batch.ts';

/** A batch is committed when it has so many bytes or changes. */
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_CHANGES = 10_000;
/** The loop is let go after so many bytes of the file. */
const SLICE_BYTES = 8 * 1024 * 1024;

const NO_BYTES = new Uint8Array(0);
const MQTT_3_1_1 = 4;
const MQTT_5 = 5;

export interface ImportOptions {
  /** Wall clock, for what has expired. */
  readonly nowMs: number;
  /** When Mosquitto wrote the file: clients that were connected then are away since. */
  readonly savedAtMs: number;
  /** Take over what stands before the damage in a file, in place of nothing. */
  readonly salvage?: boolean;
  /** Bytes of the file read, of how many: an import reads it twice. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Where it is aborted, the import ends with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ImportReport {
  /** Of the file: 2 to 6. */
  readonly format: number;
  readonly totals: Readonly<PlanTotals>;
  readonly leftOut: LeftOutCounts;
  /** Where the file is damaged and was read up to there. */
  readonly damage: MosquittoDbError | null;
}

/** What is imported must not mix with what is there. */
export class StoreNotEmptyError extends Error {
  override readonly name = 'StoreNotEmptyError';
  readonly summary: StoreSummary;

  constructor(summary: StoreSummary) {
    super('the store is not empty');
    this.summary = summary;
  }

  static demandEmpty(summary: StoreSummary): void {
    const { sessions, deliveries, retained } = summary;
    if (sessions > 0 || deliveries > 0 || retained > 0) throw new StoreNotEmptyError(summary);
  }
}

/**
 * Brings what Mosquitto saved into an empty store. The file is read twice, and kept in memory at no time; the store is
 * opened once it was read to its end, and closed by the caller.
 *
 * @throws MosquittoDbError before the store is opened
 * @throws StoreNotEmptyError before anything is stored
 * @throws StoreError after which the store may hold a part of it
 */
export async function importMosquittoDb(
  source: DbSource,
  store: Pick<SessionStore, 'open' | 'commit'>,
  options: ImportOptions,
): Promise<ImportReport> {
  const total = source.size * 2;
  const { db, plan, end, damage } = await readPlan(source, options, total);
  const summary = await store.open();
  StoreNotEmptyError.demandEmpty(summary);
  plan.assignNumbers({
    sessionId: summary.lastSessionId + 1,
    messageId: summary.lastMessageId + 1,
    seq: summary.lastSeq + 1,
  });
  const batch = new StoreBatch();
  const writer = new PlanWriter(plan, batch);
  const commit = async () => {
    await store.commit(batch);
    batch.clear();
    options.onProgress?.(source.size + db.position, total);
    options.signal?.throwIfAborted();
  };
  batch.setAlive(options.savedAtMs);
  db.rewind();
  while (db.position < end && db.next(writer)) if (isFull(batch)) await commit();
  for (const one of plan.deliveries()) {
    if (one.seq === 0) batch.putIncoming(one.session.id, one.packetId, one.messageId);
    else {
      batch.putDelivery(
        one.seq,
        one.session.id,
        one.messageId,
        one.qos,
        one.retain,
        one.isReleased,
        one.packetId,
        one.identifier,
        null,
        one.size,
        one.expiresAtMs,
      );
    }
    if (isFull(batch)) await commit();
  }
  await commit();
  return { format: db.format, totals: plan.totals, leftOut: plan.leftOut, damage };
}

/**
 * What an import would bring into an empty store.
 *
 * @throws MosquittoDbError
 */
export async function previewMosquittoDb(source: DbSource, options: ImportOptions): Promise<ImportReport> {
  const { db, plan, damage } = await readPlan(source, options, source.size);
  return { format: db.format, totals: plan.totals, leftOut: plan.leftOut, damage };
}

interface ReadPlan {
  readonly db: MosquittoDb;
  readonly plan: MosquittoDbPlan;
  /** Behind the last chunk that counts. */
  readonly end: number;
  readonly damage: MosquittoDbError | null;
}

async function readPlan(source: DbSource, options: ImportOptions, total: number): Promise<ReadPlan> {
  const db = new MosquittoDb(source);
  const plan = new MosquittoDbPlan(options);
  let end = db.position;
  let damage: MosquittoDbError | null = null;
  let nextPause = 0;
  try {
    while (db.next(plan)) {
      end = db.position;
      if (end < nextPause) continue;
      nextPause = end + SLICE_BYTES;
      options.onProgress?.(end, total);
      await new Promise((resolve) => setImmediate(resolve));
      options.signal?.throwIfAborted();
    }
  } catch (error) {
    if (!(error instanceof MosquittoDbError) || options.salvage !== true) throw error;
    damage = error;
  }
  plan.finish();
  return { db, plan, end, damage };
}

function isFull(batch: StoreBatch): boolean {
  return batch.length >= BATCH_BYTES || batch.count >= BATCH_CHANGES;
}

/** The second pass: puts sessions, subscriptions, messages and retained messages into a batch. */
class PlanWriter implements MosquittoDbVisitor {
  private readonly plan: MosquittoDbPlan;
  private readonly batch: StoreBatch;

  constructor(plan: MosquittoDbPlan, batch: StoreBatch) {
    this.plan = plan;
    this.batch = batch;
  }

  wantsPayload(id: DbId): boolean {
    const place = this.plan.placeOfMessage(id);
    return place >= 0 && !this.plan.isHollow(place);
  }

  message(message: MosquittoMessage): void {
    const { plan, batch } = this;
    const place = plan.placeOfMessage(message.id);
    if (place < 0) return;
    plan.markWritten(place);
    const stored: StoredMessage = {
      topicName: message.topicName!,
      payload: message.payload ?? NO_BYTES,
      properties: plan.isHollow(place) ? NO_BYTES : (forwardedProperties(message.properties) ?? NO_BYTES),
      qos: message.qos as QoS,
      retain: message.retain,
      expiresAtMs: plan.expiresAtMs(place),
      publisherId: message.sourceId ?? '',
    };
    const references = plan.referencesOf(place);
    if (references > 0) batch.putMessage(plan.messageIdOf(place), references, stored);
    if (plan.isRetained(place)) batch.putRetained({ ...stored, retain: true });
  }

  client({ clientId }: MosquittoClient): void {
    const session = this.plan.takeSession(clientId);
    if (session === null) return;
    this.batch.putSession({
      id: session.id,
      clientId: session.clientId,
      protocolVersion: session.isV5 ? MQTT_5 : MQTT_3_1_1,
      username: session.username,
      expiryInterval: session.expiryInterval,
      awaySinceMs: session.awaySinceMs,
      sentSeq: session.inflight === 0 ? 0 : session.firstSeq + session.inflight - 1,
      will: null,
    });
  }

  subscription(one: MosquittoSubscription): void {
    if (!this.plan.isWanted(one)) return;
    this.batch.putSubscription(this.plan.sessionOf(one.clientId)!.id, {
      filterText: one.filterText!,
      qos: one.qos as QoS,
      noLocal: one.noLocal,
      retainAsPublished: one.retainAsPublished,
      identifier: one.identifier,
    });
  }

  clientMessage(): void {}
  retained(): void {}
  unknown(): void {}
}
