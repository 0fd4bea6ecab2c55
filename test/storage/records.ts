/** What stores are given, with what a test does not care about filled in. */
import type {
  DeliveryRecord,
  SessionRecord,
  StoredMessage,
  StoredSubscription,
} from '../../src/storage/session-store.ts';
import type { StoreBatch } from '../../src/storage/store-batch.ts';

export const utf8 = (text: string) => new TextEncoder().encode(text);

export function storedMessage(topicName: string, fields: Partial<StoredMessage> = {}): StoredMessage {
  return {
    topicName,
    payload: utf8(`payload of ${topicName}`),
    properties: new Uint8Array(0),
    qos: 1,
    retain: false,
    expiresAtMs: 0,
    publisherId: 'publisher',
    ...fields,
  };
}

export function sessionRecord(id: number, fields: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id,
    clientId: `client-${id}`,
    protocolVersion: 5,
    username: null,
    expiryInterval: 3_600,
    awaySinceMs: 0,
    sentSeq: 0,
    will: null,
    ...fields,
  };
}

export function subscriptionRecord(filterText: string, fields: Partial<StoredSubscription> = {}): StoredSubscription {
  return { filterText, qos: 1, noLocal: false, retainAsPublished: false, identifier: 0, ...fields };
}

export function deliveryRecord(seq: number, fields: Partial<DeliveryRecord> = {}): DeliveryRecord {
  return {
    seq,
    sessionId: 1,
    messageId: seq,
    qos: 1,
    retain: false,
    isReleased: false,
    packetId: 0,
    identifier: 0,
    sharedFilter: null,
    size: 100 + seq,
    expiresAtMs: 0,
    ...fields,
  };
}

export function putDelivery(batch: StoreBatch, one: DeliveryRecord): void {
  batch.putDelivery(
    one.seq,
    one.sessionId,
    one.messageId,
    one.qos,
    one.retain,
    one.isReleased,
    one.packetId,
    one.identifier,
    one.sharedFilter,
    one.size,
    one.expiresAtMs,
  );
}
