import { openInto } from '../../../src/broker/durable/restore.ts';
import { type BrokerOptions, defaultBrokerOptions } from '../../../src/config/broker-options.ts';
import { ProtocolVersion, type QoS } from '../../../src/protocol/packet-type.ts';
import { type SessionStore, StoreFault } from '../../../src/storage/session-store.ts';
import { TestBroker } from '../test-broker.ts';
import type { VirtualTime } from '../virtual-time.ts';
import { checkEnd, retainedTopics } from './checks.ts';
import { History } from './model.ts';
import { Random } from './random.ts';
import { ShakyStore } from './shaky-store.ts';
import type { ClientTraits } from './client-state.ts';
import { SimClient } from './sim-client.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly steps: number;
  /** The store that outlives the brokers. */
  readonly store: SessionStore;
  /** Moves the time; null: it moves by itself. */
  readonly time: VirtualTime;
  /** Waits until the store has nothing to do, where it is one that works beside us. */
  readonly idle?: () => Promise<void>;
  /** Lets go of the store as it is, since the process that had it is gone. */
  readonly afterKill?: () => Promise<void>;
  /** What is wrong inside the store. */
  readonly audit?: () => string[];
}

const FILTERS = ['w/#', 't/#', 't/+/1', 't/+/2', 't/c0/+', 't/c1/2', 't/c2/1', 'r/#', 'r/c0/+'];
const NEVER = 0xffff_ffff;
/** Milliseconds without anything new after which nothing more is to come: longer than any retry. */
const QUIET_MS = 6_000;

/** Random clients, a broker and a store, and all that can befall them. The same seed does the same. */
export class Simulation {
  readonly history = new History();
  readonly clients: SimClient[] = [];
  readonly options: Partial<BrokerOptions>;
  readonly hasLimits: boolean;
  restarts = 0;
  private readonly init: SimulationOptions;
  private readonly random: Random;
  private store!: ShakyStore;
  test!: TestBroker;
  private elapsedMs = 0;
  private loaded = Promise.resolve();
  private slownessMs = 0;

  constructor(init: SimulationOptions) {
    this.init = init;
    this.random = new Random(init.seed);
    const { random } = this;
    this.hasLimits = random.chance(0.3);
    this.history.hasDrops = this.hasLimits;
    this.options = {
      maxInflightMessages: random.pick([1, 2, 5, 20]),
      maxQueuedMessages: this.hasLimits ? random.pick([2, 5, 20]) : 0,
      maxQueuedBytes: this.hasLimits ? random.pick([0, 0, 2_000]) : 0,
      queueFull: random.pick(['drop_new', 'drop_oldest', 'disconnect'] as const),
      queueQos0Messages: random.chance(0.3),
      upgradeOutgoingQos: random.chance(0.1),
      allowDuplicateMessages: false,
    };
  }

  get broker() {
    return this.test.broker;
  }

  async run(): Promise<void> {
    await this.start();
    for (let i = 0; i < 5; i++) this.addClient(i);
    for (let step = 0; step < this.init.steps && this.history.violations.length === 0; step++) await this.step();
    if (this.history.violations.length > 0) return;
    await this.finish();
    if (this.history.violations.length > 0) return;
    checkEnd(this);
    if (this.history.violations.length > 0) return;
    await this.endAll();
  }

  private addClient(index: number): void {
    const { random } = this;
    const version = random.pick([ProtocolVersion.v5, ProtocolVersion.v5, ProtocolVersion.v311]);
    const isV5 = version === ProtocolVersion.v5;
    const traits: ClientTraits = {
      clientId: `c${index}`,
      version,
      expiry: index === 0 ? NEVER : random.pick(isV5 ? [NEVER, NEVER, 120, 0] : [NEVER, NEVER, 0]),
      receiveMaximum: isV5 ? random.pick([0, 0, 1, 3]) : 0,
      maximumPacketSize: isV5 && this.hasLimits ? random.pick([0, 200]) : 0,
      group: random.pick(['g', 'h']),
    };
    this.clients.push(new SimClient(traits, this.test, this.history, random));
  }

  // The process

  private async start(): Promise<void> {
    this.test = new TestBroker(this.options);
    this.test.log.types = 1 | 2;
    this.test.clock.add(this.elapsedMs);
    this.store = new ShakyStore(this.init.store, this.random);
    this.slownessMs = this.random.pick([0, 4, 30]);
    this.store.slownessMs = this.slownessMs;
    const opening = openInto(this.broker, this.store);
    let isOpen = false;
    void opening.then(() => (isOpen = true));
    while (!isOpen) await this.turn();
    const { store } = this;
    const unreadable = this.random.pick([0, 0, 0.2]);
    this.loaded = (await opening).loaded.then(() => void (store.unreadable = unreadable));
    this.loaded.catch((error: unknown) => this.history.fail(`the store was not loaded: ${String(error)}`));
    this.restarts++;
    this.history.lines?.push('-- started');
  }

  private async kill(): Promise<void> {
    this.history.lines?.push('-- killed');
    await this.store.cut(this.random.chance(0.5));
    if (this.init.time.nowMs - this.store.committedMs > 12_000)
      for (const client of this.clients) client.onStaleStore();
    this.broker.durability!.batches.abandon();
    this.init.time.forgetAll();
    await this.init.idle?.();
    await this.init.afterKill?.();
    this.collectFaults();
    await this.restart(true);
  }

  private async stopOrderly(): Promise<void> {
    if (this.store.fault !== null || this.broker.loader !== null) return;
    this.broker.stop();
    for (const client of this.clients) client.read();
    this.history.lines?.push('-- stopped');
    let isStopped = false;
    void this.broker
      .durability!.stop()
      .catch((error: unknown) => this.history.fail(`the store was not closed: ${String(error)}`))
      .then(() => (isStopped = true));
    while (!isStopped) await this.turn();
    this.init.time.forgetAll();
    this.collectFaults();
    await this.restart(false);
  }

  private async restart(wasKilled: boolean): Promise<void> {
    for (const client of this.clients) client.onRestart(this.test, wasKilled);
    this.elapsedMs += this.random.pick([0, 500, 20_000]);
    await this.start();
    for (const client of this.clients) client.onRestart(this.test, false);
  }

  /** One turn of the loop, and some time. */
  private async turn(ms = this.random.below(4)): Promise<void> {
    this.elapsedMs += ms;
    this.test.advance(ms);
    await this.init.time.turn(ms);
    await this.init.idle?.();
    this.test.broker.output.flushAll();
  }

  private audit(): void {
    for (const wrong of this.init.audit?.() ?? []) this.history.fail(`in the store: ${wrong}`);
  }

  /** How many deliveries the store has, or some of them. */
  private async countDeliveries(): Promise<number> {
    let count = -1;
    void this.store.readDeliveryIndex(0, 100).then(({ seqs }) => (count = seqs.length));
    while (count < 0) await this.turn();
    return count;
  }

  private async countSessions(): Promise<number> {
    let count = -1;
    void this.store.readSessions(0, 100).then(({ length }) => (count = length));
    while (count < 0) await this.turn();
    return count;
  }

  private collectFaults(): void {
    const { counters } = this.broker;
    if (counters.internalErrors > 0) {
      const lines = this.test.log.lines.filter((line) => line.startsWith('Internal error'));
      this.history.fail(`internal error: ${lines.join('\n')}`);
    }
  }

  // Steps

  private async step(): Promise<void> {
    const { random } = this;
    const client = random.pick(this.clients);
    const what = random.next();
    if (what < 0.35) {
      client.act();
      if (client.peer === null && random.chance(0.5)) this.connect(client);
    } else if (what < 0.6) this.publish(client, 1 + random.below(3));
    else if (what < 0.68) this.subscribe(client);
    else if (what < 0.7) this.unsubscribe(client);
    else if (what < 0.8) this.connect(client);
    else if (what < 0.84) this.leave(client);
    else if (what < 0.845) this.burst(client);
    else if (what < 0.86) this.disturb();
    else if (what < 0.865) await this.kill();
    else if (what < 0.868) await this.stopOrderly();
    else if (what < 0.875) await this.pass();
    const turns = random.pick([0, 1, 1, 2, 5]);
    for (let i = 0; i < turns; i++) await this.turn();
    if (random.chance(0.05)) this.audit();
    this.collectFaults();
  }

  private connect(client: SimClient): void {
    const { random } = this;
    if (client.peer !== null && random.chance(0.7)) return;
    const isLast = client.isPersistent && random.chance(0.04);
    client.connect(random.chance(client.isPersistent ? 0.06 : 1), isLast);
  }

  private leave(client: SimClient): void {
    const { random } = this;
    if (random.chance(0.6)) client.drop();
    else client.disconnect(client.isV5 && client.isPersistent && random.chance(0.1) ? 0 : null);
  }

  private publish(client: SimClient, count: number): void {
    const { random } = this;
    for (let i = 0; i < count && client.canPublish; i++) {
      const { clientId } = client.traits;
      const branch = random.next();
      const qos: QoS = random.pick([0, 1, 1, 2, 2]);
      const isRetained = branch < 0.15;
      const number = random.below(2);
      const topic =
        branch < 0.55 ? `t/${clientId}/${qos}` : isRetained ? `r/${clientId}/${number + 1}` : `s/${clientId}/${qos}`;
      const message = this.history.begin({
        publisher: clientId,
        topic: branch < 0.15 ? `r/${clientId}/${number + 1}` : topic,
        qos: isRetained ? ((number + 1) as QoS) : qos,
        retain: isRetained,
        isEmpty: isRetained && random.chance(0.2),
        isMortal: client.isV5 && !isRetained && random.chance(0.1),
        size: random.pick([10, 10, 60, 400]),
      });
      client.publish(message, random.pick([1, 5, 60]));
    }
  }

  /** More than a page of messages to whoever wants them. */
  private burst(client: SimClient): void {
    if (!client.isConnected || this.hasLimits || this.random.chance(0.7)) return;
    for (let i = 0; i < 260; i++) {
      const { clientId } = client.traits;
      const init = { publisher: clientId, topic: `t/${clientId}/1`, qos: 1 as QoS, retain: false, isEmpty: false };
      client.publish(this.history.begin({ ...init, isMortal: false, size: 20 }), 0);
    }
  }

  private subscribe(client: SimClient): void {
    const { random } = this;
    const shared = `$share/${client.traits.group}/s/#`;
    const filter = random.chance(0.35) ? shared : random.pick(FILTERS);
    client.subscribe(filter, random.pick([0, 1, 1, 2, 2, 2]), random.chance(0.2));
  }

  private unsubscribe(client: SimClient): void {
    const filters = client.inbox.periods.filter(({ endedAt }) => endedAt === Infinity).map(({ filter }) => filter);
    if (filters.length > 0) client.unsubscribe(this.random.pick(filters));
  }

  private disturb(): void {
    const { random, store } = this;
    if (store.fault !== null) store.fault = null;
    else if (random.chance(0.5)) store.fault = random.pick([StoreFault.full, StoreFault.io]);
    else store.slownessMs = random.pick([0, 4, 30]);
    this.history.lines?.push(`-- fault ${store.fault}, slowness ${store.slownessMs}`);
  }

  /** Time goes by: seconds, or minutes. */
  private async pass(): Promise<void> {
    const ms = this.random.pick([1_000, 5_000, 40_000, 200_000]);
    for (let passed = 0; passed < ms; passed += ms / 20) await this.turn(ms / 20);
  }

  // The end

  /** Everybody comes back, and all that is due is delivered. */
  private async finish(): Promise<void> {
    this.store.fault = null;
    this.store.unreadable = 0;
    this.store.slownessMs = 0;
    await this.quiet(() => {
      for (const client of this.clients) {
        if (client.peer === null && client.isPersistent) client.connect(false);
        client.read();
        client.answer(100);
      }
    });
    if (this.broker.loader !== null) this.history.fail('the store is still being taken up');
    for (const client of this.clients) {
      if (client.isPersistent && !client.isIdle) this.history.fail(`${client.traits.clientId}: something has no end`);
    }
    for (const { clientId, link, durable, outgoing } of this.broker.sessions.values()) {
      if (link === null || durable === null) continue;
      const { length, sent, isResuming, reading } = durable;
      const queued = outgoing?.queue.length ?? 0;
      if (length + queued > 0 || sent !== null || isResuming) {
        this.history.fail(
          `${clientId} is stuck: ${length} in the store, ${sent?.length} sent, ${queued} queued, ${isResuming} ${reading}`,
        );
      }
    }
    const { pendingCount } = this.broker.durability!.deliveries;
    if (pendingCount > 0) this.history.fail(`${pendingCount} deliveries wait to be written`);
    const left = await this.countDeliveries();
    if (left > 0) this.history.fail(`${left} deliveries or more are left in the store`);
    this.audit();
    this.collectFaults();
  }

  /** Goes on until nothing happens any more. */
  private async quiet(act: () => void): Promise<void> {
    const seen = () => {
      const { packetsReceived, publishSent, storeBatches } = this.broker.counters;
      return `${packetsReceived} ${publishSent} ${storeBatches}`;
    };
    let rounds = 0;
    for (let quietMs = 0, last = ''; quietMs < QUIET_MS && this.history.violations.length === 0; quietMs += 50) {
      if (++rounds > 5_000) this.history.fail('it never comes to an end');
      act();
      await this.turn(50);
      if (seen() !== last || this.broker.loader !== null) quietMs = 0;
      last = seen();
    }
  }

  /** All sessions end, and the retained messages go: the store must be empty then. */
  private async endAll(): Promise<void> {
    for (const topic of retainedTopics(this)) this.broker.unretain(topic);
    for (const client of this.clients) client.connect(true, true);
    await this.quiet(() => this.clients.forEach((client) => client.read()));
    for (const client of this.clients) client.disconnect(null);
    await this.quiet(() => {});
    const left = await this.countDeliveries();
    const sessions = await this.countSessions();
    if (sessions + left > 0) this.history.fail(`the store holds ${sessions} sessions, ${left} deliveries`);
    this.audit();
    const { count, references } = this.broker.stored;
    if (count + references > 0) this.history.fail(`${count} messages are kept for ${references} uses`);
    this.collectFaults();
  }
}

export function describeRun({ options, hasLimits, restarts, history }: Simulation): string {
  const changed = Object.entries(options).filter(
    ([key, value]) => defaultBrokerOptions[key as keyof BrokerOptions] !== value,
  );
  return JSON.stringify({ ...Object.fromEntries(changed), hasLimits, restarts, messages: history.messages.size });
}
