import { isSharedFilter, parseSharedFilter } from '../../protocol/topic.ts';
import type { ShareGroup } from '../../routing/subscription.ts';
import type { DurableState } from '../../session/durable-state.ts';
import { DeliveryState } from '../../session/delivery.ts';
import type { Message } from '../../session/message.ts';
import { DropReason } from '../../session/outgoing-flow.ts';
import type { Session } from '../../session/session.ts';
import type { StoredDelivery } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';
import { LogType } from '../log.ts';
import type { Durability } from './durability.ts';
import { fromStoredMessage } from './records.ts';

/** Messages deleted, or given to others, before other work has its turn. */
const SLICE = 2_000;
const PAGE = 200;
const PAGE_BYTES = 1024 * 1024;
const RETRY_MS = 1_000;

/** Messages of sessions that are over; `wereSent`: to their client, perhaps. */
interface Queue {
  readonly seqs: number[];
  readonly isShared: boolean;
  readonly wereSent: boolean;
}

/**
 * Lets go of what waits in the store for sessions that are over. What came by shared subscriptions goes to other members
 * (v5 section 4.8.2): it stays in the store until it is theirs, and a start finds it there, should the process end before.
 */
export class EndedQueues {
  private readonly broker: Broker;
  private readonly durability: Durability;
  private readonly waiting: Queue[] = [];
  private isWorking = false;
  private isStopped = false;

  constructor(broker: Broker, durability: Durability) {
    this.broker = broker;
    this.durability = durability;
  }

  /** The session is over, and still has what it had in the store. */
  take(session: Session, durable: DurableState): void {
    const isShared = durable.hasShared;
    if (isShared) this.giveUnwritten(session);
    this.add({ seqs: durable.sent ?? [], isShared, wereSent: true });
    this.add({ seqs: durable.peek(Infinity), isShared, wereSent: false });
    durable.sent = null;
    durable.clear();
  }

  /** Deliveries that the store has for sessions that it has not. */
  takeOrphans(seqs: number[], isShared: boolean): void {
    this.add({ seqs, isShared, wereSent: true });
  }

  private add(queue: Queue): void {
    const { seqs, isShared } = queue;
    if (seqs.length === 0) return;
    if (!isShared && seqs.length <= SLICE) return this.drop(seqs);
    this.waiting.push(queue);
    if (this.isWorking) return;
    this.isWorking = true;
    // While the store is taken up, a session that gets one would have it ahead of those that it has already.
    const { loader } = this.broker;
    if (loader === null) this.start();
    else loader.whenLoaded(() => this.start());
  }

  private start(): void {
    this.work().catch((error: unknown) => this.broker.reportFault('queues of sessions that ended', error));
  }

  private drop(seqs: readonly number[]): void {
    const { batches } = this.durability;
    for (const seq of seqs) {
      // One that waits to be written is found to be nobody's then.
      batches.open.deleteDelivery(seq);
      this.broker.counters.drop(DropReason.sessionEnded);
    }
    batches.schedule(false);
  }

  /** What is left is found at the next start. */
  stop(): void {
    this.isStopped = true;
  }

  private async work(): Promise<void> {
    for (let queue = this.waiting.shift(); queue !== undefined; queue = this.waiting.shift()) {
      const { seqs, isShared } = queue;
      for (let at = 0; at < seqs.length;) {
        if (isShared) at += await this.giveSome(seqs.slice(at, at + PAGE), queue.wereSent);
        else {
          this.drop(seqs.slice(at, at + SLICE));
          at += SLICE;
        }
        await Bun.sleep(0);
        if (this.isStopped) return;
      }
    }
    this.isWorking = false;
  }

  /** What is not in the store yet is not written any more: it is given away as it is. */
  private giveUnwritten(session: Session): void {
    const { deliveries } = this.durability;
    for (const delivery of deliveries.waitingOf(session)) {
      const { shared, qos, state, message } = delivery;
      if (shared === null || (qos === 2 && state !== DeliveryState.queued)) continue;
      const moved = this.give(message, delivery.retain, shared.filterText);
      if (moved !== null) deliveries.onMoved(delivery, moved);
    }
  }

  /** @returns how many of `seqs` are done */
  private async giveSome(seqs: readonly number[], wereSent: boolean): Promise<number> {
    const { deliveries, store, batches } = this.durability;
    await deliveries.whenStored(seqs.at(-1)!);
    const page = await store.readDeliveries(seqs, PAGE_BYTES).catch((error: unknown) => this.onFailure(error));
    if (page === null) return 0;
    for (const record of page.deliveries) {
      const given = mayGoOn(record, wereSent) && this.giveRecord(record) !== null;
      if (!given) this.broker.counters.drop(DropReason.sessionEnded);
    }
    for (const seq of seqs.slice(0, page.looked)) batches.open.deleteDelivery(seq);
    batches.schedule(true);
    return page.looked;
  }

  private giveRecord({ sharedFilter, retain, message }: StoredDelivery) {
    return this.give(fromStoredMessage(this.broker, message), retain, sharedFilter!);
  }

  private give(message: Message, retain: boolean, filterText: string) {
    const group = this.findGroup(message, filterText);
    if (group === null || message.isExpired(this.broker.wallMs())) return null;
    return this.broker.sharedMessages.give(message, retain, group, null, true);
  }

  private findGroup(message: Message, filterText: string): ShareGroup<Session> | null {
    const shared = isSharedFilter(filterText) ? parseSharedFilter(filterText) : null;
    if (shared === null) return null;
    const entry = message.topic.match(this.broker.tree).find((one) => one.topicFilter === shared.topicFilter);
    return entry?.groups?.find((one) => one.shareName === shared.shareName) ?? null;
  }

  private async onFailure(error: unknown): Promise<null> {
    const { counters, log } = this.broker;
    counters.storeFailures++;
    log.log(LogType.error, `Error: messages of a session that ended cannot be read: ${(error as Error).message}`);
    await Bun.sleep(RETRY_MS);
    return null;
  }
}

/** A QoS 2 message that was sent to one client goes to no other (v5 [MQTT-4.8.2-5]). */
function mayGoOn({ sharedFilter, qos, packetId }: StoredDelivery, wereSent: boolean): boolean {
  return sharedFilter !== null && (!wereSent || qos < 2 || packetId === 0);
}
