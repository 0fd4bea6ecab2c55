import type { Message } from '../../../src/session/message.ts';
import { text } from '../test-broker.ts';
import { matches, type SimMessage, type SubscriptionPeriod } from './model.ts';
import type { SimClient } from './sim-client.ts';
import type { Simulation } from './simulation.ts';

/** Compares what arrived with what was acknowledged, once nothing is on its way any more. */
export function checkEnd(simulation: Simulation): void {
  checkSubscriptions(simulation);
  checkRetained(simulation);
  checkShared(simulation);
  if (!simulation.hasLimits) for (const client of simulation.clients) checkArrived(simulation, client);
}

/** Whether the client must have got the message by a subscription. */
function mustArrive(message: SimMessage, period: SubscriptionPeriod, client: SimClient): boolean {
  const { acknowledgedAt, isMortal, isEmpty, begunAt, topic } = message;
  if (acknowledgedAt === 0 || isMortal || isEmpty || Math.min(message.qos, period.qos) === 0) return false;
  if (period.isForgotten || period.acknowledgedAt === 0 || begunAt < period.acknowledgedAt) return false;
  if (period.noLocal && message.publisher === client.traits.clientId) return false;
  return matches(period.filter, topic) && acknowledgedAt < period.endedAt;
}

function checkArrived({ history }: Simulation, client: SimClient): void {
  if (!client.isPersistent || client.fate !== 'there') return;
  for (const message of history.messages.values()) {
    for (const period of client.inbox.periods) {
      if (period.filter.startsWith('$share/') || !mustArrive(message, period, client)) continue;
      if (client.inbox.receipts.has(`${message.id} ${client.isV5 ? period.filter : ''}`)) continue;
      history.fail(
        `${client.traits.clientId}: message ${message.id} (${message.topic} ${message.number}) by ${period.filter} is missing`,
      );
    }
  }
}

/** At QoS 2 one member at most gets a message; one does get it while there are members that last. */
function checkShared({ history, clients, hasLimits }: Simulation): void {
  for (const group of ['g', 'h']) {
    const members = clients.filter(({ traits }) => traits.group === group);
    const filter = `$share/${group}/s/#`;
    // What went to a session that is not kept, and the process ended then, may go to another one.
    const isLasting = members.every(
      (one) => !one.wasTransient || one.inbox.periods.every((period) => period.filter !== filter),
    );
    for (const message of history.messages.values()) {
      if (!message.topic.startsWith('s/')) continue;
      const receipts = members.flatMap(
        (one) => one.inbox.receipts.get(`${message.id} ${one.isV5 ? filter : ''}`) ?? [],
      );
      const atQos2 = receipts.reduce((sum, one) => sum + one.atQos2, 0);
      if (atQos2 > 1 && isLasting)
        history.fail(`message ${message.id} (${message.topic}) ${atQos2} times at QoS 2 in group ${group}`);
      if (hasLimits || !isLasting || receipts.length > 0) continue;
      const wanted = members.some((one) =>
        one.inbox.periods.some((period) => {
          const isBefore = period.filter === filter && mustArrive(message, period, one);
          return isBefore && period.endedAt === Infinity && one.fate === 'there';
        }),
      );
      // A QoS 2 message that was sent ends with the session it was sent to (v5 [MQTT-4.8.2-5]).
      const mayEnd = message.qos === 2 && members.some((one) => one.inbox.periods.some((period) => period.isForgotten));
      const isAtQos0 = members.some((one) =>
        one.inbox.periods.some((period) => period.filter === filter && period.qos === 0),
      );
      if (wanted && !mayEnd && !isAtQos0) {
        history.fail(`message ${message.id} (${message.topic} ${message.number}) is missing in group ${group}`);
      }
    }
  }
}

/** What was acknowledged last is retained, or what came after it. */
function checkRetained({ history, broker }: Simulation): void {
  const byTopic = Map.groupBy(
    [...history.messages.values()].filter(({ retain }) => retain),
    ({ topic }) => topic,
  );
  for (const [topic, messages] of byTopic) {
    const lastAcknowledged = messages.findLastIndex(({ acknowledgedAt }) => acknowledgedAt > 0);
    const kept = broker.retained.get(topic);
    const allowed = messages.slice(Math.max(0, lastAcknowledged));
    if (kept === null) {
      if (lastAcknowledged >= 0 && !allowed.some(({ isEmpty }) => isEmpty))
        history.fail(`nothing is retained for ${topic}`);
      continue;
    }
    const id = Number.parseInt(text(kept.payload), 10);
    if (!allowed.some((one) => one.id === id)) history.fail(`message ${id} is retained for ${topic}, which is old`);
  }
}

function checkSubscriptions({ history, broker, clients }: Simulation): void {
  for (const { traits, inbox, fate, isPersistent } of clients) {
    if (!isPersistent || fate !== 'there') continue;
    const session = broker.sessions.get(traits.clientId);
    for (const { filter, qos, acknowledgedAt, endedAt, isForgotten } of inbox.periods) {
      if (acknowledgedAt === 0 || endedAt !== Infinity || isForgotten) continue;
      const found = session?.findSubscription(filter) ?? null;
      if (found?.qos !== qos) history.fail(`${traits.clientId}: the subscription to ${filter} is gone`);
    }
  }
}

/** Every retained message. */
export function retainedTopics({ broker }: Simulation): string[] {
  const found: Message[] = [];
  for (const search = broker.retained.all(); !search.next(1_000, found);) continue;
  return found.map(({ topic }) => topic.name);
}
