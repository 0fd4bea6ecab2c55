import type { Session, Will } from '../../session/session.ts';
import { Message } from '../../session/message.ts';
import type { Subscription } from '../../routing/subscription.ts';
import type { SessionRecord, StoredMessage, StoredSubscription, StoredWill } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';

/** What a message is in the store; its bytes are shared, not copied. */
export function toStoredMessage(message: Message): StoredMessage {
  return {
    topicName: message.topic.name,
    payload: message.payload,
    properties: message.properties,
    qos: message.qos,
    retain: message.retain,
    expiresAtMs: message.expiresAtMs,
    publisherId: message.publisherId,
  };
}

export function fromStoredMessage(broker: Broker, stored: StoredMessage): Message {
  return new Message(
    broker.topics.byName(stored.topicName),
    stored.payload,
    stored.properties,
    stored.qos,
    stored.retain,
    stored.expiresAtMs,
    stored.publisherId,
  );
}

export function toStoredSubscription(subscription: Subscription<Session>): StoredSubscription {
  const { filterText, qos, noLocal, retainAsPublished, identifier } = subscription;
  return { filterText, qos, noLocal, retainAsPublished, identifier };
}

function toStoredWill(will: Will): StoredWill {
  const { messageExpiryInterval, delayInterval } = will;
  return { message: toStoredMessage(will.message), messageExpiryInterval, delayInterval };
}

export function fromStoredWill(broker: Broker, stored: StoredWill): Will {
  const { messageExpiryInterval, delayInterval } = stored;
  return { message: fromStoredMessage(broker, stored.message), messageExpiryInterval, delayInterval };
}

/** @param awaySinceMs wall clock milliseconds; 0: connected */
export function toSessionRecord(session: Session, awaySinceMs: number): SessionRecord {
  const { clientId, protocolVersion, username, expiryInterval, will } = session;
  const { id, sent } = session.durable!;
  return {
    id,
    clientId,
    protocolVersion,
    username,
    expiryInterval,
    awaySinceMs,
    sentSeq: sent?.at(-1) ?? 0,
    will: will === null ? null : toStoredWill(will),
  };
}
