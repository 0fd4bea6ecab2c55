import { Message } from '../session/message.ts';
import type { Session, Will } from '../session/session.ts';
import type { Broker } from './broker.ts';
import { canPublishTo } from './handle-publish.ts';
import { LogType, printable } from './log.ts';

/**
 * Publishes the will of a session, at the latest when the session ends (v5 [MQTT-3.1.2-8]). It goes where its client may
 * publish at that time.
 */
export function publishWill(broker: Broker, session: Session): void {
  const { will } = session;
  session.will = null;
  if (will === null) return;
  const { message } = will;
  const { counters, log } = broker;
  if (!mayPublishWill(broker, session, message)) {
    counters.willsDenied++;
    if ((log.types & LogType.notice) !== 0) {
      const what = `'${printable(message.topic.name)}', ... (${message.payload.length} bytes)`;
      log.log(LogType.notice, `Denied will of ${printable(session.clientId)} (${what})`);
    }
    return;
  }
  counters.willsPublished++;
  const ready = willMessage(will, broker.wallMs());
  // Together with the session, which has it no more.
  if (broker.durability === null) broker.publish(ready);
  else broker.durability.deliveries.bound(() => broker.publish(ready));
}

/** A check that fails is a no: the end of a session does not stop half-way. */
function mayPublishWill(broker: Broker, session: Session, message: Message): boolean {
  const { clientId, username } = session;
  try {
    return canPublishTo(broker, { clientId, username, address: '' }, session, message.topic);
  } catch (error) {
    broker.reportFault(printable(clientId), error);
    return false;
  }
}

/** The will as a message of now: its expiry runs from here. */
function willMessage(will: Will, wallMs: number): Message {
  const { message, messageExpiryInterval } = will;
  if (messageExpiryInterval === null) return message;
  const made = new Message(
    message.topic,
    message.payload,
    message.properties,
    message.qos,
    message.retain,
    wallMs + messageExpiryInterval * 1_000,
    message.publisherId,
  );
  made.source = message.source;
  return made;
}
