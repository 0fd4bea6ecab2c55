import { encodePacket, type Packet } from '../../../src/protocol/packet.ts';
import { PacketType, ProtocolVersion, type QoS } from '../../../src/protocol/packet-type.ts';
import type { PublishPacket } from '../../../src/protocol/publish.ts';
import { type Peer, type TestBroker, utf8 } from '../test-broker.ts';
import type { Answer, ClientTraits, Outgoing, SessionFate } from './client-state.ts';
import { describePacket } from './describe-packet.ts';
import { Inbox } from './inbox.ts';
import type { History, SimMessage, SubscriptionPeriod } from './model.ts';
import type { Random } from './random.ts';

const NEVER = 0xffff_ffff;

/** One client that keeps its state through everything, as the standard asks, and knows what it may expect. */
export class SimClient {
  readonly traits: ClientTraits;
  fate: SessionFate = 'none';
  /** What was done last may not outlive the process: the store fails, or nobody said that it is done. */
  isAtRisk = false;
  readonly inbox: Inbox;
  isConnected = false;
  /** It had a session that ended with its connection. */
  wasTransient = false;
  peer: Peer | null = null;
  private test: TestBroker;
  private readonly history: History;
  private readonly random: Random;
  private readonly inflight = new Map<number, Outgoing>();
  private nextPacketId = 1;
  /** QoS 2 messages received and not released, by packet identifier. */
  private readonly unreleased = new Set<number>();
  /** Packet identifiers of what came on this connection and was not answered to the end. */
  private readonly outstanding = new Map<number, QoS>();
  private readonly answers: Answer[] = [];
  private readonly subscribing = new Map<number, SubscriptionPeriod>();
  private readonly unsubscribing = new Set<number>();
  /** The will of the connection; null where it has none. */
  private will: SimMessage | null = null;
  /** Wall clock milliseconds when the connection ended. */
  private awaySinceMs = 0;
  /** When it was last seen open. */
  private openUntilMs = 0;
  /** A CONNECT without an answer came after it, or the end of a process that had perhaps not written of it yet. */
  private isAwayUnsure = false;
  private killsWhileAway = 0;
  private expiryNow = 0;
  private wasCleanStart = false;
  private hasGivenUp = false;
  /** What CONNACK must say of the session. */
  private expected: SessionFate = 'none';
  private failuresAtConnect = 0;
  private mostInflight = 4;

  constructor(traits: ClientTraits, test: TestBroker, history: History, random: Random) {
    this.traits = traits;
    this.test = test;
    this.history = history;
    this.random = random;
    this.inbox = new Inbox(traits.clientId, this.isV5, history);
  }

  get isPersistent(): boolean {
    return this.traits.expiry > 0;
  }

  get isV5(): boolean {
    return this.traits.version === ProtocolVersion.v5;
  }

  get isIdle(): boolean {
    return this.inflight.size === 0 && this.answers.length === 0 && this.outstanding.size === 0;
  }

  private note(what: string): void {
    this.history.lines?.push(`${this.traits.clientId} ${what}`);
  }

  private fail(what: string): void {
    this.history.fail(`${this.traits.clientId}: ${what}`);
  }

  private get isStoreFailing(): boolean {
    return this.test.broker.counters.storeFailing === 1;
  }

  // Connections

  /** @param isLast the session is to end with this connection */
  connect(cleanStart: boolean, isLast = false): void {
    const { version, expiry, receiveMaximum, maximumPacketSize, clientId } = this.traits;
    this.lose();
    this.updateFate();
    const peer = this.test.open(version);
    this.peer = peer;
    this.isConnected = false;
    // Whoever gave up a session does not go on with it, should the broker not have heard of it.
    this.wasCleanStart = cleanStart || this.hasGivenUp || (!this.isV5 && expiry === 0);
    // Before MQTT 5 a clean session ends with its connection.
    this.expiryNow = (this.isV5 ? isLast : this.wasCleanStart) ? 0 : expiry;
    if (this.expiryNow === 0) this.wasTransient = true;
    this.expected = this.wasCleanStart ? 'none' : this.fate;
    if (this.wasCleanStart) {
      this.hasGivenUp = this.isPersistent;
      this.dropState();
      this.forgetAll();
    } else if (this.expected !== 'there') this.forget('unsure');
    this.will = this.random.chance(0.3) ? this.newWill() : null;
    this.failuresAtConnect = this.isStoreFailing ? -1 : this.test.broker.counters.storeFailures;
    this.send({
      type: PacketType.connect,
      protocolVersion: version,
      bridge: false,
      cleanStart: this.wasCleanStart,
      keepAlive: 0,
      clientId,
      will:
        this.will === null
          ? null
          : {
              topicName: this.will.topic,
              payload: utf8(`${this.will.id} `),
              qos: this.will.qos,
              retain: false,
              properties: null,
            },
      username: null,
      password: null,
      properties: this.isV5
        ? {
            sessionExpiryInterval: this.expiryNow,
            ...(receiveMaximum > 0 && { receiveMaximum }),
            ...(maximumPacketSize > 0 && { maximumPacketSize }),
          }
        : null,
    });
  }

  private newWill(): SimMessage {
    const { clientId } = this.traits;
    const qos = this.random.pick([1, 2] as const);
    const init = { publisher: clientId, topic: `w/${clientId}/${qos}`, qos, retain: false, isEmpty: false, size: 10 };
    return this.history.begin({ ...init, isMortal: false });
  }

  /** The network goes away: what was under way to the client is lost. */
  drop(): void {
    this.note('drops');
    const { will, peer } = this;
    const isDue = will !== null && peer !== null && this.isConnected && !peer.isClosed;
    peer?.drop();
    this.lose();
    if (!isDue || this.test.broker.loader !== null) return;
    this.test.broker.durability!.batches.afterCommit(() => (will.acknowledgedAt = this.history.tick()));
  }

  /** @param expiry null: as it is */
  disconnect(expiry: number | null): void {
    const { peer } = this;
    if (peer === null) return;
    const properties = expiry === null ? null : { sessionExpiryInterval: expiry };
    if (expiry !== null) this.expiryNow = expiry;
    this.note(`disconnects ${expiry ?? ''}`);
    // Where the broker does not read at the moment it never will.
    const isRead = this.isConnected && !peer.socket.isPaused && !peer.isClosed;
    peer.disconnect(0, properties);
    const { will } = this;
    // v5 [MQTT-3.1.2-10]; until the store knows, the next start may find the will there.
    if (isRead && will !== null) this.test.broker.durability!.batches.afterCommit(() => (will.isWithdrawn = true));
    this.lose();
    if (expiry === 0) {
      this.forget(isRead ? 'none' : 'unsure');
      this.hasGivenUp ||= !isRead && this.isPersistent;
      this.isAtRisk = true;
    }
  }

  /** The client's end of the connection is gone. */
  private lose(): void {
    if (this.peer === null) return;
    if (this.expiryNow === 0) {
      this.forget(this.isConnected ? 'none' : 'unsure');
      this.hasGivenUp ||= !this.isConnected && this.isPersistent;
    }
    this.isAwayUnsure = !this.isConnected;
    if (this.isConnected) {
      this.awaySinceMs = this.test.clock.wallMs();
      if (!this.peer.isClosed) this.openUntilMs = this.awaySinceMs;
    }
    this.peer = null;
    this.isConnected = false;
    this.answers.length = 0;
    this.outstanding.clear();
    this.subscribing.clear();
    this.unsubscribing.clear();
  }

  /** The process ended, and another one took over. */
  onRestart(test: TestBroker, wasKilled: boolean): void {
    this.lose();
    if (wasKilled && ++this.killsWhileAway > 1) this.isAwayUnsure = true;
    this.test = test;
    if (wasKilled && this.isAtRisk) {
      this.hasGivenUp = this.isPersistent;
      this.forgetAll();
    }
    this.isAtRisk = false;
  }

  /** The store has not heard for long that the broker lives: who is connected may count as gone since then. */
  onStaleStore(): void {
    if (this.traits.expiry !== NEVER && this.fate === 'there') this.forget('unsure');
  }

  /** A session that ends some time after its connection. */
  private updateFate(): void {
    if (this.fate !== 'there' || this.expiryNow === NEVER || this.expiryNow === 0 || this.awaySinceMs === 0) return;
    const now = this.test.clock.wallMs();
    const awayMs = now - this.awaySinceMs;
    // A broker that was killed may have been told of the client's absence up to some seconds late or early.
    if (awayMs > (this.expiryNow + 15) * 1_000 && !this.isAwayUnsure) this.forget('none');
    else if (now - this.openUntilMs > (this.expiryNow - 15) * 1_000) this.giveUp();
  }

  /** The session ended, or may have. */
  private forget(fate: SessionFate): void {
    this.fate = fate;
    if (fate === 'none') this.dropState();
    this.inbox.forget();
  }

  /** Whether the broker still has the session can't be told, also not by another one in its place. */
  private giveUp(): void {
    this.hasGivenUp = true;
    this.forget('unsure');
  }

  /** Nobody knows what the broker knows, perhaps of a session that the client has given up. */
  private forgetAll(): void {
    this.forget('unsure');
    this.inbox.forgetReceipts();
  }

  /** State of a session that is gone is gone here too (v5 section 4.1). */
  private dropState(): void {
    this.unreleased.clear();
    this.inflight.clear();
  }

  // What the client sends

  private send(packet: Packet): void {
    const { peer } = this;
    if (peer === null || peer.isClosed) return;
    if (this.history.lines !== null) this.note(`> ${describePacket(packet)}`);
    peer.send(encodePacket(packet, this.traits.version));
  }

  subscribe(filter: string, qos: QoS, noLocal: boolean): void {
    if (!this.isConnected) return;
    const packetId = this.takePacketId();
    const period = this.inbox.begin(filter, qos, noLocal);
    this.subscribing.set(packetId, period);
    this.send({
      type: PacketType.subscribe,
      packetId,
      properties: this.isV5 ? { subscriptionIdentifiers: [period.identifier] } : null,
      subscriptions: [
        { topicFilter: filter, qos, noLocal: period.noLocal, retainAsPublished: false, retainHandling: 0 },
      ],
    });
  }

  unsubscribe(filter: string): void {
    if (!this.isConnected) return;
    const packetId = this.takePacketId();
    this.inbox.end(filter);
    this.unsubscribing.add(packetId);
    this.send({ type: PacketType.unsubscribe, packetId, properties: null, topicFilters: [filter] });
  }

  get canPublish(): boolean {
    return this.isConnected && this.inflight.size < this.mostInflight;
  }

  publish(message: SimMessage, mortalSeconds: number): void {
    const packetId = message.qos === 0 ? 0 : this.takePacketId();
    const one: Outgoing = { message, packetId, isSent: false, isReleased: false };
    if (message.qos > 0) this.inflight.set(packetId, one);
    this.transmit(one, mortalSeconds);
  }

  private transmit(one: Outgoing, mortalSeconds = 5): void {
    const { message, packetId } = one;
    if (one.isReleased) return this.send({ type: PacketType.pubrel, packetId, reasonCode: 0, properties: null });
    if (this.isStoreFailing && this.isV5) message.isDoubtful = true;
    this.send({
      type: PacketType.publish,
      dup: one.isSent,
      qos: message.qos,
      retain: message.retain,
      topicName: message.topic,
      packetId,
      properties: message.isMortal && this.isV5 ? { messageExpiryInterval: mortalSeconds } : null,
      payload: message.isEmpty ? new Uint8Array(0) : utf8(`${message.id} `.padEnd(message.size, '.')),
    });
    one.isSent = true;
  }

  private takePacketId(): number {
    do this.nextPacketId = (this.nextPacketId % 65_535) + 1;
    while (this.inflight.has(this.nextPacketId));
    return this.nextPacketId;
  }

  /** Sends up to `most` of the answers that are due, in order. */
  answer(most: number): void {
    for (let i = 0; i < most && this.isConnected; i++) {
      const one = this.answers.shift();
      if (one === undefined) return;
      if (one.type === PacketType.puback || one.type === PacketType.pubcomp) this.outstanding.delete(one.packetId);
      this.send({ ...one, reasonCode: 0, properties: null });
    }
  }

  // What the client receives

  /** Takes what came. */
  read(): void {
    const { peer } = this;
    if (peer === null) return;
    for (const packet of peer.take()) {
      if (this.peer !== peer) return;
      if (this.history.lines !== null) this.note(`< ${describePacket(packet)}`);
      this.handle(packet);
    }
    if (peer.isClosed && this.peer === peer) this.lose();
    else this.openUntilMs = this.test.clock.wallMs();
  }

  private handle(packet: Packet): void {
    switch (packet.type) {
      case PacketType.connack:
        return this.onConnack(packet.reasonCode, packet.sessionPresent, packet.properties?.receiveMaximum ?? 65_535);
      case PacketType.publish:
        return this.onPublish(packet);
      case PacketType.puback:
        return this.onAcknowledged(packet.packetId, packet.reasonCode);
      case PacketType.pubrec:
        return this.onPubrec(packet.packetId, packet.reasonCode);
      case PacketType.pubcomp:
        return this.onAcknowledged(packet.packetId, packet.reasonCode);
      case PacketType.pubrel:
        this.unreleased.delete(packet.packetId);
        this.answers.push({ type: PacketType.pubcomp, packetId: packet.packetId });
        return;
      case PacketType.suback:
        return this.onSuback(packet.packetId, packet.reasonCodes[0]!);
      case PacketType.unsuback:
        if (!this.unsubscribing.delete(packet.packetId)) this.fail('an UNSUBACK for nothing');
        return;
      case PacketType.disconnect:
        // Session taken over, server shutting down, quota exceeded.
        if (![0x8e, 0x8b, 0x97].includes(packet.reasonCode)) this.fail(`DISCONNECT ${packet.reasonCode}`);
        return;
      default:
        this.fail(`got packet type ${packet.type}`);
    }
  }

  private onConnack(reasonCode: number, sessionPresent: boolean, receiveMaximum: number): void {
    if (reasonCode !== 0) {
      // Told while the store fails, or when it was read for too long.
      if (!this.isStoreFailing && reasonCode !== 0x8d) this.fail(`CONNACK ${reasonCode}`);
      return;
    }
    const { expected } = this;
    if (expected === 'there' && !sessionPresent) this.fail('the session of an acknowledged CONNECT is gone');
    if (expected === 'none' && sessionPresent) this.fail('a session is there that was none, or has ended');
    if (!sessionPresent) {
      this.dropState();
      this.inbox.forget();
    }
    this.hasGivenUp = false;
    this.killsWhileAway = 0;
    this.fate = 'there';
    const hasFailed = this.isStoreFailing || this.test.broker.counters.storeFailures !== this.failuresAtConnect;
    this.isAtRisk = hasFailed && (this.isAtRisk || expected !== 'there' || this.expiryNow === 0);
    this.isConnected = true;
    this.mostInflight = Math.min(receiveMaximum, 4);
    for (const one of this.inflight.values()) this.transmit(one);
  }

  private onAcknowledged(packetId: number, reasonCode: number): void {
    const one = this.inflight.get(packetId);
    if (one === undefined) return;
    this.inflight.delete(packetId);
    if (reasonCode < 0x80) one.message.acknowledgedAt = this.history.tick();
    else if (!this.isStoreFailing && ![0x97, 0x80].includes(reasonCode)) this.fail(`answered ${reasonCode}`);
  }

  private onPubrec(packetId: number, reasonCode: number): void {
    const one = this.inflight.get(packetId);
    if (one === undefined || one.message.qos !== 2) return;
    if (reasonCode >= 0x80) return this.onAcknowledged(packetId, reasonCode);
    one.isReleased = true;
    this.answers.push({ type: PacketType.pubrel, packetId });
  }

  private onSuback(packetId: number, reasonCode: number): void {
    const period = this.subscribing.get(packetId);
    this.subscribing.delete(packetId);
    if (period === undefined) return this.fail('a SUBACK for nothing');
    if (reasonCode === period.qos) period.acknowledgedAt = this.history.tick();
    else if (!this.isStoreFailing) this.fail(`SUBACK ${reasonCode}`);
  }

  private onPublish(packet: PublishPacket): void {
    const { packetId, qos, dup } = packet;
    if (!this.isConnected) return this.fail('PUBLISH before CONNACK');
    let isNew = true;
    if (qos > 0) {
      const before = this.outstanding.get(packetId);
      if (before !== undefined) this.fail(`packet identifier ${packetId} came twice${dup ? ' with DUP' : ''}`);
      this.outstanding.set(packetId, qos as QoS);
      const { receiveMaximum } = this.traits;
      const most = receiveMaximum > 0 && this.isV5 ? receiveMaximum : 65_535;
      if (this.outstanding.size > Math.min(most, this.test.broker.window)) {
        this.fail(`${this.outstanding.size} messages in flight`);
      }
    }
    if (qos === 2) {
      isNew = !this.unreleased.has(packetId);
      if (!isNew && !dup) this.fail(`QoS 2 message ${packetId} came again without DUP`);
      this.unreleased.add(packetId);
    }
    if (isNew) this.inbox.take(packet);
    if (qos > 0) this.answers.push({ type: qos === 1 ? PacketType.puback : PacketType.pubrec, packetId });
  }

  /** Random things a client does with what it knows. */
  act(): void {
    this.read();
    if (this.random.chance(0.8)) this.answer(1 + this.random.below(6));
  }
}
