/** Fills a store with sessions that are away, each with a subscription and messages, for what is measured with many. */
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';

const PER_BATCH = 2_000;

export interface Filling {
  sessions: number;
  /** Over all sessions, in turn. */
  messages: number;
  payloadBytes: number;
  retained: number;
}

/** Client `sI` subscribes to `d/I` at QoS 1; retained messages are `r/I`. */
export async function fillStore(path: string, filling: Filling): Promise<void> {
  const store = new SqliteStore({ path, sync: 'normal' });
  await store.open();
  const payload = new Uint8Array(filling.payloadBytes).fill(0x41);
  const batch = new StoreBatch();
  const commit = async (count: number) => {
    if (count % PER_BATCH !== 0) return;
    await store.commit(batch);
    batch.clear();
  };
  for (let i = 1; i <= filling.sessions; i++) {
    batch.putSession({
      id: i,
      clientId: `s${i}`,
      protocolVersion: 4,
      username: null,
      expiryInterval: 0xffff_ffff,
      awaySinceMs: Date.now(),
      sentSeq: 0,
      will: null,
    });
    batch.putSubscription(i, {
      filterText: `d/${i}`,
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      identifier: 0,
    });
    await commit(i);
  }
  const message = (topicName: string, retain: boolean) => ({
    topicName,
    payload,
    properties: new Uint8Array(0),
    qos: 1 as const,
    retain,
    expiresAtMs: 0,
    publisherId: 'filler',
  });
  for (let i = 1; i <= filling.messages; i++) {
    const session = ((i - 1) % filling.sessions) + 1;
    batch.putMessage(i, 1, message(`d/${session}`, false));
    batch.putDelivery(i, session, i, 1, false, false, 0, 0, null, payload.length, 0);
    await commit(i);
  }
  for (let i = 1; i <= filling.retained; i++) {
    batch.putRetained(message(`r/${i}`, true));
    await commit(i);
  }
  if (!batch.isEmpty) await store.commit(batch);
  await store.close();
}
