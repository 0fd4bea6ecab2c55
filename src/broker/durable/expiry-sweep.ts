import { DropReason } from '../../session/outgoing-flow.ts';
import type { ExpiredDelivery } from '../../storage/session-store.ts';
import type { Broker } from '../broker.ts';
import type { Durability } from './durability.ts';

const SWEEP_MS = 30_000;
/** Messages looked at before other work has its turn. */
const SLICE = 500;

/** Deletes messages that expired in the store while their client was away (v5 [MQTT-3.3.2-5]), a slice at a time. */
export class ExpirySweep {
  private readonly broker: Broker;
  private readonly durability: Durability;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private isStopped = false;

  constructor(broker: Broker, durability: Durability) {
    this.broker = broker;
    this.durability = durability;
  }

  start(): void {
    this.schedule(SWEEP_MS);
  }

  stop(): void {
    this.isStopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private schedule(ms: number): void {
    if (this.isStopped) return;
    this.timer = setTimeout(() => void this.run(), ms);
    this.timer.unref();
  }

  private async run(): Promise<void> {
    let isMore = false;
    try {
      isMore = await this.sweep();
    } catch {
      // The store fails, which it says where it is written to; the next sweep is due all the same.
    }
    this.schedule(isMore ? 0 : SWEEP_MS);
  }

  /** One slice. @returns whether there is more to delete */
  async sweep(): Promise<boolean> {
    // Until all is taken up it is not known what was sent.
    if (this.broker.loader !== null) return false;
    const expired = await this.durability.store.readExpired(this.broker.wallMs(), SLICE);
    const byClient = Map.groupBy(expired, (one) => one.clientId);
    let deleted = 0;
    for (const [clientId, deliveries] of byClient) deleted += this.removeFrom(clientId, deliveries);
    // Those in memory are dropped when their turn comes; they are found again by each sweep, and say nothing.
    return expired.length === SLICE && deleted > 0;
  }

  private removeFrom(clientId: string, deliveries: readonly ExpiredDelivery[]): number {
    const durable = this.broker.sessions.get(clientId)?.durable ?? null;
    if (durable === null) return 0;
    const sizes = new Map(deliveries.map(({ seq, size }) => [seq, size]));
    // What was sent stands in no list: it goes on until it is acknowledged.
    const found = durable.remove(new Set(sizes.keys()));
    for (const seq of found) {
      durable.bytes -= sizes.get(seq)!;
      this.durability.deliveries.drop(seq);
      this.broker.counters.drop(DropReason.expired);
    }
    if (durable.length === 0) durable.bytes = 0;
    return found.length;
  }
}
