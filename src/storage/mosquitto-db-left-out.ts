/** Why something of the file is not taken over. */
export const LeftOut = {
  expiredSession: 'sessions that have expired',
  endedSession: 'sessions that end with their connection',
  namelessSession: 'sessions without a valid client identifier',
  repeatedSession: 'sessions that are there twice',
  strayMessage: 'client messages of sessions that are not there',
  lostMessage: 'client messages whose message is not there',
  expiredMessage: 'queued messages that have expired',
  incomingBelow2: 'incoming messages below QoS 2, which the client sends again',
  damagedMessage: 'client messages that make no sense',
  repeatedMessage: 'messages that are there twice',
  topic: 'messages with a topic that MQTT does not allow',
  properties: 'properties of messages that MQTT does not allow',
  straySubscription: 'subscriptions of sessions that are not there',
  filter: 'subscriptions with a filter that MQTT does not allow',
  expiredRetained: 'retained messages that have expired',
  lostRetained: 'retained messages that are not there',
  unknownChunk: 'chunks of an unknown type',
} as const;
export type LeftOut = (typeof LeftOut)[keyof typeof LeftOut];

/** How often something was left out, and where it happened first. */
export class LeftOutCounts {
  private readonly counts = new Map<LeftOut, { count: number; offset: number }>();

  add(reason: LeftOut, offset: number): void {
    const found = this.counts.get(reason);
    if (found === undefined) this.counts.set(reason, { count: 1, offset });
    else found.count++;
  }

  /** In the order of their first appearance. */
  list(): { reason: LeftOut; count: number; offset: number }[] {
    return Array.from(this.counts, ([reason, { count, offset }]) => ({ reason, count, offset }));
  }

  count(reason: LeftOut): number {
    return this.counts.get(reason)?.count ?? 0;
  }
}
