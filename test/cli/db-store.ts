import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runDb } from '../../src/cli/db.ts';
import type { QoS } from '../../src/protocol/packet-type.ts';
import type { SessionRecord, StoredMessage } from '../../src/storage/session-store.ts';
import { SqliteStore } from '../../src/storage/sqlite-store.ts';
import { StoreBatch } from '../../src/storage/store-batch.ts';
import { MemoryIo } from '../support/client/memory-io.ts';
import { makeDatabaseFolder } from '../support/database-folder.ts';

export interface DbResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `martlet db` in this process. */
export async function martletDb(...args: string[]): Promise<DbResult> {
  const io = new MemoryIo();
  const status = await runDb(args, io);
  return { status, stdout: io.stdout.text, stderr: io.stderr.text };
}

export class TestFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<TestFolder> {
    return new TestFolder(makeDatabaseFolder('martlet-db-'));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}

export function message(topicName: string, payload = '', more: Partial<StoredMessage> = {}): StoredMessage {
  return {
    topicName,
    payload: new TextEncoder().encode(payload),
    properties: new Uint8Array(0),
    qos: 1,
    retain: false,
    expiresAtMs: 0,
    publisherId: 'publisher',
    ...more,
  };
}

export function session(id: number, clientId: string, more: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id,
    clientId,
    protocolVersion: 4,
    username: null,
    expiryInterval: 0xffff_ffff,
    awaySinceMs: 0,
    sentSeq: 0,
    will: null,
    ...more,
  };
}

export function putDelivery(
  batch: StoreBatch,
  seq: number,
  sessionId: number,
  messageId: number,
  more: {
    qos?: QoS;
    packetId?: number;
    isReleased?: boolean;
    size?: number;
    identifier?: number;
    expiresAtMs?: number;
  } = {},
): void {
  const { qos = 1, packetId = seq, isReleased = false, size = 100, identifier = 0, expiresAtMs = 0 } = more;
  batch.putDelivery(seq, sessionId, messageId, qos, false, isReleased, packetId, identifier, null, size, expiresAtMs);
}

/** A file with what `fill` puts in; the store that a broker would have is open until it is closed. */
export async function openStore(path: string, fill: (batch: StoreBatch) => void): Promise<SqliteStore> {
  const store = new SqliteStore({ path, sync: 'normal' });
  await store.open();
  const batch = new StoreBatch();
  fill(batch);
  await store.commit(batch);
  return store;
}

export async function writeStore(path: string, fill: (batch: StoreBatch) => void): Promise<void> {
  const store = await openStore(path, fill);
  await store.close();
}
