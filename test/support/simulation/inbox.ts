import type { QoS } from '../../../src/protocol/packet-type.ts';
import type { PublishPacket } from '../../../src/protocol/publish.ts';
import { text } from '../test-broker.ts';
import { type History, matches, type Receipt, type SimMessage, type SubscriptionPeriod } from './model.ts';

/** What one client subscribed to, and what it got. */
export class Inbox {
  readonly periods: SubscriptionPeriod[] = [];
  /** By number of the message and, in MQTT 5, the filter. */
  readonly receipts = new Map<string, Receipt>();
  private readonly clientId: string;
  private readonly isV5: boolean;
  private readonly history: History;
  private readonly filters = new Map<number, string>();
  private readonly newest = new Map<string, number>();

  constructor(clientId: string, isV5: boolean, history: History) {
    this.clientId = clientId;
    this.isV5 = isV5;
    this.history = history;
  }

  private fail(what: string): void {
    this.history.fail(`${this.clientId}: ${what}`);
  }

  /** A SUBSCRIBE: whatever was for the filter ends with it. */
  begin(filter: string, qos: QoS, noLocal: boolean): SubscriptionPeriod {
    const identifier = this.isV5 ? this.filters.size + 1 : 0;
    if (identifier > 0) this.filters.set(identifier, filter);
    this.end(filter);
    const period: SubscriptionPeriod = {
      filter,
      qos,
      noLocal: noLocal && this.isV5 && !filter.startsWith('$share/'),
      identifier,
      acknowledgedAt: 0,
      endedAt: Infinity,
      isForgotten: false,
    };
    this.periods.push(period);
    return period;
  }

  end(filter: string): void {
    const now = this.history.tick();
    for (const one of this.periods) if (one.filter === filter) one.endedAt = Math.min(one.endedAt, now);
  }

  /** The session is over, or may be. */
  forget(): void {
    const now = this.history.tick();
    for (const one of this.periods) {
      one.isForgotten = true;
      one.endedAt = Math.min(one.endedAt, now);
    }
  }

  /** What came before may come again, since the session is another one. */
  forgetReceipts(): void {
    this.newest.clear();
    for (const receipt of this.receipts.values()) receipt.atQos2 = 0;
  }

  /** A message that is no repetition. */
  take(packet: PublishPacket): void {
    const { topicName, qos, retain, payload } = packet;
    const message = this.history.messages.get(Number.parseInt(text(payload), 10));
    if (message === undefined) {
      if (!topicName.startsWith('r/') || payload.length > 0) {
        this.fail(`'${text(payload)}' on ${topicName} was never published`);
      }
      return;
    }
    if (message.topic !== topicName) this.fail(`message ${message.id} on ${topicName}, not ${message.topic}`);
    if (message.isWithdrawn) this.fail(`message ${message.id} on ${topicName}, which was withdrawn`);
    const identifier = packet.properties?.subscriptionIdentifiers?.[0] ?? 0;
    const filter = this.isV5 ? (this.filters.get(identifier) ?? '') : '';
    if (this.isV5 && filter === '') this.fail(`message ${message.id} with the unknown identifier ${identifier}`);
    if (filter !== '' && !matches(filter, topicName)) this.fail(`message ${message.id} on ${topicName} by ${filter}`);
    const isOwn = message.publisher === this.clientId;
    if (isOwn && identifier > 0 && this.periods.some((one) => one.identifier === identifier && one.noLocal)) {
      this.fail(`message ${message.id} came back in spite of No Local`);
    }
    // One that was retained comes once more for each subscription.
    if (retain) return;
    this.count(message, filter, qos);
    this.checkOrder(message, filter, topicName, qos);
  }

  private count(message: SimMessage, filter: string, qos: number): void {
    const key = `${message.id} ${filter}`;
    const receipt = this.receipts.get(key) ?? { message, filter, count: 0, atQos2: 0 };
    this.receipts.set(key, receipt);
    receipt.count++;
    if (qos === 2 && message.qos === 2 && ++receipt.atQos2 > 1)
      this.fail(`message ${message.id} (${message.topic}) twice at QoS 2`);
  }

  /** The first arrivals of a topic are in the order of sending; a share group promises that to nobody. */
  private checkOrder(message: SimMessage, filter: string, topicName: string, qos: number): void {
    if (qos === 0 || topicName.startsWith('s/')) return;
    // One that was begun before the subscription may come as its sender sends it again.
    const wasExpected = this.periods.some(
      (one) =>
        (this.isV5 ? one.filter === filter : matches(one.filter, topicName)) &&
        one.acknowledgedAt > 0 &&
        one.acknowledgedAt < message.begunAt &&
        one.endedAt === Infinity,
    );
    if (!wasExpected || message.isDoubtful) return;
    // At QoS 1 one that was dropped may come again behind others, when its sender repeats it.
    if (message.qos === 1 && (message.isMortal || this.history.hasDrops)) return;
    const key = `${topicName} ${filter}`;
    const newest = this.newest.get(key) ?? 0;
    const receipt = this.receipts.get(`${message.id} ${filter}`)!;
    if (receipt.count === 1 && message.number < newest) {
      this.fail(`message ${message.id}: number ${message.number} of ${topicName} came first after ${newest}`);
    }
    this.newest.set(key, Math.max(newest, message.number));
  }
}
