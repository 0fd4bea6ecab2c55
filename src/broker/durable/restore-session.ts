import type { ProtocolVersion } from '../../protocol/packet-type.ts';
import { isSharedFilter, parseSharedFilter } from '../../protocol/topic.ts';
import { DurableState } from '../../session/durable-state.ts';
import { NEVER_EXPIRES, Session } from '../../session/session.ts';
import { UnreleasedMessages } from '../../session/unreleased-messages.ts';
import type { StoredSession } from '../../storage/session-store.ts';
import { type Broker, needsCheck } from '../broker.ts';
import { fromStoredMessage, fromStoredWill } from './records.ts';

/** Makes a session of what the store has of it, but for its deliveries. */
export function restoreSession(broker: Broker, stored: StoredSession): Session {
  const session = new Session(stored.clientId, stored.protocolVersion as ProtocolVersion);
  session.username = stored.username;
  session.expiryInterval = stored.expiryInterval;
  session.will = stored.will === null ? null : fromStoredWill(broker, stored.will);
  const durable = new DurableState(stored.id);
  durable.awaySinceMs = stored.awaySinceMs;
  session.durable = durable;
  broker.sessions.set(stored.clientId, session);
  for (const one of stored.subscriptions) {
    let topicFilter = one.filterText;
    let shareName: string | null = null;
    if (isSharedFilter(topicFilter)) {
      const shared = parseSharedFilter(topicFilter);
      if (shared === null) continue;
      ({ topicFilter, shareName } = shared);
    }
    const subscription = broker.tree.subscribe(session, topicFilter, shareName, one);
    session.addSubscription(subscription);
    subscription.needsCheck = needsCheck(session, topicFilter);
  }
  if (stored.incoming.length > 0) {
    session.incoming = new UnreleasedMessages(broker.stored);
    for (const { packetId, message } of stored.incoming) {
      session.incoming.set(packetId, message === null ? null : fromStoredMessage(broker, message));
    }
  }
  broker.applyAccess(session);
  return session;
}

/** Its deadlines run on from when the client went away, or the process ended. */
export function beginAbsence(broker: Broker, session: Session, sinceMs: number): void {
  if (session.expiryInterval === NEVER_EXPIRES && session.will === null) return;
  const goneSeconds = Math.max(0, (broker.wallMs() - sinceMs) / 1_000);
  // What was over before the start is over now, before the first tick.
  const left = (seconds: number) =>
    seconds <= goneSeconds ? broker.second : broker.secondAfter(Math.ceil(seconds - goneSeconds));
  const expiresAt = session.expiryInterval === NEVER_EXPIRES ? -1 : left(session.expiryInterval);
  const willAt = session.will === null ? -1 : left(session.will.delayInterval);
  broker.scheduleAbsence(session, expiresAt, willAt);
}
