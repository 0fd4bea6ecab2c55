import type { Topic } from '../routing/topic-cache.ts';
import type { Session } from '../session/session.ts';

/** Topic Aliases of one connection; each direction has its own (v5 section 3.3.2.3.4). */
export class TopicAliases {
  private incoming: Map<number, Topic<Session>> | null = null;
  private sent: Map<string, number> | null = null;

  setIncoming(alias: number, topic: Topic<Session>): void {
    this.incoming ??= new Map();
    this.incoming.set(alias, topic);
  }

  getIncoming(alias: number): Topic<Session> | null {
    return this.incoming?.get(alias) ?? null;
  }

  /**
   * The alias for a topic we send: the first topics get one, until the client's maximum.
   *
   * @returns 0: none; positive: new, to be sent with the topic; negative: known to the client, sent alone
   */
  outgoing(topicName: string, maximum: number): number {
    this.sent ??= new Map();
    const known = this.sent.get(topicName);
    if (known !== undefined) return -known;
    if (this.sent.size >= maximum) return 0;
    const alias = this.sent.size + 1;
    this.sent.set(topicName, alias);
    return alias;
  }

  /** Takes back the alias that `outgoing` made last: its packet was not sent. */
  forget(topicName: string): void {
    this.sent?.delete(topicName);
  }
}
