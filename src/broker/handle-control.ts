// PUBLISH to `$CONTROL/...`: requests to the broker itself, which no subscriber sees.
import { PacketType } from '../protocol/packet-type.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import type { Topic } from '../routing/topic-cache.ts';
import { Message } from '../session/message.ts';
import { DropReason } from '../session/outgoing-flow.ts';
import type { Session } from '../session/session.ts';
import { UnreleasedMessages } from '../session/unreleased-messages.ts';
import type { Broker } from './broker.ts';
import type { ClientConnection } from './client-connection.ts';
import { IncomingMessage } from './incoming.ts';

const PREFIX = '$CONTROL/';

/** Somebody who answers requests under one topic. */
export interface ControlEndpoint {
  readonly topicName: string;
  /**
   * @param payload valid during the call
   * @returns what goes to `TOPIC/response`
   */
  answer(session: Session, payload: Uint8Array): string;
}

export function isControlTopic(topicName: string): boolean {
  return topicName.startsWith(PREFIX);
}

/**
 * Takes the request in `broker.view`, which the access rules have let pass. As with Mosquitto 2.1 the acknowledgement goes
 * ahead of the answer, and a topic that nobody answers is told so. Unlike there, an answer goes to the client that asked
 * and to no other that subscribes to the topic of answers.
 */
export function handleControl(
  broker: Broker,
  connection: ClientConnection,
  topic: Topic<Session>,
  bytes: Uint8Array,
): void {
  const { view, control } = broker;
  const session = connection.session!;
  if (!acknowledge(broker, connection)) return;
  const responseTopic = `${topic.name}/response`;
  if (control === null || control.topicName !== topic.name) {
    if (session.access !== null && !session.access.canReceive(responseTopic)) return;
    const refusal = response(broker, responseTopic, '{"error": "endpoint not available"}');
    return send(broker, connection, refusal, 0);
  }
  const text = control.answer(session, bytes.subarray(view.payloadStart, view.payloadEnd));
  sendToSubscriber(broker, connection, response(broker, responseTopic, text));
}

/** After the acknowledgements that wait for the store. Answers false where the request was answered before. */
function acknowledge({ view, stored, durability }: Broker, connection: ClientConnection): boolean {
  const { qos, packetId } = view;
  if (qos === 0) return true;
  const session = connection.session!;
  let isNew = true;
  if (qos === 2) {
    session.incoming ??= new UnreleasedMessages(stored);
    isNew = !view.dup || !session.incoming.has(packetId);
    if (isNew) session.incoming.set(packetId, null);
  }
  const type = qos === 1 ? PacketType.puback : PacketType.pubrec;
  if (durability === null) connection.sendAck(type, packetId, 0, null);
  else {
    durability.acks.begin(connection, type, packetId, 0);
    if (qos === 2 && isNew) durability.incoming.onPublish(session, packetId, null);
    durability.acks.end();
  }
  return isNew;
}

function response(broker: Broker, topicName: string, text: string): IncomingMessage {
  const message = new Message(broker.topics.byName(topicName), encodeUtf8(text), new Uint8Array(0), 0, false, 0, '');
  const incoming = new IncomingMessage();
  incoming.fromMessage(message, 0);
  return incoming;
}

/** In MQTT 5 one copy for each of the client's subscriptions that match, with its identifier; before, one in all. */
function sendToSubscriber(broker: Broker, connection: ClientConnection, incoming: IncomingMessage): void {
  const session = connection.session!;
  const topic = incoming.topic!;
  const entries = topic.match(broker.tree);
  for (const subscription of session.subscriptions()) {
    if (!entries.includes(subscription.entry)) continue;
    if (subscription.needsCheck && !session.access!.canReceive(topic.name)) continue;
    send(broker, connection, incoming, subscription.identifier);
    if (session.protocolVersion !== 5) return;
  }
}

function send(broker: Broker, connection: ClientConnection, incoming: IncomingMessage, identifier: number): void {
  if (connection.isOverflowing(false)) broker.counters.drop(DropReason.slowReader);
  else if (!connection.sendOwnQoS0(incoming, false, identifier)) broker.counters.drop(DropReason.tooLarge);
}
